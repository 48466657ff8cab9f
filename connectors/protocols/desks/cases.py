"""Tickets: the number of one, which is made of what is asked, so that asking again is the same ticket, and how far it is.

``STINT-ST0123456789ABC-add-3f2a9c1b77d0-2`` is the second time that this thing was to be given to the one with this marker. The number is
all that a file's name holds; who and what stand in the file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Generic, TypeVar

from connectors.protocols.desks.answers import Answer
from workforce.markers import is_marker

T = TypeVar("T")
EARLIEST = datetime.min.replace(tzinfo=UTC)
_NUMBER = re.compile(r"([A-Z][A-Z0-9]{0,11})-(\w{15})-([a-z]+)(?:-([0-9a-f]{12}))?-([1-9]\d{0,5})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Number:
    """A ticket's number. ``marker`` is ours of the one it is about; ``subject`` tells apart what is asked of one kind.

    ``turn`` counts how often it was asked for.
    """

    prefix: str
    marker: str
    action: str
    subject: str = ""
    turn: int = 1

    def __str__(self) -> str:
        return "-".join(filter(None, (self.prefix, self.marker, self.action, self.subject, str(self.turn))))

    @classmethod
    def read(cls, text: str) -> Number | None:
        """The number in ``text``, if it is one."""
        match = _NUMBER.fullmatch(text)
        if match is None or not is_marker(match[2]):
            return None
        return cls(match[1], match[2], match[3], match[4] or "", int(match[5]))


def subject_of(*parts: str) -> str:
    """48 bits that tell one subject from another, whatever it is called."""
    return hashlib.sha256("\x1f".join(parts).encode(errors="surrogatepass")).hexdigest()[:12]


class Status(StrEnum):
    """How far a ticket is."""

    OPEN = "open"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    """Put among the closed ones by us, without an answer. One that comes all the same counts."""


@dataclass(frozen=True, slots=True)
class Case(Generic[T]):
    """A ticket and its answers. ``asked`` is what it asks for, ``None`` where its file cannot be believed.

    ``is_put_away``: it lies among the closed ones. ``stays_open``: a refusal does not end it.
    """

    number: Number
    asked: T | None
    opened_at: datetime
    answers: Sequence[Answer]
    is_put_away: bool
    stays_open: bool

    @property
    def last(self) -> Answer | None:
        """The answer that counts: the latest, and of two of the same time the refusal."""
        return max(self.answers, key=lambda answer: (answer.at, not answer.is_done), default=None)

    @property
    def is_refused(self) -> bool:
        """Whether people last said no."""
        return self.last is not None and not self.last.is_done

    @property
    def status(self) -> Status:
        """How far it is."""
        if self.last is not None and (self.last.is_done or not self.stays_open):
            return Status.DONE if self.last.is_done else Status.REFUSED
        return Status.WITHDRAWN if self.is_put_away else Status.OPEN

    @property
    def is_open(self) -> bool:
        """Whether people still have to answer it."""
        return self.status is Status.OPEN

    @property
    def done_at(self) -> datetime:
        """When it was done: not before it was asked for, whatever a clock says.

        Said more than once, it was not done again: what takes away was done when that was said first, and what gives, when it was said last.
        """
        refused_at = max((answer.at for answer in self.answers if not answer.is_done), default=EARLIEST)
        said = [answer.at for answer in self.answers if answer.is_done and answer.at > refused_at]
        return max((min if self.stays_open else max)(said, default=EARLIEST), self.opened_at)

    @property
    def order(self) -> tuple[datetime, datetime, int]:
        """Which of two changes of one thing came later; at one time, what was asked for later."""
        return self.done_at, self.opened_at, self.number.turn
