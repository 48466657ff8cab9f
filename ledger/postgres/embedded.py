"""PostgreSQL inside a folder: no installation, no port, reachable only through a unix socket."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from psycopg.conninfo import make_conninfo

from ledger.postgres.binaries import binaries, let_through, unprivileged_owner
from ledger.postgres.sibling import ensure_database
from workforce.errors import Misconfigured, RetryLater

_SUPERUSER = "postgres"
_LONGEST_SOCKET_PATH = 100  # sockaddr_un holds 108 bytes; PostgreSQL appends /.s.PGSQL.5432 to the folder
_START_SECONDS = 60
_NOT_RUNNING = 3  # the exit status of pg_ctl status, https://www.postgresql.org/docs/current/app-pg-ctl.html
# fsync and synchronous_commit keep their defaults (on): an acknowledged event has to survive a power cut.
_SERVER_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres:
    """A PostgreSQL server whose data lies in ``folder``.

    Several processes may share it: starting attaches to a server that already runs on the folder, and the last one out stops it.
    Authentication is the file system's: the socket's folder is open to its owner (and root) alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.expanduser().resolve()
        self._data = self._folder / "data"
        self._log = self._data / "server.log"
        self._presence: IO[str] | None = None  # a shared lock from start to stop; the system releases that of a killed process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server or attach to it, making its data folder on first use. Raises ``Misconfigured`` with the end of its log."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._make_reachable()
            if not (self._data / "PG_VERSION").exists():
                self._initialise()
            if not self._is_running():
                self._launch()
            self._come_in()

    def stop(self) -> None:
        """Stop the server, unless somebody else still uses it. Open connections are cut, open transactions rolled back."""
        if self._presence is None:
            return
        with self._locked(), self._presence as presence:
            self._presence = None
            self._make_reachable()
            if _is_last(presence) and self._is_running():
                self._halt()

    def dsn(self, database: str) -> str:
        """The conninfo of ``database``, which is made if it does not exist. Raises ``RetryLater`` when no server runs."""
        try:
            ensure_database(self._conninfo("postgres"), database)
        except RetryLater:
            raise self._not_running() from None
        return self._conninfo(database)

    def _conninfo(self, database: str) -> str:
        return make_conninfo(host=self._socket_folder(), user=_SUPERUSER, dbname=database)

    def _socket_folder(self) -> str:
        """Where the running server listens: line 5 of ``postmaster.pid``."""
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()[4]
        except (OSError, IndexError):
            raise self._not_running() from None

    def _not_running(self) -> RetryLater:
        return RetryLater(f"no PostgreSQL runs on {self._folder}; start it with: stint up", cause="database_unavailable")

    def _initialise(self) -> None:
        """``initdb`` beside the final place and rename, so that an interrupted one leaves nothing half-made."""
        fresh = self._folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._own(fresh)
        self._run(
            "initdb", "-D", str(fresh), "-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"
        )
        fresh.rename(self._data)

    def _launch(self) -> None:
        sockets = self._new_socket_folder()
        self._own(sockets)
        settings = [part for name, value in _SERVER_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        options = shlex.join([*settings, "-k", str(sockets)])
        command = ("-D", str(self._data), "-w", "-t", str(_START_SECONDS), "-l", str(self._log), "-o", options, "start")
        self._run("pg_ctl", *command)

    def _halt(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "fast", "-w", "-t", str(_START_SECONDS), "stop")
        with contextlib.suppress(OSError):
            self._new_socket_folder().rmdir()

    def _come_in(self) -> None:
        if self._presence is None:
            self._presence = (self._folder / "in_use").open("a+")
            fcntl.flock(self._presence, fcntl.LOCK_SH)

    def _new_socket_folder(self) -> Path:
        inside = self._folder / "run"
        if len(str(inside)) < _LONGEST_SOCKET_PATH - len("/.s.PGSQL.5432"):
            return inside
        name = hashlib.sha256(str(self._folder).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"stint-{name}"

    def _is_running(self) -> bool:
        return self._run("pg_ctl", "-D", str(self._data), "status", expected=(0, _NOT_RUNNING)) == 0

    def _own(self, folder: Path) -> None:
        """Make ``folder`` the server's own, closed to others. Refuses one that somebody else prepared."""
        owner = self._owner
        folder.mkdir(mode=0o700, exist_ok=True)
        expected = {os.geteuid(), owner.pw_uid if owner else os.geteuid()}
        if folder.is_symlink() or folder.stat().st_uid not in expected:
            raise Misconfigured(f"{folder} belongs to another user; remove it", cause="foreign_folder")
        folder.chmod(0o700)
        if owner:
            os.chown(folder, owner.pw_uid, owner.pw_gid)

    def _make_reachable(self) -> None:
        if self._owner:
            let_through(self._data)
            let_through(self._binaries / "pg_ctl")

    def _run(self, program: str, *arguments: str, expected: tuple[int, ...] = (0,)) -> int:
        code, output = self._program(program, *arguments)
        if code not in expected:
            log = self._log.read_text(errors="replace") if self._log.exists() else ""
            ends = f"; its log ends: {_end_of(log)}" if log else ""
            message = f"{program} on {self._folder} failed with status {code}: {_end_of(output)}{ends}"
            raise Misconfigured(message, cause="postgres_start")
        return code

    def _program(self, program: str, *arguments: str) -> tuple[int, str]:
        owner = self._owner
        # A file and not a pipe: the server inherits the descriptors of the pg_ctl that started it, and a pipe would never end.
        with tempfile.TemporaryFile("w+") as output:
            finished = subprocess.run(  # noqa: S603  our own binaries, a list of arguments, no shell
                [str(self._binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                check=False,
                cwd="/",
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=() if owner else None,
            )
            output.seek(0)
            return finished.returncode, output.read()

    @cached_property
    def _binaries(self) -> Path:
        return binaries()

    @cached_property
    def _owner(self) -> pwd.struct_passwd | None:
        return unprivileged_owner()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _is_last(presence: IO[str]) -> bool:
    """Whether nobody else is in. Gives up the shared lock either way."""
    try:
        fcntl.flock(presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end_of(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-3:])
