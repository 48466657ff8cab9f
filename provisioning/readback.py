"""Read-back: nothing counts as done because a call returned; the target is asked what it shows now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from workforce.access import SIGN_IN, AccountState, DesiredAccount, Entitlement, EntitlementKind
from workforce.errors import NotFound, RetryLater
from workforce.ports import Clock, Directory

MAY_APPEAR_SECONDS = 120.0
"""How long after a call began its effect may still appear: a call's deadline and a lagging directory together."""


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


def is_there(directory: Directory, account_id: str) -> bool:
    """Whether the directory shows the account. A lagging read may not show one that is there."""
    try:
        directory.read(account_id)
    except NotFound:
        return False
    return True


def prove_access(directory: Directory, account_id: str, desired: DesiredAccount, *, clock: Clock, try_sign_in: bool) -> Proof:
    """Prove that the account holds what it should, expires on time and, where it may be tried, can sign in; or that it cannot yet.

    Raises ``RetryLater`` naming what differs: a directory may show a change a little later (an eventually consistent read).
    """
    account = read_account(directory, account_id)
    faults = [f"does not hold {each}" for each in sorted(desired.entitlements - account.entitlements - {SIGN_IN})]
    if account.enabled is not desired.enabled:
        faults.append("sign-in is not blocked" if account.enabled else "sign-in is blocked")
    if account.keeps_expiry and account.expires_at != desired.expires_at:
        faults.append(f"expires at {account.expires_at}, not {desired.expires_at}")
    if account.marker != desired.marker:
        faults.append("the marker is not ours")
    sign_in = directory.sign_in_works(account_id) if try_sign_in and desired.enabled and not faults else None
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


def prove_gone(directory: Directory, account_id: str, gone: Collection[Entitlement], *, clock: Clock) -> Proof:
    """Prove that the account holds nothing of ``gone`` (sign-in is proven by ``prove_blocked``). Raises ``RetryLater`` naming what is left.

    A licence that comes through a group which somebody else gave is not ours to take.
    """
    account = read_account(directory, account_id)
    through_groups = {Entitlement(EntitlementKind.LICENCE, each) for each in account.inherited_licences - account.licences}
    left = (set(gone) & account.entitlements) - through_groups - {SIGN_IN}
    _require_none([f"still holds {each}" for each in sorted(left)], account_id)
    return Proof(clock.now(), account, None)


def _require_none(faults: list[str], account_id: str) -> None:
    if faults:
        raise RetryLater(f"account {account_id}: {'; '.join(faults)}", cause="read_back_mismatch")
