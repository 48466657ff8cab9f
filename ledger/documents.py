"""A tenant's configuration: versioned, immutable sets of documents."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from ledger.database import Tx
from ledger.trail import audit
from workforce.events import Actor


@dataclass(frozen=True, slots=True)
class Documents:
    """One version. ``files`` is relative path → text; version 0 is the empty set before the first."""

    version: int
    files: Mapping[str, str]


def version(tx: Tx) -> int:
    """The newest version's number; 0 before the first."""
    return int(tx.the("SELECT coalesce(max(version), 0) AS version FROM config_versions")["version"])


def current(tx: Tx, at_version: int | None = None) -> Documents:
    """The newest version, or ``at_version``."""
    number = version(tx) if at_version is None else at_version
    rows = tx.all("SELECT path, content FROM config_files WHERE version = %(version)s ORDER BY path", version=number)
    return Documents(number, {row["path"]: row["content"] for row in rows})


def lock(tx: Tx) -> None:
    """Keep everybody else who applies documents out until the commit."""
    tx.one("SELECT pg_advisory_xact_lock(hashtextextended('config:' || %(tenant)s, 0))", tenant=tx.tenant)


def apply(tx: Tx, files: Mapping[str, str], actor: Actor) -> int:
    """Make ``files`` the configuration: a new version, audited, unless nothing changed. The version that holds now."""
    lock(tx)
    before = current(tx)
    if before.version and dict(before.files) == dict(files):
        return before.version
    number = before.version + 1
    tx.execute(
        "INSERT INTO config_versions (tenant, version, applied_by) VALUES (%(tenant)s, %(version)s, %(actor)s)",
        tenant=tx.tenant,
        version=number,
        actor=actor.id,
    )
    hashes = {path: _store(tx, number, path, content) for path, content in files.items()}
    audit.note(tx, "configuration.applied", target=("configuration", str(number)), actor=actor, sha256=hashes)
    return number


def _store(tx: Tx, number: int, path: str, content: str) -> str:
    digest = hashlib.sha256(content.encode()).hexdigest()
    tx.execute(
        """
        INSERT INTO config_files (tenant, version, path, content, sha256)
        VALUES (%(tenant)s, %(version)s, %(path)s, %(content)s, %(sha256)s)
        """,
        tenant=tx.tenant,
        version=number,
        path=path,
        content=content,
        sha256=digest,
    )
    return digest
