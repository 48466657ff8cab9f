"""The net under lost Connect messages: Connect's log of failures, and every envelope whose status changed since the last look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from connectors.docusign.client import DocuSignClient
from connectors.docusign.records import ConnectLog, Envelope, instant, instant_text
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

    def after(self, envelopes: Iterable[Envelope], read: int, total: int) -> _Place:
        """The place once a page is read that ends at ``read`` of ``total``."""
        newest = self.newest or max((each.latest for each in envelopes if each.latest), default=None)
        if read < total:
            return _Place(since=self.since, newest=newest, position=read)
        return _Place(since=max(newest, BEGINNING + OVERLAP) - OVERLAP) if newest else _Place(since=self.since)


class DocuSignBackfill:
    """The ``MissedEvents`` capability.

    The log of failures holds only what Connect gave up, so the envelopes that changed are listed as well: they include what Connect
    never tried. Hints are named as Connect names its messages, ``<envelopeId>:envelope-<status>:<instant>``; the instant is the log's
    ``created`` or the envelope's ``statusChangedDateTime``. Where the message's ``generatedDateTime`` was another one, which neither
    tells, the envelope is read once more.
    """

    def __init__(self, client: DocuSignClient) -> None:
        self._client = client

    def missed(self, cursor: str | None) -> EventPage:
        """Hints since ``cursor``, a page of envelopes at a time. Raises ``Refused`` (cause ``bad_cursor``).

        The latest change comes first. An envelope that changes meanwhile moves to the front and pushes others back, so that none of
        them is passed over, and its own change is newer than the place where the next look begins.
        """
        place = _place(cursor)
        given_up = self._client.connect_failures(place.since) if place.position == 0 else ()
        query = {
            "from_date": instant_text(place.since),
            "from_to_status": "changed",
            "order_by": "last_modified",
            "order": "desc",
        }
        page = self._client.envelopes(query, place.position)
        envelopes, read = page.envelopes or (), place.position + len(page.ids)
        after = place.after(envelopes, read, page.total_set_size)
        events = [*_given_up(given_up), *_changed(envelopes)]
        return EventPage(events, after.model_dump_json(exclude_none=True), complete=after.position == 0)


def _place(cursor: str | None) -> _Place:
    try:
        return _Place() if cursor is None else _Place.model_validate_json(cursor)
    except ValidationError:
        message = "cursor: not one of this connector's; start again from the beginning"
        raise Refused(message, cause="bad_cursor", field="cursor") from None


def _given_up(entries: Iterable[ConnectLog]) -> Iterator[SourceEvent]:
    for entry in entries:
        if entry.envelope_id and entry.status:  # a failure that names no envelope says nothing that could be read again
            yield _hint(entry.envelope_id, entry.status, entry.created or "")


def _changed(envelopes: Iterable[Envelope]) -> Iterator[SourceEvent]:
    for envelope in envelopes:
        yield _hint(envelope.envelope_id, envelope.status, envelope.status_changed_date_time or "")


def _hint(envelope_id: str, status: str, written: str) -> SourceEvent:
    kind = f"envelope-{status.lower()}"
    return SourceEvent(f"{envelope_id}:{kind}:{written}", kind, envelope_id, _instant_or_none(written))


def _instant_or_none(written: str) -> datetime | None:
    try:
        return instant(written)
    except (ValueError, OverflowError):
        return None
