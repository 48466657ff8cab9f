"""Access reviews in life: who is asked and when, who is told, and what follows from an answer or from none.

Everything is decided in the ledger; a message that cannot be sent keeps nothing from being asked, but nobody is late before they were told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from uuid import UUID

from config.hub import Hub
from config.tenant import TenantConfig
from flows.access.approving import tell_approvers
from flows.telling import shown_if_it_fails, tell
from ledger import engagements
from ledger.access import reviews as access_reviews
from ledger.access.reviews import Review
from ledger.database import Tx
from ledger.identity.people import own_addresses
from ledger.queueing.jobs import defer_joiner, defer_leaver
from provisioning.packages import AccessPackage
from provisioning.policies import ReviewPolicy, Sponsors, Unanswered
from workforce.attestation import Answer
from workforce.engagement import Engagement
from workforce.errors import Refused
from workforce.events import Actor

SENSITIVE_AS_OFTEN = 2
"""How much more often engagements with a sensitive package are reviewed."""


def review_due(hub: Hub, tenant: str) -> None:
    """Ask for the reviews that are due, escalate and withhold what nobody answered, and tell whoever has to answer or to approve.

    Who does not answer is reminded once before that. Harmless to repeat, and for several workers at once. Raises
    ``Misconfigured`` for a tenant whose configuration cannot be used.
    """
    config = hub.tenant(tenant)
    with hub.database.transaction(tenant) as tx:
        _ask_what_is_due(tx, config)
        for review in access_reviews.open_reviews(tx):
            _follow_up(tx, review, config)
    _tell_reviewers(hub, tenant, config)
    tell_approvers(hub, tenant)


def answer_review(
    tx: Tx, config: TenantConfig, engagement_id: UUID, said: Answer, *, by: str, reason: str | None, actor: Actor
) -> Review:
    """Take the answer of the person at ``by`` (an address): access goes on, or the engagement's ending begins. The review as it was.

    Raises ``Refused``: causes ``not_asked`` (nobody but the sponsor, or whom it was escalated to), ``own_access``, ``no_reason``, ``ending``;
    ``NotFound`` where no review is open.
    """
    review = access_reviews.get_open(tx, engagement_id)
    engagement = engagements.get(tx, engagement_id)
    if engagement.tombstoned_at is not None:
        raise Refused(f"engagement {engagement_id} is ending already", cause="ending")
    if said is Answer.REMOVE and not (reason or "").strip():
        raise Refused("removing access needs a reason", cause="no_reason", field="reason")
    own = own_addresses(tx, engagement, config.document.email_domain)
    _require_asked(by, may_answer(review, engagement, config.document.access.sponsors), own)
    access_reviews.answer(tx, review, said, by=by, reason=reason, actor=actor)
    if said is Answer.REMOVE:
        engagements.begin_ending(tx, engagement_id, "review_removed", actor)
        defer_leaver(tx, engagement_id)
    elif review.suspended_at is not None:
        defer_joiner(tx, engagement_id)
    return review


def may_answer(review: Review, engagement: Engagement, sponsors: Sponsors) -> list[str]:
    """Whose answer counts: today's sponsor, the one who was asked, and whom it was escalated to. Who has left has a successor."""
    asked = [sponsors.of(engagement.terms.sponsor_email), sponsors.of(review.sponsor), *filter(None, [review.escalated_to])]
    return list(dict.fromkeys(asked))


def review_interval(policy_days: int, access_pins: Mapping[str, int], packages: Iterable[AccessPackage]) -> timedelta:
    """How long access stands between two reviews: half the policy's days where a package that the engagement is pinned to is sensitive."""
    sensitive = any(each.sensitive and access_pins.get(each.package) == each.version for each in packages)
    return timedelta(days=policy_days) / (SENSITIVE_AS_OFTEN if sensitive else 1)


def _ask_what_is_due(tx: Tx, config: TenantConfig) -> None:
    policy = config.document.access.reviews
    if policy.every_days is None:
        return
    for each in access_reviews.attested(tx):
        if each.attested_at + review_interval(policy.every_days, each.access_pins, config.access.packages) <= tx.began_at:
            sponsor = config.document.access.sponsors.of(engagements.get(tx, each.engagement_id).terms.sponsor_email)
            access_reviews.ask(tx, each.engagement_id, sponsor, within=_within(policy))


def _follow_up(tx: Tx, review: Review, config: TenantConfig) -> None:
    """What follows from the silence of somebody who was told in time: the next person is asked, and at last access is withheld."""
    policy, sponsors = config.document.access.reviews, config.document.access.sponsors
    if policy.every_days is None or review.told_at is None or tx.began_at < review.due_at:
        return
    if review.escalated_at is None:
        access_reviews.escalate(tx, review, policy.escalate_to or _successor(review, sponsors), within=_within(policy))
    elif policy.unanswered is Unanswered.SUSPEND and access_reviews.suspend(tx, review):
        defer_joiner(tx, review.engagement_id)


def _successor(review: Review, sponsors: Sponsors) -> str | None:
    """Who answers for the sponsor's contractors now, if that is somebody else than was asked."""
    now = sponsors.of(review.sponsor)
    return None if now.casefold() == review.sponsor.casefold() else now


def _within(policy: ReviewPolicy) -> timedelta:
    return timedelta(days=policy.answer_within_days)


def _is_to_be_reminded(tx: Tx, review: Review, config: TenantConfig) -> bool:
    """Whether those who were told days ago are told once more: while they have time, and where there is a way to tell them."""
    policy = config.document.access.reviews
    if policy.every_days is None or config.document.notifications is None or review.told_at is None or review.reminded_at:
        return False
    days = policy.remind_after_days or policy.answer_within_days / 2
    return review.told_at + timedelta(days=days) <= tx.began_at < review.due_at


def _require_asked(by: str, asked: list[str], own: Iterable[str]) -> None:
    if by.casefold() not in {address.casefold() for address in asked}:
        raise Refused(f"{by} was not asked; who may answer: {', '.join(asked)}", cause="not_asked", field="as")
    if by.casefold() in own:
        raise Refused(f"{by} is the contractor: nobody attests their own access", cause="own_access", field="as")


def _tell_reviewers(hub: Hub, tenant: str, config: TenantConfig) -> None:
    with hub.database.transaction(tenant) as tx:
        waiting = [
            (each, engagements.get(tx, each.engagement_id))
            for each in access_reviews.open_reviews(tx)
            if each.told_at is None or _is_to_be_reminded(tx, each, config)
        ]
    for review, engagement in waiting:
        asked = may_answer(review, engagement, config.document.access.sponsors)
        stage, again = "escalated" if review.escalated_at else "asked", review.told_at is not None
        subject = f"Stint, {tenant}: {'reminder: ' if again else ''}does {engagement.terms.vms_id} still need its access?"
        text = _text(review, engagement, asked, config)
        with shown_if_it_fails(hub, tenant, f"review:{review.id}", engagement.id):
            tell(config, asked, subject, text, key=("review", str(review.id), stage, *(["reminded"] if again else [])))
            with hub.database.transaction(tenant) as tx:
                if again:
                    access_reviews.reminded(tx, review, asked)
                else:
                    access_reviews.told(tx, review, within=_within(config.document.access.reviews))


def _text(review: Review, engagement: Engagement, asked: list[str], config: TenantConfig) -> str:
    """The work order and what happens without an answer. No personal data of the contractor."""
    terms, policy = engagement.terms, config.document.access.reviews
    withheld = policy.unanswered is Unanswered.SUSPEND and review.escalated_at is not None
    silence = "its access is withheld" if withheld else "this is escalated" if review.escalated_at is None else "this stays open"
    time = f"until {review.due_at:%Y-%m-%d %H:%M} UTC" if review.told_at else f"within {policy.answer_within_days} day(s)"
    last = asked[-1]
    return (
        f"{terms.role} at {terms.client_unit}, {terms.location}; work order {terms.vms_id}, until {engagement.last_day()}.\n"
        f"Asked: {', '.join(asked)}. Without an answer {time} {silence}.\n"
        f"Answer: stint reviews answer {engagement.id} keep --as {last}\n"
        f"or, to end it: stint reviews answer {engagement.id} remove --as {last} --reason TEXT"
    )
