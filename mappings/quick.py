"""Quick forms of some transforms: the plainest values at once, every other through the transform itself.

A quick form never says anything of its own: it gives what the transform gives, sooner. A test holds each against its transform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from types import MappingProxyType
from typing import TypeAlias, cast

from mappings.plan import Step

Quick: TypeAlias = Callable[[Step], Callable[..., object] | None]

_DAY_PARTS = {"ymd": (0, 5, 8), "mdy": (6, 0, 3), "dmy": (6, 3, 0)}
"""Where year, month and day begin in ten characters."""
_SEPARATORS = {"1234.5": (".", ""), "1,234.5": (".", ","), "1.234,5": (",", "."), "1 234,5": (",", " "), "1'234.5": (".", "'")}
"""How a decimal number is written: its point, and what stands between its thousands."""
_PLAIN_CHARACTERS = 10
"""Numbers of no more characters keep every bound that the transforms have."""


def quick_form(step: Step) -> Callable[..., object] | None:
    """A function of one value that does what ``step`` does; ``None`` where there is none quicker than its own."""
    make = _FORMS.get(step.name)
    return make(step) if make else None


def _iso_date(step: Step) -> Callable[[str], object] | None:
    slow = partial(step.function, **step.parameters)
    if step.parameters["order"] not in _DAY_PARTS:
        return None
    year, month, day = _DAY_PARTS[str(step.parameters["order"])]
    one, other = sorted(place - 1 for place in (year, month, day) if place)
    exists = date.fromisoformat

    def iso_date(value: str) -> object:
        if len(value) == 10 and value[one] in "-/." and value[other] in "-/.":
            written = f"{value[year : year + 4]}-{value[month : month + 2]}-{value[day : day + 2]}"
            try:
                exists(written)
            except ValueError:
                return slow(value)
            return written
        return slow(value)

    return iso_date


def _iso_instant(step: Step) -> Callable[[str], object]:
    slow, exists = step.function, datetime.fromisoformat

    def iso_instant(value: str) -> object:
        if len(value) == 20 and value[4] == value[7] == "-" and value[10] == "T" and value[16] == ":" and value[19] == "Z":
            try:
                exists(value)
            except ValueError:
                return slow(value)
            return f"{value[:19]}+00:00"
        if 22 <= len(value) <= 29 and value[4] == value[7] == "-" and value[10] == "T" and value[13] == ":" and value[-3] == ":":
            try:
                return exists(value).astimezone(UTC).isoformat() if value[-6] in "+-" and "," not in value else slow(value)
            except (ValueError, OverflowError):
                return slow(value)
        return slow(value)

    return iso_instant


def _decimal(step: Step) -> Callable[[str | int], object] | None:
    slow = partial(step.function, **step.parameters)
    if step.parameters["written"] not in _SEPARATORS:
        return None
    point, group = _SEPARATORS[str(step.parameters["written"])]

    def decimal(value: str | int) -> object:
        if type(value) is str and len(value) <= _PLAIN_CHARACTERS and value.isascii():
            whole, found, fraction = value.partition(point)
            if group and len(whole) > 3:
                whole = whole[:-4] + whole[-3:] if whole[-4] == group and 5 <= len(whole) <= 7 else ""
            if whole.isdigit() and (fraction.isdigit() or not found):
                return Decimal(f"{whole}.{fraction}" if found else whole)
        return slow(value)

    return decimal


def _money(step: Step) -> Callable[[Decimal], object]:
    slow = partial(step.function, **step.parameters)
    quantum = Decimal(1).scaleb(-cast("int", step.parameters["places"]))

    def money(value: Decimal) -> object:
        try:
            rounded = value.quantize(quantum)
        except InvalidOperation:
            return slow(value)
        written = str(rounded)
        return written if rounded == value and "E" not in written else slow(value)

    return money


def _text(step: Step) -> Callable[[str | int | Decimal], object]:
    slow = step.function

    def text(value: str | int | Decimal) -> object:
        if type(value) is str:
            return value
        try:
            written = str(value)
        except ValueError:
            return slow(value)
        return slow(value) if "E" in written else written

    return text


def _integer(step: Step) -> Callable[[str | int], object]:
    slow = step.function

    def integer(value: str | int) -> object:
        if type(value) is str and len(value) <= _PLAIN_CHARACTERS and value.isascii() and value.isdigit():
            return int(value)
        return slow(value)

    return integer


def _join(step: Step) -> Callable[[list[object]], object]:
    slow = partial(step.function, **step.parameters)
    join = str(step.parameters["separator"]).join

    def joined(value: list[object]) -> object:
        for part in value:
            if type(part) is not str or not part:
                return slow(value)
        return join(value) if value else slow(value)  # type: ignore[arg-type]  # every part is text

    return joined


_FORMS: Mapping[str, Quick] = MappingProxyType({
    "iso_date": _iso_date, "iso_instant": _iso_instant, "decimal": _decimal, "money": _money, "text": _text, "integer": _integer,
    "join": _join,
})  # fmt: skip
