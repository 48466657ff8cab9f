"""What webhooks should have told about our orders.

Checkr lists neither reports nor changes. So each reading walks three lists of candidates: those made within ``look_back_days``, and, whenever
they were made, those whose report was revised or adjudicated since the last reading. The cursor remembers what each order looked like: one that
stays the same is told once, and one that looks again as it did before is told again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from connectors.checkr.client import CheckrClient
from connectors.checkr.records import Candidate
from connectors.checkr.screening import Progress, may_still_show
from connectors.records.answers import Instant
from connectors.records.cursors import Cursor
from connectors.records.instants import instant_text, utc_now
from workforce.errors import NotFound
from workforce.events import SourceEvent
from workforce.ports import EventPage

LISTS = ("created", "report_revised", "report_adjudicated")
OVERLAP = timedelta(hours=2)
"""Our clock may be an hour ahead of Checkr's, and a list may lag."""
MAX_TOLD = 5_000


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """``since`` is when the last reading began, ``began`` when this one did; ``page`` of the list number ``listing``, from 1.

    ``told`` is order → digest of how it looked when it was last told or seen; the oldest are forgotten beyond 5,000.
    """

    since: Instant | None = None
    began: Instant | None = None
    listing: Annotated[int, Field(ge=0, lt=len(LISTS))] = 0
    page: Annotated[int, Field(ge=1)] = 1
    told: dict[str, str] = field(default_factory=dict)

    def with_seen(self, looks: dict[str, str]) -> Place:
        """The place once these, order → digest, were told or had been."""
        told = {one: digest for one, digest in self.told.items() if one not in looks} | looks
        return replace(self, told=dict(list(told.items())[-MAX_TOLD:]))

    def identity(self, order_id: str, digest: str) -> str:
        """Of a hint: the same when this page is asked for again, another when an order looks again as it did once."""
        changed_since = f":{instant_text(self.since)}" if self.since and order_id in self.told else ""
        return f"{order_id}:{digest}{changed_since}"

    def after(self, *, has_next: bool) -> Place:
        """The next page, else the next list, else the start of the next reading."""
        if has_next:
            return replace(self, page=self.page + 1)
        if self.listing + 1 < len(LISTS):
            return replace(self, page=1, listing=self.listing + 1)
        return Place(since=self.began, told=self.told)


@dataclass(frozen=True, slots=True)
class _Look:
    """How an order looks: Checkr's word, since when, and the digest of what shows."""

    status: str
    at: datetime | None
    digest: str


class CheckrBackfill:
    """The ``MissedEvents`` capability."""

    def __init__(self, client: CheckrClient, *, now: Callable[[], datetime] = utc_now) -> None:
        self._client, self._now = client, now
        self._look_back = timedelta(days=client.settings.look_back_days)

    def missed(self, cursor: str | None) -> EventPage:
        """A hint about each order of one page of candidates. Raises ``Refused`` (cause ``bad_cursor``) for a cursor that is not ours."""
        place = Place.decode(cursor)
        began = place.began or self._now()
        candidates, has_next = self._client.candidates(self._window(place, began), place.page)
        looks = {one.id: look for one in candidates if one.custom_id and (look := self._look(one, began))}
        events = [
            SourceEvent(place.identity(order_id, look.digest), look.status, order_id, look.at)
            for order_id, look in looks.items()
            if place.told.get(order_id) != look.digest
        ]
        seen = replace(place, began=began).with_seen({order_id: look.digest for order_id, look in looks.items()})
        following = seen.after(has_next=has_next)
        return EventPage(events, following.encode(), complete=following.began is None)

    def _window(self, place: Place, began: datetime) -> dict[str, str]:
        """The filter of a list. It has no upper bound: an order that left the list meanwhile would shift its pages, and lose another."""
        name = LISTS[place.listing]
        since = began - self._look_back if place.since is None or name == "created" else place.since - OVERLAP
        return {f"{name}_after": instant_text(since)}

    def _look(self, candidate: Candidate, began: datetime) -> _Look | None:
        try:
            progress = Progress.of(self._client, candidate)
        except NotFound:  # the report is not to be seen (any more); the others are told all the same
            return None
        shown = progress.report or progress.invitation
        if shown is None:
            return None if may_still_show(candidate, began) else _Look(progress.status, candidate.created_at, "none")
        digest = hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:32]
        return _Look(progress.status, shown.completed_at or shown.created_at, digest)
