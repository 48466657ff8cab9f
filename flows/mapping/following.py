"""Running engagements follow what was promoted: a few at a time, so that no feed and no revocation waits behind them.

A chain of jobs goes through the engagements. Each link has a bounded number of them migrated, in jobs of their own, and puts the next link
behind these; what arrives meanwhile, such as a poll, comes in between.
"""

from __future__ import annotations

from uuid import UUID

from config.hub import Hub
from flows.feeds.intake import Intake, guarded, map_order
from flows.mapping.promotion_brake import is_held
from flows.mapping.versions import Versions
from ledger import engagement_rows, engagements
from ledger.database import Tx
from ledger.intake import sources, work_orders
from ledger.mapping import pins, promotions
from ledger.mapping.promotions import Promotion
from ledger.queueing.jobs import defer_follow, defer_joiner, defer_migration
from mappings.engine import CompiledMapping
from workforce.engagement import Engagement
from workforce.errors import Refused
from workforce.states import OVER, EngagementState
from workforce.versions import Running

HAS_RECORDS = frozenset({EngagementState.CLEARED, EngagementState.ACTIVE})
"""States in which other systems hold records that have to follow."""
AT_A_TIME = 100
"""Engagements that one link of the chain has migrated."""


def follow_promotions(hub: Hub, tx: Tx) -> None:
    """Have running engagements begin to follow every promotion that counts by now. Part of the caller's transaction."""
    versions = Versions(hub, tx.tenant)
    for promotion in promotions.not_followed(tx, versions.today):
        if promotion.running is Running.MIGRATE and _counts(tx, versions, promotion):
            defer_follow(tx, promotion.id)
        promotions.followed(tx, promotion.id)


def follow(hub: Hub, tenant: str, promotion_id: UUID, after: UUID | None = None, *, at_a_time: int = AT_A_TIME) -> int:
    """One link of the chain: the next engagements that shall move, behind ``after``, get a job each; how many there were.

    Nobody moves once another promotion counts, nor while the brake on mass change holds this one.
    """
    versions = Versions(hub, tenant)
    with hub.database.transaction(tenant) as tx:
        promotion = promotions.get(tx, promotion_id)
        if not _counts(tx, versions, promotion):
            return 0
        mapping = versions.current(tx, promotion.mapping_id)
    if after is None and is_held(hub, tenant, promotion, mapping):
        return 0
    with hub.database.transaction(tenant) as tx:
        found = pins.elsewhere(tx, promotion.mapping_id, promotion.version, after=after, limit=at_a_time)
        for engagement_id in found:
            defer_migration(tx, engagement_id, promotion_id)
        if len(found) == at_a_time:
            defer_follow(tx, promotion_id, after=found[-1])
    return len(found)


def migrate(hub: Hub, tenant: str, engagement_id: UUID, promotion_id: UUID) -> None:
    """Move one running engagement to the version that was promoted: its terms are mapped again, and its records follow.

    Nothing moves once another promotion counts, once the ending has begun, or where that version is followed already. Raises ``Refused``
    naming the field where the version cannot read the engagement's record; it keeps its version then.
    """
    versions = Versions(hub, tenant)
    with hub.database.transaction(tenant) as tx:
        promotion = promotions.get(tx, promotion_id)
        mapping = versions.current(tx, promotion.mapping_id)
        unlocked = engagements.get(tx, engagement_id)
        work_orders.hold(tx, unlocked.vms_system, unlocked.terms.vms_id)
        engagement = engagement_rows.lock(tx, engagement_id)
        pinned = engagement.mapping_pins.get(promotion.mapping_id)
        if not _counts(tx, versions, promotion) or is_over(engagement) or pinned in {None, promotion.version}:
            return
        intake = Intake(hub, tenant, engagement.vms_system)
        if promotion.mapping_id == intake.mapping_id:
            _map_again(tx, intake, engagement, mapping)
        engagements.pin_mappings(tx, engagement_id, {promotion.mapping_id: promotion.version}, migrate=True)
        if engagement.state in HAS_RECORDS:
            defer_joiner(tx, engagement_id)


def is_over(engagement: Engagement) -> bool:
    """Whether the engagement keeps its versions for good."""
    return engagement.state in OVER or engagement.tombstoned_at is not None


def _counts(tx: Tx, versions: Versions, promotion: Promotion) -> bool:
    now = versions.in_force(tx, promotion.mapping_id)
    return now is not None and now.id == promotion.id


def _map_again(tx: Tx, intake: Intake, engagement: Engagement, mapping: CompiledMapping) -> None:
    """The engagement's record as it was last read, by ``mapping``."""
    known = sources.latest(tx, intake.system, engagement.terms.vms_id)
    if known is None:
        raise Refused(f"work order {engagement.terms.vms_id} was never read", cause="no_source_record", field="vms_id")
    intake.advance(tx, known[0], guarded(map_order(mapping, intake.system, known[0]), engagement))
