"""The wire to one directory: searches to the last page, writes sent once, everything else in our taxonomy."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import ldap
import ldap.dn
from ldap.controls.libldap import SimplePagedResultsControl
from ldap.controls.readentry import PostReadControl
from ldap.filter import escape_filter_chars

from connectors.contract import ALONE, Surroundings
from connectors.ldap.connection import Connection, ConnectionPool, bound, close
from connectors.ldap.records import Entry, Filter, encoded
from connectors.ldap.results import translated
from connectors.ldap.settings import LdapSettings
from workforce.errors import HubError, Refused
from workforce.ports import CheckResult

T = TypeVar("T")
Changes = Sequence[tuple[str, Sequence[bytes]]]


def equals(attribute: str, value: str) -> Filter:
    """The filter ``(attribute=value)``. Whatever ``value`` holds, it stays one value (RFC 4515 §3). Raises ``Refused`` for a broken string."""
    encoded(attribute, value)
    return Filter(f"({attribute}={escape_filter_chars(value)})")


def random_password() -> str:
    """A password that nobody knows: 256 random bits, with the classes of characters that quality rules ask for."""
    return f"{secrets.token_urlsafe(32)}aA1!"


class LdapClient:
    """One directory, used from any thread. Connects on first use."""

    def __init__(self, settings: LdapSettings, around: Surroundings = ALONE) -> None:
        del around  # a directory lies inside by nature, and libldap resolves names itself
        self.settings = settings
        self._pool = ConnectionPool(settings)

    def check(self) -> CheckResult:
        """Bind and look at the bases. Raises nothing."""
        bases = [*self.settings.account_bases, self.settings.groups_base]
        try:
            missing = [base for base in bases if not self._exists(base)]
        except HubError as error:
            return CheckResult(ok=False, detail=str(error))
        if missing:
            return CheckResult(ok=False, detail=f"ldap: not there, or not readable by bind_dn: {'; '.join(missing)}")
        return CheckResult(ok=True, detail=f"bound as {self.settings.bind_dn}; people, groups and disabled accounts are readable")

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.clear()

    def search(self, base: str, condition: Filter, attributes: Sequence[str]) -> list[Entry]:
        """Every entry below ``base`` (inclusive) that meets ``condition``; all pages, or an error, never a part."""
        return self._read("search", lambda connection: self._pages(connection, base, condition, attributes))

    def add(self, dn: str, attributes: Changes) -> str:
        """Add an entry; its entryUUID, which the same answer carries (RFC 4527 post-read)."""

        def call(connection: Connection) -> str:
            post_read = PostReadControl(True, ["entryUUID"])
            *_, controls = connection.add_ext_s(
                dn, [(name, list(values)) for name, values in attributes], serverctrls=[post_read]
            )
            return _entry_uuid(controls)

        return self._write("add an account", call)

    def replace(self, dn: str, changes: Changes) -> None:
        """Replace attributes in one atomic operation, in the order given; no values removes the attribute."""
        mods = [(ldap.MOD_REPLACE, name, list(values) or None) for name, values in changes]
        self._write("modify an account", lambda connection: connection.modify_s(dn, mods))

    def replace_password(self, dn: str, password: str, *, lock: str | None) -> None:
        """Set a password; ``lock`` is the value of ``pwdAccountLockedTime`` that the entry has and keeps.

        A change of password lifts the lock, and slapd 2.5.13 lifts even one that the same operation sets, unless the operation itself
        deletes it first and adds it again (measured). Raises ``RetryLater`` when the lock went away in the meantime.
        """
        mods: list[Any] = [(ldap.MOD_REPLACE, "userPassword", [password.encode()])]
        if lock is not None:
            gone = (ldap.MOD_DELETE, "pwdAccountLockedTime", None)
            back = (ldap.MOD_ADD, "pwdAccountLockedTime", [lock.encode()])
            mods = [gone, *mods, back]
        self._write("replace a password", lambda connection: connection.modify_s(dn, mods))

    def move(self, dn: str, new_superior: str) -> None:
        """Move an entry below ``new_superior``; its RDN stays."""
        rdn = ldap.dn.dn2str(ldap.dn.str2dn(dn)[:1])
        self._write("move an account", lambda connection: connection.rename_s(dn, rdn, new_superior, 1))

    def add_value(self, dn: str, attribute: str, value: str) -> None:
        """Add one value; one that is there already is success."""
        self._write_unless(ldap.TYPE_OR_VALUE_EXISTS, dn, [(ldap.MOD_ADD, attribute, [value.encode()])])

    def remove_value(self, dn: str, attribute: str, value: str, *, placeholder: str) -> None:
        """Remove one value; one that is not there is success. ``placeholder`` takes the place of a last, mandatory value."""
        remove = (ldap.MOD_DELETE, attribute, [value.encode()])
        try:
            self._write_unless(ldap.NO_SUCH_ATTRIBUTE, dn, [remove])
        except Refused as error:
            if error.cause != "object_class_violation":
                raise
            add = (ldap.MOD_ADD, attribute, [placeholder.encode()])
            self._write_unless(ldap.NO_SUCH_ATTRIBUTE, dn, [add, remove])

    def binds(self, dn: str, password: str) -> bool:
        """Whether ``dn`` can bind with ``password``, tried on a connection of its own. Raises ``RetryLater`` when it cannot be tried."""
        try:
            close(bound(self.settings, dn, password))
        except ldap.INVALID_CREDENTIALS:
            return False
        except ldap.LDAPError as error:
            raise translated(error, "try to sign in", writing=False) from None
        return True

    def _exists(self, base: str) -> bool:
        def call(connection: Connection) -> Any:
            try:
                return connection.search_s(base, ldap.SCOPE_BASE, attrlist=["1.1"])
            except ldap.NO_SUCH_OBJECT:
                return []

        return bool(self._read("check", call))

    def _pages(self, connection: Connection, base: str, condition: Filter, attributes: Sequence[str]) -> list[Entry]:
        page = SimplePagedResultsControl(True, self.settings.page_size, "")
        entries: list[Entry] = []
        while True:
            request = connection.search_ext(base, ldap.SCOPE_SUBTREE, condition, list(attributes), serverctrls=[page])
            _, found, _, controls = connection.result3(request)
            entries += [_entry(dn, values) for dn, values in found]
            page.cookie = _cookie(controls)
            if not page.cookie:
                return entries

    def _read(self, doing: str, call: Callable[[Connection], T]) -> T:
        """Tried again on a fresh connection when the first was dead, as after a restart of the server."""
        try:
            with self._pool.borrow() as connection:
                return call(connection)
        except ldap.SERVER_DOWN:
            self._pool.clear()
            return self._read_once(doing, call)
        except ldap.LDAPError as error:
            raise translated(error, doing, writing=False) from None

    def _read_once(self, doing: str, call: Callable[[Connection], T]) -> T:
        try:
            with self._pool.borrow() as connection:
                return call(connection)
        except ldap.LDAPError as error:
            raise translated(error, doing, writing=False) from None

    def _write(self, doing: str, call: Callable[[Connection], T]) -> T:
        try:
            with self._pool.borrow(alive=True) as connection:
                return call(connection)
        except ldap.LDAPError as error:
            raise translated(error, doing, writing=True) from None

    def _write_unless(self, done_already: type[Exception], dn: str, mods: list[Any]) -> None:
        def call(connection: Connection) -> None:
            try:
                connection.modify_s(dn, mods)
            except done_already:
                return

        self._write("change a group", call)


def _entry(dn: str | None, values: Mapping[str, Sequence[bytes]]) -> Entry:
    if dn is None:  # a search reference: part of the answer is at another server
        raise ldap.REFERRAL
    return Entry(dn, values)


def _cookie(controls: Sequence[Any]) -> Any:
    return next((c.cookie for c in controls if c.controlType == SimplePagedResultsControl.controlType), "")


def _entry_uuid(controls: Sequence[Any]) -> str:
    """Raises ``ldap.DECODING_ERROR``, which for a write is an unknown outcome: the entry is there, its id is not."""
    for control in controls:
        if control.controlType == PostReadControl.controlType:
            return bytes(control.entry["entryUUID"][0]).decode()
    raise ldap.DECODING_ERROR
