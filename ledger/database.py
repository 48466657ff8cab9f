"""Transactions: the one way to the ledger's tables. Every connection acts as the role ``stint_app``, never as their owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from workforce.errors import RetryLater

Row = DictRow

_CONNECTION_SETTINGS = """
    SET ROLE stint_app;
    SET statement_timeout = '30s';
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s';
    SET timezone = 'UTC';
"""
# OperationalError includes lost connections, time-outs, deadlocks, a full disk and the pool's own time-out.
_OUTAGE = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.IdleInTransactionSessionTimeout)


class LedgerDefect(RuntimeError):
    """PostgreSQL or its driver refused what we asked: a defect of ours.

    The driver's own words are left out, because they quote rows. ``sqlstate`` is the code of PostgreSQL's appendix A, or ``None``
    when the driver refused before it asked.
    """

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(f"the database refused this: {type(error).__name__}, SQLSTATE {error.sqlstate or 'none'}")
        self.sqlstate = error.sqlstate


class Tx:
    """An open transaction of one tenant (``tenant`` is empty for system tables), begun at ``began_at`` by the database's clock.

    Parameters are named: ``%(name)s``. A mapping is sent as ``jsonb``.
    """

    def __init__(self, connection: psycopg.Connection[Row], tenant: str, began_at: datetime) -> None:
        self.tenant = tenant
        self.began_at = began_at
        self._connection = connection
        self._at_the_end: list[Callable[[Tx], object]] = []

    def execute(self, statement: LiteralString, **values: object) -> int:
        """Run a statement; the number of rows that it touched."""
        return self._run(statement, values).rowcount

    def one(self, statement: LiteralString, **values: object) -> Row | None:
        """The first row, or ``None``."""
        return self._run(statement, values).fetchone()

    def the(self, statement: LiteralString, **values: object) -> Row:
        """The one row of a statement that always yields one."""
        row = self.one(statement, **values)
        if row is None:
            raise AssertionError("the statement yielded no row")
        return row

    def all(self, statement: LiteralString, **values: object) -> list[Row]:
        """All rows."""
        return self._run(statement, values).fetchall()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part that may fail without spoiling the transaction."""
        with self._connection.transaction():
            yield

    def at_the_end(self, step: Callable[[Tx], object]) -> None:
        """Run ``step`` in this transaction just before it commits, in the order of the calls."""
        self._at_the_end.append(step)

    def _finish(self) -> None:
        while self._at_the_end:
            self._at_the_end.pop(0)(self)

    def _run(self, statement: LiteralString, values: Mapping[str, object]) -> psycopg.Cursor[Row]:
        return self._connection.execute(statement, {name: _adapted(value) for name, value in values.items()})


class Database:
    """A pool of connections to the ledger. ``dsn`` is a libpq conninfo or URL."""

    def __init__(self, dsn: str, *, max_connections: int = 10, wait_seconds: float = 5.0) -> None:
        self.dsn = dsn
        self._wait_seconds = wait_seconds
        self._pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            dsn,
            open=False,
            min_size=1,
            max_size=max_connections,
            timeout=wait_seconds,
            # The pool doubles its pauses for as long as this allows: short, so that it is back soon after the database is.
            reconnect_timeout=wait_seconds,
            kwargs={"row_factory": dict_row, "connect_timeout": 5},
            configure=_configure,
            check=ConnectionPool.check_connection,
        )

    def open(self) -> None:
        """Connect. Raises ``RetryLater`` (cause ``database_unavailable``)."""
        with outage_as_retry_later():
            try:
                self._pool.open(wait=True, timeout=self._wait_seconds)
            except psycopg.OperationalError:
                self._pool.close()
                raise

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    @contextmanager
    def transaction(self, tenant: str) -> Iterator[Tx]:
        """A transaction that sees ``tenant`` alone. Commits at the end, rolls back on any error.

        Raises ``RetryLater`` (cause ``database_unavailable``) when the database is away, full, locked or out of connections. A commit
        whose reply was lost also ends so: what the ledger writes is safe to write again. Raises ``LedgerDefect`` for any other error of
        the database.
        """
        with outage_as_retry_later(), _defects_without_rows(), self._pool.connection() as connection:
            row = connection.execute("SELECT set_config('stint.tenant', %s, true), now() AS began_at", (tenant,)).fetchone()
            tx = Tx(connection, tenant, row["began_at"] if row else datetime.now(UTC))
            yield tx
            tx._finish()  # noqa: SLF001  Tx and Database are one unit

    @contextmanager
    def system(self) -> Iterator[Tx]:
        """A transaction without a tenant: it sees the tables that have none, and nothing of any tenant."""
        with self.transaction("") as tx:
            yield tx


@contextmanager
def outage_as_retry_later() -> Iterator[None]:
    """Translate an unusable database into ``RetryLater``."""
    try:
        yield
    except _OUTAGE as error:
        raise RetryLater(
            f"the database cannot do this now ({type(error).__name__}); see that it runs, and that database_url leads to it",
            cause="database_unavailable",
        ) from error


@contextmanager
def _defects_without_rows() -> Iterator[None]:
    """Keep what PostgreSQL quotes of a row (DETAIL, CONTEXT) out of messages and logs; the traceback still tells the place."""
    try:
        yield
    except _OUTAGE:
        raise
    except psycopg.Error as error:
        raise LedgerDefect(error).with_traceback(error.__traceback__) from None


def _configure(connection: psycopg.Connection[Any]) -> None:
    connection.execute(_CONNECTION_SETTINGS)
    connection.commit()


def _adapted(value: object) -> object:
    return Jsonb(dict(value)) if isinstance(value, Mapping) else value
