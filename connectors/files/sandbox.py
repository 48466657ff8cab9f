"""A stand-in of a system that exchanges files: it exports its records as CSV and imports what is left in its outbox.

Its folders can be used as they are, or over SFTP: the server here is paramiko's own, with faults on demand. ``FaultKind`` speaks of
HTTP; what SFTP can do of it is in ``FAULT_KINDS``.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED
from paramiko.sftp import SFTP_FAILURE, SFTP_OK, SFTP_PERMISSION_DENIED

from connectors.files.settings import Layout
from connectors.suite.sandbox import EffectLedger, FaultKind, Faults

FAULT_KINDS = frozenset(
    {
        FaultKind.UNAVAILABLE_BEFORE,
        FaultKind.FORBIDDEN_BEFORE,
        FaultKind.TIMEOUT_BEFORE,
        FaultKind.TIMEOUT_AFTER,
        FaultKind.RESET_AFTER,
    }
)
HOLD_SECONDS = 30.0
_AN_HOUR_NS = 3600 * 10**9
_A_YEAR_NS = 365 * 24 * _AN_HOUR_NS
MARKER = "stint_marker"
LAYOUT = Layout(marker_column=MARKER)
COLUMNS = (
    LAYOUT.id_column, LAYOUT.status_column, LAYOUT.end_column, MARKER, LAYOUT.ended_at_column,
    "start_date", "given_name", "family_name", "email", "phone", "country", "role", "client_unit", "supplier", "supplier_id",
    "sponsor_email", "site", "time_zone", "rate_amount", "rate_currency", "rate_unit", "rate_minimum", "rate_maximum", "person_id",
    "position_id", "requisition_id", "vms_id", "work_email", "login",
)  # fmt: skip
_EXAMPLE = {
    "status": "active",
    "end_date": "2027-02-26",
    "start_date": "2026-11-23",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "email": "ada.lovelace@mail.example",
    "country": "DE",
    "role": "Data Engineer",
    "client_unit": "Analytics",
    "supplier": "Brightwater Staffing",
    "sponsor_email": "grace.hopper@acme.example",
    "site": "Berlin",
    "time_zone": "Europe/Berlin",
    "rate_amount": "95.00",
    "rate_currency": "EUR",
    "rate_unit": "hour",
}

Row = dict[str, str]


class FilesSandbox:
    """One system. ``records`` are by id; each export holds them all. Folders lie below ``folder``."""

    def __init__(self, folder: Path, *, latency_seconds: float = 0.0) -> None:
        self.folder, self.latency_seconds = folder, latency_seconds
        self.username, self.password = "stint-sandbox", secrets.token_urlsafe(24)
        self.server_key: Any = paramiko.ECDSAKey.generate(bits=256)
        self.records: dict[str, Row] = {}
        self.effects, self.faults = EffectLedger(), Faults()
        self._lock = threading.RLock()
        self._exports = 0
        self._clock = time.time_ns() - _A_YEAR_NS
        for name in ("inbox", "archive", "outbox", "taken"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def local_settings(self) -> dict[str, Any]:
        """The settings form of an instance that uses the folders of this machine."""
        return self._form(f"{self.folder}/")

    def settings(self, host: str, port: int) -> dict[str, Any]:
        """The settings form of an instance that comes by SFTP."""
        return {
            **self._form("/"),
            "host": host,
            "port": port,
            "host_key": f"{self.server_key.get_name()} {self.server_key.get_base64()}",
            "username": self.username,
            "password": self.password,
        }

    def add_record(self, **columns: str) -> str:
        """A record, exported at once; its id."""
        with self._lock:
            record_id = f"W{len(self.records) + 1:06d}"
            self.change(record_id, **{**_EXAMPLE, **columns})
            return record_id

    def change(self, record_id: str, **columns: str) -> None:
        """Set columns of a record, and export."""
        with self._lock:
            self.records[record_id] = {**self.records.get(record_id, {}), "id": record_id, **columns}
            self.export()

    def export(self) -> str:
        """Drop a file with every record; its name."""
        with self._lock:
            self._exports += 1
            name = f"export-{self._exports:06d}.csv"
            self.drop(name, _written(self.records.values()))
            return name

    def drop(self, name: str, content: bytes) -> Path:
        """Put a file into the inbox, whole at once, and dated an hour after the one before."""
        path, unfinished = self.folder / "inbox" / name, self.folder / "inbox" / f".{name}.tmp"
        unfinished.write_bytes(content)
        self._clock += _AN_HOUR_NS
        os.utime(unfinished, ns=(self._clock, self._clock))
        return unfinished.rename(path)

    def take_uploads(self) -> None:
        """Import every file in the outbox, in the order in which they came."""
        with self._lock:
            for path in sorted((self.folder / "outbox").glob("[!.]*.csv"), key=lambda path: path.stat().st_mtime_ns):
                operation = path.name.partition("-")[0]
                for row in csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")):
                    self._import(operation, row)
                path.rename(self.folder / "taken" / path.name)

    def _import(self, operation: str, row: Row) -> None:
        """A creation makes a record each time; anything else is of effect once."""
        if operation == "create":
            self.add_record(**row)
            self.effects.record("create", row[MARKER])
            return
        known = [
            one
            for one in self.records.values()
            if one["id"] == row.get("id") or (one.get(MARKER) and one[MARKER] == row.get(MARKER))
        ]
        for record in known:
            if any(record.get(column) != value for column, value in row.items() if column != LAYOUT.ended_at_column):
                self.change(record["id"], **{**row, "id": record["id"]})
                self.effects.record(operation, record["id"])

    def _form(self, root: str) -> dict[str, Any]:
        folders = {name: f"{root}{name}" for name in ("inbox", "archive", "outbox", "taken")}
        return {**folders, "settle_seconds": 0.0, "layout": {"marker_column": MARKER}}

    @contextmanager
    def serve(self) -> Iterator[tuple[str, int]]:
        """Serve the folders by SFTP on loopback; yields host and port and ends with the block."""
        listener = socket.create_server(("127.0.0.1", 0))
        transports: list[Any] = []
        threading.Thread(target=self._accept, args=(listener, transports), name="sftp-sandbox", daemon=True).start()
        try:
            yield "localhost", listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for transport in transports:
                transport.close()

    def _accept(self, listener: socket.socket, transports: list[Any]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(self.server_key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Session, self, transport)
            try:
                transport.start_server(event=threading.Event(), server=_Door(self))
            except (paramiko.SSHException, EOFError, OSError):
                transport.close()


def _written(rows: Any) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


class _Door(paramiko.ServerInterface):
    """Lets the sandbox's user in, to SFTP alone."""

    def __init__(self, sandbox: FilesSandbox) -> None:
        self._sandbox = sandbox

    def get_allowed_auths(self, username: str) -> str:
        """Passwords only."""
        del username
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        """Whether they are the sandbox's."""
        good = (username, password) == (self._sandbox.username, self._sandbox.password)
        return AUTH_SUCCESSFUL if good else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Sessions."""
        del chanid
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


class _Handle(paramiko.SFTPHandle):
    """An open file."""

    def __init__(self, flags: int, path: Path, *, writes: bool) -> None:
        super().__init__(flags)
        self._path = path
        self.readfile = self.writefile = path.open("wb" if writes else "rb")

    def stat(self) -> Any:
        """What is known of it."""
        return _attributes(self._path)


class _Session(paramiko.SFTPServerInterface):
    """The folders, as one client sees them. Paths are below the sandbox's folder and cannot leave it."""

    def __init__(self, server: Any, sandbox: FilesSandbox, transport: Any) -> None:
        super().__init__(server)
        self._sandbox, self._transport = sandbox, transport

    def list_folder(self, path: str) -> Any:
        """The entries of a folder."""
        return self._answer("LIST", path, lambda: [_attributes(one) for one in self._at(path).iterdir()])

    def stat(self, path: str) -> Any:
        """What is known of a file."""
        return self._answer("STAT", path, lambda: _attributes(self._at(path)))

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        """Open a file for reading, or for writing anew."""
        del attr
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR))

        return self._answer("WRITE" if writes else "READ", path, lambda: _Handle(flags, self._at(path), writes=writes))

    def posix_rename(self, oldpath: str, newpath: str) -> Any:
        """Rename; what arrives in the outbox is imported at once."""

        def renamed() -> Any:
            self._at(oldpath).replace(self._at(newpath))
            self._sandbox.take_uploads()
            return SFTP_OK

        return self._answer("RENAME", newpath, renamed)

    def _at(self, path: str) -> Path:
        return self._sandbox.folder / os.path.normpath(f"/{path}").lstrip("/")

    def _answer(self, method: str, path: str, do: Callable[[], Any]) -> Any:
        if self._sandbox.latency_seconds:
            time.sleep(self._sandbox.latency_seconds)
        kind = self._sandbox.faults.take(method, path)
        if kind is FaultKind.UNAVAILABLE_BEFORE:
            return SFTP_FAILURE
        if kind is FaultKind.FORBIDDEN_BEFORE:
            return SFTP_PERMISSION_DENIED
        answer = _done(do) if kind is None or kind.is_after else SFTP_FAILURE
        if kind is FaultKind.RESET_AFTER:
            self._transport.close()
        elif kind is not None:
            self._hold()
        return answer

    def _hold(self) -> None:
        """Say nothing until the client gives up."""
        until = time.monotonic() + HOLD_SECONDS
        while self._transport.is_active() and time.monotonic() < until:
            time.sleep(0.02)


def _done(do: Callable[[], Any]) -> Any:
    try:
        return do()
    except OSError as error:
        return paramiko.SFTPServer.convert_errno(error.errno or 0)


def _attributes(path: Path) -> Any:
    return paramiko.SFTPAttributes.from_stat(path.stat(), filename=path.name)


def rows_of(content: bytes) -> list[Mapping[str, str]]:
    """The rows of a file, by column."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
