"""What crosses the wire: work-order rows in the customer's layout, the upload's receipt, the token."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from connectors.fieldglass.settings import Layout
from workforce.errors import Misconfigured, Refused


class AccessGrant(BaseModel):
    """The answer of the token endpoint (RFC 6749 §5.1)."""

    access_token: Annotated[str, StringConstraints(min_length=1, max_length=16384, pattern=r"^[\x21-\x7e]+$")]
    expires_in: Annotated[int, Field(gt=0, le=366 * 86400)]


class UploadReceipt(BaseModel):
    """The answer to an upload: return code 0 is success. Seen in third parties' code, not verified against the vendor."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    return_code: str = Field(alias="ReturnCode")

    @field_validator("return_code")
    @classmethod
    def _is_a_number(cls, value: str) -> str:
        if not (value.isascii() and value.isdigit() and len(value) <= 6):
            raise ValueError("not a return code")
        return value


@dataclass(frozen=True, slots=True)
class Row:
    """A work order as a download gives it, in the customer's columns. ``modified`` is UTC."""

    work_order_id: str
    modified: datetime
    status: str
    ends_on: str
    values: Mapping[str, object]

    @property
    def version(self) -> str:
        """Fixed width, so that later versions compare greater as text."""
        return self.modified.isoformat(timespec="microseconds")

    @property
    def digest(self) -> str:
        """Tells this content of this row from every other: two changes within one tick of the vendor's clock differ."""
        content = json.dumps(self.values, sort_keys=True, ensure_ascii=True).encode()
        return base64.urlsafe_b64encode(hashlib.sha256(content).digest()[:12]).decode()


def read_rows(rows: Sequence[object], layout: Layout) -> list[Row]:
    """The rows of a download. Raises ``Misconfigured`` when the layout lacks a column, ``Refused`` for a single bad row."""
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
    work_order_id = _text(values, layout.id_column)
    if not work_order_id:
        raise _bad(layout.id_column, "is empty in one row; every work order needs its id")
    return Row(
        work_order_id,
        _modified(values, layout.modified_column, work_order_id),
        _text(values, layout.status_column),
        _text(values, layout.end_column),
        values,
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
    raise _bad(column, f"of work order {work_order_id} is not an ISO 8601 instant with its offset")


def _bad(column: str, fault: str) -> Refused:
    return Refused(f"Fieldglass: column {column!r} {fault}", cause="invalid_record", field=column)
