"""What a person should have is the union of what their engagements support, and nothing of an engagement outlives it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from provisioning.desired import DesiredAccess, Support, desired_access
from workforce.access import SIGN_IN, Entitlement, EntitlementKind

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
STAFF, ENGINEERS = (Entitlement(EntitlementKind.GROUP, each) for each in ("staff", "engineers"))
INSTANTS = st.integers(min_value=-5, max_value=5).map(lambda days: NOON + days * DAY)
SUPPORTS = st.lists(
    st.builds(
        lambda number, start, end, held: Support(UUID(int=number), min(start, end), max(start, end), held),
        st.integers(min_value=1, max_value=9),
        INSTANTS,
        INSTANTS,
        st.frozensets(st.sampled_from([SIGN_IN, STAFF, ENGINEERS])),
    ),
    max_size=5,
)


def support(*held: Entitlement, starts_at: datetime = NOON - DAY, ends_at: datetime = NOON + DAY) -> Support:
    return Support(UUID(int=1), starts_at, ends_at, frozenset(held))


def test_nobody_should_have_anything_without_an_engagement() -> None:
    assert desired_access([], now=NOON) == DesiredAccess(frozenset(), None)


def test_two_engagements_give_what_either_gives_until_the_later_end() -> None:
    access = desired_access([support(SIGN_IN, STAFF), support(SIGN_IN, ENGINEERS, ends_at=NOON + 9 * DAY)], now=NOON)
    assert access == DesiredAccess(frozenset({SIGN_IN, STAFF, ENGINEERS}), NOON + 9 * DAY)


def test_before_the_start_everything_is_there_but_the_sign_in() -> None:
    early = desired_access([support(SIGN_IN, STAFF, starts_at=NOON + timedelta(seconds=1))], now=NOON)
    assert (early.enabled, early.entitlements) == (False, {STAFF})
    assert desired_access([support(SIGN_IN, STAFF, starts_at=NOON)], now=NOON).enabled


def test_at_the_end_instant_nothing_is_supported_although_no_ending_has_begun() -> None:
    assert desired_access([support(SIGN_IN, STAFF, ends_at=NOON)], now=NOON).entitlements == frozenset()


@given(SUPPORTS, INSTANTS)
def test_desired_access_is_exactly_what_some_standing_engagement_supports(supports: list[Support], now: datetime) -> None:
    access = desired_access(supports, now=now)
    for each in (STAFF, ENGINEERS):
        assert (each in access.entitlements) is any(each in s.entitlements and now < s.ends_at for s in supports)
    assert access.enabled is any(SIGN_IN in s.entitlements and s.starts_at <= now < s.ends_at for s in supports)
    assert all(s.ends_at <= access.expires_at for s in supports if s.entitlements and access.expires_at and now < s.ends_at)


@given(SUPPORTS, SUPPORTS, INSTANTS)
def test_another_engagement_never_takes_anything_away(supports: list[Support], more: list[Support], now: datetime) -> None:
    assert desired_access(supports, now=now).entitlements <= desired_access([*supports, *more], now=now).entitlements
