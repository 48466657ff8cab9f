"""The employmentStatus table as a history: which row starts a stint, which ends it, and what has to be written.

BambooHR keeps employment status in dated rows, and the last row by date rules. Writing a row twice adds it twice, so the rows are
read first and only the difference is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile

from connectors.bamboohr.records import StatusRow
from workforce.errors import Refused


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row to add (``row_id`` is ``None``) or the columns to change in an existing one."""

    row_id: str | None
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StatusHistory:
    """Rows in order of date, then of creation. ``contractor`` and ``terminated`` are the company's names of the two statuses."""

    rows: tuple[StatusRow, ...]
    contractor: str
    terminated: str

    @classmethod
    def of(cls, rows: Iterable[StatusRow], *, contractor: str, terminated: str) -> StatusHistory:
        """The history in ``rows``, which come in no particular order. Capitals in the company's names do not matter."""
        ours = {name.casefold(): name for name in (contractor, terminated)}
        spelled = ((row, ours.get((row.employmentStatus or "").casefold(), row.employmentStatus)) for row in rows)
        alike = [row.model_copy(update={"employmentStatus": status}) for row, status in spelled]
        return cls(tuple(sorted(alike, key=_order)), contractor, terminated)

    @property
    def ended_on(self) -> str | None:
        """The date of the row that ends the last stint, if one does; of the first, where a repeated write added more."""
        return self._endings[0].date if self._endings else None

    def start(self, starts_on: str) -> RowChange | None:
        """What makes the current stint start on ``starts_on``: nothing, a corrected date, or a row (also after an ended stint).

        Raises ``Refused`` (cause ``overlapping_stints``) when that would reach into an earlier stint; one that begins on the very day of
        its end cannot begin earlier, and stays (see ``again``).
        """
        starts = [row for row in self._current_stint() if row.employmentStatus == self.contractor]
        if any(row.date == starts_on for row in starts):
            return None
        if self._previous_end is not None and starts_on <= self._previous_end:
            if starts and starts[0].date == self._previous_end:
                return None
            raise Refused(
                "bamboohr: hireDate is not after the end of an earlier stint; correct the date or the employment status table",
                cause="overlapping_stints",
                field="hireDate",
            )
        anew = self.ended_on is not None and starts_on >= self.ended_on
        if starts and not anew:
            return RowChange(starts[0].id, {"date": starts_on})
        return RowChange(None, {"date": starts_on, "employmentStatus": self.contractor})

    def again(self, starts_on: str) -> RowChange | None:
        """What takes an ended person up again: a row on ``starts_on``, or on the day of the ending where that is later; nothing, where none ended.

        The table holds one status a day, so of a stint that began before the other ended only the rest can be told. So it is with an
        ending that is taken back: its row stays, and the next one of the same day rules.
        """
        if not self._endings:
            return None
        return RowChange(None, {"date": max(starts_on, self._endings[-1].date), "employmentStatus": self.contractor})

    def end(self, ends_on: str, further: Mapping[str, str]) -> list[RowChange]:
        """What makes the current stint end on ``ends_on``: nothing, corrected dates, or a row with the ``further`` columns.

        Never before the stint's own last row, or that row would rule and the person would count as employed. Raises ``Refused``
        (cause ``not_a_contractor``) when somebody has given the person another status since: a conversion is not ours to end.
        """
        stint = self._current_stint()
        if stint and stint[-1].employmentStatus != self.contractor and not self._endings:
            raise Refused(
                f"bamboohr: the employment status is not {self.contractor} any more; decide in BambooHR whether it ends",
                cause="not_a_contractor",
                field="employmentStatus",
            )
        day = max(ends_on, stint[-1].date) if stint else ends_on
        if not self._endings:
            return [RowChange(None, {**further, "date": day, "employmentStatus": self.terminated})]
        wrong = [row for row in self._endings if row.date != day]
        # A row keeps its wrong date where the right one would put it before a younger row of the same day: ended late beats employed.
        return [RowChange(row.id, {"date": day}) for row in wrong if not stint or _order(row, day) > _order(stint[-1])]

    @property
    def _endings(self) -> tuple[StatusRow, ...]:
        """The rows that end the last stint: one, or more where a repeated write was not seen in time."""
        last = tuple(takewhile(lambda row: row.employmentStatus == self.terminated, reversed(self.rows)))
        return last[::-1]

    @property
    def _body(self) -> tuple[StatusRow, ...]:
        """The rows without those that end the last stint."""
        return self.rows[: len(self.rows) - len(self._endings)]

    @property
    def _previous_end(self) -> str | None:
        return max((row.date for row in self._body if row.employmentStatus == self.terminated), default=None)

    def _current_stint(self) -> tuple[StatusRow, ...]:
        """The rows since the previous ending, without those that end the stint itself."""
        ends = [index for index, row in enumerate(self._body) if row.employmentStatus == self.terminated]
        return self._body[ends[-1] + 1 :] if ends else self._body


def _order(row: StatusRow, day: str | None = None) -> tuple[str, int]:
    """By date, then by creation; ``day`` instead of the row's own date. Which of two rows of one day rules: not verified."""
    return day or row.date, int(row.id) if row.id.isdigit() else 0
