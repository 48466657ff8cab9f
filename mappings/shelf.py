"""Where the files of one mapping stand: a folder of the library, or documents of a tenant's configuration."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SHIPPED, OWN = "v", "t"
"""The first letters of version labels: ``v0003`` is the library's, ``t0002`` a tenant's own."""
LABEL = re.compile(r"[vt][0-9]{4}")
_KNOWN_FILE = re.compile(r"(?P<label>[vt][0-9]{4})(\.examples)?\.yaml|table\.[a-z0-9_]+\.yaml")
_DOCUMENT = re.compile(r"mappings/(?P<mapping>[a-z0-9_]+__[a-z0-9_]+)/(?P<name>[^/]+)")


@dataclass(frozen=True)
class Shelf:
    """The files of one mapping by name. ``place`` is how messages call where they stand."""

    mapping_id: str
    place: str
    series: str
    files: Mapping[str, bytes] = field(repr=False)

    def labels(self) -> list[str]:
        """The versions that stand here, the oldest first."""
        stems = (name.removesuffix(".yaml") for name in self.files if name.endswith(".yaml"))
        return sorted(stem for stem in stems if LABEL.fullmatch(stem) and stem.startswith(self.series))

    def strays(self) -> list[str]:
        """Files that are neither a version of this series, nor examples, nor a table."""
        found = ((name, _KNOWN_FILE.fullmatch(name)) for name in sorted(self.files))
        return [name for name, known in found if not known or not (known["label"] or self.series).startswith(self.series)]

    def path(self, name: str) -> str:
        """How messages call the file ``name``."""
        return f"{self.place}/{name}"

    def sha256(self, name: str) -> str:
        """The SHA-256 of a file's bytes, hexadecimal. Raises ``KeyError``."""
        return hashlib.sha256(self.files[name]).hexdigest()


def shelves_of_folder(root: Path) -> dict[str, Shelf]:
    """The library below ``root``: a folder ``<source>__<target>`` for each mapping."""
    folders = sorted(path for path in root.glob("*__*") if path.is_dir())
    return {
        folder.name: Shelf(
            folder.name,
            str(folder),
            SHIPPED,
            {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()},
        )
        for folder in folders
    }


def shelves_of_documents(documents: Mapping[str, str]) -> dict[str, Shelf]:
    """A tenant's own versions: the documents ``mappings/<source>__<target>/<file>`` of its configuration."""
    files: dict[str, dict[str, bytes]] = {}
    for path, text in documents.items():
        if found := _DOCUMENT.fullmatch(path):
            files.setdefault(found["mapping"], {})[found["name"]] = text.encode()
    return {mapping_id: Shelf(mapping_id, f"mappings/{mapping_id}", OWN, content) for mapping_id, content in files.items()}
