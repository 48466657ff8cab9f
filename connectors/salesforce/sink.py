"""Keep the worker's record in one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from simple_salesforce.format import format_soql

from connectors.records.nulls import refuse_nulls, takes_null
from connectors.records.paging import every_page
from connectors.salesforce.client import Page, SalesforceClient
from connectors.salesforce.records import Identified, parse, without_attributes
from connectors.salesforce.settings import SinkObject
from workforce.errors import Misconfigured, Refused
from workforce.ports import StoredRecord


class SalesforceSink:
    """The ``RecordSink`` capability. Our marker is an external id, so a creation that is sent twice makes one record.

    Raises ``Misconfigured`` where the instance has no ``sink``.
    """

    def __init__(self, client: SalesforceClient) -> None:
        if client.settings.sink is None:
            raise Misconfigured("salesforce: sink is not configured; name the object that keeps the records", field="sink")
        self._client = client
        self._sink: SinkObject = client.settings.sink

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """The records that carry ``marker`` or hold the e-mail address in ``values``."""
        sink, email = self._sink, values.get(self._sink.email_field)
        names = {"fields": ", ".join(("Id", *sink.read_back)), "object": sink.object, "marker_field": sink.marker_field}
        soql = format_soql(
            "SELECT {fields:literal} FROM {object:literal} WHERE {marker_field:literal} = {marker}", **names, marker=marker
        )
        if email:
            soql += format_soql(" OR {field:literal} = {email}", field=sink.email_field, email=str(email))

        def page(place: str | None) -> Page:
            return self._client.more(place) if place else self._client.query(soql, part="sink")

        pages = every_page("salesforce", page, lambda each: each.next)
        return [self._stored(without_attributes(record)) for each in pages for record in each.records]

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Create the record that carries ``marker``, or begin anew with the one that an earlier stint left; its id.

        Of a record that is there, ``None`` empties a field, and the end is taken back, with the status that told it: nothing of the
        earlier stint stays but what ``values`` do not name. Raises ``AlreadyTaken`` for another unique field or a duplicate rule of the
        organisation.
        """
        sink, told = self._sink, self._writable(values)
        known = {name: value for name, value in told.items() if value is not None or takes_null("salesforce", name)}
        anew: dict[str, object] = {sink.end_date_field: None}
        if sink.status_field is not None and any(not record.active for record in self.find(marker, {})):
            anew = self._without_end()
        return self._client.upsert(sink.object, sink.marker_field, marker, {**known, **anew})

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Set ``values``; ``None`` empties a field, unless no record is without it: that is refused. Raises ``NotFound``."""
        refuse_nulls("salesforce", values)
        if values:
            self._client.update(self._sink.object, external_id, self._writable(values))

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """Write the last day, and the status if one is configured, unless the record says so or ends earlier already."""
        del ended_at
        sink, now = self._sink, self.read(external_id)
        day = now.ends_on if now.ends_on and now.ends_on <= ends_on else ends_on
        wanted: dict[str, object] = {sink.end_date_field: day}
        if sink.status_field is not None:
            wanted[sink.status_field] = sink.ended_status
        if any(now.values.get(name) != value for name, value in wanted.items()):
            self._client.update(sink.object, external_id, wanted)

    def rehire(self, external_id: str, *, starts_on: str) -> None:
        """Take the end back, with the status that told it. When the person starts is a field of the mapping. Raises ``NotFound``."""
        del starts_on
        if not self.read(external_id).active:
            self._client.update(self._sink.object, external_id, self._without_end())

    def read(self, external_id: str) -> StoredRecord:
        """The record as it is now. Raises ``NotFound``, also when it is in the recycle bin."""
        return self._stored(self._client.record(self._sink.object, external_id, self._sink.read_back))

    def _without_end(self) -> dict[str, object]:
        """The fields that told an end, as they are while there is none."""
        sink = self._sink
        return {sink.end_date_field: None, **({sink.status_field: sink.active_status} if sink.status_field else {})}

    def _writable(self, values: Mapping[str, object]) -> dict[str, object]:
        """The marker is the record's address and never its content."""
        if self._sink.marker_field in values:
            name = self._sink.marker_field
            raise Refused(f"salesforce: {name} is the hub's own; take it out of the mapping", cause="marker_field", field=name)
        return dict(values)

    def _stored(self, record: Mapping[str, Any]) -> StoredRecord:
        sink = self._sink
        marker, ends_on = record.get(sink.marker_field), record.get(sink.end_date_field)
        is_ended = record.get(sink.status_field) == sink.ended_status if sink.status_field else ends_on is not None
        values = {name: record.get(name) for name in sink.read_back if name != sink.marker_field}
        return StoredRecord(parse(Identified, record).id, marker, not is_ended, values, ends_on)
