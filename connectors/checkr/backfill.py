"""What webhooks should have told about our orders.

Checkr lists neither reports nor changes. So each reading walks three lists of candidates: those made within ``look_back_days``, and, whenever
they were made, those whose report was revised or adjudicated since the last reading. An event is identified by what the order looks like now, so
that an order that stays the same is told once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from connectors.checkr.client import CheckrClient
from connectors.checkr.records import Candidate, iso
from connectors.checkr.screening import Progress
from workforce.errors import NotFound, Refused
from workforce.events import SourceEvent
from workforce.ports import EventPage

LISTS = ("created", "report_revised", "report_adjudicated")
OVERLAP = timedelta(hours=1)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """``since`` is when the last reading began, ``began`` when this one did; ``page`` of the list number ``listing``, from 1."""

    since: AwareDatetime | None = None
    began: AwareDatetime | None = None
    listing: int = 0
    page: int = 1

    def after(self, *, has_next: bool) -> Place:
        """The next page, else the next list, else the start of the next reading."""
        if has_next:
            return replace(self, page=self.page + 1)
        if self.listing + 1 < len(LISTS):
            return replace(self, page=1, listing=self.listing + 1)
        return Place(since=self.began)


_PLACE: TypeAdapter[Place] = TypeAdapter(Place)


class CheckrBackfill:
    """The ``MissedEvents`` capability. ``now`` gives the time, of which a reading's lists are cut off so that pages do not shift."""

    def __init__(self, client: CheckrClient, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._client, self._now = client, now
        self._look_back = timedelta(days=client.settings.look_back_days)

    def missed(self, cursor: str | None) -> EventPage:
        """A hint about each order of one page of candidates. Raises ``Refused`` (cause ``bad_cursor``) for a cursor that is not ours."""
        place = _decoded(cursor)
        began = place.began or self._now()
        place = replace(place, began=began)
        page = self._client.candidates(self._window(place, began), place.page)
        events = [event for one in page.candidates if one.custom_id for event in self._hint(one)]
        place = place.after(has_next=page.has_next)
        return EventPage(events, _PLACE.dump_json(place).decode(), complete=place.began is None)

    def _window(self, place: Place, began: datetime) -> dict[str, str]:
        """The filters of a list. A minute on top, because the filter counts whole seconds by Checkr's clock."""
        name = LISTS[place.listing]
        since = began - self._look_back if place.since is None or name == "created" else place.since - OVERLAP
        return {f"{name}_after": iso(since), f"{name}_before": iso(began + timedelta(minutes=1))}

    def _hint(self, candidate: Candidate) -> Iterator[SourceEvent]:
        try:
            progress = Progress.of(self._client, candidate)
        except NotFound:  # the report is not to be seen (any more); the others are told all the same
            return
        shown = progress.report or progress.invitation
        if shown is not None:
            digest = hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:32]
            yield SourceEvent(f"{candidate.id}:{digest}", progress.status, candidate.id, shown.completed_at)


def _decoded(cursor: str | None) -> Place:
    if cursor is None:
        return Place()
    try:
        place = _PLACE.validate_json(cursor)
    except ValidationError:
        place = None
    if place is None or place.page < 1 or not 0 <= place.listing < len(LISTS):
        raise Refused("cursor: not one of this connector's; start again from the beginning", cause="bad_cursor", field="cursor")
    return place
