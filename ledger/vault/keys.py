"""Tax ids, sealed: a key of its own for each worker, wrapped by the master key; found again only through a keyed hash.

Destroying a worker's key makes the ciphertext unreadable in every backup too (crypto-shredding), while the audit trail stays whole.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.database import Tx
from ledger.trail import audit
from ledger.vault import keyfiles
from workforce.errors import Misconfigured, NotFound, Refused
from workforce.events import HUB, Actor

_KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Keys:
    """The master key (wraps the workers' keys) and the lookup key (hashes tax ids), 32 bytes each."""

    master: bytes = field(repr=False)
    lookup: bytes = field(repr=False)


def load_or_create_keys(path: Path) -> Keys:
    """The keys in ``path`` (two lines of hex, mode 0600), made if the file is missing. Raises ``Misconfigured``."""
    return Keys(*_load_or_create(path, 2))


def load_or_create_key(path: Path) -> bytes:
    """The one key (32 bytes) in ``path``, likewise."""
    return _load_or_create(path, 1)[0]


def _load_or_create(path: Path, number: int) -> list[bytes]:
    text = keyfiles.load_or_create(path, lambda: _new_keys(number))
    try:
        keys = [bytes.fromhex(line) for line in text.decode("ascii").split()]
    except ValueError:
        keys = []
    if [len(key) for key in keys] != [_KEY_BYTES] * number:
        lines = "one line" if number == 1 else f"{number} lines"
        raise Misconfigured(f"{path} must hold {lines} of 64 hex digits; restore it from its backup", cause="bad_key_file")
    return keys


def _new_keys(number: int) -> bytes:
    return "".join(f"{os.urandom(_KEY_BYTES).hex()}\n" for _ in range(number)).encode()


class TaxIdVault:
    """Seals, opens, finds and shreds tax ids. Keys are 32 bytes."""

    def __init__(self, master_key: bytes, lookup_key: bytes) -> None:
        self._master = AESGCM(master_key)
        self._lookup_key = lookup_key
        self._key_id = hashlib.sha256(master_key).hexdigest()[:16]

    def seal(self, tx: Tx, worker_id: UUID, tax_id: str, actor: Actor = HUB) -> None:
        """Keep the worker's tax id, replacing an earlier one. Raises ``Refused`` for an empty one."""
        bound = _bound_to(tx, worker_id)
        key = AESGCM.generate_key(bit_length=8 * _KEY_BYTES)
        tx.execute(
            """
            INSERT INTO tax_ids (tenant, worker_id, key_id, wrapped_key, ciphertext, lookup)
            VALUES (%(tenant)s, %(worker_id)s, %(key_id)s, %(wrapped_key)s, %(ciphertext)s, %(lookup)s)
            ON CONFLICT (tenant, worker_id) DO UPDATE
            SET key_id = excluded.key_id, wrapped_key = excluded.wrapped_key, ciphertext = excluded.ciphertext,
                lookup = excluded.lookup, sealed_at = clock_timestamp(), shredded_at = NULL
            """,
            tenant=tx.tenant,
            worker_id=worker_id,
            key_id=self._key_id,
            wrapped_key=encrypt(self._master, key, bound),
            ciphertext=encrypt(AESGCM(key), tax_id.encode(), bound),
            lookup=self._lookup(tx.tenant, tax_id),
        )
        audit.note(tx, "tax_id.sealed", target=("worker", str(worker_id)), actor=actor, key_id=self._key_id)

    def open(self, tx: Tx, worker_id: UUID, actor: Actor = HUB) -> str:
        """The worker's tax id; every opening is audited. Raises ``NotFound``, ``Misconfigured`` for a wrong master key."""
        row = tx.one(
            """
            SELECT wrapped_key, ciphertext, key_id FROM tax_ids
            WHERE worker_id = %(worker_id)s AND wrapped_key IS NOT NULL
            """,
            worker_id=worker_id,
        )
        if row is None:
            raise NotFound(f"worker {worker_id} has no tax id, or it was shredded", field="tax_id")
        bound = _bound_to(tx, worker_id)
        try:
            key = decrypt(self._master, row["wrapped_key"], bound)
            tax_id = decrypt(AESGCM(key), row["ciphertext"], bound).decode()
        except InvalidTag:
            raise Misconfigured(
                f"the tax id of worker {worker_id} was sealed with key {row['key_id']}, ours is {self._key_id}, or it was altered; "
                "restore the key file",
                cause="wrong_master_key",
            ) from None
        audit.note(tx, "tax_id.opened", target=("worker", str(worker_id)), actor=actor)
        return tax_id

    def find(self, tx: Tx, tax_id: str) -> UUID | None:
        """The first worker with this tax id, however it is punctuated."""
        row = tx.one(
            "SELECT worker_id FROM tax_ids WHERE tenant = %(tenant)s AND lookup = %(lookup)s ORDER BY sealed_at LIMIT 1",
            tenant=tx.tenant,
            lookup=self._lookup(tx.tenant, tax_id),
        )
        return None if row is None else UUID(str(row["worker_id"]))

    def shred(self, tx: Tx, worker_id: UUID, actor: Actor = HUB) -> bool:
        """Destroy the worker's key and lookup; false if there was none."""
        shredded = tx.execute(
            """
            UPDATE tax_ids SET wrapped_key = NULL, lookup = NULL, shredded_at = clock_timestamp()
            WHERE worker_id = %(worker_id)s AND wrapped_key IS NOT NULL
            """,
            worker_id=worker_id,
        )
        if shredded:
            audit.note(tx, "tax_id.shredded", target=("worker", str(worker_id)), actor=actor)
        return shredded == 1

    def _lookup(self, tenant: str, tax_id: str) -> bytes:
        # keyed, because nine digits are tried out in a second; with the tenant, so that tenants' rows cannot be compared
        return hmac.digest(self._lookup_key, f"{tenant}\x1f{normalised(tax_id)}".encode(), "sha256")


def normalised(tax_id: str) -> str:
    """Letters and digits alone, upper case, in Unicode's compatibility form. Raises ``Refused`` when nothing is left."""
    kept = "".join(character for character in unicodedata.normalize("NFKC", tax_id).upper() if character.isalnum())
    if not kept:
        raise Refused("tax_id: it has no letter or digit; ask the worker for it again", cause="invalid_record", field="tax_id")
    return kept


def _bound_to(tx: Tx, worker_id: UUID) -> bytes:
    """Additional data, so that a ciphertext moved to another worker or tenant does not open."""
    return f"{tx.tenant}\x1f{worker_id}".encode()


def encrypt(cipher: AESGCM, plain: bytes, bound: bytes) -> bytes:
    """A fresh nonce, then the ciphertext and its tag; it opens only together with ``bound``."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def decrypt(cipher: AESGCM, stored: bytes, bound: bytes) -> bytes:
    """What ``encrypt`` was given. Raises ``InvalidTag``."""
    return cipher.decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], bound)
