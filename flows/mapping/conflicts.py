"""Somebody changed a record in a system that holds a copy of it: what differs is shown to people, and copied nowhere."""

from __future__ import annotations

from config.hub import Hub
from flows.case import Case, CaseRef
from flows.mapping.ownership import Place, kept_targets, show_conflicts
from flows.records import of_record
from ledger.writing import writes
from provisioning.writing import DesiredRecord
from workforce.engagement import Engagement
from workforce.errors import NotFound, Refused
from workforce.lineage import RecordWrite

LOOKING = "look"


def look(hub: Hub, tenant: str, system: str, record_id: str) -> None:
    """Compare a record with what was written to it, and put on the failure list what its system was not to change.

    A record that is not ours, that nothing was written to, or that is gone is not looked at; with the ending nothing is contested any
    more. Nothing is ever written. Raises ``RetryLater``, ``Misconfigured`` and ``Refused`` when the system cannot be read.
    """
    with hub.database.transaction(tenant) as tx:
        engagement = of_record(tx, system, record_id)
        standing = engagement and writes.newest(tx, engagement.id, system)
    if not standing or not engagement:
        return
    config = hub.tenant(tenant)
    desired = _desired(hub, engagement, standing)
    try:
        shown = config.instance(system).ending().read(record_id).values
    except NotFound:
        return
    conflicts = desired.plan(shown).conflicts if engagement.tombstoned_at is None else ()
    with hub.database.transaction(tenant) as tx:
        show_conflicts(tx, config.document, engagement, Place(system, record_id), conflicts, desired.fields)


def _desired(hub: Hub, engagement: Engagement, standing: RecordWrite) -> DesiredRecord:
    """What we say now; where that cannot be mapped, which is shown elsewhere, what we said last."""
    case = Case(hub, CaseRef(engagement.tenant, str(engagement.id), LOOKING, engagement.epoch), standing.system)
    try:
        return case.outgoing().desired
    except Refused:
        kept = kept_targets(case.config.document, standing.system, standing.fields)
        return DesiredRecord(standing.fields, standing=standing, kept=kept)
