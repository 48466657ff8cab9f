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
from ledger.identity.people import address_digest
from ledger.queueing.jobs import JobName
from ledger.trail import audit
from tests.integration.company import Company
from tests.integration.ledger_cases import stored_engagement
from tests.tenant_documents import instance
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.attestation import Answer
from workforce.engagement import Engagement
from workforce.errors import HubError, Misconfigured, NotFound
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
                    reminded_at = reminded_at - %(days)s, answered_at = answered_at - %(days)s
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


# Reminders


def test_who_does_not_answer_is_reminded_once_on_the_day_and_has_no_more_time_for_it(reviewed: Reviewed) -> None:
    _asked(reviewed, remind_after_days=3)
    reviewed.later(2)
    assert [review.reminded_at for review in reviewed.due()] == [None]
    reviewed.later(1)
    with reviewed.tx() as tx:
        (before,) = access_reviews.open_reviews(tx)
    (review,) = reviewed.due()
    assert review.reminded_at is not None
    assert (review.told_at, review.due_at) == (before.told_at, before.due_at)
    for days in (0, 1, 2):
        reviewed.later(days)
        reviewed.due()
    asked, reminder = reviewed.messages()
    assert "reminder: does WO-1 still need its access?" in reminder
    assert f"Without an answer until {review.due_at:%Y-%m-%d %H:%M} UTC this is escalated." in reminder
    assert f"stint reviews answer {reviewed.engagement.id} keep --as {SPONSOR}" in reminder
    assert "Lovelace" not in reminder
    assert "reminder" not in asked
    reviewed.later(1)
    assert reviewed.due()[0].escalated_at is not None


def test_a_reminder_is_audited_without_addresses(reviewed: Reviewed) -> None:
    _asked(reviewed, remind_after_days=3)
    reviewed.later(3)
    (review,) = reviewed.due()
    with reviewed.tx() as tx:
        (line,) = audit.entries(tx, action="review.reminded")
    assert line.event["details"] == {"review_id": str(review.id), "asked_sha256": [address_digest(SPONSOR)]}
    assert "charles" not in str(line.event)


def test_by_default_a_reminder_comes_after_half_the_time_to_answer(reviewed: Reviewed) -> None:
    _asked(reviewed, answer_within_days=1)
    reviewed.later(0.25)
    reviewed.due()
    assert len(reviewed.messages()) == 1
    reviewed.later(0.25)
    reviewed.due()
    assert len(reviewed.messages()) == 2


def test_what_is_answered_or_over_needs_no_reminder(reviewed: Reviewed) -> None:
    second = stored_engagement(reviewed.company.database, "WO-2", active=True)
    with reviewed.tx() as tx:
        _give(tx, second)
    _asked(reviewed)
    assert len(reviewed.messages()) == 2
    reviewed.answer(Answer.KEEP)
    reviewed.company.end(second.id)
    reviewed.later(6)
    assert reviewed.due() == []
    assert len(reviewed.messages()) == 2
    assert _reminders(reviewed) == 0


def test_whom_it_was_escalated_to_is_reminded_once_as_well(reviewed: Reviewed) -> None:
    _asked(reviewed, escalate_to="head@acme.example")
    reviewed.later(4)
    reviewed.due()
    reviewed.later(3)
    (escalated,) = reviewed.due()
    assert (escalated.escalated_to, escalated.reminded_at) == ("head@acme.example", None)
    for _ in range(2):
        reviewed.later(3)
        reviewed.due()
    *_, message = reviewed.messages()
    assert "reminder" in message
    assert f"Asked: {SPONSOR}, head@acme.example." in message
    assert "its access is withheld" in message
    assert (len(reviewed.messages()), _reminders(reviewed)) == (4, 2)
    reviewed.later(1)
    assert reviewed.due()[0].suspended_at is not None


def test_a_reminder_that_comes_too_late_gives_way_to_what_follows(reviewed: Reviewed) -> None:
    reviewed.reviewed(reviews={**SUSPENDING, "unanswered": "escalate"})
    _withhold(reviewed)
    reviewed.later(7)
    reviewed.due()
    assert (len(reviewed.messages()), _reminders(reviewed)) == (2, 0)


def test_a_reminder_that_cannot_be_sent_is_tried_again_and_keeps_nothing_back(reviewed: Reviewed) -> None:
    _asked(reviewed)
    second = stored_engagement(reviewed.company.database, "WO-2", active=True)
    with reviewed.tx() as tx:
        _give(tx, second)
    reviewed.later(4)
    with reviewed.tx() as tx:
        tx.execute("UPDATE grants SET granted_at = granted_at - interval '90 days' WHERE engagement_id = %(id)s", id=second.id)
    reviewed.slack.faults.plan(Fault(FaultKind.THROTTLED_BARE_BEFORE, "POST", "chat.postMessage"))
    first_round = {review.engagement_id: review for review in reviewed.due()}
    assert first_round[reviewed.engagement.id].reminded_at is None
    assert first_round[second.id].told_at is not None
    assert _reminders(reviewed) == 0
    for _ in range(2):
        reviewed.due()
    assert [("WO-1" in message, "reminder" in message) for message in reviewed.messages()] == [
        (True, False), (False, False), (True, True),
    ]  # fmt: skip
    assert _reminders(reviewed) == 1


def test_a_reminder_that_a_person_has_to_make_possible_is_shown_until_it_is_sent(reviewed: Reviewed) -> None:
    _asked(reviewed)
    reviewed.slack.joined.clear()
    reviewed.later(4)
    assert [review.reminded_at for review in reviewed.due()] == [None]
    assert [failure.engagement_id for failure in reviewed.company.failures()] == [reviewed.engagement.id]
    reviewed.slack.joined.add(CHANNEL)
    assert all(review.reminded_at for review in reviewed.due())
    assert reviewed.company.failures() == []


def test_a_reminder_that_was_sent_but_not_noted_is_not_sent_again(reviewed: Reviewed) -> None:
    _asked(reviewed)
    reviewed.later(4)
    reviewed.due()
    with reviewed.tx() as tx:
        tx.execute("UPDATE access_reviews SET reminded_at = NULL")
    assert all(review.reminded_at for review in reviewed.due())
    assert len(reviewed.messages()) == 2


def test_a_reminder_of_what_was_escalated_meanwhile_is_not_taken_for_the_next_one(reviewed: Reviewed) -> None:
    _asked(reviewed)
    with reviewed.tx() as tx:
        (review,) = access_reviews.open_reviews(tx)
        access_reviews.escalate(tx, review, "head@acme.example", within=timedelta(days=7))
        access_reviews.reminded(tx, review, [SPONSOR])
        (escalated,) = access_reviews.open_reviews(tx)
    assert escalated.reminded_at is None


def test_where_nobody_can_be_told_or_reviews_have_ceased_nobody_is_reminded(reviewed: Reviewed) -> None:
    _asked(reviewed)
    reviewed.later(4)
    told = reviewed.company.content["tenant.yaml"].pop("notifications")
    reviewed.reviewed(reviews=SUSPENDING)
    assert [review.reminded_at for review in reviewed.due()] == [None]
    reviewed.company.content["tenant.yaml"]["notifications"] = told
    reviewed.reviewed()
    assert [review.reminded_at for review in reviewed.due()] == [None]
    assert (len(reviewed.messages()), _reminders(reviewed)) == (1, 0)


@pytest.mark.parametrize("days", [0, 7, 8])
def test_a_reminder_belongs_into_the_time_to_answer(reviewed: Reviewed, days: int) -> None:
    reviewed.reviewed(reviews={**SUSPENDING, "remind_after_days": days})
    with pytest.raises(Misconfigured, match=r"access\.reviews\.remind_after_days: "):
        reviewed.due()


# Approvers


def test_approvers_are_told_once_of_what_waits_for_them(reviewed: Reviewed) -> None:
    reviewed.company.content["access/data-engineer.yaml"] = {**PACKAGE, "approvers": ["grace@acme.example"]}
    reviewed.reviewed()
    with reviewed.tx() as tx:
        approvals.ask(tx, reviewed.engagement.id, "data-engineer", 1)
    for _ in range(2):
        reviewed.due()
    (message,) = reviewed.messages()
    assert f"stint access approve {reviewed.engagement.id} --package data-engineer --as grace@acme.example" in message


def _asked(reviewed: Reviewed, **policy: Any) -> None:
    """Whoever holds access was asked about it just now."""
    reviewed.reviewed(reviews={**SUSPENDING, **policy})
    reviewed.later(90)
    reviewed.due()


def _reminders(reviewed: Reviewed) -> int:
    with reviewed.tx() as tx:
        return len(audit.entries(tx, action="review.reminded"))


def _withhold(reviewed: Reviewed) -> None:
    """Nobody answers, for as long as it takes."""
    for days in (90, 7, 7):
        reviewed.later(days)
        reviewed.due()
