"""What can be compared by more and less: exact numbers with numbers, calendar days with days. Anything else has no order here."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from math import isfinite
from types import MappingProxyType
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

Ordered: TypeAlias = Decimal | date

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,9})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LARGEST = 10**15
_COMPARES: Mapping[str, Callable[[Ordered, Ordered], bool]] = MappingProxyType(
    {"at_least": operator.ge, "at_most": operator.le, "above": operator.gt, "below": operator.lt}
)


def measure(value: object) -> Ordered | None:
    """``value`` as what it is compared as: a number, also one written as text (``95.00``), or a day (``2026-12-01``).

    ``None`` for anything else: other notations, instants, whose day depends on a zone, and numbers of 10^15 and more.
    """
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return Decimal(value)
        try:
            return date.fromisoformat(value) if _DAY.fullmatch(value) else None
        except ValueError:
            return None
    if type(value) is float and isfinite(value):
        value = Decimal(repr(value))
    is_number = type(value) is int or (isinstance(value, Decimal) and value.is_finite())
    return Decimal(value) if is_number and abs(value) < _LARGEST else None  # type: ignore[arg-type]  # a number by now


def ordered(bound: object) -> Ordered:
    """``bound`` as it is compared with. Raises ``ValueError`` where nothing can be more or less than it."""
    found = measure(bound) if type(bound) in {str, int} else None
    if found is None:
        raise ValueError("compare with a whole number, a number in quotes such as '95.50', or a day such as '2026-12-01'")
    return found


def is_in_order(value: object, how: str, bound: Ordered) -> bool:
    """Whether ``value`` stands to ``bound`` as ``how`` says; never where the two cannot be compared."""
    found = measure(value)
    return type(found) is type(bound) and found is not None and _COMPARES[how](found, bound)


def _bound(value: object) -> object:
    ordered(value)
    return value


Bound: TypeAlias = Annotated[object, AfterValidator(_bound)]
"""A number or a day to compare with, as it is written."""
