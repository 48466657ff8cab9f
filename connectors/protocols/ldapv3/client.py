"""The wire to one directory: searches to the last page, writes sent once, everything else in our taxonomy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from time import time
from typing import Any, TypeVar

import ldap
import ldap.dn
from ldap.controls.libldap import MatchedValuesControl, SimplePagedResultsControl
from ldap.controls.readentry import PostReadControl
from ldap.controls.simple import ValueLessRequestControl

from connectors.contract import faults_as_result
from connectors.protocols.ldapv3.connection import Connection, ConnectionPool, bound, close
from connectors.protocols.ldapv3.dialect import ServerDialect
from connectors.protocols.ldapv3.entries import Entry, Filter, Mods
from connectors.protocols.ldapv3.groups import Group
from connectors.protocols.ldapv3.pipeline import UNDER_WAY, modify_all
from connectors.protocols.ldapv3.settings import LdapV3Settings
from workforce.errors import HubError
from workforce.ports import CheckResult

T = TypeVar("T")
EVERYTHING = Filter("(objectClass=*)")


@dataclass(frozen=True, slots=True)
class _Search:
    """What is searched for below ``base``. Of the values only those are given that meet one of ``only``, where there are any."""

    base: str
    condition: Filter
    attributes: Sequence[str]
    only: Sequence[Filter] = ()


class LdapV3Client:
    """One directory, used from any thread. Connects on first use.

    Nothing of the surroundings is asked for: a directory lies inside by nature, and libldap resolves names itself.
    """

    def __init__(self, settings: LdapV3Settings, dialect: ServerDialect) -> None:
        self.settings, self.dialect = settings, dialect
        self._pool = ConnectionPool(settings, dialect.results)

    @faults_as_result
    def check(self) -> CheckResult:
        """Bind, and look at the bases and at what kind of server it is. Raises nothing."""
        bases = [*self.settings.account_bases, self.settings.groups_base]
        missing = [base for base in bases if self.entry(base, ("1.1",)) is None]
        root = self.entry("", self.dialect.root_attributes)
        if missing:
            return CheckResult(ok=False, detail=f"ldap: not there, or not readable by bind_dn: {'; '.join(missing)}")
        if instead := self.dialect.instead(root) if root else None:
            return CheckResult(ok=False, detail=f"ldap: the server is of another kind; {instead}")
        return CheckResult(ok=True, detail=f"bound as {self.settings.bind_dn}; people, groups and disabled accounts are readable")

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.clear()

    def clock(self) -> tuple[str, int]:
        """Whose stamps entries carry (those of two clocks do not compare), and one that it has surely reached."""
        return f"{self.settings.url} {self.settings.suffix}", int(time()) - self.dialect.stamp_overlap

    @cached_property
    def chooses_values(self) -> bool:
        """Whether the server can give those values alone that were asked for (RFC 3876). slapd can, 389 Directory Server 2.3.1 cannot."""
        root = self.entry("", ("supportedControl",))
        return root is not None and MatchedValuesControl.controlType in root.texts("supportedControl")

    def search(self, base: str, condition: Filter, attributes: Sequence[str], *, only: Sequence[Filter] = ()) -> list[Entry]:
        """Every entry below ``base`` (inclusive) that meets ``condition``; all pages, or an error, never a part.

        Of the entries' values those are given that meet one of ``only``, where there are any; only for a server that ``chooses_values``.
        """
        search = _Search(base, condition, attributes, only)
        return self._read("search", lambda connection: self._pages(connection, search))

    def search_each(self, base: str, conditions: Sequence[Filter], attributes: Sequence[str]) -> list[list[Entry]]:
        """The same for each of several conditions, with tens of requests under way at a time; all of them, or an error."""
        searches = [_Search(base, condition, attributes) for condition in conditions]
        found: list[list[Entry]] = []
        for start in range(0, len(searches), UNDER_WAY):
            some = searches[start : start + UNDER_WAY]
            found += self._read("search", partial(self._some, some))
        return found

    def first_page(self, base: str, condition: Filter, attributes: Sequence[str]) -> tuple[list[Entry], bool]:
        """The first entries of the same, and whether that is all of them."""
        search = _Search(base, condition, attributes)

        def call(connection: Connection) -> tuple[list[Entry], bool]:
            entries, cookie = self._page(connection, search, "")
            if cookie:
                self._page(connection, search, cookie, size=0)  # "we want no more" (RFC 2696 §3)
            return entries, not cookie

        return self._read("search", call)

    def entry(self, dn: str, attributes: Sequence[str]) -> Entry | None:
        """The entry at ``dn``; the empty DN is the server's rootDSE."""

        def call(connection: Connection) -> Entry | None:
            try:
                found = connection.search_s(dn, ldap.SCOPE_BASE, EVERYTHING, list(attributes))
            except ldap.NO_SUCH_OBJECT:
                return None
            return self._entry(connection, *found[0]) if found else None

        return self._read("read an entry", call)

    def add(self, dn: str, attributes: Sequence[tuple[str, list[bytes]]], wanted: Sequence[str]) -> Entry | None:
        """Add an entry; it as the same answer shows it (RFC 4527 post-read), or ``None`` where the server cannot do that."""

        def call(connection: Connection) -> Entry | None:
            post_read = PostReadControl(False, list(wanted))
            *_, controls = connection.add_ext_s(dn, list(attributes), serverctrls=[post_read])
            return next((Entry(dn, c.entry) for c in controls if c.controlType == PostReadControl.controlType), None)

        return self._write("add an account", call)

    def modify(self, dn: str, mods: Mods, *, done_already: Callable[[ldap.LDAPError], bool] = lambda _: False) -> None:
        """One atomic modification. An error that ``done_already`` is success."""
        try:
            with self._pool.borrow(alive=True) as connection:
                connection.modify_s(dn, list(mods))
        except ldap.LDAPError as error:
            if not done_already(error):
                raise self.dialect.results.of_change(error, mods) from None

    def modify_all(self, changes: Sequence[tuple[str, Mods]]) -> list[HubError | None]:
        """Many modifications, tens under way at a time on one connection; each one's error or ``None``, in their order."""
        return modify_all(self._pool, self.dialect.results, changes)

    def move(self, dn: str, new_superior: str) -> None:
        """Move an entry below ``new_superior``; its RDN stays."""
        rdn = ldap.dn.dn2str(ldap.dn.str2dn(dn)[:1])
        self._write("move an account", lambda connection: connection.rename_s(dn, rdn, new_superior, 1))

    def add_member(self, group: Group, member: str) -> None:
        """Add to a group; one that is there already is success."""
        add = (ldap.MOD_ADD, group.attribute, [member.encode()])
        self.modify(group.dn, [add], done_already=self.dialect.is_member_already)

    def remove_member(self, group: Group, member: str) -> None:
        """Remove from a group; one that is not there is success."""
        remove = (ldap.MOD_DELETE, group.attribute, [member.encode()])
        self.modify(group.dn, [remove], done_already=self.dialect.is_no_member)

    def binds(self, dn: str, password: str) -> bool:
        """Whether ``dn`` can bind with ``password``, tried on a connection of its own. Raises ``RetryLater`` when it cannot be tried."""
        try:
            close(bound(self.settings, dn, password))
        except self.dialect.not_signed_in:
            return False
        except ldap.LDAPError as error:
            raise self.dialect.results.translated(error, "try to sign in", writing=False) from None
        return True

    def _pages(self, connection: Connection, search: _Search) -> list[Entry]:
        entries, cookie = self._page(connection, search, "")
        while cookie:
            more, cookie = self._page(connection, search, cookie)
            entries += more
        return entries

    def _some(self, searches: Sequence[_Search], connection: Connection) -> list[list[Entry]]:
        """Not in pages: with several such under way, 389 Directory Server 2.3.1 leaves out pages and does not say so (measured).

        An answer that is cut off without them does say so, and is asked for again by itself.
        """
        requests = [self._ask(connection, search) for search in searches]
        answers = [self._unless_cut_off(connection, request) for request in requests]
        found = zip(searches, answers, strict=True)
        return [self._pages(connection, search) if entries is None else entries for search, entries in found]

    def _unless_cut_off(self, connection: Connection, request: int) -> list[Entry] | None:
        try:
            return self._answer(connection, request)[0]
        except ldap.SIZELIMIT_EXCEEDED:
            return None

    def _page(self, connection: Connection, search: _Search, cookie: Any, size: int | None = None) -> tuple[list[Entry], Any]:
        page = SimplePagedResultsControl(True, self.settings.page_size if size is None else size, cookie)
        return self._answer(connection, self._ask(connection, search, page))

    def _ask(self, connection: Connection, search: _Search, *more: Any) -> int:
        controls = [*more, *(ValueLessRequestControl(oid, True) for oid in self.dialect.search_controls)]
        if search.only:
            controls.append(MatchedValuesControl(True, f"({''.join(search.only)})"))
        where = (search.base, ldap.SCOPE_SUBTREE, search.condition, list(search.attributes))
        return int(connection.search_ext(*where, serverctrls=controls))

    def _answer(self, connection: Connection, request: int) -> tuple[list[Entry], Any]:
        _, found, _, answered = connection.result3(request)
        return [self._entry(connection, dn, values) for dn, values in found], _cookie(answered)

    def _entry(self, connection: Connection, dn: str | None, values: Mapping[str, Sequence[bytes]]) -> Entry:
        if dn is None:  # a search reference: part of the answer is at another server
            raise ldap.REFERRAL
        return Entry(dn, self._whole(connection, dn, values))

    def _whole(self, connection: Connection, dn: str, values: Mapping[str, Sequence[bytes]]) -> Mapping[str, Sequence[bytes]]:
        """The attributes of an entry with all their values; for servers that give only a part of long lists at a time."""
        del connection, dn
        return values

    def _read(self, doing: str, call: Callable[[Connection], T], *, tries: int = 2) -> T:
        """Tried again on a fresh connection when the first was dead, as after a restart of the server."""
        try:
            with self._pool.borrow() as connection:
                return call(connection)
        except ldap.LDAPError as error:
            if isinstance(error, ldap.SERVER_DOWN) and tries > 1:
                return self._read(doing, call, tries=tries - 1)
            raise self.dialect.results.translated(error, doing, writing=False) from None

    def _write(self, doing: str, call: Callable[[Connection], T]) -> T:
        try:
            with self._pool.borrow(alive=True) as connection:
                return call(connection)
        except ldap.LDAPError as error:
            raise self.dialect.results.translated(error, doing, writing=True, guarded=False) from None


def _cookie(controls: Sequence[Any]) -> Any:
    return next((c.cookie for c in controls if c.controlType == SimplePagedResultsControl.controlType), "")
