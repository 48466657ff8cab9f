"""JSON Schema (draft 2020-12) to walk in: what may arrive at a path of a mapping, and what may be written to a target.

Only references into the document itself are followed; nothing is ever fetched. Keywords that judge whole values (``if``, ``not``,
``contains``, ``uniqueItems``) are passed over: they allow here what they might forbid.

An object that lists ``properties`` and does not say ``additionalProperties`` has those and no others, as far as a mapping is concerned:
a name that nobody described is a slip of the pen. ``additionalProperties: true``, or a schema, says that there are others.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cache
from itertools import product
from types import MappingProxyType, NoneType
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from mappings.paths import Index, Key, Match, Step

MAX_CHOICES = 64
"""Ways that one place may look; where a schema allows more, it is taken to allow anything."""

_COMBINING = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_ALIKE = 0.75
"""How much a name is like one that was meant (1 is the same): a letter lost or two swapped, and not another word."""

_TYPES: Mapping[str, frozenset[type]] = MappingProxyType({
    "string": frozenset({str}), "integer": frozenset({int}), "number": frozenset({int, float}), "boolean": frozenset({bool}),
    "null": frozenset({NoneType}), "array": frozenset({list}), "object": frozenset({dict}),
})  # fmt: skip
ANY_TYPE: frozenset[type] = frozenset[type]().union(*_TYPES.values())

_WORDS: Mapping[type, str] = MappingProxyType({
    str: "text", int: "a whole number", float: "a number with a fraction", bool: "a boolean", NoneType: "null", list: "a list",
    dict: "an object",
})  # fmt: skip
_FORMATS = {
    "date": lambda text: bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and bool(date.fromisoformat(text)),
    "date-time": lambda text: datetime.fromisoformat(text).tzinfo is not None,
    "time": lambda text: time.fromisoformat(text) is not None,
    "email": lambda text: bool(re.fullmatch(r"[^@\s]+@[^@\s]+", text)),
    "uuid": lambda text: bool(UUID(text)),
}

Plain: TypeAlias = "Mapping[str, Any] | bool"


class NoSuchPlace(Exception):
    """A path leads nowhere. The message says where it stops, and the nearest name that is there."""


class UnusableSchema(ValueError):
    """A schema refers outside of itself, or to what is not there."""


def type_words(types: Iterable[type]) -> str:
    """The types as people read them."""
    return " or ".join(sorted(_WORDS.get(kind, kind.__name__.lower()) for kind in types)) or "nothing"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name among ``known`` that is most like ``name``, if one is."""
    names = list(known)
    alike = [each for each in names if _letters(each) == _letters(name)]
    return next(iter(alike or difflib.get_close_matches(name, names, 1, _ALIKE)), None)


def same(one: object, other: object) -> bool:
    """Equal and of the same type: ``true`` is not 1."""
    return type(one) is type(other) and one == other


class Member(NamedTuple):
    """What stands under a name of an object, or at a position of a list: all of ``schemas`` hold of it."""

    schemas: tuple[Plain, ...]
    is_required: bool
    is_listed: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """One way that a value may look: of ``types``, with all of ``parts`` (schemas without references and alternatives) holding.

    ``words`` are the only values that it may have, ``None`` where there are others.
    """

    parts: tuple[Mapping[str, Any], ...]
    types: frozenset[type]
    words: tuple[object, ...] | None

    def says(self, keyword: str) -> list[Any]:
        """What each part gives for ``keyword``."""
        return [part[keyword] for part in self.parts if keyword in part]

    def names(self) -> list[str]:
        """The names that it lists."""
        return [name for properties in self.says("properties") for name, schema in properties.items() if schema is not False]

    def required(self) -> set[str]:
        """The names that are never absent."""
        return {name for names in self.says("required") for name in names}

    def member(self, name: str) -> Member | None:
        """What stands under ``name``; ``None`` where there is no such thing."""
        schemas: tuple[Plain, ...] = ()
        is_required = is_listed = False
        for part in self.parts:
            under = _under(part, name)
            if under is None:
                return None
            schemas += under
            is_required = is_required or name in part.get("required", ())
            is_listed = is_listed or name in part.get("properties", ())
        return Member(schemas, is_required, is_listed) if schemas or not self.names() else None

    def item(self, position: int) -> Member | None:
        """What stands at ``position``; ``None`` where lists are shorter."""
        if any(position >= length for length in self.says("maxItems")):
            return None
        schemas = tuple(schema for part in self.parts for schema in _at(part, position))
        if any(schema is False for schema in schemas):
            return None
        return Member(schemas, any(position < length for length in self.says("minItems")))

    def items(self) -> Iterator[Member]:
        """What any item may be."""
        first = max((len(before) for before in self.says("prefixItems")), default=0)
        return (member for position in range(first + 1) if (member := self.item(position)) is not None)

    def problem(self, value: object) -> str | None:
        """Why ``value`` is none of these, ``None`` if it is one."""
        if type(value) not in self.types:
            return f"takes {type_words(self.types)}"
        if self.words is not None:
            return None if any(same(value, word) for word in self.words) else f"knows only {_listed(self.words)}"
        if isinstance(value, str):
            return _broken(self.parts, _TEXT_RULES, value)
        return _broken(self.parts, _NUMBER_RULES, value) if type(value) in _TYPES["number"] else None


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a schema. ``choices`` are the ways that its value may look, ``may_be_absent`` whether there may be none."""

    schema: Schema = field(repr=False)
    choices: tuple[Choice, ...]
    may_be_absent: bool = False
    label: str = ""

    @property
    def types(self) -> frozenset[type]:
        """The types that may stand here, null's too."""
        return frozenset[type]().union(*(choice.types for choice in self.choices))

    @property
    def says_nothing(self) -> bool:
        """Whether anything at all may stand here."""
        return any(choice.types == ANY_TYPE and choice.words is None for choice in self.choices)

    @property
    def formats(self) -> frozenset[str | None]:
        """The formats of the texts that may stand here; ``None`` among them for texts without one."""
        texts = [choice for choice in self.choices if str in choice.types and choice.words is None]
        return frozenset(next(iter(choice.says("format")), None) for choice in texts)

    @property
    def names(self) -> list[str]:
        """The names that are listed here."""
        return list(dict.fromkeys(name for choice in self.choices for name in choice.names()))

    @property
    def required(self) -> list[str]:
        """The names that every object that may stand here has."""
        objects = [choice.required() for choice in self.choices if dict in choice.types]
        return sorted(set.intersection(*objects)) if objects else []

    def problem(self, value: object) -> str | None:
        """Why ``value`` cannot stand here, ``None`` if it can."""
        problems = [choice.problem(value) for choice in self.choices]
        if None in problems:
            return None
        if type(value) not in self.types:
            return f"takes {type_words(self.types)}"
        return next(problem for choice, problem in zip(self.choices, problems, strict=True) if type(value) in choice.types)

    def present(self) -> Spot:
        """The place where it is known to hold something: neither absent nor null."""
        left = tuple(
            Choice(choice.parts, choice.types - {NoneType}, _without_null(choice.words))
            for choice in self.choices
            if choice.types != {NoneType}
        )
        return Spot(self.schema, left, False, self.label)

    def step(self, step: Step) -> Spot:
        """The place one step further. Raises ``NoSuchPlace``."""
        match step:
            case Key(name):
                return self._under(name)
            case Index(position):
                return self._at(position)
            case Match(key, text, also):
                return self._matching(((key, text), *also))

    def _under(self, name: str) -> Spot:
        objects = self._which_are(dict, f"has nothing inside, so no {name!r}")
        members = [member for choice in objects if (member := choice.member(name)) is not None]
        if not members and any(properties.get(name) is False for choice in objects for properties in choice.says("properties")):
            raise NoSuchPlace(f"{self._here()} rules {name!r} out")
        if not members or (not any(member.is_listed for member in members) and self._is_a_slip(name)):
            raise NoSuchPlace(f"{self._here()} has no {name!r}{_meant(nearest(name, self.names))}")
        return self._further(members, f"{self.label}.{name}".lstrip("."), is_sure=self._are_only(dict))

    def _at(self, position: int) -> Spot:
        lists = self._which_are(list, "is not a list")
        members = [member for choice in lists if (member := choice.item(position)) is not None]
        if not members:
            raise NoSuchPlace(f"{self._here()} is never long enough for [{position}]")
        return self._further(members, f"{self.label}[{position}]", is_sure=self._are_only(list))

    def _matching(self, pairs: tuple[tuple[str, str], ...]) -> Spot:
        members = [member for choice in self._which_are(list, "is not a list") for member in choice.items()]
        items = self._further(members, f"{self.label}[]", is_sure=False)
        fitting = items.choices
        for key, text in pairs:
            problems = [items.step(Key(key)).problem(word) for word in _words_for(text)]
            if None not in problems:
                raise NoSuchPlace(f"no item of {self._here()} has {key}={text}: it {problems[0]}")
            fitting = tuple(choice for choice in fitting if _may_say(self.schema, choice, key, text))
        label = ", ".join(f"{key}={text}" for key, text in pairs)
        return Spot(self.schema, fitting, True, f"{self.label}[{label}]")

    def _which_are(self, kind: type, otherwise: str) -> list[Choice]:
        found = [choice for choice in self.choices if kind in choice.types]
        if not found:
            raise NoSuchPlace(f"{self._here()} is {type_words(self.types)}: it {otherwise}")
        return found

    def _are_only(self, kind: type) -> bool:
        return all(choice.types == {kind} for choice in self.choices)

    def _further(self, members: Sequence[Member], label: str, *, is_sure: bool) -> Spot:
        choices = tuple([choice for member in members for choice in self.schema.choices(member.schemas)])
        sure = is_sure and len(members) >= len(self.choices) and all(member.is_required for member in members)
        return Spot(self.schema, choices, self.may_be_absent or not sure, label)

    def _is_a_slip(self, name: str) -> bool:
        return any(_letters(known) == _letters(name) for known in self.names)

    def _here(self) -> str:
        return f"{self.label} of {self.schema.name}" if self.label else self.schema.name


class Schema:
    """One JSON Schema, as read from JSON. ``root`` is where walking starts; ``name`` is what messages call the whole.

    Raises ``UnusableSchema`` while it is walked: a reference to another document, or to what is not there.
    """

    def __init__(self, document: Mapping[str, Any], name: str = "the record") -> None:
        self._document = document
        self.name = name
        self._known: dict[tuple[int, ...], tuple[Choice, ...]] = {}
        self._walked: dict[tuple[int, Step], Spot] = {}
        self.root = Spot(self, self.choices((document,)))

    def at(self, steps: Iterable[Step]) -> Spot:
        """The place at the end of ``steps``. Raises ``NoSuchPlace``."""
        spot = self.root
        for step in steps:
            known_as = (id(spot), step)
            spot = self._walked.get(known_as) or self._walked.setdefault(known_as, spot.step(step))
        return spot

    def choices(self, schemas: tuple[Plain, ...]) -> tuple[Choice, ...]:
        """The ways in which a value may look of which all ``schemas``, parts of this document, hold."""
        known_as = tuple(id(schema) for schema in schemas)
        if known_as not in self._known:
            ways = self._ways(schemas[0], ()) if len(schemas) == 1 else _together([self._ways(each, ()) for each in schemas])
            self._known[known_as] = tuple(choice for way in ways if (choice := _choice(way)).types)
        return self._known[known_as]

    def _ways(self, schema: Plain, followed: tuple[str, ...]) -> list[_Way]:
        if isinstance(schema, bool):
            return [()] if schema else []
        if _COMBINING.isdisjoint(schema):
            return [(schema,)]
        further = [self._referred(schema["$ref"], followed)] if "$ref" in schema else []
        further += [self._ways(part, followed) for part in schema.get("allOf", ())]
        for alternatives in ("anyOf", "oneOf"):
            if alternatives in schema:
                further.append([way for one in schema[alternatives] for way in self._ways(one, followed)])
        return _together([[(schema,)], *further])

    def _referred(self, reference: str, followed: tuple[str, ...]) -> list[_Way]:
        if reference in followed:
            return [()]  # it refers to itself before it says anything
        return self._ways(self._resolved(reference), (*followed, reference))

    def _resolved(self, reference: str) -> Plain:
        if not reference.startswith("#"):
            raise UnusableSchema(f"{reference!r} is in another document; a schema stands on its own")
        node: Any = self._document
        for token in filter(None, reference[1:].split("/")):
            name = token.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping | bool):
            raise UnusableSchema(f"there is no {reference!r}")
        return node


_Way: TypeAlias = tuple[Mapping[str, Any], ...]
_Rule: TypeAlias = tuple[Callable[[Any, Any], bool], str]
"""Whether a value keeps to the limit of a keyword, and the sentence for one that does not."""


def _together(groups: Sequence[list[_Way]]) -> list[_Way]:
    """Every combination of one way from each group."""
    ways: list[_Way] = [()]
    for group in groups:
        if len(ways) * len(group) > MAX_CHOICES:
            return [()]
        ways = [before + after for before, after in product(ways, group)]
    return ways


def _choice(parts: _Way) -> Choice:
    types = _types(parts[0]) if len(parts) == 1 else ANY_TYPE.intersection(*(_types(part) for part in parts))
    closed = [part["enum"] if "enum" in part else [part["const"]] for part in parts if "enum" in part or "const" in part]
    if not closed:
        return Choice(parts, types, None)
    words = tuple(word for word in closed[0] if type(word) in types and all(_is_in(word, words) for words in closed[1:]))
    return Choice(parts, types & {type(word) for word in words}, words)


def _types(part: Mapping[str, Any]) -> frozenset[type]:
    named = part.get("type")
    if isinstance(named, str):
        return _TYPES[named]
    return ANY_TYPE if named is None else _any_of(tuple(named))


@cache
def _any_of(names: tuple[str, ...]) -> frozenset[type]:
    return frozenset[type]().union(*(_TYPES[name] for name in names))


def _is_in(value: object, words: Iterable[object]) -> bool:
    return any(same(value, word) for word in words)


def _without_null(words: tuple[object, ...] | None) -> tuple[object, ...] | None:
    return None if words is None else tuple(word for word in words if word is not None)


def _under(part: Mapping[str, Any], name: str) -> tuple[Plain, ...] | None:
    """What one part says of ``name``: nothing, some schemas, or ``None``, that it cannot be there."""
    properties = part.get("properties", {})
    found: tuple[Plain, ...] = (properties[name],) if name in properties else ()
    if "patternProperties" in part:
        found += tuple(schema for pattern, schema in part["patternProperties"].items() if _is_found(pattern, name))
    if not found and "additionalProperties" in part:
        found = (part["additionalProperties"],)
    return None if False in found else found


def _at(part: Mapping[str, Any], position: int) -> Iterator[Plain]:
    before = part.get("prefixItems", ())
    if position < len(before):
        yield before[position]
    elif "items" in part:
        yield part["items"]


def _words_for(text: str) -> list[object]:
    """The values that a selector writes as ``text``."""
    found: list[object] = [text]
    found += [int(text)] if re.fullmatch(r"-?[0-9]{1,18}", text) else []
    return found + ([text == "true"] if text in {"true", "false"} else [])


def _may_say(schema: Schema, item: Choice, key: str, text: str) -> bool:
    member = item.member(key) if dict in item.types else None
    choices = schema.choices(member.schemas) if member else ()
    return any(choice.problem(word) is None for choice in choices for word in _words_for(text))


def _is_found(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # JSON Schema's expressions are ECMA 262's: one that Python does not know forbids nothing
        return True


def _is_written_as(name: str, text: str) -> bool:
    try:
        return name not in _FORMATS or _FORMATS[name](text)
    except ValueError:
        return False


_TEXT_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "maxLength": (lambda most, text: len(text) <= most, "takes at most {} characters"),
        "minLength": (lambda least, text: len(text) >= least, "takes at least {} characters"),
        "pattern": (_is_found, "takes text like {}"),
        "format": (_is_written_as, "takes a {}"),
    }
)
_NUMBER_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "maximum": (lambda most, number: number <= most, "takes at most {}"),
        "minimum": (lambda least, number: number >= least, "takes at least {}"),
        "exclusiveMaximum": (lambda bound, number: number < bound, "takes less than {}"),
        "exclusiveMinimum": (lambda bound, number: number > bound, "takes more than {}"),
    }
)


def _broken(parts: _Way, rules: Mapping[str, _Rule], value: object) -> str | None:
    """The first of ``rules`` that a part has and ``value`` breaks, as a sentence."""
    for part in parts:
        for keyword, limit in part.items():
            if keyword in rules and not rules[keyword][0](limit, value):
                return rules[keyword][1].format(limit)
    return None


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _meant(name: str | None) -> str:
    return f"; did you mean {name!r}?" if name else ""


def _listed(words: Sequence[object], most: int = 12) -> str:
    shown = ", ".join("null" if word is None else str(word) for word in words[:most])
    return f"{shown} and {len(words) - most} others" if len(words) > most else shown
