"""The place in the reading of changes.

One reading walks three lists one after the other (applications, offers, candidates), because a moved start date or a corrected name does not
touch the application. Greenhouse sorts by nothing that is known, and its own page cursor is kept between pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from connectors.records.cursors import Change, Feed

STREAMS = ("applications", "offers", "candidates")
MAX_KEPT = 5_000


@dataclass(frozen=True, slots=True)
class Delivered:
    """What is told of an application, and whether as hired."""

    change: Change
    hired: bool

    @property
    def modified(self) -> datetime:
        """The latest of its parts' stamps."""
        return self.change.modified

    @property
    def digest(self) -> str:
        """Of all that is told."""
        return self.change.digest


@dataclass(frozen=True, slots=True)
class Place(Feed):
    """``stream`` is the number of the list that is read.

    ``hired`` are the applications last told as hired, oldest first: one among them that is not hired any more was un-hired. The oldest are
    forgotten beyond 5,000: they are told by webhooks still.
    """

    is_sorted: ClassVar[bool] = False

    stream: Annotated[int, Field(ge=0, lt=len(STREAMS))] = 0
    hired: tuple[str, ...] = ()

    def following(
        self, told: Sequence[Delivered], *, served_at: datetime, overlap: timedelta, next_page: str | None = None
    ) -> Place:
        """The place once ``told`` are told: the next page, else the next list, else the start of the next reading."""
        is_last_list = self.floor is None or self.stream + 1 == len(STREAMS)  # without a bound the applications were everything
        is_through = next_page is None and is_last_list
        stream = 0 if is_through else self.stream + (next_page is None)
        after = self.after(
            told, told, seen_until=served_at, overlap=overlap, next_page=next_page, is_through=is_through, keep=MAX_KEPT
        )
        return replace(after, stream=stream, hired=self._hired(told))

    @property
    def is_at_rest(self) -> bool:
        """Whether a reading has just been finished."""
        return self.began is None

    def _hired(self, told: Iterable[Delivered]) -> tuple[str, ...]:
        by_id = {one.change.record.external_id: one.hired for one in told}
        before = [one for one in self.hired if one not in by_id]
        return tuple([*before, *(one for one, hired in by_id.items() if hired)][-MAX_KEPT:])
