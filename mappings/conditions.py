"""Conditions compiled to predicates of a record. They compare; they cannot call anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mappings.model import Condition, Presence
from mappings.paths import Read, parse_path, reader
from mappings.transforms import is_empty
from mappings.values import ABSENT

Holds: TypeAlias = Callable[[object], bool]


def compile_condition(condition: Condition) -> Holds:
    """The predicate of ``condition``. It raises ``ValueFault`` where a path of it is ambiguous in the record."""
    if condition.every:
        parts = [compile_condition(part) for part in condition.every]
        return lambda record: all(part(record) for part in parts)
    if condition.some:
        parts = [compile_condition(part) for part in condition.some]
        return lambda record: any(part(record) for part in parts)
    if condition.negated:
        inner = compile_condition(condition.negated)
        return lambda record: not inner(record)
    return _comparison(condition, reader(parse_path(condition.path or "")))


def _comparison(condition: Condition, read: Read) -> Holds:
    match condition.presence:
        case Presence.PRESENT:
            return lambda record: not is_empty(read(record))
        case Presence.MISSING:
            return lambda record: is_empty(read(record))
        case Presence.ABSENT:
            return lambda record: read(record) is ABSENT
    wanted = condition.one_of if condition.one_of is not None else [condition.equals]
    return lambda record: _is_one_of(read(record), wanted)


def _is_one_of(value: object, wanted: list[object]) -> bool:
    """Equal and of the same type: ``true`` is not 1, and nothing equals an absent value."""
    return any(type(value) is type(one) and value == one for one in wanted)
