"""389 Directory Server (Red Hat Directory Server, FreeIPA's directory). Everything here was measured on 389-ds-base 2.3.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import ldap

from connectors.ldap.dialects.inetorgperson import HINTS, InetOrgPersonDialect
from connectors.protocols.ldapv3.entries import AccountEntry, Entry, Filter, equals, instant
from connectors.protocols.ldapv3.names import is_below
from connectors.protocols.ldapv3.results import ResultCodes

_UNIQUE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){3}", re.IGNORECASE)


class Ds389(InetOrgPersonDialect):
    """Blocked by ``nsAccountLock``, which a change of password does not lift.

    The server has no expiry of an account of its own. The end is written to ``krbPrincipalExpiration`` (schema 60kerberos.ldif, which
    the server ships and an administrator loads): FreeIPA enforces it, and so does the server's Account Policy Plugin when its
    ``stateattrname`` names that attribute, ``altstateattrname`` is ``1.1`` and ``accountInactivityLimit`` is 1. Without either it is
    a record of the end that blocks nobody. The plugin "referential integrity" has to be on for memberships to follow a move.
    """

    attributes = ("nsUniqueId", "employeeNumber", "uid", "nsAccountLock", "krbPrincipalExpiration", "modifyTimestamp")
    object_classes = (b"inetOrgPerson", b"krbPrincipalAux")
    reserved = re.compile(
        r"ns|krb|password|account(Unlock|Inactivity)|acctPolicy|userPassword|entry|memberOf|passwd|pwd", re.IGNORECASE
    )
    expiry = "krbPrincipalExpiration"
    results = ResultCodes(
        taken=(re.compile(r"same attribute value already exists \(attribute: \"(\w+)"),),  # attribute uniqueness
        hints=HINTS,
    )
    block = MappingProxyType({"nsAccountLock": b"TRUE"})
    must_change: Mapping[str, bytes] = MappingProxyType({})
    signed_in = ("lastLoginTime",)
    not_signed_in = (ldap.INVALID_CREDENTIALS, ldap.UNWILLING_TO_PERFORM, ldap.CONSTRAINT_VIOLATION)
    """Besides a wrong password: a locked account (53), an expired one or too many wrong passwords (19)."""

    def is_server(self, dn: str) -> bool:
        """Plugins write under their own DNs, such as that of "referential integrity"."""
        return is_below(dn, "cn=plugins,cn=config")

    def by_id(self, account_id: str) -> Filter | None:
        """By nsUniqueId, which every entry has; entryUUID is missing where the plugin came later than the entry."""
        return equals("nsUniqueId", account_id) if _UNIQUE_ID.fullmatch(account_id) else None

    def account(self, entry: Entry, now: datetime) -> AccountEntry:
        """``nsAccountLock`` also shows a lock that a role or a class of service gives."""
        del now
        login, *aliases = self.names(entry)
        return AccountEntry(
            entry,
            account_id=entry.first("nsUniqueId") or "",
            login=login,
            aliases=tuple(aliases),
            last_sign_in=self.last_sign_in(entry),
            blocked=(entry.first("nsAccountLock") or "").lower() == "true",
            ends_at=instant(entry.first("krbPrincipalExpiration")),
        )
