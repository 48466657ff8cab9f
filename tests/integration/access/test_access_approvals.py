"""Approvals of access packages on the real ledger: who may decide, and what an engagement may be given."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ledger import engagements
from ledger.access import approvals, grants
from ledger.access.approvals import ApprovalState, Decision
from ledger.database import Database, Tx
from ledger.identity import identities
from ledger.trail import audit
from tests.integration.ledger_cases import a_work_order, stored_engagement
from workforce.access import Entitlement, EntitlementKind
from workforce.engagement import Engagement
from workforce.errors import NotFound, Refused
from workforce.events import Actor, ActorType

pytestmark = pytest.mark.integration

CLERK = Actor(ActorType.HUMAN, "ines", auth="cli")
APPROVER = "grace@acme.example"
SPONSOR = "charles@acme.example"


@dataclass(frozen=True)
class APackage:
    package: str = "production"
    version: int = 1
    approvers: tuple[str, ...] = (APPROVER, SPONSOR, "ada@example.org", "ada.lovelace@acme.example")


FREE = APackage("mail", approvers=())


def decide(tx: Tx, engagement: Engagement, *, approved: bool = True, by: str = APPROVER, reason: str | None = None) -> None:
    decision = Decision(engagement.id, "production", 1, approved, by, reason)
    approvals.decide(tx, decision, approvers=APackage().approvers, email_domain="acme.example", actor=CLERK)


@pytest.fixture
def asked(database: Database) -> Engagement:
    """An engagement for which the package was asked for."""
    order = a_work_order(worker={"personal_email": "ada@example.org"})
    with database.transaction("acme") as tx:
        engagement, _ = engagements.upsert_work_order(tx, "fieldglass", order, "2026-11-20")
        assert approvals.granted(tx, engagement.id, [APackage(), FREE]) == [FREE]
        identities.reserve_login(tx, engagement.worker.id, ["ada.lovelace"])
    return engagement


def test_a_package_with_approvers_is_asked_for_once_and_given_only_when_approved(database: Database, asked: Engagement) -> None:
    with database.transaction("acme") as tx:
        assert approvals.granted(tx, asked.id, [APackage(), FREE]) == [FREE]
        assert [(each.package, each.state) for each in approvals.waiting(tx)] == [("production", ApprovalState.WAITING)]
        decide(tx, asked, by="Grace@ACME.example")
        assert approvals.granted(tx, asked.id, [APackage(), FREE]) == [APackage(), FREE]
        assert approvals.waiting(tx) == []
    with database.transaction("acme") as tx:
        assert len(audit.entries(tx, action="approval.asked")) == 1
        (line,) = audit.entries(tx, action="approval.approved")
        told = approvals.reason(tx, asked.id, APackage())
    assert line.event["actor"]["id"] == "ines"
    assert "grace" not in str(line.event).casefold()  # addresses stay out of the trail; the digest tells whose it was
    assert told["approved_by"] == "Grace@ACME.example"


def test_another_version_is_asked_for_anew(database: Database, asked: Engagement) -> None:
    with database.transaction("acme") as tx:
        decide(tx, asked)
        assert approvals.granted(tx, asked.id, [APackage(version=2)]) == []
        assert [(each.version, each.state) for each in approvals.waiting(tx)] == [(2, ApprovalState.WAITING)]


def test_whoever_only_looks_asks_nobody(database: Database) -> None:
    engagement = stored_engagement(database)
    with database.transaction("acme") as tx:
        assert approvals.may_be_given(tx, engagement.id, [APackage(), FREE]) == [FREE]
        assert approvals.state(tx, engagement.id) == []


@pytest.mark.parametrize(
    ("by", "cause"),
    [
        ("mallory@acme.example", "not_an_approver"),
        (SPONSOR, "own_request"),
        ("ADA@example.org", "own_request"),
        ("ada.lovelace@acme.example", "own_request"),
    ],
)
def test_nobody_decides_who_is_no_approver_asked_for_the_engagement_or_would_get_the_access(
    database: Database, asked: Engagement, by: str, cause: str
) -> None:
    with pytest.raises(Refused) as raised, database.transaction("acme") as tx:
        decide(tx, asked, by=by)
    assert raised.value.cause == cause
    with database.transaction("acme") as tx:
        assert approvals.granted(tx, asked.id, [APackage()]) == []


@pytest.mark.parametrize("reason", [None, " "])
def test_declining_needs_a_reason(database: Database, asked: Engagement, reason: str | None) -> None:
    with pytest.raises(Refused) as raised, database.transaction("acme") as tx:
        decide(tx, asked, approved=False, reason=reason)
    assert raised.value.cause == "no_reason"


def test_an_approval_can_be_taken_back_and_each_decision_is_audited_once(database: Database, asked: Engagement) -> None:
    with database.transaction("acme") as tx:
        decide(tx, asked)
        decide(tx, asked)
        decide(tx, asked, approved=False, reason="no longer on call")
        assert approvals.granted(tx, asked.id, [APackage()]) == []
    with database.transaction("acme") as tx:
        assert len(audit.entries(tx, action="approval.approved")) == 1
        (line,) = audit.entries(tx, action="approval.declined")
        (known,) = approvals.state(tx, asked.id)
    assert line.event["details"]["was"] == "approved"
    assert known.reason == "no longer on call"


def test_what_an_approval_gave_is_wanted_no_more_once_it_is_taken_back_and_the_rest_stays(
    database: Database, asked: Engagement
) -> None:
    group, other = (Entitlement(EntitlementKind.GROUP, each) for each in ("production", "mail"))
    with database.transaction("acme") as tx:
        decide(tx, asked)
        reasons = {group: approvals.reason(tx, asked.id, APackage()), other: approvals.reason(tx, asked.id, FREE)}
        grants.want(tx, asked, "entra", reasons)
        decide(tx, asked, approved=False, reason="no longer on call")
        assert [grant.entitlement for grant in grants.wanted_of(tx, asked.id)] == [other]
        (gone,) = grants.to_revoke(tx, asked.id)
    assert (gone.entitlement, gone.unwanted_because) == (group, "approval_withdrawn")


def test_what_was_never_asked_for_cannot_be_approved(database: Database) -> None:
    engagement = stored_engagement(database)
    with pytest.raises(NotFound), database.transaction("acme") as tx:
        decide(tx, engagement)


def test_once_the_ending_has_begun_there_is_nothing_to_approve(database: Database, asked: Engagement) -> None:
    with database.transaction("acme") as tx:
        engagements.begin_ending(tx, asked.id, "test")
        assert approvals.waiting(tx) == []
    with pytest.raises(Refused) as raised, database.transaction("acme") as tx:
        decide(tx, asked)
    assert raised.value.cause == "ending"


def test_a_version_that_is_asked_for_instead_leaves_no_question_open_about_the_other(
    database: Database, asked: Engagement
) -> None:
    with database.transaction("acme") as tx:
        approvals.withdraw_others(tx, asked.id, "production", 2)
        approvals.ask(tx, asked.id, "production", 2)
        assert [each.version for each in approvals.waiting(tx)] == [2]
        assert not approvals.ask(tx, asked.id, "production", 1)
        assert approvals.ask(tx, asked.id, "production", 1, again=True)
        assert [each.version for each in approvals.waiting(tx)] == [2, 1]
