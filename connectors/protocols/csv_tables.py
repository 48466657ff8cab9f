"""CSV with a header (RFC 4180): read whole or not at all, and written.

A file that does not decode, a row that is too short, a name that stands twice: the file is refused with the line, and nothing of it is
used.

What a spreadsheet would run as a formula is not written: to put a quote before it, as is usual, would hand the importing system another
value. Telephone and negative numbers are no formulas.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from workforce.errors import Misconfigured, Refused

Encoding: TypeAlias = Literal["utf-8-sig", "utf-8", "utf-16", "windows-1252", "iso-8859-1", "iso-8859-15"]
_FORMULA = re.compile(r"[=@\t\r\n\uff1d\uff20]|[+\-\uff0b\uff0d](?![\d\s().,/-]*$)")
"""With the full-width forms, which spreadsheets of East Asian languages take for the same signs."""


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How files are written. Where ``ends_with_line_break``, one whose last line is not ended is taken for cut off."""

    encoding: Encoding = "utf-8-sig"
    delimiter: str = ","
    ends_with_line_break: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of one row by their columns. ``number`` is the line on which it ends."""

    number: int
    cells: Mapping[str, str]


def read_lines(content: bytes, name: str, form: CsvFormat, *, columns: Collection[str] = ()) -> list[Line]:
    """The file ``name``, which has at least these ``columns``. Raises ``Refused`` naming the line, ``Misconfigured`` naming a column."""
    header, lines = _header_and_lines(content, name, form, columns)
    return [Line(number, dict(zip(header, _fitting(cells, header, name, number), strict=True))) for number, cells in lines]


def read_header(content: bytes, name: str, form: CsvFormat, *, columns: Collection[str] = ()) -> list[str]:
    """The columns of the file ``name`` in their order. Raises as ``read_lines``, which looks at the rows as well."""
    return _header_and_lines(content, name, form, columns)[0]


def write_row(row: Mapping[str, object], form: CsvFormat) -> bytes:
    """A file of one row. Raises ``Refused`` naming the column that cannot be written."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=form.delimiter)
    writer.writerow([_cell(column, column) for column in row])
    writer.writerow([_cell(value, column) for column, value in row.items()])
    try:
        return out.getvalue().encode(form.encoding)
    except UnicodeEncodeError:
        column = next(column for column, value in row.items() if not _encodable(f"{column}{value}", form.encoding))
        message = f"files: column {column!r} holds characters that {form.encoding} cannot write; choose encoding utf-8-sig"
        raise Refused(message, cause="not_encodable", field=column) from None


def unusable(name: str, line: int, fault: str, cause: str, field: str | None = None) -> Refused:
    """The refusal of a whole file for one of its lines."""
    return Refused(f"files: {name}, line {line}, {fault}; nothing of the file was used", cause=cause, field=field)


def _header_and_lines(
    content: bytes, name: str, form: CsvFormat, columns: Collection[str]
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    text = _text(content, name, form.encoding)
    if form.ends_with_line_break and not text.endswith(("\n", "\r")):
        end = text.count("\n") + 1
        raise unusable(name, end, "is not ended: the file may be cut off; if it is right, unset ends_with_line_break", "cut_off")
    lines = _lines(text, name, form.delimiter)
    return _header(next(lines, (1, []))[1], name, columns), lines


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
        raise unusable(name, line, "holds a NUL; the file may still be written, or be in another encoding", "not_csv")
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
        raise unusable(name, reader.line_num, "is not CSV; look for a quote that is not closed", "not_csv") from None


def _header(cells: Sequence[str], name: str, columns: Collection[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    for column in columns:
        if column not in header:
            raise Misconfigured(
                f"layout: {name} has no column {column!r}; add it to the export, or mend the layout here",
                cause="layout_drift",
                field=column,
            )
    twice = {column for column in header if header.count(column) > 1}
    if twice or "" in header:
        fault = f"names {min(twice)!r} twice" if twice - {""} else "has a column without a name"
        raise unusable(name, 1, f"{fault}; mend the export", "bad_header")
    return header


def _fitting(cells: list[str], header: Sequence[str], name: str, line: int) -> list[str]:
    if len(cells) != len(header):
        fault = f"has {len(cells)} cells under {len(header)} columns; the file may be cut off"
        raise unusable(name, line, fault, "ragged_row")
    return cells


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
