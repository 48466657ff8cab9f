"""Accounts and groups of a SCIM 2.0 target.

SCIM has no sessions and no end of access: what ``active: false`` ends is the target's affair, and an end is written only where the
target has an attribute of its own for it. Nothing is ever deleted, because what a DELETE takes along is the target's affair too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from connectors.protocols.scim_resources import ENTERPRISE, Group, User, at, equals, inside, merged, schemas_of, value_at
from connectors.records.accounts import Sweep, marker_in, protected, random_password, require_marker, shown_attributes
from connectors.records.instants import instant_in, instant_text
from connectors.records.paging import Position
from connectors.scim.client import ScimClient
from connectors.scim.records import leaves, require_allowed
from workforce.access import AccountPage, AccountState, DesiredAccount
from workforce.errors import AlreadyTaken, HubError, NotFound, Refused, outcome_of_each
from workforce.markers import is_marker

_ADDRESS = re.compile(r'[^\s"\\@]+@[^\s"\\@]+')
"""What is asked for as an e-mail address: targets refuse a filter with anything else."""
_CLEARED = ({"op": "replace", "path": "active", "value": False},)


class _Cursor(Sweep):
    position: Position = Position()


class ScimDirectory:
    """The ``Directory`` port on a SCIM target. Ids are the target's; a login is a userName.

    The marker is in ``marker_attribute``. Groups are those that the target shows on the User or, where it shows none, those that list
    the User among their members.
    """

    def __init__(self, client: ScimClient) -> None:
        self._client, self._resources, self._settings = client, client.resources, client.settings

    def find(self, marker: str) -> Sequence[AccountState]:
        """Every account that carries ``marker``."""
        if not is_marker(marker):
            return []
        found = self._resources.all(User, equals(self._client.marker_path, marker))
        return [self._state(user) for user in found if self._marker(user) == marker]

    def find_by_login(self, login: str) -> AccountState | None:
        """The account whose userName is ``login``, in any case (RFC 7643 §4.1.1). Raises ``Refused`` when several have it."""
        if not login or not login.isprintable():
            return None
        found = self._resources.all(User, equals("userName", login))
        holders = [user for user in found if user.user_name.casefold() == login.casefold()]
        if len(holders) > 1:
            raise Refused("scim: several accounts hold this userName", cause="ambiguous_login", field="userName")
        return self._state(holders[0]) if holders else None

    def read(self, account_id: str) -> AccountState:
        """The account as it is now, with its direct groups and its attributes (unset ones may be left out: RFC 7643 §2.5).

        Raises ``NotFound``.
        """
        user = self._resources.get(User, account_id)
        return replace(self._state(user), attributes=shown_attributes("scim", user.body, unset_is_empty=True))

    def create(self, account: DesiredAccount) -> str:
        """Create the User in one request, marker included, active if it shall be; its id."""
        if account.guest:
            raise Refused("scim: a User is no guest", cause="no_guests")
        require_marker("scim", account.marker, field=self._client.marker_path)
        require_allowed(account.attributes, {self._client.marker_path: account.marker, "userName": account.login})
        ours = {"userName": account.login, **at(self._client.marker_path, account.marker)}
        body = merged(merged(merged({}, account.attributes), self._expiry(account.expires_at)), ours)
        password = {"password": random_password()} if self._settings.password_on_create else {}
        return self._resources.create({**body, **password, "active": account.enabled, "schemas": schemas_of(body)})

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Set attributes; ``None`` and ``""`` clear one. Of a complex attribute, the parts that are not named stay."""
        user = self._writable(account_id)
        expiry = {self._settings.expiry_attribute: object()} if self._settings.expiry_attribute else {}
        require_allowed(attributes, {self._client.marker_path: self._marker(user), **expiry})
        self._set(user, attributes)

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Set ``expiry_attribute``; without that setting nothing, since SCIM has no end of access."""
        user = self._writable(account_id)
        if self._settings.expiry_attribute:
            self._set(user, self._expiry(expires_at))

    def enable(self, account_id: str) -> None:
        """Set ``active``."""
        self._set(self._writable(account_id), {"active": True})

    def disable(self, account_id: str) -> None:
        """Clear ``active`` (RFC 7643 §4.1.1)."""
        self._set(self._writable(account_id), {"active": False})

    def revoke_sessions(self, account_id: str) -> None:
        """Nothing but a look whether the account may be touched: SCIM has no sessions."""
        self._writable(account_id)

    def add_member(self, group_id: str, account_id: str) -> None:
        """Add to a group. A target may refuse what is a member already, so a refusal is held against what it shows."""
        self._writable(account_id)
        if not self._settings.patch:
            self._replace_members(group_id, lambda held: [*_others(held, account_id), {"value": account_id}])
            return
        try:
            self._resources.patch(Group, group_id, [{"op": "add", "path": "members", "value": [{"value": account_id}]}])
        except NotFound:
            raise
        except Refused:
            if group_id not in self.read(account_id).groups:
                raise

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Remove from a group; no such group, or no such member (``noTarget``), is no membership."""
        self._writable(account_id)
        try:
            if self._settings.patch:
                self._resources.patch(Group, group_id, [{"op": "remove", "path": f"members[{equals('value', account_id)}]"}])
            else:
                self._replace_members(group_id, lambda held: _others(held, account_id))
        except Refused as error:
            if not isinstance(error, NotFound) and error.cause != "noTarget":
                raise

    def set_manager(self, account_id: str, address: str) -> None:
        """Set ``manager`` of the enterprise extension (RFC 7643 §4.3) to the id of whoever has the address. Raises ``NotFound``."""
        user, found = self._writable(account_id), self._addressee(address)
        path, manager = f"{ENTERPRISE}:manager", {"value": found, "$ref": f"../Users/{quote(found, safe='')}"}
        if self._settings.patch:  # as a whole: $ref can be in no path (RFC 7644 §3.5.2)
            self._resources.patch(User, account_id, [{"op": "replace", "path": path, "value": manager}])
        else:
            self._set(user, at(path, {**manager, "displayName": None}))

    def rename(self, account_id: str, login: str) -> None:
        """Change ``userName``. SCIM has no aliases: whether the old one still leads to the account is the target's affair."""
        user, holder = self._writable(account_id), self.find_by_login(login)
        if holder is not None and holder.account_id != account_id:
            raise _taken()
        try:
            self._set(user, {"userName": login})
        except Refused as error:
            if error.cause not in {"uniqueness", "http_409"}:
                raise
            raise _taken() from None

    def _addressee(self, address: str) -> str:
        """The id of the one account that has an address, as userName or else as e-mail."""
        if holder := self.find_by_login(address):
            return holder.account_id
        found = self._resources.all(User, equals("emails.value", address)) if _ADDRESS.fullmatch(address) else []
        if len(found) > 1:
            raise Refused("scim: several accounts have the manager's address", cause="ambiguous_manager", field="manager")
        if not found:
            raise NotFound("scim: nobody has the manager's address", cause="no_manager", field="manager")
        return found[0].id

    def move_to_disabled(self, account_id: str) -> None:
        """Nothing: SCIM has no place for disabled accounts."""

    def accounts(self, cursor: str | None) -> AccountPage:
        """A page of accounts. Where ``tells_changes`` is set, a later reading gives what changed, but neither deletions nor memberships.

        The groups of accounts that are not ours are told only where the target shows them on the User.
        """
        sweep = _Cursor.at(cursor)
        condition = f'meta.lastModified ge "{instant_text(sweep.since)}"' if sweep.since else None
        page = self._resources.page(User, sweep.position, condition)
        states = [self._state(user) for user in page.resources]
        if page.next is not None:
            return AccountPage(states, sweep.model_copy(update={"position": page.next}).model_dump_json(), complete=False)
        return AccountPage(states, sweep.again().model_dump_json() if self._settings.tells_changes else "")

    def block_all(self, account_ids: Sequence[str]) -> Mapping[str, HubError | None]:
        """Some at a time in bulk, where the target can; what bulk leaves open is done one by one."""
        size = self._resources.bulk_operations() if self._settings.patch and len(account_ids) > 1 else 0
        outcome: dict[str, HubError | None] = {}
        rest = list(account_ids)
        while size > 1 and rest:
            some, rest = rest[:size], rest[size:]
            try:
                outcome |= self._block_in_bulk(some)
            except HubError:
                rest, size = some + rest, 0  # what is at fault is told one by one
        return outcome | outcome_of_each(rest, self.disable)

    def sign_in_works(self, account_id: str) -> None:
        """``None``: SCIM has no sign-in."""

    def _block_in_bulk(self, account_ids: Sequence[str]) -> dict[str, HubError | None]:
        outcome = outcome_of_each(account_ids, self._writable)
        allowed = [one for one, error in outcome.items() if error is None]
        done = self._resources.patch_in_bulk(User, allowed, _CLEARED) if allowed else frozenset[str]()
        return outcome | outcome_of_each([one for one in allowed if one not in done], self.disable)

    def _set(self, user: User, changes: Mapping[str, Any]) -> None:
        marker = self._client.marker_path.casefold()
        if not self._settings.patch:
            self._resources.replace(user, lambda held: _with_values(held, changes))
        elif operations := [_operation(path, value) for path, value in leaves(changes) if path.casefold() != marker]:
            self._resources.patch(User, user.id, operations)

    def _replace_members(self, group_id: str, change: Callable[[list[Any]], list[Any]]) -> None:
        """Replace a group by its version. Where it shows no members it is asked for them: they may be shown on request only."""

        def changed(group: Group) -> Mapping[str, Any]:
            held = group.members
            if held is None:
                held = self._resources.get(Group, group_id, attributes="members").members
            return merged(group.body, {"members": change(held or [])})

        self._resources.replace(self._resources.get(Group, group_id), changed, needs_version=True)

    def _expiry(self, moment: datetime) -> dict[str, Any]:
        path = self._settings.expiry_attribute
        return at(path, instant_text(moment)) if path else {}

    def _writable(self, account_id: str) -> User:
        """The account, read just before it is written: only one that carries our marker is ever touched."""
        user = self._resources.get(User, account_id)
        if self._is_protected(user):
            raise protected("scim", "it is listed in protected_user_ids, or does not carry our marker")
        return user

    def _is_protected(self, user: User) -> bool:
        return self._marker(user) is None or user.id in self._settings.protected_user_ids

    def _marker(self, user: User) -> str | None:
        return marker_in(value_at(user.body, self._client.marker_path))

    def _state(self, user: User) -> AccountState:
        path = self._settings.expiry_attribute
        return AccountState(
            account_id=user.id,
            login=user.user_name,
            marker=self._marker(user),
            enabled=user.is_active,
            groups=self._groups(user),
            expires_at=instant_in(value_at(user.body, path)) if path else None,
            keeps_expiry=path is not None,
            protected=self._is_protected(user),
        )

    def _groups(self, user: User) -> frozenset[str]:
        """The direct groups. A target that shows none on the User either has none or does not show them (RFC 7643 §2.5)."""
        if user.groups is not None:
            return user.groups
        if self._marker(user) is None:
            return frozenset()
        found = self._resources.all(Group, equals("members.value", user.id), excludedAttributes="members")
        return frozenset(group.id for group in found)


def _taken() -> AlreadyTaken:
    return AlreadyTaken("scim: userName is in use; look up its holder", field="userName")


def _operation(path: str, value: object) -> dict[str, Any]:
    return {"op": "remove", "path": path} if value is None else {"op": "replace", "path": path, "value": value}


def _with_values(user: User, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    body = merged(user.body, changes)
    return {**body, "schemas": schemas_of(body)}


def _others(members: Sequence[Any], account_id: str) -> list[Any]:
    return [one for one in members if inside(one, "value") != account_id]
