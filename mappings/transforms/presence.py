"""Absent, null and empty: three things that a source may say instead of a value."""

from __future__ import annotations

from mappings.values import ABSENT, Plain


def is_empty(value: object) -> bool:
    """Whether ``value`` is absent, null or empty text."""
    return value is ABSENT or value is None or value == ""


def is_missing(value: object) -> bool:
    """Whether ``value`` is nothing to a rule that requires one: empty, or a list of nothing but what is."""
    return is_empty(value) or (type(value) is list and all(is_empty(item) for item in value))


def default_if_empty(value: object, *, value_if_empty: Plain) -> object:
    """``value_if_empty`` in place of an absent, null or empty value."""
    return value_if_empty if is_empty(value) else value


def null_if_empty(value: object) -> object:
    """Null in place of an empty text: the source says that there is none."""
    return None if value == "" else value


def absent_if_empty(value: object) -> object:
    """Absent in place of a null or empty value: the source says nothing."""
    return ABSENT if is_empty(value) else value
