"""What a mapping says of one record held against its target's schema, before it is written: no vendor's 400 in the middle of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mappings.engine import FieldLineage, Mapped
from mappings.faults import listed
from mappings.paths import Index, Key, Step, parse_target
from mappings.schema import NoSuchPlace, Plain, Schema, Spot
from workforce.errors import Refused

Found: TypeAlias = tuple[tuple[Step, ...], str]
"""A place, and what its target says of it."""


@dataclass(frozen=True, slots=True)
class TargetFault:
    """One value that its target does not take. ``target`` and ``sources`` are as the mapping writes them; the value is not kept."""

    target: str
    sources: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        read = f" (from {', '.join(self.sources)})" if self.sources else ""
        return f"{self.target}{read}: {self.message}"


class NotTaken(Refused):
    """What a mapping version gives is not what its target takes. ``faults`` are all of them; ``field`` is the first one's target."""

    def __init__(self, faults: Sequence[TargetFault], *, mapping_id: str, version: str) -> None:
        self.faults = tuple(faults)
        self.mapping_id = mapping_id
        self.version = version
        sentence = (
            f"{mapping_id} version {version}: {listed(self.faults)}. Correct the record at its source, or the mapping, and replay"
        )
        super().__init__(sentence, cause="target_refuses", field=self.faults[0].target)


def require_taken(mapped: Mapped, target: Schema) -> None:
    """Raises ``NotTaken`` unless ``target`` takes everything that ``mapped`` gives and clears, and all that it requires is given."""
    if found := target_faults(mapped, target):
        raise NotTaken(found, mapping_id=mapped.mapping_id, version=mapped.version)


def target_faults(mapped: Mapped, target: Schema) -> list[TargetFault]:
    """What ``target`` does not take of ``mapped``, in the order of its values; then what it requires and is not given, and is cleared."""
    found = [*_faults(target.root, mapped.values, ()), *_uncleared(target, mapped.cleared)]
    if not found:
        return []
    lines = {parse_target(line.target): line for line in mapped.lineage}
    return [_told(steps, message, lines) for steps, message in found]


def _faults(spot: Spot, value: object, above: tuple[Step, ...], *, is_open: bool = False) -> Iterator[Found]:
    """The places inside ``value`` that ``spot`` does not take, with the reason. Where it ``is_open``, names that it does not list may be there."""
    if problem := spot.problem(value):
        yield above, problem
        return
    inside: Mapping[Step, object] = {}
    if isinstance(value, dict | list) and len(value) < (least := _least(spot, type(value))):
        yield above, f"takes at least {least} inside"
    if isinstance(value, dict):
        yield from _conditional(spot, value, above)
        inside = {Key(name): each for name, each in value.items() if not is_open or name in spot.names}
        yield from (((*above, Key(name)), "it has to be given, and is not") for name in spot.required if name not in value)
    elif isinstance(value, list):
        inside = {Index(position): each for position, each in enumerate(value)}
    for step, each in inside.items():
        try:
            further = spot.step(step)
        except NoSuchPlace as nowhere:
            yield (*above, step), str(nowhere)
        else:
            yield from _faults(further, each, (*above, step), is_open=is_open)


def _conditional(spot: Spot, value: Mapping[str, object], above: tuple[Step, ...]) -> Iterator[Found]:
    """What ``then`` and ``else`` say of ``value``, where it can look in one way only."""
    parts = spot.choices[0].parts if len(spot.choices) == 1 else ()
    for part in (part for part in parts if "if" in part):
        holds = not any(_faults(_spot(spot, part["if"]), value, above, is_open=True))
        yield from _faults(_spot(spot, part.get("then" if holds else "else", True)), value, above, is_open=True)


def _spot(spot: Spot, plain: Plain) -> Spot:
    return Spot(spot.schema, spot.schema.choices((plain,)))


def _least(spot: Spot, kind: type) -> int:
    """How many members or items there are at least, in any of the ways that ``spot`` may look."""
    keyword = "minProperties" if kind is dict else "minItems"
    return min((max(choice.says(keyword), default=0) for choice in spot.choices if kind in choice.types), default=0)


def _uncleared(target: Schema, cleared: Sequence[str]) -> Iterator[Found]:
    for text in cleared:
        steps = tuple(map(Key, parse_target(text)))
        try:
            takes_null = target.at(steps).problem(None) is None
        except NoSuchPlace as nowhere:
            yield steps, str(nowhere)
        else:
            if not takes_null:
                yield steps, "takes no null, so it cannot be emptied"


def _told(steps: tuple[Step, ...], message: str, lines: Mapping[tuple[str, ...], FieldLineage]) -> TargetFault:
    """The fault under the name of the mapping's field that gives the place, or a part of it, or lies inside it."""
    names = tuple(step.name for step in steps if isinstance(step, Key))
    for length in range(len(names), 0, -1):
        if line := lines.get(names[:length]):
            return TargetFault(line.target, line.sources, message)
    inside = [line for place, line in lines.items() if place[: len(names)] == names]
    return TargetFault(".".join(names), tuple(dict.fromkeys(source for line in inside for source in line.sources)), message)
