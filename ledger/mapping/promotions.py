"""Which version of a mapping counts: promoted by a person with a reason, from a business date on, and never silently changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from ledger.database import Row, Tx
from ledger.ids import uuid7
from ledger.trail import audit
from workforce.errors import NotFound, Refused
from workforce.events import HUB, Actor, Outcome
from workforce.lineage import MappingUsed
from workforce.versions import Running


class PromotionKind(StrEnum):
    """Why a version counts: the first that was ever used, promoted by a person, or gone back to."""

    FIRST_USE = "first_use"
    PROMOTION = "promotion"
    ROLLBACK = "rollback"


class PromotionState(StrEnum):
    """A proposal waits for a second person, where the tenant demands one."""

    PROPOSED = "proposed"
    PROMOTED = "promoted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Promotion:
    """One line of a mapping's history. ``effective_from`` is a business date."""

    id: UUID
    mapping_id: str
    version: str
    sha256: str
    effective_from: date
    kind: PromotionKind
    running: Running
    reason: str
    state: PromotionState
    proposed_by: str
    decided_by: str | None
    proposed_at: datetime
    decided_at: datetime | None


def lock(tx: Tx, mapping_id: str) -> None:
    """Keep everybody else who promotes the mapping, or goes by a promotion of it, out until the commit. Call it before ``keep``."""
    tx.one(
        "SELECT pg_advisory_xact_lock(hashtextextended('mapping:' || %(tenant)s || ':' || %(id)s, 0))",
        tenant=tx.tenant,
        id=mapping_id,
    )


def keep(tx: Tx, mapping_id: str) -> None:
    """Let nobody promote the mapping until the commit: whoever writes what follows from ``current`` is seen by the next promotion."""
    tx.one(
        "SELECT pg_advisory_xact_lock_shared(hashtextextended('mapping:' || %(tenant)s || ':' || %(id)s, 0))",
        tenant=tx.tenant,
        id=mapping_id,
    )


def adopt(tx: Tx, used: MappingUsed, effective_from: date) -> None:
    """Keep the version with which a tenant begins, so that a newer one in the library changes nothing by itself."""
    tx.execute(
        """
        INSERT INTO mapping_promotions
            (tenant, id, mapping_id, version, sha256, effective_from, kind, running, reason, state, proposed_by, decided_by, decided_at)
        VALUES (%(tenant)s, %(id)s, %(mapping_id)s, %(version)s, %(sha256)s, %(effective_from)s, 'first_use', 'pin', 'first use',
                'promoted', %(actor)s, %(actor)s, clock_timestamp())
        ON CONFLICT DO NOTHING
        """,
        tenant=tx.tenant,
        id=uuid7(),
        **used.model_dump(),
        effective_from=effective_from,
        actor=HUB.id,
    )


def propose(
    tx: Tx, used: MappingUsed, *, effective_from: date, kind: PromotionKind, running: Running, reason: str, actor: Actor
) -> Promotion:
    """Put a version up for promotion, audited. Raises ``Refused`` (cause ``already_proposed``) while another one of the mapping waits."""
    row = tx.one(
        """
        INSERT INTO mapping_promotions
            (tenant, id, mapping_id, version, sha256, effective_from, kind, running, reason, state, proposed_by)
        VALUES (%(tenant)s, %(id)s, %(mapping_id)s, %(version)s, %(sha256)s, %(effective_from)s, %(kind)s, %(running)s, %(reason)s,
                'proposed', %(actor)s)
        ON CONFLICT DO NOTHING
        RETURNING *
        """,
        tenant=tx.tenant,
        id=uuid7(),
        **used.model_dump(),
        effective_from=effective_from,
        kind=kind,
        running=running,
        reason=reason,
        actor=actor.id,
    )
    if row is None:
        waiting = proposed(tx, used.mapping_id)
        what = f"{waiting.version}, proposed by {waiting.proposed_by}," if waiting else "another one"
        raise Refused(f"{used.mapping_id}: {what} waits for a decision; approve or withdraw it first", cause="already_proposed")
    promotion = _from_row(row)
    _note(tx, "mapping.proposed", promotion, actor, Outcome.PENDING)
    return promotion


def approve(tx: Tx, promotion_id: UUID, actor: Actor) -> Promotion:
    """Let a proposal count from now on, audited. Whether the same person may is the caller's rule. Raises ``NotFound``, ``Refused``."""
    return _decide(tx, promotion_id, PromotionState.PROMOTED, actor)


def withdraw(tx: Tx, promotion_id: UUID, actor: Actor) -> Promotion:
    """Take a proposal back, audited. Raises ``NotFound``, ``Refused`` once it was decided."""
    return _decide(tx, promotion_id, PromotionState.WITHDRAWN, actor)


def proposed(tx: Tx, mapping_id: str) -> Promotion | None:
    """The proposal of the mapping that waits, if one does."""
    row = tx.one("SELECT * FROM mapping_promotions WHERE mapping_id = %(id)s AND state = 'proposed'", id=mapping_id)
    return None if row is None else _from_row(row)


def get(tx: Tx, promotion_id: UUID) -> Promotion:
    """One line of the history. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM mapping_promotions WHERE id = %(id)s", id=promotion_id)
    if row is None:
        raise NotFound(f"promotion {promotion_id} does not exist", field="promotion")
    return _from_row(row)


def current(tx: Tx, mapping_id: str, on: date) -> Promotion | None:
    """The version that counts for what starts ``on`` a business date: of those that are effective then, the last decided."""
    row = tx.one(
        """
        SELECT * FROM mapping_promotions
        WHERE mapping_id = %(mapping_id)s AND state = 'promoted' AND effective_from <= %(on)s
        ORDER BY decided_at DESC, seq DESC LIMIT 1
        """,
        mapping_id=mapping_id,
        on=on,
    )
    return None if row is None else _from_row(row)


def coming(tx: Tx, mapping_id: str, on: date) -> list[Promotion]:
    """Promotions that count from a later business date than ``on``, the last decided first. A later decision that counts now ends them."""
    rows = tx.all(
        """
        SELECT * FROM mapping_promotions AS later
        WHERE mapping_id = %(mapping_id)s AND state = 'promoted' AND effective_from > %(on)s AND NOT EXISTS (
            SELECT 1 FROM mapping_promotions AS now
            WHERE now.mapping_id = later.mapping_id AND now.state = 'promoted' AND now.effective_from <= %(on)s
              AND (now.decided_at, now.seq) > (later.decided_at, later.seq)
        )
        ORDER BY decided_at DESC, seq DESC
        """,
        mapping_id=mapping_id,
        on=on,
    )
    return [_from_row(row) for row in rows]


def not_followed(tx: Tx, on: date) -> list[Promotion]:
    """Promotions that count ``on`` a business date or before, and of which running engagements were not told yet."""
    rows = tx.all(
        """
        SELECT * FROM mapping_promotions
        WHERE state = 'promoted' AND kind <> 'first_use' AND followed_at IS NULL AND effective_from <= %(on)s
        ORDER BY seq FOR UPDATE
        """,
        on=on,
    )
    return [_from_row(row) for row in rows]


def followed(tx: Tx, promotion_id: UUID) -> None:
    """Running engagements follow the promotion, as far as they shall: the job that has them follow is in the queue."""
    tx.execute("UPDATE mapping_promotions SET followed_at = clock_timestamp() WHERE id = %(id)s", id=promotion_id)


def history(tx: Tx, mapping_id: str | None = None) -> list[Promotion]:
    """Every line, the newest first; of one mapping or of all."""
    rows = tx.all(
        """
        SELECT * FROM mapping_promotions WHERE %(id)s::text IS NULL OR mapping_id = %(id)s
        ORDER BY coalesce(decided_at, proposed_at) DESC, seq DESC
        """,
        id=mapping_id,
    )
    return [_from_row(row) for row in rows]


def released(tx: Tx) -> dict[tuple[str, str], str]:
    """(mapping id, label) → content hash of everything that was ever promoted: what may never change again."""
    rows = tx.all("SELECT DISTINCT mapping_id, version, sha256 FROM mapping_promotions WHERE state = 'promoted'")
    return {(row["mapping_id"], row["version"]): row["sha256"] for row in rows}


def fixed(tx: Tx, mapping_id: str, label: str) -> str | None:
    """The content hash with which a version was promoted; ``None`` where it never was."""
    row = tx.one(
        """
        SELECT sha256 FROM mapping_promotions
        WHERE mapping_id = %(mapping_id)s AND version = %(label)s AND state = 'promoted' LIMIT 1
        """,
        mapping_id=mapping_id,
        label=label,
    )
    return None if row is None else str(row["sha256"])


def _decide(tx: Tx, promotion_id: UUID, target: PromotionState, actor: Actor) -> Promotion:
    row = tx.one("SELECT * FROM mapping_promotions WHERE id = %(id)s FOR UPDATE", id=promotion_id)
    if row is None:
        raise NotFound(f"promotion {promotion_id} does not exist", field="promotion")
    if row["state"] != PromotionState.PROPOSED:
        raise Refused(f"promotion {promotion_id} was {row['state']} already", cause="already_decided", field="promotion")
    decided = tx.the(
        """
        UPDATE mapping_promotions SET state = %(state)s, decided_by = %(actor)s, decided_at = clock_timestamp()
        WHERE id = %(id)s RETURNING *
        """,
        state=target,
        actor=actor.id,
        id=promotion_id,
    )
    promotion = _from_row(decided)
    _note(tx, f"mapping.{target}", promotion, actor, Outcome.SUCCESS)
    return promotion


def _note(tx: Tx, action: str, promotion: Promotion, actor: Actor, outcome: Outcome) -> None:
    audit.note(
        tx,
        action,
        target=("mapping", f"{promotion.mapping_id} {promotion.version}"),
        actor=actor,
        outcome=outcome,
        sha256=promotion.sha256,
        kind=promotion.kind,
        running=promotion.running,
        reason=promotion.reason,
        proposed_by=promotion.proposed_by,
        effective_from=promotion.effective_from,
    )


def _from_row(row: Row) -> Promotion:
    kinds = {"kind": PromotionKind(row["kind"]), "running": Running(row["running"]), "state": PromotionState(row["state"])}
    return Promotion(**{**{name: row[name] for name in Promotion.__slots__}, **kinds})
