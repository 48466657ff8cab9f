"""Credentials that their vendor replaces with each use: kept sealed, and renewed by one process at a time.

A new line begins with each configured seed, so a worker that still runs with an earlier seed cannot overwrite what came from a later one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.database import Database, Tx
from ledger.trail import audit
from ledger.vault.keys import decrypt, encrypt
from workforce.errors import Misconfigured
from workforce.ports import HeldCredential

log = structlog.get_logger(__name__)


class LedgerCredentials:
    """The ``CredentialStore`` of one connector instance. ``key`` is 32 bytes, the same for all processes on one database."""

    def __init__(self, database: Database, tenant: str, instance: str, key: bytes) -> None:
        self._database, self._tenant, self._instance = database, tenant, instance
        self._cipher = AESGCM(key)

    @contextmanager
    def exclusively(self, seed: str) -> Iterator[HeldCredential]:
        """Hold what came from ``seed`` in one transaction, which commits when the block ends; see the port.

        One connection does everything: a second one could be missing just when a fresh credential has to be kept.
        """
        with self._database.transaction(self._tenant) as tx:
            # The vendor is asked inside the block: five minutes outlast the longest time-out that a settings form takes.
            tx.execute("SET LOCAL idle_in_transaction_session_timeout = '5min'")
            tx.one(
                "SELECT pg_advisory_xact_lock(hashtextextended('credential:' || %(tenant)s || ':' || %(instance)s, 0))",
                tenant=self._tenant,
                instance=self._instance,
            )
            yield _Held(tx, self._instance, hashlib.sha256(seed.encode()).digest(), self._cipher)


@dataclass(frozen=True, slots=True)
class _Held:
    tx: Tx
    instance: str
    seed_sha256: bytes
    cipher: AESGCM = field(repr=False)

    def newest(self) -> str | None:
        row = self.tx.one(
            "SELECT sealed FROM rotating_credentials WHERE instance = %(instance)s AND seed_sha256 = %(seed_sha256)s",
            instance=self.instance,
            seed_sha256=self.seed_sha256,
        )
        try:
            return None if row is None else decrypt(self.cipher, row["sealed"], self._bound()).decode()
        except InvalidTag:
            raise Misconfigured(
                f"the credential that {self.instance!r} keeps was sealed with another key, or it was altered; restore the key file "
                "(the same on every machine), or authorise the hub again at the vendor and enter the new credential",
                cause="wrong_credential_key",
                field=self.instance,
            ) from None

    def replace(self, used: str | None, fresh: str) -> None:
        if self.newest() != used:
            log.warning("credential.superseded", tenant=self.tx.tenant, instance=self.instance)
            return
        self.tx.execute(
            """
            INSERT INTO rotating_credentials (tenant, instance, seed_sha256, sealed)
            VALUES (%(tenant)s, %(instance)s, %(seed_sha256)s, %(sealed)s)
            ON CONFLICT (tenant, instance, seed_sha256) DO UPDATE SET sealed = excluded.sealed, changed_at = clock_timestamp()
            """,
            tenant=self.tx.tenant,
            instance=self.instance,
            seed_sha256=self.seed_sha256,
            sealed=encrypt(self.cipher, fresh.encode(), self._bound()),
        )
        audit.note(self.tx, "credential.rotated", target=("connector", self.instance), system=self.instance)

    def _bound(self) -> bytes:
        """Additional data, so that a row moved to another tenant, instance or seed does not open."""
        return f"{self.tx.tenant}\x1f{self.instance}\x1f{self.seed_sha256.hex()}".encode()
