"""A directory, a record sink, an effect log and a clock in memory: stateful, with read lag and faults on demand.

Shipped for tests and for trying out a plan without any system. They enforce what the real ones do: unique logins and markers, the
table of effect transitions, the fences of epoch and tombstone.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import NAMESPACE_OID, uuid5

from workforce.access import AccountPage, AccountState, DesiredAccount
from workforce.effects import REVOKING, Effect, EffectRecord
from workforce.errors import AlreadyTaken, Fenced, HubError, NotFound, OutcomeUnknown, Refused, RetryLater, outcome_of_each
from workforce.ports import Clock, StoredRecord
from workforce.states import EFFECT_TRANSITIONS, EffectState, require_transition

E = TypeVar("E", AccountState, StoredRecord)
T = TypeVar("T")


class FakeFault(StrEnum):
    """What goes wrong with one write."""

    LOST_BEFORE = "no reply, nothing done"
    LOST_AFTER = "no reply, but it was done"
    THROTTLED = "throttled"
    REFUSED = "refused"


def _error(fault: FakeFault) -> HubError:
    match fault:
        case FakeFault.THROTTLED:
            return RetryLater("too many requests", cause="throttled", after_seconds=1.0)
        case FakeFault.REFUSED:
            return Refused("not allowed", cause="forbidden")
        case FakeFault.LOST_BEFORE | FakeFault.LOST_AFTER:
            return OutcomeUnknown("no reply")


@dataclass
class SettableClock:
    """A clock that stands still until it is moved."""

    instant: datetime

    def now(self) -> datetime:
        """The instant that was set."""
        return self.instant

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self.instant += timedelta(seconds=seconds)


@dataclass
class _Target(Generic[E]):
    """Entries by id. ``faults`` are those of the next writes, in order (``None``: none); ``writes`` are (operation, id) as they were done.

    What a write did shows only after ``lag_reads`` further looks at that entry.
    """

    lag_reads: int = 0
    entries: dict[str, E] = field(default_factory=dict)
    faults: deque[FakeFault | None] = field(default_factory=deque)
    writes: list[tuple[str, str]] = field(default_factory=list)
    _looks: Counter[str] = field(default_factory=Counter, repr=False)
    _versions: dict[str, list[tuple[int, E | None]]] = field(default_factory=dict, repr=False)

    def plant(self, entry_id: str, entry: E) -> str:
        """Put an entry there by hand, visible at once; its id."""
        self.entries[entry_id] = entry
        self._versions[entry_id] = [(-1, entry)]
        return entry_id

    def count(self, operation: str) -> int:
        """How often ``operation`` was really done."""
        return sum(1 for done, _ in self.writes if done == operation)

    def _write(self, act: Callable[[], T]) -> T:
        fault = self.faults.popleft() if self.faults else None
        if fault is not None and fault is not FakeFault.LOST_AFTER:
            raise _error(fault)
        result = act()
        if fault is not None:
            raise _error(fault)
        return result

    def _store(self, operation: str, entry_id: str, entry: E) -> None:
        versions = self._versions.setdefault(entry_id, [(-1, None)])
        versions.append((self._looks[entry_id] + self.lag_reads, entry))
        self.entries[entry_id] = entry
        self.writes.append((operation, entry_id))

    def _shown(self, entry_id: str) -> E | None:
        """One look at an entry: the newest version that shows by now."""
        self._looks[entry_id] += 1
        shows = [entry for hidden_until, entry in self._versions.get(entry_id, []) if hidden_until < self._looks[entry_id]]
        return shows[-1] if shows else None

    def _all_shown(self) -> list[E]:
        return [entry for entry_id in self.entries if (entry := self._shown(entry_id)) is not None]

    def _one_shown(self, entry_id: str) -> E:
        entry = self._shown(entry_id)
        if entry is None:
            raise NotFound(f"there is no {entry_id}")
        return entry

    def _truth(self, entry_id: str) -> E:
        if entry_id not in self.entries:
            raise NotFound(f"there is no {entry_id}")
        return self.entries[entry_id]


@dataclass
class InMemoryDirectory(_Target[AccountState]):
    """The ``Directory`` of ``workforce.ports``. Logins are unique; markers too unless ``marker_is_unique`` is false.

    ``groups`` are the groups that exist. ``signed_in`` is what a trial sign-in finds for an enabled account (``None``: no way to try).
    A single look shows the attributes of an account unless ``hides_attributes``.
    """

    clock: Clock = field(kw_only=True)
    groups: set[str] = field(default_factory=set)
    marker_is_unique: bool = True
    signed_in: bool | None = True
    hides_attributes: bool = False

    def find(self, marker: str) -> Sequence[AccountState]:
        """Every account that shows ``marker``."""
        return [account for account in self._all_shown() if account.marker == marker]

    def find_by_login(self, login: str) -> AccountState | None:
        """The account that shows ``login``."""
        return next((account for account in self._all_shown() if account.login == login), None)

    def read(self, account_id: str) -> AccountState:
        """The account as it shows."""
        account = self._one_shown(account_id)
        return replace(account, attributes=None) if self.hides_attributes else account

    def create(self, account: DesiredAccount) -> str:
        """Create an enabled account without groups."""
        return self._write(lambda: self._create(account))

    def _create(self, account: DesiredAccount) -> str:
        for held in self.entries.values():
            if held.login == account.login or (self.marker_is_unique and held.marker == account.marker):
                raise AlreadyTaken("login or marker is in use", field="login")
        account_id = f"account-{len(self.entries) + 1}"
        state = AccountState(account_id, account.login, account.marker, enabled=True, expires_at=account.expires_at)
        self._store("create", account_id, replace(state, attributes=dict(account.attributes)))
        return account_id

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Set attributes; of a nested one, the parts that are not named stay."""
        self._change(
            "update", account_id, lambda account: replace(account, attributes=_merged(account.attributes or {}, attributes))
        )

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Write the native expiry."""
        self._change("set_expiry", account_id, lambda account: replace(account, expires_at=expires_at))

    def enable(self, account_id: str) -> None:
        """Allow sign-in."""
        self._change("enable", account_id, lambda account: replace(account, enabled=True))

    def disable(self, account_id: str) -> None:
        """Block sign-in; protected accounts are refused."""
        if account_id in self.entries and self.entries[account_id].protected:
            raise Refused(f"account {account_id} is protected", cause="protected_account")
        self._change("disable", account_id, lambda account: replace(account, enabled=False))

    def revoke_sessions(self, account_id: str) -> None:
        """Make every session that is older than now invalid, told in whole seconds."""
        now = self.clock.now().replace(microsecond=0)
        self._change("revoke_sessions", account_id, lambda account: replace(account, sessions_valid_from=now))

    def add_member(self, group_id: str, account_id: str) -> None:
        """Add to a group that exists."""
        if group_id not in self.groups:
            raise NotFound(f"there is no group {group_id}")
        self._change("add_member", account_id, lambda account: replace(account, groups=account.groups | {group_id}))

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Remove from a group."""
        self._change("remove_member", account_id, lambda account: replace(account, groups=account.groups - {group_id}))

    def move_to_disabled(self, account_id: str) -> None:
        """Note the move; there are no places here."""
        self._change("move_to_disabled", account_id, lambda account: account)

    def accounts(self, cursor: str | None) -> AccountPage:
        """Everything in one page, each time."""
        del cursor
        return AccountPage(self._all_shown(), cursor="")

    def block_all(self, account_ids: Sequence[str]) -> Mapping[str, HubError | None]:
        """Disable and sign out, one after the other."""

        def block(account_id: str) -> None:
            self.disable(account_id)
            self.revoke_sessions(account_id)

        return outcome_of_each(account_ids, block)

    def sign_in_works(self, account_id: str) -> bool | None:
        """What a trial sign-in finds now."""
        return None if self.signed_in is None else self._truth(account_id).enabled and self.signed_in

    def _change(self, operation: str, account_id: str, change: Callable[[AccountState], AccountState]) -> None:
        self._write(lambda: self._store(operation, account_id, change(self._truth(account_id))))


def _merged(held: Mapping[str, object], values: Mapping[str, object]) -> dict[str, object]:
    result = dict(held)
    for name, value in values.items():
        inner = result.get(name)
        nested = isinstance(value, Mapping) and isinstance(inner, Mapping)
        result[name] = _merged(inner, value) if nested else value  # type: ignore[arg-type]  # nested says that both are mappings
    return result


@dataclass
class InMemorySink(_Target[StoredRecord]):
    """The ``RecordSink`` of ``workforce.ports``. ``unique_field`` is the sink's own unique key.

    Where ``key_is_enforced`` is false, a second record with the same key, or the same marker, is simply made.
    """

    key_is_enforced: bool = True
    unique_field: str = "email"

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """Every record that shows ``marker`` or the unique key in ``values``."""
        return [record for record in self._all_shown() if self._collides(record, marker, values)]

    def read(self, external_id: str) -> StoredRecord:
        """The record as it shows."""
        return self._one_shown(external_id)

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Create an active record."""
        return self._write(lambda: self._create(marker, values))

    def _create(self, marker: str, values: Mapping[str, object]) -> str:
        if self.key_is_enforced and any(self._collides(record, marker, values) for record in self.entries.values()):
            raise AlreadyTaken(f"{self.unique_field} is in use", field=self.unique_field)
        external_id = f"record-{len(self.entries) + 1}"
        self._store("create", external_id, StoredRecord(external_id, marker, active=True, values=dict(values)))
        return external_id

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Set values; of a nested one, the parts that are not named stay."""
        self._change("update", external_id, lambda record: replace(record, values=_merged(record.values, values)))

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """End the record as of ``ends_on``."""
        del ended_at
        self._change("end", external_id, lambda record: replace(record, active=False, ends_on=ends_on))

    def _collides(self, record: StoredRecord, marker: str, values: Mapping[str, object]) -> bool:
        key = values.get(self.unique_field)
        return record.marker == marker or (key is not None and record.values.get(self.unique_field) == key)

    def _change(self, operation: str, external_id: str, change: Callable[[StoredRecord], StoredRecord]) -> None:
        self._write(lambda: self._store(operation, external_id, change(self._truth(external_id))))


@dataclass(frozen=True, slots=True)
class Logged:
    """One transition of one effect. ``vendor_id`` and ``details`` are those of a ``done``."""

    effect: Effect
    state: EffectState
    cause: str | None = None
    vendor_id: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass
class InMemoryEffectLog:
    """The ``EffectLog`` of ``workforce.ports`` for one engagement and one runner; everything that was logged is kept in ``logged``.

    ``epoch`` is the engagement's (``None``: no fence); ``tombstoned`` fences what grants.
    """

    clock: Clock
    epoch: int | None = None
    tombstoned: bool = False
    records: dict[str, EffectRecord] = field(default_factory=dict)
    logged: list[Logged] = field(default_factory=list)

    def begin(self, effect: Effect) -> EffectRecord:
        """Record the intent and mark the call as started, or say what else to do."""
        self._check_fence(effect, starting=True)
        fresh = EffectRecord(uuid5(NAMESPACE_OID, effect.key), EffectState.INTENDED, attempt=0)
        record = self.records.setdefault(effect.key, fresh)
        if record.state is EffectState.INTENDED:
            started = replace(record, attempt=record.attempt + 1, started_at=self.clock.now(), age_seconds=0.0)
            return self._go(effect, started, EffectState.STARTED)
        record = replace(record, age_seconds=self._age(record))
        if record.state is EffectState.STARTED:
            return self._go(effect, record, EffectState.UNKNOWN, "left_unfinished")
        return record

    def done(self, effect: Effect, vendor_id: str | None, details: Mapping[str, object]) -> None:
        """The call took effect."""
        self._conclude(effect, EffectState.DONE, vendor_id=vendor_id, details=details)

    def refused(self, effect: Effect, cause: str, message: str) -> None:
        """The target said no."""
        del message
        self._conclude(effect, EffectState.REFUSED, cause)

    def unknown(self, effect: Effect, cause: str) -> None:
        """The call may have taken effect."""
        self._conclude(effect, EffectState.UNKNOWN, cause)

    def not_done(self, effect: Effect, cause: str) -> None:
        """Nothing was done: back to intended."""
        self._conclude(effect, EffectState.INTENDED, cause)

    def parked(self, effect: Effect, cause: str, message: str) -> None:
        """A person has to decide. A started call passes through unknown first."""
        del message
        if self.records[effect.key].state is EffectState.STARTED:
            self._conclude(effect, EffectState.UNKNOWN, cause)
        self._conclude(effect, EffectState.PARKED, cause)

    def reopen(self, effect: Effect) -> None:
        """A person mended the cause: a refused or parked effect may be issued again."""
        self._go(effect, self.records[effect.key], EffectState.INTENDED, "reopened")

    def states(self, effect: Effect) -> list[EffectState]:
        """Every state that ``effect`` went through, in order."""
        return [line.state for line in self.logged if line.effect.key == effect.key]

    def _age(self, record: EffectRecord) -> float | None:
        return (self.clock.now() - record.started_at).total_seconds() if record.started_at else None

    def _check_fence(self, effect: Effect, *, starting: bool = False) -> None:
        if self.epoch is not None and effect.epoch != self.epoch:
            raise Fenced(f"the engagement is at epoch {self.epoch}, this runner holds {effect.epoch}")
        if starting and self.tombstoned and effect.kind not in REVOKING:
            raise Fenced(f"the engagement is ending: {effect.kind} is not begun any more", cause="tombstoned")

    def _conclude(
        self,
        effect: Effect,
        target: EffectState,
        cause: str | None = None,
        *,
        vendor_id: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        self._check_fence(effect)
        record = self.records[effect.key]
        if record.state is not target:
            self._go(effect, replace(record, vendor_id=vendor_id or record.vendor_id), target, cause, details)

    def _go(
        self,
        effect: Effect,
        record: EffectRecord,
        target: EffectState,
        cause: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> EffectRecord:
        require_transition(EFFECT_TRANSITIONS, record.state, target)
        changed = replace(record, state=target, lost=record.lost + (target is EffectState.UNKNOWN))
        self.records[effect.key] = changed
        self.logged.append(Logged(effect, target, cause, changed.vendor_id, details or {}))
        return changed
