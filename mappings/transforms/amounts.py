"""Exact numbers. No transform rounds, and none takes a binary fraction for an exact one unless it provably is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from math import isfinite
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from mappings.transforms.expected import expected

EXACT_DIGITS = 15
"""Significant digits that every IEEE 754 double keeps: a decimal number of no more is read from JSON and written again unchanged."""

_EXACT = Context(prec=28, traps=[Inexact, InvalidOperation, Overflow])

_WRITTEN: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "1234.5": re.compile(r"(?P<whole>[+-]?[0-9]{1,15})(?:\.(?P<fraction>[0-9]{1,9}))?"),
        "1,234.5": re.compile(r"(?P<whole>[+-]?[0-9]{1,3}(?:,[0-9]{3}){0,4})(?:\.(?P<fraction>[0-9]{1,9}))?"),
        "1.234,5": re.compile(r"(?P<whole>[+-]?[0-9]{1,3}(?:\.[0-9]{3}){0,4})(?:,(?P<fraction>[0-9]{1,9}))?"),
        "1 234,5": re.compile(r"(?P<whole>[+-]?[0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3}){0,4})(?:,(?P<fraction>[0-9]{1,9}))?"),
        "1'234.5": re.compile(r"(?P<whole>[+-]?[0-9]{1,3}(?:['\u2019][0-9]{3}){0,4})(?:\.(?P<fraction>[0-9]{1,9}))?"),
    }
)


def decimal(value: str | int, *, written: Literal["1234.5", "1,234.5", "1.234,5", "1 234,5", "1'234.5"] = "1234.5") -> Decimal:
    """An exact number. ``written`` shows how the source writes one; separators in other places are refused."""
    found = _WRITTEN[written].fullmatch(text(value))
    if not found:
        return expected(f"a decimal number as text, written like {written}")
    whole = re.sub(r"[^0-9+-]", "", found["whole"])
    return Decimal(f"{whole}.{found['fraction']}" if found["fraction"] else whole)


def json_decimal(value: str | int | float) -> Decimal:  # noqa: PYI041  # the annotation names the types that it takes
    """An exact number that JSON holds as a number or as its text.

    A number with a fraction has come through a double. One of at most 15 significant digits has come through unchanged; one of more may
    not have, and is refused.
    """
    if not isinstance(value, float):
        return decimal(value)
    if not isfinite(value) or abs(value) >= 10**EXACT_DIGITS:
        return expected("a number below 10^15")
    number = Decimal(repr(value))
    return number if len(number.as_tuple().digits) <= EXACT_DIGITS else expected("a number of at most 15 digits")


def _as_decimal(value: object) -> Decimal:
    if not isinstance(value, str) or not _WRITTEN["1234.5"].fullmatch(value):
        raise ValueError("write the number as text in quotes")
    return Decimal(value)


Number: TypeAlias = Annotated[Decimal, BeforeValidator(_as_decimal)]


def within(value: Decimal, *, least: Number | None = None, most: Number | None = None) -> Decimal:
    """The number, if it is from ``least`` to ``most``; one outside is refused."""
    if (least is None or value >= least) and (most is None or value <= most):
        return value
    bounds = [f"{word} {bound}" for word, bound in (("from", least), ("up to", most)) if bound is not None]
    return expected(f"a number {' '.join(bounds)}")


def multiply(value: Decimal, *, by: Number) -> Decimal:
    """An exact number times ``by``: the explicit way to convert a rate. A product of more digits than are exact is refused."""
    try:
        return _EXACT.multiply(value, by)
    except (Inexact, InvalidOperation, Overflow):
        return expected(f"a number whose product has at most {_EXACT.prec} digits")


def money(value: Decimal, *, places: Annotated[int, Field(ge=0, le=9)] = 2) -> str:
    """An amount as text with exactly ``places`` decimals. Refuses an amount that would have to be rounded."""
    try:
        rounded = value.quantize(Decimal(1).scaleb(-places))
    except InvalidOperation:
        return expected("an amount with at most 28 digits")
    return f"{rounded:f}" if rounded == value else expected(f"an amount with at most {places} decimals")


def text(value: str | int | Decimal) -> str:
    """The value as text, a number without exponent."""
    try:
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    except ValueError:  # Python writes no number of thousands of digits
        return expected("a number of fewer digits")


def integer(value: str | int) -> int:
    """A whole number."""
    return int(value) if re.fullmatch(r"[+-]?[0-9]{1,15}", text(value)) else expected("a whole number")
