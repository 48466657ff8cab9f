"""What every target in memory shares: entries with read lag, and faults on demand."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from workforce.access import AccountState
from workforce.errors import HubError, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.ports import StoredRecord

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
class Target(Generic[E]):
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


def merged(held: Mapping[str, object], values: Mapping[str, object]) -> dict[str, object]:
    """``held`` with ``values`` set; of a nested one, the parts that are not named stay."""
    result = dict(held)
    for name, value in values.items():
        inner = result.get(name)
        nested = isinstance(value, Mapping) and isinstance(inner, Mapping)
        result[name] = merged(inner, value) if nested else value  # type: ignore[arg-type]  # nested says that both are mappings
    return result
