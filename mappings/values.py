"""The values that travel through a mapping: absence, plain constants, and the fault of a single value."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeAlias

from pydantic import AfterValidator


class Absent(Enum):
    """The type of ``ABSENT``."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


class Clear(Enum):
    """The type of ``CLEAR``."""

    CLEAR = "clear"

    def __repr__(self) -> str:
        return "CLEAR"


ABSENT = Absent.ABSENT
"""There is nothing: the record has no such key. Not the same as ``None``, which the source says on purpose."""

CLEAR = Clear.CLEAR
"""The mapping says that the target shall lose its value. Never inferred from an absent or null source."""


class ValueFault(Exception):
    """One value cannot be mapped. The message says what was expected and never what was found."""


def plain(value: object) -> object:
    """``value`` if it is text, a whole number, a boolean or null. Raises ``ValueError``: fractions and dates are written as text."""
    if value is None or type(value) in {str, int, bool}:
        return value
    raise ValueError("write it as text in quotes: only text, whole numbers, booleans and null are constants")


Plain: TypeAlias = Annotated[object, AfterValidator(plain)]
