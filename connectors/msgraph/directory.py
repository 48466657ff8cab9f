"""Accounts of Entra ID through Microsoft Graph; what they hold is in ``entitlements``, what becomes of people in ``people``.

Graph reads lag behind its writes for seconds to minutes: ``NotFound`` for an account just created means "not yet", and never that it may
be created again. That, and the error codes and the meaning of a 403 below, are not verified against the vendor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from connectors.msgraph import addresses
from connectors.msgraph.accounts import KNOWN
from connectors.msgraph.answers import RESYNC_REQUIRED
from connectors.msgraph.entitlements import Entitlements
from connectors.msgraph.guests import Guests
from connectors.msgraph.people import People
from connectors.msgraph.records import CreatedUser, User, UserDelta
from connectors.msgraph.writes import refusal, synced
from connectors.protocols.odata import Outcome, Page, Part
from connectors.records.accounts import mapped, random_password, require_marker
from connectors.records.answers import Reading
from connectors.records.instants import instant_text
from workforce.access import AccountPage, AccountState, DesiredAccount
from workforce.errors import HubError, NotFound, Refused, RetryLater, outcome_of_each
from workforce.markers import is_marker

log = structlog.get_logger(__name__)
_parse = Reading("msgraph")

_LOGIN = re.compile(r"[A-Za-z0-9'._!#^~+\-]+@[A-Za-z0-9.\-]+")
_BLOCKED_TOGETHER = 100
"""So many accounts are read before the first of them is blocked: thousands would keep the first waiting for minutes."""
_RESERVED = frozenset({"id", "accountenabled", "passwordprofile", "passwordpolicies", "employeeleavedatetime",
                       "signinsessionsvalidfromdatetime"})  # fmt: skip
"""What only the connector writes, folded: Graph takes names in any case."""


class MsGraphDirectory(Entitlements, People):
    """The ``Directory`` port on Entra ID. Account and group ids are object ids; a login is a userPrincipalName.

    The native expiry is ``employeeLeaveDateTime``. Entra itself does not block anybody on it: it is what lifecycle workflows act on, and
    writing it needs the permission User-LifeCycleInfo.ReadWrite.All besides User.ReadWrite.All.

    Besides: ``Licensing``, ``AppRoles``, ``Managers``, ``Renaming``, ``Restoring`` and ``Credentials``. An account that comes from Active
    Directory (``synced``) is read here, signed out, and given groups, licences and roles; all else is refused (cause ``synced_account``).
    """

    def find(self, marker: str) -> Sequence[AccountState]:
        """Every account that carries ``marker``. By an extension attribute the index is asked, which lags more than reads do.

        What Graph gives besides (a filter that something on the way dropped) is left out: whoever is found here is ours to block.
        """
        if not is_marker(marker):
            return []
        is_extension = self._client.settings.marker_attribute != "employeeId"
        found = self._accounts.of(
            self._users(f"{self._accounts.marker_path} eq '{marker}'", advanced=is_extension)
            or self._users(f"displayName eq '{marker}'")  # guests who are known by their marker alone so far
        )
        return [account for account in found if account.marker == marker]

    def find_by_login(self, login: str) -> AccountState | None:
        """The account whose userPrincipalName is ``login``; what cannot be one (an object id, a path) is held by nobody."""
        if not _LOGIN.fullmatch(login):
            return None
        try:
            user = self._client.get(addresses.user_by_login(login), User, KNOWN)
        except NotFound:
            return None
        return self._accounts.of([user])[0]

    def read(self, account_id: str) -> AccountState:
        """The account as it is now, with its direct groups and its attributes. Raises ``NotFound``."""
        return self._accounts.read_whole(account_id)

    def create(self, account: DesiredAccount) -> str:
        """Create the user in one call, marker and expiry included, or invite the guest; the object id."""
        require_marker("msgraph", account.marker, field=self._client.settings.marker_attribute)
        marked = self._accounts.marked(account.marker)
        ours = {**marked, "userPrincipalName": account.login}
        body = {
            **{name: value for name, value in _mapped(account.attributes, ours).items() if value is not None},
            **marked,
            "accountEnabled": account.enabled,
            "employeeLeaveDateTime": instant_text(account.expires_at),
        }
        if account.guest:
            return Guests(self._client, self._accounts).invite(account, _without(body, "userType"))
        password = {"password": random_password(), "forceChangePasswordNextSignIn": True}
        body |= {"userPrincipalName": account.login, "passwordProfile": password}
        return _parse.written(CreatedUser, self._client.write("POST", addresses.USERS, json=body).content).id

    def update(self, account_id: str, attributes: Mapping[str, object]) -> None:
        """Set fields; ``None`` and ``""`` clear one. A changed login is kept as ``rename`` does; a guest's is not the mapping's."""
        seen = self._ours_to_change(account_id)
        body = _mapped(attributes, self._accounts.marked(seen.state.marker))
        if seen.state.guest:
            body = _without(body, "userPrincipalName", "userType")
        if isinstance(login := body.get("userPrincipalName"), str):
            body = {**self._renamed(seen, login), **body}
        if body:
            self._patch_seen(seen, body)

    def set_expiry(self, account_id: str, expires_at: datetime) -> None:
        """Set ``employeeLeaveDateTime``."""
        self._patch(account_id, {"employeeLeaveDateTime": instant_text(expires_at)})

    def enable(self, account_id: str) -> None:
        """Allow sign-in."""
        self._switch(account_id, on=True)

    def disable(self, account_id: str) -> None:
        """Block sign-in. Access tokens that are already out live on, for about an hour."""
        self._switch(account_id, on=False)

    def revoke_sessions(self, account_id: str) -> None:
        """Invalidate refresh tokens and session cookies. Takes minutes, and does not sign out guests of another tenant."""
        self._writable(account_id)
        self._client.write("POST", addresses.revoke_sessions(account_id))

    def move_to_disabled(self, account_id: str) -> None:
        """Nothing: Entra has no place for disabled accounts."""

    def accounts(self, cursor: str | None) -> AccountPage:
        """Accounts by ``users/delta``, and the groups of those that carry our marker; others' ``groups`` stay empty.

        Graph tells changes of a user here, not of its memberships: a change of groups alone shows when reading starts again with ``None``.
        A cursor that Graph has forgotten, or that is none of ours, starts again by itself; then ``gone`` lacks who went before.
        """
        page = self._delta(cursor)
        link = page.next_link or page.delta_link
        following = self._client.own_path(link) if link is not None else ""
        if not addresses.leads_through_changes(following):  # as a cursor it would start from the beginning, again and again
            raise RetryLater("msgraph: a page of changes leads nowhere", cause="unreadable_answer")
        accounts, gone = self._accounts.changed(page)
        return AccountPage(accounts, following, complete=page.next_link is None, gone=gone)

    def block_all(self, account_ids: Sequence[str]) -> Mapping[str, HubError | None]:
        """A hundred at a time are read and their sign-ins blocked; once all are, all sessions are revoked.

        One that Active Directory decides about is signed out all the same, and refused if it is not disabled there.
        """
        outcomes = outcome_of_each(account_ids, addresses.user)
        ready, blocked = [one for one, error in outcomes.items() if error is None], dict[str, Outcome | None]()
        for start in range(0, len(ready), _BLOCKED_TOGETHER):
            read = self._accounts.read_many(ready[start : start + _BLOCKED_TOGETHER])
            outcomes |= {account_id: refusal(account) for account_id, account in read.items()}
            ours = {key: each for key, each in read.items() if not isinstance(each, HubError) and not each.protected}
            blocked |= {key: synced() if each.enabled else None for key, each in ours.items() if each.synced}
            off = {"accountEnabled": False}
            blocked |= self._client.batch.write(
                Part(key, "PATCH", addresses.user(key), off) for key, each in ours.items() if not each.synced
            )
        revoked = self._client.batch.write(Part(each, "POST", addresses.revoke_sessions(each)) for each in blocked)
        for account_id in blocked:
            told = (blocked[account_id], revoked[account_id])
            outcomes[account_id] = next((error for error in told if isinstance(error, HubError)), None)
        return outcomes

    def read_all(self, account_ids: Sequence[str]) -> Mapping[str, AccountState | HubError]:
        """Each account as it is now, 20 to a request, without its attributes; or why it cannot be read."""
        return self._accounts.read_many(account_ids)

    def sign_in_works(self, account_id: str) -> None:
        """``None``: an app has no way to try a person's sign-in."""

    def _delta(self, cursor: str | None) -> UserDelta:
        if cursor is not None and addresses.leads_through_changes(cursor):
            try:
                return self._client.get(cursor, UserDelta)
            except Refused as error:
                if error.cause != RESYNC_REQUIRED:
                    raise
        if cursor is not None:
            log.warning("directory.changes_start_again", system="msgraph")
        return self._client.get(addresses.USER_CHANGES, UserDelta, KNOWN)

    def _switch(self, account_id: str, *, on: bool) -> None:
        """Allow or block sign-in. Where Active Directory decides, what it has done already counts."""
        seen = self._writable(account_id)
        if not seen.state.synced:
            self._patch_seen(seen, {"accountEnabled": on})
        elif seen.state.enabled is not on:
            raise synced()

    def _users(self, where: str, *, advanced: bool = False) -> list[User]:
        return list(self._client.listed(addresses.USERS, Page[User], {**KNOWN, "$filter": where}, advanced=advanced))


def _without(body: Mapping[str, object], *names: str) -> dict[str, object]:
    """``body`` without ``names``, in any case."""
    folded = {name.casefold() for name in names}
    return {name: value for name, value in body.items() if name.casefold() not in folded}


def _mapped(attributes: Mapping[str, object], ours: Mapping[str, object]) -> dict[str, object]:
    """Annotations (``@odata.type``) are not the mapping's either."""
    return mapped("msgraph", attributes, ours, lambda name: name.casefold() not in _RESERVED and "@" not in name)
