"""A mapping version with everything found that its document names: paths, targets, transforms with their parameters, tables.

The plan is what the interpreter (``mappings.explain``) and the compiler (``mappings.compiler``) both work from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from mappings.model import Demand, FieldRule, Lookup, MappingFile, SourceFields, Strength, TransformCall
from mappings.paths import Path, labels, parse_path, parse_target
from mappings.transforms import transforms
from mappings.values import ABSENT, NewValue

Table: TypeAlias = Mapping[str, object]

LOOKUP = "lookup"
"""The name of the step that looks a value up in a rule's ``lookup``."""
_TOLD_ENTRIES = 20


class Origin(StrEnum):
    """Where the value of a field came from."""

    SOURCE = "source"
    DEFAULT = "default"
    CONSTANT = "constant"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class FieldLineage:
    """How one target field got its value; never the value itself. ``sources`` are the paths as the mapping writes them."""

    target: str
    sources: tuple[str, ...]
    transforms: tuple[str, ...]
    origin: Origin
    strength: Strength
    sensitive: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A transform with its ``parameters``, or a lookup. Empty ``takes`` or ``gives`` means any type.

    A step that takes certain types lets an absent or null value pass; one that takes anything sees these too.
    """

    name: str
    takes: frozenset[type]
    gives: frozenset[type]
    function: Callable[..., object]
    parameters: Mapping[str, object] = field(default_factory=dict)

    @property
    def table(self) -> Table | None:
        """What a lookup, or a transform that is one, knows."""
        table = self.parameters.get("table")
        return table if isinstance(table, Mapping) else None

    def run(self, value: object) -> object:
        """The step's function of ``value``, which is of a type that it takes. Raises ``ValueFault``."""
        return self.function(value, **self.parameters)


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One field of the target. ``names`` are the nested keys of its target, ``paths`` what it reads."""

    target: str
    names: tuple[str, ...]
    rule: FieldRule
    paths: tuple[Path, ...]
    steps: tuple[Step, ...]

    @property
    def source(self) -> str:
        """What it reads, or asks for in its conditions, as messages name it."""
        return labels(self.rule.reads or (path for condition in self.rule.asks for path in condition.paths()))

    @property
    def default(self) -> object:
        """What replaces an absent value; ``ABSENT`` where nothing does."""
        return self.rule.default if self.rule.says("default") else ABSENT

    @property
    def origin(self) -> Origin:
        """Where its value comes from, unless it is the default."""
        if self.rule.clear:
            return Origin.CLEARED
        return Origin.SOURCE if self.paths else Origin.CONSTANT

    def lineage(self, *, by_default: bool) -> FieldLineage:
        """How it got its value."""
        names = tuple(step.name for step in self.steps)
        origin = Origin.DEFAULT if by_default else self.origin
        return FieldLineage(self.target, self.rule.reads, names, origin, self.rule.strength, self.rule.sensitive)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole version. ``reads`` are the top-level fields that a closed source must have, ``known`` those that it may have.

    Both are ``None`` where the source is open.
    """

    fields: tuple[FieldPlan, ...]
    demands: tuple[Demand, ...]
    reads: frozenset[str] | None
    known: frozenset[str] | None


def plan_of(mapping: MappingFile, tables: Mapping[str, Table]) -> Plan:
    """The plan of ``mapping``, whose file tables are in ``tables`` by name. Raises ``TypeError`` where two targets overlap."""
    fields = tuple(_field(target, rule, tables) for target, rule in mapping.fields.items())
    _require_separate(fields)
    is_closed = mapping.source_fields is SourceFields.CLOSED
    reads = mapping.reads() if is_closed else None
    known = reads.union(mapping.ignores) if reads is not None else None
    return Plan(fields, tuple(mapping.demands), reads, known)


def _field(target: str, rule: FieldRule, tables: Mapping[str, Table]) -> FieldPlan:
    steps = [_transform(call) for call in rule.apply]
    if rule.lookup:
        steps.append(_lookup(rule.lookup, tables))
    return FieldPlan(target, parse_target(target), rule, tuple(parse_path(path) for path in rule.reads), tuple(steps))


def _transform(call: TransformCall) -> Step:
    transform = transforms()[call.name]
    parameters = dict(vars(transform.parameters.model_validate(call.parameters)))
    return Step(call.name, transform.takes, transform.gives, transform.function, MappingProxyType(parameters))


def _lookup(lookup: Lookup, tables: Mapping[str, Table]) -> Step:
    table = lookup.table if lookup.table is not None else tables[lookup.file or ""]
    otherwise = {"otherwise": lookup.otherwise} if lookup.says("otherwise") else {}
    gives = frozenset(type(value) for value in (*table.values(), *otherwise.values()))
    return Step(LOOKUP, frozenset({str}), gives, _look_up, MappingProxyType({"table": table, **otherwise}))


def _look_up(value: str, *, table: Table, otherwise: object = ABSENT) -> object:
    if value not in table and otherwise is ABSENT:
        known = sorted(table)
        more = f" and {len(known) - _TOLD_ENTRIES} more" if len(known) > _TOLD_ENTRIES else ""
        raise NewValue(f"not a value that the table knows ({', '.join(known[:_TOLD_ENTRIES])}{more})", word=value)
    return table.get(value, otherwise)


def _require_separate(fields: tuple[FieldPlan, ...]) -> None:
    """No target is written twice, or inside another: a mapping that was read from a file has been checked for it."""
    taken = {field.names for field in fields}
    inside = [field.target for field in fields if any(field.names[:n] in taken for n in range(1, len(field.names)))]
    if inside or len(taken) < len(fields):
        raise TypeError(f"targets overlap ({', '.join(inside) or 'one is written twice'}): the mapping was not validated")
