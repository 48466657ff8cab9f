"""Looking at a directory once where nothing was written in between: for a run of several steps on the same few accounts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from workforce.ports import Directory

D = TypeVar("D", bound=Directory)

_REMEMBERED = ("find", "read")
_HARMLESS = frozenset({*_REMEMBERED, "find_by_login", "accounts", "seats", "deleted", "read_all"})


def remembering(directory: D) -> D:
    """``directory`` with a memory for ``find`` and ``read`` that every call which may change something empties.

    So a read-back after a write is a real look, and a second look without a write in between costs nothing. For one thread at a time, and
    for seconds: changes by others are not seen while it remembers. What raises is not remembered. Its class, and so what it can do, stays.
    """
    memory: dict[tuple[str, str], Any] = {}
    shared = copy.copy(directory)
    for name in _methods(directory):
        call = getattr(directory, name)
        if name in _REMEMBERED:
            setattr(shared, name, partial(_remembered, memory, name, call))
        elif name not in _HARMLESS:
            setattr(shared, name, partial(_forgetting, memory, name, call))
    return shared


def _methods(directory: Directory) -> list[str]:
    return [name for name in dir(type(directory)) if not name.startswith("_") and callable(getattr(directory, name))]


def _remembered(memory: dict[tuple[str, str], Any], name: str, call: Callable[[str], Any], key: str) -> Any:
    if (name, key) not in memory:
        memory[name, key] = call(key)
    return memory[name, key]


def _forgetting(memory: dict[tuple[str, str], Any], name: str, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """``None`` of a trial sign-in says that none was made."""
    tried: object = ...
    try:
        tried = call(*args, **named)
        return tried
    finally:
        if name != "sign_in_works" or tried is not None:
            memory.clear()
