"""Guests of Entra: people of elsewhere who sign in with an account of their own.

An invitation takes no marker. So that one whose reply is lost can be recognised, a guest is invited under the marker as their name; the
marker's own field and the right name follow in the next call, and whoever finds a guest by that name completes them (``Writes``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from connectors.msgraph import addresses
from connectors.msgraph.accounts import KNOWN, Accounts
from connectors.msgraph.client import MsGraphClient
from connectors.msgraph.records import Invitation, User
from connectors.protocols.odata import Page
from connectors.records.answers import Reading
from workforce.access import AccountState, DesiredAccount
from workforce.errors import HubError, NotFound, OutcomeUnknown, Refused

_parse = Reading("msgraph")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&*+/=?^_`{|}~'\-]+@[A-Za-z0-9.\-]+")


def holders_of(client: MsGraphClient, address: str) -> list[User]:
    """The users that have ``address`` as their login or their mail; nobody has what is none."""
    if not _ADDRESS.fullmatch(address):
        return []
    quoted = address.replace("'", "''")
    query = {**KNOWN, "$filter": f"mail eq '{quoted}' or userPrincipalName eq '{quoted}'"}
    return list(client.listed(addresses.USERS, Page[User], query))


class Guests:
    """Invites people."""

    def __init__(self, client: MsGraphClient, accounts: Accounts) -> None:
        self._client, self._accounts = client, accounts

    def invite(self, account: DesiredAccount, fields: Mapping[str, object]) -> str:
        """Invite ``account.invite_to`` and set ``fields``; the object id. Whoever was invited for this marker before is taken up again.

        Raises ``Refused`` (cause ``namesake``) where the address is that of an account without our marker.
        """
        address = account.invite_to or ""
        if not _ADDRESS.fullmatch(address):
            raise Refused("msgraph: a guest needs the address to invite", cause="no_address", field="invite_to")
        known = holders_of(self._client, address)
        for user in known:
            _require_invited(self._accounts.alone(user), account.marker)
        guest_id = known[0].id if known else self._invited(account.marker, address)
        self._complete(guest_id, account.marker, fields)
        return guest_id

    def _invited(self, marker: str, address: str) -> str:
        settings = self._client.settings
        body = {
            "invitedUserEmailAddress": address,
            "invitedUserDisplayName": marker,
            "invitedUserType": "Guest",
            "inviteRedirectUrl": settings.invitation_lands_at,
            "sendInvitationMessage": settings.sends_invitations,
        }
        response = self._client.write("POST", addresses.INVITATIONS, json=body)
        return _parse.written(Invitation, response.content).invited.id

    def _complete(self, guest_id: str, marker: str, fields: Mapping[str, object]) -> None:
        """Give a guest the marker and everything else. The invitation is out by now: what goes wrong here is looked up."""
        try:
            _require_invited(self._accounts.seen(guest_id).state, marker)  # who was there before keeps the name that they had
            self._client.write("PATCH", addresses.user(guest_id), json=fields)
        except NotFound:
            raise OutcomeUnknown("msgraph: the guest is invited and does not show yet", cause="guest_unfinished") from None
        except Refused as error:
            if error.cause == "namesake":
                raise
            raise OutcomeUnknown(f"msgraph: the guest is invited and not complete: {error}", cause="guest_unfinished") from None
        except HubError as error:
            raise OutcomeUnknown(str(error), cause="guest_unfinished") from None


def _require_invited(account: AccountState, marker: str) -> None:
    if account.marker != marker or not account.guest:
        message = "msgraph: the address to invite is that of an account without our marker; decide whose it is"
        raise Refused(message, cause="namesake", field="invite_to")
