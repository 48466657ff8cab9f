"""Guards: what must hold before a plan may be applied."""

from __future__ import annotations

from workforce.access import AccountState
from workforce.errors import Refused


def require_touchable(account: AccountState, *, marker: str) -> None:
    """Refuse protected accounts, and accounts that are not this worker's, whatever their name says."""
    if account.protected:
        raise Refused(
            f"account {account.account_id} is protected (break-glass, admin role or not a contractor): change it by hand",
            cause="protected_account",
            field="account_id",
        )
    if account.marker != marker:
        raise Refused(
            f"account {account.account_id} does not carry the worker's marker: decide whose it is",
            cause="namesake",
            field="account_id",
        )
