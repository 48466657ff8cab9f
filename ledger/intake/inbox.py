"""What arrived from outside: each delivery stored once, for ever, and carried through its states."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger import failures
from ledger.database import Tx
from ledger.failures import Failure
from ledger.ids import uuid7
from ledger.trail import audit
from workforce.errors import NotFound
from workforce.events import Actor, SourceEvent
from workforce.states import EVENT_TRANSITIONS, EventState, require_transition

UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class Received:
    """The stored delivery. ``duplicate`` means that it was here before and there is nothing to do."""

    event_id: UUID
    duplicate: bool


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """A delivery as stored. ``engagement_id`` is what it led to, once known."""

    id: UUID
    source: str
    external_id: str
    kind: str
    subject_id: str
    occurred_at: datetime | None
    body: bytes
    state: EventState
    received_at: datetime
    cause: str | None
    message: str | None
    engagement_id: UUID | None


def receive(tx: Tx, *, source: str, event: SourceEvent, body: bytes) -> Received:
    """Store a verified delivery, unless its (source, external id) is known.

    The caller defers the job and writes the audit line in the same transaction.
    """
    event_id = _insert(tx, source, event, body, EventState.RECEIVED)
    if event_id is None:
        return Received(_known(tx, source, event.external_id), duplicate=True)
    return Received(event_id, duplicate=False)


def receive_unusable(tx: Tx, source: str, body: bytes, cause: str, message: str, *, field: str | None = None) -> Received:
    """Store an authentic delivery that cannot be understood and park it at once. The same bytes again are a duplicate."""
    digest = hashlib.sha256(body).hexdigest()
    event = SourceEvent(external_id=f"sha256:{digest}", kind=UNUSABLE, subject_id="")
    event_id = _insert(tx, source, event, body, EventState.PARKED, cause, message)
    if event_id is None:
        return Received(_known(tx, source, event.external_id), duplicate=True)
    failures.park(tx, cause=cause, message=message, field=field, event_id=event_id)
    return Received(event_id, duplicate=False)


def get(tx: Tx, event_id: UUID) -> InboxEvent:
    """A delivery. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM inbox WHERE event_id = %(id)s", id=event_id)
    if row is None:
        raise NotFound(f"event {event_id} does not exist", field="event_id")
    columns = {name: row[name] for name in InboxEvent.__slots__ if name not in {"id", "state"}}
    return InboxEvent(id=row["event_id"], state=EventState(row["state"]), **columns)


def project(tx: Tx, event_id: UUID) -> None:
    """The source record was read again and the desired state knows it. Raises ``Refused`` (cause ``illegal_transition``)."""
    _go(tx, event_id, EventState.PROJECTED)


def settle(tx: Tx, event_id: UUID, engagement_id: UUID | None = None) -> None:
    """Everything that follows from the event is done. Already settled is no change. Raises ``Refused``, ``NotFound``."""
    _go(tx, event_id, EventState.SETTLED, engagement_id=engagement_id)


def park(
    tx: Tx,
    event_id: UUID,
    *,
    cause: str,
    message: str,
    field: str | None = None,
    engagement_id: UUID | None = None,
    group_key: str | None = None,
) -> Failure:
    """Set the event aside for a person, with an audited line in the failure list. Raises ``Refused``, ``NotFound``."""
    _go(tx, event_id, EventState.PARKED, cause=cause, message=message, engagement_id=engagement_id)
    return failures.park(
        tx, cause=cause, message=message, field=field, engagement_id=engagement_id, event_id=event_id, group_key=group_key
    )


def replay(tx: Tx, event_id: UUID, actor: Actor) -> None:
    """Take a parked event up again, once its cause is mended; audited. Defer its job in the same transaction."""
    if _go(tx, event_id, EventState.RECEIVED):
        audit.note(tx, "event.replayed", target=("event", str(event_id)), actor=actor)


def _insert(
    tx: Tx, source: str, event: SourceEvent, body: bytes, state: EventState, cause: str | None = None, message: str | None = None
) -> UUID | None:
    row = tx.one(
        """
        INSERT INTO inbox (tenant, event_id, source, external_id, kind, subject_id, occurred_at, body, state, cause, message)
        VALUES (%(tenant)s, %(event_id)s, %(source)s, %(external_id)s, %(kind)s, %(subject_id)s, %(occurred_at)s,
                %(body)s, %(state)s, %(cause)s, %(message)s)
        ON CONFLICT (tenant, source, external_id) DO NOTHING
        RETURNING event_id
        """,
        tenant=tx.tenant,
        event_id=uuid7(),
        source=source,
        external_id=event.external_id,
        kind=event.kind,
        subject_id=event.subject_id,
        occurred_at=event.occurred_at,
        body=body,
        state=state,
        cause=cause,
        message=message,
    )
    return None if row is None else UUID(str(row["event_id"]))


def _known(tx: Tx, source: str, external_id: str) -> UUID:
    row = tx.the(
        "SELECT event_id FROM inbox WHERE source = %(source)s AND external_id = %(external_id)s",
        source=source,
        external_id=external_id,
    )
    return UUID(str(row["event_id"]))


def _go(
    tx: Tx,
    event_id: UUID,
    target: EventState,
    *,
    cause: str | None = None,
    message: str | None = None,
    engagement_id: UUID | None = None,
) -> bool:
    """Change the state through the transition table; false when it is there already."""
    row = tx.one("SELECT state FROM inbox WHERE event_id = %(id)s FOR UPDATE", id=event_id)
    if row is None:
        raise NotFound(f"event {event_id} does not exist", field="event_id")
    if row["state"] == target:
        return False
    require_transition(EVENT_TRANSITIONS, EventState(row["state"]), target)
    tx.execute(
        """
        UPDATE inbox
        SET state = %(state)s, cause = %(cause)s, message = %(message)s, changed_at = clock_timestamp(),
            engagement_id = coalesce(%(engagement_id)s, engagement_id)
        WHERE event_id = %(id)s
        """,
        state=target,
        cause=cause,
        message=message,
        engagement_id=engagement_id,
        id=event_id,
    )
    return True
