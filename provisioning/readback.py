"""Read-back: nothing counts as done because a call returned; the target is asked what it shows now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from workforce.access import AccountState, DesiredAccount
from workforce.errors import NotFound, RetryLater
from workforce.ports import Clock, Directory


@dataclass(frozen=True, slots=True)
class Proof:
    """What was read back, and when. ``sign_in`` is the outcome of a real attempt, ``None`` where none is possible."""

    at: datetime
    account: AccountState
    sign_in: bool | None


def read_account(directory: Directory, account_id: str) -> AccountState:
    """The account as the directory shows it. Raises ``RetryLater`` while it shows none: a lagging read is no proof of absence."""
    try:
        return directory.read(account_id)
    except NotFound:
        raise RetryLater(f"account {account_id} cannot be read (yet)", cause="read_back_mismatch") from None


def prove_access(directory: Directory, account_id: str, desired: DesiredAccount, *, clock: Clock, try_sign_in: bool) -> Proof:
    """Prove that the account is enabled, in its groups, expires on time and, where it may be tried, can sign in.

    Raises ``RetryLater`` naming what differs: a directory may show a change a little later (an eventually consistent read).
    """
    account = read_account(directory, account_id)
    faults = [f"not in {group}" for group in sorted(desired.groups - account.groups)]
    if not account.enabled:
        faults.append("sign-in is blocked")
    if account.keeps_expiry and account.expires_at != desired.expires_at:
        faults.append(f"expires at {account.expires_at}, not {desired.expires_at}")
    if account.marker != desired.marker:
        faults.append("the marker is not ours")
    sign_in = directory.sign_in_works(account_id) if try_sign_in and not faults else None
    if sign_in is False:
        faults.append("the account cannot sign in")
    _require_none(faults, account_id)
    return Proof(clock.now(), account, sign_in)


def prove_blocked(directory: Directory, account_id: str, *, signed_out_since: datetime | None, clock: Clock) -> Proof:
    """Prove that sign-in is refused and that sessions older than ``signed_out_since`` are invalid. Raises ``RetryLater``."""
    account = read_account(directory, account_id)
    faults = blocking_faults(account, signed_out_since)
    sign_in = None if faults else directory.sign_in_works(account_id)
    if sign_in:
        faults.append("the account can still sign in")
    _require_none(faults, account_id)
    return Proof(clock.now(), account, sign_in)


def blocking_faults(account: AccountState, signed_out_since: datetime | None) -> list[str]:
    """What the directory shows that should not be so once sign-in is blocked (directories tell instants in whole seconds)."""
    faults = ["sign-in is not blocked"] if account.enabled else []
    valid_from = account.sessions_valid_from
    if signed_out_since and valid_from and valid_from < signed_out_since.replace(microsecond=0):
        faults.append("older sessions are still valid")
    return faults


def prove_groups_gone(directory: Directory, account_id: str, entitled: frozenset[str], *, clock: Clock) -> Proof:
    """Prove that no membership of the engagement is left. Raises ``RetryLater`` naming those that are."""
    account = read_account(directory, account_id)
    _require_none([f"still in {group}" for group in sorted(account.groups & entitled)], account_id)
    return Proof(clock.now(), account, None)


def _require_none(faults: list[str], account_id: str) -> None:
    if faults:
        raise RetryLater(f"account {account_id}: {'; '.join(faults)}", cause="read_back_mismatch")
