"""Polling: a VMS for changed work orders, which is how changed end dates arrive, and systems for events that no webhook brought."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import structlog

from config.hub import Hub
from flows.intake import Intake, concerns_access
from flows.quarantine import park_feed_defect, quarantine
from ledger import deliveries, engagements, failures, inbox, sources
from ledger.database import Tx
from ledger.jobs import defer_joiner
from workforce.errors import Misconfigured, Refused, RetryLater, UnusableContent
from workforce.events import SourceEvent
from workforce.ports import SourceRecord

log = structlog.get_logger(__name__)

FIRST_LOOK_BACK = timedelta(days=1)


def poll_vms(hub: Hub, tenant: str) -> int:
    """Read every work order that changed since the last poll; how many there were.

    A record that cannot be used is parked on its own; the others go on. The cursor moves with each page that is stored.
    """
    intake = Intake(hub, tenant, hub.tenant(tenant).document.systems.vms)
    source = intake.source()
    with hub.database.transaction(tenant) as tx:
        cursor = sources.cursor(tx, intake.system)
    seen = 0
    while True:
        page = source.changes(cursor)
        take_page(intake, page.records)
        seen += len(page.records)
        cursor = page.cursor
        with hub.database.transaction(tenant) as tx:
            sources.set_cursor(tx, intake.system, cursor)
        if page.complete:
            return seen


def take_page(intake: Intake, records: Iterable[SourceRecord]) -> None:
    """Take every record that a feed gave, or set it aside; none keeps another from being taken."""
    for record in records:
        _take(intake, record)


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
