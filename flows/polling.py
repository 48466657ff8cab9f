"""Polling a VMS for changed work orders: the net under lost webhooks, and how changed end dates arrive."""

from __future__ import annotations

from config.hub import Hub
from flows.intake import Intake, concerns_access
from ledger import failures, sources
from ledger.jobs import defer_joiner
from workforce.errors import Refused
from workforce.ports import SourceRecord


def poll_vms(hub: Hub, tenant: str) -> int:
    """Read every work order that changed since the last poll; how many there were.

    A record that cannot be used is parked on its own; the others go on. The cursor moves with each page that is stored.
    """
    intake = Intake(hub, tenant, hub.tenant(tenant).document.systems.vms)
    source = hub.tenant(tenant).instance(intake.system).source()
    with hub.database.transaction(tenant) as tx:
        cursor = sources.cursor(tx, intake.system)
    seen = 0
    while True:
        page = source.changes(cursor)
        for record in page.records:
            _take(intake, record)
        seen += len(page.records)
        cursor = page.cursor
        with hub.database.transaction(tenant) as tx:
            sources.set_cursor(tx, intake.system, cursor)
        if page.complete:
            return seen


def _take(intake: Intake, record: SourceRecord) -> None:
    subject = f"{intake.system}:{record.external_id}"
    try:
        work_order = intake.work_order(record)
        with intake.hub.database.transaction(intake.tenant) as tx:
            engagement, change = intake.store(tx, record, work_order)
            failures.resolve(tx, subject)
            if concerns_access(engagement, change):
                defer_joiner(tx, engagement.id)
    except Refused as error:
        with intake.hub.database.transaction(intake.tenant) as tx:
            failures.park(tx, cause=error.cause, message=str(error), field=error.field, subject=subject)
