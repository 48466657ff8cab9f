"""What a mapping says, carried out literally, one field at a time, with everything that was seen on the way.

This is the meaning of a mapping. The compiler makes the same answers faster, and whatever it does not answer is answered here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mappings.conditions import holds
from mappings.faults import FaultKind, RecordFault
from mappings.model import Demand, FieldRule, Strength
from mappings.paths import labels
from mappings.plan import FieldPlan, Origin, Plan, Step
from mappings.transforms import is_missing, words
from mappings.values import ABSENT, CLEAR, ChangedType, MissingValue, NewValue, ValueFault, detached

RECORD = "record"
"""The target of a fault that is of the record as a whole."""
MISSING = "required, but missing or empty"
MAX_WORD_CHARACTERS = 64
"""A longer text is no word of a list, and is not shown."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A path as the mapping writes it and what stands there: the raw value, or ``ABSENT``."""

    path: str
    value: object = field(repr=False)


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A transform, or ``lookup``, and what it made of the value. ``parameters`` are the mapping's; a table is not repeated."""

    name: str
    parameters: Mapping[str, object]
    value: object = field(repr=False)


@dataclass(frozen=True, slots=True)
class FieldExplanation:
    """How one field came to its value, or did not.

    ``applies`` is false where the rule's condition does not hold. ``value`` is the final one, ``ABSENT`` where the target is left
    out, ``CLEAR`` where it shall lose its value. ``origin`` is ``None`` where there is no value. With a ``fault``, ``steps`` are those
    that were taken before it. Whoever shows this to people hides the values where ``sensitive``.
    """

    target: str
    sources: tuple[str, ...]
    applies: bool
    readings: tuple[Reading, ...]
    steps: tuple[StepTaken, ...]
    origin: Origin | None
    value: object = field(repr=False)
    fault: RecordFault | None
    strength: Strength
    sensitive: bool


@dataclass(slots=True)
class _Trace:
    """What has been seen of one field so far."""

    readings: list[Reading] = field(default_factory=list)
    steps: list[StepTaken] = field(default_factory=list)
    applies: bool = True
    origin: Origin | None = None
    value: object = ABSENT
    fault: RecordFault | None = None


def explain_field(plan: FieldPlan, record: object) -> FieldExplanation:
    """Carry out one field's rule on ``record``. A fault is part of the answer."""
    trace = _Trace()
    try:
        _carry_out(plan, record, trace)
    except ValueFault as fault:
        trace.fault = _record_fault(plan, fault)
    return FieldExplanation(
        target=plan.target,
        sources=plan.rule.reads,
        applies=trace.applies,
        readings=tuple(trace.readings),
        steps=tuple(trace.steps),
        origin=trace.origin,
        value=trace.value,
        fault=trace.fault,
        strength=plan.rule.strength,
        sensitive=plan.rule.sensitive,
    )


def record_faults(plan: Plan, record: object) -> Iterator[RecordFault]:
    """The faults of the record as a whole: fields that a closed source should not have, or should; demands that do not hold."""
    if plan.reads is not None and plan.known is not None:
        names = {str(name) for name in record} if isinstance(record, Mapping) else set[str]()
        for name in sorted(names - plan.known):
            yield RecordFault(FaultKind.UNKNOWN_FIELD, RECORD, _short(name), "a field that the mapping neither reads nor ignores")
        for name in sorted(plan.reads - names):
            yield RecordFault(FaultKind.VANISHED_FIELD, RECORD, name, "a field that the mapping reads is not in the record")
    for demand in plan.demands:
        if fault := _unmet(demand, record):
            yield fault


def run_step(step: Step, value: object) -> object:
    """One step on any value, with what passes it by. Raises ``ValueFault``."""
    if step.takes:
        if value is None or value is ABSENT:
            return value
        if type(value) not in step.takes:
            raise ChangedType(f"expected {words(step.takes)}, and {words(frozenset({type(value)}))} arrived")
    try:
        return step.run(value)
    except NewValue:
        raise
    except ValueFault as fault:
        if step.table is not None and isinstance(value, str):
            raise NewValue(str(fault), word=value) from None
        raise
    except ArithmeticError:  # a decimal that is no number
        raise ValueFault("expected numbers that can be worked with") from None


def gathered(found: list[object]) -> object:
    """What several paths give: all of it, each in its place, also ``ABSENT``; or ``ABSENT`` where there is nothing at all."""
    return ABSENT if all(value is ABSENT for value in found) else found


def _carry_out(plan: FieldPlan, record: object, trace: _Trace) -> None:
    rule = plan.rule
    if rule.when is not None and not holds(rule.when, record):
        trace.applies = False
        return
    value = CLEAR if rule.clear else _of_source(plan, record, trace) if plan.paths else _constant(rule, record)
    by_default = value is ABSENT
    value = plan.default if by_default else detached(value)
    if rule.required and is_missing(value):
        raise MissingValue(MISSING)
    trace.value = value
    if value is not ABSENT:
        trace.origin = Origin.DEFAULT if by_default else plan.origin


def _constant(rule: FieldRule, record: object) -> object:
    """The rule's constant; of several, that of the first case that applies."""
    if rule.cases is None:
        return rule.value
    return next((case.value for case in rule.cases if holds(case.when, record)), ABSENT)


def _of_source(plan: FieldPlan, record: object, trace: _Trace) -> object:
    value = _read(plan, record, trace)
    for step in plan.steps:
        try:
            value = run_step(step, value)
        except ValueFault:
            if plan.rule.required and value == "":  # that the source says nothing is the fault, not how it says it
                raise MissingValue(MISSING) from None
            raise
        trace.steps.append(StepTaken(step.name, {k: v for k, v in step.parameters.items() if k != "table"}, value))
    return value


def _read(plan: FieldPlan, record: object, trace: _Trace) -> object:
    for path in plan.paths:
        trace.readings.append(Reading(path.text, path.read(record)))
    found = [reading.value for reading in trace.readings]
    return gathered(found) if plan.rule.gather else found[0]


def _unmet(demand: Demand, record: object) -> RecordFault | None:
    source = labels(demand.that.paths())
    try:
        is_met = holds(demand.that, record)
    except ValueFault as fault:
        return RecordFault(fault.kind, RECORD, source, str(fault))
    return None if is_met else RecordFault(FaultKind.UNMET_DEMAND, RECORD, source, demand.because)


def _record_fault(plan: FieldPlan, fault: ValueFault) -> RecordFault:
    shown = isinstance(fault, NewValue) and not plan.rule.sensitive and len(fault.word) <= MAX_WORD_CHARACTERS
    value = fault.word if isinstance(fault, NewValue) and shown else None
    return RecordFault(fault.kind, plan.target, plan.source, str(fault), value)


def _short(name: str) -> str:
    return name if len(name) <= MAX_WORD_CHARACTERS else f"{name[:MAX_WORD_CHARACTERS]}…"
