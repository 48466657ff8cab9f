"""Ask Gusto for the events that no webhook brought."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from connectors.gusto.client import GustoClient
from connectors.gusto.records import Event
from workforce.errors import NotFound, Refused
from workforce.events import SourceEvent
from workforce.ports import EventPage

log = structlog.get_logger(__name__)

LIMIT = 100  # the vendor's maximum
EVENTS = "contractor.*"
OVERLAP_SECONDS = 60


class GustoBackfill:
    """The company's contractor events, oldest first. Gusto keeps them for 30 days; what a webhook brought has the same identity.

    Gusto sorts by the second, so an event may yet appear before one that was told. The cursor is therefore two uuids: that of the last
    event that is a minute older than the youngest, where the next reading begins, and, within a reading, that of the last one told.
    """

    def __init__(self, client: GustoClient) -> None:
        self._client = client

    def missed(self, cursor: str | None) -> EventPage:
        """Events after ``cursor``, as far back as Gusto tells for ``None``; complete when a page brings nothing new.

        Raises ``Misconfigured`` without ``client_id`` and ``client_secret``: events want the application's own token.
        """
        settled, _, told = (cursor or "").partition(" ")
        page = self._from(told or settled)
        if not page:
            return EventPage([], settled)
        hints = [
            SourceEvent(event.uuid, event.event_type, event.entity_uuid, event.occurred_at)
            for event in page
            if event.event_type and event.entity_uuid
        ]
        if len(hints) < len(page):
            log.warning("gusto.unusable_events", count=len(page) - len(hints))
        return EventPage(hints, f"{_settled(page) or settled} {page[-1].uuid}", complete=False)

    def _from(self, cursor: str) -> Sequence[Event]:
        """What follows ``cursor``; everything where Gusto does not know it any more."""
        if not cursor:
            return self._read()
        try:
            page = self._read(starting_after_uuid=cursor)
        except Refused as error:
            if not isinstance(error, NotFound) and error.cause != "http_422":
                raise
            log.info("gusto.cursor_forgotten", cause=error.cause)
            page = self._read()
            if any(event.uuid == cursor for event in page):
                raise  # it is known, so it was something else that Gusto refused, and would for ever
            return page
        told = [event.uuid for event in page]
        return page[told.index(cursor) + 1 :] if cursor in told else page  # a page that holds the cursor did not start after it

    def _read(self, **start: str) -> Sequence[Event]:
        company = self._client.settings.company_uuid
        asked = {"resource_uuid": company, "limit": str(LIMIT), "sort_order": "asc", "event_type": EVENTS}
        return self._client.system.read(list[Event], "/v1/events", **asked, **start)


def _settled(page: Sequence[Event]) -> str | None:
    """The last event before which none will appear any more."""
    youngest = max((event.timestamp for event in page if event.timestamp is not None), default=0)
    settled = [event.uuid for event in page if event.timestamp is not None and event.timestamp <= youngest - OVERLAP_SECONDS]
    return settled[-1] if settled else None
