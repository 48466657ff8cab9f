"""Access reviews on the real ledger: who is asked when, what follows from silence, and what an answer does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.hub import Hub
from connectors.slack.sandbox import SlackSandbox
from connectors.suite.sandbox import Fault, FaultKind, serve
from connectors.wire.tls import TlsFiles
from flows.access import reviews
from ledger import engagements
from ledger.access import approvals, grants
from ledger.access import reviews as access_reviews
from ledger.access.reviews import Review
from ledger.database import Tx
from ledger.ending import endings
from ledger.queueing.jobs import JobName
from ledger.trail import audit
from tests.integration.company import Company
from tests.integration.ledger_cases import stored_engagement
from tests.tenant_documents import instance
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.attestation import Answer
from workforce.engagement import Engagement
from workforce.errors import HubError, NotFound
from workforce.events import Actor, ActorType
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

CLERK = Actor(ActorType.HUMAN, "ines", auth="cli")
SPONSOR = "charles@acme.example"
CHANNEL = "C012AB3CD"
A_GROUP = Entitlement(EntitlementKind.GROUP, "engineers")
PACKAGE = {
    "package": "data-engineer", "version": 1, "because": "They work on data.", "role": "Data Engineer",
    "directories": {"entra": {"groups": ["11111111-2222-3333-4444-555555555555"]}},
}  # fmt: skip
SUSPENDING = {"every_days": 90, "answer_within_days": 7, "unanswered": "suspend"}


@dataclass
class Reviewed:
    """A company that reviews access, with one engagement that has some, and what its channel was told."""

    company: Company
    slack: SlackSandbox
    engagement: Engagement
    hub: Hub

    def reviewed(self, **access: Any) -> None:
        """The policy is this from now on."""
        self.company.content["tenant.yaml"]["access"] = access
        self.hub = self.company.hub()

    def later(self, days: float) -> None:
        """So many days pass for everything that reviews go by."""
        with self.tx() as tx:
            tx.execute("UPDATE grants SET granted_at = granted_at - %(days)s", days=timedelta(days=days))
            tx.execute(
                """
                UPDATE access_reviews SET asked_at = asked_at - %(days)s, due_at = due_at - %(days)s, told_at = told_at - %(days)s,
                    answered_at = answered_at - %(days)s
                """,
                days=timedelta(days=days),
            )

    def due(self) -> list[Review]:
        """What waits once the worker has looked."""
        reviews.review_due(self.hub, "acme")
        with self.tx() as tx:
            return access_reviews.open_reviews(tx)

    def answer(self, said: Answer, *, by: str = SPONSOR, reason: str | None = "checked") -> None:
        with self.tx() as tx:
            config = self.hub.tenant("acme")
            reviews.answer_review(tx, config, self.engagement.id, said, by=by, reason=reason, actor=CLERK)

    def supported(self) -> set[Entitlement]:
        """What counts for the engagement's account."""
        with self.tx() as tx:
            found = grants.supports(tx, self.engagement.worker.id, "entra")
        return {each for _, entitlements in found for each in entitlements}

    def now(self) -> Engagement:
        return self.company.engagement(self.engagement.id)

    def messages(self) -> list[str]:
        return [str(message) for message in self.slack.messages.get(CHANNEL, [])]

    def tx(self) -> Any:
        return self.company.database.transaction("acme")


@pytest.fixture
def reviewed(company: Company, tls: TlsFiles, tmp_path: Path) -> Iterator[Reviewed]:
    slack = SlackSandbox()
    with serve(slack.app, tls) as url:
        company.content["connectors/slack.yaml"] = instance("slack", "slack", slack.settings(url, tls.ca), tmp_path / "secrets")
        company.content["tenant.yaml"]["notifications"] = {"instance": "slack", "to": [CHANNEL]}
        company.content["access/data-engineer.yaml"] = dict(PACKAGE)
        company.content["tenant.yaml"]["access"] = {"reviews": SUSPENDING}
        engagement = stored_engagement(company.database, active=True)
        with company.database.transaction("acme") as tx:
            engagements.pin_access(tx, engagement.id, {"data-engineer": 1})
            _give(tx, engagement)
        yield Reviewed(company, slack, engagement, company.hub())


def _give(tx: Tx, engagement: Engagement) -> None:
    reason = {"package": "data-engineer", "version": 1}
    grants.want(tx, engagement, "entra", {SIGN_IN: reason, A_GROUP: reason})
    grants.proven(tx, engagement.id, "entra", "account-1", [SIGN_IN, A_GROUP])


# Asking


def test_a_sponsor_is_asked_once_when_the_days_are_over_and_not_before(reviewed: Reviewed) -> None:
    reviewed.later(89)
    assert reviewed.due() == []
    reviewed.later(1)
    (review,) = reviewed.due()
    assert (review.sponsor, review.told_at is not None) == (SPONSOR, True)
    assert [each.id for each in reviewed.due()] == [review.id]
    (message,) = reviewed.messages()
    assert f"stint reviews answer {reviewed.engagement.id} keep --as {SPONSOR}" in message
    assert "Lovelace" not in message
    with reviewed.tx() as tx:
        assert len(audit.entries(tx, action="review.asked")) == 1


def test_without_a_policy_nobody_is_asked(reviewed: Reviewed) -> None:
    reviewed.reviewed()
    reviewed.later(1000)
    assert reviewed.due() == []


def test_an_engagement_that_was_given_nothing_yet_is_not_reviewed(reviewed: Reviewed) -> None:
    stored_engagement(reviewed.company.database, "WO-2", active=True)
    reviewed.later(90)
    assert [each.engagement_id for each in reviewed.due()] == [reviewed.engagement.id]


def test_a_sensitive_package_is_reviewed_twice_as_often(reviewed: Reviewed) -> None:
    sensitive = {**PACKAGE, "sensitive": True, "approvers": ["grace@acme.example"]}
    reviewed.company.content["access/data-engineer.yaml"] = sensitive
    reviewed.reviewed(reviews=SUSPENDING)
    reviewed.later(44)
    assert reviewed.due() == []
    reviewed.later(1)
    assert len(reviewed.due()) == 1


def test_whoever_has_left_is_not_asked_but_their_successor(reviewed: Reviewed) -> None:
    chain = {SPONSOR: "dora@acme.example", "dora@acme.example": "emma@acme.example"}
    reviewed.reviewed(reviews=SUSPENDING, sponsors={"successors": chain})
    reviewed.later(90)
    (review,) = reviewed.due()
    assert review.sponsor == "emma@acme.example"
    with pytest.raises(HubError) as raised:
        reviewed.answer(Answer.KEEP, by=SPONSOR)
    assert raised.value.cause == "not_asked"
    reviewed.answer(Answer.KEEP, by="Emma@acme.example")


# Answers


def test_what_is_kept_goes_on_until_the_days_are_over_again(reviewed: Reviewed) -> None:
    reviewed.later(90)
    assert len(reviewed.due()) == 1
    reviewed.answer(Answer.KEEP)
    assert reviewed.due() == []
    reviewed.later(89)
    assert reviewed.due() == []
    reviewed.later(1)
    assert len(reviewed.due()) == 1
    with reviewed.tx() as tx:
        (line,) = audit.entries(tx, action="review.answered")
    assert (line.event["actor"]["id"], line.event["details"]["answer"]) == ("ines", "keep")
    assert "charles" not in str(line.event)


def test_what_is_no_longer_needed_is_ended_with_the_leaver_in_the_same_transaction(reviewed: Reviewed) -> None:
    reviewed.later(90)
    reviewed.due()
    reviewed.answer(Answer.REMOVE)
    assert reviewed.now().state is EngagementState.ENDING
    assert reviewed.company.waiting() == [(JobName.LEAVER, {"engagement_id": str(reviewed.engagement.id)})]
    with reviewed.tx() as tx:
        ending = endings.current(tx, reviewed.engagement.id)
    assert ending is not None
    assert ending.cause == "review_removed"
    assert reviewed.due() == []


@pytest.mark.parametrize(
    ("said", "by", "reason", "cause"),
    [
        (Answer.KEEP, "mallory@acme.example", "please", "not_asked"),
        (Answer.REMOVE, SPONSOR, None, "no_reason"),
        (Answer.REMOVE, SPONSOR, "  ", "no_reason"),
    ],
)
def test_an_answer_that_does_not_count_changes_nothing(
    reviewed: Reviewed, said: Answer, by: str, reason: str | None, cause: str
) -> None:
    reviewed.later(90)
    reviewed.due()
    with pytest.raises(HubError) as raised:
        reviewed.answer(said, by=by, reason=reason)
    assert raised.value.cause == cause
    assert len(reviewed.due()) == 1


def test_nobody_attests_their_own_access(reviewed: Reviewed) -> None:
    contractor = reviewed.engagement.worker.profile.personal_email
    reviewed.reviewed(reviews=SUSPENDING, sponsors={"successors": {SPONSOR: contractor}})
    reviewed.later(90)
    reviewed.due()
    with pytest.raises(HubError) as raised:
        reviewed.answer(Answer.KEEP, by=contractor)
    assert raised.value.cause == "own_access"


def test_without_an_open_review_there_is_nothing_to_answer(reviewed: Reviewed) -> None:
    with pytest.raises(NotFound):
        reviewed.answer(Answer.KEEP)


# Silence


def test_silence_is_escalated_and_then_access_is_withheld(reviewed: Reviewed) -> None:
    reviewed.reviewed(reviews={**SUSPENDING, "escalate_to": "head@acme.example"})
    reviewed.later(90)
    reviewed.due()
    reviewed.later(7)
    (escalated,) = reviewed.due()
    assert (escalated.escalated_to, escalated.suspended_at) == ("head@acme.example", None)
    assert reviewed.supported() == {SIGN_IN, A_GROUP}
    assert len(reviewed.messages()) == 2
    reviewed.later(6)
    assert reviewed.due()[0].suspended_at is None
    reviewed.later(1)
    (withheld,) = reviewed.due()
    assert withheld.suspended_at is not None
    assert (reviewed.supported(), reviewed.now().suspended_at is not None) == (set(), True)
    assert reviewed.company.waiting() == [(JobName.JOINER, {"engagement_id": str(reviewed.engagement.id)})]
    reviewed.due()
    with reviewed.tx() as tx:
        assert len(audit.entries(tx, action="engagement.suspended")) == 1


def test_an_answer_gives_back_exactly_what_was_withheld(reviewed: Reviewed) -> None:
    _withhold(reviewed)
    reviewed.answer(Answer.KEEP, by=SPONSOR)
    assert (reviewed.supported(), reviewed.now().suspended_at) == ({SIGN_IN, A_GROUP}, None)
    assert reviewed.company.waiting() == [(JobName.JOINER, {"engagement_id": str(reviewed.engagement.id)})]
    with reviewed.tx() as tx:
        reasons = {str(grant.reason["package"]) for grant in grants.wanted_of(tx, reviewed.engagement.id)}
    assert reasons == {"data-engineer"}


def test_an_ending_of_what_was_withheld_can_be_taken_back_with_all_of_it(reviewed: Reviewed) -> None:
    _withhold(reviewed)
    reviewed.answer(Answer.REMOVE)
    assert reviewed.supported() == set()
    with reviewed.tx() as tx:
        endings.rescind(tx, reviewed.engagement.id, reviewed.engagement.terms, CLERK, reason="a mistake")
    assert reviewed.supported() == {SIGN_IN, A_GROUP}
    with reviewed.tx() as tx:
        grants.proven(tx, reviewed.engagement.id, "entra", "account-1", [SIGN_IN, A_GROUP])
    assert len(reviewed.due()) == 1, "nobody has attested it yet"


def test_where_the_policy_only_escalates_access_goes_on(reviewed: Reviewed) -> None:
    reviewed.reviewed(reviews={**SUSPENDING, "unanswered": "escalate"})
    _withhold(reviewed)
    assert (reviewed.supported(), len(reviewed.due())) == ({SIGN_IN, A_GROUP}, 1)


def test_nobody_is_late_before_they_were_told(reviewed: Reviewed) -> None:
    reviewed.slack.faults.plan(Fault(FaultKind.THROTTLED_BARE_BEFORE, "POST", "chat.postMessage"))
    reviewed.later(90)
    (untold,) = reviewed.due()
    assert untold.told_at is None
    reviewed.later(8)
    (told,) = reviewed.due()
    assert (told.told_at is not None, told.escalated_at) == (True, None)
    reviewed.later(6)
    assert reviewed.due()[0].escalated_at is None


def test_what_cannot_be_told_is_shown_and_keeps_no_other_back(reviewed: Reviewed) -> None:
    reviewed.slack.joined.clear()
    second = stored_engagement(reviewed.company.database, "WO-2", active=True)
    with reviewed.tx() as tx:
        _give(tx, second)
    reviewed.later(90)
    assert [review.told_at for review in reviewed.due()] == [None, None]
    assert {failure.engagement_id for failure in reviewed.company.failures()} == {reviewed.engagement.id, second.id}
    reviewed.slack.joined.add(CHANNEL)
    assert all(review.told_at for review in reviewed.due())
    assert reviewed.company.failures() == []


def test_approvers_are_told_once_of_what_waits_for_them(reviewed: Reviewed) -> None:
    reviewed.company.content["access/data-engineer.yaml"] = {**PACKAGE, "approvers": ["grace@acme.example"]}
    reviewed.reviewed()
    with reviewed.tx() as tx:
        approvals.ask(tx, reviewed.engagement.id, "data-engineer", 1)
    for _ in range(2):
        reviewed.due()
    (message,) = reviewed.messages()
    assert f"stint access approve {reviewed.engagement.id} --package data-engineer --as grace@acme.example" in message


def _withhold(reviewed: Reviewed) -> None:
    """Nobody answers, for as long as it takes."""
    for days in (90, 7, 7):
        reviewed.later(days)
        reviewed.due()
