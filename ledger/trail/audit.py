"""The audit trail: one hash chain per tenant, append-only, written in the transaction of what it tells.

An event's hash is SHA-256 over the previous event's hash and the event's RFC 8785 bytes. Its fields follow CADF (initiator, action,
target, outcome, reason) under CloudEvents' names for identity and time.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import rfc8785

from ledger.database import Tx
from ledger.ids import uuid7
from workforce.events import HUB, Actor, AuditEvent, Outcome

SCHEMA_VERSION = "1"
GENESIS = bytes(32)
_EXACT_INTEGERS = 2**53 - 1  # RFC 8785 numbers are IEEE doubles


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the trail as stored."""

    seq: int
    prev_hash: bytes
    event_hash: bytes
    event: Mapping[str, Any]


def append(tx: Tx, event: AuditEvent) -> int:
    """Append ``event`` to the tenant's chain; its sequence number.

    Call it last in a transaction: the chain stays locked until the commit, and every other writer of the tenant waits. ``record``
    and ``note`` see to that by themselves.
    """
    tx.one("SELECT pg_advisory_xact_lock(hashtextextended('audit:' || %(tenant)s, 0))", tenant=tx.tenant)
    # A statement of its own: it must see what was committed while we waited for the lock.
    last = tx.the(
        """
        SELECT seq, event_hash, clock_timestamp() AS recorded_at
        FROM (VALUES (1)) AS always
        LEFT JOIN (
            SELECT seq, event_hash FROM audit_events WHERE tenant = %(tenant)s ORDER BY seq DESC LIMIT 1
        ) AS newest ON true
        """,
        tenant=tx.tenant,
    )
    seq, prev_hash = (last["seq"] or 0) + 1, last["event_hash"] or GENESIS
    canonical = rfc8785.dumps(body(tx.tenant, seq, event, recorded_at=last["recorded_at"]))
    tx.execute(
        """
        INSERT INTO audit_events (tenant, seq, prev_hash, event_hash, event)
        VALUES (%(tenant)s, %(seq)s, %(prev_hash)s, %(event_hash)s, %(event)s)
        """,
        tenant=tx.tenant,
        seq=seq,
        prev_hash=prev_hash,
        event_hash=hashlib.sha256(prev_hash + canonical).digest(),
        event=canonical.decode(),
    )
    return seq


def record(tx: Tx, event: AuditEvent) -> None:
    """Append ``event`` when the transaction is about to commit."""
    tx.at_the_end(partial(append, event=event))


def note(
    tx: Tx,
    action: str,
    *,
    target: tuple[str, str] | None = None,
    actor: Actor = HUB,
    outcome: Outcome = Outcome.SUCCESS,
    engagement_id: UUID | None = None,
    system: str | None = None,
    reason_code: str | None = None,
    **details: object,
) -> None:
    """``record`` an event of the ledger's own. It occurred when the transaction began.

    ``target`` is type and id; left out, it is the engagement. Raises ``ValueError`` where neither is told.
    """
    if target is None:
        if engagement_id is None:
            raise ValueError(f"{action}: an event is about something; tell target or engagement_id")
        target = ("engagement", str(engagement_id))
    event = AuditEvent(
        action=action,
        actor=actor,
        outcome=outcome,
        target_type=target[0],
        target_id=target[1],
        occurred_at=tx.began_at,
        system=system,
        engagement_id=engagement_id,
        reason_code=reason_code,
        details=details,
    )
    record(tx, event)


def entries(
    tx: Tx, *, engagement_id: UUID | None = None, action: str | None = None, after_seq: int = 0, limit: int = 1000
) -> list[AuditEntry]:
    """The trail from ``after_seq`` on, oldest first, optionally of one engagement or action."""
    rows = tx.all(
        """
        SELECT seq, prev_hash, event_hash, event
        FROM audit_events
        WHERE tenant = %(tenant)s AND seq > %(after_seq)s
          AND (%(engagement_id)s::uuid IS NULL OR engagement_id = %(engagement_id)s)
          AND (%(action)s::text IS NULL OR action = %(action)s)
        ORDER BY seq
        LIMIT %(limit)s
        """,
        tenant=tx.tenant,
        after_seq=after_seq,
        engagement_id=engagement_id,
        action=action,
        limit=limit,
    )
    return [AuditEntry(row["seq"], row["prev_hash"], row["event_hash"], json.loads(row["event"])) for row in rows]


def body(tenant: str, seq: int, event: AuditEvent, *, recorded_at: datetime) -> dict[str, Any]:
    """The event as it is hashed: JSON values only."""
    return {
        "event_id": str(uuid7()),
        "tenant": tenant,
        "seq": seq,
        "occurred_at": _plain(event.occurred_at),
        "recorded_at": _plain(recorded_at),
        "actor": {"type": event.actor.type.value, "id": _plain(event.actor.id), "auth": event.actor.auth},
        "action": event.action,
        "target": {"type": event.target_type, "id": _plain(event.target_id), "system": event.system},
        "engagement_id": None if event.engagement_id is None else str(event.engagement_id),
        "outcome": event.outcome.value,
        "reason_code": event.reason_code,
        "correlation_id": event.correlation_id,
        "details": _plain(event.details),
        "schema_version": SCHEMA_VERSION,
    }


def _plain(value: object) -> Any:
    """``value`` as JSON that RFC 8785 and ``jsonb`` both hold: exact numbers, no NUL, no lone surrogates."""
    if isinstance(value, Mapping):
        return {_text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return [_plain(item) for item in sorted(value)]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    if value is None or _is_exact(value):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return _text(str(value))


def _is_exact(value: object) -> bool:
    """Whether ``value`` is a truth value or a number that a double holds exactly."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and abs(value) <= _EXACT_INTEGERS


def _text(value: str) -> str:
    return value.replace("\0", "\ufffd").encode(errors="replace").decode()
