"""What OpenLDAP and 389 Directory Server share: people are inetOrgPersons (RFC 2798)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import ldap

from connectors.protocols.ldapv3.dialect import Attributes, ServerDialect, random_password
from connectors.protocols.ldapv3.entries import MARKER, AccountEntry, Entry, Filter, Mods, encoded, generalized_time
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

    def instead(self, root: Entry) -> str | None:
        """Active Directory alone names a service there."""
        return "use the connector activedirectory" if root.first("dsServiceName") else None

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
