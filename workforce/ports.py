"""The ports: what the hub asks of the outside world. Connectors and the ledger provide them; nothing here does I/O.

A connector lists only the capabilities that it provides. Every method may raise the four errors of ``workforce.errors`` and
nothing else. Reads are retried inside the connector for seconds; writes never are: a write that may have happened raises
``OutcomeUnknown``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from workforce.access import AccountPage, AccountState, DesiredAccount, FirstCredential, LastChange, Seats
from workforce.effects import Effect, EffectRecord
from workforce.errors import HubError
from workforce.events import SourceEvent
from workforce.screening import ScreeningOrder, ScreeningState
from workforce.signing import SigningRequest


class Clock(Protocol):
    """The time now. Injected so that tests decide it."""

    def now(self) -> datetime:
        """The current instant, aware, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record as its source holds it, read just now.

    ``version`` orders the versions of one record: a later one compares greater as a string (an ISO instant, a padded number).
    ``values`` are the source's own field names, JSON-compatible (``Decimal`` and dates still as the source writes them).
    """

    external_id: str
    version: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Records that changed since a cursor, and the cursor to continue from. ``complete`` is false while pages remain."""

    records: Sequence[SourceRecord]
    cursor: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class EventPage:
    """Hints that a system gives when it is asked, and the cursor to continue from. ``complete`` is false while pages remain."""

    events: Sequence[SourceEvent]
    cursor: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What ``check()`` found: reachable and permitted, or why not. ``detail`` is one line for an administrator."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record that a sink holds. ``values`` are those fields, in the sink's own names, that the connector can read back."""

    external_id: str
    marker: str | None
    active: bool
    values: Mapping[str, object] = field(default_factory=dict)
    ends_on: str | None = None


@dataclass(frozen=True, slots=True)
class Schemas:
    """What the records of one instance hold, and what may be written to it, as JSON Schemas (draft 2020-12) and as the system tells it now.

    ``source`` describes ``SourceRecord.values``, ``target`` the values for a sink; ``None`` where the system does not tell.
    """

    source: Mapping[str, Any] | None = None
    target: Mapping[str, Any] | None = None


class Checkable(Protocol):
    """Every connector."""

    def check(self) -> CheckResult:
        """Try credentials and permissions with the cheapest read. Raises nothing: a fault is ``ok=False``."""
        ...

    def close(self) -> None:
        """Give back connections. The client is not used afterwards."""
        ...


class Webhooks(Protocol):
    """Inbound events."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Check the signature over the raw ``body`` with every active key. Raises ``BadSignature``. Header names are lower case."""
        ...

    def events(self, body: bytes) -> Sequence[SourceEvent]:
        """The hints in a verified body. Raises ``UnusableContent`` when it cannot be understood."""
        ...


@runtime_checkable
class RepliesInWords(Protocol):
    """A ``Webhooks`` whose sender takes nothing but a certain text for a receipt."""

    reply: bytes
    """What a stored delivery is answered with, as plain text."""


class MissedEvents(Protocol):
    """The net under lost webhooks, for systems that push events and are no ``RecordSource``."""

    def missed(self, cursor: str | None) -> EventPage:
        """Hints about everything that happened since ``cursor`` (``None``: as far back as the system tells).

        A hint that a webhook brought as well has the same ``external_id`` where the system tells it; otherwise the record is read once
        more, which is harmless.
        """
        ...


class RecordSource(Protocol):
    """A system that owns records (a VMS, an ATS)."""

    def changes(self, cursor: str | None) -> ChangePage:
        """Records changed since ``cursor`` (``None``: from the beginning), nothing lost or doubled while records change."""
        ...

    def read(self, external_id: str) -> SourceRecord:
        """The record as it is now. Raises ``NotFound``."""
        ...


class RecordSchemas(Protocol):
    """A system that tells which fields this customer has, beyond what is the same for all."""

    def read(self) -> Schemas:
        """The fields as they are now, closed: what is not named is not there."""
        ...


class RecordEnding(Protocol):
    """A system whose record of the engagement can be ended (a VMS, an HRIS, payroll)."""

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """End the engagement at the system as of ``ends_on`` (ISO date at the work location). Idempotent."""
        ...

    def read(self, external_id: str) -> StoredRecord:
        """The record as it is now. Raises ``NotFound``."""
        ...


class RecordSink(RecordEnding, Protocol):
    """A system that keeps a copy of the record (an HRIS, payroll)."""

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """Every record that carries ``marker`` or holds the unique key in ``values``; the answer says which carry the marker."""
        ...

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Create a record that carries ``marker``; its id. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        ...

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Set ``values``. Idempotent."""
        ...


@runtime_checkable
class Rehiring(Protocol):
    """A sink whose ended records can be taken up again: the same person comes back."""

    def rehire(self, external_id: str, *, starts_on: str) -> None:
        """Make the record active again as of ``starts_on`` (ISO date at the work location), which may be to come. Active already is success.

        What was told of the earlier stint stays told wherever the system keeps a history. Raises ``NotFound``.
        """
        ...


class Signing(Protocol):
    """An e-signature system. What is sent carries our marker, so that a lost reply is looked up and never repeated."""

    def find(self, marker: str) -> Sequence[str]:
        """The ids of every envelope that carries ``marker``, in whatever state."""
        ...

    def send(self, request: SigningRequest) -> str:
        """Send an agreement made from a template for signature; the envelope's id. Raises ``OutcomeUnknown``."""
        ...

    def documents(self, envelope_id: str) -> bytes:
        """The signed documents as one PDF. Raises ``NotFound``; ``RetryLater`` while the system still makes it."""
        ...

    def void(self, envelope_id: str, reason: str) -> None:
        """Withdraw the agreement; people are told ``reason``. Idempotent. Raises ``Refused`` (cause ``completed``) once it is signed."""
        ...

    def status(self, envelope_id: str) -> SourceRecord:
        """The envelope as it is now: status, completion, custom fields and recipients. Raises ``NotFound``."""
        ...


class Screening(Protocol):
    """A system for background checks. It never decides about a person: nothing here rejects anybody."""

    def find(self, marker: str) -> Sequence[str]:
        """The ids of every order that carries ``marker``."""
        ...

    def order(self, order: ScreeningOrder) -> str:
        """Order a check; the order's id. Raises ``OutcomeUnknown``."""
        ...

    def status(self, order_id: str) -> ScreeningState:
        """The order as it is now. Raises ``NotFound``."""
        ...


class Directory(Protocol):
    """A directory that holds accounts and groups (Entra ID, LDAP). Ids are the directory's immutable ids."""

    def find(self, marker: str) -> Sequence[AccountState]:
        """Every account that carries ``marker``."""
        ...

    def find_by_login(self, login: str) -> AccountState | None:
        """The account that holds the unique sign-in name ``login``, whosever it is."""
        ...

    def read(self, account_id: str) -> AccountState:
        """The account as it is now, with its direct group memberships and the attributes that it shows. Raises ``NotFound``."""
        ...

    def create(self, account: DesiredAccount) -> str:
        """Create the account, with marker and native expiry and without groups, enabled only if it shall be; its immutable id.

        The first password is random and kept nowhere. Raises ``AlreadyTaken``, ``OutcomeUnknown``; ``Refused`` (cause
        ``no_guests``) for a guest where the directory has none.
        """
        ...

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Set attributes in the directory's own names. Idempotent."""
        ...

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Write the native expiry. Idempotent."""
        ...

    def enable(self, account_id: str) -> None:
        """Allow sign-in; an account in the place for disabled ones is brought back from there. Idempotent."""
        ...

    def disable(self, account_id: str) -> None:
        """Block sign-in. Idempotent. Refuses protected accounts (cause ``protected_account``)."""
        ...

    def revoke_sessions(self, account_id: str) -> None:
        """Invalidate sign-in sessions and refresh tokens, or the directory's nearest equal. Idempotent."""
        ...

    def add_member(self, group_id: str, account_id: str) -> None:
        """Add to a group. Already a member is success.

        Raises ``NotFound`` for an unknown group; ``Refused`` (cause ``group_not_ours``) for one whose members something else decides (a
        dynamic group, one that is synchronised from elsewhere).
        """
        ...

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Remove from a group. Not a member is success."""
        ...

    def move_to_disabled(self, account_id: str) -> None:
        """Move to the place for disabled accounts; nothing where the directory has none. Idempotent."""
        ...

    def accounts(self, cursor: str | None) -> AccountPage:
        """Accounts of ours and of others, a page at a time; with the cursor of a finished reading, at least those that changed since.

        ``None`` starts at the beginning. A directory that cannot tell changes gives everything again. Partial results are an error.
        """
        ...

    def block_all(self, account_ids: Sequence[str]) -> Mapping[str, HubError | None]:
        """``disable`` and ``revoke_sessions`` for each, as quickly as the directory can; each one's error or ``None``.

        One account's failure never keeps another from being blocked. Idempotent.
        """
        ...

    def sign_in_works(self, account_id: str) -> bool | None:
        """Prove by trying whether the account can sign in; ``None`` where the directory gives no way to try.

        The trial sets a fresh random password that is kept nowhere, so call it only before hand-over or after the end.
        """
        ...


@runtime_checkable
class ReadsTogether(Protocol):
    """A directory that can read many accounts with few requests."""

    def read_all(self, account_ids: Sequence[str]) -> Mapping[str, AccountState | HubError]:
        """Each account as it is now, with its groups, or why it cannot be read. Attributes may be left out."""
        ...


@runtime_checkable
class Licensing(Protocol):
    """A directory that holds licences."""

    def seats(self, licence: str) -> Seats:
        """How many of ``licence`` there are. Raises ``NotFound`` for one that the company does not have."""
        ...

    def assign_licence(self, account_id: str, licence: str) -> None:
        """Give a licence. Idempotent. Raises ``Refused`` (cause ``no_seat_left``) where none is free; nothing is bought."""
        ...

    def reclaim_licence(self, account_id: str, licence: str) -> None:
        """Take a licence that the account holds directly. Not held is success. Raises ``Refused`` (``inherited_licence``) otherwise."""
        ...


@runtime_checkable
class AppRoles(Protocol):
    """A directory that holds roles of applications."""

    def assign_app_role(self, account_id: str, app_role: str) -> None:
        """Give a role. Already given is success. Raises ``NotFound`` for an unknown one."""
        ...

    def remove_app_role(self, account_id: str, app_role: str) -> None:
        """Take a role. Not given is success."""
        ...


@runtime_checkable
class Managers(Protocol):
    """A directory that knows who somebody's manager is."""

    def set_manager(self, account_id: str, address: str) -> None:
        """Make the account that holds ``address`` the manager. Idempotent. Raises ``NotFound`` where nobody has it."""
        ...


@runtime_checkable
class TellsWhoChanged(Protocol):
    """A directory that keeps when an account was changed last, and perhaps by whom (LDAP's ``modifiersName``, an audit log)."""

    def last_change(self, account_id: str) -> LastChange | None:
        """The account's last change; ``None`` where that was ours or the directory's own, or is not kept. Raises ``NotFound``."""
        ...


@runtime_checkable
class Renaming(Protocol):
    """A directory in which a sign-in name can change while the account stays the same."""

    def rename(self, account_id: str, login: str) -> None:
        """Give the account another login; the old one stays an alias. Idempotent. Raises ``AlreadyTaken``."""
        ...


@runtime_checkable
class Restoring(Protocol):
    """A directory that keeps deleted accounts for a while."""

    def deleted(self, marker: str) -> Sequence[str]:
        """The ids of deleted accounts that carry ``marker`` and can be restored."""
        ...

    def restore(self, account_id: str) -> None:
        """Bring a deleted account back, disabled. Idempotent. Raises ``NotFound`` once it is gone for good."""
        ...


@runtime_checkable
class Credentials(Protocol):
    """A directory that can make a first credential for a person."""

    def first_credential(self, account_id: str) -> FirstCredential:
        """Make one; it replaces an earlier one. Whoever asks for it delivers it, and keeps it nowhere."""
        ...


class EffectLog(Protocol):
    """The ledger's record of outside writes. Each call is one committed transaction that also writes the audit trail."""

    def begin(self, effect: Effect) -> EffectRecord:
        """Record the intent and mark the call as started, unless it is done, unknown, or was left started by a crash.

        The answer's state tells what to do: ``STARTED`` with ``attempt == n`` fresh → call now; ``DONE`` → nothing to do;
        ``UNKNOWN`` → look it up first (a call that was left unfinished is given back as ``UNKNOWN``); ``REFUSED`` or ``PARKED`` →
        waits for a person. Raises ``Fenced`` when the epoch is stale, or the engagement is tombstoned and the kind grants.
        """
        ...

    def done(self, effect: Effect, vendor_id: str | None, details: Mapping[str, object]) -> None:
        """The call took effect. ``details`` is lineage for the audit trail: ids, versions, hashes."""
        ...

    def refused(self, effect: Effect, cause: str, message: str) -> None:
        """The target said no."""
        ...

    def unknown(self, effect: Effect, cause: str) -> None:
        """The call may have taken effect."""
        ...

    def not_done(self, effect: Effect, cause: str) -> None:
        """The target said that it did nothing, or a look-up proved absence: back to intended, to be issued again."""
        ...

    def parked(self, effect: Effect, cause: str, message: str) -> None:
        """A person has to decide (a namesake, several holders of one marker)."""
        ...


class HeldCredential(Protocol):
    """A credential that its vendor replaces with each use, held by us alone until the block of ``exclusively`` ends."""

    def newest(self) -> str | None:
        """What was kept last, as it is now and whoever kept it; ``None`` while the seed is all there is."""
        ...

    def replace(self, used: str | None, fresh: str) -> None:
        """Keep ``fresh`` instead of ``used``; nothing happens where ``used`` is no longer the newest. Call it last in the block."""
        ...


class CredentialStore(Protocol):
    """Keeps one connector instance's changing credential, shared by all processes. What is kept is the connector's own text."""

    def exclusively(self, seed: str) -> AbstractContextManager[HeldCredential]:
        """Hold the credential that came from ``seed``, the configured one: other holders, of any process, wait.

        Read ``newest`` inside the block, because it may have changed while we waited. What is replaced is durable once the block has
        ended without an error. Each seed has a credential of its own, so a new seed starts afresh. Raises ``RetryLater`` when the
        store is away or held for too long, ``Misconfigured`` when what it keeps cannot be opened.
        """
        ...


class Notifier(Protocol):
    """A channel to people."""

    def send(self, *, to: Iterable[str], subject: str, text: str, dedup_key: str) -> None:
        """Send once per ``dedup_key``, as far as the channel allows. ``to`` are addresses in the channel's own terms.

        Raises ``OutcomeUnknown`` when it may have been sent.
        """
        ...
