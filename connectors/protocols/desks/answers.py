"""Answers: what people say of a ticket. Only who, when and where the proof is make one; all else is said back to them, and nothing is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.records.instants import in_utc
from workforce.errors import UnusableContent

CLOCKS_DIFFER = timedelta(minutes=15)
"""At most, a person's clock, rounded, from ours."""
NOT_YET = "not_yet"
"""The cause where a clock is a little ahead of ours. It is waited for: what is asked for after an answer counted is then done after it."""
_OUTCOMES = {"done": True, "refused": False}


@dataclass(frozen=True, slots=True)
class Answer:
    """That a ticket was done, or refused: ``at`` is when, in UTC. ``who``, the proof and the reason stay in its file."""

    is_done: bool
    at: datetime
    who: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rules:
    """What an answer is held against: our clock, and the people's zone for times without an offset."""

    now: datetime
    zone: ZoneInfo | None

    def answer(self, fields: Mapping[str, str], opened_at: datetime) -> Answer:
        """The answer in ``fields``. Raises ``UnusableContent`` with all that is wrong with it, in words for whoever wrote it."""
        told = {name: text.strip() for name, text in fields.items()}
        faults = list(_missing(told))
        at = None
        try:
            at = self._instant(told.get("when", ""))
            faults += self._untimely(at, opened_at)
        except ValueError as error:
            faults.append(f"when: {error}")
        if faults or at is None:
            raise UnusableContent("; ".join(faults))
        if at > self.now:
            raise UnusableContent("when: that is not yet", cause=NOT_YET)
        return Answer(_OUTCOMES[told["outcome"].lower()], at, told["who"])

    def _instant(self, text: str) -> datetime:
        try:
            told = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("write date and time, such as 2026-11-23T17:05+01:00") from None
        if told.tzinfo is None:
            told = self._local(told)
        return in_utc(told)

    def _local(self, told: datetime) -> datetime:
        """Around a change of the clocks, a time occurs twice, or never."""
        if self.zone is None:
            raise ValueError("add the offset from UTC, such as +01:00")
        first, second = (told.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() != second.utcoffset():
            raise ValueError("the clocks were changed at that time; add the offset from UTC")
        return first

    def _untimely(self, at: datetime, opened_at: datetime) -> Iterator[str]:
        if at - self.now > CLOCKS_DIFFER:
            yield "when: that is in the future"
        if opened_at - at > CLOCKS_DIFFER:
            yield f"when: that was before the ticket was opened ({opened_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC); say when you saw it so"


def _missing(told: Mapping[str, str]) -> Iterator[str]:
    outcome = told.get("outcome", "").lower()
    if outcome not in _OUTCOMES:
        yield "outcome: say done, or refused"
    if not told.get("who"):
        yield "who: name the person who did it, or who refuses"
    if outcome == "done" and not told.get("evidence"):
        yield "evidence: say where the proof is: the number of a change, a photo, a screenshot"
    if outcome == "refused" and not told.get("reason"):
        yield "reason: say why it is refused"
