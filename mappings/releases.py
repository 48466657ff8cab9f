"""Which files of a library are released, and so must never change: ``released.sha256``, in the format of ``sha256sum``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mappings.faults import Fault
from mappings.files import sha256_of

RECORD = "released.sha256"


def released(root: Path) -> Mapping[Path, str] | None:
    """The recorded SHA-256 of each released file below ``root``; ``None`` where the root keeps no record."""
    record = root / RECORD
    if not record.exists():
        return None
    lines = (line.split(maxsplit=1) for line in record.read_text(encoding="utf-8").splitlines() if line.strip())
    return {root / name: digest for digest, name in lines}


def release_fault(path: Path, record: Mapping[Path, str] | None) -> Fault | None:
    """What is wrong with ``path`` as a released file: changed, gone, or not recorded."""
    if record is None:
        return None
    if path not in record:
        return Fault(str(path), 1, 1, "content", f"not released; add its hash to {RECORD} ({sha256_of(path)})")
    if not path.is_file():
        return Fault(str(path), 1, 1, "content", "was released and is gone; restore it")
    if sha256_of(path) != record[path]:
        return Fault(str(path), 1, 1, "content", "a released file changed; restore it and add a new version")
    return None


def release_faults(root: Path) -> Iterator[Fault]:
    """The release faults of every version and table file below ``root``."""
    record = released(root)
    files = {path for path in root.glob("*__*/*.yaml") if not path.name.endswith(".examples.yaml")}
    for path in sorted(files | set(record or ())):
        if fault := release_fault(path, record):
            yield fault
