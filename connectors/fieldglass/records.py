"""What crosses the wire: work-order rows in the customer's layout, and the upload's receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import Field

from connectors.fieldglass.settings import Layout
from connectors.records.answers import Reading, Wire
from connectors.records.cursors import digest_of
from workforce.errors import Misconfigured, Refused

parse = Reading("Fieldglass")


class UploadReceipt(Wire, coerce_numbers_to_str=True):
    """The answer to an upload: return code 0 is success. Seen in third parties' code, not verified against the vendor."""

    return_code: str = Field(alias="ReturnCode", pattern=r"^[0-9]{1,6}$")


@dataclass(frozen=True, slots=True)
class Row:
    """A work order as a download gives it, in the customer's columns. ``modified`` is UTC.

    A row without its id has the id ``row:<digest>``: nothing can be done with it, but it keeps no other from being read.
    """

    work_order_id: str
    modified: datetime
    status: str
    ends_on: str
    values: Mapping[str, object]
    marker: str | None = None

    @property
    def version(self) -> str:
        """Fixed width, so that later versions compare greater as text."""
        return self.modified.isoformat(timespec="microseconds")

    @property
    def digest(self) -> str:
        """Tells this content of this row from every other: two changes within one tick of the vendor's clock differ."""
        return digest_of(self.values)


def read_rows(rows: Sequence[object], layout: Layout) -> list[Row]:
    """The rows of a download. Raises ``Misconfigured`` when it lacks a column, ``Refused`` for a row without its instant.

    That row stops the reading, because its place among the others is unknown.
    """
    objects = [row for row in rows if isinstance(row, dict)]
    if len(objects) < len(rows):
        raise Misconfigured(
            "rows_field: the download's rows are not objects; give the connector the JSON format", field="rows_field"
        )
    for column in layout.required():
        if objects and not any(column in row for row in objects):
            raise Misconfigured(
                f"layout: the download has no column {column!r}; add it to the connector in Fieldglass, or mend the layout here",
                cause="layout_drift",
                field=column,
            )
    return [_row(values, layout) for values in objects]


def _row(values: Mapping[str, object], layout: Layout) -> Row:
    work_order_id = _text(values, layout.id_column) or f"row:{digest_of(values)}"
    return Row(
        work_order_id,
        _modified(values, layout.modified_column, work_order_id),
        _text(values, layout.status_column),
        _text(values, layout.end_column),
        values,
        (_text(values, layout.marker_column) or None) if layout.marker_column else None,
    )


def _text(values: Mapping[str, object], column: str) -> str:
    value = values.get(column)
    return value.strip() if isinstance(value, str) else ""


def _modified(values: Mapping[str, object], column: str, work_order_id: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(values, column))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    message = f"Fieldglass: column {column!r} of work order {work_order_id} is not an ISO 8601 instant with its offset"
    raise Refused(message, cause="invalid_record", field=column)
