"""The named transforms that a mapping may apply. Pure functions of one value; nothing else can be called from a mapping.

The first argument's annotation is what a transform takes, the keyword-only arguments are its parameters, and both are checked
when a mapping is read. An absent or null value passes by unseen, except through a transform that takes ``object``.
Transforms raise ``ValueFault`` saying what they expect, never what they got.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, partial
from types import MappingProxyType
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from mappings.values import ABSENT, Plain, ValueFault

ISO_3166_ALPHA_2 = frozenset(
    re.findall(
        "[A-Z]{2}",
        """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG
    CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL
    GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA
    LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP
    NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """,
    )
)

_DECIMAL = {
    "1234.5": re.compile(r"(?P<whole>[+-]?[0-9]{1,15})(?:\.(?P<fraction>[0-9]{1,9}))?"),
    "1,234.5": re.compile(r"(?P<whole>[+-]?[0-9]{1,3}(?:,[0-9]{3}){0,4})(?:\.(?P<fraction>[0-9]{1,9}))?"),
    "1.234,5": re.compile(r"(?P<whole>[+-]?[0-9]{1,3}(?:\.[0-9]{3}){0,4})(?:,(?P<fraction>[0-9]{1,9}))?"),
    "1 234,5": re.compile(r"(?P<whole>[+-]?[0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3}){0,4})(?:,(?P<fraction>[0-9]{1,9}))?"),
    "1'234.5": re.compile(r"(?P<whole>[+-]?[0-9]{1,3}(?:['\u2019][0-9]{3}){0,4})(?:\.(?P<fraction>[0-9]{1,9}))?"),
}
_DATE = {
    "ymd": re.compile(r"(?P<y>[0-9]{4})[-/.](?P<m>[0-9]{1,2})[-/.](?P<d>[0-9]{1,2})"),
    "mdy": re.compile(r"(?P<m>[0-9]{1,2})[-/.](?P<d>[0-9]{1,2})[-/.](?P<y>[0-9]{4})"),
    "dmy": re.compile(r"(?P<d>[0-9]{1,2})[-/.](?P<m>[0-9]{1,2})[-/.](?P<y>[0-9]{4})"),
}
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,18}(?:Z|[+-][0-9]{2}:?[0-9]{2})")


def strip(value: str) -> str:
    """Without white space at both ends."""
    return value.strip()


def upper(value: str) -> str:
    """In upper case."""
    return value.upper()


def lower(value: str) -> str:
    """In lower case."""
    return value.lower()


def iso_date(value: str, *, order: Literal["ymd", "mdy", "dmy"] = "ymd") -> str:
    """A calendar day as yyyy-mm-dd. ``order`` says how the source writes it; it is never guessed."""
    found = _DATE[order].fullmatch(value)
    try:
        return date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat() if found else _expected(f"a date ({order})")
    except ValueError:
        return _expected(f"a date that exists ({order})")


def iso_instant(value: str) -> str:
    """An instant in UTC as ISO 8601 (RFC 3339). The source must write the offset; digits below the microsecond are cut."""
    if not _INSTANT.fullmatch(value):
        return _expected("an ISO 8601 instant with its offset")
    try:
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return _expected("an instant that exists")


def decimal(value: str | int, *, written: Literal["1234.5", "1,234.5", "1.234,5", "1 234,5", "1'234.5"] = "1234.5") -> Decimal:
    """An exact number. ``written`` shows how the source writes one; separators in other places are refused."""
    found = _DECIMAL[written].fullmatch(str(value))
    if not found:
        _expected(f"a decimal number as text, written like {written}")
    whole = re.sub(r"[^0-9+-]", "", found["whole"])
    return Decimal(f"{whole}.{found['fraction']}" if found["fraction"] else whole)


def _as_decimal(value: object) -> Decimal:
    if not isinstance(value, str) or not _DECIMAL["1234.5"].fullmatch(value):
        raise ValueError("write the number as text in quotes")
    return Decimal(value)


def multiply(value: Decimal, *, by: Annotated[Decimal, BeforeValidator(_as_decimal)]) -> Decimal:
    """An exact number times ``by``: the explicit way to convert a rate."""
    return value * by


def money(value: Decimal, *, places: Annotated[int, Field(ge=0, le=9)] = 2) -> str:
    """An amount as text with exactly ``places`` decimals. Refuses an amount that would have to be rounded."""
    quantum = Decimal(1).scaleb(-places)
    rounded = value.quantize(quantum)
    return f"{rounded:f}" if rounded == value else _expected(f"an amount with at most {places} decimals")


def text(value: str | int | Decimal) -> str:
    """The value as text, a number without exponent."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def integer(value: str | int) -> int:
    """A whole number."""
    return int(value) if re.fullmatch(r"[+-]?[0-9]{1,15}", str(value)) else _expected("a whole number")


def boolean(value: str, *, true: list[str], false: list[str]) -> bool:
    """The boolean that the source writes as one of the words ``true`` or ``false``."""
    if value in true:
        return True
    return False if value in false else _expected(f"one of {_listed([*true, *false])}")


def bool_text(value: bool, *, true: str = "true", false: str = "false") -> str:
    """A boolean as the word that the target uses."""
    return true if value else false


def concat(value: str, *, before: str = "", after: str = "") -> str:
    """``before``, the value, ``after``."""
    return before + value + after


def join(value: list[object], *, separator: str = " ") -> object:
    """The texts of a list in a row, null and empty ones left out; absent where none is left."""
    parts = [part for part in value if part is not None and part != ""]
    if not all(isinstance(part, str) for part in parts):
        return _expected("texts to join")
    return separator.join(str(part) for part in parts) if parts else ABSENT


def split(value: str, *, separator: Annotated[str, Field(min_length=1)]) -> list[object]:
    """The parts of a text between separators, without white space at their ends."""
    return [part.strip() for part in value.split(separator)]


def first(value: list[object]) -> object:
    """The first item of a list that is neither null nor empty; absent where there is none."""
    return next((item for item in value if item is not None and item != ""), ABSENT)


def default_if_empty(value: object, *, value_if_empty: Plain) -> object:
    """``value_if_empty`` in place of an absent, null or empty value."""
    return value_if_empty if is_empty(value) else value


def null_if_empty(value: object) -> object:
    """Null in place of an empty text: the source says that there is none."""
    return None if value == "" else value


def absent_if_empty(value: object) -> object:
    """Absent in place of a null or empty value: the source says nothing."""
    return ABSENT if is_empty(value) else value


def map_values(value: str, *, table: dict[str, Plain]) -> object:
    """The entry of ``table`` for the value; a value without an entry is refused."""
    return table[value] if value in table else _expected(f"one of {_listed(table)}")


def country_alpha2(value: str) -> str:
    """An ISO 3166-1 alpha-2 country code in upper case. Names and other codes are refused, not guessed (``UK`` is not ``GB``)."""
    code = value.strip().upper()
    return code if code in ISO_3166_ALPHA_2 else _expected("an ISO 3166-1 alpha-2 country code")


_FUNCTIONS: tuple[Callable[..., object], ...] = (
    strip, upper, lower, iso_date, iso_instant, decimal, multiply, money, text, integer, boolean, bool_text, concat, join, split,
    first, default_if_empty, null_if_empty, absent_if_empty, map_values, country_alpha2,
)  # fmt: skip

_WORDS: Mapping[type, str] = MappingProxyType(
    {str: "text", int: "a whole number", bool: "a boolean", Decimal: "a decimal", list: "a list"}
)

Apply: TypeAlias = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Transform:
    """A named transform. Empty ``takes`` or ``gives`` means any type; one that takes anything also sees absent and null."""

    name: str
    takes: frozenset[type]
    gives: frozenset[type]
    parameters: type[BaseModel]
    function: Callable[..., object]

    def bind(self, parameters: Mapping[str, object], *, given: frozenset[type] = frozenset()) -> Apply:
        """The transform with its parameters as a function of one value. ``given`` are the types that are sure to arrive."""
        model = self.parameters.model_validate(parameters)
        call = partial(self.function, **{name: getattr(model, name) for name in type(model).model_fields})
        if not self.takes:
            return call
        return _unseen_when_nothing(call) if given and given <= self.takes else _checked(call, self.takes)


@cache
def transforms() -> Mapping[str, Transform]:
    """Every transform by its name."""
    return MappingProxyType({function.__name__: _transform(function) for function in _FUNCTIONS})


def is_empty(value: object) -> bool:
    """Whether ``value`` is absent, null or empty text."""
    return value is ABSENT or value is None or value == ""


def words(types: frozenset[type]) -> str:
    """The types as people read them."""
    return " or ".join(sorted(_WORDS[kind] for kind in types)) or "any value"


def _transform(function: Callable[..., object]) -> Transform:
    hints = get_type_hints(function, include_extras=True)
    value, *rest = inspect.signature(function).parameters.values()
    fields: dict[str, Any] = {p.name: (hints[p.name], ... if p.default is p.empty else p.default) for p in rest}
    config = ConfigDict(extra="forbid", frozen=True, strict=True)
    parameters = create_model(f"{function.__name__}_parameters", __config__=config, **fields)
    return Transform(function.__name__, _types(hints[value.name]), _types(hints["return"]), parameters, function)


def _types(hint: Any) -> frozenset[type]:
    if hint is object:
        return frozenset()
    members = (hint,) if isinstance(hint, type) or get_origin(hint) is list else get_args(hint)
    return frozenset(get_origin(member) or member for member in members)


def _unseen_when_nothing(call: Apply) -> Apply:
    return lambda value: value if value is None or value is ABSENT else call(value)


def _checked(call: Apply, takes: frozenset[type]) -> Apply:
    expected = words(takes)

    def apply(value: object) -> object:
        if value is None or value is ABSENT:
            return value
        if type(value) not in takes:
            raise ValueFault(f"expected {expected}")
        return call(value)

    return apply


def _expected(what: str) -> NoReturn:
    raise ValueFault(f"expected {what}")


def _listed(words_: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(sorted(words_))
