"""What a mapping's next version would have to say, now that the other side changed: a proposed edit for each cause.

A proposal is text to start from, for an overlay or to be merged into a version: a ``?`` in it stands for what only a person knows, such as
what a new word means.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from mappings.diff import Tables
from mappings.faults import FaultKind, RecordFault
from mappings.model import FieldRule, MappingFile
from mappings.paths import parse_path
from mappings.written import as_yaml, rule_as_written

DRIFT = frozenset({FaultKind.UNKNOWN_FIELD, FaultKind.VANISHED_FIELD, FaultKind.CHANGED_TYPE, FaultKind.NEW_VALUE})
"""Causes that say that the other side changed; the others say that one record is wrong."""
UNSAID = "?"
_PLAIN_NAME = re.compile(r"[\w@$:#-]+")
_FIRST_NAME = re.compile(r'"(?:[^"\\]|\\.)+"|[\w@$:#-]+')
_ALIKE = 0.5
_AS_TEXT: Mapping[type, list[str]] = {int: ["text"], float: ["json_decimal", "text"]}


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
        if kind not in set(FaultKind) or source is None or not f"{rest}/".startswith(f"{source}/"):
            return None
        value = rest[len(source) :].removeprefix("/")
        return cls(mapping_id, FaultKind(kind), source, value or None)

    @classmethod
    def of_fault(cls, mapping_id: str, fault: RecordFault) -> Cause:
        """The cause that a fault is on its own."""
        return cls(mapping_id, fault.kind, fault.source, fault.value)


@dataclass(frozen=True, slots=True)
class Drifted:
    """What a proposal is made from: the version in force with its ``tables``, what else came up with the cause, and a ``record`` of it.

    A renamed field is two causes of one record, so ``others`` are what is wrong with that record besides, and what other records wait for.
    """

    mapping: MappingFile
    tables: Tables = field(default_factory=dict)
    others: Collection[Cause] = ()
    record: Mapping[str, object] = field(default_factory=dict, repr=False)

    def sources(self, kind: FaultKind) -> list[str]:
        """The fields of the other causes of one kind, each once."""
        return list(dict.fromkeys(other.source for other in self.others if other.kind is kind))


def proposal(cause: Cause, seen: Drifted) -> str:
    """The edit, as lines of the next version's file."""
    match cause.kind:
        case FaultKind.UNKNOWN_FIELD:
            return _unknown(cause, seen)
        case FaultKind.VANISHED_FIELD:
            return _vanished(cause, seen)
        case FaultKind.NEW_VALUE:
            words = [cause, *(other for other in seen.others if (other.kind, other.source) == (cause.kind, cause.source))]
            fields = dict(_with_words(cause.source, {each.value or UNSAID for each in words}, seen))
            return _edit(
                {"fields": fields}, "say what the new word means" if cause.value else "say the new word, and what it means"
            )
        case _:
            return _changed_type(cause, seen)


def _unknown(cause: Cause, seen: Drifted) -> str:
    gone = seen.sources(FaultKind.VANISHED_FIELD)
    if was := get_close_matches(cause.source, gone, n=1, cutoff=_ALIKE):
        return _rename(was[0], cause.source, seen)
    unknown = dict.fromkeys([cause.source, *seen.sources(FaultKind.UNKNOWN_FIELD)])
    unused = [name for name in unknown if not get_close_matches(name, gone, n=1, cutoff=_ALIKE)]
    return _edit({"ignores": unused}, "known, and not used; or give it to a field under fields")


def _vanished(cause: Cause, seen: Drifted) -> str:
    if now := get_close_matches(cause.source, seen.sources(FaultKind.UNKNOWN_FIELD), n=1, cutoff=_ALIKE):
        return _rename(cause.source, now[0], seen)
    edits = {target: _without(cause.source, rule) for target, rule in _readers(cause.source, seen.mapping)}
    fields = {target: edit for target, edit in edits.items() if edit is not None}
    removed = [target for target, edit in edits.items() if edit is None]
    edit = {**({"removes": removed} if removed else {}), **({"fields": fields} if fields else {})}
    return _edit(edit, f"{cause.source} is not sent any more: read another field, or do without it")


def _changed_type(cause: Cause, seen: Drifted) -> str:
    fields = {}
    for target, rule in seen.mapping.fields.items():
        if any(parse_path(path).label == cause.source for path in rule.reads):
            value = parse_path(rule.reads[0]).read(seen.record)
            said = rule_as_written(rule)
            fields[target] = {**said, "apply": [*_AS_TEXT.get(type(value), [UNSAID]), *said.get("apply", [])]}
    return _edit({"fields": fields}, f"{cause.source} is of another type now: make of it first what the rest takes")


def _readers(source: str, mapping: MappingFile) -> Iterator[tuple[str, FieldRule]]:
    """The fields that read the top-level field ``source``, be it only in a condition."""
    for target, rule in mapping.fields.items():
        paths = [*rule.reads, *(rule.when.paths() if rule.when else ())]
        if any(parse_path(path).first == source for path in paths):
            yield target, rule


def _rename(was: str, now: str, seen: Drifted) -> str:
    edits = {target: _with_paths(rule_as_written(rule), was, now) for target, rule in _readers(was, seen.mapping)}
    demanded = any(parse_path(path).first == was for demand in seen.mapping.demands for path in demand.that.paths())
    more = "; a demand reads it too, which only a complete version can change" if demanded else ""
    return _edit({"fields": edits}, f"if {was} is now called {now}{more}")


def _with_paths(said: Any, was: str, now: str, key: str = "") -> Any:
    """A part of a rule, as written, that reads ``now`` where it read ``was``."""
    if isinstance(said, dict):
        return {
            name: value if name in {"apply", "lookup"} else _with_paths(value, was, now, name) for name, value in said.items()
        }
    if isinstance(said, list):
        return [_with_paths(item, was, now, key) for item in said]
    return _renamed(said, was, now) if key in {"from", "gather", "path"} else said


def _renamed(path: str, was: str, now: str) -> str:
    first = _FIRST_NAME.match(path)
    if first is None or parse_path(path).first != was:
        return path
    escaped = now.replace("\\", "\\\\").replace('"', '\\"')
    return (now if _PLAIN_NAME.fullmatch(now) else f'"{escaped}"') + path[first.end() :]


def _without(source: str, rule: FieldRule) -> dict[str, Any] | None:
    """The rule as it would do without ``source``; ``None`` where it had better go."""
    said = rule_as_written(rule)
    if "when" in said:
        said["when"] = _condition_without(source, said["when"])
        if said["when"] is None:
            del said["when"]
    left = [path for path in rule.reads if parse_path(path).first != source]
    if len(left) == len(rule.reads) and (rule.when is None or "when" in said):
        return said
    if left and rule.gather:
        return {**said, "gather": left}
    return {**said, "from": UNSAID} if rule.required and rule.source else None


def _condition_without(source: str, said: dict[str, Any]) -> dict[str, Any] | None:
    """A condition, as written, without the parts that read ``source``; ``None`` where nothing is left."""
    if "path" in said:
        return None if parse_path(said["path"]).first == source else said
    ((combination, inner),) = said.items()
    if combination == "not":
        kept = _condition_without(source, inner)
        return None if kept is None else {"not": kept}
    parts = [kept for part in inner if (kept := _condition_without(source, part)) is not None]
    return {combination: parts} if parts else None


def _with_words(source: str, words: Collection[str], seen: Drifted) -> Iterator[tuple[str, dict[str, Any]]]:
    """The fields that look ``source`` up, with their tables in full and the new ``words`` in them."""
    new = dict.fromkeys(sorted(words), UNSAID)
    for target, rule in seen.mapping.fields.items():
        if not any(parse_path(path).label == source for path in rule.reads):
            continue
        said = rule_as_written(rule)
        said["apply"] = [_call_with(call, new) for call in said.get("apply", [])]
        if rule.lookup is not None:
            known = rule.lookup.table if rule.lookup.table is not None else seen.tables.get(rule.lookup.file or "", {})
            said["lookup"] = {"table": {**known, **new}}
        if rule.lookup is not None or said["apply"] != rule_as_written(rule).get("apply", []):
            yield target, {name: value for name, value in said.items() if value != []}


def _call_with(call: Any, new: Mapping[str, str]) -> Any:
    """A transform that is a table, with the new words in it; another one as it is."""
    if not isinstance(call, dict):
        return call
    ((name, parameters),) = call.items()
    table = parameters.get("table")
    return {name: {**parameters, "table": {**table, **new}}} if isinstance(table, dict) else call


def _edit(content: dict[str, Any], comment: str) -> str:
    return f"# {comment}\n{as_yaml(content)}"
