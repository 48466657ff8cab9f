"""Which files of the library are released, and so must never change: ``released.sha256``, in the format of ``sha256sum``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mappings.faults import Fault
from mappings.shelf import Shelf

RECORD = "released.sha256"
CHANGED = "a released file changed; restore it and add a new version"


def released(root: Path) -> Mapping[str, str] | None:
    """The recorded SHA-256 of each released file (``<mapping>/<file>``); ``None`` where the library keeps no record."""
    record = root / RECORD
    if not record.exists():
        return None
    lines = (line.split(maxsplit=1) for line in record.read_text(encoding="utf-8").splitlines() if line.strip())
    return {name: digest for digest, name in lines}


def release_fault(shelf: Shelf, name: str, record: Mapping[str, str] | None) -> Fault | None:
    """What is wrong with a file as a released one: changed, gone, or not recorded."""
    if record is None:
        return None
    recorded, path = record.get(f"{shelf.mapping_id}/{name}"), shelf.path(name)
    if name not in shelf.files:
        return Fault(path, 1, 1, "content", "was released and is gone; restore it")
    if recorded is None:
        return Fault(path, 1, 1, "content", f"not released; add its hash to {RECORD} ({shelf.sha256(name)})")
    return Fault(path, 1, 1, "content", CHANGED) if shelf.sha256(name) != recorded else None


def release_faults(shelves: Mapping[str, Shelf], record: Mapping[str, str] | None) -> Iterator[Fault]:
    """The release faults of every version and table file of the library."""
    there = {f"{shelf.mapping_id}/{name}" for shelf in shelves.values() for name in shelf.files}
    for path in sorted({path for path in there if not path.endswith(".examples.yaml")} | set(record or ())):
        mapping_id, _, name = path.partition("/")
        shelf = shelves.get(mapping_id) or Shelf(mapping_id, mapping_id, "v", {})
        if fault := release_fault(shelf, name, record):
            yield fault
