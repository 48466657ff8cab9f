"""Records of one object as a source of changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from simple_salesforce.format import format_soql

from connectors.records.cursors import Feed
from connectors.records.instants import instant_text
from connectors.salesforce.client import Page, SalesforceClient
from connectors.salesforce.records import NextPage, change, required_id
from connectors.salesforce.settings import SourceObject
from workforce.errors import Misconfigured, NotFound
from workforce.ports import ChangePage, SourceRecord

NEEDED = ("Id", "SystemModstamp", "IsDeleted")
ONE = "SELECT {fields:literal} FROM {object:literal} WHERE Id = {id}"
SINCE = "SELECT {fields:literal} FROM {object:literal} WHERE SystemModstamp >= {since:literal} ORDER BY SystemModstamp, Id"
EVERYTHING = "SELECT {fields:literal} FROM {object:literal} ORDER BY SystemModstamp, Id"


@dataclass(frozen=True, slots=True)
class Place(Feed):
    """The place in the feed; the next page is followed at the organisation's own host alone."""

    next: NextPage | None = None


class SalesforceSource:
    """The ``RecordSource`` capability. Deleted records are told with ``IsDeleted`` true, as long as the recycle bin holds them.

    ``SystemModstamp`` orders versions: unlike ``LastModifiedDate`` it also moves when Salesforce itself changes a record. Raises
    ``Misconfigured`` where the instance has no ``source``.
    """

    def __init__(self, client: SalesforceClient) -> None:
        if client.settings.source is None:
            raise Misconfigured("salesforce: source is not configured; name the object that is read", field="source")
        self._client = client
        self._source: SourceObject = client.settings.source

    def changes(self, cursor: str | None) -> ChangePage:
        """One page of a pass over what changed since ``cursor``. Raises ``Misconfigured`` for an unknown object or field."""
        place = Place.decode(cursor)
        page = self._page(place)
        changes = [change(record) for record in page.records]
        news = place.news(changes, page.told_at or datetime.now(UTC))
        is_last, overlap = page.next is None, self._source.overlap
        after = place.after(changes, news, seen_until=page.told_at, overlap=overlap, next_page=page.next, is_through=is_last)
        return ChangePage([one.record for one in news], after.encode(), complete=is_last)

    def read(self, external_id: str) -> SourceRecord:
        """The record as it is now, also when it is deleted. Raises ``NotFound``."""
        page = self._ask(ONE, id=required_id(external_id))
        if not page.records:
            raise NotFound(f"salesforce: there is no {self._source.object} {external_id}")
        return change(page.records[0]).record

    def _page(self, place: Place) -> Page:
        if place.next is not None:
            try:
                return self._client.more(place.next)
            except NotFound:  # a query is kept for a while only; what it told so far is not lost
                pass
        # as a literal: format_soql would cut off the milliseconds, and a pass has to get on
        return self._ask(SINCE, since=instant_text(place.since, "milliseconds")) if place.since else self._ask(EVERYTHING)

    def _ask(self, soql: str, **values: object) -> Page:
        fields = ", ".join(dict.fromkeys((*NEEDED, *self._source.fields)))
        asked = format_soql(soql, fields=fields, object=self._source.object, **values)
        return self._client.query(asked, part="source", include_deleted=True)
