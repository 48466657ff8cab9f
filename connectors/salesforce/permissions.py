"""What the integration user needs of an object, held against what ``describe`` tells."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.salesforce.records import DescribedObject
from connectors.salesforce.settings import SinkObject, SourceObject


def for_source(source: SourceObject, described: DescribedObject) -> Iterator[str]:
    """What is missing to read the source, a sentence each."""
    if not described.queryable:
        yield f"{source.object} cannot be queried"
    known = {field.name for field in described.fields} | {field.relationship_name for field in described.fields}
    for path in source.fields:
        if path.partition(".")[0] not in known:
            yield f"{source.object}.{path} is not there or not visible (source.fields)"


def for_sink(sink: SinkObject, described: DescribedObject) -> Iterator[str]:
    """What is missing to keep records."""
    rights = {"queried": described.queryable, "created": described.createable, "updated": described.updateable}
    yield from (f"{sink.object} cannot be {done}" for done, is_allowed in rights.items() if not is_allowed)
    fields = {field.name: field for field in described.fields}
    for name in sink.read_back:
        field = fields.get(name)
        if field is None:
            yield f"{sink.object}.{name} is not there or not visible"
        elif not field.is_writable:
            yield f"{sink.object}.{name} cannot be written"
    marker = fields.get(sink.marker_field)
    if marker is not None and not (marker.external_id and marker.unique):
        yield f"{sink.object}.{sink.marker_field} is not an external id that is unique (sink.marker_field)"
