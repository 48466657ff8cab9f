"""Where every value came from: what the ledger keeps of a mapping's fields, and the way back from a written value to its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from ledger.database import Tx
from ledger.writing import writes
from ledger.writing.writes import WriteLine
from mappings.engine import Mapped
from mappings.paths import parse_path, parse_target, reader
from mappings.values import ABSENT
from workforce.lineage import MappedField, MappingUsed, SourceLineage


@dataclass(frozen=True, slots=True)
class Origin:
    """A canonical field, the value that it had, and how it came from the source; ``said`` is ``None`` where the hub decides it itself."""

    path: str
    value: object = field(repr=False)
    said: MappedField | None


@dataclass(frozen=True, slots=True)
class Traced:
    """A field that stands in a system, with the write that made it so. ``source`` is ``None`` where it was not kept."""

    system: str
    target: str
    field: MappedField
    mapping: MappingUsed
    written_at: datetime
    source: SourceLineage | None

    def origins(self) -> list[Origin]:
        """The canonical fields that it was made of."""
        said = self.source.fields if self.source else {}
        return [Origin(path, value, said.get(path)) for path, value in self.field.read.items()]

    @property
    def is_sensitive(self) -> bool:
        """Whether its value, or one that it was made of, is not for every eye."""
        return self.field.sensitive or any(origin.said.sensitive for origin in self.origins() if origin.said)

    def goes_by(self, name: str) -> bool:
        """Whether ``name`` is the field's, or that of a canonical field that it was made of."""
        return name == self.target or name in self.field.read


def trace(tx: Tx, engagement_id: UUID, *, system: str | None = None, name: str | None = None) -> list[Traced]:
    """What stands in the systems about an engagement, each field with the write that brought its value, by system and field.

    ``name`` is a target's field (``hourly_rate``) or a canonical one (``terms.rate.amount``), which finds it wherever it went.
    """
    lines: dict[str, list[WriteLine]] = {}
    for line in writes.history(tx, engagement_id):
        if system in {None, line.write.system}:
            lines.setdefault(line.write.system, []).append(line)
    found = [traced for held in sorted(lines) for traced in _standing(lines[held])]
    return [traced for traced in found if name is None or traced.goes_by(name)]


def _standing(lines: list[WriteLine]) -> Iterator[Traced]:
    """The fields of one system. ``lines`` are its history, the newest first."""
    for target in lines[0].write.fields:
        line = _since(lines, target)
        write = line.write
        yield Traced(write.system, target, write.fields[target], write.mapping, line.written_at, write.source)


def _since(lines: list[WriteLine], target: str) -> WriteLine:
    """The last write of the value that stands, or the first that found it there already."""
    first = lines[0]
    for line in lines:
        known = line.write.fields.get(target)
        if known is None or known.value != lines[0].write.fields[target].value:
            break
        first = line
        if target in line.write.changed:
            break
    return first


def field_lineage(record: Mapping[str, object], mapped: Mapped) -> dict[str, MappedField]:
    """How each field of ``mapped`` came about: the values read, the transforms, the result. By target."""
    return {
        line.target: MappedField(
            value=value_at(mapped.values, line.target),
            read={path: found for path in line.sources if (found := reader(parse_path(path))(record)) is not ABSENT},
            transforms=line.transforms,
            origin=line.origin,
            strength=line.strength,
            sensitive=line.sensitive,
        )
        for line in mapped.lineage
    }


def value_at(values: Mapping[str, object], target: str) -> object:
    """The value of a nested target; ``None`` where there is none."""
    node: object = values
    for name in parse_target(target):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node
