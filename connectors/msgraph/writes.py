"""Writing to one account of Entra: whose it is is looked at just before."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.msgraph import addresses
from connectors.msgraph.accounts import Accounts, Seen
from connectors.msgraph.client import MsGraphClient
from connectors.records.accounts import protected
from workforce.access import AccountState
from workforce.errors import HubError, Refused


class Writes:
    """What every write has in common."""

    def __init__(self, client: MsGraphClient) -> None:
        self._client, self._accounts = client, Accounts(client)

    def _writable(self, account_id: str) -> Seen:
        """The account, read just before it is written: whatever rights the app has, nobody's protected account is touched."""
        seen = self._accounts.seen(account_id)
        if refused := refusal(seen.state):
            raise refused
        return seen

    def _ours_to_change(self, account_id: str) -> Seen:
        """The same for what only the directory that an account comes from can change."""
        seen = self._writable(account_id)
        if seen.state.synced:
            raise synced()
        return seen

    def _patch(self, account_id: str, body: Mapping[str, object]) -> None:
        self._patch_seen(self._ours_to_change(account_id), body)

    def _patch_seen(self, seen: Seen, body: Mapping[str, object]) -> None:
        """Set fields; a guest whose invitation lost its reply gets the marker with them."""
        self._client.write("PATCH", addresses.user(seen.state.account_id), json={**body, **self._accounts.unfinished(seen.user)})


def refusal(account: AccountState | HubError) -> HubError | None:
    """Why an account is not to be touched, if it is not."""
    if isinstance(account, HubError):
        return account
    why = "it is listed in protected_user_ids, holds an administrator role, or does not carry our marker"
    return protected("msgraph", why) if account.protected else None


def synced() -> Refused:
    """The refusal to change what another directory decides."""
    return Refused(
        "msgraph: the account comes from Active Directory, which decides about it: change or disable it there; Entra follows and is read",
        cause="synced_account",
    )
