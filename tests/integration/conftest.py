"""A real PostgreSQL for the tests of one process, and a fresh migrated database for each test."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger import tenants
from ledger.database import Database
from ledger.embedded import EmbeddedPostgres
from ledger.migrate import upgrade

TEMPLATE = "stint_template"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running server in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="stint-pg-") as folder, EmbeddedPostgres(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def _template(postgres: EmbeddedPostgres) -> str:
    dsn = postgres.dsn(TEMPLATE)
    upgrade(dsn)
    database = Database(dsn)
    database.open()
    with database.system() as tx:
        tenants.create(tx, "acme", "Acme")
    database.close()
    return TEMPLATE


@pytest.fixture
def dsn(postgres: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """The conninfo of a fresh, migrated database in which the tenant ``acme`` exists, as its owner."""
    name = f"test_{next(_NUMBERS)}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {_template}")
        yield postgres.dsn(name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    """The same, opened as the application."""
    database = Database(dsn, max_connections=16)
    database.open()
    yield database
    database.close()
