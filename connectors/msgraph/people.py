"""What becomes of a person's account in Entra: a manager, another login, a first credential, and back from the deleted ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from connectors.msgraph import addresses
from connectors.msgraph.accounts import KNOWN, Seen
from connectors.msgraph.guests import holders_of
from connectors.msgraph.records import AccessPass, Named, User
from connectors.msgraph.writes import Writes, refusal, synced
from connectors.protocols.odata import Page
from connectors.records.answers import Reading
from workforce.access import CredentialKind, FirstCredential
from workforce.errors import HubError, NotFound, OutcomeUnknown, Refused
from workforce.markers import is_marker

_parse = Reading("msgraph")


class People(Writes):
    """Who somebody is, apart from what they hold."""

    def set_manager(self, account_id: str, address: str) -> None:
        """Make the one user whose login or mail is ``address`` the manager."""
        self._ours_to_change(account_id)
        found = {user.id for user in holders_of(self._client, address)}
        if len(found) > 1:
            message = "msgraph: several users have the manager's address; keep it with one of them"
            raise Refused(message, cause="several_managers", field="manager")
        if not found:
            raise NotFound("msgraph: no user has the manager's address as login or mail", field="manager")
        link = self._client.reference(found.pop(), of="users")
        self._client.write("PUT", addresses.manager_ref(account_id), json=link)

    def rename(self, account_id: str, login: str) -> None:
        """Change userPrincipalName. The old one is kept in otherMails; a mailbox keeps its addresses by itself (proxyAddresses)."""
        seen = self._ours_to_change(account_id)
        if seen.state.guest:
            message = "msgraph: a guest signs in with an account of their own, which is renamed at home"
            raise Refused(message, cause="guest_account", field="userPrincipalName")
        if change := self._renamed(seen, login):
            self._patch_seen(seen, change)

    def deleted(self, marker: str) -> Sequence[str]:
        """Accounts with ``marker`` among those that were deleted in the last 30 days."""
        if not is_marker(marker):
            return []
        where = f"{self._accounts.marker_path} eq '{marker}'"
        return [user.id for user in self._deleted(where) if self._accounts.alone(user).marker == marker]

    def restore(self, account_id: str) -> None:
        """Bring a deleted account back and block its sign-in: it comes back as it was. One that is back already is only blocked."""
        path = addresses.restore(account_id)
        try:
            self._require_ours_among_deleted(account_id)
            self._client.write("POST", path)
        except NotFound:
            self._patch(account_id, {"accountEnabled": False})
            return
        try:
            self._client.write("PATCH", addresses.user(account_id), json={"accountEnabled": False})
        except HubError as error:
            message = f"msgraph: the account is back and not blocked yet: {error}"
            raise OutcomeUnknown(message, cause="restored_unblocked") from None

    def first_credential(self, account_id: str) -> FirstCredential:
        """A temporary access pass. The tenant's policy has to allow them; Graph keeps one for each user, so a new one replaces the last."""
        seen = self._writable(account_id)
        if seen.state.guest:
            raise Refused("msgraph: a guest signs in with an account of their own", cause="guest_account")
        minutes = self._client.settings.access_pass_minutes
        body = {} if minutes is None else {"lifetimeInMinutes": minutes}
        response = self._client.write("POST", addresses.access_passes(account_id), json=body)
        made = _parse.written(AccessPass, response.content)
        until = made.starts_at + timedelta(minutes=made.minutes) if made.starts_at and made.minutes else None
        return FirstCredential(CredentialKind.TEMPORARY_ACCESS_PASS, made.secret, until)

    def _renamed(self, seen: Seen, login: str) -> dict[str, object]:
        """What changes with the login: it, and the other addresses with the old one among them. Nothing where it is the same."""
        old = seen.state.login
        if old.casefold() == login.casefold():
            return {}
        held = self._client.get(addresses.user(seen.state.account_id), Named, {"$select": "otherMails"}).other_mails
        aliases = held if old.casefold() in {each.casefold() for each in held} else [*held, old]
        return {"userPrincipalName": login, "otherMails": aliases}

    def _deleted(self, where: str | None = None) -> Iterator[User]:
        query = {**KNOWN, "$filter": where} if where else {**KNOWN, "$top": "999"}
        return self._client.listed(addresses.DELETED_USERS, Page[User], query, advanced=where is not None)

    def _require_ours_among_deleted(self, account_id: str) -> None:
        """Raise ``Refused`` for somebody else's account, ``NotFound`` where there is none. Their list tells fields, one of them does not."""
        for user in self._deleted():
            if user.id.lower() == account_id.lower():
                account = self._accounts.alone(user)
                if refused := refusal(account) or (synced() if account.synced else None):
                    raise refused
                return
        raise NotFound("msgraph: no deleted account has this id: it is back, or gone for good", field="account_id")
