"""A mapping held against both of its ends before any record is there: what cannot work, all at once, each fault with its place.

Texts that may be too long, or may not be one of the target's words, show only with a record. What stands in the mapping itself (constants,
defaults, tables) is judged in full.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mappings.arriving import Arriving, Named, Trouble, followed, gathered
from mappings.assumptions import Assumptions, compared_values
from mappings.document import Document, Place
from mappings.engine import CompiledMapping
from mappings.faults import Fault, FaultKind, RecordFault, Unmappable
from mappings.model import Condition, MappingFile, SourceFields
from mappings.ordered import Ordered, measure
from mappings.paths import Index, Key, parse_path
from mappings.plan import FieldPlan, Table, plan_of
from mappings.schema import NoSuchPlace, Schema, Spot, type_words
from mappings.values import ABSENT, CLEAR

OWN_DOCUMENT = "engagement"
"""The source that is the hub's own document: where there is nothing it says null, and never an empty text."""
_COMPARED_FORMATS = frozenset({"date", "date-time", "time", "email", "uuid"})


def check_mapping(
    document: Document,
    mapping: MappingFile,
    *,
    source_schema: Mapping[str, Any] | None,
    target_schema: Mapping[str, Any] | None,
    tables: Mapping[str, Table] | None = None,
) -> list[Fault]:
    """Every fault of ``mapping`` between a source and a target described by JSON Schemas, sorted by place. No record is needed.

    ``document`` gives the places; where ``mapping`` is an overlay with its base, what the base says is placed at ``base``. An end whose
    schema is ``None`` is not looked at. ``tables`` are the tables in files of their own, by file name; one that is not given is not
    looked at either. Raises ``UnusableSchema``.
    """
    source, target = Schema(source_schema or {}, "the source"), Schema(target_schema or {}, "the target")
    files = {rule.lookup.file: dict[str, object]() for rule in mapping.fields.values() if rule.lookup and rule.lookup.file}
    checking = _Checking(document, mapping, source, target, Assumptions.of(demand.that for demand in mapping.demands))
    return sorted(set(checking.faults({**files, **(tables or {})})))


@dataclass(frozen=True, slots=True)
class Uncovered:
    """What recorded records say at ``source`` and the table of ``target`` has no entry for, in ``records`` of them.

    ``words`` gives each word's number of records, most frequent first; it is empty where the rule is sensitive.
    """

    target: str
    source: str
    records: int
    words: Mapping[str, int]


def uncovered(mapping: CompiledMapping, records: Iterable[Mapping[str, object]]) -> list[Uncovered]:
    """The values of ``records`` that no table of ``mapping`` covers, by target. Every table of each record is looked at."""
    counts: dict[tuple[str, str], Counter[str | None]] = defaultdict(Counter)
    for record in records:
        for fault in _faults_of(mapping, record):
            if fault.kind is FaultKind.NEW_VALUE:
                counts[fault.target, fault.source][fault.value] += 1
    return [
        Uncovered(target, source, words.total(), {word: count for word, count in words.most_common() if word is not None})
        for (target, source), words in sorted(counts.items())
    ]


def _faults_of(mapping: CompiledMapping, record: Mapping[str, object]) -> Sequence[RecordFault]:
    try:
        mapping.apply(record)
    except Unmappable as unmappable:
        return unmappable.faults
    return ()


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What comes out of the rule of ``plan``; ``None`` where a fault keeps it from being known."""

    plan: FieldPlan
    arriving: Arriving | None


@dataclass(frozen=True, slots=True)
class _Checking:
    document: Document
    mapping: MappingFile
    source: Schema
    target: Schema
    demanded: Assumptions
    _outcomes: dict[tuple[str, ...], _Outcome] = field(default_factory=dict)

    def faults(self, tables: Mapping[str, Table]) -> Iterator[Fault]:
        """Every fault, in no order."""
        above = len(self.mapping.demands) - len(self._said("demands"))
        for index, demand in enumerate(self.mapping.demands):
            place: Place = ("demands", index - above, "that") if index >= above else ("base", "demands", index, "that")
            yield from self._condition(demand.that, place)
        for plan in plan_of(self.mapping, tables).fields:
            yield from self._field(plan)
        parents = {names[:length] for names in self._outcomes for length in range(1, len(names))}
        yield from self._unfilled(self.target.root, (), parents)
        yield from self._ignores()

    def _said(self, name: str) -> Sequence[object]:
        """What the document itself has in the list ``name``; an overlay's base has more, before it."""
        said = self.document.data.get(name) if isinstance(self.document.data, Mapping) else None
        return said if isinstance(said, list) else []

    def _fault(self, place: Place, message: str) -> Fault:
        """A fault in the document, or in what it takes over from its base."""
        data = self.document.data if isinstance(self.document.data, Mapping) else {}
        kind, name, *_ = (*place, "")
        if kind == "base" or (
            kind == "fields" and self.mapping.base and name in self.mapping.fields and name not in data.get("fields", {})
        ):
            place = place[1:] if kind == "base" else place
            told = f"{message} (taken over from {self.mapping.base}: give it a rule of its own here)"
            return self.document.fault(place, told, shown_at=("base",))
        if kind == "fields" and name in self.mapping.removes:
            return self.document.fault(place, message, shown_at=("removes", self.mapping.removes.index(str(name))))
        return self.document.fault(place, message)

    # One field

    def _field(self, plan: FieldPlan) -> Iterator[Fault]:
        place: Place = ("fields", plan.target)
        if plan.rule.when is not None:
            yield from self._condition(plan.rule.when, (*place, "when"))
        for index, case in enumerate(plan.rule.cases or ()):
            yield from self._condition(case.when, (*place, "cases", index, "when"))
        arriving, troubles = self._arriving(plan)
        yield from (self._fault((*place, *inside), message) for inside, message in troubles)
        self._outcomes[plan.names] = _Outcome(plan, arriving)
        try:
            spot = self.target.at(map(Key, plan.names))
        except NoSuchPlace as nowhere:
            yield self._fault(place, str(nowhere))
            return
        if arriving is not None:
            yield from (self._fault((*place, *inside), message) for inside, message in _misfits(plan, arriving, spot))

    def _arriving(self, plan: FieldPlan) -> tuple[Arriving | None, list[Trouble]]:
        """What comes out of a field's rule, and what is wrong on the way; ``None`` where a path leads nowhere."""
        if plan.rule.clear:
            return Arriving(named=(Named(CLEAR, ("clear",)),)), []
        if plan.rule.cases:
            cases = [Named(case.value, ("cases", index, "value")) for index, case in enumerate(plan.rule.cases)]
            return followed(plan, Arriving(named=(*cases, Named(ABSENT, ("cases",)))))
        if not plan.paths:
            return Arriving(named=(Named(plan.rule.value, ("value",)),)), []
        assumptions = self.demanded if plan.rule.when is None else self.demanded.also(plan.rule.when)
        parts, troubles = list[Arriving](), list[Trouble]()
        for index, path in enumerate(plan.paths):
            try:
                arriving = assumptions.arriving(self.source, path.steps)
                parts.append(arriving.without("") if self._is_own_document else arriving)
            except NoSuchPlace as nowhere:
                troubles.append((("from",) if plan.rule.gather is None else ("gather", index), str(nowhere)))
        if troubles:
            return None, troubles
        return followed(plan, parts[0] if plan.rule.gather is None else gathered(parts))

    @property
    def _is_own_document(self) -> bool:
        return self.mapping.mapping.partition("__")[0] == OWN_DOCUMENT

    # Conditions

    def _condition(self, condition: Condition, place: Place) -> Iterator[Fault]:
        for name, parts in (("all", condition.every), ("any", condition.some)):
            for index, part in enumerate(parts or ()):
                yield from self._condition(part, (*place, name, index))
        if condition.negated is not None:
            yield from self._condition(condition.negated, (*place, "not"))
        if condition.path is not None:
            yield from self._comparison(condition, condition.path, place)

    def _comparison(self, condition: Condition, path: str, place: Place) -> Iterator[Fault]:
        try:
            spot = self.source.at(parse_path(path).steps)
        except NoSuchPlace as nowhere:
            yield self._fault((*place, "path"), str(nowhere))
            return
        if condition.bound and not _may_compare(spot, condition.bound[1]):
            kind = "a number" if isinstance(condition.bound[1], Decimal) else "a calendar day (yyyy-mm-dd)"
            yield self._fault((*place, condition.bound[0]), f"the source never says {kind} there: it {_says(_takes(spot))}")
        for value in compared_values(condition) or ():
            if problem := spot.problem(value):
                key = "in" if condition.one_of is not None else "equals"
                yield self._fault((*place, key), f"the source never says {_shown(value)} there: it {_says(problem)}")

    # The target as a whole

    def _unfilled(
        self, spot: Spot, names: tuple[str, ...], parents: set[tuple[str, ...]], *, is_needed: bool = True
    ) -> Iterator[Fault]:
        """Required fields of the target, inside ``spot``, that nothing fills; where ``spot`` itself is needed, or not for sure."""
        required = spot.required
        for name in required:
            place = (*names, name)
            if place in self._outcomes:
                yield from self._unsure(self._outcomes[place]) if is_needed else ()
            elif place not in parents:
                yield self._fault(("fields", ".".join(place)), "the target requires it, and no rule fills it")
        for place in sorted(parents):
            if len(place) == len(names) + 1 and place[:-1] == names and place[-1] in spot.names:
                inside = spot.step(Key(place[-1]))
                yield from self._unfilled(inside, place, parents, is_needed=is_needed and place[-1] in required)

    def _unsure(self, outcome: _Outcome) -> Iterator[Fault]:
        place: Place = ("fields", outcome.plan.target)
        if outcome.plan.rule.when is not None:
            yield self._fault((*place, "when"), "the target requires it, and it is filled only under a condition")
        elif outcome.arriving is not None and outcome.arriving.may_be(ABSENT):
            yield self._fault(place, "the target requires it, and the source may leave it out: say required, or a default")

    # The source as a whole

    def _ignores(self) -> Iterator[Fault]:
        read = self.mapping.reads()
        said = self._said("ignores")
        for index, name in enumerate(self.mapping.ignores):
            place: Place = ("ignores", said.index(name)) if name in said else ("base", "ignores", index)
            try:
                self.source.root.step(Key(name))
            except NoSuchPlace as nowhere:
                yield self._fault(place, str(nowhere))
                continue
            if name in read:
                yield self._fault(place, f"{name!r} is read, so it is not ignored")
        if self.mapping.source_fields is SourceFields.CLOSED:
            for name in self.source.root.names:
                if name not in read and name not in self.mapping.ignores:
                    message = f"the source has {name!r}, which is neither read nor ignored: every record with it would be refused"
                    yield self._fault(("source_fields",), message)
                if name in read and self.source.at((Key(name),)).may_be_absent:
                    message = f"the source may leave {name!r} out: every record without it would be refused as if it had vanished"
                    yield self._fault(("source_fields",), message)


def _may_compare(spot: Spot, bound: Ordered) -> bool:
    """Whether what stands at ``spot`` may stand in an order with ``bound``."""
    if isinstance(bound, Decimal):
        return not spot.types.isdisjoint({int, float, str}) and spot.formats.isdisjoint({"date", "date-time"})
    return spot.says_nothing or not spot.formats.isdisjoint({None, "date"}) or any(measure(word) for word in _words(spot))


def _words(spot: Spot) -> Iterator[object]:
    return (word for choice in spot.choices for word in choice.words or ())


def _takes(spot: Spot) -> str:
    named = _sorted(spot.formats) if None not in spot.formats else []
    return f"takes a {' or '.join(named)}" if named else f"takes {type_words(spot.types)}"


def _misfits(plan: FieldPlan, arriving: Arriving, spot: Spot) -> Iterator[Trouble]:
    """What comes out of a rule and cannot stand at its target."""
    last: Place = ("apply", len(plan.rule.apply) - 1) if plan.rule.apply else ("from",) if plan.rule.source else ("gather",)
    wrong = (arriving.types or frozenset()) - spot.types
    if wrong:
        yield last, f"{type_words(wrong)} may come out, and the target takes {type_words(spot.types)}"
    elif _clash(arriving.formats, spot.formats):
        yield (
            last,
            f"a {' or '.join(_sorted(arriving.formats))} comes out, and the target takes a {' or '.join(_sorted(spot.formats))}",
        )
    if list not in wrong:
        yield from _wrong_items(arriving, spot)
    for each in arriving.named:
        if type(each.value) not in wrong and (problem := _named_misfit(each, spot)):
            yield each.place, problem


def _wrong_items(arriving: Arriving, spot: Spot) -> Iterator[Trouble]:
    """Items of a gathered list that cannot stand in the target's."""
    for position, item in enumerate(arriving.items or ()):
        place: Place = ("gather", position)
        try:
            inner = spot.step(Index(position))
        except NoSuchPlace as nowhere:
            yield place, str(nowhere)
            return
        if wrong := (item.types or frozenset()) - inner.types:
            yield place, f"{type_words(wrong)} may come out, and the target's list takes {type_words(inner.types)}"
        elif item.may_be(None) and inner.problem(None):
            yield place, "null may come out, and the target's list takes none: ask for it with when"


def _named_misfit(each: Named, spot: Spot) -> str | None:
    if each.value is CLEAR:
        return "the target takes no null, so nothing can be cleared there" if spot.problem(None) else None
    if each.value is ABSENT or (each.value == "" and each.place == ("from",)):
        return None  # whether it must be there is asked of the target as a whole; empty text shows with a record
    problem = spot.problem(each.value)
    if problem is None:
        return None
    if each.value is None and each.place in {("from",), ("gather",)}:
        return "null may come out, and the target takes none: say absent_if_empty, default_if_empty or required"
    return f"{_shown(each.value)} does not fit: the target {problem}"


def _clash(one: frozenset[str | None], other: frozenset[str | None]) -> bool:
    """Whether two sets of formats are known, and have none in common."""
    known = bool(one) and bool(other) and one | other <= _COMPARED_FORMATS
    return known and not one & other


def _sorted(formats: frozenset[str | None]) -> list[str]:
    return sorted(name for name in formats if name is not None)


def _shown(value: object) -> str:
    return "null" if value is None else repr(value)


def _says(problem: str) -> str:
    return problem.replace("takes", "says", 1).replace("knows only", "says only", 1)
