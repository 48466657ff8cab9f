"""What a complete snapshot of another system's records tells, held against the two before it.

Absence is the weakest of signs, so that a record has ended only once two snapshots in a row lack it. One that came twice is one, one that
lacks many records at once waits for a person, and one that is not newer than the last is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from workforce.errors import Refused
from workforce.ports import SourceRecord

REPEATED_WITHIN_US = 600 * 1_000_000
A_HANDFUL = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One record. ``line`` is where it stands; ``modified`` is UTC with microseconds, or empty where it is not told.

    A row without its id has one of its own making, by which it is told and never missed.
    """

    record_id: str
    line: int
    modified: str
    values: Mapping[str, str]
    has_id: bool = True


@dataclass(frozen=True, slots=True)
class Ending:
    """How a record says that it has ended: by one of ``statuses`` in the column ``status``, with the instant in ``ended_at``.

    Where a record does not tell the instant, it is the time of the snapshot that tells the end, ``us`` in Unix time. ``absent`` is the
    status of what is missing.
    """

    status: str
    ended_at: str
    statuses: Collection[str]
    absent: str
    us: int

    def told(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """A record's ``values``; once it has ended, with an instant."""
        if not self._has_ended(values) or values.get(self.ended_at, "").strip():
            return values
        return {**values, self.ended_at: (_EPOCH + timedelta(microseconds=self.us)).isoformat()}

    def missed(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """The last known ``values`` of a record that is missing. An end that it told for later does not count any more."""
        own = values.get(self.ended_at, "") if self._has_ended(values) else ""
        return self.told({**values, self.status: self.absent, self.ended_at: own})

    def _has_ended(self, values: Mapping[str, str]) -> bool:
        return values[self.status].strip() in self.statuses


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All rows at one time, in their order. ``key`` orders snapshots as text; ``taken_us`` is Unix time; ``digest`` is of the content.

    What tells only the changes since the last is read in the same way, with ``every_row``.
    """

    name: str
    key: str
    taken_us: int
    digest: str
    rows: Sequence[Row]
    ending: Ending

    def by_id(self) -> dict[str, Row]:
        """The rows by their ids; of several with one id the last."""
        return {row.record_id: row for row in self.rows}

    def every_row(self) -> list[SourceRecord]:
        """Each as a record, whose version grows with its row's own instant, then with the snapshot, then with the line."""
        return [self.record(row) for row in self.rows]

    def record(self, row: Row) -> SourceRecord:
        """A row as this snapshot shows it."""
        return SourceRecord(row.record_id, self._version(row, row.line), self.ending.told(row.values))

    def ended(self, row: Row) -> SourceRecord:
        """The last known record, ended by this snapshot that lacks it."""
        return SourceRecord(row.record_id, self._version(row, 0), self.ending.missed(row.values))

    @property
    def ids(self) -> set[str]:
        """The ids that the system itself gave."""
        return {row.record_id for row in self.rows if row.has_id}

    def _version(self, row: Row, line: int) -> str:
        return " ".join(filter(None, (row.modified, self.key, f"{line:08d}")))


@dataclass(frozen=True, slots=True)
class Comparison:
    """How snapshots are judged. ``earlier`` are always the latest two that count, newest first.

    ``absence_limit_percent`` of the records may be missing at once, or a handful; more waits for a person, who names the snapshot's digest
    in ``confirmed``.
    """

    absence_limit_percent: int
    confirmed: Collection[str]

    def is_left_out(self, now: Snapshot, earlier: Sequence[Snapshot]) -> bool:
        """Whether a snapshot is not newer than the last, or is the last one delivered once more."""
        if not earlier:
            return False
        last = earlier[0]
        is_repeated = now.digest == last.digest and abs(now.taken_us - last.taken_us) < REPEATED_WITHIN_US
        return now.key <= last.key or is_repeated

    def require_few_absences(self, now: Snapshot, earlier: Sequence[Snapshot]) -> None:
        """Raise ``Refused`` (cause ``suspicious_shrink``) when too many records of the one before are missing at once."""
        before = earlier[0].ids if earlier else set[str]()
        missing = len(before - now.ids)
        tolerated = max(len(before) * self.absence_limit_percent / 100, min(A_HANDFUL, len(before) // 2))
        if missing > tolerated and now.digest not in self.confirmed:
            raise Refused(
                f"files: {now.name} lacks {missing} of {len(before)} records; if that is right, name its digest "
                f"{now.digest} in confirmed_files, otherwise take it away",
                cause="suspicious_shrink",
                field="confirmed_files",
            )

    def changes(self, now: Snapshot, earlier: Sequence[Snapshot]) -> list[SourceRecord]:
        """The rows that differ from the snapshot before, and the records that have ended."""
        before, after = earlier[0].by_id() if earlier else {}, now.by_id()
        changed = [
            row for row in now.rows if row.record_id not in before or before[row.record_id].values != row.values
        ]  # what is there again is told again
        older = earlier[1].rows if len(earlier) > 1 else ()
        ended = [row for row in older if row.has_id and row.record_id not in before and row.record_id not in after]
        return [now.record(row) for row in changed] + [now.ended(row) for row in ended]
