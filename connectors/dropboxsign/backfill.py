"""The net under lost callbacks: all requests of a span of time are listed, once a day unless the settings say otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from connectors.dropboxsign.client import DropboxSignClient
from connectors.dropboxsign.records import SignatureRequest
from connectors.records.answers import Instant
from connectors.records.cursors import Cursor
from connectors.records.instants import utc_now
from workforce.events import SourceEvent
from workforce.ports import EventPage

OVERLAP = timedelta(days=2)
"""Told again by each listing, besides what the last one told: what the search showed late, what our clock and theirs may differ by, and
what the last listing passed over, because a request before it was canceled while pages were read."""
KINDS = {
    "completed": "signature_request_all_signed",
    "declined": "signature_request_declined",
    "error": "signature_request_invalid",
}
Moment = Annotated[Instant, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2900, 1, 1, tzinfo=UTC))]


@dataclass(frozen=True, slots=True)
class _Place(Cursor):
    """Where the listing is. ``since`` is when the last complete one began, ``began`` when this one did; by our clock."""

    since: Moment | None = None
    began: Moment | None = None
    page: Annotated[int, Field(ge=1)] = 1


class DropboxSignBackfill:
    """The ``MissedEvents`` capability.

    Dropbox Sign tells no changes: a request shows when it was made and signed, not when it was declined. So every request made in
    the last ``backfill_days`` is listed, and told when it moved since the last listing or may have. A hint is named as the callback where
    that came within the second of the signature; otherwise the request is read once more. Deleted requests are not listed.
    """

    def __init__(self, client: DropboxSignClient, *, now: Callable[[], datetime] = utc_now) -> None:
        self._client, self._now = client, now

    def missed(self, cursor: str | None) -> EventPage:
        """Hints since ``cursor``, page by page; none until the next listing is due. Raises ``Refused`` (cause ``bad_cursor``)."""
        place, settings = _Place.decode(cursor), self._client.settings
        began = place.began or self._now()
        if place.since and not place.began and began - place.since < timedelta(hours=settings.backfill_hours):
            return EventPage([], place.encode())
        query = _made_between(place.since - timedelta(days=settings.backfill_days), began) if place.since else None
        page = self._client.page(query, place.page)
        again = place.since - timedelta(hours=settings.backfill_hours) - OVERLAP if place.since else None
        told = [_hint(one) for one in page.signature_requests if _may_have_moved(one, again)]
        after = _Place(since=began) if page.is_last else _Place(since=place.since, began=began, page=place.page + 1)
        return EventPage(told, after.encode(), complete=page.is_last)


def _made_between(first: datetime, last: datetime) -> str:
    """Whole days, one more at the end: whose days they are is not told."""
    return f"created:[{first:%Y-%m-%d} TO {last + timedelta(days=1):%Y-%m-%d}]"


def _may_have_moved(request: SignatureRequest, since: datetime | None) -> bool:
    is_undated = request.state in {"declined", "error"}
    return since is None or is_undated or request.latest >= since.timestamp()


def _hint(request: SignatureRequest) -> SourceEvent:
    signed_at = request.signed_at
    kind = KINDS.get(request.state) or ("signature_request_signed" if signed_at else "signature_request_sent")
    moment = request.latest if request.state in {"declined", "error"} else signed_at or request.created_at
    request_id = request.signature_request_id
    return SourceEvent(f"{request_id}:{kind}:{moment}", kind, request_id, datetime.fromtimestamp(moment, UTC))
