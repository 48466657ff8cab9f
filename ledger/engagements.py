"""Engagements: taken over, changed through the one transition table, ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from ledger.database import Tx
from ledger.ending.endings import begin as begin_ending
from ledger.engagement_rows import by_vms_id, get, going_on, list_all, lock, newest, note
from ledger.intake.work_orders import Change, upsert_work_order
from ledger.queueing import timers
from workforce.engagement import Engagement
from workforce.errors import Fenced
from workforce.events import HUB, Actor
from workforce.states import CLOSED, ENGAGEMENT_TRANSITIONS, EngagementState, require_transition

__all__ = [
    "Change", "begin_ending", "by_vms_id", "claim", "get", "going_on", "list_all", "mark_access_verified", "mark_revoked_verified", "newest",
    "pin_access", "pin_mappings", "require_epoch", "set_agreement", "transition", "upsert_work_order",
]  # fmt: skip


def claim(tx: Tx, engagement_id: UUID, *, runner: str, grants: bool) -> Engagement:
    """Become the engagement's runner: the epoch rises, and every other runner is stale. The same runner again changes nothing.

    Raises ``Fenced`` (cause ``tombstoned``) for a runner that ``grants`` once the ending has begun, ``NotFound``.
    """
    engagement = lock(tx, engagement_id)
    if grants and engagement.tombstoned_at is not None:
        raise Fenced(f"engagement {engagement_id} is ending: nothing is granted any more", cause="tombstoned")
    tx.execute(
        """
        UPDATE engagements SET runner = %(runner)s, epoch = epoch + 1
        WHERE id = %(id)s AND runner IS DISTINCT FROM %(runner)s
        """,
        runner=runner,
        id=engagement_id,
    )
    return get(tx, engagement_id)


def require_epoch(tx: Tx, engagement_id: UUID, epoch: int) -> Engagement:
    """Lock the engagement if the caller still owns it. Raises ``Fenced`` when somebody else took over or the ending began."""
    engagement = lock(tx, engagement_id)
    if engagement.epoch != epoch:
        raise Fenced(f"engagement {engagement_id} is at epoch {engagement.epoch}, this runner holds {epoch}")
    return engagement


def transition(tx: Tx, engagement_id: UUID, target: EngagementState, actor: Actor = HUB) -> Engagement:
    """Go to ``target``, audited. Already there is no change; ``ENDING`` is ``begin_ending``; a closed one loses its timers.

    Raises ``Refused`` (cause ``illegal_transition``), ``NotFound``.
    """
    if target is EngagementState.ENDING:
        return begin_ending(tx, engagement_id, "transition", actor)
    engagement = lock(tx, engagement_id)
    if engagement.state is target:
        return engagement
    require_transition(ENGAGEMENT_TRANSITIONS, engagement.state, target)
    tx.execute(
        "UPDATE engagements SET state = %(state)s, updated_at = clock_timestamp() WHERE id = %(id)s",
        state=target,
        id=engagement_id,
    )
    if target in CLOSED:
        timers.cancel_all(tx, engagement_id)
    note(tx, f"engagement.{target}", engagement, actor, was=engagement.state)
    return get(tx, engagement_id)


def set_agreement(tx: Tx, engagement_id: UUID, envelope_id: str, signed_at: datetime | None, actor: Actor = HUB) -> Engagement:
    """Keep the agreement, audited. The same one again changes nothing."""
    known = lock(tx, engagement_id)
    if (known.envelope_id, known.signed_at) == (envelope_id, signed_at):
        return known
    tx.execute(
        """
        UPDATE engagements SET envelope_id = %(envelope_id)s, signed_at = %(signed_at)s, updated_at = clock_timestamp()
        WHERE id = %(id)s
        """,
        envelope_id=envelope_id,
        signed_at=signed_at,
        id=engagement_id,
    )
    note(tx, "engagement.agreement_set", known, actor, envelope_id=envelope_id, signed_at=signed_at)
    return get(tx, engagement_id)


def pin_mappings(
    tx: Tx, engagement_id: UUID, pins: Mapping[str, str], *, migrate: bool = False, actor: Actor = HUB
) -> Engagement:
    """Pin mapping id → version label, audited. What is pinned stays, unless ``migrate`` says that it moves on purpose."""
    known = lock(tx, engagement_id)
    wanted = {**known.mapping_pins, **pins} if migrate else {**pins, **known.mapping_pins}
    if wanted == known.mapping_pins:
        return known
    tx.execute(
        "UPDATE engagements SET mapping_pins = %(pins)s, updated_at = clock_timestamp() WHERE id = %(id)s",
        pins=wanted,
        id=engagement_id,
    )
    note(tx, "engagement.mappings_pinned", known, actor, pins=wanted)
    return get(tx, engagement_id)


def pin_access(tx: Tx, engagement_id: UUID, pins: Mapping[str, int], *, actor: Actor = HUB) -> Engagement:
    """Pin access package → version, audited: exactly ``pins``."""
    known = lock(tx, engagement_id)
    if known.access_pins == dict(pins):
        return known
    tx.execute(
        "UPDATE engagements SET access_pins = %(pins)s, updated_at = clock_timestamp() WHERE id = %(id)s",
        pins=dict(pins),
        id=engagement_id,
    )
    note(tx, "engagement.access_pinned", known, actor, pins=dict(pins), was=known.access_pins)
    return get(tx, engagement_id)


def mark_access_verified(tx: Tx, engagement_id: UUID, at: datetime) -> Engagement:
    """Note when access was first proven by reading it back. Later calls change nothing. The caller audits the proof."""
    tx.execute(
        "UPDATE engagements SET access_verified_at = coalesce(access_verified_at, %(at)s) WHERE id = %(id)s",
        at=at,
        id=engagement_id,
    )
    return get(tx, engagement_id)


def mark_revoked_verified(tx: Tx, engagement_id: UUID, at: datetime) -> Engagement:
    """Note when the end of access was first proven by reading it back, of an ending that stands. Later calls change nothing.

    The caller audits the proof.
    """
    tx.execute(
        """
        UPDATE engagements SET revoked_verified_at = coalesce(revoked_verified_at, %(at)s)
        WHERE id = %(id)s AND tombstoned_at IS NOT NULL
        """,
        at=at,
        id=engagement_id,
    )
    return get(tx, engagement_id)
