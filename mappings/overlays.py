"""A tenant's overlay over a shipped version: it holds only what differs, and takes over the rest.

An overlay is as immutable as any version and names its base by label. When the library has a newer base, a person moves to it with the
next overlay; what has changed below the overlay's own fields is shown then, and nothing is decided for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mappings.faults import Fault, FaultyMapping
from mappings.files import VersionFile
from mappings.model import FieldRule, MappingFile
from mappings.paths import parse_target


class ConflictKind(StrEnum):
    """How a newer base touches a field that the overlay has as its own."""

    CHANGED_BELOW = "changed_below"
    GONE_BELOW = "gone_below"
    ADDED_BELOW = "added_below"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field on which the overlay and a newer base both have a say. The overlay's rule counts until a person decides."""

    target: str
    kind: ConflictKind

    def __str__(self) -> str:
        return f"{self.target}: {_SENTENCES[self.kind]}"


_SENTENCES = {
    ConflictKind.CHANGED_BELOW: "the shipped rule changed below the overlay's own; compare them, and keep or drop the overlay's",
    ConflictKind.GONE_BELOW: "the shipped version has no such field any more; drop it from the overlay, or keep it as an addition",
    ConflictKind.ADDED_BELOW: "the shipped version has a rule of its own now; compare them, and keep or drop the overlay's",
}


def merged(base: VersionFile, overlay: VersionFile) -> MappingFile:
    """The overlay's effective mapping. Raises ``FaultyMapping`` with the places in the overlay's file."""
    below, above = base.mapping, overlay.mapping
    faults = [
        overlay.document.fault(("removes", index), f"{base.label} has no field {target}")
        for index, target in enumerate(above.removes)
        if target not in below.fields
    ]
    kept = {target: rule for target, rule in below.fields.items() if target not in above.removes}
    faults += _overlaps(kept, above.fields, overlay)
    if faults:
        raise FaultyMapping(faults)
    return above.model_copy(
        update={
            "fields": {**kept, **above.fields},
            "demands": [*below.demands, *above.demands],
            "ignores": [*below.ignores, *(name for name in above.ignores if name not in below.ignores)],
            "source_fields": above.source_fields if above.says("source_fields") else below.source_fields,
        }
    )


def conflicts(was: MappingFile, now: MappingFile, overlay: MappingFile) -> list[Conflict]:
    """What a move of ``overlay`` from the base ``was`` to the base ``now`` has a person look at, by field."""
    own = dict.fromkeys([*overlay.fields, *overlay.removes])
    return [Conflict(target, kind) for target in own if (kind := _conflict(was.fields.get(target), now.fields.get(target)))]


def _conflict(was: FieldRule | None, now: FieldRule | None) -> ConflictKind | None:
    if was == now:
        return None
    if was is None:
        return ConflictKind.ADDED_BELOW
    return ConflictKind.GONE_BELOW if now is None else ConflictKind.CHANGED_BELOW


def _overlaps(kept: dict[str, FieldRule], own: dict[str, FieldRule], overlay: VersionFile) -> Iterator[Fault]:
    """Fields of the overlay that write inside, or around, another field of the base."""
    for target in own:
        place = parse_target(target)
        for other in kept:
            there = parse_target(other)
            shorter = min(len(place), len(there))
            if other != target and place[:shorter] == there[:shorter]:
                yield overlay.document.fault(("fields", target), f"writes the same place as {other} of the base; remove that")
