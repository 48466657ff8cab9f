"""The values that travel through a mapping: absence, plain constants, and the fault of a single value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from mappings.faults import FaultKind


class Absent(Enum):
    """The type of ``ABSENT``."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"

    def __str__(self) -> str:
        return "(absent)"


class Clear(Enum):
    """The type of ``CLEAR``."""

    CLEAR = "clear"

    def __repr__(self) -> str:
        return "CLEAR"

    def __str__(self) -> str:
        return "(cleared)"


ABSENT = Absent.ABSENT
"""There is nothing: the record has no such key. Not the same as ``None``, which the source says on purpose."""

CLEAR = Clear.CLEAR
"""The mapping says that the target shall lose its value. Never inferred from an absent or null source."""


MAX_NESTING = 64
"""Levels of lists and objects that one value may have."""


class ValueFault(Exception):
    """One value cannot be mapped. The message says what was expected and never what was found."""

    kind = FaultKind.MALFORMED_VALUE


class ChangedType(ValueFault):
    """The value is of another type than what it goes through takes."""

    kind = FaultKind.CHANGED_TYPE


class NewValue(ValueFault):
    """A table has no entry for ``word``. The word is kept beside the message: the rule says whether it may be shown."""

    kind = FaultKind.NEW_VALUE

    def __init__(self, message: str, *, word: str) -> None:
        super().__init__(message)
        self.word = word


class MissingValue(ValueFault):
    """A required value is absent, null or empty."""

    kind = FaultKind.MISSING_VALUE


class AmbiguousItem(ValueFault):
    """Several items of a list match where exactly one is expected."""

    kind = FaultKind.AMBIGUOUS


def detached(value: object, levels: int = MAX_NESTING) -> object:
    """``value`` in lists and objects of its own: a change to it shows nowhere else. What is absent in a list is left out of it.

    Raises ``ValueFault`` where it is nested deeper than ``levels``.
    """
    if isinstance(value, (str, bytes, bytearray)) or not isinstance(value, (Mapping, Sequence)):
        return value
    if not levels:
        raise ValueFault(f"expected a value of at most {MAX_NESTING} levels of lists and objects")
    if isinstance(value, Mapping):
        return {key: detached(item, levels - 1) for key, item in value.items()}
    return [detached(item, levels - 1) for item in value if item is not ABSENT]


def plain(value: object) -> object:
    """``value`` if it is text, a whole number, a boolean or null. Raises ``ValueError``: fractions and dates are written as text."""
    if value is None or type(value) in {str, int, bool}:
        return value
    raise ValueError("write it as text in quotes: only text, whole numbers, booleans and null are constants")


Plain: TypeAlias = Annotated[object, AfterValidator(plain)]
