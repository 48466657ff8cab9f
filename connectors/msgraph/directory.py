"""Accounts and groups of Entra ID through Microsoft Graph.

Graph reads lag behind its writes for seconds to minutes: ``NotFound`` for an account just created means "not yet", and never that it may
be created again. That, and the error codes and the meaning of a 403 below, are not verified against the vendor.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from connectors.http import json_object
from connectors.msgraph import addresses
from connectors.msgraph.client import ALREADY_MEMBER, MsGraphClient
from connectors.msgraph.records import SELECTED, CreatedUser, DirectoryObject, DirectoryObjectPage, User, UserPage, parsed
from workforce.access import AccountState, DesiredAccount
from workforce.errors import NotFound, OutcomeUnknown, Refused, UnusableContent
from workforce.markers import is_marker

_LOGIN = re.compile(r"[A-Za-z0-9'._!#^~+\-]+@[A-Za-z0-9.\-]+")
_GROUP = "#microsoft.graph.group"
_ADMIN_ROLE = "#microsoft.graph.directoryRole"
_RESERVED = frozenset(
    {"id", "accountEnabled", "passwordProfile", "passwordPolicies", "employeeLeaveDateTime", "signInSessionsValidFromDateTime"}
)


class MsGraphDirectory:
    """The ``Directory`` port on Entra ID. Account and group ids are object ids; a login is a userPrincipalName.

    The native expiry is ``employeeLeaveDateTime``. Entra itself does not block anybody on it: it is what lifecycle workflows act on, and
    writing it needs the permission User-LifeCycleInfo.ReadWrite.All besides User.ReadWrite.All.
    """

    def __init__(self, client: MsGraphClient) -> None:
        self._client = client

    def find(self, marker: str) -> Sequence[AccountState]:
        """Every account whose ``employeeId`` is ``marker``."""
        if not is_marker(marker):
            return []
        query = {"$filter": f"employeeId eq '{marker}'", "$select": SELECTED}
        pages = self._client.pages("/users", UserPage, query)
        return [self._state(user) for page in pages for user in page.value]

    def find_by_login(self, login: str) -> AccountState | None:
        """The account whose userPrincipalName is ``login``; what cannot be one (an object id, a path) is held by nobody."""
        if not _LOGIN.fullmatch(login):
            return None
        try:
            return self._state(self._client.get(addresses.user_by_login(login), User, {"$select": SELECTED}))
        except NotFound:
            return None

    def read(self, account_id: str) -> AccountState:
        """The account as it is now, with its direct groups. Raises ``NotFound``."""
        return self._state(self._user(account_id))

    def create(self, account: DesiredAccount) -> str:
        """Create the user in one call, marker and expiry included; its object id."""
        if not is_marker(account.marker):
            raise Refused("msgraph: the marker does not have our form", cause="bad_marker", field="employeeId")
        ours = {"employeeId": account.marker, "userPrincipalName": account.login}
        body = {
            **{name: value for name, value in _mapped(account.attributes, ours).items() if value is not None},
            **ours,
            "accountEnabled": True,
            "employeeLeaveDateTime": _instant(account.expires_at),
            "passwordProfile": {"password": _random_password(), "forceChangePasswordNextSignIn": True},
        }
        try:
            return parsed(CreatedUser, json_object(self._client.post("/users", body), "msgraph")).id
        except UnusableContent:
            raise OutcomeUnknown("msgraph: the answer to a create holds no id", cause="unreadable_answer") from None

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Set fields; ``None`` and ``""`` clear one."""
        user = self._writable(account_id)
        body = _mapped(attributes, {"employeeId": user.employee_id})
        if body:
            self._unless_admin(account_id, lambda: self._client.patch(addresses.user(account_id), body))

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Set ``employeeLeaveDateTime``."""
        self._patch(account_id, {"employeeLeaveDateTime": _instant(expires_at)})

    def enable(self, account_id: str) -> None:
        """Allow sign-in."""
        self._patch(account_id, {"accountEnabled": True})

    def disable(self, account_id: str) -> None:
        """Block sign-in. Access tokens that are already out live on, for about an hour."""
        self._patch(account_id, {"accountEnabled": False})

    def revoke_sessions(self, account_id: str) -> None:
        """Invalidate refresh tokens and session cookies. Takes minutes, and does not sign out guests of another tenant."""
        self._writable(account_id)
        self._unless_admin(account_id, lambda: self._client.post(addresses.revoke_sessions(account_id)))

    def add_member(self, group_id: str, account_id: str) -> None:
        """Add to a group."""
        link = addresses.member_ref(group_id)
        user = self._writable(account_id)
        try:
            self._client.post(link, self._client.reference(user.id))
        except Refused as error:
            if error.cause != ALREADY_MEMBER:
                raise

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Remove from a group; 404 means that there is no such membership."""
        self._writable(account_id)
        try:
            self._client.delete(addresses.member_ref(group_id, account_id))
        except NotFound:
            return

    def move_to_disabled(self, account_id: str) -> None:
        """Nothing: Entra has no place for disabled accounts."""

    def sign_in_works(self, account_id: str) -> None:
        """``None``: an app has no way to try a person's sign-in."""

    def _patch(self, account_id: str, body: Mapping[str, object]) -> None:
        self._writable(account_id)
        self._unless_admin(account_id, lambda: self._client.patch(addresses.user(account_id), body))

    def _user(self, account_id: str) -> User:
        return self._client.get(addresses.user(account_id), User, {"$select": SELECTED})

    def _writable(self, account_id: str) -> User:
        """The account, read just before it is written: only one that carries our marker is ever touched."""
        user = self._user(account_id)
        if self._is_protected(user):
            raise _protected("it is listed in protected_user_ids, or does not carry our marker")
        return user

    def _is_protected(self, user: User) -> bool:
        listed = user.id.lower() in {listed.lower() for listed in self._client.settings.protected_user_ids}
        return listed or not is_marker(user.employee_id or "")

    def _unless_admin(self, account_id: str, write: Callable[[], object]) -> None:
        """Do ``write``; a 403 is told apart: on holders of an admin role it is expected, on others a permission is missing."""
        try:
            write()
        except Refused as error:
            if error.cause == "forbidden" and _holds_role(self._memberships(account_id)):
                raise _protected("it holds an administrator role") from None
            raise

    def _memberships(self, account_id: str) -> list[DirectoryObject]:
        pages = self._client.pages(addresses.memberships(account_id), DirectoryObjectPage, {"$select": "id", "$top": "999"})
        return [held for page in pages for held in page.value]

    def _state(self, user: User) -> AccountState:
        held = self._memberships(user.id)
        return AccountState(
            account_id=user.id,
            login=user.user_principal_name,
            marker=user.employee_id if is_marker(user.employee_id or "") else None,
            enabled=bool(user.account_enabled),
            groups=frozenset(thing.id for thing in held if thing.odata_type == _GROUP),
            expires_at=user.employee_leave_date_time,
            sessions_valid_from=user.sign_in_sessions_valid_from,
            protected=self._is_protected(user) or _holds_role(held),
        )


def _holds_role(held: Sequence[DirectoryObject]) -> bool:
    return any(thing.odata_type == _ADMIN_ROLE for thing in held)


def _protected(why: str) -> Refused:
    return Refused(f"msgraph: the account is protected: {why}; automation does not touch it", cause="protected_account")


def _mapped(attributes: Mapping[str, object], ours: Mapping[str, object]) -> dict[str, object]:
    """The mapping's fields, ``""`` as null. Raises ``Refused`` for those that only the connector may write."""
    for name, value in attributes.items():
        if name in _RESERVED or "@" in name or ours.get(name, value) != value:
            raise Refused(f"msgraph: the mapping must not set {name}", cause="reserved_attribute", field=name)
    return {name: None if value == "" else value for name, value in attributes.items() if name not in ours}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _random_password() -> str:
    """256 random bits that nobody knows, with the classes of characters that Entra asks for."""
    return f"{secrets.token_urlsafe(32)}aA1!"
