"""What may arrive at each step of a rule: its values followed through transforms and tables before any record is there.

Values that are known by name (the words of an enumeration, null, absence, empty text) are followed exactly, by applying the transforms to
them, which are pure. Of all others only the types are followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType, NoneType
from typing import TypeAlias, cast

from mappings.document import Place
from mappings.explain import run_step
from mappings.model import FieldRule
from mappings.plan import FieldPlan, Step, Table
from mappings.schema import Spot, same, type_words
from mappings.transforms import is_empty
from mappings.values import ABSENT, Absent, ChangedType, ValueFault

Trouble: TypeAlias = tuple[Place, str]
"""Something that a step does not take: the step's place within its rule, and a sentence."""

_ANYTHING = object()
_NOTHING = frozenset({NoneType, Absent})


@dataclass(frozen=True, slots=True)
class Named:
    """A value that may arrive, and the place within the rule that says it (``from`` for the source's own words)."""

    value: object
    place: Place = ("from",)


@dataclass(frozen=True, slots=True)
class Arriving:
    """What may arrive: the ``named`` values, and others of ``types``. ``types`` is ``None`` where nothing is known of them.

    ``formats`` are those of texts among the others, as far as they are sure. ``items`` are those of a list that was gathered.
    """

    types: frozenset[type] | None = frozenset()
    named: tuple[Named, ...] = ()
    formats: frozenset[str | None] = frozenset()
    items: tuple[Arriving, ...] | None = None

    def may_be(self, value: object) -> bool:
        """Whether ``value`` is one of those named."""
        return any(same(each.value, value) for each in self.named)

    @property
    def may_be_empty(self) -> bool:
        """Whether it may be absent, null or empty text."""
        return self.types is None or any(is_empty(each.value) for each in self.named)

    def without(self, *values: object) -> Arriving:
        """The same without these named values."""
        left = tuple(each for each in self.named if not any(same(each.value, one) for one in values))
        return self if len(left) == len(self.named) else replace(self, named=left)

    def with_named(self, *named: Named) -> Arriving:
        """The same with further named values."""
        return replace(self, named=(*self.named, *named))


def arriving_at(spot: Spot) -> Arriving:
    """What the source may say at ``spot``."""
    named: list[object] = [ABSENT] if spot.may_be_absent else []
    if spot.says_nothing:
        return Arriving(None, _all_named(named))
    open_types = frozenset(kind for choice in spot.choices if choice.words is None for kind in choice.types)
    named += [word for choice in spot.choices for word in choice.words or ()]
    named += [None] if NoneType in open_types else []
    named += [""] if str in open_types and spot.problem("") is None else []
    return Arriving(open_types - {NoneType}, _all_named(named), spot.formats)


def gathered(parts: Sequence[Arriving]) -> Arriving:
    """What ``gather`` makes of several: a list, absent where all are."""
    named = [Named(ABSENT)] if all(part.types is None or part.may_be(ABSENT) for part in parts) else []
    return Arriving(frozenset({list}), tuple(named), items=tuple(parts))


def followed(plan: FieldPlan, first: Arriving) -> tuple[Arriving, list[Trouble]]:
    """What comes out of a field's rule when ``first`` arrives, and what its steps do not take.

    An empty table is one that nobody has here: what comes out of it is not known.
    """
    arriving, troubles = first, list[Trouble]()
    for index, step in enumerate(plan.steps):
        place = _place(plan.rule, step, index)
        arriving, found = _taken(step, arriving, place, plan.rule)
        troubles += found
    return _ended(plan.rule, arriving), troubles


def _place(rule: FieldRule, step: Step, index: int) -> Place:
    if index == len(rule.apply) and rule.lookup is not None:
        return ("lookup", "table" if rule.lookup.table is not None else "file")
    return ("apply", index) if step.table is None else ("apply", index, step.name, "table")


def _taken(step: Step, arriving: Arriving, place: Place, rule: FieldRule) -> tuple[Arriving, list[Trouble]]:
    """What comes out of one step, and what it does not take."""
    if arriving.items is not None and step.name in _OF_ITEMS:
        return _OF_ITEMS[step.name](step, arriving.items), [*_wrong_items(step, arriving.items, place)]
    out, troubles = _through(step, arriving, place) if step.table is None else _looked_up(step, step.table, arriving, place)
    if not rule.required and arriving.may_be("") and _refuses_empty(step):
        troubles.append((place, f"an empty text may arrive, which {step.name} does not take: say absent_if_empty before it"))
    return out, troubles


def _refuses_empty(step: Step) -> bool:
    if step.table is not None and not step.table:
        return False  # a table that nobody has here
    try:
        run_step(step, "")
    except ChangedType:
        return False  # told of all texts
    except ValueFault:
        return True
    return False


def _through(step: Step, arriving: Arriving, place: Place) -> tuple[Arriving, list[Trouble]]:
    named, refused = _applied(step, arriving.named, place)
    passes = not step.takes and _passes(step)
    types = arriving.types if passes else _given(step, arriving)
    formats = arriving.formats if passes else _FORMATS.get(step.name, frozenset())
    out = Arriving(types, (*named, *_nothing_given(step, arriving, named)), formats, arriving.items if passes else None)
    return out, [*_wrong_types(step, arriving, place), *_refusal(step.name, refused, place)]


def _applied(step: Step, named: Iterable[Named], place: Place) -> tuple[tuple[Named, ...], list[object]]:
    """Each named value as it comes out, and those that are refused."""
    out, refused = list[Named](), list[object]()
    for each in named:
        try:
            value = run_step(step, each.value)
        except ValueFault:
            refused.append(each.value)
            continue
        out.append(each if same(value, each.value) else Named(value, place))
    return tuple(out), [value for value in refused if not is_empty(value)]


def _looked_up(step: Step, table: Table, arriving: Arriving, place: Place) -> tuple[Arriving, list[Trouble]]:
    nothing = tuple(each for each in arriving.named if each.value is None or each.value is ABSENT)
    if not table:
        return Arriving(None, nothing), []
    words = [each.value for each in arriving.named if not is_empty(each.value)]
    otherwise = [Named(step.parameters["otherwise"], (place[0], "otherwise"))] if "otherwise" in step.parameters else []
    unknown = [word for word in words if not isinstance(word, str) or word not in table]
    others = (arriving.types or frozenset()) - {str}
    troubles: list[Trouble] = [(place, f"takes text, and {type_words(others)} may arrive")] if others else []
    if unknown and not otherwise:
        troubles.append((place, f"the source also says {_quoted(unknown)}, and no entry is for that"))
    entries = (Named(value, (*place, word) if place[-1] == "table" else place) for word, value in table.items())
    return Arriving(frozenset(), (*nothing, *entries, *otherwise)), troubles


def _ended(rule: FieldRule, arriving: Arriving) -> Arriving:
    """What is left behind ``required`` and ``default``."""
    left = arriving.without(None, "") if rule.required else arriving
    if not rule.says("default") or not left.may_be(ABSENT):
        return left.without(ABSENT) if rule.required else left
    if rule.required and is_empty(rule.default):
        return left.without(ABSENT)
    return left.without(ABSENT).with_named(Named(rule.default, ("default",)))


def _wrong_types(step: Step, arriving: Arriving, place: Place) -> Iterator[Trouble]:
    wrong = (arriving.types or frozenset()) - step.takes if step.takes else frozenset()
    if wrong:
        yield place, f"{step.name} takes {type_words(step.takes)}, and {type_words(wrong)} may arrive"


def _refusal(name: str, refused: list[object], place: Place) -> Iterator[Trouble]:
    if refused:
        yield place, f"the source also says {_quoted(refused)}, which {name} does not take"


def _given(step: Step, arriving: Arriving) -> frozenset[type] | None:
    """The types of what comes out for values that are not named."""
    if arriving.types is not None and not arriving.types:
        return arriving.types
    return step.gives - _NOTHING or None


def _nothing_given(step: Step, arriving: Arriving, named: Iterable[Named]) -> Iterator[Named]:
    """Null and absence, where the step says that it may give them."""
    if arriving.types is None or arriving.types:
        known = [each.value for each in named]
        for kind, value in ((Absent, ABSENT), (NoneType, None)):
            if kind in step.gives and value not in known:
                yield Named(value)


def _passes(step: Step) -> bool:
    """Whether whatever is there passes unchanged."""
    try:
        return run_step(step, _ANYTHING) is _ANYTHING
    except ValueFault:
        return False


def _wrong_items(step: Step, items: Sequence[Arriving], place: Place) -> Iterator[Trouble]:
    """Items of a gathered list that a step does not take."""
    takes = _ITEM_TYPES.get(step.name)
    for position, item in enumerate(items):
        others = {type(each.value) for each in item.named if not is_empty(each.value)} | (item.types or frozenset())
        if takes and (wrong := others - takes):
            yield place, f"{step.name} takes {type_words(takes)}, and {type_words(wrong)} may arrive from gather.{position}"


def _first(_step: Step, items: Sequence[Arriving]) -> Arriving:
    """Any item before which all may be empty; nothing where all may be."""
    reached = [item for position, item in enumerate(items) if all(before.may_be_empty for before in items[:position])]
    known = [each for item in reached for each in item.named if not is_empty(each.value)]
    types = [item.types for item in reached]
    nothing = [Named(ABSENT)] if all(item.may_be_empty for item in items) else []
    return Arriving(
        None if None in types else frozenset[type]().union(*(each for each in types if each is not None)),
        tuple(Named(each.value, ("gather",)) for each in known) + tuple(nothing),
        frozenset[str | None]().union(*(item.formats for item in reached)),
    )


def _agreed(step: Step, items: Sequence[Arriving]) -> Arriving:
    anything = [item.with_named(Named(ABSENT)) for item in items]
    out = _first(step, anything)
    return out if all(item.may_be_empty for item in items) else out.without(ABSENT)


def _joined(_step: Step, items: Sequence[Arriving]) -> Arriving:
    nothing = (Named(ABSENT),) if all(item.may_be_empty for item in items) else ()
    return Arriving(frozenset({str}), nothing)


def _item(step: Step, items: Sequence[Arriving]) -> Arriving:
    at = cast("int", step.parameters["at"])
    return items[at] if -len(items) <= at < len(items) else Arriving(named=(Named(ABSENT),))


_OF_ITEMS: Mapping[str, Callable[[Step, Sequence[Arriving]], Arriving]] = MappingProxyType(
    {"first": _first, "agreed": _agreed, "join": _joined, "item": _item}
)
"""The steps whose result is known by the items of a gathered list."""
_ITEM_TYPES: Mapping[str, frozenset[type]] = MappingProxyType({"join": frozenset({str})})
_DAY, _INSTANT = frozenset[str | None]({"date"}), frozenset[str | None]({"date-time"})
_FORMATS: Mapping[str, frozenset[str | None]] = MappingProxyType({
    "iso_date": _DAY, "midnight_day": _DAY, "day_add": _DAY, "local_day": _DAY,
    "iso_instant": _INSTANT, "from_epoch": _INSTANT, "local_instant": _INSTANT,
})  # fmt: skip
"""The formats of the texts that steps give."""


def _all_named(values: Iterable[object]) -> tuple[Named, ...]:
    return tuple(Named(value) for value in values)


def _quoted(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(repr(value) for value in values))
