"""Polling: a VMS for changed work orders, which is how changed end dates arrive, and systems for events that no webhook brought."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import structlog

from config.hub import Hub
from flows.feeds.feed_brake import FeedBrake
from flows.feeds.intake import Intake, concerns_access
from flows.feeds.quarantine import park_feed_defect, quarantine
from ledger import engagements, failures
from ledger.database import Tx
from ledger.identity import reassignment
from ledger.intake import deliveries, inbox, sources
from ledger.queueing.jobs import defer_joiner
from workforce.errors import Misconfigured, Refused, RetryLater, UnusableContent
from workforce.events import SourceEvent
from workforce.ports import RecordSource, SourceRecord

log = structlog.get_logger(__name__)

FIRST_LOOK_BACK = timedelta(days=1)


def poll_vms(hub: Hub, tenant: str) -> int:
    """Read every work order that changed since the last poll; how many there were.

    A record that cannot be used is parked on its own; the others go on. The cursor moves with each page that is stored. What would let a
    stint stop earlier is taken last, once all pages were seen (see ``flows.feeds.feed_brake``).
    """
    intake = Intake(hub, tenant, hub.tenant(tenant).document.systems.vms)
    seen = follow_feed(intake, intake.source())
    with hub.database.transaction(tenant) as tx:
        reassignment.close_what_is_over(tx, intake.system)
    return seen


def follow_feed(intake: Intake, source: RecordSource) -> int:
    """The same for any ``source`` of the intake's records."""
    with intake.hub.database.transaction(intake.tenant) as tx:
        cursor = sources.cursor(tx, intake.system)
    brake, seen = FeedBrake(intake), 0
    with _decided_where_it_stops(brake):
        while True:
            page = source.changes(cursor)
            for record in brake.sift(page.records):
                _take(intake, record)
            seen += len(page.records)
            cursor = page.cursor
            with intake.hub.database.transaction(intake.tenant) as tx:
                sources.set_cursor(tx, intake.system, cursor)
            if page.complete:
                break
    brake.decide(partial(_take, intake))
    return seen


def take_page(intake: Intake, records: Sequence[SourceRecord]) -> None:
    """Take every record that a feed gave as a whole, but for what the brake holds, or set it aside; none keeps another from being taken."""
    brake = FeedBrake(intake)
    for record in brake.sift(records):
        _take(intake, record)
    brake.decide(partial(_take, intake))


def take_again(hub: Hub, tenant: str, external_id: str) -> None:
    """Read one record of the VMS again and take it, or set it aside again. Raises ``NotFound`` where it is gone."""
    intake = Intake(hub, tenant, hub.tenant(tenant).document.systems.vms)
    _take(intake, intake.source().read(external_id))


def poll_events(hub: Hub, tenant: str, instance: str) -> int:
    """Ask a system for what happened since the last time and store what is new, as if a webhook had brought it; how much there was.

    The first time a system tells its whole history: what lies more than a day back was before our time, and starts nothing.
    """
    source = hub.tenant(tenant).instance(instance).backfill()
    with hub.database.transaction(tenant) as tx:
        cursor = sources.cursor(tx, instance)
    oldest = hub.clock.now() - FIRST_LOOK_BACK if cursor is None else None
    fresh = 0
    while True:
        page = source.missed(cursor)
        cursor = page.cursor
        events = [event for event in page.events if oldest is None or (event.occurred_at and event.occurred_at >= oldest)]
        with hub.database.transaction(tenant) as tx:
            fresh += sum(_stored(tx, instance, event) for event in events)
            sources.set_cursor(tx, instance, cursor)
        if page.complete:
            return fresh


@contextmanager
def _decided_where_it_stops(brake: FeedBrake) -> Iterator[None]:
    """A feed that is broken further on keeps nothing waiting that it told before; one that is only away for now is asked again first."""
    try:
        yield
    except (Refused, Misconfigured):
        brake.decide(partial(_take, brake.intake))
        raise


def _stored(tx: Tx, instance: str, event: SourceEvent) -> bool:
    """Whether the event is new; one that cannot be stored waits for a person, and the others go on."""
    try:
        return deliveries.take(tx, instance, event, b"", auth="poll")
    except UnusableContent as error:
        told = f"{event.kind} {event.external_id}".encode()
        inbox.receive_unusable(tx, source=instance, body=told, cause=error.cause, message=str(error), field=error.field)
        return False


def _take(intake: Intake, record: SourceRecord) -> None:
    """Take one record, or set it aside: whatever is wrong with it, also with setting it aside, keeps no other from being read."""
    try:
        _take_or_set_aside(intake, record)
    except (RetryLater, Misconfigured):
        raise
    except Exception as error:
        log.exception("poll.defect", tenant=intake.tenant, subject=intake.subject(record.external_id))
        park_feed_defect(intake, record, error)


def _take_or_set_aside(intake: Intake, record: SourceRecord) -> None:
    try:
        _store(intake, record)
    except Refused as error:
        quarantine(intake, record, error)


def _store(intake: Intake, record: SourceRecord) -> None:
    taken = intake.take(record)
    over = taken.order.terms.end_instant() <= intake.hub.clock.now()
    with intake.hub.database.transaction(intake.tenant) as tx:
        if over and engagements.by_vms_id(tx, intake.system, record.external_id) is None:
            if sources.remember(tx, intake.system, record):  # history from before our time: nothing was given, nothing is to end
                failures.resolve(tx, intake.subject(record.external_id))
            return
        if sources.is_superseded(tx, intake.system, record):
            return  # a newer version waits; that this one could be used says nothing about it
        engagement, change = intake.store(tx, record, taken)
        if concerns_access(engagement, change):
            defer_joiner(tx, engagement.id)
