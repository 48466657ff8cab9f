"""Where mappings are found: the shipped library of numbered, immutable versions, and a tenant's own over it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from mappings.check import check_mapping
from mappings.engine import CompiledMapping, Table
from mappings.faults import Fault, FaultyMapping
from mappings.files import VersionFile, example_faults, read_tables, read_version
from mappings.model import MappingFile
from mappings.overlays import Conflict, conflicts, merged
from mappings.releases import release_fault, release_faults, released
from mappings.shelf import OWN, SHIPPED, Shelf, shelves_of_documents, shelves_of_folder
from workforce.errors import Misconfigured

JsonSchema: TypeAlias = Mapping[str, Any]
Ends: TypeAlias = Callable[[str], tuple[JsonSchema | None, JsonSchema | None]]
"""The schemas of a mapping's source and target, as far as they are known."""


class MappingRegistry:
    """Every mapping of a library, and those of a tenant's ``documents`` beside them.

    A library is a folder of folders ``<source>__<target>``. Its ``released.sha256`` (the format of ``sha256sum``) fixes the content of
    released versions; a library without that file has no released versions yet. Versions are compiled once, on first use.
    """

    def __init__(self, library: Path | Library, documents: Mapping[str, str] | None = None) -> None:
        self._library = Library(library) if isinstance(library, Path) else library
        self._own = shelves_of_documents(documents or {})
        self._compiled: dict[tuple[str, str], CompiledMapping] = {}

    @classmethod
    def shipped(cls) -> MappingRegistry:
        """The library that comes with the hub."""
        return _shipped()

    def with_documents(self, documents: Mapping[str, str]) -> MappingRegistry:
        """The same library with a tenant's own versions beside it."""
        return MappingRegistry(self._library, documents)

    def ids(self) -> list[str]:
        """The ids of all mappings, sorted."""
        return sorted({*self._library.shelves, *self._own})

    def labels(self, mapping_id: str) -> list[str]:
        """The versions of a mapping, the library's first. Raises ``Misconfigured`` for an unknown mapping."""
        return [label for shelf in self._shelves(mapping_id) for label in shelf.labels()]

    def get(self, mapping_id: str, label: str | None = None, *, on: date | None = None) -> CompiledMapping:
        """The version ``label``, or the library's newest that is effective ``on`` a business date.

        Raises ``Misconfigured``: unknown mapping or version (naming the places searched), none effective yet, or a faulty file.
        """
        if label is None:
            return self._effective(mapping_id, on)
        shelf = self._shelf(mapping_id, label)
        if shelf.series == SHIPPED:
            return self._library.compiled(shelf, label)
        if (mapping_id, label) not in self._compiled:
            self._compiled[mapping_id, label] = self._compile_own(shelf, label)
        return self._compiled[mapping_id, label]

    def source(self, mapping_id: str, label: str) -> VersionFile:
        """A version as its file says it. Raises ``Misconfigured``."""
        return read_version(self._shelf(mapping_id, label), label)

    def examples_text(self, mapping_id: str, label: str) -> str:
        """The examples that stand beside a version, as written; empty where there are none. Raises ``Misconfigured``."""
        return self._shelf(mapping_id, label).files.get(f"{label}.examples.yaml", b"").decode()

    def effective(self, mapping_id: str, label: str) -> MappingFile:
        """A version with its base, if it has one. Raises ``Misconfigured``."""
        version = self.source(mapping_id, label)
        base = version.mapping.base
        return merged(self.source(mapping_id, base), version) if base else version.mapping

    def tables(self, mapping_id: str, label: str) -> dict[str, Table]:
        """The table files that a version uses, by name. Raises ``Misconfigured``."""
        return read_tables(self.source(mapping_id, label), self.effective(mapping_id, label), self._beside(mapping_id, label))

    def conflicts(self, mapping_id: str, label: str, onto: str) -> list[Conflict]:
        """What moving the overlay ``label`` to the base ``onto`` has a person look at. Raises ``Misconfigured``."""
        overlay = self.source(mapping_id, label).mapping
        if overlay.base is None:
            return []
        return conflicts(self.source(mapping_id, overlay.base).mapping, self.source(mapping_id, onto).mapping, overlay)

    def check_all(self, ends: Ends | None = None) -> list[Fault]:
        """Every fault of every file of the library, examples and release records included, in order. Empty when all is well.

        Only the newest version of a mapping is held against both ends: the others can be changed no more, whatever became of these.
        """
        faults = list(release_faults(self._library.shelves, self._library.record))
        return sorted(
            {*faults, *(fault for shelf in self._library.shelves.values() for fault in self._shelf_faults(shelf, ends))}
        )

    def check_own(self, ends: Ends | None = None, promoted: Mapping[tuple[str, str], str] | None = None) -> list[Fault]:
        """Every fault of the tenant's own versions, the newest of each mapping held against both ends.

        ``promoted`` is (id, label) → content hash of what may not change any more.
        """
        faults = [fault for shelf in self._own.values() for fault in self._shelf_faults(shelf, ends)]
        return sorted({*faults, *self._changed_since(promoted or {})})

    def version_faults(self, mapping_id: str, label: str, ends: Ends | None = None) -> list[Fault]:
        """Every fault of one version: its file, its base, its tables, its examples, and both ends. Raises ``Misconfigured``."""
        shelf = self._shelf(mapping_id, label)
        try:
            mapping = self.get(mapping_id, label)
        except FaultyMapping as error:
            return list(error.faults)
        faults = example_faults(shelf, label, mapping)
        if ends is not None:
            source, target = ends(mapping_id)
            document = read_version(shelf, label).document
            tables = self.tables(mapping_id, label)
            faults += check_mapping(document, mapping.mapping, source_schema=source, target_schema=target, tables=tables)
        return faults

    def _beside(self, mapping_id: str, label: str) -> list[Shelf]:
        """Where the tables of a version stand: beside it, and for an overlay beside its base."""
        shelf = self._shelf(mapping_id, label)
        has_base = shelf.series == OWN and self.source(mapping_id, label).mapping.base is not None
        return [shelf, *(below for below in self._shelves(mapping_id) if has_base and below.series == SHIPPED)]

    def _shelves(self, mapping_id: str) -> list[Shelf]:
        found = [shelves[mapping_id] for shelves in (self._library.shelves, self._own) if mapping_id in shelves]
        if not found:
            known = ", ".join(self.ids()) or "none"
            raise _unknown(f"there is no mapping {mapping_id!r}; searched {self._library.root} and mappings/; known: {known}")
        return found

    def _shelf(self, mapping_id: str, label: str) -> Shelf:
        shelves = self._shelves(mapping_id)
        for shelf in shelves:
            if label in shelf.labels():
                return shelf
        known, places = ", ".join(self.labels(mapping_id)) or "none", ", ".join(shelf.place for shelf in shelves)
        raise _unknown(f"mapping {mapping_id} has no version {label!r}; versions in {places}: {known}")

    def _effective(self, mapping_id: str, on: date | None) -> CompiledMapping:
        if on is None:
            raise TypeError("give a version or a business date")
        labels = [label for label in self.labels(mapping_id) if label.startswith(SHIPPED)]
        effective = [mapping for label in labels if (mapping := self.get(mapping_id, label)).effective_from <= on]
        if not effective:
            raise _unknown(f"mapping {mapping_id}: none of its {len(labels)} shipped versions is effective on {on}")
        return max(effective, key=lambda mapping: mapping.version)

    def _compile_own(self, shelf: Shelf, label: str) -> CompiledMapping:
        version = read_version(shelf, label)
        if version.mapping.base is None:
            return _compiled(version, version.mapping, [shelf], version.sha256)
        base = self._base(version)
        content = hashlib.sha256(f"{base.sha256}\n{version.sha256}\n".encode()).hexdigest()
        return _compiled(version, merged(base, version), self._beside(shelf.mapping_id, label), content)

    def _base(self, overlay: VersionFile) -> VersionFile:
        label = overlay.mapping.base or ""
        shelf = self._library.shelves.get(overlay.mapping.mapping)
        if shelf is None or label not in shelf.labels():
            known = ", ".join(shelf.labels() if shelf else ()) or "none"
            raise FaultyMapping([overlay.document.fault(("base",), f"the library has no version {label}; it has: {known}")])
        self._library.require_released(shelf, label)
        return read_version(shelf, label)

    def _shelf_faults(self, shelf: Shelf, ends: Ends | None) -> Iterator[Fault]:
        yield from _numbering_faults(shelf)
        for label in shelf.labels():
            yield from self.version_faults(shelf.mapping_id, label, ends if label == shelf.labels()[-1] else None)
        if shelf.series == SHIPPED:
            yield from self._dates_that_go_back(shelf)

    def _dates_that_go_back(self, shelf: Shelf) -> Iterator[Fault]:
        before: CompiledMapping | None = None
        for label in shelf.labels():
            try:
                mapping = self.get(shelf.mapping_id, label)
            except FaultyMapping:
                continue
            if before and mapping.effective_from < before.effective_from:
                yield Fault(shelf.path(f"{label}.yaml"), 1, 1, "effective_from", f"earlier than that of version {before.version}")
            before = mapping

    def _changed_since(self, promoted: Mapping[tuple[str, str], str]) -> Iterator[Fault]:
        for (mapping_id, label), sha256 in promoted.items():
            if not label.startswith(OWN):
                continue
            path = f"mappings/{mapping_id}/{label}.yaml"
            shelf = self._own.get(mapping_id)
            if shelf is None or label not in shelf.labels():
                yield Fault(path, 1, 1, "content", "was promoted and is gone; restore it, engagements may be pinned to it")
                continue
            try:
                if self.get(mapping_id, label).content_sha256 != sha256:
                    yield Fault(path, 1, 1, "content", "a promoted version changed; restore it and add a new version")
            except FaultyMapping:
                continue  # told already


class Library:
    """The shipped files and what is compiled of them: shared by every tenant's view."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shelves = shelves_of_folder(root)
        self.record = released(root)
        self._compiled: dict[tuple[str, str], CompiledMapping] = {}

    def compiled(self, shelf: Shelf, label: str) -> CompiledMapping:
        """A version, compiled on first use. Raises ``FaultyMapping``, also for a released file that changed."""
        key = (shelf.mapping_id, label)
        if key not in self._compiled:
            self.require_released(shelf, label)
            version = read_version(shelf, label)
            self._compiled[key] = _compiled(version, version.mapping, [shelf], version.sha256)
        return self._compiled[key]

    def require_released(self, shelf: Shelf, label: str) -> None:
        """Raise ``FaultyMapping`` for a released file that changed or was never released."""
        if fault := release_fault(shelf, f"{label}.yaml", self.record):
            raise FaultyMapping([fault])


@cache
def _shipped() -> MappingRegistry:
    return MappingRegistry(Path(__file__).parent / "library")


def _compiled(version: VersionFile, mapping: MappingFile, shelves: list[Shelf], sha256: str) -> CompiledMapping:
    tables = read_tables(version, mapping, shelves)
    return CompiledMapping(mapping, label=version.label, content_sha256=sha256, tables=tables)


def _unknown(message: str) -> Misconfigured:
    return Misconfigured(message, cause="unknown_mapping", field="mapping")


def _numbering_faults(shelf: Shelf) -> Iterator[Fault]:
    numbers = [int(label[1:]) for label in shelf.labels()]
    if numbers != list(range(1, len(numbers) + 1)) or not numbers:
        name = f"{shelf.series}0001.yaml, {shelf.series}0002.yaml"
        yield Fault(shelf.place, 1, 1, "version", f"versions are {name} and so on, without a gap")
    for name in shelf.strays():
        yield Fault(shelf.path(name), 1, 1, "file", "not a version, its examples or a table")
