"""What a kind of directory server has to say for itself, and what the servers that follow the RFCs share."""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import ldap

from connectors.ldap.records import MARKER, AccountEntry, Entry, Filter, Mods, encoded, equals, generalized_time, instant
from workforce.access import DesiredAccount

Attributes = Sequence[tuple[str, list[bytes]]]

CLOCK_SKEW = timedelta(minutes=5)
"""How far the directory's clocks may be off from ours and from one another."""


def random_password() -> str:
    """A password that nobody knows: 256 random bits, with the classes of characters that quality rules ask for."""
    return f"{secrets.token_urlsafe(32)}aA1!"


class ServerDialect(ABC):
    """One kind of server: its attributes, and the requests that block, expire and sign out an account. It does no I/O.

    Where a method gives several ``Mods``, they are requests to be sent one after the other.
    """

    login: str
    """The attribute that holds the sign-in name."""
    attributes: tuple[str, ...]
    """What is read of every account."""
    people: Filter
    """Who is an account at all."""
    reserved: re.Pattern[str]
    """Attributes that no mapping may set; matched at the beginning of the name."""
    search_controls: tuple[str, ...] = ()
    """Controls without a value that go with every search, by OID."""
    not_signed_in: tuple[type[ldap.LDAPError], ...] = (ldap.INVALID_CREDENTIALS,)
    """What the server answers to a bind that it does not allow."""
    created_blocked = False
    """Whether a new entry has to be enabled after it was added."""

    @abstractmethod
    def by_id(self, account_id: str) -> Filter | None:
        """The filter for an immutable id; ``None`` when it does not have the form of one."""

    @abstractmethod
    def account(self, entry: Entry, now: datetime) -> AccountEntry:
        """Read an entry that was searched with ``attributes``."""

    @abstractmethod
    def new_entry(self, account: DesiredAccount, mapped: Mapping[str, list[bytes]], people_base: str) -> tuple[str, Attributes]:
        """The DN and the attributes of a new account. The DN is made of the marker, never of a person's name."""

    @abstractmethod
    def blocking(self, account: AccountEntry) -> Sequence[Mods]:
        """Block sign-in."""

    @abstractmethod
    def enabling(self, account: AccountEntry) -> Sequence[Mods]:
        """Allow sign-in."""

    @abstractmethod
    def expiring(self, expires_at: datetime) -> Mods:
        """Write the native expiry."""

    @abstractmethod
    def new_password(self, account: AccountEntry, password: str) -> Mods:
        """Set a password; a block stays in force."""

    def require_usable(self, mapped: Mapping[str, list[bytes]]) -> None:
        """Raise ``Refused`` for values, by lower-case attribute, that the server should not be asked to take."""
        del mapped

    def by_login(self, login: str) -> Filter:
        """The filter for a sign-in name."""
        return equals(self.login, login)

    def signing_out(self, account: AccountEntry) -> Sequence[Mods]:
        """Make every password that a client may remember useless."""
        return [self.new_password(account, random_password())]

    def is_member_already(self, error: ldap.LDAPError) -> bool:
        """Whether an addition to a group failed because it was there (RFC 4511 §4.6)."""
        return isinstance(error, ldap.TYPE_OR_VALUE_EXISTS)

    def is_no_member(self, error: ldap.LDAPError) -> bool:
        """Whether a removal from a group failed because it was not there (RFC 4511 §4.6)."""
        return isinstance(error, ldap.NO_SUCH_ATTRIBUTE)

    # A stamp is a whole number that grows with every change of an entry: here modifyTimestamp as seconds since 1970.

    stamp_overlap = int(CLOCK_SKEW.total_seconds())
    """How much is read again, for changes that arrive from another replica with an older stamp."""
    stamp_source: tuple[str, str] | None = None
    """Attributes of the rootDSE that tell whose stamps they are and the latest one; ``None``: the clock."""

    def stamp(self, entry: Entry) -> int:
        """When the entry changed last."""
        changed = instant(entry.first("modifyTimestamp"))
        return int(changed.timestamp()) if changed else 0

    def stamped(self, first: int, last: int | None) -> Filter:
        """The filter for stamps from ``first`` to ``last``, both included; ``None``: without end. No stamp at all counts as 0."""
        since = f"(modifyTimestamp>={_seconds(first)})" if first else ""
        until = f"(!(modifyTimestamp>={_seconds(last + 1)}))" if last is not None else ""
        return Filter(f"(&(objectClass=*){since}{until})")


def _seconds(stamp: int) -> str:
    return generalized_time(datetime.fromtimestamp(stamp, UTC))


class InetOrgPersonDialect(ServerDialect):
    """What OpenLDAP and 389 Directory Server share: inetOrgPerson (RFC 2798), named by the marker, with ``uid`` as login."""

    login = "uid"
    people = Filter("(objectClass=person)")
    object_classes: tuple[bytes, ...] = (b"inetOrgPerson",)
    expiry: str
    """The attribute of the native expiry."""
    block: Mapping[str, bytes]
    """Attributes and values that block an account, written and taken away in one atomic operation."""

    def new_entry(self, account: DesiredAccount, mapped: Mapping[str, list[bytes]], people_base: str) -> tuple[str, Attributes]:
        """An inetOrgPerson with the classes of the mapping, a random password and the expiry."""
        classes = {value.lower(): value for value in [*self.object_classes, *mapped.get("objectclass", [])]}
        rest = [(name, values) for name, values in mapped.items() if values and name not in {"objectclass", self.login}]
        ours = [
            ("objectClass", list(classes.values())),
            (MARKER, encoded(MARKER, account.marker)),
            (self.login, encoded(self.login, account.login)),
            ("userPassword", [random_password().encode()]),
            (self.expiry, [generalized_time(account.expires_at).encode()]),
        ]
        return f"{MARKER}={account.marker},{people_base}", [*ours, *rest]  # base 32: nothing to escape

    def blocking(self, account: AccountEntry) -> Sequence[Mods]:
        """Write ``block``, whatever was read."""
        del account
        return [[(ldap.MOD_REPLACE, name, [value]) for name, value in self.block.items()]]

    def enabling(self, account: AccountEntry) -> Sequence[Mods]:
        """Take ``block`` away."""
        del account
        return [[(ldap.MOD_REPLACE, name, None) for name in self.block]]

    def expiring(self, expires_at: datetime) -> Mods:
        """Replace it, rounded up to the whole second."""
        return [(ldap.MOD_REPLACE, self.expiry, [generalized_time(expires_at).encode()])]

    def new_password(self, account: AccountEntry, password: str) -> Mods:
        """Replace ``userPassword``."""
        del account
        return [(ldap.MOD_REPLACE, "userPassword", [password.encode()])]
