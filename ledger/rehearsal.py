"""A rehearsal: everything that is written in it can be read in it, and nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ledger.database import Database, Tx


class RehearsedDatabase(Database):
    """The ledger inside a rehearsal, of one tenant: each transaction is a part of the one that is rolled back in the end.

    The audit trail, which is written when a transaction commits, is not written at all.
    """

    def __init__(self, tx: Tx) -> None:
        self.dsn = ""
        self._tx = tx

    def open(self) -> None:
        """It is open."""

    def close(self) -> None:
        """It ends with the rehearsal."""

    @contextmanager
    def transaction(self, tenant: str) -> Iterator[Tx]:
        """A part of the rehearsal. Raises ``ValueError`` for another tenant than the rehearsal's."""
        if tenant != self._tx.tenant:
            raise ValueError(f"this is a rehearsal of {self._tx.tenant}, not of {tenant}")
        with self._tx.savepoint():
            yield self._tx


@contextmanager
def rehearsal(database: Database, tenant: str) -> Iterator[Database]:
    """The ledger as it is, for trying out what would be written. Keep it short: what it locks is locked for everybody."""
    with suppress(_Over), database.transaction(tenant) as tx:
        yield RehearsedDatabase(tx)
        raise _Over  # a transaction that ends with an error leaves nothing behind


class _Over(Exception):
    """The rehearsal is over."""
