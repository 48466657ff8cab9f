"""Lists that come in pages, and may change while they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from workforce.errors import Refused, RetryLater

P = TypeVar("P")
E = TypeVar("E")


def every_page(system: str, read: Callable[[str | None], P], following: Callable[[P], str | None]) -> Iterator[P]:
    """Every page from the first, which is ``read(None)``; ``following`` gives the place of the next, nothing after the last.

    Raises ``RetryLater`` where a page leads back to one that was read.
    """
    place, seen = None, set[str]()
    while True:
        page = read(place)
        yield page
        place = following(page)
        if not place:
            return
        if place in seen:
            raise RetryLater(f"{system}: the pages go round in a circle", cause="circular_pages")
        seen.add(place)


def until_nothing_new(read: Callable[[int], Sequence[E]], identity: Callable[[E], str]) -> Iterator[E]:
    """Every entry, once, of pages that are read by their number, from 1 until one brings nothing new: for lists that tell no last page."""
    seen = set[str]()
    for number in count(1):
        fresh = [one for one in read(number) if identity(one) not in seen]
        if not fresh:
            return
        yield from fresh
        seen.update(map(identity, fresh))


class Position(BaseModel):
    """A place in a list that is read by ``index``, counted from 1.

    ``anchor`` is the id that was last there, ``served`` how many were on the page before; ``turn`` counts the pages, so that a list that
    never ends does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int = Field(default=1, ge=1)
    anchor: str | None = None
    served: int = 0
    turn: int = 1

    def following(self, system: str, ids: Sequence[str], total: int) -> tuple[Sequence[str], Position | None]:
        """Which of ``ids``, the page from here on of a list of ``total``, are new, and where to go on; ``None`` at the end.

        Nothing is lost from a list that changes meanwhile: each page begins with the last entry of the one before. Where that shows no
        more, entries before it have gone and others have moved up, unseen; so we go back until it shows, or to the beginning.
        Raises ``RetryLater`` for an empty page before the end, ``Refused`` where a page holds no more than one entry.
        """
        turn = self.turn + 1
        if self.anchor is not None and self.anchor not in ids:
            index = max(1, self.index - self.served + 1)
            return [], Position(index=index, anchor=self.anchor if index > 1 else None, served=self.served, turn=turn)
        fresh, end = [one for one in ids if one != self.anchor], self.index + len(ids) - 1
        if end >= total:
            return fresh, None
        if not ids:
            raise RetryLater(f"{system}: a page of a list is empty before its end", cause="missing_page")
        if not fresh:
            raise Refused(f"{system}: the target gives one resource a page, so none can follow another", cause="no_paging")
        return fresh, Position(index=end, anchor=ids[-1], served=len(ids), turn=turn)
