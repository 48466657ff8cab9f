"""The plan is desired minus actual, and nothing is planned for an account that is not ours to touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.guards import require_touchable
from provisioning.plan import Change, plan_access, plan_removal
from workforce.access import SIGN_IN, AccountState, DesiredAccount, Entitlement, EntitlementKind
from workforce.effects import EffectKind
from workforce.errors import Refused

END = datetime(2026, 12, 1, tzinfo=UTC)
MARKER = "ST0123456789ABC"
GROUPS = st.frozensets(st.sampled_from(["a", "b", "c", "d"]))
K = EffectKind


def desired(groups: frozenset[str] = frozenset({"a", "b"}), *, enabled: bool = True) -> DesiredAccount:
    return DesiredAccount(MARKER, "ada.lovelace", {}, groups, END, enabled=enabled)


def in_groups(groups: Iterable[str]) -> frozenset[Entitlement]:
    return frozenset(Entitlement(EntitlementKind.GROUP, each) for each in groups)


def actual(
    *,
    marker: str | None = MARKER,
    enabled: bool = True,
    groups: frozenset[str] = frozenset(),
    expires_at: datetime | None = END,
    protected: bool = False,
    keeps_expiry: bool = True,
) -> AccountState:
    return AccountState(
        "id-1", "ada.lovelace", marker, enabled, groups, expires_at, keeps_expiry=keeps_expiry, protected=protected
    )


def carried_out(account: AccountState, changes: list[Change]) -> AccountState:
    """What ``account`` is once ``changes`` are made."""
    details: Mapping[EffectKind, set[str]] = {kind: {c.detail for c in changes if c.kind is kind} for kind in EffectKind}
    expiry = [datetime.fromisoformat(text) for text in details[K.SET_EXPIRY]]
    return actual(
        enabled=(account.enabled and not details[K.DISABLE_ACCOUNT]) or bool(details[K.ENABLE_ACCOUNT]),
        groups=(account.groups | details[K.ADD_MEMBER]) - details[K.REMOVE_MEMBER],
        expires_at=expiry[0] if expiry else account.expires_at,
    )


def test_expiry_comes_before_sign_in_and_sign_in_before_groups() -> None:
    plan = plan_access(desired(), actual(enabled=False, expires_at=None))
    assert plan == [
        Change(K.SET_EXPIRY, END.isoformat()),
        Change(K.ENABLE_ACCOUNT),
        Change(K.ADD_MEMBER, "a"),
        Change(K.ADD_MEMBER, "b"),
    ]


def test_no_expiry_is_planned_where_the_directory_holds_none() -> None:
    assert plan_access(desired(), actual(expires_at=None, keeps_expiry=False, groups=desired().groups)) == []


def test_nothing_is_planned_for_an_account_that_is_as_desired() -> None:
    assert plan_access(desired(), actual(groups=frozenset({"a", "b"}))) == []


def test_groups_that_nobody_asked_for_are_left_alone() -> None:
    assert plan_access(desired(), actual(groups=frozenset({"a", "b", "choir"}))) == []


def test_only_what_the_engagement_gave_is_removed() -> None:
    plan = plan_removal(actual(groups=frozenset({"a", "choir"})), marker=MARKER, gone=in_groups("ab"))
    assert plan == [Change(K.REMOVE_MEMBER, "a")]


@given(GROUPS, GROUPS, GROUPS, st.booleans(), st.booleans(), st.sampled_from([None, END, END - timedelta(days=1)]))
def test_a_plan_that_was_carried_out_leaves_nothing_to_plan(
    wanted: frozenset[str], held: frozenset[str], given: frozenset[str], enabled: bool, open_: bool, expires_at: datetime | None
) -> None:
    account = actual(enabled=enabled, groups=held, expires_at=expires_at)
    after = carried_out(account, plan_access(desired(wanted, enabled=open_), account, given=in_groups(given)))
    assert plan_access(desired(wanted, enabled=open_), after, given=in_groups(given)) == []
    assert after.groups == wanted | (held - given)
    assert after.enabled is open_


def test_what_goes_goes_before_sign_in_opens_and_what_comes_comes_after() -> None:
    plan = plan_access(desired(frozenset({"b"})), actual(enabled=False, groups=frozenset({"a"})), given=in_groups("a"))
    assert plan == [Change(K.REMOVE_MEMBER, "a"), Change(K.ENABLE_ACCOUNT), Change(K.ADD_MEMBER, "b")]


def test_an_account_that_shall_be_closed_is_blocked_and_signed_out() -> None:
    assert plan_access(desired(frozenset(), enabled=False), actual()) == [Change(K.DISABLE_ACCOUNT), Change(K.REVOKE_SESSIONS)]


def test_licences_and_roles_are_given_and_taken_like_groups() -> None:
    wanted = replace(desired(frozenset()), licences=frozenset({"E5"}), app_roles=frozenset({"1/2"}))
    assert plan_access(wanted, actual()) == [Change(K.ASSIGN_LICENCE, "E5"), Change(K.ASSIGN_APP_ROLE, "1/2")]
    held = replace(actual(), licences=frozenset({"E5"}), app_roles=frozenset({"1/2"}))
    assert plan_removal(held, marker=MARKER, gone=wanted.entitlements) == [
        Change(K.REMOVE_APP_ROLE, "1/2"),
        Change(K.RECLAIM_LICENCE, "E5"),
    ]


def test_a_licence_that_comes_through_a_group_counts_as_held_and_is_not_taken_from_the_account() -> None:
    inherited = replace(actual(), inherited_licences=frozenset({"E5"}))
    wanted = replace(desired(frozenset()), licences=frozenset({"E5"}))
    assert plan_access(wanted, inherited) == []
    assert plan_removal(inherited, marker=MARKER, gone=wanted.entitlements) == []


def test_the_sign_in_itself_is_not_a_matter_of_removal() -> None:
    assert plan_removal(actual(), marker=MARKER, gone={SIGN_IN}) == []


@given(GROUPS, GROUPS)
def test_a_removal_that_was_carried_out_leaves_nothing_of_the_engagement(entitled: frozenset[str], held: frozenset[str]) -> None:
    account = actual(groups=held)
    after = carried_out(account, plan_removal(account, marker=MARKER, gone=in_groups(entitled)))
    assert after.groups == held - entitled


def test_a_protected_account_is_not_touched_even_with_our_marker() -> None:
    with pytest.raises(Refused) as raised:
        require_touchable(actual(protected=True), marker=MARKER)
    assert raised.value.cause == "protected_account"


@pytest.mark.parametrize("marker", [None, "", "ST0000000000000"])
def test_an_account_without_the_workers_marker_is_a_namesake(marker: str | None) -> None:
    with pytest.raises(Refused) as raised:
        require_touchable(actual(marker=marker), marker=MARKER)
    assert (raised.value.cause, raised.value.field) == ("namesake", "account_id")


def test_no_plan_is_made_for_an_account_that_is_not_ours() -> None:
    with pytest.raises(Refused):
        plan_access(desired(), actual(marker=None))
    with pytest.raises(Refused):
        plan_removal(actual(protected=True), marker=MARKER, gone=in_groups("a"))
