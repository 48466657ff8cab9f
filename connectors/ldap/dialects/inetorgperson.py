"""What OpenLDAP and 389 Directory Server share: people are inetOrgPersons (RFC 2798)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import ldap

from connectors.protocols.ldapv3.dialect import Attributes, ServerDialect, random_password
from connectors.protocols.ldapv3.entries import (
    MARKER,
    AccountEntry,
    Entry,
    Filter,
    Mods,
    any_of,
    encoded,
    equals,
    generalized_time,
    instant,
)
from workforce.access import DesiredAccount

HINTS = {
    ldap.OBJECT_CLASS_VIOLATION: "the entry would break its object class; the mapping must give cn and sn, and only allowed attributes",
}


class InetOrgPersonDialect(ServerDialect):
    """An inetOrgPerson, named by the marker, with ``uid`` as login."""

    key = "ldap"
    login = "uid"
    people = Filter("(objectClass=person)")
    root_attributes = ("dsServiceName", "vendorName")
    object_classes: tuple[bytes, ...] = (b"inetOrgPerson",)
    expiry: str
    """The attribute of the native expiry."""
    block: Mapping[str, bytes]
    """Attributes and values that block an account, written and taken away in one atomic operation."""
    must_change: Mapping[str, bytes]
    """What makes a password one that the person has to change, where the server's password policy asks for it."""
    signed_in: tuple[str, ...]
    """Attributes that may tell when somebody signed in last."""

    def __init__(self, alias_attribute: str | None = None) -> None:
        self.alias = alias_attribute or self.login
        self.attributes = tuple(dict.fromkeys((*self.attributes, self.login, self.alias, *self.signed_in)))

    def instead(self, root: Entry) -> str | None:
        """Active Directory alone names a service there."""
        return "use the connector activedirectory" if root.first("dsServiceName") else None

    def new_entry(self, account: DesiredAccount, mapped: Mapping[str, list[bytes]], people_base: str) -> tuple[str, Attributes]:
        """An inetOrgPerson with the classes of the mapping, a random password, the expiry and, unless it is enabled, the block."""
        classes = {value.lower(): value for value in [*self.object_classes, *mapped.get("objectclass", [])]}
        rest = [(name, values) for name, values in mapped.items() if values and name not in {"objectclass", self.login}]
        ours = [
            ("objectClass", list(classes.values())),
            (MARKER, encoded(MARKER, account.marker)),
            (self.login, encoded(self.login, account.login)),
            ("userPassword", [random_password().encode()]),
            (self.expiry, [generalized_time(account.expires_at).encode()]),
            *((name, [value]) for name, value in self.block.items() if not account.enabled),
        ]
        return f"{MARKER}={account.marker},{people_base}", [*ours, *rest]  # base 32: nothing to escape

    def by_login(self, login: str) -> Filter:
        """Whoever holds it now, or held it before a rename."""
        return any_of([equals(name, login) for name in dict.fromkeys((self.login, self.alias))])

    def names(self, entry: Entry) -> list[str]:
        """The login, then the aliases. Where both are values of ``uid``, the first one is the login: the servers keep the order."""
        return list(dict.fromkeys([*entry.texts(self.login), *entry.texts(self.alias)])) or [""]

    def last_sign_in(self, entry: Entry) -> datetime | None:
        """The latest of what the server tells."""
        return max(filter(None, (instant(entry.first(name)) for name in self.signed_in)), default=None)

    def renaming(self, account: AccountEntry, login: str) -> Sequence[Mods]:
        """Replace the values of ``uid``; the login comes first."""
        if account.login == login:
            return []
        former = [one for one in (account.login, *account.aliases) if one and one.casefold() != login.casefold()]
        names = {self.login: [login], self.alias: [login, *former] if self.alias == self.login else former}
        return [[(ldap.MOD_REPLACE, name, [value.encode() for value in values]) for name, values in names.items()]]

    def handing_over(self, account: AccountEntry, password: str) -> Sequence[Mods]:
        """Set the password, and that it has to be changed."""
        must_change = [(ldap.MOD_REPLACE, name, [value]) for name, value in self.must_change.items()]
        return [[*self.new_password(account, password), *must_change]]

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
