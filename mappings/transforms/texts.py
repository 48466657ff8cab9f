"""Texts, and several values that become one."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from mappings.transforms.amounts import text
from mappings.transforms.expected import expected, expected_type, expected_word
from mappings.transforms.presence import is_empty
from mappings.values import ABSENT, Absent, AmbiguousItem

_PLACE = re.compile(r"\{\{|\}\}|\{(?P<number>[1-9][0-9]?)\}")
"""What a template has in the place of a value, or of a brace."""


def strip(value: str) -> str:
    """Without white space at both ends."""
    return value.strip()


def upper(value: str) -> str:
    """In upper case: for codes, never for names."""
    return value.upper()


def lower(value: str) -> str:
    """In lower case: for codes, never for names."""
    return value.lower()


def concat(value: str, *, before: str = "", after: str = "") -> str:
    """``before``, the value, ``after``."""
    return before + value + after


def join(value: list[object], *, separator: str = " ") -> str | Absent:
    """The texts of a list in a row, null and empty ones left out; absent where none is left."""
    parts = [part for part in value if not is_empty(part)]
    if not all(isinstance(part, str) for part in parts):
        return expected_type("texts to join")
    return separator.join(str(part) for part in parts) if parts else ABSENT


def _template(text: str) -> str:
    if "{" in (rest := _PLACE.sub("", text)) or "}" in rest or not any(found["number"] for found in _PLACE.finditer(text)):
        raise ValueError("write {1} for the first value, {2} for the second; {{ and }} for braces")
    return text


Template: TypeAlias = Annotated[str, AfterValidator(_template)]


def fill(value: list[object], *, template: Template) -> str | Absent:
    """The ``template`` with ``{1}``, ``{2}``, … replaced by the first, second, … of the texts or whole numbers of a list.

    Absent where one of them is absent, null or empty.
    """
    wanted = {int(found["number"]) for found in _PLACE.finditer(template) if found["number"]}
    if max(wanted) > len(value):
        return expected(f"a list of at least {max(wanted)} values")
    parts = {number: value[number - 1] for number in wanted}
    if any(is_empty(part) for part in parts.values()):
        return ABSENT
    written = {number: _filled_in(part) for number, part in parts.items()}
    return _PLACE.sub(lambda found: written[int(found["number"])] if found["number"] else found[0][0], template)


def _filled_in(part: object) -> str:
    return text(part) if isinstance(part, str | int) and not isinstance(part, bool) else expected_type("texts or whole numbers")


def item(value: list[object], *, at: int) -> object:
    """The item of a list at a place: 0 is the first, -1 the last; absent where the list is shorter."""
    return value[at] if -len(value) <= at < len(value) else ABSENT


def replace(value: str, *, what: Annotated[str, Field(min_length=1)], by: str) -> str:
    """The value with ``by`` in place of each ``what``; both are plain texts."""
    return value.replace(what, by)


def split(value: str, *, separator: Annotated[str, Field(min_length=1)]) -> list[object]:
    """The parts of a text between separators, without white space at their ends."""
    return [part.strip() for part in value.split(separator)]


def first(value: list[object]) -> object:
    """The first item of a list that is neither null nor empty; absent where there is none."""
    return next((item for item in value if not is_empty(item)), ABSENT)


def agreed(value: list[object]) -> object:
    """The one value of which all items are, null and empty ones left out; absent where none is left. Items that differ are refused."""
    said = [item for item in value if not is_empty(item)]
    if any(type(item) is not type(said[0]) or item != said[0] for item in said):
        raise AmbiguousItem("expected values that agree")
    return said[0] if said else ABSENT


def pick(value: dict[str, object], *, by: str, members: dict[str, str]) -> object:
    """The member of an object that its member ``by`` tells: ``members`` gives its name for each word there.

    Absent where ``by`` is, or the member that it tells; a word without an entry is refused.
    """
    word = value.get(by)
    if is_empty(word) or word is None:
        return ABSENT
    if not isinstance(word, str):
        return expected_type(f"text at {by}")
    return value.get(members[word], ABSENT) if word in members else expected_word(members, word)
