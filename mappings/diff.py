"""Two versions of a mapping compared by what they mean: fields, tables, conditions, demands. Order and layout of the files do not count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from mappings.model import FieldRule, MappingFile
from mappings.transforms import transforms

Tables = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A version as it works: with its base, if it has one, and the content of its table files by name."""

    mapping: MappingFile
    tables: Tables


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference of meaning. ``place`` is the target field, or the part of the mapping as a whole; empty text is: not there."""

    place: str
    aspect: str
    before: str
    after: str

    def __str__(self) -> str:
        match (self.before, self.after):
            case ("", after):
                return f"{self.place}: {self.aspect} added: {after}"
            case (before, ""):
                return f"{self.place}: {self.aspect} removed: {before}"
            case (before, after):
                return f"{self.place}: {self.aspect}: {before} → {after}"


def differences(old: Reading, new: Reading) -> list[Difference]:
    """Everything that ``new`` means otherwise than ``old``: the mapping as a whole first, then field by field in order of name."""
    found = list(_whole(old.mapping, new.mapping))
    for target in sorted({*old.mapping.fields, *new.mapping.fields}):
        found += _field(target, old, new)
    return found


def _whole(old: MappingFile, new: MappingFile) -> Iterator[Difference]:
    for aspect in ("effective_from", "source_fields"):
        yield from _changed("mapping", aspect, str(getattr(old, aspect)), str(getattr(new, aspect)))
    yield from _sets("mapping", "ignored field", set(old.ignores), set(new.ignores))
    demands = [{f"{_written(demand.that)}, because {demand.because}" for demand in one.demands} for one in (old, new)]
    yield from _sets("record", "demand", *demands)


def _field(target: str, old: Reading, new: Reading) -> Iterator[Difference]:
    before, after = (_meaning(target, reading) for reading in (old, new))
    if not (before and after):
        aspects = before or after
        sentence = "; ".join(f"{aspect} {said}" for aspect, said in aspects.items() if said)
        yield Difference(target, "field", sentence if before else "", sentence if after else "")
        return
    for aspect in before:
        yield from _changed(target, aspect, before[aspect], after[aspect])
    yield from _table_words(target, _table(target, old), _table(target, new))


def _meaning(target: str, reading: Reading) -> dict[str, str]:
    """Aspect → how people read it, defaults filled in; empty for a field that is not there. The words of a table are told apart."""
    rule = reading.mapping.fields.get(target)
    if rule is None:
        return {}
    return {
        "from": " + ".join(rule.reads),
        "value": _written(rule.value) if rule.says("value") else "clear" if rule.clear else "",
        "apply": " → ".join(_call(call.name, call.parameters) for call in rule.apply),
        "default": _written(rule.default) if rule.says("default") else "",
        "when": _written(rule.when) if rule.when else "",
        "required": "yes" if rule.required else "no",
        "strength": str(rule.strength),
        "sensitive": "yes" if rule.sensitive else "no",
    }


def _call(name: str, parameters: Mapping[str, Any]) -> str:
    """A transform with all its parameters, also those that the file leaves at their defaults."""
    full = transforms()[name].parameters.model_validate(parameters).model_dump(mode="json")
    return f"{name}({', '.join(f'{key}={_written(value)}' for key, value in full.items())})" if full else name


def _table(target: str, reading: Reading) -> Mapping[str, object]:
    rule: FieldRule | None = reading.mapping.fields.get(target)
    if rule is None or rule.lookup is None:
        return {}
    return rule.lookup.table if rule.lookup.table is not None else reading.tables.get(rule.lookup.file or "", {})


def _table_words(target: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Difference]:
    for word in sorted({*old, *new}):
        before, after = (_written(table[word]) if word in table else "" for table in (old, new))
        yield from _changed(target, f"lookup of {word!r}", before, after)


def _changed(place: str, aspect: str, before: str, after: str) -> Iterator[Difference]:
    if before != after:
        yield Difference(place, aspect, before, after)


def _sets(place: str, aspect: str, old: set[str], new: set[str]) -> Iterator[Difference]:
    yield from (Difference(place, aspect, name, "") for name in sorted(old - new))
    yield from (Difference(place, aspect, "", name) for name in sorted(new - old))


def _written(value: object) -> str:
    """A value, or a part of a document, on one line."""
    plain = value.model_dump(mode="json", by_alias=True, exclude_unset=True) if hasattr(value, "model_dump") else value
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=True)
    return text.removesuffix("\n").removesuffix("\n...")
