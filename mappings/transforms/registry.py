"""Every transform by its name, with what it takes, gives and can be told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from types import MappingProxyType, NoneType
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from mappings.transforms import amounts, codes, lists, presence, punycode, texts, times
from mappings.values import ABSENT, Absent, ChangedType

_FUNCTIONS: tuple[Callable[..., object], ...] = (
    texts.strip, texts.upper, texts.lower, texts.concat, texts.replace, texts.join, texts.fill, texts.split, texts.item,
    texts.first, texts.agreed, texts.pick,
    times.iso_date, times.iso_instant, times.from_epoch, times.midnight_day, times.day_add, times.local_day, times.local_instant,
    amounts.decimal, amounts.json_decimal, amounts.within, amounts.multiply, amounts.money, amounts.text, amounts.integer,
    codes.boolean, codes.bool_text, codes.map_values, codes.country_alpha2, codes.rate_unit, codes.phone_e164,
    presence.default_if_empty, presence.null_if_empty, presence.absent_if_empty,
    punycode.ascii_reversible, punycode.from_ascii_reversible,
    lists.as_item, lists.after_word,
)  # fmt: skip

_WORDS: Mapping[type, str] = MappingProxyType({
    str: "text", int: "a whole number", float: "a number with a fraction", bool: "a boolean", Decimal: "a decimal", list: "a list",
    dict: "an object", Absent: "nothing", NoneType: "null",
})  # fmt: skip

Apply: TypeAlias = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Transform:
    """A named transform. Empty ``takes`` or ``gives`` means any type; one that takes anything also sees absent and null.

    ``Absent`` among ``gives`` says that a value may come to nothing.
    """

    name: str
    takes: frozenset[type]
    gives: frozenset[type]
    parameters: type[BaseModel]
    function: Callable[..., object]

    def bind(self, parameters: Mapping[str, object], *, given: frozenset[type] = frozenset()) -> Apply:
        """The transform with its parameters as a function of one value. ``given`` are the types that are sure to arrive."""
        call = partial(self.function, **vars(self.parameters.model_validate(parameters)))
        if not self.takes:
            return call
        is_sure = bool(given) and given <= self.takes | {Absent}
        return _unseen_when_nothing(call) if is_sure else _checked(call, self.takes)


@cache
def transforms() -> Mapping[str, Transform]:
    """Every transform by its name."""
    return MappingProxyType({function.__name__: _transform(function) for function in _FUNCTIONS})


def words(types: frozenset[type]) -> str:
    """The types as people read them."""
    return " or ".join(sorted(_WORDS.get(kind, "something else") for kind in types)) or "any value"


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
    members = (hint,) if isinstance(hint, type) or get_origin(hint) in {list, dict} else get_args(hint)
    return frozenset(get_origin(member) or member for member in members)


def _unseen_when_nothing(call: Apply) -> Apply:
    return lambda value: value if value is None or value is ABSENT else call(value)


def _checked(call: Apply, takes: frozenset[type]) -> Apply:
    wanted = words(takes)

    def apply(value: object) -> object:
        if value is None or value is ABSENT:
            return value
        if type(value) not in takes:
            raise ChangedType(f"expected {wanted}")
        return call(value)

    return apply
