"""Accounts and groups of an Okta org.

Blocking is ``suspend``, which can be taken back: group and app assignments stay. ``deactivate`` deletes a person's factors and app
assignments, asynchronously, so it is the last resort, for the states that Okta does not suspend: only ACTIVE users are suspended.
Searches lag behind what is written; reads by id or login do not (neither is verified against the vendor).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

import httpx

from connectors.okta.client import PAGE_SIZE, OktaClient
from connectors.okta.records import ID, ActivationLink, Group, Role, Status, TemporaryPassword, User
from connectors.records.accounts import Sweep, mapped, marker_in, protected, random_password, require_marker, shown_attributes
from connectors.records.answers import Reading
from connectors.records.instants import instant_in, instant_text
from workforce.access import AccountPage, AccountState, CredentialKind, DesiredAccount, FirstCredential
from workforce.errors import HubError, NotFound, Refused, RetryLater, outcome_of_each
from workforce.markers import is_marker

STATUS_CHANGES = 3
_parse = Reading("okta")
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(ID)
_LOGIN = re.compile(r"[^\s/\\?#%\".][^\s/\\?#%\"]*")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NO_MAIL = {"sendEmail": "false"}
_SIGNED_OUT = {"revokeSessions": "true"}
_WITHOUT_PASSWORD = frozenset({Status.PROVISIONED, Status.RECOVERY})
_SIGN_OUT = {"oauthTokens": "true", "forgetDevices": "true"}


class _Cursor(Sweep):
    next_link: str | None = None


class OktaDirectory:
    """The ``Directory`` port on Okta. Ids are Okta's; a login is ``profile.login``; the marker is ``profile.employeeNumber``.

    Okta has no expiry of its own. Where the org has an attribute for it (``expiry_attribute``) the end instant is written there, for the
    org's own automation to act on.
    """

    def __init__(self, client: OktaClient) -> None:
        self._client, self._settings = client, client.settings

    def find(self, marker: str) -> Sequence[AccountState]:
        """Every account whose employeeNumber is ``marker``, once Okta's index has it."""
        if not is_marker(marker):
            return []
        query = {"search": f'profile.employeeNumber eq "{marker}"', "limit": PAGE_SIZE}
        found = [user for user in self._client.all("/users", User, query) if user.profile.employee_number == marker]
        return self._states(found)[0]

    def find_by_login(self, login: str) -> AccountState | None:
        """The account whose login is ``login``. The path would take an id, ``me`` or the first part of a login too: those are nobody."""
        if not _LOGIN.fullmatch(login) or not login.isprintable():
            return None
        try:
            user = self._client.get(f"/users/{quote(login, safe='@')}", User)
        except NotFound:
            return None
        return self._state(user) if user.profile.login.casefold() == login.casefold() else None

    def read(self, account_id: str) -> AccountState:
        """The account as it is now, with its groups and its profile. Raises ``NotFound``."""
        user = self._user(account_id)
        return replace(self._state(user), attributes=shown_attributes("okta", user.profile.told, unset_is_empty=True))

    def create(self, account: DesiredAccount) -> str:
        """Create the user in one request, marker included, and activate them if they shall be enabled; the id.

        The password keeps Okta from writing to the person.
        """
        if account.guest:
            raise Refused("okta: a user is no guest", cause="no_guests")
        require_marker("okta", account.marker, field="employeeNumber")
        ours = {"login": account.login, "employeeNumber": account.marker, **self._expiry(account.expires_at)}
        profile = {name: value for name, value in _mapped(account.attributes, ours).items() if value is not None}
        body = {"profile": {**profile, **ours}, "credentials": {"password": {"value": random_password()}}}
        response = self._client.write("POST", "/users", body, {"activate": str(account.enabled).lower()})
        return _parse.written(User, response.content).id

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Set attributes of the profile; ``None`` and ``""`` clear one."""
        user = self._writable(account_id)
        ours: dict[str, object] = {
            "employeeNumber": user.profile.employee_number,
            **dict.fromkeys(self._expiry(datetime.now(UTC)), object()),
        }
        self._set(account_id, _mapped(attributes, ours))

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Set ``expiry_attribute``; without that setting nothing, since Okta has no expiry."""
        self._writable(account_id)
        self._set(account_id, self._expiry(expires_at))

    def enable(self, account_id: str) -> None:
        """Unsuspend, or activate what was deactivated or never active; without writing to the person."""
        user = self._writable(account_id)
        if user.is_being_deactivated:
            raise RetryLater("okta: the account is being deactivated; it can be enabled once that is done", cause="deactivating")
        if user.status == Status.SUSPENDED:
            self._lifecycle(account_id, "unsuspend", {})
        elif user.is_blocked:
            self._lifecycle(account_id, "activate", _NO_MAIL)

    def disable(self, account_id: str) -> None:
        """Suspend; what cannot be suspended is deactivated."""
        self._block(self._writable(account_id))

    def revoke_sessions(self, account_id: str) -> None:
        """End Okta's sessions, and revoke OAuth tokens and remembered devices. Apps end their own sessions when they ask Okta again."""
        self._sign_out(self._writable(account_id))

    def add_member(self, group_id: str, account_id: str) -> None:
        """Add to a group. Groups that an app or Okta manages take nobody (403; Okta does not say why, so the group is looked at)."""
        path = f"/groups/{_id(group_id, 'groups')}/users/{_id(account_id, 'account_id')}"
        self._writable(account_id)
        try:
            self._unless_admin(account_id, lambda: self._client.write("PUT", path))
        except Refused as error:
            if error.cause != "forbidden" or self._client.get(f"/groups/{group_id}", Group).type == "OKTA_GROUP":
                raise
            message = "okta: an app or Okta itself decides who is in the group; give the access there"
            raise Refused(message, cause="group_not_ours", field="groups") from None

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Remove from a group; 404 means that there is no such membership."""
        self._writable(account_id)
        try:
            path = f"/groups/{_id(group_id, 'groups')}/users/{account_id}"
            self._unless_admin(account_id, lambda: self._client.write("DELETE", path))
        except NotFound:
            return

    def set_manager(self, account_id: str, address: str) -> None:
        """Set ``managerId`` to the id of whoever signs in with the address or, once Okta's index has them, receives mail there."""
        self._writable(account_id)
        self._set(account_id, {"managerId": self._addressee(address)})

    def rename(self, account_id: str, login: str) -> None:
        """Change ``login``. Okta has no aliases: nobody signs in with the old one any more. Raises ``AlreadyTaken``."""
        if not _LOGIN.fullmatch(login):
            raise Refused("okta: this can be no login", cause="bad_login", field="login")
        self._writable(account_id)
        self._set(account_id, {"login": login})

    def first_credential(self, account_id: str) -> FirstCredential:
        """A temporary password, which Okta has changed at the next sign-in, or a link for whoever never had a password.

        Raises ``RetryLater`` for an account that is blocked: either would open it, and ``enable`` does that.
        """
        user = self._writable(account_id)
        if user.is_blocked or user.is_being_deactivated:
            raise RetryLater("okta: the account is blocked; it is given a credential once it is enabled", cause="not_enabled")
        if user.status in _WITHOUT_PASSWORD:
            link = _parse.written(ActivationLink, self._lifecycle(account_id, "reactivate", _NO_MAIL).content)
            return FirstCredential(CredentialKind.ACTIVATION_LINK, link.secret)
        answer = self._lifecycle(account_id, "expire_password_with_temp_password", _SIGNED_OUT)
        return FirstCredential(CredentialKind.PASSWORD, _parse.written(TemporaryPassword, answer.content).secret)

    def _addressee(self, address: str) -> str:
        if holder := self.find_by_login(address):
            return holder.account_id
        query = {"search": f'profile.email eq "{address}"', "limit": PAGE_SIZE}
        found = list(self._client.all("/users", User, query)) if _LOGIN.fullmatch(address) else []
        if len(found) > 1:
            raise Refused("okta: several users have the manager's address", cause="ambiguous_manager", field="manager")
        if not found:
            raise NotFound("okta: nobody has the manager's address", cause="no_manager", field="manager")
        return found[0].id

    def move_to_disabled(self, account_id: str) -> None:
        """Nothing: Okta has no place for disabled accounts."""

    def accounts(self, cursor: str | None) -> AccountPage:
        """A page of accounts, deactivated ones too; later those that changed, but neither deletions nor memberships tell.

        The groups of accounts that are not ours are left out.
        """
        at = _Cursor.at(cursor)
        query = {"filter": f'lastUpdated gt "{_instant(at.since or BEGINNING)}"', "limit": PAGE_SIZE}
        page = self._client.page(at.next_link, User) if at.next_link else self._client.page("/users", User, query)
        states, gone = self._states(page.items)
        follow = at.model_copy(update={"next_link": page.next_link}) if page.next_link else at.again()
        return AccountPage(states, follow.model_dump_json(), complete=page.next_link is None, gone=gone)

    def block_all(self, account_ids: Sequence[str]) -> Mapping[str, HubError | None]:
        """One by one: Okta has no batches."""

        def block(account_id: str) -> None:
            user = self._writable(account_id)
            self._block(user)
            self._sign_out(user)

        return outcome_of_each(account_ids, block)

    def sign_in_works(self, account_id: str) -> None:
        """``None``: an app has no way to try a person's sign-in."""

    def _block(self, user: User) -> None:
        """Suspend or deactivate; where that is refused because the status has changed, once more by the new one."""
        for _ in range(STATUS_CHANGES):
            if user.is_blocked or user.is_being_deactivated:
                return
            can_be_suspended = user.status == Status.ACTIVE and user.transitioning_to is None
            step = ("suspend", {}) if can_be_suspended else ("deactivate", _NO_MAIL)
            try:
                self._lifecycle(user.id, *step)
            except Refused as error:
                before, user = user, self._writable(user.id)
                if error.cause != "http_400" or user.standing == before.standing:
                    raise
            else:
                return
        raise RetryLater("okta: the status changes faster than the account can be blocked", cause="status_changes")

    def _sign_out(self, user: User) -> None:
        """Where Okta does not take it for a deactivated user, there is nothing left to end (not verified against the vendor)."""
        try:
            self._unless_admin(user.id, lambda: self._client.write("DELETE", f"/users/{user.id}/sessions", query=_SIGN_OUT))
        except Refused:
            if user.status != Status.DEPROVISIONED:
                raise

    def _lifecycle(self, account_id: str, step: str, query: Mapping[str, str]) -> httpx.Response:
        path = f"/users/{account_id}/lifecycle/{step}"
        return self._unless_admin(account_id, lambda: self._client.write("POST", path, query=query))

    def _set(self, account_id: str, profile: Mapping[str, object]) -> None:
        if profile:
            self._unless_admin(account_id, lambda: self._client.write("POST", f"/users/{account_id}", {"profile": profile}))

    def _expiry(self, moment: datetime) -> dict[str, object]:
        name = self._settings.expiry_attribute
        return {name: _instant(moment)} if name else {}

    def _user(self, account_id: str) -> User:
        user = self._client.get(f"/users/{_id(account_id, 'account_id')}", User)
        if user.id != account_id:
            raise Refused("okta: this is a login or a part of one, and no account's id", cause="another_id", field="account_id")
        return user

    def _writable(self, account_id: str) -> User:
        """The account, read just before it is written: only one that carries our marker is ever touched."""
        user = self._user(account_id)
        if self._is_protected(user):
            raise protected("okta", "it is listed in protected_user_ids, or does not carry our marker")
        return user

    def _is_protected(self, user: User) -> bool:
        return user.id in self._settings.protected_user_ids or marker_in(user.profile.employee_number) is None

    def _unless_admin(self, account_id: str, write: Callable[[], httpx.Response]) -> httpx.Response:
        """Do ``write``; a 403 is told apart: on administrators it is expected, on others a permission is missing.

        Where we may not read roles (okta.roles.read, not verified against the vendor) it stays a missing permission.
        """
        try:
            return write()
        except Refused as error:
            if error.cause == "forbidden" and self._holds_role(account_id):
                raise protected("okta", "it holds an administrator role") from None
            raise

    def _holds_role(self, account_id: str) -> bool:
        try:
            return any(True for _ in self._client.all(f"/users/{account_id}/roles", Role))
        except Refused:
            return False

    def _states(self, users: Sequence[User]) -> tuple[list[AccountState], list[str]]:
        """The accounts, and the ids of those that Okta's index still shows and that are gone."""
        states, gone = list[AccountState](), list[str]()
        for user in users:
            try:
                states.append(self._state(user))
            except NotFound:
                gone.append(user.id)
        return states, gone

    def _state(self, user: User) -> AccountState:
        marker = marker_in(user.profile.employee_number)
        name = self._settings.expiry_attribute
        return AccountState(
            account_id=user.id,
            login=user.profile.login,
            marker=marker,
            enabled=not user.is_blocked,
            groups=self._groups(user.id) if marker else frozenset(),
            expires_at=instant_in(user.profile.text(name)) if name else None,
            keeps_expiry=name is not None,
            protected=self._is_protected(user),
            last_sign_in=instant_in(user.last_login),
        )

    def _groups(self, account_id: str) -> frozenset[str]:
        """All but those that Okta fills by itself (Everyone)."""
        groups = self._client.all(f"/users/{account_id}/groups", Group)
        return frozenset(group.id for group in groups if group.type != "BUILT_IN")


def _id(text: str, field: str) -> str:
    """``text`` as an id. Raises ``NotFound``: nothing can have any other, and a path takes logins where we mean ids."""
    if not _ID.fullmatch(text) or text == "me":
        raise NotFound(f"okta: {field}: not an id of Okta's", field=field)
    return text


def _mapped(attributes: Mapping[str, object], ours: Mapping[str, object]) -> dict[str, object]:
    return mapped("okta", attributes, ours, lambda name: _NAME.fullmatch(name) is not None)


def _instant(moment: datetime) -> str:
    return instant_text(moment, "milliseconds")
