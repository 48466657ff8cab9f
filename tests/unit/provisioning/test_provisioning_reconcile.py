"""What an account shows, held against what should be: each deviation by its name, and nothing that is being done already."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from provisioning.desired import Support
from provisioning.policies import Drift, ReconciliationPolicy
from provisioning.reconcile import Evidence, Expected, Mend, Trigger, account_missing, classify, mend_of
from workforce.access import SIGN_IN, AccountState, Entitlement, EntitlementKind, LastChange

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
END = datetime(2027, 3, 1, tzinfo=UTC)
WORKER, ENGAGEMENT = UUID(int=1), UUID(int=2)
MARKER = "ST0123456789ABC"
CHAT, CODE = (Entitlement(EntitlementKind.GROUP, name) for name in ("chat", "code"))
OFFICE = Entitlement(EntitlementKind.LICENCE, "office")
CAREFUL = ReconciliationPolicy()


def an_account(**difference: Any) -> AccountState:
    usual = AccountState("a-1", "ada", MARKER, enabled=True, groups=frozenset({"chat"}), expires_at=END)
    return replace(usual, **difference)


def expected(*, entitlements: frozenset[Entitlement] = frozenset({SIGN_IN, CHAT}), **difference: Any) -> Expected:
    support = Support(ENGAGEMENT, NOW - timedelta(days=30), END, entitlements)
    usual = Expected(WORKER, MARKER, "a-1", (support,), entitlements, entitlements, owner=ENGAGEMENT, has_standing=True)
    return replace(usual, **difference)


def over(**difference: Any) -> Expected:
    """Whose only engagement ended a day ago."""
    ended = {
        "supports": (),
        "proven": frozenset(),
        "ending": ENGAGEMENT,
        "ending_since": NOW - timedelta(days=1),
        "has_standing": False,
    }
    return expected(**{**ended, **difference})


def found(account: AccountState, person: Expected | None, evidence: Evidence | None = None) -> list[tuple[Drift, str]]:
    return [(each.drift, each.subject) for each in classify(account, person, CAREFUL, now=NOW, evidence=evidence)]


def test_what_is_as_it_should_be_is_nothing() -> None:
    assert found(an_account(), expected()) == []


@pytest.mark.parametrize(
    ("account", "person", "result"),
    [
        (an_account(groups=frozenset()), expected(), [(Drift.MISSING, "group chat")]),
        (an_account(groups=frozenset({"chat", "code"})), expected(), [(Drift.EXTRA, "group code")]),
        (an_account(enabled=False), expected(), [(Drift.CHANGED, "sign_in")]),
        (an_account(expires_at=END + timedelta(days=9)), expected(), [(Drift.CHANGED, "expiry")]),
        (an_account(expires_at=None), expected(), [(Drift.CHANGED, "expiry")]),
        (an_account(marker=None), expected(), [(Drift.CHANGED, "marker")]),
        (an_account(last_sign_in=NOW - timedelta(days=46)), expected(), [(Drift.DORMANT, "sign_in")]),
        (an_account(groups=frozenset()), over(), [(Drift.TOMBSTONED_ENABLED, "sign_in")]),
        (an_account(), None, [(Drift.ORPHAN, "account")]),
        (an_account(marker=None), None, []),
        (an_account(marker=None, managed=True), None, [(Drift.ORPHAN, "account")]),
        (an_account(managed=True), None, [(Drift.ORPHAN, "account")]),
        (an_account(managed=True), expected(), []),
        (an_account(account_id="a-2"), expected(), [(Drift.ORPHAN, "second account")]),
        (an_account(enabled=False, groups=frozenset(), expires_at=None), over(), []),
        (an_account(enabled=False), over(), [(Drift.EXTRA, "group chat")]),
        (an_account(keeps_expiry=False, expires_at=None), expected(), []),
        (an_account(last_sign_in=NOW - timedelta(days=44)), expected(), []),
    ],
)
def test_each_deviation_has_its_name(account: AccountState, person: Expected | None, result: list[tuple[Drift, str]]) -> None:
    assert found(account, person) == result


def test_a_sign_in_that_works_before_the_start_or_while_suspended_is_unexpected() -> None:
    later = Support(ENGAGEMENT, NOW + timedelta(days=3), END, frozenset({SIGN_IN, CHAT}))
    assert found(an_account(), expected(supports=(later,))) == [(Drift.UNEXPECTED_ENABLED, "sign_in")]
    assert found(an_account(groups=frozenset()), expected(supports=())) == [(Drift.UNEXPECTED_ENABLED, "sign_in")]


@pytest.mark.parametrize("trigger", Trigger)
def test_an_account_without_any_engagement_says_which_event_was_most_likely_missed(trigger: Trigger) -> None:
    (one,) = classify(an_account(groups=frozenset()), over(ending=None, trigger=trigger), CAREFUL, now=NOW)
    assert (one.drift, one.details["likely"]) == (Drift.ORPHAN, trigger.value)


def test_what_is_being_given_or_taken_just_now_is_no_drift() -> None:
    person = expected(under_way=frozenset({CHAT, CODE, SIGN_IN}))
    assert found(an_account(enabled=False, groups=frozenset({"code"})), person) == []
    assert found(an_account(), over(ending_since=NOW, under_way=frozenset({CHAT}))) == []


def test_a_licence_that_comes_through_a_group_is_never_too_much() -> None:
    assert found(an_account(inherited_licences=frozenset({"office"})), expected()) == []
    assert found(an_account(licences=frozenset({"office"})), expected()) == [(Drift.EXTRA, "licence office")]
    both = expected(entitlements=frozenset({SIGN_IN, CHAT, OFFICE}))
    assert found(an_account(inherited_licences=frozenset({"office"})), both) == []


def test_who_changed_it_is_told_where_the_directory_tells_and_otherwise_that_it_does_not() -> None:
    told = Evidence(last_change=LastChange("cn=admin", NOW), tells_who=True)
    (one,) = classify(an_account(enabled=False), expected(), CAREFUL, now=NOW, evidence=told)
    assert (one.drift, one.details["by"]) == (Drift.CHANGED_BY_HAND, "cn=admin")
    (other,) = classify(an_account(enabled=False), expected(), CAREFUL, now=NOW, evidence=Evidence())
    assert (other.drift, other.details["by"], other.details["why"]) == (
        Drift.CHANGED_BY_HAND,
        None,
        "the directory does not tell",
    )


def test_where_the_directory_tells_no_name_the_instant_is_told_alone() -> None:
    told = Evidence(last_change=LastChange(None, NOW), tells_who=True)
    (one,) = classify(an_account(enabled=False), expected(), CAREFUL, now=NOW, evidence=told)
    assert (one.details["by"], one.details["at"], one.details["why"]) == (None, NOW.isoformat(), "the directory does not tell")


def test_our_own_change_is_nobodys_hand() -> None:
    (one,) = classify(an_account(enabled=False), expected(), CAREFUL, now=NOW, evidence=Evidence(tells_who=True))
    assert (one.details["by"], one.details["why"]) == (None, "the last change was not a hand's, or is not kept")


@pytest.mark.parametrize("marker", [MARKER, None])
def test_an_orphan_without_our_marker_was_made_by_somebody_else_and_is_never_mended(marker: str | None) -> None:
    (one,) = classify(an_account(marker=marker, managed=True), None, CAREFUL, now=NOW)
    assert one.details["likely"] == (Trigger.NO_START if marker else Trigger.MADE_ELSEWHERE)
    assert mend_of(one.drift, ReconciliationPolicy(mend=frozenset(Drift) & {Drift.MISSING, Drift.EXTRA, Drift.CHANGED})) is None


@pytest.mark.parametrize(
    ("written", "drift"), [(None, Drift.CHANGED_BY_HAND), (END, Drift.CHANGED_BY_HAND), (END - timedelta(days=30), Drift.CHANGED)]
)
def test_an_expiry_that_we_wrote_otherwise_was_changed_by_nobodys_hand(written: datetime | None, drift: Drift) -> None:
    evidence = Evidence(expiry_written=written)
    assert found(an_account(expires_at=END - timedelta(days=30)), expected(), evidence) == [(drift, "expiry")]


def test_attributes_that_show_something_else_than_we_wrote_are_named_without_their_values() -> None:
    (one,) = classify(an_account(), expected(), CAREFUL, now=NOW, evidence=Evidence(attributes=("title",)))
    assert (one.drift, one.subject) == (Drift.CHANGED_BY_HAND, "title")
    assert set(one.details) == {"by", "why"}


def test_an_account_that_is_not_there_is_missing_unless_it_need_not_be() -> None:
    (missing,) = filter(None, [account_missing(expected(), now=NOW)])
    assert (missing.drift, missing.subject, missing.worker_id) == (Drift.MISSING, "account", WORKER)
    assert account_missing(over(), now=NOW) is None
    assert account_missing(expected(under_way=frozenset({SIGN_IN})), now=NOW) is None
    assert account_missing(expected(entitlements=frozenset({CHAT})), now=NOW) is None


@pytest.mark.parametrize("drift", Drift)
def test_nothing_but_the_tombstoned_is_mended_unless_the_policy_says_so_and_orphans_never_are(drift: Drift) -> None:
    nothing, everything = ReconciliationPolicy(mend=frozenset()), ReconciliationPolicy(mend=frozenset(Drift))
    assert (mend_of(drift, nothing) is Mend.LEAVE) is (drift is Drift.TOMBSTONED_ENABLED)
    assert (mend_of(drift, nothing) is None) is (drift is not Drift.TOMBSTONED_ENABLED)
    assert (mend_of(drift, everything) is None) is (drift in {Drift.ORPHAN, Drift.DORMANT})
