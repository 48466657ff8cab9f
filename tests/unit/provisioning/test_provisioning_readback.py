"""Read-back: what the directory shows decides, and whatever differs is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.fakes import InMemoryDirectory, SettableClock
from provisioning.readback import Proof, blocking_faults, prove_access, prove_blocked, prove_gone
from workforce.access import AccountState, DesiredAccount, Entitlement, EntitlementKind
from workforce.errors import RetryLater

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)
MARKER = "ST0123456789ABC"
DESIRED = DesiredAccount(MARKER, "ada.lovelace", {}, frozenset({"a", "b"}), END)


def a_directory(
    *,
    marker: str = MARKER,
    enabled: bool = True,
    groups: frozenset[str] = DESIRED.groups,
    expires_at: datetime | None = END,
    sessions_valid_from: datetime | None = None,
    signed_in: bool | None = True,
    keeps_expiry: bool = True,
) -> InMemoryDirectory:
    directory = InMemoryDirectory(clock=SettableClock(NOON), signed_in=signed_in)
    account = AccountState("id-1", "ada", marker, enabled, groups, expires_at, sessions_valid_from, keeps_expiry)
    directory.plant("id-1", account)
    return directory


def proof_of_access(directory: InMemoryDirectory, *, try_sign_in: bool = True) -> Proof:
    return prove_access(directory, "id-1", DESIRED, clock=directory.clock, try_sign_in=try_sign_in)


def proof_of_block(directory: InMemoryDirectory, *, since: datetime | None = None) -> Proof:
    return prove_blocked(directory, "id-1", signed_out_since=since, clock=directory.clock)


def test_access_is_proven_by_signing_in() -> None:
    directory = a_directory()
    assert proof_of_access(directory) == Proof(NOON, directory.entries["id-1"], sign_in=True)


def test_access_that_was_handed_over_is_proven_without_a_trial() -> None:
    assert proof_of_access(a_directory(signed_in=False), try_sign_in=False).sign_in is None


def test_a_directory_that_gives_no_way_to_try_proves_the_rest() -> None:
    assert proof_of_access(a_directory(signed_in=None)).sign_in is None


@pytest.mark.parametrize(
    ("directory", "named"),
    [
        (a_directory(groups=frozenset({"a"})), "does not hold group b"),
        (a_directory(enabled=False), "sign-in is blocked"),
        (a_directory(expires_at=None), "expires at None"),
        (a_directory(expires_at=END + timedelta(days=1)), "expires at 2026-12-02"),
        (a_directory(marker="STSOMEBODYELSE0"), "the marker is not ours"),
        (a_directory(signed_in=False), "cannot sign in"),
    ],
)
def test_access_that_differs_is_named_and_asked_again(directory: InMemoryDirectory, named: str) -> None:
    with pytest.raises(RetryLater, match=named) as raised:
        proof_of_access(directory)
    assert raised.value.cause == "read_back_mismatch"


def test_access_is_proven_where_the_directory_holds_no_expiry() -> None:
    assert proof_of_access(a_directory(expires_at=None, keeps_expiry=False)).sign_in is True


def test_every_difference_is_named_at_once() -> None:
    with pytest.raises(RetryLater, match=r"does not hold group a; does not hold group b; sign-in is blocked; expires at None"):
        proof_of_access(a_directory(groups=frozenset(), enabled=False, expires_at=None))


def groups(ids: set[str]) -> frozenset[Entitlement]:
    return frozenset(Entitlement(EntitlementKind.GROUP, each) for each in ids)


def test_an_account_that_is_open_before_its_start_is_a_fault() -> None:
    directory = a_directory()
    with pytest.raises(RetryLater, match="sign-in is not blocked"):
        prove_access(directory, "id-1", replace(DESIRED, enabled=False), clock=directory.clock, try_sign_in=True)


def test_an_account_that_waits_for_its_start_is_proven_without_a_trial() -> None:
    directory = a_directory(enabled=False)
    assert (
        prove_access(directory, "id-1", replace(DESIRED, enabled=False), clock=directory.clock, try_sign_in=True).sign_in is None
    )


def test_an_account_that_does_not_show_yet_is_asked_for_again() -> None:
    directory = InMemoryDirectory(clock=SettableClock(NOON), lag_reads=1)
    account_id = directory.create(DESIRED)
    with pytest.raises(RetryLater, match="cannot be read"):
        prove_gone(directory, account_id, DESIRED.entitlements, clock=directory.clock)
    assert prove_gone(directory, account_id, DESIRED.entitlements, clock=directory.clock).account.enabled


def test_a_block_is_proven_by_a_sign_in_that_is_refused() -> None:
    assert proof_of_block(a_directory(enabled=False)).sign_in is False


class _LeakyDirectory(InMemoryDirectory):
    """Lets a disabled account in, as a cached credential would."""

    def sign_in_works(self, account_id: str) -> bool | None:
        return True


def test_a_blocked_account_that_can_still_sign_in_is_not_blocked() -> None:
    directory = _LeakyDirectory(clock=SettableClock(NOON))
    directory.plant("id-1", AccountState("id-1", "ada", MARKER, enabled=False))
    with pytest.raises(RetryLater, match="can still sign in"):
        proof_of_block(directory)


def test_no_trial_is_made_while_the_directory_shows_the_account_enabled() -> None:
    with pytest.raises(RetryLater, match=r"sign-in is not blocked$"):
        proof_of_block(a_directory(enabled=True))


@pytest.mark.parametrize(
    ("valid_from", "faults"),
    [
        (None, []),
        (NOON, []),
        (NOON + timedelta(hours=1), []),
        (NOON - timedelta(seconds=1), ["older sessions are still valid"]),
    ],
)
def test_sessions_from_before_the_ending_are_a_fault(valid_from: datetime | None, faults: list[str]) -> None:
    account = AccountState("id-1", "ada", MARKER, enabled=False, sessions_valid_from=valid_from)
    assert blocking_faults(account, NOON + timedelta(microseconds=999_999)) == faults
    assert blocking_faults(account, None) == []


def test_what_is_left_is_named() -> None:
    directory = a_directory(groups=frozenset({"a", "b", "choir"}))
    with pytest.raises(RetryLater, match=r"still holds group a; still holds group b$"):
        prove_gone(directory, "id-1", groups({"a", "b", "c"}), clock=directory.clock)


def test_groups_of_other_engagements_do_not_count() -> None:
    directory = a_directory(groups=frozenset({"choir"}))
    assert prove_gone(directory, "id-1", groups({"a"}), clock=directory.clock).at == NOON
