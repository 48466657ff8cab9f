"""YAML as plain data with the place of every key. Only the plain part of YAML: no tags, no anchors, no merge keys.

Reading is bounded (size, depth), so that a document can neither run code nor grow while it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import yaml
from pydantic import ValidationError

from mappings.faults import Fault, FaultyMapping
from mappings.model import DOCUMENTS
from mappings.sentences import sentences

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where there is one: it is ten times as quick, and what is read here does not depend on it."""
_TEXT = "tag:yaml.org,2002:str"
_PLAINLY: Mapping[str, re.Pattern[str]] = MappingProxyType({
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0|[1-9][0-9]*)"),
    "tag:yaml.org,2002:float": re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?"),
    "tag:yaml.org,2002:bool": re.compile(r"true|false", re.IGNORECASE),
    "tag:yaml.org,2002:null": re.compile(r"~|null|", re.IGNORECASE),
    "tag:yaml.org,2002:timestamp": re.compile(r".*", re.DOTALL),
})  # fmt: skip
"""What is read as no text, and looks it. To YAML 1.1 also ``NO`` is false, ``12:30`` is 750, ``010`` is 8 and ``1_0`` is 10."""
_MISREAD = "YAML reads this as something else than it looks like; put text in quotes, write true, false and numbers plainly"

_SYNTAX: Mapping[str, str] = MappingProxyType({
    "mapping values are not allowed": "a colon where none belongs; indent with spaces, and put text with a colon in quotes",
    "cannot start any token": "a character where none like it belongs; indent with spaces, and put text with @ ` % or tabs in quotes",
    "could not find expected ':'": "a key without its colon, or text over several lines without quotes",
    "did not find expected key": "not indented like the lines around it, or a comma is missing",
    "did not find expected '-'": "not indented like the lines around it, or a comma is missing",
    "expected <block end>": "not indented like the lines around it, or a comma is missing",
    "did not find expected ',' or": "a comma or a closing bracket is missing", "expected ',' or": "a comma or a closing bracket is missing",
    "did not find expected node": "a value is missing, or begins with a character that belongs in quotes",
    "expected the node content": "a value is missing, or begins with a character that belongs in quotes",
    "unexpected end of stream": "quotes are opened and not closed",
})  # fmt: skip
"""What libyaml or PyYAML says of text that is no YAML, and how it reads here."""

Place: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """``data`` as read from ``file``, and where each key and item stands: ``places`` gives (line, column), from 1."""

    file: str
    data: object
    places: Mapping[Place, tuple[int, int]] = field(repr=False)

    def fault(self, place: Place, message: str, *, shown_at: Place | None = None) -> Fault:
        """A fault of ``place``, shown there or at ``shown_at``, or at its nearest parent that stands in the document."""
        shown = place if shown_at is None else shown_at
        known = next((shown[:n] for n in range(len(shown), -1, -1) if shown[:n] in self.places), ())
        line, column = self.places.get(known, (1, 1))
        return Fault(self.file, line, column, ".".join(map(str, place)) or "document", message)

    def faults_of(self, error: ValidationError) -> list[Fault]:
        """Every fault that reading ``data`` as one of ``mappings.model.DOCUMENTS`` found."""
        return [self.fault(place, message) for place, message in sentences(error, DOCUMENTS[error.title])]


def read_document(content: bytes, file: str) -> Document:
    """Parse ``content``. Raises ``FaultyMapping`` with the place of everything that is not allowed."""
    text = _text(content, file)
    reading = _Reading(file, yaml.parse(text, Loader=_LOADER))
    data = None
    try:
        data = reading.document()
    except _TooDeep:
        pass
    except yaml.YAMLError as error:
        reading.faults.append(_syntax_fault(error, file))
    if reading.faults:
        raise FaultyMapping(reading.faults)
    return Document(file, data, reading.places)


def _text(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        raise FaultyMapping([Fault(file, 1, 1, "document", f"larger than {MAX_BYTES} bytes")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FaultyMapping([Fault(file, 1, 1, "document", "not UTF-8")]) from None


def _syntax_fault(error: yaml.YAMLError, file: str) -> Fault:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Fault(file, 1, 1, "document", "not YAML text")
    problem = error.problem or "not YAML text"
    told = next((said for found, said in _SYNTAX.items() if found in problem), problem)
    return Fault(file, error.problem_mark.line + 1, error.problem_mark.column + 1, "document", told)


class _TooDeep(Exception):
    """The document is not read any further."""


class _Reading:
    """One walk over the events of a document, each taken as it is parsed; nothing is built that is not plain data."""

    def __init__(self, file: str, events: Iterator[yaml.Event]) -> None:
        self.places: dict[Place, tuple[int, int]] = {}
        self.faults: list[Fault] = []
        self._file = file
        self._events = events
        self._constructor = yaml.SafeLoader("")

    def document(self) -> object:
        """The data of the only document; ``None`` where there is none."""
        data, seen = None, False
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    self._refuse(event, (), "expected a single document, but found another document")
                    return None
                data, seen = self._value(next(self._events), ()), True
        return data

    def _value(self, event: yaml.Event, place: Place) -> object:
        """The plain data that starts with ``event``, whose place is noted."""
        self.places.setdefault(place, _mark(event))
        self._require_plain(event, place)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(place)
        return self._sequence(place) if isinstance(event, yaml.SequenceStartEvent) else None

    def _require_plain(self, event: yaml.Event, place: Place) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse(event, place, "anchors and aliases are not allowed; write the value out")
        elif getattr(event, "tag", None):
            self._refuse(event, place, "tags are not allowed")
        if len(place) >= MAX_DEPTH and isinstance(event, yaml.CollectionStartEvent):
            self._refuse(event, (), f"nested deeper than {MAX_DEPTH} levels")
            raise _TooDeep

    def _sequence(self, place: Place) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*place, len(items))))
        return items

    def _mapping(self, place: Place) -> dict[str, object]:
        read: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, place)
            is_known = key in read
            if is_known:
                self._refuse(event, (*place, key), "the key stands here twice")
            value = self._value(next(self._events), (*place, key))
            if not is_known:
                read[key] = value
        return read

    def _key(self, event: yaml.Event, place: Place) -> str:
        if isinstance(event, yaml.ScalarEvent):
            self.places[*place, event.value] = _mark(event)
            self._require_plain(event, (*place, event.value))
            if _tag(event) == _TEXT:
                return event.value
        else:
            self._value(event, (*place, "?"))
        key = event.value if isinstance(event, yaml.ScalarEvent) else "?"
        self._refuse(event, (*place, key), "a key is text; put it in quotes")
        return key

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> object:
        tag = _tag(event)
        if tag == _TEXT:
            return event.value
        if tag not in _PLAINLY or not _PLAINLY[tag].fullmatch(event.value):
            self._refuse(event, place, _MISREAD)
            return None
        try:
            return self._constructor.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, OverflowError):
            self._refuse(event, place, "not a value of its kind (a date that does not exist?); text goes in quotes")
            return None

    def _refuse(self, event: yaml.Event, place: Place, message: str) -> None:
        self.faults.append(Fault(self._file, *_mark(event), ".".join(map(str, place)) or "document", message))


def _tag(event: yaml.ScalarEvent) -> str:
    """What a scalar is by the rules of YAML 1.1. Text in quotes is text, anything else is what it looks like."""
    looks_like = yaml.SafeLoader.yaml_implicit_resolvers.get(event.value[:1], ()) if event.implicit[0] else ()
    return next((str(tag) for tag, pattern in looks_like if pattern.match(event.value)), _TEXT)


def _mark(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
