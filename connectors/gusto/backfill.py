"""Ask Gusto for the events that no webhook brought."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from connectors.gusto.client import GustoClient
from connectors.gusto.records import Event, parse
from workforce.errors import NotFound, Refused
from workforce.events import SourceEvent
from workforce.ports import EventPage

log = structlog.get_logger(__name__)

LIMIT = 100  # the vendor's maximum
EVENTS = "contractor.*"


class GustoBackfill:
    """The company's contractor events, oldest first. The cursor is the uuid of the last event that was told; "" before the first.

    Gusto keeps events for 30 days. An event that a webhook brought as well has the same identity.
    """

    def __init__(self, client: GustoClient) -> None:
        self._client = client

    def missed(self, cursor: str | None) -> EventPage:
        """Events after ``cursor``, as far back as Gusto tells for ``None``; complete when a page brings nothing new.

        Raises ``Misconfigured`` without ``client_id`` and ``client_secret``: events want the application's own token.
        """
        page = self._from(cursor)
        hints = [_hint(event) for event in page if event.entity_uuid and event.event_type]
        if len(hints) < len(page):
            log.warning("gusto.events_without_entity", count=len(page) - len(hints))
        return EventPage(hints, page[-1].uuid if page else cursor or "", complete=not page)

    def _from(self, cursor: str | None) -> Sequence[Event]:
        """What follows ``cursor``; everything where Gusto does not know it any more."""
        if not cursor:
            return self._read({})
        try:
            page = self._read({"starting_after_uuid": cursor})
        except (NotFound, Refused) as error:
            if not isinstance(error, NotFound) and error.cause != "http_422":
                raise
            log.info("gusto.cursor_forgotten", cause=error.cause)
            return self._read({})
        told = [event.uuid for event in page]
        return page[told.index(cursor) + 1 :] if cursor in told else page  # a page that holds the cursor did not start after it

    def _read(self, start: dict[str, str]) -> Sequence[Event]:
        rest = {"limit": str(LIMIT), "sort_order": "asc", "event_type": EVENTS}
        company = {"resource_uuid": self._client.settings.company_uuid}
        return parse(list[Event], self._client.system.get("/v1/events", params={**company, **rest, **start}))


def _hint(event: Event) -> SourceEvent:
    return SourceEvent(event.uuid, event.event_type or "", event.entity_uuid or "", event.occurred_at)
