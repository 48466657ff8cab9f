"""A sheet: a small file of fields and texts, as YAML, JSON or CSV, for people and for their ticket systems.

Everything is a text. What does not print (line breaks, marks that turn the direction of writing) is written as an escape in YAML and JSON,
so that a name cannot make a ticket look like another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import yaml

from connectors.protocols.csv_tables import CsvFormat, read_lines, write_row
from workforce.errors import HubError, Refused, UnusableContent

MAX_BYTES = 65_536
PATTERN = "*.[YyJjCc][AaMmSs]*"
"""What the names of sheets match; ``is_sheet`` decides."""


class Form(StrEnum):
    """How a sheet is written."""

    YAML = "yaml"
    JSON = "json"
    CSV = "csv"


def is_sheet(name: str) -> bool:
    """Whether a file of this name may be a sheet."""
    return _suffix(name) in _READERS


def write_sheet(fields: Mapping[str, str], form: Form) -> bytes:
    """The file. Raises ``Refused`` naming the field that cannot be written."""
    if form is Form.CSV:
        return write_row(fields, CsvFormat())
    try:
        if form is Form.JSON:
            return "{{\n  {}\n}}\n".format(",\n  ".join(f'"{name}": {_quoted(text)}' for name, text in fields.items())).encode()
        return "".join(f"{name}: {_quoted(text, long=True)}\n" for name, text in fields.items()).encode()
    except UnicodeEncodeError:
        raise Refused("tickets: a value holds what is no text; mend it at its source", cause="not_encodable") from None


def read_sheet(name: str, content: bytes) -> dict[str, str]:
    """The fields of the file ``name``, in small letters. Raises ``UnusableContent`` in words for whoever wrote it."""
    if len(content) > MAX_BYTES:
        raise UnusableContent(f"it is larger than {MAX_BYTES} bytes; refer to evidence, do not enclose it")
    try:
        held = _READERS[_suffix(name)](content)
    except (ValueError, RecursionError, yaml.YAMLError, HubError):
        raise UnusableContent(f"it is no {_suffix(name).upper()} in UTF-8") from None
    if not isinstance(held, Mapping) or any(isinstance(value, list | Mapping) for value in held.values()):
        raise UnusableContent("it is not a list of fields, each with one value")
    return {str(key).strip().lower(): "" if value is None else str(value) for key, value in held.items()}


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _from_yaml(content: bytes) -> Any:
    """Texts only: a date stays as it was written, and ``no`` is no truth value."""
    return yaml.load(content.decode("utf-8-sig"), Loader=yaml.BaseLoader)  # noqa: S506 - it makes nothing but texts


def _from_json(content: bytes) -> Any:
    return json.loads(content.decode("utf-8-sig"))


def _from_csv(content: bytes) -> Any:
    """The one row; which sign parts the cells is seen in the header."""
    header = content.decode("utf-8-sig").partition("\n")[0]
    delimiter = next((sign for sign in (",", ";", "\t") if sign in header), ",")
    (line,) = read_lines(content, "evidence", CsvFormat(delimiter=delimiter, ends_with_line_break=False))
    return line.cells


_READERS: Mapping[str, Callable[[bytes], Any]] = {"yaml": _from_yaml, "yml": _from_yaml, "json": _from_json, "csv": _from_csv}


def _quoted(text: str, *, long: bool = False) -> str:
    """A JSON string, which YAML reads as well, once characters beyond 16 bits are escaped in its ``long`` way."""
    return "".join(sign if sign.isprintable() else _escaped(sign, long=long) for sign in json.dumps(text, ensure_ascii=False))


def _escaped(sign: str, *, long: bool) -> str:
    return f"\\U{ord(sign):08x}" if long and ord(sign) > 0xFFFF else json.dumps(sign)[1:-1]
