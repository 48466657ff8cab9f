"""The ``Directory`` port over any LDAP v3 server that has a ``ServerDialect``.

An account is found by its immutable id before every operation, never by a remembered DN, and its DN is made of our marker, never of a
person's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import ldap
from pydantic import SecretStr

from connectors.protocols.ldapv3.client import LdapV3Client
from connectors.protocols.ldapv3.dialect import random_password, typed_password
from connectors.protocols.ldapv3.entries import MARKER, AccountEntry, Entry, Filter, Mods, all_of, any_of, encoded, equals
from connectors.protocols.ldapv3.groups import CLASSES, Group, by_login, group_of
from connectors.protocols.ldapv3.listing import next_page
from connectors.protocols.ldapv3.memberships import groups_of
from connectors.protocols.ldapv3.names import dn_key, is_below, is_dn
from connectors.protocols.ldapv3.places import Places
from connectors.records.accounts import attribute_names, shown_attributes
from workforce.access import AccountPage, AccountState, CredentialKind, DesiredAccount, FirstCredential, LastChange
from workforce.errors import AlreadyTaken, HubError, NotFound, OutcomeUnknown, Refused, RetryLater, outcome_of_each
from workforce.markers import is_marker

_ATTRIBUTE = re.compile(
    r"[A-Za-z][A-Za-z0-9-]*"
)  # plain names only: an OID or an option would be a second name for a reserved one
_STALE = frozenset({"changed_meanwhile", "not_found"})
"""The causes of a write that met another entry than was read: changed, or moved by somebody."""
_CREATED_WITH = frozenset({"objectclass"})
"""What a mapping adds to when an account is created, and what is neither shown nor changed afterwards."""
_TRIES = 3
_IDS_AT_ONCE = 50


class LdapV3Directory:
    """The ``Directory`` port on LDAP. Group ids are DNs, spelt as the directory shows them.

    LDAP knows no sessions: signing out replaces the password, so that no client binds again with the one it remembers; connections that
    are already bound live until the server or the application closes them.
    """

    def __init__(self, client: LdapV3Client) -> None:
        self._client = client
        self._settings = client.settings
        self._dialect = client.dialect
        self._places = Places.of(client.settings)

    def find(self, marker: str) -> Sequence[AccountState]:
        """Every account that carries ``marker``, anywhere in the tree."""
        if not is_marker(marker):
            return []
        return self._states(self._accounts(equals(MARKER, marker)))

    def find_by_login(self, login: str) -> AccountState | None:
        """The account that signs in as ``login``, anywhere in the tree. Raises ``Refused`` when several do."""
        holders = self._accounts(self._dialect.by_login(login))
        if len(holders) > 1:
            name = self._dialect.login
            raise Refused(f"ldap: {len(holders)} entries hold this {name}; make it unique", cause="ambiguous_login", field=name)
        return next(iter(self._states(holders)), None)

    def read(self, account_id: str) -> AccountState:
        """The account as it is now, with the DNs of the groups that list it and with its attributes. Raises ``NotFound``.

        What is not shown is taken to be empty: ``bind_dn`` has to be allowed to read what it may write. What is no text is left out.
        """
        mappable = [name for name in attribute_names(self._dialect.key) if name.lower() not in _CREATED_WITH]
        account = self._account(account_id, mappable)
        held = {**dict(_readable(account.entry, mappable)), self._dialect.login: account.login}
        return replace(self._states([account])[0], attributes=shown_attributes(self._dialect.key, held, unset_is_empty=False))

    def create(self, account: DesiredAccount) -> str:
        """Add an entry that is named by its marker, with a random password and the native expiry; its immutable id.

        One that is not enabled carries its block from the beginning.
        """
        if account.guest:
            raise Refused("ldap: a directory of this kind has no guests", cause="no_guests")
        if not is_marker(account.marker):
            raise Refused("ldap: the marker does not have our form", cause="bad_marker", field=MARKER)
        mapped = self._mapped(account.attributes, account.marker)
        dn, attributes = self._dialect.new_entry(account, mapped, self._settings.people_base)
        shown = self._client.add(dn, attributes, self._dialect.attributes)
        try:
            return self._finished(dn, shown, enabled=account.enabled)
        except RetryLater as error:  # the entry is there: to say that nothing was done would be untrue
            raise OutcomeUnknown(str(error), cause=error.cause) from None

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Replace attributes; ``None`` and ``""`` remove one, for LDAP holds no empty strings. Another login is a ``rename``."""

        def replacing(account: AccountEntry) -> Sequence[Mods]:
            mapped = self._mapped(attributes, account.marker or "")
            login = mapped.pop(self._dialect.login.lower(), [account.login.encode()])
            if login != [account.login.encode()]:
                self.rename(account_id, login[0].decode() if login else "")
            changes = [(ldap.MOD_REPLACE, name, values or None) for name, values in mapped.items() if name not in _CREATED_WITH]
            return [changes] if changes else []

        self._apply(account_id, replacing)

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Write the native expiry, rounded up to the whole second."""
        self._apply(account_id, lambda _: [self._dialect.expiring(expires_at)])

    def enable(self, account_id: str) -> None:
        """Move back to the people, where it was moved away, then lift the block."""
        self._move(account_id, self._settings.people_base)
        self._apply(account_id, self._dialect.enabling)

    def disable(self, account_id: str) -> None:
        """Block sign-in, for good and against a later change of password."""
        self._apply(account_id, self._dialect.blocking)

    def revoke_sessions(self, account_id: str) -> None:
        """Replace the password by a random one, so that no client binds again with the one it remembers."""
        self._apply(account_id, self._dialect.signing_out)

    def add_member(self, group_id: str, account_id: str) -> None:
        """Add the account's DN to ``member`` or ``uniqueMember``, its login to a posixGroup's ``memberUid``.

        Raises ``NotFound``, and ``Refused`` (cause ``group_not_ours``) for a group that a query fills.
        """
        group, account = self._group(group_id), self._writable(account_id)
        self._client.add_member(group, group.added(account))

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Remove whatever lists the account; the last of those that must have a member leaves a placeholder.

        Raises ``Refused`` for a group outside ``groups_base``: no reading shows its members, so to say "done" would be a guess.
        """
        account = self._writable(account_id)
        if is_dn(group_id) and not is_below(group_id, self._settings.groups_base):
            raise Refused(
                "ldap: the group is not below groups_base; remove the member by hand", cause="foreign_group", field="groups"
            )
        try:
            group = self._group(group_id)
            for member in group.listed(account):
                self._client.remove_member(group, member)
        except NotFound:
            return  # no group, no membership

    def move_to_disabled(self, account_id: str) -> None:
        """Move below ``disabled_base``, where there is one. That memberships follow is the server's business."""
        if self._settings.disabled_base is not None:
            self._move(account_id, self._settings.disabled_base)

    def accounts(self, cursor: str | None) -> AccountPage:
        """People's accounts in the part of the tree that all bases share, a page at a time; afterwards those that changed since.

        LDAP cannot tell which are gone, and a change of a group is none of its members': both show only in a reading from the
        beginning, which is also what the cursor of another server leads to. Where ``modifyTimestamp`` is the stamp, the clocks may be
        off by five minutes, and the changes of the last five are told again, until nothing was changed for as long.
        """
        listed = next_page(self._client, cursor)
        states = self._states([self._read_entry(entry) for entry in listed.entries])
        return AccountPage(states, listed.position.encode(), listed.complete)

    def last_change(self, account_id: str) -> LastChange | None:
        """Who changed the account's entry last and when, as the entry tells it; ``None`` where that was us or the server itself.

        Active Directory tells no name. A group that changed is no change of its members' entries. Raises ``NotFound``.
        """
        told = self._dialect.last_change(self._account(account_id, self._dialect.last_changed).entry)
        if told is None or told.by is None:
            return told
        return None if self._dialect.is_server(told.by) or self._places.is_no_hand(dn_key(told.by)) else told

    def block_all(self, account_ids: Sequence[str]) -> Mapping[str, HubError | None]:
        """Block them all first, then sign them all out, with tens of requests under way at a time."""
        outcomes: dict[str, HubError | None] = dict.fromkeys(account_ids)
        for requests, alone in ((self._dialect.blocking, self.disable), (self._dialect.signing_out, self.revoke_sessions)):
            going = [one for one, error in outcomes.items() if error is None]
            outcomes |= self._do_to_all(going, requests, alone)
        return outcomes

    def set_manager(self, account_id: str, address: str) -> None:
        """Set ``manager`` to the DN of whoever has the address. Raises ``NotFound``, and ``Refused`` when several have it."""
        found = self._client.search(self._settings.suffix, self._people(self._dialect.by_address(address)), ("1.1",))
        if len(found) > 1:
            raise Refused("ldap: several entries have the manager's address", cause="ambiguous_manager", field="manager")
        if not found:
            raise NotFound("ldap: nobody has the manager's address", cause="no_manager", field="manager")
        self._apply(account_id, lambda _: [[(ldap.MOD_REPLACE, "manager", [found[0].dn.encode()])]])

    def rename(self, account_id: str, login: str) -> None:
        """Change the login, never the DN or the id; the old one stays an alias, and posix groups list the new one.

        That ``login`` is free is looked up before, so that servers that keep no names unique have no namesakes either.
        """
        if not login or not login.isprintable():
            raise Refused("ldap: this can be no login", cause="bad_login", field=self._dialect.login)
        if any(one.account_id != account_id for one in self._accounts(self._dialect.by_login(login))):
            name = self._dialect.login
            raise AlreadyTaken(f"ldap: {name} is in use by another entry; look up its holder", field=name)
        account = self._writable(account_id)
        for group in self._by_login(account):
            group.added(replace(account, login=login))  # refused before anything is written
        self._apply(account_id, lambda account: self._dialect.renaming(account, login))
        self._list_by_new_login(self._account(account_id))

    def first_credential(self, account_id: str) -> FirstCredential:
        """Set a random password that a person can type, and that the server wants changed at the first sign-in where it can."""
        password = typed_password()
        self._apply(account_id, lambda account: self._dialect.handing_over(account, password))
        return FirstCredential(CredentialKind.PASSWORD, SecretStr(password))

    def sign_in_works(self, account_id: str) -> bool:
        """Set a random password, leaving a block in force, and bind with it. ``False`` only when the server refuses the bind."""
        password = random_password()
        account = self._apply(account_id, lambda account: [self._dialect.new_password(account, password)])
        return self._client.binds(account.dn, password)

    def _list_by_new_login(self, account: AccountEntry) -> None:
        """Posix groups know an account by its login alone."""
        for group in self._by_login(account):
            self._client.add_member(group, group.added(account))
            for alias in set(group.listed(account)) - {account.login}:
                self._client.remove_member(group, alias)

    def _by_login(self, account: AccountEntry) -> list[Group]:
        """The groups that list an account by a login, this one or an earlier one."""
        names = by_login(account.login, *account.aliases) if account.groups is None else []
        return [group_of(one) for one in self._client.search(self._settings.groups_base, any_of(names), CLASSES)] if names else []

    def _apply(self, account_id: str, requests: Callable[[AccountEntry], Sequence[Mods]]) -> AccountEntry:
        """Send what the dialect asks for."""
        return self._do(account_id, lambda account: self._send(account.dn, requests(account)))

    def _move(self, account_id: str, base: str) -> None:
        self._do(account_id, lambda account: None if is_below(account.dn, base) else self._client.move(account.dn, base))

    def _do(self, account_id: str, act: Callable[[AccountEntry], None]) -> AccountEntry:
        """Where the entry was changed or moved since it was read, read it again and start over: it is gone only if no search shows it."""
        for _ in range(_TRIES):
            account = self._writable(account_id)
            try:
                act(account)
            except HubError as error:
                if error.cause not in _STALE:
                    raise
            else:
                return account
        raise RetryLater("ldap: somebody else keeps changing or moving the account", cause="changed_meanwhile")

    def _send(self, dn: str, requests: Sequence[Mods]) -> None:
        for mods in requests:
            self._client.modify(dn, mods)

    def _do_to_all(
        self, ids: Sequence[str], requests: Callable[[AccountEntry], Sequence[Mods]], alone: Callable[[str], None]
    ) -> dict[str, HubError | None]:
        """The same for many; those that were changed or moved since they were read are done ``alone``."""
        found = self._writable_of(ids)
        changes = [(one, a.dn, mods) for one, a in found.items() if isinstance(a, AccountEntry) for mods in requests(a)]
        errors = self._client.modify_all([(dn, mods) for _, dn, mods in changes])
        outcomes = {one: a if isinstance(a, HubError) else None for one, a in found.items()}
        for (one, *_), error in zip(changes, errors, strict=True):
            outcomes[one] = outcomes[one] or error
        stale = {one for (one, *_), error in zip(changes, errors, strict=True) if error and error.cause in _STALE}
        return outcomes | outcome_of_each(stale, alone)

    def _writable_of(self, ids: Sequence[str]) -> dict[str, AccountEntry | HubError]:
        found: dict[str, AccountEntry | HubError] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[start : start + _IDS_AT_ONCE]
            try:
                found |= self._some_writable(some)
            except HubError as error:
                found |= dict.fromkeys(some, error)
        return found

    def _some_writable(self, ids: Sequence[str]) -> dict[str, AccountEntry | HubError]:
        """Those accounts by one search."""
        conditions = [condition for one in ids if (condition := self._dialect.by_id(one))]
        accounts = {a.account_id.lower(): a for a in (self._accounts(any_of(conditions)) if conditions else ())}
        return {one: self._or_error(one, accounts.get(one.lower())) for one in ids}

    def _or_error(self, account_id: str, account: AccountEntry | None) -> AccountEntry | HubError:
        if account is None:
            return _no_entry(account_id)
        return _protected() if self._is_protected(account) else account

    def _finished(self, dn: str, shown: Entry | None, *, enabled: bool) -> str:
        """The id of an entry that was just added, after what else makes it an account."""
        entry = shown or self._client.entry(dn, self._dialect.attributes)
        if entry is None:
            raise OutcomeUnknown("ldap: the new entry is not shown (yet)", cause="not_shown")
        account = self._read_entry(entry)
        self._send(dn, self._dialect.finishing(account, enabled=enabled))
        return account.account_id

    def _group(self, group_id: str) -> Group:
        if not is_dn(group_id) or not is_below(group_id, self._settings.groups_base):
            raise NotFound("ldap: the group is no DN below groups_base; write it as the directory shows it", field="groups")
        entry = self._client.entry(group_id, CLASSES)
        if entry is None:
            raise NotFound(
                f"ldap: there is no group {group_id}; correct the access package, or have the group made", field="groups"
            )
        return replace(group_of(entry), dn=group_id)

    def _people(self, condition: Filter) -> Filter:
        return all_of(self._dialect.people, condition)

    def _read_entry(self, entry: Entry) -> AccountEntry:
        account = self._dialect.account(entry, datetime.now(UTC))
        if not account.account_id:
            raise Refused(
                "ldap: the server does not show the accounts' ids; let bind_dn read them", cause="no_id", field="bind_dn"
            )
        return account

    def _accounts(self, condition: Filter, more: Sequence[str] = ()) -> list[AccountEntry]:
        attributes = list(dict.fromkeys([*self._dialect.attributes, *more]))
        return [self._read_entry(entry) for entry in self._client.search(self._settings.suffix, condition, attributes)]

    def _account(self, account_id: str, more: Sequence[str] = ()) -> AccountEntry:
        condition = self._dialect.by_id(account_id)
        found = self._accounts(condition, more) if condition else []
        if not found:
            raise _no_entry(account_id)
        return found[0]

    def _writable(self, account_id: str) -> AccountEntry:
        account = self._account(account_id)
        if self._is_protected(account):
            raise _protected()
        return account

    def _is_protected(self, account: AccountEntry) -> bool:
        return self._places.is_protected(dn_key(account.dn)) or account.marker is None or account.untouchable

    def _states(self, accounts: Sequence[AccountEntry]) -> list[AccountState]:
        """The accounts with their groups, which many of them together cost few searches."""
        return [self._state(*each) for each in zip(accounts, groups_of(self._client, accounts), strict=True)]

    def _state(self, account: AccountEntry, groups: frozenset[str]) -> AccountState:
        return AccountState(
            account_id=account.account_id,
            login=account.login,
            marker=account.marker,
            enabled=not account.blocked,
            groups=groups,
            expires_at=account.ends_at,
            protected=self._is_protected(account),
            managed=self._places.is_managed(dn_key(account.dn)),
            last_sign_in=account.last_sign_in,
        )

    def _mapped(self, attributes: Mapping[str, object], marker: str) -> dict[str, list[bytes]]:
        """The mapping's attributes, by lower-case name, as LDAP values. Raises ``Refused`` for those that only the connector may write."""
        for name in attributes:
            if self._dialect.reserved.match(name) or not _ATTRIBUTE.fullmatch(name):
                raise Refused(f"ldap: the mapping must not set {name}", cause="reserved_attribute", field=name)
        mapped = {name.lower(): encoded(name, value) for name, value in attributes.items()}
        if mapped.pop(MARKER.lower(), [marker.encode()]) != [marker.encode()]:
            raise Refused(f"ldap: the mapping must not change {MARKER}", cause="reserved_attribute", field=MARKER)
        self._dialect.require_usable(mapped)
        return mapped


def _readable(entry: Entry, names: Iterable[str]) -> Iterator[tuple[str, object]]:
    """The attributes that are text, or hold nothing."""
    spelt = {name.lower(): name for name in entry.values}
    for name in names:
        with suppress(UnicodeDecodeError):
            yield name, entry.held(spelt.get(name.lower(), name))


def _no_entry(account_id: str) -> NotFound:
    return NotFound(f"ldap: there is no entry with the id {account_id}")


def _protected() -> Refused:
    return Refused(
        "ldap: the account is protected, outside the contractors' part of the tree, or does not carry our marker; "
        "automation does not touch it",
        cause="protected_account",
    )
