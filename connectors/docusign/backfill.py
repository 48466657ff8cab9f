"""The net under lost Connect messages: every envelope whose status changed since the last look."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from connectors.docusign.client import DocuSignClient
from connectors.docusign.records import EnvelopesInformation, ListedEnvelope, instant, instant_text
from connectors.docusign.signing import BEGINNING
from workforce.errors import Refused
from workforce.events import SourceEvent
from workforce.ports import EventPage

OVERLAP = timedelta(hours=1)
"""Asked for again by each look: what changed while the last one went on, and what shows late."""


class _Place(BaseModel):
    """Where a look is. ``since`` is where it begins, ``newest`` the latest change on its first page; both by DocuSign's clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: AwareDatetime = BEGINNING
    newest: AwareDatetime | None = None
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
        place = _place(cursor)
        query = {
            "from_date": instant_text(place.since),
            "from_to_status": "changed",
            "order_by": "last_modified",
            "order": "desc",
        }
        page = self._client.envelopes(query, place.position)
        after = place.after(page)
        events = [_hint(each) for each in page.envelopes]
        return EventPage(events, after.model_dump_json(exclude_none=True), complete=after.position == 0)


def _place(cursor: str | None) -> _Place:
    try:
        return _Place() if cursor is None else _Place.model_validate_json(cursor)
    except ValidationError:
        message = "cursor: not one of this connector's; start again from the beginning"
        raise Refused(message, cause="bad_cursor", field="cursor") from None


def _hint(envelope: ListedEnvelope) -> SourceEvent:
    kind = f"envelope-{envelope.status.lower()}"
    written = envelope.status_changed_date_time or envelope.last_modified_date_time
    occurred_at = instant(written) if written else None
    return SourceEvent(f"{envelope.envelope_id}:{kind}:{written or ''}", kind, envelope.envelope_id, occurred_at)
