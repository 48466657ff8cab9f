"""What a kind of directory server has to say for itself. Where it says nothing, it follows the RFCs."""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import ldap

from connectors.protocols.ldapv3.entries import AccountEntry, Entry, Filter, Mods, any_of, equals, generalized_time, instant
from connectors.protocols.ldapv3.results import ResultCodes
from workforce.access import DesiredAccount, LastChange

Attributes = Sequence[tuple[str, list[bytes]]]

CLOCK_SKEW = timedelta(minutes=5)
"""How far the directory's clocks may be off from ours and from one another."""


_LEGIBLE = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Letters and digits that nobody takes for one another."""


def random_password() -> str:
    """A password that nobody knows: 256 random bits, with the classes of characters that quality rules ask for."""
    return f"{secrets.token_urlsafe(32)}aA1!"


def typed_password() -> str:
    """A password that a person types once: 116 random bits in four parts, with the same classes of characters."""
    while True:
        parts = ["".join(secrets.choice(_LEGIBLE) for _ in range(5)) for _ in range(4)]
        password = "-".join(parts)
        if all(any(is_one(letter) for letter in password) for is_one in (str.islower, str.isupper, str.isdigit)):
            return password


class ServerDialect(ABC):
    """One kind of server: its attributes, and the requests that block, expire and sign out an account. It does no I/O.

    Where a method gives several ``Mods``, they are requests to be sent one after the other.
    """

    key: str
    """The connector whose target schema tells which attributes a mapping may set."""
    login: str
    """The attribute that holds the sign-in name."""
    attributes: tuple[str, ...]
    """What is read of every account."""
    people: Filter
    """Who is an account at all."""
    reserved: re.Pattern[str]
    """Attributes that no mapping may set; matched at the beginning of the name."""
    results = ResultCodes()
    """What its result codes mean."""
    root_attributes: tuple[str, ...] = ("1.1",)
    """Attributes of the rootDSE that tell kinds of servers apart."""
    search_controls: tuple[str, ...] = ()
    """Controls without a value that go with every search, by OID."""
    not_signed_in: tuple[type[ldap.LDAPError], ...] = (ldap.INVALID_CREDENTIALS,)
    """What the server answers to a bind that it does not allow."""

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
    def renaming(self, account: AccountEntry, login: str) -> Sequence[Mods]:
        """Give the account another login and keep the old one as an alias; nothing where it has it already."""

    @abstractmethod
    def handing_over(self, account: AccountEntry, password: str) -> Sequence[Mods]:
        """Set a password that the person has to change; a block stays in force."""

    @abstractmethod
    def enabling(self, account: AccountEntry) -> Sequence[Mods]:
        """Allow sign-in."""

    @abstractmethod
    def expiring(self, expires_at: datetime) -> Mods:
        """Write the native expiry."""

    @abstractmethod
    def new_password(self, account: AccountEntry, password: str) -> Mods:
        """Set a password; a block stays in force."""

    def finishing(self, account: AccountEntry, *, enabled: bool) -> Sequence[Mods]:
        """What an entry that was just added still lacks."""
        del account, enabled
        return []

    def require_usable(self, mapped: Mapping[str, list[bytes]]) -> None:
        """Raise ``Refused`` for values, by lower-case attribute, that the server should not be asked to take."""
        del mapped

    def instead(self, root: Entry) -> str | None:
        """What to configure instead, where the rootDSE (read with ``root_attributes``) tells that this is another kind of server."""
        del root
        return None

    def by_login(self, login: str) -> Filter:
        """The filter for a sign-in name."""
        return equals(self.login, login)

    def by_address(self, address: str) -> Filter:
        """The filter for whoever has an e-mail address, or signs in with it."""
        return any_of([equals("mail", address), self.by_login(address)])

    def signing_out(self, account: AccountEntry) -> Sequence[Mods]:
        """Make every password that a client may remember useless."""
        return [self.new_password(account, random_password())]

    def is_member_already(self, error: ldap.LDAPError) -> bool:
        """Whether an addition to a group failed because it was there (RFC 4511 §4.6)."""
        return isinstance(error, ldap.TYPE_OR_VALUE_EXISTS)

    def is_no_member(self, error: ldap.LDAPError) -> bool:
        """Whether a removal from a group failed because it was not there (RFC 4511 §4.6)."""
        return isinstance(error, ldap.NO_SUCH_ATTRIBUTE)

    last_changed: tuple[str, ...] = ("modifiersName", "modifyTimestamp")
    """Attributes that tell who changed an entry last, and (the last of them) when."""

    def last_change(self, entry: Entry) -> LastChange | None:
        """Who changed an entry that was searched with ``last_changed`` (RFC 4512 §3.4); ``None`` where it does not tell when."""
        at = instant(entry.first(self.last_changed[-1]))
        return LastChange(entry.first("modifiersName"), at) if at else None

    def is_server(self, dn: str) -> bool:
        """Whether the server itself writes under this name, to keep its own books."""
        del dn
        return False

    # A stamp is a whole number that grows with every change of an entry: here modifyTimestamp as seconds since 1970.

    stamp_overlap = int(CLOCK_SKEW.total_seconds())
    """How much is read again, for changes that arrive from another replica with an older stamp."""

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
