"""The net under lost Connect messages: every envelope whose status changed since the last look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from connectors.docusign.client import DocuSignClient
from connectors.docusign.records import EnvelopesInformation, ListedEnvelope
from connectors.docusign.signing import BEGINNING
from connectors.records.answers import Instant
from connectors.records.cursors import Cursor
from connectors.records.instants import instant, instant_text
from workforce.events import SourceEvent
from workforce.ports import EventPage

OVERLAP = timedelta(hours=1)
"""Asked for again by each look: what changed while the last one went on, and what shows late."""


@dataclass(frozen=True, slots=True)
class _Place(Cursor):
    """Where a look is. ``since`` is where it begins, ``newest`` the latest change on its first page; both by DocuSign's clock."""

    since: Instant = BEGINNING
    newest: Instant | None = None
    position: Annotated[int, Field(ge=0)] = 0

    def after(self, page: EnvelopesInformation) -> _Place:
        """The place once ``page`` is read. ``since`` never moves back, also where envelopes are gone."""
        read = self.position + len(page.envelopes)
        newest = self.newest or max((each.latest for each in page.envelopes if each.latest), default=None)
        if read < page.total_set_size:
            return _Place(since=self.since, newest=newest, position=read)
        return _Place(since=max(self.since, max(newest or BEGINNING, BEGINNING + OVERLAP) - OVERLAP))


class DocuSignBackfill:
    """The ``MissedEvents`` capability.

    Envelopes are listed, rather than Connect's log of failures: a message joins that when Connect gives it up, perhaps days after it was
    made, and no description says by which of the two instants the log is searched. Hints are named as Connect names its messages,
    ``<envelopeId>:envelope-<status>:<statusChangedDateTime>``. Where the message's ``generatedDateTime`` was another instant, the
    envelope is read once more.
    """

    def __init__(self, client: DocuSignClient) -> None:
        self._client = client

    def missed(self, cursor: str | None) -> EventPage:
        """Hints since ``cursor``, a page of envelopes at a time. Raises ``Refused`` (cause ``bad_cursor``).

        The latest change comes first. An envelope that changes meanwhile moves to the front and pushes others back, so that none of
        them is passed over, and its own change is newer than the place where the next look begins.
        """
        place = _Place.decode(cursor)
        query = {
            "from_date": instant_text(place.since, "microseconds"),
            "from_to_status": "changed",
            "order_by": "last_modified",
            "order": "desc",
        }
        page = self._client.envelopes(query, place.position)
        after = place.after(page)
        events = [_hint(each) for each in page.envelopes]
        return EventPage(events, after.encode(), complete=after.position == 0)


def _hint(envelope: ListedEnvelope) -> SourceEvent:
    kind = f"envelope-{envelope.status.lower()}"
    written = envelope.status_changed_date_time or envelope.last_modified_date_time
    occurred_at = instant(written) if written else None
    return SourceEvent(f"{envelope.envelope_id}:{kind}:{written or ''}", kind, envelope.envelope_id, occurred_at)
