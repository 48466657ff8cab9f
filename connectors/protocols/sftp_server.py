"""An SFTP server over a folder, paramiko's own, with faults on demand: the stand-in of whatever exchanges files by SFTP.

``FaultKind`` speaks of HTTP; what SFTP can do of it is in ``FAULT_KINDS``.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED
from paramiko.sftp import SFTP_FAILURE, SFTP_OK, SFTP_PERMISSION_DENIED

from connectors.suite.sandbox import FaultKind, Faults

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


@dataclass(frozen=True)
class _Served:
    """What is served, and whom to tell when a file has arrived, that is, was renamed."""

    folder: Path
    faults: Faults
    latency_seconds: float
    arrived: Callable[[], None]


class SftpServer:
    """A server with a key of its own and one user."""

    def __init__(self, latency_seconds: float = 0.0) -> None:
        self._latency_seconds = latency_seconds
        self.username, self.password = "stint-sandbox", secrets.token_urlsafe(24)
        self._key: Any = paramiko.ECDSAKey.generate(bits=256)

    def settings(self, host: str, port: int) -> dict[str, Any]:
        """The part of a settings form (``SftpSettings``) that leads here."""
        host_key = f"{self._key.get_name()} {self._key.get_base64()}"
        return {"host": host, "port": port, "host_key": host_key, "username": self.username, "password": self.password}

    @contextmanager
    def serve(self, folder: Path, faults: Faults, *, arrived: Callable[[], None]) -> Iterator[tuple[str, int]]:
        """Serve ``folder`` on loopback; yields host and port and ends with the block."""
        listener, served = socket.create_server(("127.0.0.1", 0)), _Served(folder, faults, self._latency_seconds, arrived)
        transports: list[Any] = []
        threading.Thread(target=self._accept, args=(listener, transports, served), name="sftp-sandbox", daemon=True).start()
        try:
            yield "localhost", listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for transport in transports:
                transport.close()

    def _accept(self, listener: socket.socket, transports: list[Any], served: _Served) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(self._key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Session, served, transport)
            try:
                transport.start_server(event=threading.Event(), server=_Door(self))
            except (paramiko.SSHException, EOFError, OSError):
                transport.close()


class _Door(paramiko.ServerInterface):
    """Lets the one user in, to SFTP alone."""

    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def get_allowed_auths(self, username: str) -> str:
        """Passwords only."""
        del username
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        """Whether they are the right ones."""
        good = (username, password) == (self._server.username, self._server.password)
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
    """The folders, as one client sees them. Paths are below the served one and cannot leave it."""

    def __init__(self, server: Any, served: _Served, transport: Any) -> None:
        super().__init__(server)
        self._served, self._transport = served, transport

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
        """Rename; what has arrived is told at once."""

        def renamed() -> Any:
            self._at(oldpath).replace(self._at(newpath))
            self._served.arrived()
            return SFTP_OK

        return self._answer("RENAME", newpath, renamed)

    def _at(self, path: str) -> Path:
        return self._served.folder / os.path.normpath(f"/{path}").lstrip("/")

    def _answer(self, method: str, path: str, do: Callable[[], Any]) -> Any:
        if self._served.latency_seconds:
            time.sleep(self._served.latency_seconds)
        kind = self._served.faults.take(method, path)
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
