"""CSV with a header (RFC 4180): read whole or not at all, and written.

A file that does not decode, a row that is too short, a name that stands twice: the file is refused with the line, and nothing of it is
used. Only a row without its id is passed on, under a name of its own, so that it alone is parked.

What a spreadsheet would run as a formula is not written: to put a quote before it, as is usual, would hand the importing system another
value. Telephone and negative numbers are no formulas.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.files.settings import FilesSettings, Layout, Mode
from workforce.errors import Misconfigured, Refused

_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d\s().,/-]*$)")


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file. ``line`` is where it ends; ``modified`` is UTC with microseconds, or empty without such a column."""

    record_id: str
    line: int
    modified: str
    values: Mapping[str, str]
    has_id: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A file's rows in their order, and the digest of its bytes."""

    digest: str
    rows: Sequence[Row]

    def by_id(self) -> dict[str, Row]:
        """The rows by their ids; of several with one id the last."""
        return {row.record_id: row for row in self.rows}


def digest(content: bytes) -> str:
    """12 bytes of SHA-256 as text for names and cursors."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()[:12]).decode()


def read_table(content: bytes, name: str, settings: FilesSettings) -> Table:
    """The file ``name``. Raises ``Refused`` naming the line, ``Misconfigured`` when it lacks a column of the layout."""
    text = _text(content, name, settings.encoding)
    if settings.ends_with_line_break and not text.endswith(("\n", "\r")):
        end = text.count("\n") + 1
        raise _bad(name, end, "is not ended: the file may be cut off; if it is right, unset ends_with_line_break", "cut_off")
    lines = _lines(text, name, settings.delimiter)
    header = _header(next(lines, (1, []))[1], name, settings.layout)
    rows = [
        _row(dict(zip(header, _fitting(cells, header, name, line), strict=True)), line, name, settings.layout)
        for line, cells in lines
    ]
    if settings.mode is Mode.FULL:
        _require_unique(rows, name, settings.layout.id_column)
    return Table(digest(content), rows)


def write_table(row: Mapping[str, object], settings: FilesSettings) -> bytes:
    """A file of one row. Raises ``Refused`` naming the column that cannot be written."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=settings.delimiter)
    writer.writerow([_cell(column, column) for column in row])
    writer.writerow([_cell(value, column) for column, value in row.items()])
    try:
        return out.getvalue().encode(settings.encoding)
    except UnicodeEncodeError:
        column = next(column for column, value in row.items() if not _encodable(f"{column}{value}", settings.encoding))
        message = f"files: column {column!r} holds characters that {settings.encoding} cannot write; choose encoding utf-8-sig"
        raise Refused(message, cause="not_encodable", field=column) from None


def _text(content: bytes, name: str, encoding: str) -> str:
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].decode(encoding, "replace").count("\n") + 1
        message = f"files: {name}, line {line}, is not {encoding}; mend the export, or the setting encoding"
        raise Refused(message, cause="undecodable", field="encoding") from None
    if not encoding.startswith("utf") and not content.isascii() and _is_utf8(content):
        # any bytes are text in a one-byte encoding; by chance they are never UTF-8
        message = f"files: {name} is UTF-8 and not {encoding}; mend the export, or the setting encoding"
        raise Refused(message, cause="undecodable", field="encoding")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise _bad(name, line, "holds a NUL; the file may still be written, or be in another encoding", "not_csv")
    return text


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(text: str, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that hold something, with their numbers. A quoted line break belongs to its cell."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error:
        raise _bad(name, reader.line_num, "is not CSV; look for a quote that is not closed", "not_csv") from None


def _header(cells: Sequence[str], name: str, layout: Layout) -> list[str]:
    header = [cell.strip() for cell in cells]
    for column in layout.required():
        if column not in header:
            raise Misconfigured(
                f"layout: {name} has no column {column!r}; add it to the export, or mend the layout here",
                cause="layout_drift",
                field=column,
            )
    twice = {column for column in header if header.count(column) > 1}
    if twice or "" in header:
        fault = f"names {min(twice)!r} twice" if twice - {""} else "has a column without a name"
        raise _bad(name, 1, f"{fault}; mend the export", "bad_header")
    return header


def _fitting(cells: list[str], header: Sequence[str], name: str, line: int) -> list[str]:
    if len(cells) != len(header):
        raise _bad(name, line, f"has {len(cells)} cells under {len(header)} columns; the file may be cut off", "ragged_row")
    return cells


def _row(values: dict[str, str], line: int, name: str, layout: Layout) -> Row:
    record_id = values[layout.id_column].strip()
    modified = _modified(values[layout.modified_column], line, name, layout.modified_column) if layout.modified_column else ""
    if record_id:
        return Row(record_id, line, modified, values)
    content = json.dumps(values, sort_keys=True).encode()
    return Row(f"row:{digest(content)}", line, modified, values, has_id=False)


def _modified(text: str, line: int, name: str, column: str) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        pass
    raise _bad(name, line, f"has no ISO 8601 instant with its offset in {column!r}", "invalid_record", column)


def _require_unique(rows: Sequence[Row], name: str, column: str) -> None:
    lines: dict[str, int] = {}
    for row in rows:
        first = lines.setdefault(row.record_id, row.line)
        if first != row.line and row.has_id:
            raise _bad(name, row.line, f"has the id of line {first}; a full file holds each record once", "duplicate_id", column)


def _bad(name: str, line: int, fault: str, cause: str, field: str | None = None) -> Refused:
    return Refused(f"files: {name}, line {line}, {fault}; nothing of the file was used", cause=cause, field=field)


def _cell(value: object, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple | set):
        raise Refused(f"files: column {column!r} holds more than one value; map it to a text", cause="not_a_cell", field=column)
    text = str(value)
    if "\0" in text or _FORMULA.match(text):
        fault = "holds a NUL" if "\0" in text else "begins as a formula does, which a spreadsheet would run"
        raise Refused(f"files: column {column!r} {fault}; mend the value", cause="unsafe_cell", field=column)
    return text


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
