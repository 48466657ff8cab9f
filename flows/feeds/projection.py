"""From a stored hint to an engagement: the source is read again, and only what it says now counts."""

from __future__ import annotations

from uuid import UUID

from config.hub import Hub
from flows.feeds.intake import Intake, read_agreement_of
from flows.mapping.conflicts import look
from ledger import engagements
from ledger.database import Tx
from ledger.identity.cases import ANOTHER_PERSON
from ledger.identity.correlation import PERSON_ID
from ledger.intake import inbox, sources
from ledger.intake.inbox import InboxEvent
from ledger.intake.work_orders import Change
from ledger.queueing.jobs import defer_joiner
from ledger.trail import audit
from workforce.engagement import Engagement
from workforce.errors import NotFound, RetryLater
from workforce.ports import SourceRecord

SIGNED = frozenset({"envelope-completed", "signature_request_all_signed"})
"""Event kinds that may mean a signed agreement. Others are kept and settled: they start no process yet."""


def project(hub: Hub, tenant: str, event_id: UUID) -> None:
    """Turn one received event into an engagement and have the joiner run, in one transaction.

    An agreement about a work order that names another person than before waits until somebody said who it is. Raises ``Refused``
    naming the field when the records cannot be used; the caller parks the event.
    """
    with hub.database.transaction(tenant) as tx:
        event = inbox.get(tx, event_id)
    systems = hub.tenant(tenant).document.systems
    if event.source != systems.esign or event.kind not in SIGNED:
        if event.source in {systems.hris, systems.payroll}:
            look(hub, tenant, event.source, event.subject_id)
        with hub.database.transaction(tenant) as tx:
            inbox.settle(tx, event_id)
            _note(tx, event)
        return
    agreement, envelope = read_agreement_of(hub, tenant, event.subject_id)
    if agreement.status != "completed":
        raise RetryLater(f"envelope {event.subject_id} is said to be completed but still reads {agreement.status!r}", cause="lag")
    signed_at = agreement.executed_at()
    intake = Intake(hub, tenant, systems.vms)
    record = _readable(intake, agreement.vms_id)
    taken = intake.take(record)
    with hub.database.transaction(tenant) as tx:
        sources.remember(tx, systems.esign, envelope)
        engagement, change = intake.store(tx, record, taken)
        if change is Change.ANOTHER_PERSON and engagement.envelope_id != agreement.envelope_id:
            _wait_for_the_person(tx, event, engagement)
            return
        agreed = engagements.set_agreement(tx, engagement.id, agreement.envelope_id, signed_at)
        if agreed != engagement or change in {Change.CREATED, Change.UPDATED}:  # a hint that tells nothing new starts nothing
            defer_joiner(tx, engagement.id)
        inbox.settle(tx, event_id, engagement.id)
        _note(tx, event, engagement.id)


def _wait_for_the_person(tx: Tx, event: InboxEvent, engagement: Engagement) -> None:
    """Who signed is not known before somebody said whose the work order is; what is said then takes the event up again."""
    message = "an agreement about a work order that names another person; first decide who it is: stint workers cases"
    inbox.park(tx, event.id, cause=ANOTHER_PERSON, message=message, field=PERSON_ID, engagement_id=engagement.id)


def _readable(intake: Intake, vms_id: str) -> SourceRecord:
    """The work order; one that cannot be seen yet is waited for, because the agreement may be signed before it shows."""
    try:
        return intake.source().read(vms_id)
    except NotFound as error:
        raise RetryLater(f"work order {vms_id} cannot be read yet: {error}", cause="work_order_not_found") from None


def _note(tx: Tx, event: InboxEvent, engagement_id: UUID | None = None) -> None:
    target = ("event", str(event.id))
    audit.note(tx, "event.settled", target=target, engagement_id=engagement_id, system=event.source, kind=event.kind)
