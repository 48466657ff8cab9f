"""What a vendor tells us happened, pushed or asked for: stored once, audited, and its projection deferred, in one transaction."""

from __future__ import annotations

from ledger.database import Tx
from ledger.intake import inbox
from ledger.queueing.jobs import defer_projection
from ledger.trail import audit
from workforce.errors import UnusableContent
from workforce.events import Actor, ActorType, SourceEvent


def take(tx: Tx, system: str, event: SourceEvent, body: bytes, *, auth: str) -> bool:
    """Store the event; whether it is new. ``auth`` tells how we know that it is the system's (``hmac``, ``poll``).

    Raises ``UnusableContent`` for ids that PostgreSQL cannot hold: JSON may have NUL in a text, PostgreSQL has no text that does.
    """
    if "\0" in f"{event.external_id}{event.kind}{event.subject_id}":
        raise UnusableContent("an id in the body holds a NUL character", cause="nul_character")
    received = inbox.receive(tx, source=system, event=event, body=body)
    if received.duplicate:
        return False
    defer_projection(tx, source=system, subject_id=event.subject_id, event_id=received.event_id)
    audit.note(
        tx,
        "event.received",
        target=("event", str(received.event_id)),
        actor=Actor(ActorType.SERVICE, system, auth=auth),
        system=system,
        kind=event.kind,
        subject_id=event.subject_id,
        external_id=event.external_id,
    )
    return True
