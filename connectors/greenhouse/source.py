"""Hired candidates as a source of engagements: one record for each application, put together from Greenhouse's flat objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog

from connectors.greenhouse.client import GreenhouseClient, Page
from connectors.greenhouse.cursor import STREAMS, Delivered, Place
from connectors.greenhouse.records import HIRED, Application, Candidate, Job, Offer, Opening, Row, nested
from connectors.records.cursors import Change
from connectors.records.instants import instant_text
from workforce.errors import NotFound, Refused
from workforce.ports import ChangePage, SourceRecord

log = structlog.get_logger(__name__)

SHAPES: Mapping[str, type[Row]] = {"applications": Application, "offers": Offer, "candidates": Candidate}


class GreenhouseSource:
    """The ``RecordSource`` capability.

    ``values`` hold ``application``, ``candidate``, ``offer`` (the current one), ``job`` and ``opening`` as Greenhouse gives them, or ``None``.
    """

    def __init__(self, client: GreenhouseClient) -> None:
        self._client, settings = client, client.settings
        self._overlap = timedelta(seconds=settings.overlap_seconds)

    def changes(self, cursor: str | None) -> ChangePage:
        """Applications that were hired, changed since (also by their offer or candidate), or were hired and are not any more.

        Raises ``Refused`` (cause ``bad_cursor``) for a cursor that is not ours.
        """
        place = Place.decode(cursor) if cursor is not None else Place(floor=self._client.settings.changed_since)
        page, place = self._page(place)
        known = set(place.hired)
        changed = {one.id: one for one in self._applications(page.rows) if one.status == HIRED or str(one.id) in known}
        assembled = [
            one
            for one in self._assembled(list(changed.values()))
            if one.change.record.external_id in known or self._is_ours(one.change.record.values)
        ]
        news = place.news(assembled, page.served_at)
        place = place.following(news, served_at=page.served_at, overlap=self._overlap, next_page=page.next)
        return ChangePage([one.change.record for one in news], place.encode(), complete=place.is_at_rest)

    def read(self, external_id: str) -> SourceRecord:
        """The application as it is now, hired or not. Raises ``NotFound``, also for the hire of somebody who is no contractor."""
        is_id = external_id.isascii() and external_id.isdigit() and len(external_id) < 20
        application = self._client.application(int(external_id)) if is_id else None
        if application is None:
            raise NotFound(f"greenhouse: there is no application {external_id}", field="application")
        [one] = self._assembled([application])
        record = one.change.record
        if application.status == HIRED and not self._is_ours(record.values):
            raise NotFound(
                f"greenhouse: application {external_id} is no contractor's", cause="not_a_contractor", field="application"
            )
        return record

    def _page(self, place: Place) -> tuple[Page[Row], Place]:
        """The page at ``place``. A page cursor that Greenhouse refuses, however it says so, makes it start this list again."""
        shape = SHAPES[STREAMS[place.stream]]
        filters = {"per_page": str(self._client.settings.page_size)}
        if place.floor is not None:
            filters["updated_at"] = f"gte|{instant_text(place.floor, 'microseconds')}"
        if place.next is None:
            return self._client.page(shape, filters), place
        try:
            return self._client.page(shape, {"cursor": place.next}), place
        except Refused as error:
            log.info("greenhouse.page_cursor_refused", stream=STREAMS[place.stream], cause=error.cause)
            return self._client.page(shape, filters), place

    def _applications(self, rows: Sequence[Row]) -> list[Application]:
        """The applications that the rows are or belong to."""
        offers = [row for row in rows if isinstance(row, Offer)]
        candidates = [row for row in rows if isinstance(row, Candidate)]
        return [
            *(row for row in rows if isinstance(row, Application)),
            *self._client.by_ids(Application, (offer.application_id for offer in offers)),
            *self._client.by_ids(Application, (candidate.id for candidate in candidates), key="candidate_ids"),
        ]

    def _assembled(self, applications: Sequence[Application]) -> list[Delivered]:
        """Each application with its record. What cannot be seen is ``None``: one bad record must not hold up the others."""
        read = self._client.by_ids
        candidates = _by_id(read(Candidate, (one.candidate_id for one in applications)))
        offers = _current(read(Offer, (one.id for one in applications), key="application_ids", current_only="true"))
        jobs = _by_id(read(Job, (one.job_id for one in applications if one.job_id is not None)))
        openings = _by_id(read(Opening, (offer.opening_id for offer in offers.values() if offer.opening_id is not None)))
        found = []
        for one in applications:
            offer = offers.get(one.id)
            parts = {
                "application": one,
                "candidate": candidates.get(one.candidate_id),
                "offer": offer,
                "job": jobs.get(one.job_id or 0),
                "opening": openings.get((offer and offer.opening_id) or 0),
            }
            found.append(_delivered(one, parts))
        return found

    def _is_ours(self, values: Mapping[str, Any]) -> bool:
        """Whether the hire is a contractor's, by the first of offer, job and application that has the custom field."""
        settings = self._client.settings
        if settings.contractor_field is None:
            return True
        parts = [nested(values, name) for name in ("offer", "job", "application")]
        fields = [nested(nested(part, "custom_fields"), settings.contractor_field) for part in parts]
        value = next((field["value"] for field in fields if field.get("value") is not None), None)
        texts = value if isinstance(value, list) else [value]
        return any(text in settings.contractor_values for text in texts if isinstance(text, str))


def _by_id(rows: Iterable[Row]) -> dict[int, Row]:
    return {row.id: row for row in rows}


def _current(offers: Iterable[Offer]) -> dict[int, Offer]:
    """The latest version by application, whether or not Greenhouse left out the others."""
    return {offer.application_id: offer for offer in sorted(offers, key=lambda one: (one.version, one.id))}


def _delivered(application: Application, parts: Mapping[str, Row | None]) -> Delivered:
    latest = max(part.updated_at for part in parts.values() if part is not None)
    values = {name: part.source if part is not None else None for name, part in parts.items()}
    return Delivered(Change.of(str(application.id), latest, values), application.status == HIRED)
