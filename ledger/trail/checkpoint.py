"""Signed checkpoints of the audit trail, kept outside the database.

A hash chain alone misses truncation and a chain computed anew; a signed tree head that lies elsewhere catches both. Copy the folder to
a place that this machine cannot rewrite: whoever rewrites the database and the folder leaves no trace here.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key

from ledger.database import Database
from ledger.trail import merkle
from ledger.vault import keyfiles
from workforce.errors import Misconfigured, Refused


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed tree head over the first ``size`` events. Hashes and signature are lower-case hex; ``time`` is the database's."""

    tenant: str
    size: int
    root: str
    time: str
    key_id: str
    signature: str


class Signer:
    """An Ed25519 key (RFC 8032). ``key_id`` is the start of the public key's SHA-256, hex."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """The key in ``path`` (PEM, mode 0600), made if it is missing. Raises ``Misconfigured``."""
        pem = keyfiles.load_or_create(path, _new_pem)
        try:
            key = load_pem_private_key(pem, password=None)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise Misconfigured(f"{path} holds no Ed25519 key in PEM form; restore it from its backup", cause="bad_key_file")
        return cls(key)

    @property
    def public_key(self) -> Ed25519PublicKey:
        """What a verifier needs."""
        return self._key.public_key()

    @property
    def key_id(self) -> str:
        """Which key signed."""
        raw = self.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return hashlib.sha256(raw).hexdigest()[:16]

    def sign(self, *, tenant: str, size: int, root: bytes, time: str) -> Checkpoint:
        """A checkpoint; the signature covers the RFC 8785 form of all other fields."""
        fields: dict[str, str | int] = {"tenant": tenant, "size": size, "root": root.hex(), "time": time, "key_id": self.key_id}
        signature = self._key.sign(rfc8785.dumps(fields)).hex()
        return Checkpoint(tenant, size, root.hex(), time, self.key_id, signature)


def write(database: Database, tenant: str, signer: Signer, folder: Path) -> Checkpoint | None:
    """Append a checkpoint to ``folder/<tenant>.jsonl``, durably; ``None`` when there is nothing new since the last one.

    Reads the hash of every event (about a million a second) only when there is something new. Raises ``Refused`` (cause ``audit_rolled_back``) when the trail is
    shorter than its last checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{tenant}.jsonl").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        covered = _covered(file)
        if not _has_grown(tenant, _newest(database, tenant), covered):
            return None
        hashes, time = _hashes(database, tenant)
        if not _has_grown(tenant, len(hashes), covered):
            return None
        checkpoint = signer.sign(tenant=tenant, size=len(hashes), root=merkle.root(hashes), time=time)
        file.write(rfc8785.dumps(asdict(checkpoint)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    keyfiles.sync_folder(folder)
    return checkpoint


def _newest(database: Database, tenant: str) -> int:
    with database.transaction(tenant) as tx:
        newest = tx.the("SELECT coalesce(max(seq), 0) AS seq FROM audit_events WHERE tenant = %(tenant)s", tenant=tenant)
        return int(newest["seq"])


def _hashes(database: Database, tenant: str) -> tuple[list[bytes], str]:
    with database.transaction(tenant) as tx:
        rows = tx.all("SELECT event_hash FROM audit_events WHERE tenant = %(tenant)s ORDER BY seq", tenant=tenant)
        return [row["event_hash"] for row in rows], tx.began_at.isoformat(timespec="seconds")


def _covered(file: IO[str]) -> int:
    """How many events the last checkpoint covers."""
    file.seek(0)
    lines = file.read().splitlines()
    return int(json.loads(lines[-1])["size"]) if lines else 0


def _has_grown(tenant: str, size: int, covered: int) -> bool:
    if size < covered:
        raise Refused(
            f"the audit trail of {tenant} has {size} events but its last checkpoint covers {covered}: "
            "it was truncated or restored; run: stint audit verify",
            cause="audit_rolled_back",
        )
    return size > covered


def _new_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
