"""Connections to a directory: always encrypted, always verified, kept open and shared between threads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import ldap

from connectors.http import tls_context
from connectors.protocols.ldapv3.results import LOST, ResultCodes
from connectors.protocols.ldapv3.settings import LdapV3Settings
from workforce.errors import HubError, Misconfigured, RetryLater
from workforce.urgency import is_revoking

Connection = Any  # python-ldap has no types: ldap.ldapobject.SimpleLDAPObject


def bound(settings: LdapV3Settings, dn: str, password: str) -> Connection:
    """A fresh connection, encrypted and verified before ``dn`` binds on it. The caller closes it with ``unbind_s``.

    Raises ``ldap.LDAPError``, ``RetryLater``, ``Misconfigured``. An empty password is refused here, because servers may take it for an
    anonymous bind and answer success (RFC 4513 §5.1.2).
    """
    if not password:
        raise Misconfigured("ldap: an empty password is never tried; set bind_password", field="bind_password")
    connection = _encrypted(settings)
    try:
        connection.simple_bind_s(dn, password)
    except ldap.LDAPError:
        close(connection)
        raise
    return connection


def is_reachable(settings: LdapV3Settings) -> bool:
    """Whether a connection can be made, encrypted and verified, at the first try."""
    try:
        close(_encrypted(settings))
    except (HubError, ldap.LDAPError):
        return False
    return True


def _encrypted(settings: LdapV3Settings) -> Connection:
    return _with_starttls(settings) if settings.url.startswith("ldap://") else _with_ldaps(settings)


def _with_starttls(settings: LdapV3Settings) -> Connection:
    """StartTLS on a socket of ours, because libldap waits for ever for a server that falls silent in the handshake (2.5, GnuTLS)."""
    dialled = _dial(settings)
    with closing(dialled.dup()) as ours:
        connection = _configured(ldap.initialize(settings.url, fileno=dialled.detach()), settings)
        hang_up = threading.Timer(settings.timeout_seconds, _hang_up, (ours,))
        hang_up.start()
        try:
            connection.start_tls_s()
        except ldap.LDAPError:
            close(connection)
            raise
        finally:
            hang_up.cancel()
            hang_up.join()
    return connection


def _with_ldaps(settings: LdapV3Settings) -> Connection:
    """TLS from the first byte. A handshake of our own comes first, with a deadline, which libldap's has not.

    libldap must make this connection itself: on a socket that it is given it speaks ``ldaps://`` in clear text (seen with 2.5.13). It
    does so in a thread that is left behind in the rare case that the server falls silent between the two handshakes.
    """
    host = urlsplit(settings.url).hostname
    try:
        with _dial(settings) as dialled:
            dialled.settimeout(settings.timeout_seconds)
            tls_context(settings.ca_file).wrap_socket(dialled, server_hostname=host).close()
    except OSError as error:  # ssl.SSLError among them
        raise _unreachable(error) from None
    connection = _configured(ldap.initialize(settings.url), settings)
    answers: Future[bool] = Future()
    threading.Thread(target=lambda: answers.set_result(_answers(connection)), name="ldaps-handshake", daemon=True).start()
    try:
        if answers.result(settings.timeout_seconds):
            return connection
    except TimeoutError as error:
        raise _unreachable(error) from None
    close(connection)
    raise _unreachable(ldap.SERVER_DOWN())


def _configured(connection: Connection, settings: LdapV3Settings) -> Connection:
    connection.set_option(ldap.OPT_PROTOCOL_VERSION, ldap.VERSION3)
    connection.set_option(ldap.OPT_REFERRALS, 0)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, settings.network_timeout_seconds)
    connection.set_option(ldap.OPT_TIMEOUT, settings.timeout_seconds)
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
    if settings.ca_file:
        connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(settings.ca_file))
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # last: it is what makes the TLS options above take effect
    return connection


def _dial(settings: LdapV3Settings) -> socket.socket:
    if settings.ca_file and not settings.ca_file.is_file():
        raise Misconfigured(f"ca_file: there is no file {settings.ca_file}", field="ca_file")
    address = urlsplit(settings.url)
    port = address.port or (636 if address.scheme == "ldaps" else 389)
    try:
        dialled = socket.create_connection((address.hostname, port), settings.network_timeout_seconds)
    except OSError as error:
        raise _unreachable(error) from None
    dialled.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # or what fills several packets waits 40 ms for an acknowledgement
    dialled.settimeout(None)
    return dialled


def _hang_up(ours: socket.socket) -> None:
    with suppress(OSError):
        ours.shutdown(socket.SHUT_RDWR)


def close(connection: Connection) -> None:
    """Close a connection, dead or alive."""
    with suppress(ldap.LDAPError):
        connection.unbind_s()


class ConnectionPool:
    """At most ``max_connections`` connections bound as our service account, and for revocations as many more as they need.

    A thread has one to itself while it borrows it. A StartTLS bind costs 3 to 5 ms against 0.3 ms for an operation (measured on slapd 2.5,
    loopback), so connections are kept.
    """

    def __init__(self, settings: LdapV3Settings, results: ResultCodes) -> None:
        self._settings, self._results = settings, results
        self._free = threading.BoundedSemaphore(settings.max_connections)
        self._idle: list[Connection] = []

    @contextmanager
    def borrow(self, *, alive: bool = False) -> Iterator[Connection]:
        """A connection for the block. ``alive`` asks the server first, so that a write never sets out on a dead connection.

        Raises ``RetryLater`` or ``Misconfigured`` when none can be had; lets ``ldap.LDAPError`` of the block through.
        """
        waits = not is_revoking()
        if waits and not self._free.acquire(timeout=self._settings.timeout_seconds):
            raise RetryLater("ldap: all connections are in use", cause="pool_exhausted")
        try:
            connection = self._take(alive=alive)
            try:
                yield connection
            except BaseException as error:  # what was refused may be the connection's own fault: a bind can lapse
                self._discard(connection, others=isinstance(error, LOST))
                raise
            self._idle.append(connection)
        finally:
            if waits:
                self._free.release()

    def clear(self) -> None:
        """Close every idle connection."""
        while (connection := self._pop()) is not None:
            close(connection)

    def _take(self, *, alive: bool) -> Connection:
        connection = self._pop()
        if connection is not None and alive and not _answers(connection):
            self._discard(connection, others=True)
            connection = None
        return self._open() if connection is None else connection

    def _discard(self, connection: Connection, *, others: bool) -> None:
        """Close it, and the idle ``others`` where it was lost: each of them would cost a time-out of its own."""
        close(connection)
        if others:
            self.clear()

    def _pop(self) -> Connection | None:
        with suppress(IndexError):  # list.pop is atomic; asking for the length first would not be
            return self._idle.pop()
        return None

    def _open(self) -> Connection:
        try:
            return bound(self._settings, self._settings.bind_dn, self._settings.bind_password.get_secret_value())
        except LOST as error:
            raise _unreachable(error) from None
        except ldap.LDAPError as error:
            raise self._results.of_bind(error) from None


def _answers(connection: Connection) -> bool:
    """Whether an answer comes, be it that the server does not know "who am I" (RFC 4532; Samba)."""
    try:
        connection.whoami_s()
    except LOST:
        return False
    except ldap.LDAPError:
        return True
    return True


def _unreachable(error: Exception) -> HubError:
    """The error for a failed connect. Libldap cannot tell a refused certificate from a broken line, so both are named."""
    return RetryLater(
        f"ldap: no encrypted connection ({type(error).__name__.lower()}); check that the server runs at url, "
        "that its certificate names that host, and that ca_file holds its authority",
        cause="cannot_connect",
    )
