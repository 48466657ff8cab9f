"""What a condition says of a record. Conditions compare; they cannot call anything."""

from __future__ import annotations

from mappings.model import Condition, Presence
from mappings.ordered import is_in_order
from mappings.paths import parse_path
from mappings.transforms import is_empty
from mappings.values import ABSENT


def holds(condition: Condition, record: object) -> bool:
    """Whether ``condition`` holds of ``record``. Raises ``AmbiguousItem`` where a path that it has to read is ambiguous."""
    if condition.every:
        return all(holds(part, record) for part in condition.every)
    if condition.some:
        return any(holds(part, record) for part in condition.some)
    if condition.negated:
        return not holds(condition.negated, record)
    return _compares(condition, parse_path(condition.path or "").read(record))


def is_within(value: object, condition: Condition) -> bool:
    """Whether ``value`` keeps to the bound of a comparison."""
    return condition.bound is not None and is_in_order(value, *condition.bound)


def wanted(condition: Condition) -> list[object]:
    """The values that a comparison accepts."""
    return condition.one_of if condition.one_of is not None else [condition.equals]


def is_one_of(value: object, constants: list[object]) -> bool:
    """Equal and of the same type: ``true`` is not 1, and nothing equals an absent value."""
    return any(type(value) is type(one) and value == one for one in constants)


def _compares(condition: Condition, value: object) -> bool:
    match condition.presence:
        case Presence.PRESENT:
            return not is_empty(value)
        case Presence.MISSING:
            return is_empty(value)
        case Presence.ABSENT:
            return value is ABSENT
    return is_within(value, condition) if condition.bound else is_one_of(value, wanted(condition))
