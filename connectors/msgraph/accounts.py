"""What Entra shows of an account: its state, its memberships, and whether automation may touch it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from connectors.http import harmless, json_object
from connectors.msgraph import addresses
from connectors.msgraph.client import MsGraphClient, R
from connectors.msgraph.records import (
    SELECTED,
    DirectoryObject,
    DirectoryObjectPage,
    Mention,
    Removal,
    User,
    UserDelta,
    WholeUser,
)
from connectors.protocols.odata import Outcome, Part
from connectors.records.accounts import attribute_names, marker_in, shown_attributes, usable
from workforce.access import AccountState
from workforce.errors import HubError, NotFound

KNOWN = {"$select": SELECTED}
_MEMBERSHIPS = {"$select": "id", "$top": "999"}
_GROUP = "#microsoft.graph.group"
_ADMIN_ROLE = "#microsoft.graph.directoryRole"

T = TypeVar("T")


class Accounts:
    """Accounts of one tenant, singly or 20 at a time."""

    def __init__(self, client: MsGraphClient) -> None:
        self._client, self._batch = client, client.batch
        self._attribute = client.settings.marker_attribute
        self._listed = {listed.lower() for listed in client.settings.protected_user_ids}

    def marked(self, marker: str | None) -> dict[str, object]:
        """The fields that carry ``marker``."""
        if self._attribute == "employeeId":
            return {"employeeId": marker}
        return {"onPremisesExtensionAttributes": {self._attribute: marker}}

    def read(self, account_id: str) -> AccountState:
        """The account as it is now, with its direct groups. Raises ``NotFound``."""
        return self._with_groups(self._client.get(addresses.user(account_id), User, KNOWN))

    def read_whole(self, account_id: str) -> AccountState:
        """The same with the attributes that a mapping may set. Graph tells the empty ones too."""
        names = ",".join(dict.fromkeys([*SELECTED.split(","), *attribute_names("msgraph")]))
        user = self._client.get(addresses.user(account_id), WholeUser, {"$select": names})
        return replace(self._with_groups(user), attributes=shown_attributes("msgraph", user.told, unset_is_empty=False))

    def read_many(self, account_ids: Iterable[str]) -> dict[str, AccountState | HubError]:
        """Each account as it is now, or why it cannot be read."""
        return self._states(self._users(account_ids))

    def of(self, users: Iterable[User]) -> list[AccountState]:
        """The accounts of ``users``; ``groups`` stays empty for those without our marker, which nobody here touches."""
        return [_given(state) for state in self._states({user.id: user for user in users}).values()]

    def changed(self, page: UserDelta) -> tuple[list[AccountState], list[str]]:
        """The accounts on a page of changes, and the ids of those that are gone. Whoever is only mentioned is read."""
        latest = {each.id: each for each in page.value}  # of one that is told twice the last counts
        told: dict[str, User | HubError] = {each.id: each for each in latest.values() if isinstance(each, User)}
        told |= self._users(each.id for each in latest.values() if isinstance(each, Mention))
        users = [_given(user) for user in told.values() if not isinstance(user, NotFound)]  # gone by now: a later page tells
        return self.of(users), [each.id for each in latest.values() if isinstance(each, Removal)]

    def _with_groups(self, user: User) -> AccountState:
        page = self._client.get(addresses.memberships(user.id), DirectoryObjectPage, _MEMBERSHIPS)
        return self._state(user, self._all_of(page))

    def _users(self, account_ids: Iterable[str]) -> dict[str, User | HubError]:
        answers = self._batch.read(Part(each, "GET", f"{addresses.user(each)}?$select={SELECTED}") for each in account_ids)
        return {account_id: _tried(partial(_record, User, answer)) for account_id, answer in answers.items()}

    def _states(self, users: dict[str, User | HubError]) -> dict[str, AccountState | HubError]:
        query = f"?$select={_MEMBERSHIPS['$select']}&$top={_MEMBERSHIPS['$top']}"
        ours = [key for key, user in users.items() if isinstance(user, User) and self._marker(user)]
        answers = self._batch.read(Part(key, "GET", addresses.memberships(key) + query) for key in ours)
        return {key: _tried(partial(self._told, user, answers.get(key))) for key, user in users.items()}

    def _told(self, user: User | HubError, memberships: Outcome | None) -> AccountState:
        return self._state(_given(user), self._held(memberships))

    def _state(self, user: User, held: Sequence[DirectoryObject]) -> AccountState:
        """Only ``false`` proves that sign-in is blocked: what Graph does not tell counts as enabled."""
        marker = self._marker(user)
        is_admin = any(thing.odata_type == _ADMIN_ROLE for thing in held)
        return AccountState(
            account_id=user.id,
            login=user.user_principal_name,
            marker=marker,
            enabled=user.account_enabled is not False,
            groups=frozenset(thing.id for thing in held if thing.odata_type == _GROUP),
            expires_at=user.employee_leave_date_time,
            sessions_valid_from=user.sign_in_sessions_valid_from,
            protected=marker is None or is_admin or user.id.lower() in self._listed,
        )

    def _marker(self, user: User) -> str | None:
        return marker_in(user.attribute(self._attribute))

    def _held(self, answer: Outcome | None) -> list[DirectoryObject]:
        if answer is None or isinstance(answer, NotFound):
            return []  # not ours; or created a moment ago, or deleted, which a later page tells
        return self._all_of(_record(DirectoryObjectPage, answer))

    def _all_of(self, page: DirectoryObjectPage) -> list[DirectoryObject]:
        return [held for each in self._client.pages(page) for held in each.value]


def _record(kind: type[R], answer: Outcome) -> R:
    with harmless():
        body = json_object(_given(answer), "msgraph")
    return usable("msgraph", kind, body)


def _given(outcome: T | HubError) -> T:
    if isinstance(outcome, HubError):
        raise outcome
    return outcome


def _tried(make: Callable[[], T]) -> T | HubError:
    try:
        return make()
    except HubError as error:
        return error
