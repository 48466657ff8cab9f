"""Which columns the customer's download has: the header of its layout, as some of its rows show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connectors.fieldglass.client import FieldglassClient
from connectors.fieldglass.records import Row
from connectors.records.schemas import closed_object
from workforce.ports import Schemas

SAMPLED_ROWS = 100
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}


class FieldglassSchemas:
    """The ``RecordSchemas`` capability. No upload tells its columns, and without a row the download has none either."""

    def __init__(self, client: FieldglassClient) -> None:
        self._client = client

    def read(self) -> Schemas:
        """The columns of the download. A column of which only texts were seen holds texts."""
        rows = self._client.changed(None, SAMPLED_ROWS)
        if not rows:
            return Schemas()
        columns = list(dict.fromkeys(column for row in rows for column in row.values))
        always = [column for column in columns if all(column in row.values for row in rows)]
        return Schemas(source=closed_object({column: _seen(rows, column) for column in columns}, required=always))


def _seen(rows: Sequence[Row], column: str) -> dict[str, object]:
    types = _named(type(row.values[column]) for row in rows if column in row.values)
    return {"type": types[0] if len(types) == 1 else types}


def _named(types: Iterable[type]) -> list[str]:
    return sorted({_TYPES[kind] for kind in types})
