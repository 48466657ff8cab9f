"""The files of one mapping version: read, checked against their place and name, and their examples run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mappings.document import Document, read_document
from mappings.engine import CompiledMapping, Table
from mappings.faults import Fault, FaultyMapping
from mappings.model import Example, ExamplesFile, MappingFile, TableFile
from mappings.paths import parse_target
from mappings.shelf import Shelf
from workforce.errors import Refused

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class VersionFile:
    """One version as its file says it. ``sha256`` is the hash of the file's bytes."""

    label: str
    document: Document
    mapping: MappingFile
    sha256: str


def read_version(shelf: Shelf, label: str) -> VersionFile:
    """The version called ``label``. Raises ``FaultyMapping`` with every fault of the file."""
    name = f"{label}.yaml"
    document, mapping = _read(shelf, name, MappingFile)
    if faults := [*_misplaced(document, mapping, shelf, label), *_overlapping(document)]:
        raise FaultyMapping(faults)
    return VersionFile(label, document, mapping, shelf.sha256(name))


def read_tables(version: VersionFile, mapping: MappingFile, shelves: list[Shelf]) -> dict[str, Table]:
    """The tables that ``mapping`` names, each from the first shelf that has it. Raises ``FaultyMapping`` with every fault."""
    tables: dict[str, Table] = {}
    faults: list[Fault] = []
    for target, rule in mapping.fields.items():
        if rule.lookup and rule.lookup.file:
            try:
                tables[rule.lookup.file] = _read_table(shelves, rule.lookup.file, rule.lookup.sha256)
            except FaultyMapping as error:
                place = ("fields", target, "lookup", "file")
                faults += [version.document.fault(place, fault.message) for fault in error.faults]
    if faults:
        raise FaultyMapping(faults)
    return tables


def read_examples(shelf: Shelf, label: str) -> tuple[Document, ExamplesFile]:
    """The examples that stand beside a version. Raises ``FaultyMapping`` where there are none, or faulty ones."""
    name = f"{label}.examples.yaml"
    if name not in shelf.files:
        raise FaultyMapping(
            [Fault(shelf.path(f"{label}.yaml"), 1, 1, "examples", f"no {name} beside it; a version has examples")]
        )
    return _read(shelf, name, ExamplesFile)


def example_faults(shelf: Shelf, label: str, mapping: CompiledMapping) -> list[Fault]:
    """Run the examples of a version; what does not come out as written."""
    try:
        document, file = read_examples(shelf, label)
    except FaultyMapping as error:
        return list(error.faults)
    return [
        document.fault(("examples", index), f"{example.name}: {problem}")
        for index, example in enumerate(file.examples)
        if (problem := _problem(example, mapping))
    ]


def _read(shelf: Shelf, name: str, model: type[M]) -> tuple[Document, M]:
    document = read_document(shelf.files[name], shelf.path(name))
    try:
        return document, model.model_validate(document.data)
    except ValidationError as error:
        raise FaultyMapping([*document.faults_of(error), *_overlapping(document)]) from None


def _read_table(shelves: list[Shelf], name: str, sha256: str | None) -> Table:
    holder = next((shelf for shelf in shelves if name in shelf.files), None)
    if holder is None:
        places = ", ".join(shelf.place for shelf in shelves)
        raise FaultyMapping([Fault(name, 1, 1, "table", f"there is no {name} in the mapping's folder; searched {places}")])
    if holder.sha256(name) != sha256:
        raise FaultyMapping([Fault(holder.path(name), 1, 1, "table", f"{name} changed: its sha256 is {holder.sha256(name)}")])
    return _read(holder, name, TableFile)[1].table


def _misplaced(document: Document, mapping: MappingFile, shelf: Shelf, label: str) -> Iterator[Fault]:
    if mapping.mapping != shelf.mapping_id:
        yield document.fault(("mapping",), f"the file says {mapping.mapping}, its folder {shelf.mapping_id}")
    if f"{shelf.series}{mapping.version:04}" != label:
        yield document.fault(("version",), f"the file says version {mapping.version}, its name {label}.yaml")


def _overlapping(document: Document) -> Iterator[Fault]:
    """Targets that write the same place, or one inside another."""
    fields = document.data.get("fields") if isinstance(document.data, Mapping) else None
    written: dict[tuple[str, ...], str] = {}
    around: dict[tuple[str, ...], str] = {}  # every place that holds one that is written
    for text in fields if isinstance(fields, Mapping) else ():
        try:
            target = parse_target(text)
        except ValueError:
            continue
        outer = [target[:length] for length in range(1, len(target) + 1)]
        other = next((written[place] for place in outer if place in written), around.get(target))
        if other is not None:
            yield document.fault(("fields", text), f"writes the same place as {other}")
        written[target] = text
        around.update((place, text) for place in outer)


def _problem(example: Example, mapping: CompiledMapping) -> str | None:
    try:
        mapped = mapping.apply(example.source)
    except Refused as refusal:
        return _refusal_problem(example, refusal)
    if example.gives is None:
        return f"was mapped, but should be refused for {', '.join(example.refuses or ())}"
    if sorted(mapped.cleared) != sorted(example.clears):
        return f"clears {', '.join(mapped.cleared) or 'nothing'}"
    return None if mapped.values == example.gives else f"differs at {', '.join(_differences(example.gives, mapped.values))}"


def _refusal_problem(example: Example, refusal: Refused) -> str | None:
    if example.refuses is None:
        return f"was refused: {refusal}"
    unnamed = [name for name in example.refuses if f"(from {name})" not in str(refusal)]
    return f"the refusal does not name {', '.join(unnamed)}" if unnamed else None


def _differences(wanted: object, got: object, place: str = "") -> Iterator[str]:
    if not (isinstance(wanted, Mapping) and isinstance(got, Mapping)):
        if wanted != got or type(wanted) is not type(got):
            yield place
        return
    for name in sorted({*wanted, *got}):
        yield from _differences(wanted.get(name), got.get(name), f"{place}.{name}".lstrip("."))
