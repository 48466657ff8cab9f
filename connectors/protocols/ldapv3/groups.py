"""Groups of every kind: who lists an account by its DN, who by its login (RFC 2307), and whose members are not ours to say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.protocols.ldapv3.entries import AccountEntry, Entry, Filter, any_of, equals
from workforce.errors import Refused

CLASSES = ("objectClass", "groupType")
"""What tells a group's kind."""
MEMBERS = ("member", "uniqueMember", "memberUid")
"""What may list an account."""

_BY_DN = {
    "groupofnames": "member",
    "groupofmembers": "member",
    "group": "member",
    "groupofuniquenames": "uniqueMember",
    "groupofentries": "member",
}
_LISTED = re.compile(r"[!-~]+")
"""``memberUid`` is IA5String: slapd 2.5.13 takes some logins with spaces or controls for one another there that it keeps apart as ``uid``."""
_DYNAMIC = frozenset({"groupofurls", "dynamicgroup"})
_APPLICATION_QUERY = 0x20
"""Bit of Active Directory's ``groupType``: a query of LDAP decides ([MS-ADTS] 2.2.12)."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group, the attribute that lists its members, and whether it does so by their logins."""

    dn: str
    attribute: str
    by_login: bool = False

    def added(self, account: AccountEntry) -> str:
        """How ``account`` is listed. Raises ``Refused`` (cause ``bad_login``) for a login that such a group cannot list."""
        if self.by_login and not _LISTED.fullmatch(account.login):
            message = "ldap: a posixGroup lists logins of ASCII letters, digits and signs, without spaces"
            raise Refused(message, cause="bad_login", field="groups")
        return account.login if self.by_login else account.dn

    def listed(self, account: AccountEntry) -> Sequence[str]:
        """Every way in which ``account`` may be listed."""
        return list(filter(_LISTED.fullmatch, (account.login, *account.aliases))) if self.by_login else [account.dn]


def group_of(entry: Entry) -> Group:
    """The group that an entry, read with ``CLASSES``, is. Raises ``Refused`` (cause ``group_not_ours``) for one that a query fills."""
    classes = {value.decode("utf-8", "replace").lower() for value in entry.values.get("objectClass", ())}
    if classes & _DYNAMIC or (entry.number("groupType") or 0) & _APPLICATION_QUERY:
        raise Refused(
            "ldap: a query decides who is in the group; change what it asks for", cause="group_not_ours", field="groups"
        )
    attribute = next((held for name, held in _BY_DN.items() if name in classes), None)
    if attribute is None and "posixgroup" in classes:
        return Group(entry.dn, "memberUid", by_login=True)
    return Group(entry.dn, attribute or "member")


def listing(account: AccountEntry) -> Filter:
    """The filter for the groups that list ``account``. A server that does not know one of the attributes ignores that part."""
    return any_of(listed_as(account))


def listed_as(account: AccountEntry) -> list[Filter]:
    """The filters for each way in which a group may list ``account``."""
    by_dn = [equals(name, account.dn) for name in MEMBERS[:2]]
    return [*by_dn, *by_login(account.login, *account.aliases)]


def by_login(*logins: str) -> list[Filter]:
    """The filters for the groups that list one of ``logins``."""
    return [equals("memberUid", login) for login in logins if _LISTED.fullmatch(login)]
