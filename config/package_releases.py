"""A released version of an access package never changes: whoever was given access under it can be told later what it said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import yaml
from pydantic import ValidationError

from config.tenant import Fault
from provisioning.packages import AccessPackage

Released = tuple[str, int]
"""Package and version."""


def changed_releases(previous: Mapping[str, str], files: Mapping[str, str]) -> list[Fault]:
    """Versions in ``files`` (path → text) that say something else than the same version in ``previous``.

    What counts is what a version means: order, layout, comments and the file's place may change. What cannot be read is not compared; its
    faults are told elsewhere.
    """
    before = {version: package for version, (_, package) in releases(previous).items()}
    return [
        Fault(
            file,
            "version",
            f"{name} v{version} was applied with another content ({', '.join(_differences(before[name, version], package))});"
            f" restore it and add version {_next_version(name, before, files)}",
        )
        for (name, version), (file, package) in releases(files).items()
        if (name, version) in before and _differences(before[name, version], package)
    ]


def missing_pins(pinned: Mapping[Released, int], files: Mapping[str, str]) -> list[Fault]:
    """Versions that running engagements are pinned to (version → how many) and that ``files`` no longer hold: access would go with them."""
    there = releases(files)
    return [
        Fault(
            f"access/{name}",
            "version",
            f"{name} v{version} is gone, and {number} running engagement(s) are pinned to it; keep it, or first: stint access migrate {name}",
        )
        for (name, version), number in sorted(pinned.items())
        if (name, version) not in there
    ]


def releases(files: Mapping[str, str]) -> dict[Released, tuple[str, AccessPackage]]:
    """Every readable version of a package in ``files``, with its file."""
    found: dict[Released, tuple[str, AccessPackage]] = {}
    for file in sorted(files):
        if _is_package(file) and (package := _read(files[file])):
            found.setdefault((package.package, package.version), (file, package))
    return found


def _is_package(file: str) -> bool:
    path = PurePosixPath(file)
    return path.suffix == ".yaml" and path.parts[0] == "access" and len(path.parts) in {2, 3}


def _read(text: str) -> AccessPackage | None:
    try:
        return AccessPackage.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError, ValueError):
        return None


def _differences(one: AccessPackage, other: AccessPackage) -> list[str]:
    """The fields in which two versions mean different things. The order of a list means nothing."""
    mine, theirs = _meaning(one), _meaning(other)
    return [name for name in mine if mine[name] != theirs[name]]


def _meaning(package: AccessPackage) -> dict[str, object]:
    values = package.model_dump()
    return {name: frozenset(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _next_version(name: str, before: Mapping[Released, AccessPackage], files: Mapping[str, str]) -> int:
    return max(version for package, version in (*before, *releases(files)) if package == name) + 1
