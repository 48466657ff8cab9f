"""The files of one mapping version: read, checked against their folder and name, and compiled."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from mappings.document import Document, read_document
from mappings.engine import CompiledMapping, Table
from mappings.faults import Fault, FaultyMapping
from mappings.model import Example, ExamplesFile, MappingFile, TableFile
from mappings.paths import parse_target
from workforce.errors import Refused

VERSION_FILE = re.compile(r"v(\d{4})\.yaml")

M = TypeVar("M", bound=BaseModel)


def sha256_of(path: Path) -> str:
    """The SHA-256 of the file's bytes, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versions(folder: Path) -> dict[int, Path]:
    """The version files of a mapping's folder, by number."""
    found = {int(match[1]): path for path in folder.glob("v*.yaml") if (match := VERSION_FILE.fullmatch(path.name))}
    return dict(sorted(found.items()))


def compile_file(path: Path) -> CompiledMapping:
    """The mapping version at ``path``. Raises ``FaultyMapping`` with every fault of the file and of its tables."""
    document, mapping = _read(path, MappingFile)
    faults = [*_misplaced(document, mapping, path), *_overlapping(document)]
    tables: dict[str, Table] = {}
    for target, rule in mapping.fields.items():
        if rule.lookup and rule.lookup.file:
            try:
                tables[rule.lookup.file] = _read_table(path.parent / rule.lookup.file, rule.lookup.sha256)
            except FaultyMapping as error:
                faults += [document.fault(("fields", target, "lookup", "file"), fault.message) for fault in error.faults]
    if faults:
        raise FaultyMapping(faults)
    return CompiledMapping(mapping, content_sha256=sha256_of(path), tables=tables)


def example_faults(path: Path, mapping: CompiledMapping) -> list[Fault]:
    """Run the examples that stand beside the version at ``path``; what does not come out as written."""
    examples_path = path.with_suffix(".examples.yaml")
    if not examples_path.exists():
        return [Fault(str(path), 1, 1, "examples", f"no {examples_path.name} beside it; a version has examples")]
    try:
        document, file = _read(examples_path, ExamplesFile)
    except FaultyMapping as error:
        return list(error.faults)
    return [
        document.fault(("examples", index), f"{example.name}: {problem}")
        for index, example in enumerate(file.examples)
        if (problem := _problem(example, mapping))
    ]


def _read(path: Path, model: type[M]) -> tuple[Document, M]:
    document = read_document(path.read_bytes(), str(path))
    try:
        return document, model.model_validate(document.data)
    except ValidationError as error:
        raise FaultyMapping([*document.faults_of(error), *_overlapping(document)]) from None


def _read_table(path: Path, sha256: str | None) -> Table:
    if not path.is_file():
        raise FaultyMapping([Fault(str(path), 1, 1, "table", f"there is no {path.name} in the mapping's folder")])
    if sha256_of(path) != sha256:
        raise FaultyMapping([Fault(str(path), 1, 1, "table", f"{path.name} changed: its sha256 is {sha256_of(path)}")])
    return _read(path, TableFile)[1].table


def _misplaced(document: Document, mapping: MappingFile, path: Path) -> Iterator[Fault]:
    if mapping.mapping != path.parent.name:
        yield document.fault(("mapping",), f"the file says {mapping.mapping}, its folder {path.parent.name}")
    if f"v{mapping.version:04}.yaml" != path.name:
        yield document.fault(("version",), f"the file says version {mapping.version}, its name {path.name}")


def _overlapping(document: Document) -> Iterator[Fault]:
    """Targets that write the same place, or one inside another."""
    fields = document.data.get("fields") if isinstance(document.data, Mapping) else None
    taken: dict[tuple[str, ...], str] = {}
    for text in fields if isinstance(fields, Mapping) else ():
        try:
            target = parse_target(text)
        except ValueError:
            continue
        for other, written in taken.items():
            shorter = min(len(target), len(other))
            if target[:shorter] == other[:shorter]:
                yield document.fault(("fields", text), f"writes the same place as {written}")
        taken[target] = text


def _problem(example: Example, mapping: CompiledMapping) -> str | None:
    try:
        mapped = mapping.apply(example.source)
    except Refused as refusal:
        return _refusal_problem(example, refusal)
    if example.refuses is not None:
        return f"was mapped, but should be refused for {', '.join(example.refuses)}"
    if tuple(example.clears) != mapped.cleared:
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
