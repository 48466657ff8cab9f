"""The closure record of an ending: what was proven gone, where and when, what was left and why, and what nobody can take back sooner."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import rfc8785
from pydantic import AwareDatetime, BaseModel, ConfigDict


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ResidualWindow(_Line):
    """How long after the sign-in was blocked something issued before may still work; ``None``: the system decides, and does not tell."""

    seconds: int | None
    statement: str


RESIDUAL: Mapping[str, ResidualWindow] = {
    "msgraph": ResidualWindow(
        seconds=3600,
        statement="Entra access tokens issued before the block live on for up to about an hour; services with continuous access evaluation"
        " drop them within minutes. Guests' own sessions are ended by their home organisation alone.",
    ),
    "okta": ResidualWindow(
        seconds=3600,
        statement="Sessions and refresh tokens end with the block; access tokens that applications check by themselves live on for their"
        " lifetime, by default one hour. Sessions of an application's own end when the application ends them.",
    ),
    "activedirectory": ResidualWindow(
        seconds=36_000,
        statement="Kerberos tickets issued before the block are honoured by services until they expire, by default within ten hours.",
    ),
    "ldap": ResidualWindow(
        seconds=0,
        statement="Every new bind is refused at once; a connection that was bound before stays so until it is closed.",
    ),
    "scim": ResidualWindow(
        seconds=None,
        statement="The service ends its own sessions when it takes up the change; SCIM does not tell when that is.",
    ),
    "files": ResidualWindow(seconds=None, statement="People take the access away; it is gone when they have said so."),
}
"""By connector. What nothing here speaks of is taken for unknown."""

_UNKNOWN = ResidualWindow(
    seconds=None, statement="How long sessions that began before the block live on is not known of this system."
)


def residual_of(connector: str) -> ResidualWindow:
    """What outlives the block in systems of this connector."""
    return RESIDUAL.get(connector, _UNKNOWN)


class Removed(_Line):
    """One entitlement of the engagement that was read back as gone, or that another engagement supports alone from then on."""

    entitlement: str
    revoked_at: AwareDatetime


class Left(_Line):
    """One entitlement that is not proven to be gone, and why."""

    entitlement: str
    why: str


class SystemClosure(_Line):
    """What happened in one directory. ``recorded`` is what the accounts held when the removal began (account id → entitlements).

    ``kept_for_another``: sign-in goes on, because another engagement of the person supports it.
    """

    system: str
    connector: str
    accounts: tuple[str, ...]
    sign_in_blocked_at: AwareDatetime | None
    kept_for_another: bool
    revoked_at: AwareDatetime | None
    recorded: Mapping[str, tuple[str, ...]]
    removed: tuple[Removed, ...]
    left: tuple[Left, ...]
    residual: ResidualWindow


class RecordClosure(_Line):
    """One system of record that was read back as ended."""

    system: str
    record_id: str
    verified_at: AwareDatetime


class Exposure(_Line):
    """How long access outlived the end. ``seconds`` is wall-clock time, never below 0; ``business_hours`` go by the tenant's calendar."""

    revoked_at: AwareDatetime | None
    seconds: float
    business_hours: float
    state: str
    due_at: AwareDatetime
    calendar_id: str
    calendar_version: int


class StandingHold(_Line):
    """A legal hold that stood when the ending was closed."""

    hold_id: UUID
    placed_at: AwareDatetime
    placed_by: str


class GivenEvidence(_Line):
    """What a person stated."""

    evidence_id: UUID
    subject: str
    statement: str
    given_at: AwareDatetime
    given_by: str


class Trigger(_Line):
    """What began the ending."""

    number: int
    cause: str
    reason: str | None
    began_at: AwareDatetime
    began_by: str


class AuditHead(_Line):
    """Where the audit trail stood: the number of its last event and its hash (hex)."""

    seq: int
    sha256: str


class Closure(_Line):
    """The closure record of one ending of one engagement."""

    engagement_id: UUID
    vms_id: str
    end_at: AwareDatetime
    trigger: Trigger
    systems: tuple[SystemClosure, ...]
    records: tuple[RecordClosure, ...]
    exposure: Exposure
    holds: tuple[StandingHold, ...]
    evidence: tuple[GivenEvidence, ...]
    audit: AuditHead
    closed_at: AwareDatetime

    def values(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return self.model_dump(mode="json")

    def sha256(self) -> str:
        """The digest of the record (RFC 8785, hex)."""
        return hashlib.sha256(rfc8785.dumps(self.values())).hexdigest()


def latest(*instants: datetime | None) -> datetime | None:
    """The latest of those that are known."""
    return max((at for at in instants if at is not None), default=None)
