"""What may arrive at each step of a rule: its values followed through transforms and tables before any record is there.

Values that are known by name (the words of an enumeration, null, absence, empty text) are followed exactly, by applying the transforms to
them, which are pure. Of all others only the types are followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import NoneType
from typing import TypeAlias

from mappings.document import Place
from mappings.explain import run_step
from mappings.model import FieldRule
from mappings.plan import FieldPlan, Step, Table
from mappings.schema import Spot, same, type_words
from mappings.transforms import is_empty
from mappings.values import ABSENT, Absent, ValueFault

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

    ``formats`` are those of texts among the others, as far as they are sure.
    """

    types: frozenset[type] | None = frozenset()
    named: tuple[Named, ...] = ()
    formats: frozenset[str | None] = frozenset()

    def may_be(self, value: object) -> bool:
        """Whether ``value`` is one of those named."""
        return any(same(each.value, value) for each in self.named)

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


def gathered(parts: Iterable[Arriving]) -> Arriving:
    """What ``gather`` makes of several: a list, absent where all are."""
    named = [Named(ABSENT)] if all(part.may_be(ABSENT) for part in parts) else []
    return Arriving(frozenset({list}), tuple(named))


def followed(plan: FieldPlan, first: Arriving) -> tuple[Arriving, list[Trouble]]:
    """What comes out of a field's rule when ``first`` arrives, and what its steps do not take.

    An empty table is one that nobody has here: what comes out of it is not known.
    """
    arriving, troubles = first, list[Trouble]()
    for index, step in enumerate(plan.steps):
        place = _place(plan.rule, step, index)
        arriving, found = _through(step, arriving, place) if step.table is None else _looked_up(step.table, arriving, place)
        troubles += found
    return _ended(plan.rule, arriving), troubles


def _place(rule: FieldRule, step: Step, index: int) -> Place:
    if index == len(rule.apply) and rule.lookup is not None:
        return ("lookup", "table" if rule.lookup.table is not None else "file")
    return ("apply", index) if step.table is None else ("apply", index, step.name, "table")


def _through(step: Step, arriving: Arriving, place: Place) -> tuple[Arriving, list[Trouble]]:
    named, refused = _applied(step, arriving.named, place)
    passes = not step.takes and _passes(step)
    types = arriving.types if passes else _given(step, arriving)
    out = Arriving(types, (*named, *_nothing_given(step, arriving, named)), arriving.formats if passes else frozenset())
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


def _looked_up(table: Table, arriving: Arriving, place: Place) -> tuple[Arriving, list[Trouble]]:
    nothing = tuple(each for each in arriving.named if each.value is None or each.value is ABSENT)
    if not table:
        return Arriving(None, nothing), []
    words = [each.value for each in arriving.named if not is_empty(each.value)]
    unknown = [word for word in words if not isinstance(word, str) or word not in table]
    others = (arriving.types or frozenset()) - {str}
    troubles: list[Trouble] = [(place, f"takes text, and {type_words(others)} may arrive")] if others else []
    if unknown:
        troubles.append((place, f"the source also says {_quoted(unknown)}, and no entry is for that"))
    entries = (Named(value, (*place, word) if place[-1] == "table" else place) for word, value in table.items())
    return Arriving(frozenset(), (*nothing, *entries)), troubles


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


def _all_named(values: Iterable[object]) -> tuple[Named, ...]:
    return tuple(Named(value) for value in values)


def _quoted(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(repr(value) for value in values))
