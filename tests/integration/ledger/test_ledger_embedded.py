from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from ledger import tenants
from ledger.database import Database
from ledger.migrate import is_current, upgrade
from ledger.postgres.embedded import EmbeddedPostgres
from workforce.errors import Misconfigured, RetryLater

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


def test_the_last_one_out_stops_the_server_whoever_started_it(folder: Path) -> None:
    starter, guest = EmbeddedPostgres(folder), EmbeddedPostgres(folder)
    starter.start()
    guest.start()
    starter.stop()
    assert answers(guest)
    starter.stop()
    assert answers(guest)
    guest.stop()
    assert not answers(guest)
    starter.start()
    assert answers(starter)
    starter.stop()
    assert not answers(starter)


def test_starting_twice_is_being_in_once(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    server.start()
    server.stop()
    assert not answers(server)


def test_a_command_that_started_the_server_leaves_it_to_a_process_that_attached(folder: Path) -> None:
    with in_another_process(folder) as command:
        here = EmbeddedPostgres(folder)
        here.start()
        command.communicate(timeout=60)
        assert command.returncode == 0
    assert answers(here)
    here.stop()
    assert not answers(here)


def test_a_process_that_is_still_in_keeps_the_server_when_this_one_leaves(folder: Path) -> None:
    here = EmbeddedPostgres(folder)
    here.start()
    with in_another_process(folder) as guest:
        here.stop()
        assert answers(here)
        guest.communicate(timeout=60)
        assert guest.returncode == 0
    assert not answers(here)


def test_a_process_that_was_killed_is_out(folder: Path) -> None:
    with in_another_process(folder) as starter:
        starter.kill()
        starter.communicate(timeout=60)
    here = EmbeddedPostgres(folder)
    assert answers(here)
    here.start()
    with in_another_process(folder) as guest:
        guest.kill()
        guest.communicate(timeout=60)
    here.stop()
    assert not answers(here)


def test_a_server_that_has_ended_by_itself_needs_no_stopping(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    os.kill(int((folder / "data" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGINT)
    until_gone(folder / "data" / "postmaster.pid")
    server.stop()
    with server:
        assert answers(server)


def test_a_server_is_stopped_even_if_its_folder_was_closed_to_others_meanwhile(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    folder.chmod(0o700)
    server.stop()
    assert not answers(server)


def test_a_start_that_fails_shows_what_pg_ctl_said_and_how_the_log_ends(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    server.stop()
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = on\n")
    with pytest.raises(Misconfigured, match=r"could not start server.*its log ends.*no_such_setting"):
        server.start()
    server.stop()


@contextmanager
def in_another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is in until its input ends, or until it is killed."""
    code = """
import sys
from pathlib import Path
from ledger.postgres.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  this interpreter
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        yield process


def answers(server: EmbeddedPostgres) -> bool:
    try:
        server.dsn("stint")
    except RetryLater:
        return False
    return True


def until_gone(path: Path) -> None:
    for _ in range(600):
        if not path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path.name} is still there")


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
