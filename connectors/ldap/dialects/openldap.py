"""OpenLDAP with the overlays ``ppolicy`` and, for memberships to follow a move, ``refint``. Everything here was measured on slapd 2.5.13."""

from __future__ import annotations

import re
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

import ldap

from connectors.ldap.dialects.inetorgperson import HINTS, InetOrgPersonDialect
from connectors.protocols.ldapv3.entries import AccountEntry, Entry, Filter, Mods, equals, instant
from connectors.protocols.ldapv3.names import dn_key
from connectors.protocols.ldapv3.results import ResultCodes

PERMANENT_LOCK = "000001010000Z"
"""``pwdAccountLockedTime`` of an account that only an administrator unlocks (slapo-ppolicy(5))."""
NEVER = "21000101000000Z"
"""``pwdStartTime`` of an account that is blocked. Unlike the lock it survives a change of password.

Not the end of time: slapd 2.5.13 takes 99991231235959Z and does not enforce it (measured).
"""


class OpenLdap(InetOrgPersonDialect):
    """Blocked by an administrator's lock and by a password start in the year 2100.

    The second is there because any later change of password silently lifts the first (slapo-ppolicy(5)). The native expiry is
    ``pwdEndTime``: from that second on, binds fail.
    """

    attributes = (
        "entryUUID", "employeeNumber", "uid", "pwdAccountLockedTime", "pwdStartTime", "pwdEndTime", "modifyTimestamp"
    )  # fmt: skip
    reserved = re.compile(r"pwd|userPassword|entry|memberOf", re.IGNORECASE)
    expiry = "pwdEndTime"
    results = ResultCodes(
        taken=(re.compile(r"^non-unique attributes found with .*?\((\w+)=", re.DOTALL),),  # overlay unique
        hints={
            **HINTS,
            ldap.SIZELIMIT_EXCEEDED: "the answer was cut off; raise the size limit for bind_dn (size.prtotal=unlimited)",
        },
    )
    block = MappingProxyType({"pwdStartTime": NEVER.encode(), "pwdAccountLockedTime": PERMANENT_LOCK.encode()})
    must_change = MappingProxyType({"pwdReset": b"TRUE"})
    signed_in = ("pwdLastSuccess", "authTimestamp")

    def instead(self, root: Entry) -> str | None:
        """389 Directory Server names itself."""
        is_389 = (root.first("vendorName") or "").startswith(("389 ", "Red Hat"))
        return super().instead(root) or ("set dialect to 389ds" if is_389 else None)

    def is_server(self, dn: str) -> bool:
        """The overlay ``refint`` writes under a name of its own, unless ``refint_modifiersname`` gives it another (slapo-refint(5))."""
        return dn_key(dn) == dn_key("cn=Referential Integrity Overlay")

    def by_id(self, account_id: str) -> Filter | None:
        """By entryUUID (RFC 4530)."""
        try:
            return equals("entryUUID", str(UUID(account_id)))
        except ValueError:
            return None

    def account(self, entry: Entry, now: datetime) -> AccountEntry:
        """``locked`` is the administrator's permanent lock, not the short one after wrong passwords."""
        locked = entry.first("pwdAccountLockedTime") == PERMANENT_LOCK
        starts_at = instant(entry.first("pwdStartTime"))
        login, *aliases = self.names(entry)
        return AccountEntry(
            entry,
            account_id=entry.first("entryUUID") or "",
            login=login,
            aliases=tuple(aliases),
            last_sign_in=self.last_sign_in(entry),
            blocked=locked or (starts_at is not None and starts_at > now),
            ends_at=instant(entry.first("pwdEndTime")),
            locked=locked,
        )

    def new_password(self, account: AccountEntry, password: str) -> Mods:
        """Replace ``userPassword`` and keep the lock.

        A change of password lifts the lock, and slapd lifts even one that the same operation sets, unless the operation itself deletes
        it first and adds it again. That fails when the lock went away in the meantime.
        """
        replace = super().new_password(account, password)
        if not account.locked:
            return replace
        gone = (ldap.MOD_DELETE, "pwdAccountLockedTime", None)
        return [gone, *replace, (ldap.MOD_ADD, "pwdAccountLockedTime", [PERMANENT_LOCK.encode()])]
