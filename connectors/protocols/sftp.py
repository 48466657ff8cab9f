"""Folders on an SFTP server, over paramiko. The server's key is pinned: no other server ever sees the credentials.

Reads are tried once more on a fresh connection. An upload is written under a hidden name first and then renamed (OpenSSH's
``posix-rename@openssh.com``); only that rename can have an unknown outcome.

paramiko's own deadlines start anew with every byte, and it has none for the opening of a session: so each call has one of its own, after
which the connection is closed under it.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hmac
import io
import posixpath
import re
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar, Self, TypeVar

import paramiko
import structlog
from paramiko.ssh_exception import IncompatiblePeer
from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings, Surroundings
from connectors.protocols.folders import Entry, Folders, LocalFolders, forbidden, missing_folder, temporary
from connectors.wire.network import Network
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater

log = structlog.get_logger(__name__)

T = TypeVar("T")
_KEY_FORMS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_NO_ANSWER = re.compile("timeout|shut down")  # paramiko gives no type to tell this from a refusal
_LOST = (EOFError, TimeoutError, ConnectionError, paramiko.SSHException, paramiko.SFTPError, struct.error)
TRANSFER_FACTOR = 30
"""How much longer than one answer a file's content may take."""


_HOST_KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


def _host_key(text: str) -> str:
    kind, _, rest = text.strip().partition(" ")
    blob = rest.split(" ")[0]
    try:
        content = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if kind not in _HOST_KEYS or not content.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise PydanticCustomError(
            "host_key", "must be the server's Ed25519, ECDSA or RSA public key as in known_hosts: its type, a blank, base 64"
        )
    return f"{kind} {blob}"


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
FolderPath = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f]+$")]


class SftpSettings(ConnectorSettings):
    """The part of a settings form that tells where an SFTP server is and who we are there. Without ``host`` there is none."""

    host: Name | None = None
    port: int = Field(default=22, ge=1, le=65535)
    host_key: Annotated[str, AfterValidator(_host_key)] | None = Field(
        default=None, description="the server's public key, for example: ssh-ed25519 AAAAC3Nz…; nothing else is accepted"
    )
    username: Name | None = None
    password: SecretStr | None = Field(default=None, min_length=1)
    private_key: SecretStr | None = Field(default=None, min_length=1, description="in OpenSSH's or PEM form")
    private_key_passphrase: SecretStr | None = Field(default=None, min_length=1)
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)

    @model_validator(mode="after")
    def _wholly_or_not_at_all(self) -> Self:
        server = (self.host_key, self.username, self.password, self.private_key, self.private_key_passphrase)
        if self.host is None and any(value is not None for value in server):
            raise PydanticCustomError("host", "host is missing: host_key, username and credentials belong to an SFTP server")
        if self.host is not None and (self.host_key is None or self.username is None):
            raise PydanticCustomError("host", "an SFTP server needs host_key and username")
        if self.host is not None and (self.password is None) == (self.private_key is None):
            raise PydanticCustomError("credentials", "give either password or private_key")
        return self


class FolderSettings(SftpSettings):
    """A settings form with folders: without ``host`` they are this machine's, with it those of an SFTP server."""

    folder_fields: ClassVar[tuple[str, ...]]
    """The fields that hold folders."""

    @model_validator(mode="after")
    def _folders_differ(self) -> Self:
        folders = list(self.folders())
        if self.host is None and not all(folder.startswith("/") for folder in folders):
            raise PydanticCustomError("folders", "folders of this machine are given by their absolute paths")
        if len(set(map(posixpath.normpath, folders))) < sum(getattr(self, field) is not None for field in self.folder_fields):
            *most, last = self.folder_fields
            told = {"folders": f"{', '.join(most)} and {last} must be different folders"}
            raise PydanticCustomError("folders", "{folders}", told)
        return self

    def folders(self) -> dict[str, str]:
        """Each folder, and the field that holds it."""
        return {folder: field for field in self.folder_fields if (folder := getattr(self, field)) is not None}

    def reached(self, around: Surroundings) -> Folders:
        """The place where they are."""
        return LocalFolders(self.folders(), around.folders) if self.host is None else SftpFolders(self, around.network)


class SftpFolders:
    """One server. Thread-safe: one connection, made on first use and again after it was lost."""

    def __init__(self, settings: SftpSettings, network: Network) -> None:
        self._settings, self._network = settings, network
        self._lock = threading.RLock()
        self._transport: paramiko.Transport | None = None
        self._session: paramiko.SFTPClient | None = None

    def entries(self, folder: str) -> list[Entry]:
        """The regular files in ``folder``."""
        found = self._read(folder, lambda sftp: sftp.listdir_attr(folder))
        if found is None:
            raise missing_folder(folder)
        regular = [each for each in found if each.st_mode is not None and stat.S_ISREG(each.st_mode) and "/" not in each.filename]
        return [Entry(each.filename, each.st_size or 0, (each.st_mtime or 0) * 1_000_000) for each in regular]

    def read(self, folder: str, name: str) -> bytes:
        """A file's content."""
        path = posixpath.join(folder, name)
        content = self._read(path, lambda sftp: _content(sftp, path), factor=TRANSFER_FACTOR)
        if content is None:
            raise RetryLater(f"files: {name} is gone", cause="file_changed")
        return content

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Write under a hidden name, then rename."""
        unfinished = posixpath.join(folder, temporary(name))
        written = self._read(
            folder, lambda sftp: sftp.putfo(io.BytesIO(content), unfinished, confirm=True), factor=TRANSFER_FACTOR
        )
        if written is None:
            raise missing_folder(folder)
        if not self._rename(unfinished, posixpath.join(folder, name)):
            raise RetryLater(f"files: {folder}: the upload was taken away before it had its name", cause="sftp_failure")

    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        """Move a file within the server."""
        if not self._rename(posixpath.join(folder, name), posixpath.join(to_folder, to_name)):
            self.entries(to_folder)  # if that is there, it was the file that is gone

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._transport is not None:
                self._transport.close()
            self._transport = self._session = None

    def _read(self, path: str, act: Callable[[paramiko.SFTPClient], T], *, factor: int = 1) -> T | None:
        """Do what may be done twice; ``None`` where ``path`` does not exist."""
        try:
            return self._once(path, act, factor)
        except OutcomeUnknown:
            log.info("sftp.connection_lost", host=self._settings.host)
        try:
            return self._once(path, act, factor)
        except OutcomeUnknown as error:
            raise RetryLater(str(error), cause=error.cause) from None

    def _rename(self, old: str, new: str) -> bool:
        """Rename; false where there is no such file, or no such folder."""

        def rename(sftp: paramiko.SFTPClient) -> bool:
            sftp.posix_rename(old, new)
            return True

        return self._once(old, rename) or False

    def _once(self, path: str, act: Callable[[paramiko.SFTPClient], T], factor: int = 1) -> T | None:
        with self._lock:
            transport, session = self._connected()
            try:
                with self._within(transport, factor):
                    return act(session)
            except UnicodeError:
                raise Refused(
                    f"files: {path}: the SFTP server shows a name that is not UTF-8; rename that file", cause="unreadable_name"
                ) from None
            except (*_LOST, OSError) as error:
                if isinstance(error, OSError) and not isinstance(error, _LOST) and transport.is_active():
                    if error.errno == errno.ENOENT:
                        return None
                    raise _refusal(error, path) from None
                self.close()
                message = f"files: the SFTP server did not answer: {type(error).__name__}"
                raise OutcomeUnknown(message, cause="no_answer") from None

    @contextmanager
    def _within(self, transport: paramiko.Transport, factor: int = 1) -> Iterator[None]:
        """Close the connection unless the block ends in time."""
        timer = threading.Timer(self._settings.timeout_seconds * factor, transport.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _connected(self) -> tuple[paramiko.Transport, paramiko.SFTPClient]:
        if self._transport is not None and self._session is not None and self._transport.is_active():
            return self._transport, self._session
        self.close()
        try:
            self._transport = transport = self._reached()
            with self._within(transport):
                self._meet(transport)
                self._session = session = _session(transport, self._settings.timeout_seconds)
        except (*_LOST, OSError, UnicodeError) as error:
            self.close()
            message = f"files: cannot connect to the SFTP server: {type(error).__name__}"
            raise RetryLater(message, cause="cannot_connect") from None
        except HubError:
            self.close()
            raise
        return transport, session

    def _reached(self) -> paramiko.Transport:
        settings = self._settings
        sock = self._network.connect(settings.host or "", settings.port, timeout_seconds=settings.timeout_seconds)
        return paramiko.Transport(sock)

    def _meet(self, transport: paramiko.Transport) -> None:
        """Make sure that it is the pinned server, and sign in."""
        settings = self._settings
        expected_kind, _, blob = (settings.host_key or "").partition(" ")
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = settings.timeout_seconds
        transport.get_security_options().key_types = _offers(expected_kind)
        try:
            transport.start_client(timeout=settings.timeout_seconds)
        except IncompatiblePeer:
            raise _wrong_host_key("has no key of this type, or no algorithm in common with us") from None
        if not hmac.compare_digest(transport.get_remote_server_key().asbytes(), base64.b64decode(blob)):
            raise _wrong_host_key("shows another key")
        self._sign_in(transport)

    def _sign_in(self, transport: paramiko.Transport) -> None:
        settings = self._settings
        username = settings.username or ""
        field = "password" if settings.password is not None else "private_key"
        try:
            if settings.password is not None:
                asked_besides = transport.auth_password(username, settings.password.get_secret_value(), fallback=False)
            else:
                asked_besides = transport.auth_publickey(username, _private_key(settings))
        except paramiko.AuthenticationException as error:
            if _NO_ANSWER.search(str(error)):
                raise RetryLater("files: the SFTP server did not answer the sign-in", cause="cannot_connect") from None
            message = f"files: the SFTP server does not accept username and {field}; mend them"
            raise Misconfigured(message, cause="unauthenticated", field=field) from None
        if asked_besides:
            message = "files: the SFTP server asks for a second proof besides; let this user in with one"
            raise Misconfigured(message, cause="unauthenticated", field=field)


def _session(transport: paramiko.Transport, timeout_seconds: float) -> paramiko.SFTPClient:
    channel = transport.open_session(timeout=timeout_seconds)
    channel.settimeout(timeout_seconds)
    channel.invoke_subsystem("sftp")
    return paramiko.SFTPClient(channel)


def _content(sftp: paramiko.SFTPClient, path: str) -> bytes:
    with sftp.open(path, "rb") as file:
        file.prefetch()
        return file.read()


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


def _private_key(settings: SftpSettings) -> paramiko.PKey:
    text = settings.private_key.get_secret_value() if settings.private_key else ""
    passphrase = settings.private_key_passphrase.get_secret_value() if settings.private_key_passphrase else None
    for form in _KEY_FORMS:
        try:
            return form.from_private_key(io.StringIO(text), password=passphrase)
        except Exception:  # noqa: BLE001, S112 - what is garbled makes paramiko's parsers raise anything, AssertionError too
            continue
    raise Misconfigured("private_key: not a usable key, or the wrong passphrase", cause="unusable_key", field="private_key")
