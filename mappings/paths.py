"""Paths into a record: dotted names, quoted names, and selectors of list items. They read mappings and lists, nothing else.

``customFields.textCustomFields[name=stint_work_order].value`` · ``"Start Date"`` · ``recipients.signers[0].email`` ·
``emails[type=work, primary=true].value``
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from mappings.values import ABSENT, AmbiguousItem

MAX_PATH_CHARACTERS = 512
MAX_PATH_STEPS = 16

_NAME = r'(?:"(?:[^"\\]|\\["\\])+"|[\w@$:#-]+)'
_PAIR = rf"{_NAME}={_NAME}"
_SEGMENT = re.compile(rf'(?P<name>{_NAME})(?P<selectors>(?:\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])*)(?:\.(?=.)|$)')
_SELECTOR = re.compile(rf"\[(?:(?P<index>[0-9]{{1,4}})|(?P<pairs>{_PAIR}(?:, *{_PAIR})*))\]")
_PAIRS = re.compile(rf"({_NAME})=({_NAME})")

_LARGEST = 10**100
_MAPPING = (dict, Mapping)  # the plain type first: an abstract one costs a call

Read: TypeAlias = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Key:
    """The value under ``name``."""

    name: str

    def read(self, node: object) -> object:
        """What stands there in ``node``, or ``ABSENT``."""
        return node.get(self.name, ABSENT) if isinstance(node, _MAPPING) else ABSENT


@dataclass(frozen=True, slots=True)
class Index:
    """The list item at ``position``, counted from 0."""

    position: int

    def read(self, node: object) -> object:
        """What stands there in ``node``, or ``ABSENT``."""
        if not isinstance(node, Sequence) or isinstance(node, (str, bytes, bytearray)) or self.position >= len(node):
            return ABSENT
        found: object = node[self.position]
        return found


@dataclass(frozen=True, slots=True)
class Match:
    """The one list item whose ``key`` says ``text``; and whose other keys say what ``also`` has for them."""

    key: str
    text: str
    also: tuple[tuple[str, str], ...] = ()

    def read(self, node: object) -> object:
        """The item of ``node``, or ``ABSENT``. Raises ``AmbiguousItem``."""
        among = [item for item in node if _says(item, self.also)] if self.also and isinstance(node, (list, tuple)) else node
        return items_by(among, self.key, {self.text}).get(self.text, ABSENT)


Step: TypeAlias = Key | Index | Match


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. ``label`` is how people read it: the text itself, without quotes where it is a single name."""

    text: str
    steps: tuple[Step, ...]

    @property
    def first(self) -> str:
        """The top-level field that it reads."""
        return next(step.name for step in self.steps if isinstance(step, Key))

    @property
    def label(self) -> str:
        """The path as messages name it."""
        return self.first if len(self.steps) == 1 else self.text

    def read(self, record: object) -> object:
        """The value in ``record``, ``None`` where it says null, or ``ABSENT``. Raises ``AmbiguousItem``."""
        node = record
        for step in self.steps:
            node = step.read(node)
            if node is ABSENT:
                return ABSENT
        return node


@lru_cache(maxsize=4096)
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
    steps = parse_path(text).steps
    names = tuple(step.name for step in steps if isinstance(step, Key))
    if len(names) != len(steps):
        raise ValueError("a target path has no [selectors]")
    return names


def reader(path: Path) -> Read:
    """A function that reads ``path`` from a record, as ``Path.read`` does."""
    return path.read


def items_by(node: object, key: str, texts: Collection[str]) -> Mapping[str, object]:
    """The items of a list whose ``key`` is one of ``texts``, by that text. Raises ``AmbiguousItem`` where two are alike."""
    found: dict[str, object] = {}
    for item in node if isinstance(node, (list, tuple)) else ():
        text = item.get(key) if isinstance(item, _MAPPING) else None
        if type(text) is not str:
            text = _word(text)
        if text in texts and text is not None:
            if text in found:
                raise AmbiguousItem(f"several items have {key}={text}; exactly one is expected")
            found[text] = item
    return found


def labels(texts: Iterable[str]) -> str:
    """Paths as messages name them, each once."""
    return ", ".join(dict.fromkeys(parse_path(text).label for text in texts))


def _word(value: object) -> str | None:
    """What a selector writes for ``value``: a text, a whole number, ``true`` or ``false``; no selector names anything else."""
    if type(value) is int and abs(value) < _LARGEST:
        return str(value)
    return str(value).lower() if type(value) is bool else value if type(value) is str else None


def _says(item: object, pairs: Iterable[tuple[str, str]]) -> bool:
    return isinstance(item, _MAPPING) and all(_word(item.get(key)) == text for key, text in pairs)


def _unquoted(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name


def _selectors(text: str) -> list[Step]:
    found = list(_SELECTOR.finditer(text))
    if "".join(selector[0] for selector in found) != text:
        raise ValueError("a selector is [number], [name=text] or [name=text, name=text]")
    return [Index(int(selector["index"])) if selector["index"] else _match(selector["pairs"]) for selector in found]


def _match(text: str) -> Match:
    (key, word), *also = [(_unquoted(name), _unquoted(said)) for name, said in _PAIRS.findall(text)]
    return Match(key, word, tuple(also))
