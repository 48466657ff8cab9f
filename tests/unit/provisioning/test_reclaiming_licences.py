from __future__ import annotations

from dataclasses import replace

import pytest

from provisioning.licences import ALL_LICENCES, may_reclaim, require_subject
from provisioning.policies import EndingPolicy
from workforce.access import AccountState
from workforce.errors import Refused

SKU = "6fd2c87f-b296-42f0-b197-1e91e994b900"
LEAVER = AccountState("a-1", "ada", "stint-1", enabled=False, licences=frozenset({SKU}))


def test_a_licence_goes_once_nothing_stands_against_it() -> None:
    assert may_reclaim(SKU, policy=EndingPolicy(), on_hold=False, evidence=()).may


@pytest.mark.parametrize("evidence", [(), (ALL_LICENCES,)])
def test_a_hold_keeps_a_licence_whatever_else_is_said(evidence: tuple[str, ...]) -> None:
    verdict = may_reclaim(SKU, policy=EndingPolicy(), on_hold=True, evidence=evidence)
    assert (verdict.may, verdict.cause) == (False, "legal_hold")


def test_a_company_may_keep_its_licences_where_they_are() -> None:
    verdict = may_reclaim(SKU, policy=EndingPolicy(reclaim_licences=False), on_hold=False, evidence=())
    assert (verdict.may, verdict.cause) == (False, "policy")
    assert "access.endings.reclaim_licences" in verdict.why


@pytest.mark.parametrize(
    ("evidence", "may"), [((), False), (("badge",), False), ((SKU.upper(),), True), (("Licences",), True), (("another",), False)]
)
def test_where_a_person_has_to_say_what_became_of_it_only_that_is_enough(evidence: tuple[str, ...], may: bool) -> None:
    policy = EndingPolicy(reclaim_needs_evidence=True)
    verdict = may_reclaim(SKU, policy=policy, on_hold=False, evidence=evidence)
    assert (verdict.may, verdict.cause) == (may, "" if may else "no_evidence")


def test_a_licence_is_taken_from_the_blocked_account_of_its_worker() -> None:
    require_subject(LEAVER, marker="stint-1", known_ids={"a-1"}, signs_in=False)


def test_a_licence_is_taken_from_an_account_that_goes_on_for_another_engagement() -> None:
    require_subject(replace(LEAVER, enabled=True), marker="stint-1", known_ids={"a-1"}, signs_in=True)


@pytest.mark.parametrize(
    ("account", "known_ids", "cause"),
    [
        (replace(LEAVER, enabled=True), {"a-1"}, "not_blocked"),
        (replace(LEAVER, marker="stint-2"), {"a-1"}, "namesake"),
        (replace(LEAVER, marker=None), {"a-1"}, "namesake"),
        (replace(LEAVER, protected=True), {"a-1"}, "protected_account"),
        (LEAVER, {"a-2"}, "unknown_account"),
        (LEAVER, set(), "unknown_account"),
    ],
)
def test_of_any_other_account_no_licence_is_taken(account: AccountState, known_ids: set[str], cause: str) -> None:
    with pytest.raises(Refused) as refusal:
        require_subject(account, marker="stint-1", known_ids=known_ids, signs_in=False)
    assert refusal.value.cause == cause
