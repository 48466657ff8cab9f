"""What Entra shows of an account: its state, its memberships, and whether automation may touch it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from connectors.http import harmless, json_object
from connectors.msgraph import addresses
from connectors.msgraph.client import MsGraphClient, R
from connectors.msgraph.records import (
    SELECTED,
    AppRole,
    DirectoryObject,
    Mention,
    Removal,
    SeenUser,
    User,
    UserDelta,
    WholeUser,
    selection,
)
from connectors.protocols.odata import Outcome, Page, Part
from connectors.records.accounts import attribute_names, marker_in, shown_attributes, usable
from workforce.access import AccountState
from workforce.errors import HubError, NotFound

KNOWN = {"$select": SELECTED}
_IDS_ALONE = "?$select=id&$top=999"
_GROUP = "#microsoft.graph.group"
_ADMIN_ROLE = "#microsoft.graph.directoryRole"

_ANOTHERS = frozenset({"userPrincipalName", "userType"})
"""What is a guest's by invitation, whatever the mapping says."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """An account as it was read just now, in Graph's terms and in ours."""

    user: User
    state: AccountState


class Accounts:
    """Accounts of one tenant, singly or 20 at a time."""

    def __init__(self, client: MsGraphClient) -> None:
        settings = client.settings
        self._client, self._batch = client, client.batch
        self._attribute, self._has_roles = settings.marker_attribute, settings.app_roles
        self._listed = {listed.lower() for listed in settings.protected_user_ids}
        self._selected = selection(SeenUser) if settings.sign_in_activity else SELECTED
        self._shows_sign_ins = settings.sign_in_activity

    def marked(self, marker: str | None) -> dict[str, object]:
        """The fields that carry ``marker``."""
        if self._attribute == "employeeId":
            return {"employeeId": marker}
        return {"onPremisesExtensionAttributes": {self._attribute: marker}}

    @property
    def marker_path(self) -> str:
        """The field that carries the marker, as filters name it."""
        return self._attribute if self._attribute == "employeeId" else f"onPremisesExtensionAttributes/{self._attribute}"

    def alone(self, user: User) -> AccountState:
        """The account of ``user`` as far as it tells by itself, without groups and roles: of a deleted one."""
        return self._state(user, ())

    def unfinished(self, user: User) -> dict[str, object]:
        """What still has to be written of an account that is found by the name under which it was invited."""
        return {} if marker_in(user.attribute(self._attribute)) else self.marked(marker) if (marker := self._marker(user)) else {}

    def seen(self, account_id: str) -> Seen:
        """The account as it is now, with its direct groups and its licences. Raises ``NotFound``."""
        user = self._client.get(addresses.user(account_id), User, KNOWN)
        return Seen(user, self._state(user, self._groups_of(user)))

    def read_whole(self, account_id: str) -> AccountState:
        """The same with application roles and the attributes that a mapping may set. Graph tells the empty ones too."""
        names = ",".join(dict.fromkeys([*self._selected.split(","), *attribute_names("msgraph")]))
        user = self._client.get(addresses.user(account_id), WholeUser, {"$select": names})
        state = self._state(user, self._groups_of(user), self._roles_of(user))
        shown = shown_attributes("msgraph", user.told, unset_is_empty=False)
        return replace(state, attributes={name: shown[name] for name in shown if not (state.guest and name in _ANOTHERS)})

    def read_many(self, account_ids: Iterable[str]) -> dict[str, AccountState | HubError]:
        """Each account as it is now, or why it cannot be read; without application roles, for those who only block."""
        return self._states(self._users(account_ids, SELECTED), with_roles=False)

    def of(self, users: Iterable[User]) -> list[AccountState]:
        """The accounts of ``users``; ``groups`` stays empty for those without our marker, which nobody here touches."""
        return [_given(state) for state in self._states({user.id: user for user in users}).values()]

    def changed(self, page: UserDelta) -> tuple[list[AccountState], list[str]]:
        """The accounts on a page of changes, and the ids of those that are gone. Whoever is only mentioned is read."""
        latest = {each.id: each for each in page.value}  # of one that is told twice the last counts
        told: dict[str, User | HubError] = {each.id: each for each in latest.values() if isinstance(each, User)}
        told |= self._users((each.id for each in latest.values() if self._is_mention(each)), self._selected)
        users = [_given(user) for user in told.values() if not isinstance(user, NotFound)]  # gone by now: a later page tells
        return self.of(users), [each.id for each in latest.values() if isinstance(each, Removal)]

    def app_roles(self, account_id: str) -> list[AppRole]:
        """The application roles that the user holds, those that come through a group left out, which Graph tells as well."""
        return _own(account_id, self._client.listed(addresses.app_roles(account_id), Page[AppRole]))

    def _is_mention(self, told: User | Mention | Removal) -> bool:
        """Whether there is more to an account of ours than changes told."""
        if isinstance(told, User):
            return self._marker(told) is not None and (told.licence_assignment_states is None or self._shows_sign_ins)
        return isinstance(told, Mention)

    def _groups_of(self, user: User) -> list[DirectoryObject]:
        return list(self._client.listed(addresses.memberships(user.id) + _IDS_ALONE, Page[DirectoryObject]))

    def _roles_of(self, user: User) -> list[AppRole]:
        return self.app_roles(user.id) if self._has_roles and self._marker(user) else []

    def _users(self, account_ids: Iterable[str], names: str) -> dict[str, User | HubError]:
        answers = self._batch.read(Part(each, "GET", f"{addresses.user(each)}?$select={names}") for each in account_ids)
        return {account_id: _tried(partial(_record, SeenUser, answer)) for account_id, answer in answers.items()}

    def _states(self, users: dict[str, User | HubError], *, with_roles: bool = True) -> dict[str, AccountState | HubError]:
        ours = [key for key, user in users.items() if isinstance(user, User) and self._marker(user)]
        parts = [Part(key, "GET", addresses.memberships(key) + _IDS_ALONE) for key in ours]
        if with_roles and self._has_roles:
            parts += [Part(_of_roles(key), "GET", addresses.app_roles(key)) for key in ours]
        answers = self._batch.read(parts)
        return {
            key: _tried(partial(self._told, user, answers.get(key), answers.get(_of_roles(key)))) for key, user in users.items()
        }

    def _told(self, user: User | HubError, memberships: Outcome | None, roles: Outcome | None) -> AccountState:
        given = _given(user)
        held = self._held(memberships, Page[DirectoryObject])
        return self._state(given, held, _own(given.id, self._held(roles, Page[AppRole])))

    def _state(self, user: User, held: Sequence[DirectoryObject], roles: Sequence[AppRole] = ()) -> AccountState:
        """Only ``false`` proves that sign-in is blocked: what Graph does not tell counts as enabled."""
        marker, is_synced = self._marker(user), user.on_premises_sync_enabled is True
        is_admin = any(thing.odata_type == _ADMIN_ROLE for thing in held)
        licences = [each for each in user.licence_assignment_states or () if each.is_held]
        return AccountState(
            account_id=user.id,
            login=user.user_principal_name,
            marker=marker,
            enabled=user.account_enabled is not False,
            groups=frozenset(thing.id for thing in held if thing.odata_type == _GROUP),
            expires_at=user.employee_leave_date_time,
            sessions_valid_from=user.sign_in_sessions_valid_from,
            keeps_expiry=not is_synced,
            protected=marker is None or is_admin or user.id.lower() in self._listed,
            licences=frozenset(each.sku_id.lower() for each in licences if not each.assigned_by_group),
            inherited_licences=frozenset(each.sku_id.lower() for each in licences if each.assigned_by_group),
            app_roles=frozenset(role.name for role in roles),
            guest=user.is_guest,
            synced=is_synced,
            last_sign_in=user.sign_in_activity.last if isinstance(user, SeenUser) and user.sign_in_activity else None,
        )

    def _marker(self, user: User) -> str | None:
        return marker_in(user.attribute(self._attribute)) or marker_in(user.invited_as)

    def _held(self, answer: Outcome | None, kind: type[Page[T]]) -> list[T]:
        if answer is None or isinstance(answer, NotFound):
            return []  # not ours; or created a moment ago, or deleted, which a later page tells
        return list(self._client.entries(_record(kind, answer)))


def _own(account_id: str, roles: Iterable[AppRole]) -> list[AppRole]:
    return [role for role in roles if role.principal_id.lower() == account_id.lower()]


def _of_roles(key: str) -> str:
    """The id of a second part about one account."""
    return f"{key}-roles"


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
