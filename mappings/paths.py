"""Paths into a record: dotted names, quoted names, and selectors of list items. They read mappings and lists, nothing else.

``customFields.textCustomFields[name=stint_work_order].value`` · ``"Start Date"`` · ``recipients.signers[0].email``
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mappings.values import ABSENT, ValueFault

MAX_PATH_CHARACTERS = 512
MAX_PATH_STEPS = 16

_NAME = r'(?:"(?:[^"\\]|\\["\\])+"|[\w@$:#-]+)'
_SEGMENT = re.compile(rf"(?P<name>{_NAME})(?P<selectors>(?:\[[^\]]*\])*)(?:\.(?=.)|$)")
_SELECTOR = re.compile(rf"\[(?:(?P<index>\d{{1,4}})|(?P<key>{_NAME})=(?P<text>{_NAME}))\]")

_MAPPING = (dict, Mapping)  # the plain type first: an abstract one costs a call

Read: TypeAlias = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Key:
    """The value under ``name``."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """The list item at ``position``, counted from 0."""

    position: int


@dataclass(frozen=True, slots=True)
class Match:
    """The one list item whose ``key`` equals ``text``."""

    key: str
    text: str


Step: TypeAlias = Key | Index | Match


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. ``label`` is how people read it: the text itself, without quotes where it is a single name."""

    text: str
    steps: tuple[Step, ...]

    @property
    def label(self) -> str:
        """The path as messages name it."""
        only = self.steps[0]
        return only.name if len(self.steps) == 1 and isinstance(only, Key) else self.text


def parse_path(text: str) -> Path:
    """The path written as ``text``. Raises ``ValueError`` saying where it stops being one."""
    if not 0 < len(text) <= MAX_PATH_CHARACTERS:
        raise ValueError(f"a path has 1 to {MAX_PATH_CHARACTERS} characters")
    steps: list[Step] = []
    position = 0
    while position < len(text):
        segment = _SEGMENT.match(text, position)
        if segment is None:
            raise ValueError(f"not a path from character {position + 1} on; names with other characters go in double quotes")
        steps += [Key(_unquoted(segment["name"])), *_selectors(segment["selectors"])]
        position = segment.end()
    if len(steps) > MAX_PATH_STEPS:
        raise ValueError(f"a path has at most {MAX_PATH_STEPS} steps")
    return Path(text, tuple(steps))


def parse_target(text: str) -> tuple[str, ...]:
    """The nested keys that a target path writes. Raises ``ValueError``; a target has no selectors."""
    names = [step.name for step in parse_path(text).steps if isinstance(step, Key)]
    if len(names) != len(parse_path(text).steps):
        raise ValueError("a target path has no [selectors]")
    return tuple(names)


def reader(path: Path) -> Read:
    """A function that reads ``path`` from a record: the value, ``None`` where the source says null, or ``ABSENT``.

    The function raises ``ValueFault`` when several list items match a selector.
    """
    walks = tuple(_walk(step) for step in path.steps)
    if len(walks) == 1:
        return walks[0]

    def read(record: object) -> object:
        node = record
        for walk in walks:
            node = walk(node)
            if node is ABSENT:
                return ABSENT
        return node

    return read


def _unquoted(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name


def _selectors(text: str) -> list[Step]:
    found = list(_SELECTOR.finditer(text))
    if "".join(selector[0] for selector in found) != text:
        raise ValueError("a selector is [number] or [name=text]")
    return [
        Index(int(selector["index"])) if selector["index"] else Match(_unquoted(selector["key"]), _unquoted(selector["text"]))
        for selector in found
    ]


def _walk(step: Step) -> Read:
    match step:
        case Key(name):
            return lambda node: node.get(name, ABSENT) if isinstance(node, _MAPPING) else ABSENT
        case Index(position):
            return lambda node: node[position] if _is_list(node) and position < len(node) else ABSENT  # type: ignore[arg-type, index]
        case Match(key, text):
            return lambda node: _matching(node, key, text)


def _is_list(node: object) -> bool:
    return isinstance(node, Sequence) and not isinstance(node, (str, bytes, bytearray))


def _matching(node: object, key: str, text: str) -> object:
    if not isinstance(node, (list, tuple)):
        return ABSENT
    found = [item for item in node if isinstance(item, Mapping) and _says(item.get(key), text)]
    if len(found) > 1:
        raise ValueFault(f"several items have {key}={text}; exactly one is expected")
    return found[0] if found else ABSENT


def _says(value: object, text: str) -> bool:
    return type(value) in {str, int} and str(value) == text
