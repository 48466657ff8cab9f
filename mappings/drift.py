"""What a mapping's next version would have to say, now that the other side changed: a proposed edit for each cause.

A proposal is text to start from. What a new word means, and whether a new column is of use, only a person knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import yaml

from mappings.faults import FaultKind
from mappings.model import FieldRule, MappingFile
from mappings.paths import parse_path

DRIFT = frozenset({FaultKind.UNKNOWN_FIELD, FaultKind.VANISHED_FIELD, FaultKind.CHANGED_TYPE, FaultKind.NEW_VALUE})
"""Causes that say that the other side changed; the others say that one record is wrong."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What records were set aside for: the kind of fault, the source's field, and the new word where there is one."""

    mapping_id: str
    kind: FaultKind
    source: str
    value: str | None = None

    @classmethod
    def of_key(cls, key: str, source: str | None) -> Cause | None:
        """The cause that a group's key names; ``source`` is its field, in which a ``/`` may stand. ``None`` for another key."""
        mapping_id, _, rest = key.partition("/")
        kind, _, rest = rest.partition("/")
        if kind not in set(FaultKind) or source is None or not rest.startswith(source):
            return None
        value = rest[len(source) :].removeprefix("/")
        return cls(mapping_id, FaultKind(kind), source, value or None)


def proposal(cause: Cause, mapping: MappingFile, others: Collection[Cause] = ()) -> str:
    """The edit, as lines of the next version's file. ``others`` are the causes that came up with it: a rename is two of them."""
    match cause.kind:
        case FaultKind.UNKNOWN_FIELD:
            return _unknown(cause, mapping, others)
        case FaultKind.VANISHED_FIELD:
            return _vanished(cause, mapping, others)
        case FaultKind.NEW_VALUE:
            return _edit(dict(_with_word(cause, mapping)), "say what the new word means")
        case _:
            readers = ", ".join(target for target, _ in _readers(cause.source, mapping)) or "the field"
            return f"# {cause.source} is of another type now: change apply of {readers} so that it takes what arrives\n"


def _unknown(cause: Cause, mapping: MappingFile, others: Collection[Cause]) -> str:
    gone = [other.source for other in others if other.kind is FaultKind.VANISHED_FIELD]
    if was := get_close_matches(cause.source, gone, n=1, cutoff=0.5):
        return _edit(dict(_renamed(was[0], cause.source, mapping)), f"if {was[0]} is now called {cause.source}")
    return f"# known, and not used; or give it to a field under fields\nignores: {_flow([cause.source])}\n"


def _vanished(cause: Cause, mapping: MappingFile, others: Collection[Cause]) -> str:
    new = [other.source for other in others if other.kind is FaultKind.UNKNOWN_FIELD]
    if now := get_close_matches(cause.source, new, n=1, cutoff=0.5):
        return _edit(dict(_renamed(cause.source, now[0], mapping)), f"if {cause.source} is now called {now[0]}")
    readers = [target for target, _ in _readers(cause.source, mapping)]
    if not readers:
        return f"# {cause.source} is not sent any more: take it out of ignores\n"
    return f"# {cause.source} is not sent any more: remove what reads it, or read another field\nremoves: {_flow(readers)}\n"


def _readers(source: str, mapping: MappingFile) -> Iterator[tuple[str, FieldRule]]:
    for target, rule in mapping.fields.items():
        if any(parse_path(path).label == source or parse_path(path).text == source for path in rule.reads):
            yield target, rule


def _renamed(was: str, now: str, mapping: MappingFile) -> Iterator[tuple[str, dict[str, Any]]]:
    path = now if now.replace("_", "").isalnum() else f'"{now}"'
    for target, rule in _readers(was, mapping):
        if rule.source is not None:
            yield target, {**_as_written(rule), "from": path}


def _with_word(cause: Cause, mapping: MappingFile) -> Iterator[tuple[str, dict[str, Any]]]:
    for target, rule in _readers(cause.source, mapping):
        if rule.lookup is not None and rule.lookup.table is not None:
            table = {**rule.lookup.table, cause.value or "the new word": "?"}
            yield target, {**_as_written(rule), "lookup": {"table": table}}
        elif rule.lookup is not None:
            yield (
                target,
                {**_as_written(rule), "lookup": {"file": rule.lookup.file, "sha256": "? (after adding the word to the table)"}},
            )


def _as_written(rule: FieldRule) -> dict[str, Any]:
    """The rule as a file says it."""
    said = rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if "apply" in said:
        said["apply"] = [
            call["name"] if not call.get("parameters") else {call["name"]: call["parameters"]} for call in said["apply"]
        ]
    return said


def _edit(fields: dict[str, dict[str, Any]], comment: str) -> str:
    written = yaml.safe_dump({"fields": fields}, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    return f"# {comment}\n{written}"


def _flow(names: list[str]) -> str:
    return yaml.safe_dump(names, default_flow_style=True, allow_unicode=True, width=1000).strip()
