"""A mapping version compiled once into Python closures, then applied to any number of records.

Absent, null and clear stay apart: an absent value leaves the target out, null sets it to ``None``, and clearing is only ever
said by the mapping and listed in ``Mapped.cleared``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import TypeAlias

from mappings.conditions import Holds, compile_condition
from mappings.model import FieldRule, Lookup, MappingFile, Strength
from mappings.paths import Read, parse_path, parse_target, reader
from mappings.transforms import Apply, is_empty, transforms
from mappings.values import ABSENT, CLEAR, ValueFault
from workforce.errors import Refused

Table: TypeAlias = Mapping[str, object]
Compute: TypeAlias = Callable[[object], object]


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
class Mapped:
    """A mapped record. ``values`` is nested by target; ``cleared`` are the targets that shall lose their value.

    ``content_sha256`` is the hash of the mapping file that did it.
    """

    values: dict[str, object] = field(repr=False)
    cleared: tuple[str, ...]
    lineage: tuple[FieldLineage, ...]
    mapping_id: str
    version: int
    content_sha256: str


@dataclass(frozen=True, slots=True)
class _Field:
    target: tuple[str, ...]
    label: str
    source: str
    applies: Holds | None
    compute: Compute
    lineage: FieldLineage
    by_default: FieldLineage
    default: object


@dataclass(frozen=True, slots=True)
class _Demand:
    holds: Holds
    source: str
    because: str


@dataclass(frozen=True, slots=True)
class _Fault:
    target: str
    source: str
    message: str

    def __str__(self) -> str:
        return f"{self.target} (from {self.source}): {self.message}"


class CompiledMapping:
    """One version of a mapping, ready to apply. Thread-safe: it holds no state of any record."""

    def __init__(self, mapping: MappingFile, *, content_sha256: str, tables: Mapping[str, Table] | None = None) -> None:
        self.mapping_id = mapping.mapping
        self.version = mapping.version
        self.effective_from: date = mapping.effective_from
        self.content_sha256 = content_sha256
        self._fields = tuple(_compile_field(target, rule, tables or {}) for target, rule in mapping.fields.items())
        self._demands = tuple(
            _Demand(compile_condition(demand.that), _labels(tuple(demand.that.paths())), demand.because)
            for demand in mapping.demands
        )

    def apply(self, record: Mapping[str, object]) -> Mapped:
        """Map ``record``. Raises ``Refused`` naming every field that cannot be mapped, target and source, never a value."""
        values: dict[str, object] = {}
        lineage: list[FieldLineage] = []
        faults = [fault for demand in self._demands if (fault := _unmet(demand, record))]
        for each in self._fields:
            try:
                _set(each, record, values, lineage)
            except ValueFault as fault:
                faults.append(_Fault(each.label, each.source, str(fault)))
        if faults:
            raise self._refusal(faults)
        cleared = tuple(line.target for line in lineage if line.origin is Origin.CLEARED)
        return Mapped(values, cleared, tuple(lineage), self.mapping_id, self.version, self.content_sha256)

    def _refusal(self, faults: list[_Fault]) -> Refused:
        sentence = "; ".join(str(fault) for fault in faults)
        return Refused(
            f"{self.mapping_id} version {self.version}: {sentence}. Mend the record at its source, or the mapping",
            cause="unmappable_record",
            field=faults[0].source,
        )


def _set(each: _Field, record: object, values: dict[str, object], lineage: list[FieldLineage]) -> None:
    """Put one field's value in its place, unless it is absent."""
    if each.applies is not None and not each.applies(record):
        return
    value = each.compute(record)
    came = each.lineage
    if value is ABSENT:
        value, came = each.default, each.by_default
        if value is ABSENT:
            return
    lineage.append(came)
    if value is not CLEAR:
        _place(values, each.target, value)


def _place(values: dict[str, object], target: tuple[str, ...], value: object) -> None:
    node = values
    for name in target[:-1]:
        inner = node.setdefault(name, {})
        if not isinstance(inner, dict):
            raise TypeError(f"two targets overlap at {name}: the mapping was not validated")
        node = inner
    node[target[-1]] = value


def _unmet(demand: _Demand, record: object) -> _Fault | None:
    try:
        return None if demand.holds(record) else _Fault("record", demand.source, demand.because)
    except ValueFault as fault:
        return _Fault("record", demand.source, str(fault))


def _compile_field(target: str, rule: FieldRule, tables: Mapping[str, Table]) -> _Field:
    origin = Origin.CLEARED if rule.clear else Origin.SOURCE if rule.reads else Origin.CONSTANT
    names = tuple(call.name for call in rule.apply)
    lineage = FieldLineage(target, rule.reads, names, origin, rule.strength, rule.sensitive)
    return _Field(
        target=parse_target(target),
        label=target,
        source=_labels(rule.reads),
        applies=compile_condition(rule.when) if rule.when else None,
        compute=_compile_value(rule, tables),
        lineage=lineage,
        by_default=replace(lineage, origin=Origin.DEFAULT),
        default=rule.default if rule.says("default") else ABSENT,
    )


def _compile_value(rule: FieldRule, tables: Mapping[str, Table]) -> Compute:
    if rule.clear:
        return lambda _record: CLEAR
    if not rule.reads:
        return lambda _record: rule.value
    read = reader(parse_path(rule.source)) if rule.source is not None else _gathering(rule.reads)
    steps = _steps(rule, tables)
    if not steps:
        return read

    def compute(record: object) -> object:
        value = read(record)
        for step in steps:
            value = step(value)
        return value

    return compute


def _steps(rule: FieldRule, tables: Mapping[str, Table]) -> tuple[Apply, ...]:
    steps: list[Apply] = []
    given = frozenset({list}) if rule.gather else frozenset[type]()
    for call in rule.apply:
        transform = transforms()[call.name]
        steps.append(transform.bind(call.parameters, given=given))
        given = transform.gives
    if rule.lookup:
        steps.append(_looking_up(_table(rule.lookup, tables)))
    if rule.required:
        steps.append(_required_unless_default(rule))
    return tuple(steps)


def _table(lookup: Lookup, tables: Mapping[str, Table]) -> Table:
    return lookup.table if lookup.table is not None else tables[lookup.file or ""]


def _looking_up(table: Table) -> Apply:
    known = ", ".join(sorted(table))

    def look_up(value: object) -> object:
        if value is None or value is ABSENT:
            return value
        if not isinstance(value, str) or value not in table:
            raise ValueFault(f"not a value that the table knows ({known})")
        return table[value]

    return look_up


def _required_unless_default(rule: FieldRule) -> Apply:
    has_default = rule.says("default") and not is_empty(rule.default)

    def require(value: object) -> object:
        if is_empty(value) and not (value is ABSENT and has_default):
            raise ValueFault("required, but missing or empty")
        return value

    return require


def _gathering(paths: tuple[str, ...]) -> Read:
    reads = [reader(parse_path(path)) for path in paths]

    def gather(record: object) -> object:
        found = [value for read in reads if (value := read(record)) is not ABSENT]
        return found or ABSENT

    return gather


def _labels(paths: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(parse_path(path).label for path in paths))
