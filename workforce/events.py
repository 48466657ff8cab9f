"""Events that come in (hints) and events that are kept (audit)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """A verified hint from a source: something happened to ``subject_id``; read it again.

    ``external_id`` is the vendor's own delivery identity, the key of de-duplication. ``kind`` is the vendor's event name.
    ``occurred_at`` is the vendor's clock.
    """

    external_id: str
    kind: str
    subject_id: str
    occurred_at: datetime | None = None


class ActorType(StrEnum):
    """Who acted."""

    HUMAN = "human"
    SERVICE = "service"
    AI = "ai"
    CONTRACTOR = "contractor"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, and by which means (``auth``: ``hmac``, ``timer``, ``cli``)."""

    type: ActorType
    id: str
    auth: str | None = None


HUB = Actor(ActorType.SERVICE, "stint")


class Outcome(StrEnum):
    """How an action ended, in the terms of CADF and OCSF."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"
    PENDING = "pending"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One line of the audit trail before it is chained. ``action`` is dotted and past tense: ``account.disabled``.

    ``details`` holds ids, counts, instants and hashes: never names, addresses or other personal data.
    """

    action: str
    actor: Actor
    outcome: Outcome
    target_type: str
    target_id: str
    occurred_at: datetime
    system: str | None = None
    engagement_id: UUID | None = None
    correlation_id: str | None = None
    reason_code: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)
