"""The brake on mass change: what a source wants at once is looked at as a whole, and held before the first of it is done. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from provisioning.policies import Brake


class BrakedKind(StrEnum):
    """What can be held. The values are kept in the ledger."""

    END_BROUGHT_FORWARD = "end_brought_forward"
    REVOKE = "revoke"
    BLOCK = "block"
    GIVE = "give"


TAKING = frozenset({BrakedKind.END_BROUGHT_FORWARD, BrakedKind.REVOKE, BrakedKind.BLOCK})
"""Kinds that take access away. Giving much at once is counted by itself: it tells of a reading that was not whole."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``asked`` changes are wanted where ``already`` so many were let through within the hour and ``limit`` may be."""

    asked: int
    already: int
    limit: float
    explicit: bool = False

    @property
    def is_held(self) -> bool:
        """Whether all that is asked for waits for a person."""
        return self.asked > 0 and not self.explicit and self.already + self.asked > self.limit

    def __str__(self) -> str:
        """For a person who has to decide."""
        before = f", after {self.already} within the hour" if self.already else ""
        return f"{self.asked} at once{before}; at most {self.limit:g} pass without a person"


@dataclass(frozen=True, slots=True)
class EarlierEnd:
    """What a record of a feed says of the end of a stint that runs: ``ends_at`` is earlier than ``known``.

    ``terminates``: the source names the instant of a termination, not only another last day.
    """

    subject: str
    version: str
    engagement_id: UUID
    known: datetime
    ends_at: datetime
    terminates: bool = False


def judge(brake: Brake, *, active: int, already: int, asked: int, explicit: bool = False) -> Verdict:
    """Whether ``asked`` changes may be made where ``active`` people are, and ``already`` so many were made within the hour.

    One ``explicit`` termination is somebody's decision and passes always.
    """
    return Verdict(asked, already, brake.limit(active), explicit=explicit and asked == 1)
