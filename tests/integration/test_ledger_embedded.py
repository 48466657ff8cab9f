from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger import tenants
from ledger.database import Database
from ledger.embedded import EmbeddedPostgres
from ledger.migrate import is_current, upgrade
from workforce.errors import RetryLater

pytestmark = pytest.mark.integration


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's own user can reach, with a short name."""
    with tempfile.TemporaryDirectory(prefix="stint-pg-") as name:
        yield Path(name)


def test_a_restart_keeps_the_data_and_the_application_reconnects_by_itself(folder: Path) -> None:
    first = EmbeddedPostgres(folder)
    first.start()
    dsn = first.dsn("stint")
    upgrade(dsn)
    database = Database(dsn, wait_seconds=0.5)
    database.open()
    with database.system() as tx:
        tenants.create(tx, "acme")
    first.stop()
    with pytest.raises(RetryLater) as away, database.system():
        pass
    assert away.value.cause == "database_unavailable"
    with EmbeddedPostgres(folder) as second:
        assert second.dsn("stint") == dsn
        assert comes_back(database)
        with database.system() as tx:
            assert tenants.exists(tx, "acme")
        database.close()


def comes_back(database: Database) -> bool:
    """As every caller does: come back later, a few times."""
    for _ in range(20):
        try:
            with database.system():
                return True
        except RetryLater:
            continue
    return False


def test_a_second_start_attaches_and_leaves_the_server_running_when_it_ends(folder: Path) -> None:
    with EmbeddedPostgres(folder) as owner:
        with EmbeddedPostgres(folder) as guest:
            assert guest.dsn("stint") == owner.dsn("stint")
        with psycopg.connect(owner.dsn("stint")) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_without_a_server_the_answer_is_to_come_back_later(folder: Path) -> None:
    with pytest.raises(RetryLater, match="stint up"):
        EmbeddedPostgres(folder).dsn("stint")
    with pytest.raises(RetryLater):
        Database(f"host={folder}", wait_seconds=0.2).open()


def test_a_folder_with_a_long_name_gets_its_socket_elsewhere(folder: Path) -> None:
    deep = folder / ("d" * 90)
    with EmbeddedPostgres(deep) as server, psycopg.connect(server.dsn("stint")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_migration_from_empty_is_current_and_may_be_run_by_many_at_once(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.dsn("migrated")
    assert not is_current(dsn)
    command = [sys.executable, "-c", "import sys; from ledger.migrate import upgrade; upgrade(sys.argv[1])", dsn]
    fleet = [subprocess.Popen(command) for _ in range(3)]  # noqa: S603  this interpreter
    assert [process.wait(60) for process in fleet] == [0, 0, 0]
    assert is_current(dsn)
    upgrade(dsn)


@pytest.mark.usefixtures("_template")
def test_the_migration_works_for_an_owner_that_is_no_superuser(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE plain LOGIN")
        admin.execute("GRANT stint_app TO plain WITH ADMIN OPTION")
        admin.execute("CREATE DATABASE plain OWNER plain")
    dsn = postgres.dsn("plain").replace("user=postgres", "user=plain")
    upgrade(dsn)
    database = Database(dsn)
    database.open()
    with database.system() as tx:
        assert tenants.create(tx, "acme")
        assert tx.all("SELECT * FROM stint_due_timers(now(), 10)") == []
    database.close()
