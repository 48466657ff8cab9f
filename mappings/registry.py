"""Where mappings are found: library folders of numbered, immutable versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

from mappings.engine import CompiledMapping
from mappings.faults import Fault, FaultyMapping
from mappings.files import compile_file, example_faults, versions
from mappings.releases import release_fault, release_faults, released
from workforce.errors import Misconfigured

_KNOWN_FILE = re.compile(r"v\d{4}(\.examples)?\.yaml|table\.[a-z0-9_]+\.yaml")


class MappingRegistry:
    """Every mapping below ``roots``; the first root that holds a mapping id provides all its versions.

    A root is a folder of folders ``<source>__<target>``. Its ``released.sha256`` (the format of ``sha256sum``) fixes the content
    of released versions; a root without that file has no released versions yet.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(roots)
        self._compiled: dict[Path, CompiledMapping] = {}

    @classmethod
    def shipped(cls) -> MappingRegistry:
        """The library that comes with the hub."""
        return cls([Path(__file__).parent / "library"])

    @cached_property
    def _folders(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for root in self._roots:
            for folder in sorted(path for path in root.glob("*__*") if path.is_dir()):
                found.setdefault(folder.name, folder)
        return found

    def ids(self) -> list[str]:
        """The ids of all mappings, sorted."""
        return sorted(self._folders)

    def get(self, mapping_id: str, version: int | None = None, *, on: date | None = None) -> CompiledMapping:
        """The pinned ``version``, or the newest one that is effective ``on`` a business date.

        Raises ``Misconfigured``: unknown mapping or version (naming the places searched), none effective yet, or a faulty file.
        """
        paths = self._versions(mapping_id)
        if version is None:
            return self._effective(mapping_id, paths, on)
        if version not in paths:
            known = ", ".join(map(str, paths)) or "none"
            raise _unknown(f"mapping {mapping_id} has no version {version}; versions in {self._folders[mapping_id]}: {known}")
        return self._compile(paths[version])

    def check_all(self) -> list[Fault]:
        """Every fault of every file, examples and release records included, in order. Empty when all is well."""
        faults = [fault for root in self._roots for fault in release_faults(root)]
        for folder in self._folders.values():
            faults += [*_numbering_faults(folder), *self._folder_faults(folder)]
        return sorted(set(faults))

    def _versions(self, mapping_id: str) -> dict[int, Path]:
        if mapping_id not in self._folders:
            places = ", ".join(str(root) for root in self._roots) or "no folder"
            raise _unknown(f"there is no mapping {mapping_id!r}; searched {places}; known: {', '.join(self.ids()) or 'none'}")
        return versions(self._folders[mapping_id])

    def _effective(self, mapping_id: str, paths: dict[int, Path], on: date | None) -> CompiledMapping:
        if on is None:
            raise TypeError("give a version or a business date")
        effective = [mapping for path in paths.values() if (mapping := self._compile(path)).effective_from <= on]
        if not effective:
            raise _unknown(f"mapping {mapping_id}: none of its {len(paths)} versions is effective on {on}")
        return max(effective, key=lambda mapping: mapping.version)

    def _compile(self, path: Path) -> CompiledMapping:
        if path not in self._compiled:
            if fault := release_fault(path, released(path.parent.parent)):
                raise FaultyMapping([fault])
            self._compiled[path] = compile_file(path)
        return self._compiled[path]

    def _folder_faults(self, folder: Path) -> Iterator[Fault]:
        before: CompiledMapping | None = None
        for path in versions(folder).values():
            try:
                mapping = compile_file(path)
            except FaultyMapping as error:
                yield from error.faults
                continue
            yield from example_faults(path, mapping)
            if before and mapping.effective_from < before.effective_from:
                yield Fault(str(path), 1, 1, "effective_from", f"earlier than that of version {before.version}")
            before = mapping


def _unknown(message: str) -> Misconfigured:
    return Misconfigured(message, cause="unknown_mapping", field="mapping")


def _numbering_faults(folder: Path) -> Iterator[Fault]:
    numbers = list(versions(folder))
    if numbers != list(range(1, len(numbers) + 1)) or not numbers:
        yield Fault(str(folder), 1, 1, "version", "versions are v0001.yaml, v0002.yaml and so on, without a gap")
    for path in sorted(folder.iterdir()):
        if not _KNOWN_FILE.fullmatch(path.name):
            yield Fault(str(path), 1, 1, "file", "not a version, its examples or a table")
