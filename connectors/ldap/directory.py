"""Accounts and groups of an OpenLDAP directory.

An account is found by its entryUUID before every operation, never by a remembered DN, and its DN is made of our marker, never of a
person's name. Blocking is an administrator's lock and, because any later change of password silently lifts that lock, a password
start in the year 2100, which stays (both slapo-ppolicy(5); measured on slapd 2.5.13).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from connectors.ldap.client import LdapClient, equals, random_password
from connectors.ldap.records import (
    ACCOUNT_ATTRIBUTES,
    LOGIN,
    MARKER,
    NEVER,
    PERMANENT_LOCK,
    AccountEntry,
    Filter,
    encoded,
    generalized_time,
)
from connectors.ldap.settings import dn_key, is_below, is_dn
from workforce.access import AccountState, DesiredAccount
from workforce.errors import NotFound, Refused
from workforce.markers import is_marker

_BLOCK = (("pwdStartTime", [NEVER.encode()]), ("pwdAccountLockedTime", [PERMANENT_LOCK.encode()]))
_RESERVED = re.compile(r"pwd|userPassword|entry|memberOf", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"[A-Za-z][A-Za-z0-9-]*"
)  # plain names only: an OID or an option would be a second name for a reserved one


class LdapDirectory:
    """The ``Directory`` port on OpenLDAP. Group ids are DNs, spelt as the directory shows them.

    The native expiry is ``pwdEndTime``: from that second on, binds fail (measured: to the second). LDAP knows no sessions; connections
    that are already bound live until the server or the application closes them.
    """

    def __init__(self, client: LdapClient) -> None:
        self._client = client
        self._settings = client.settings

    def find(self, marker: str) -> Sequence[AccountState]:
        """Every account that carries ``marker``, anywhere in the tree."""
        if not is_marker(marker):
            return []
        return [self._state(account) for account in self._accounts(equals(MARKER, marker))]

    def find_by_login(self, login: str) -> AccountState | None:
        """The account whose ``uid`` is ``login``, anywhere in the tree. Raises ``Refused`` when several have it."""
        holders = self._accounts(equals(LOGIN, login))
        if len(holders) > 1:
            raise Refused(f"ldap: {len(holders)} entries hold this uid; make uid unique", cause="ambiguous_login", field=LOGIN)
        return self._state(holders[0]) if holders else None

    def read(self, account_id: str) -> AccountState:
        """The account as it is now, with the DNs of the groups that list it. Raises ``NotFound``."""
        return self._state(self._account(account_id))

    def create(self, account: DesiredAccount) -> str:
        """Add an inetOrgPerson named by its marker, with ``pwdEndTime`` as expiry; its entryUUID."""
        if not is_marker(account.marker):
            raise Refused("ldap: the marker does not have our form", cause="bad_marker", field=MARKER)
        mapped = _mapped(account.attributes, account.marker)
        classes = {value.lower(): value for value in [b"inetOrgPerson", *mapped.pop("objectclass", [])]}
        mapped.pop(LOGIN, None)
        ours = [
            ("objectClass", list(classes.values())),
            (MARKER, encoded(MARKER, account.marker)),
            (LOGIN, encoded(LOGIN, account.login)),
            ("userPassword", [random_password().encode()]),
            ("pwdEndTime", [generalized_time(account.expires_at).encode()]),
        ]
        dn = f"{MARKER}={account.marker},{self._settings.people_base}"  # base 32: nothing to escape
        return self._client.add(dn, [*ours, *((name, values) for name, values in mapped.items() if values)])

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Replace attributes; ``None`` and ``""`` remove one, for LDAP holds no empty strings."""
        account = self._writable(account_id)
        mapped = _mapped(attributes, account.marker or "")
        mapped.pop("objectclass", None)
        if mapped:
            self._client.replace(account.dn, list(mapped.items()))

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Set ``pwdEndTime``, rounded up to the whole second."""
        self._client.replace(self._writable(account_id).dn, [("pwdEndTime", [generalized_time(expires_at).encode()])])

    def enable(self, account_id: str) -> None:
        """Move back to the people, where it was moved away, then lift the block."""
        account = self._writable(account_id)
        if not is_below(account.dn, self._settings.people_base):
            self._client.move(account.dn, self._settings.people_base)
            account = self._writable(account_id)
        self._client.replace(account.dn, [(name, []) for name, _ in _BLOCK])

    def disable(self, account_id: str) -> None:
        """Block binds, for good and against a later change of password."""
        self._client.replace(self._writable(account_id).dn, _BLOCK)

    def revoke_sessions(self, account_id: str) -> None:
        """Replace the password by a random one, so that no client binds again with the one it remembers."""
        self._replace_password(self._writable(account_id))

    def add_member(self, group_id: str, account_id: str) -> None:
        """Add the account's DN to ``member``."""
        self._client.add_value(self._group(group_id), "member", self._writable(account_id).dn)

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Remove the account's DN from ``member``. A groupOfNames keeps one member (RFC 4519 §3.5): ``cn=nobody`` if need be."""
        account = self._writable(account_id)
        try:
            self._client.remove_value(self._group(group_id), "member", account.dn, placeholder=self._nobody)
        except NotFound:
            return  # no group, no membership

    def move_to_disabled(self, account_id: str) -> None:
        """Move below ``disabled_base``, where there is one. The server's overlay ``refint`` takes the memberships along."""
        base = self._settings.disabled_base
        account = self._writable(account_id)
        if base is not None and not is_below(account.dn, base):
            self._client.move(account.dn, base)

    def sign_in_works(self, account_id: str) -> bool:
        """Set a random password, leaving a block in force, and bind with it. ``False`` only when the server refuses the bind."""
        account = self._writable(account_id)
        return self._client.binds(account.dn, self._replace_password(account))

    def _replace_password(self, account: AccountEntry) -> str:
        password = random_password()
        self._client.replace_password(account.dn, password, lock=PERMANENT_LOCK if account.locked else None)
        return password

    @property
    def _nobody(self) -> str:
        return f"cn=nobody,{self._settings.groups_base}"

    def _group(self, group_id: str) -> str:
        if not is_dn(group_id) or not is_below(group_id, self._settings.groups_base):
            raise NotFound("ldap: the group is no DN below groups_base; write it as the directory shows it", field="groups")
        return group_id

    def _accounts(self, condition: Filter) -> list[AccountEntry]:
        return [AccountEntry.of(e) for e in self._client.search(self._settings.suffix, condition, ACCOUNT_ATTRIBUTES)]

    def _account(self, account_id: str) -> AccountEntry:
        found = self._accounts(equals("entryUUID", str(_uuid(account_id))))
        if not found:
            raise NotFound(f"ldap: there is no entry with entryUUID {account_id}")
        return found[0]

    def _writable(self, account_id: str) -> AccountEntry:
        account = self._account(account_id)
        if self._is_protected(account):
            raise Refused(
                "ldap: the account is protected, outside the contractors' part of the tree, or does not carry our marker; "
                "automation does not touch it",
                cause="protected_account",
            )
        return account

    def _is_protected(self, account: AccountEntry) -> bool:
        inside = any(is_below(account.dn, base) for base in self._settings.account_bases)
        listed = dn_key(account.dn) in {dn_key(dn) for dn in self._settings.protected_dns}
        return listed or not inside or account.marker is None

    def _state(self, account: AccountEntry) -> AccountState:
        groups = self._client.search(self._settings.groups_base, equals("member", account.dn), ("1.1",))
        return AccountState(
            account_id=account.entry_uuid,
            login=account.login,
            marker=account.marker,
            enabled=account.enabled_at(datetime.now(UTC)),
            groups=frozenset(group.dn for group in groups),
            expires_at=account.ends_at,
            protected=self._is_protected(account),
        )


def _mapped(attributes: Mapping[str, object], marker: str) -> dict[str, list[bytes]]:
    """The mapping's attributes, by lower-case name, as LDAP values. Raises ``Refused`` for those that only the connector may write."""
    for name in attributes:
        if _RESERVED.match(name) or not _ATTRIBUTE.fullmatch(name):
            raise Refused(f"ldap: the mapping must not set {name}", cause="reserved_attribute", field=name)
    mapped = {name.lower(): encoded(name, value) for name, value in attributes.items()}
    if mapped.pop(MARKER.lower(), [marker.encode()]) != [marker.encode()]:
        raise Refused(f"ldap: the mapping must not change {MARKER}", cause="reserved_attribute", field=MARKER)
    return mapped


def _uuid(account_id: str) -> UUID:
    try:
        return UUID(account_id)
    except ValueError:
        raise NotFound("ldap: an account's id is an entryUUID") from None
