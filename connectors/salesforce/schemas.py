"""Which fields the organisation's objects have: what ``describe`` tells of their types, lengths, picklists and rights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from connectors.records.schemas import JsonSchema, closed_object, or_null
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.records import DescribedField
from connectors.salesforce.settings import SinkObject, SourceObject
from connectors.salesforce.source import NEEDED
from workforce.ports import Schemas

_TYPES: Mapping[str, Mapping[str, Any]] = {
    "boolean": {"type": "boolean"}, "int": {"type": "integer"}, "long": {"type": "integer"}, "double": {"type": "number"},
    "currency": {"type": "number"}, "percent": {"type": "number"}, "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string"}, "address": {"type": "object"}, "location": {"type": "object"},
}  # fmt: skip
"""All others are texts. An instant's offset is written without a colon, so it is no ``date-time`` of RFC 3339."""


class SalesforceSchemas:
    """The ``RecordSchemas`` capability, for the objects that the settings name and the fields that the integration user sees."""

    def __init__(self, client: SalesforceClient) -> None:
        self._client = client

    def read(self) -> Schemas:
        """The source's fields as its query gives them, and the fields of the sink that can be created and updated.

        Raises ``Misconfigured`` for an object that is not there. A field of ``source.fields`` that is not there is not described.
        """
        source, sink = self._client.settings.source, self._client.settings.sink
        return Schemas(self._source(source) if source else None, self._target(sink) if sink else None)

    def _source(self, source: SourceObject) -> dict[str, Any]:
        paths = [tuple(path.split(".")) for path in dict.fromkeys((*NEEDED, *source.fields))]
        return _queried(self._at(source.object, paths))

    def _at(self, sobject: str, paths: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, JsonSchema]]:
        """The fields of ``paths`` in ``sobject``; those of related records are asked for object by object."""
        described = self._client.described(sobject, "source").fields
        for name in dict.fromkeys(path[0] for path in paths):
            further = [path[1:] for path in paths if path[0] == name and len(path) > 1]
            held = next((each for each in described if name in (each.name, each.relationship_name)), None)
            if held is None:
                continue
            yield name, self._related(held, further) if further else _held_as(held)

    def _related(self, held: DescribedField, paths: Sequence[tuple[str, ...]]) -> JsonSchema:
        """A related record; one that may be of several objects is not described further."""
        if len(held.reference_to) != 1:
            return {"type": ["object", "null"]}
        return {"anyOf": [_queried(self._at(held.reference_to[0], paths)), {"type": "null"}]}

    def _target(self, sink: SinkObject) -> dict[str, Any]:
        ours = {sink.marker_field, sink.end_date_field, sink.status_field}
        fields = self._client.described(sink.object, "sink").fields
        writable = {each.name for each in fields if each.is_writable} - ours
        properties = {each.name: each.name in writable and _held_as(each, is_written=True) for each in fields}
        return closed_object(properties, required=[each.name for each in fields if each.is_demanded and properties[each.name]])


def _queried(fields: Iterable[tuple[str, JsonSchema]]) -> dict[str, Any]:
    """A record as a query gives it: every field that was asked for is there."""
    properties = dict(fields)
    return closed_object(properties, required=properties)


def _held_as(held: DescribedField, *, is_written: bool = False) -> dict[str, Any]:
    plain = dict(_TYPES.get(held.type, {"type": "string"}))
    if held.type == "picklist" and held.restricted_picklist:
        plain["enum"] = [entry.value for entry in held.picklist_values if entry.active]
    elif is_written and plain["type"] == "string" and held.length:
        plain["maxLength"] = held.length
    return or_null(plain) if held.nillable else plain
