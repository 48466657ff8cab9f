"""The brake on a promotion: a version of the source's mapping that would let many stints stop earlier is held before the first one moves.

The feed's own brake does not see this: no record has changed, only how it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import structlog

from config.hub import Hub
from flows.feeds.feed_brake import ENDS, tell
from flows.feeds.intake import Intake, guarded, map_order
from ledger import engagements
from ledger.database import Tx
from ledger.intake import sources
from ledger.mapping import pins
from ledger.mapping.promotions import Promotion
from ledger.reconciliation import held_changes
from ledger.reconciliation.held_changes import Decision, WantedChange
from mappings.engine import CompiledMapping
from provisioning.brake import BrakedKind, EarlierEnd, judge
from workforce.errors import HubError

log = structlog.get_logger(__name__)

_AT_A_TIME = 500
_PREFIX = "promotion:"


def is_held(hub: Hub, tenant: str, promotion: Promotion, mapping: CompiledMapping) -> bool:
    """Whether running engagements may not follow the promotion before a person has looked; what is noted then is on the failure list."""
    intake = Intake(hub, tenant, hub.tenant(tenant).document.systems.vms, looks_only=True)
    if promotion.mapping_id != intake.mapping_id:
        return False
    subject = f"{_PREFIX}{promotion.id}"
    with hub.database.transaction(tenant) as tx:
        known = held_changes.newest_of(tx, intake.system, ENDS, subject)
    if known is not None:
        return known.decision != Decision.RELEASED
    ends = list(_earlier_ends(intake, promotion, mapping))
    with hub.database.transaction(tenant) as tx:
        return _decide(tx, intake, subject, ends)


def _decide(tx: Tx, intake: Intake, subject: str, ends: list[EarlierEnd]) -> bool:
    policy = intake.hub.tenant(intake.tenant).document.access.brake
    active, already = held_changes.running(tx, intake.system), held_changes.within_the_hour(tx, intake.system, ENDS)
    verdict = judge(policy, active=active, already=already, asked=len(ends))
    if verdict.is_held:
        held_changes.hold(tx, intake.system, _wanted(subject, None, {"engagements": len(ends)}))
        held_changes.keep_back(tx, filter(None, [held_changes.newest_of(tx, intake.system, ENDS, subject)]))
        tell(tx, intake.system, verdict)
        log.warning("promotion.held", tenant=intake.tenant, subject=subject, asked=verdict.asked)
        return True
    for end in ends:
        noted = f"{subject}:{end.subject}"
        held_changes.hold(tx, intake.system, _wanted(noted, end.engagement_id, {"ends_at": end.ends_at.isoformat()}))
        if change := held_changes.newest_of(tx, intake.system, ENDS, noted):
            held_changes.let_through(tx, change.id)
    return False


def _wanted(subject: str, engagement_id: UUID | None, details: dict[str, object]) -> WantedChange:
    return WantedChange(BrakedKind.END_BROUGHT_FORWARD, subject, engagement_id, details)


def _earlier_ends(intake: Intake, promotion: Promotion, mapping: CompiledMapping) -> Iterator[EarlierEnd]:
    """Which running stints would stop earlier, by the records as they were last read. One that cannot be mapped stays as it is."""
    after: UUID | None = None
    while True:
        with intake.hub.database.transaction(intake.tenant) as tx:
            some = pins.elsewhere(tx, promotion.mapping_id, promotion.version, after=after, limit=_AT_A_TIME)
            found = [end for each in some if (end := _earlier_end(tx, intake, each, mapping))]
        yield from found
        if len(some) < _AT_A_TIME:
            return
        after = some[-1]


def _earlier_end(tx: Tx, intake: Intake, engagement_id: UUID, mapping: CompiledMapping) -> EarlierEnd | None:
    engagement = engagements.get(tx, engagement_id)
    known = sources.latest(tx, intake.system, engagement.terms.vms_id)
    if known is None:
        return None
    record = known[0]
    try:
        ends_at = guarded(map_order(mapping, intake.system, record), engagement).order.terms.end_instant()
    except HubError:  # told where it is migrated
        return None
    if ends_at >= engagement.end_at:
        return None
    return EarlierEnd(record.external_id, record.version, engagement_id, engagement.end_at, ends_at)
