"""What Entra shows of an account: its state, its memberships, and whether automation may touch it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connectors.msgraph import addresses
from connectors.msgraph.batch import Batch, Outcome, Part
from connectors.msgraph.client import MsGraphClient, read_as
from connectors.msgraph.records import SELECTED, DirectoryObject, DirectoryObjectPage, Mention, R, Removal, User, UserDelta
from workforce.access import AccountState
from workforce.errors import HubError, NotFound, Refused
from workforce.markers import is_marker

WHOLE = {"$select": SELECTED}
_MEMBERSHIPS = {"$select": "id", "$top": "999"}
_GROUP = "#microsoft.graph.group"
_ADMIN_ROLE = "#microsoft.graph.directoryRole"


class Accounts:
    """Accounts of one tenant, singly or 20 at a time."""

    def __init__(self, client: MsGraphClient, batch: Batch) -> None:
        self._client, self._batch = client, batch
        self._attribute = client.settings.marker_attribute
        self._listed = {listed.lower() for listed in client.settings.protected_user_ids}

    def user(self, account_id: str) -> User:
        """The user as it is now. Raises ``NotFound``."""
        return self._client.get(addresses.user(account_id), User, WHOLE)

    def marker(self, user: User) -> str | None:
        """Our marker, if it carries one."""
        value = user.attribute(self._attribute) or ""
        return value if is_marker(value) else None

    def marked(self, marker: str | None) -> dict[str, object]:
        """The fields that carry ``marker``."""
        if self._attribute == "employeeId":
            return {"employeeId": marker}
        return {"onPremisesExtensionAttributes": {self._attribute: marker}}

    def writable(self, user: User) -> User:
        """``user``, which was read just before it is written. Raises ``Refused`` unless it carries our marker and is not listed."""
        if self._is_protected(user):
            raise _protected("it is listed in protected_user_ids, or does not carry our marker")
        return user

    def explained(self, account_id: str, error: HubError) -> HubError:
        """``error``, but a 403 is told apart: on holders of an admin role it is expected, on others a permission is missing."""
        try:
            is_admin = error.cause == "forbidden" and _holds_role(self._memberships(account_id))
        except HubError:
            return error
        return _protected("it holds an administrator role") if is_admin else error

    def state(self, user: User) -> AccountState:
        """The account, with its direct groups read besides."""
        return self._state(user, self._memberships(user.id))

    def states(self, users: Sequence[User]) -> list[AccountState]:
        """The same for many; ``groups`` stays empty for those without our marker, which nobody here touches."""
        ours = [user.id for user in users if self.marker(user)]
        query = f"?$select={_MEMBERSHIPS['$select']}&$top={_MEMBERSHIPS['$top']}"
        answers = self._batch.read(Part(each, "GET", addresses.memberships(each) + query) for each in ours)
        held = {account_id: self._held(answer) for account_id, answer in answers.items()}
        return [self._state(user, held.get(user.id, ())) for user in users]

    def read_many(self, account_ids: Iterable[str]) -> dict[str, User | HubError]:
        """Each user as it is now, or why it cannot be read."""
        answers = self._batch.read(Part(each, "GET", f"{addresses.user(each)}?$select={SELECTED}") for each in account_ids)
        return {account_id: _user(answer) for account_id, answer in answers.items()}

    def changed(self, page: UserDelta) -> tuple[list[User], list[str]]:
        """The users on a page of changes, and the ids of those that are gone. Whoever is only mentioned is read."""
        latest = {each.id: each for each in page.value}  # of one that is told twice the last counts
        read = self.read_many(each.id for each in latest.values() if isinstance(each, Mention))
        users: list[User] = []
        for each in latest.values():
            user = read.get(each.id, each)
            if isinstance(user, HubError) and not isinstance(user, NotFound):  # gone by now: a later page tells
                raise user
            users += [user] if isinstance(user, User) else []
        return users, [each.id for each in latest.values() if isinstance(each, Removal)]

    def _is_protected(self, user: User) -> bool:
        return user.id.lower() in self._listed or self.marker(user) is None

    def _state(self, user: User, held: Sequence[DirectoryObject]) -> AccountState:
        return AccountState(
            account_id=user.id,
            login=user.user_principal_name,
            marker=self.marker(user),
            enabled=bool(user.account_enabled),
            groups=frozenset(thing.id for thing in held if thing.odata_type == _GROUP),
            expires_at=user.employee_leave_date_time,
            sessions_valid_from=user.sign_in_sessions_valid_from,
            protected=self._is_protected(user) or _holds_role(held),
        )

    def _memberships(self, account_id: str) -> list[DirectoryObject]:
        return self._all_of(self._client.get(addresses.memberships(account_id), DirectoryObjectPage, _MEMBERSHIPS))

    def _held(self, answer: Outcome) -> list[DirectoryObject]:
        if isinstance(answer, NotFound):
            return []  # created a moment ago, or deleted, which a later page tells
        return self._all_of(_record(DirectoryObjectPage, answer))

    def _all_of(self, page: DirectoryObjectPage) -> list[DirectoryObject]:
        return [held for each in (page, *self._client.pages_after(page, DirectoryObjectPage)) for held in each.value]


def _record(kind: type[R], answer: Outcome) -> R:
    if isinstance(answer, HubError):
        raise answer
    return read_as(kind, answer)


def _user(answer: Outcome) -> User | HubError:
    try:
        return _record(User, answer)
    except HubError as error:
        return error


def _holds_role(held: Sequence[DirectoryObject]) -> bool:
    return any(thing.odata_type == _ADMIN_ROLE for thing in held)


def _protected(why: str) -> Refused:
    return Refused(f"msgraph: the account is protected: {why}; automation does not touch it", cause="protected_account")
