"""YAML as plain data with the place of every key. Only the plain part of YAML: no tags, no anchors, no merge keys.

Reading is bounded (size, depth), so that a document can neither run code nor grow while it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml
from pydantic import ValidationError

from mappings.faults import Fault, FaultyMapping

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
_SCALAR_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "bool", "null", "float", "timestamp"))

Place: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """``data`` as read from ``file``, and where each key and item stands: ``places`` gives (line, column), from 1."""

    file: str
    data: object
    places: Mapping[Place, tuple[int, int]] = field(repr=False)

    def fault(self, place: Place, message: str) -> Fault:
        """A fault at ``place``, or at its nearest parent that stands in the document."""
        known = next((place[:n] for n in range(len(place), -1, -1) if place[:n] in self.places), ())
        line, column = self.places.get(known, (1, 1))
        return Fault(self.file, line, column, ".".join(map(str, place)) or "document", message)

    def faults_of(self, error: ValidationError) -> list[Fault]:
        """Every fault of a pydantic validation of ``data``."""
        details = error.errors(include_input=False, include_url=False)
        return [self.fault(detail["loc"], detail["msg"].removeprefix("Value error, ")) for detail in details]


def read_document(content: bytes, file: str) -> Document:
    """Parse ``content``. Raises ``FaultyMapping`` with the place of what is not allowed."""
    try:
        text = _text(content, file)
        _require_plain(text, file)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        reading = _Reading(file)
        data = None if node is None else reading.value(node, ())
    except yaml.YAMLError as error:
        raise FaultyMapping([_syntax_fault(error, file)]) from None
    if reading.faults:
        raise FaultyMapping(reading.faults)
    return Document(file, data, reading.places)


def _text(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        raise FaultyMapping([Fault(file, 1, 1, "document", f"larger than {MAX_BYTES} bytes")])
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise FaultyMapping([Fault(file, 1, 1, "document", "not UTF-8")]) from None


def _syntax_fault(error: yaml.YAMLError, file: str) -> Fault:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Fault(file, 1, 1, "document", "not YAML text")
    return Fault(file, error.problem_mark.line + 1, error.problem_mark.column + 1, "document", error.problem or "not YAML")


def _require_plain(text: str, file: str) -> None:
    """Refuse what YAML allows beyond data, before anything is built: events are read one by one, without recursion."""
    depth = 0
    faults = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        faults += [Fault(file, *_mark(event), "document", message) for message in _beyond_data(event, depth)]
        if depth > MAX_DEPTH:
            break
    if faults:
        raise FaultyMapping(faults)


def _beyond_data(event: yaml.Event, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield f"nested deeper than {MAX_DEPTH} levels"
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        yield "anchors and aliases are not allowed; write the value out"
    elif getattr(event, "tag", None):
        yield "tags are not allowed"


@dataclass
class _Reading:
    """One walk over the composed nodes."""

    file: str
    places: dict[Place, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _loader: yaml.SafeLoader = field(default_factory=lambda: yaml.SafeLoader(""))

    def value(self, node: yaml.Node, place: Place) -> object:
        """The plain data of ``node``, whose place is noted."""
        self.places.setdefault(place, _mark(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        read: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            self.places[(*place, key)] = _mark(key_node)
            if key_node.tag != "tag:yaml.org,2002:str":
                self._refuse(key_node, (*place, key), "a key is text; put it in quotes")
            elif key in read:
                self._refuse(key_node, (*place, key), "the key stands here twice")
            else:
                read[key] = self.value(value_node, (*place, key))
        return read

    def _scalar(self, node: yaml.Node, place: Place) -> object:
        try:
            return self._loader.construct_object(node) if node.tag in _SCALAR_TAGS else None
        except (ValueError, OverflowError):
            self._refuse(node, place, "not a value of its kind (a date that does not exist?); text goes in quotes")
            return None

    def _refuse(self, node: yaml.Node, place: Place, message: str) -> None:
        self.faults.append(Fault(self.file, *_mark(node), ".".join(map(str, place)), message))


def _mark(read: yaml.Node | yaml.Event) -> tuple[int, int]:
    mark = read.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
