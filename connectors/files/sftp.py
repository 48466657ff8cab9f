"""Folders on an SFTP server, over paramiko. The server's key is pinned: no other server ever sees the credentials.

Reads are tried once more on a fresh connection. An upload is written under a hidden name first and then renamed (OpenSSH's
``posix-rename@openssh.com``); only that rename can have an unknown outcome.
"""

from __future__ import annotations

import errno
import hmac
import io
import posixpath
import re
import stat
import threading
from base64 import b64decode
from collections.abc import Callable
from typing import Any, TypeVar

import paramiko  # type: ignore[import-untyped]  # it ships no types
import structlog

from connectors.files.folders import Entry, forbidden, missing_folder, temporary
from connectors.files.settings import FilesSettings
from connectors.network import Network
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, RetryLater

log = structlog.get_logger(__name__)

T = TypeVar("T")
_KEY_FORMS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_NO_ANSWER = re.compile("timeout|shut down")  # paramiko gives no type to tell this from a refusal
_LOST = (EOFError, TimeoutError, ConnectionError, paramiko.SSHException)


class SftpFolders:
    """One server. Thread-safe: one connection, made on first use and again after it was lost."""

    def __init__(self, settings: FilesSettings, network: Network) -> None:
        self._settings, self._network = settings, network
        self._lock = threading.RLock()
        self._transport: Any = None
        self._session: Any = None

    def entries(self, folder: str) -> list[Entry]:
        """The regular files in ``folder``."""
        found = self._read(folder, lambda sftp: sftp.listdir_attr(folder))
        if found is None:
            raise missing_folder(folder)
        regular = [each for each in found if each.st_mode is not None and stat.S_ISREG(each.st_mode)]
        return [Entry(each.filename, each.st_size or 0, (each.st_mtime or 0) * 1_000_000) for each in regular]

    def read(self, folder: str, name: str) -> bytes:
        """A file's content."""
        path = posixpath.join(folder, name)
        content: bytes | None = self._read(path, lambda sftp: _content(sftp, path))
        if content is None:
            raise RetryLater(f"files: {name} is gone", cause="file_changed")
        return content

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Write under a hidden name, then rename."""
        unfinished = posixpath.join(folder, temporary(name))
        written = self._read(folder, lambda sftp: sftp.putfo(io.BytesIO(content), unfinished, confirm=True))
        if written is None:
            raise missing_folder(folder)
        self._rename(unfinished, posixpath.join(folder, name))

    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        """Move a file within the server."""
        self._rename(posixpath.join(folder, name), posixpath.join(to_folder, to_name))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._transport is not None:
                self._transport.close()
            self._transport = self._session = None

    def _read(self, path: str, act: Callable[[Any], T]) -> T | None:
        """Do what may be done twice; ``None`` where ``path`` does not exist."""
        try:
            return self._once(path, act)
        except OutcomeUnknown:
            log.info("files.connection_lost", host=self._settings.host)
        try:
            return self._once(path, act)
        except OutcomeUnknown as error:
            raise RetryLater(str(error), cause=error.cause) from None

    def _rename(self, old: str, new: str) -> None:
        self._once(old, lambda sftp: sftp.posix_rename(old, new))

    def _once(self, path: str, act: Callable[[Any], T]) -> T | None:
        with self._lock:
            session = self._connected()
            try:
                return act(session)
            except _LOST as error:
                self.close()
                raise OutcomeUnknown(
                    f"files: the SFTP server did not answer: {type(error).__name__}", cause="no_answer"
                ) from None
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return None
                raise _refusal(error, path) from None

    def _connected(self) -> Any:
        if self._session is None or not self._transport.is_active():
            self.close()
            try:
                self._transport = self._opened()
                self._session = paramiko.SFTPClient.from_transport(self._transport)
                self._session.get_channel().settimeout(self._settings.timeout_seconds)
            except (*_LOST, OSError) as error:
                self.close()
                message = f"files: cannot connect to the SFTP server: {type(error).__name__}"
                raise RetryLater(message, cause="cannot_connect") from None
            except HubError:
                self.close()
                raise
        return self._session

    def _opened(self) -> Any:
        """A connection to the pinned server, signed in."""
        settings = self._settings
        expected_kind, _, blob = (settings.host_key or "").partition(" ")
        sock = self._network.connect(settings.host or "", settings.port, timeout_seconds=settings.timeout_seconds)
        transport = self._transport = paramiko.Transport(sock)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = settings.timeout_seconds
        transport.get_security_options().key_types = _offers(expected_kind)
        try:
            transport.start_client(timeout=settings.timeout_seconds)
        except paramiko.IncompatiblePeer:
            raise _wrong_host_key("has no key of this type, or no algorithm in common with us") from None
        if not hmac.compare_digest(transport.get_remote_server_key().asbytes(), b64decode(blob)):
            raise _wrong_host_key("shows another key")
        self._sign_in(transport)
        return transport

    def _sign_in(self, transport: Any) -> None:
        settings = self._settings
        field = "password" if settings.password is not None else "private_key"
        try:
            if settings.password is not None:
                asked_besides = transport.auth_password(settings.username, settings.password.get_secret_value(), fallback=False)
            else:
                asked_besides = transport.auth_publickey(settings.username, _private_key(settings))
        except paramiko.AuthenticationException as error:
            if _NO_ANSWER.search(str(error)):
                raise RetryLater("files: the SFTP server did not answer the sign-in", cause="cannot_connect") from None
            message = f"files: the SFTP server does not accept username and {field}; mend them"
            raise Misconfigured(message, cause="unauthenticated", field=field) from None
        if asked_besides:
            message = "files: the SFTP server asks for a second proof besides; let this user in with one"
            raise Misconfigured(message, cause="unauthenticated", field=field)


def _content(sftp: Any, path: str) -> bytes:
    with sftp.open(path, "rb") as file:
        file.prefetch()
        content: bytes = file.read()
        return content


def _refusal(error: OSError, path: str) -> HubError:
    """What the server answered; it did nothing then."""
    if error.errno == errno.EACCES:
        return forbidden(path)
    return RetryLater(f"files: {path}: the SFTP server reported a failure", cause="sftp_failure")


def _wrong_host_key(fault: str) -> Misconfigured:
    message = f"host_key: the SFTP server {fault}; ask its operator, and enter a new key only if they confirm the change"
    return Misconfigured(message, cause="wrong_host_key", field="host_key")


def _offers(kind: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def _private_key(settings: FilesSettings) -> Any:
    text = settings.private_key.get_secret_value() if settings.private_key else ""
    passphrase = settings.private_key_passphrase.get_secret_value() if settings.private_key_passphrase else None
    for form in _KEY_FORMS:
        try:
            return form.from_private_key(io.StringIO(text), password=passphrase)
        except (paramiko.SSHException, ValueError, TypeError):
            continue
    raise Misconfigured("private_key: not a usable key, or the wrong passphrase", cause="unusable_key", field="private_key")
