"""An account's login and manager: changed once, read back, and no login or address in what is audited."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from provisioning.fakes import FakeFault, InMemoryDirectory, InMemoryEffectLog, PlainDirectory, SettableClock
from provisioning.renaming import AccountNaming
from workforce.access import AccountState
from workforce.effects import Effect, EffectKind
from workforce.errors import AlreadyTaken, Refused, RetryLater
from workforce.states import EffectState

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACCOUNT = AccountState("account-1", "ada.lovelace", "ST0123456789ABC", enabled=True)
BOSS = AccountState("account-2", "charles@acme.example", None, enabled=True)


@pytest.fixture
def directory() -> InMemoryDirectory:
    directory = InMemoryDirectory(clock=SettableClock(NOON))
    for account in (ACCOUNT, BOSS):
        directory.plant(account.account_id, account)
    return directory


def naming_in(directory: PlainDirectory, log: InMemoryEffectLog | None = None) -> AccountNaming:
    base = Effect("acme", UUID(int=1), "entra", EffectKind.CREATE_RECORD, epoch=1)
    return AccountNaming(directory, base, log or InMemoryEffectLog(SettableClock(NOON), epoch=1))


def test_a_renamed_account_keeps_its_old_login_as_an_alias_and_signs_in(directory: InMemoryDirectory) -> None:
    renamed = naming_in(directory).rename("account-1", "ada.king", try_sign_in=True)
    assert renamed is not None
    assert (renamed.account.login, renamed.sign_in) == ("ada.king", True)
    assert directory.aliases["account-1"] == {"ada.lovelace"}


def test_an_account_that_has_its_login_is_left_alone_whatever_the_case(directory: InMemoryDirectory) -> None:
    assert naming_in(directory).rename("account-1", "ADA.Lovelace", try_sign_in=True) is None
    assert directory.writes == []


def test_after_hand_over_no_sign_in_is_tried(directory: InMemoryDirectory) -> None:
    directory.signed_in = False
    renamed = naming_in(directory).rename("account-1", "ada.king", try_sign_in=False)
    assert renamed is not None
    assert renamed.sign_in is None


def test_an_account_that_cannot_sign_in_with_its_new_login_is_not_done(directory: InMemoryDirectory) -> None:
    directory.signed_in = False
    with pytest.raises(RetryLater, match="cannot sign in"):
        naming_in(directory).rename("account-1", "ada.king", try_sign_in=True)


def test_a_blocked_account_stays_blocked_and_is_not_tried(directory: InMemoryDirectory) -> None:
    directory.plant("account-1", replace(ACCOUNT, enabled=False))
    renamed = naming_in(directory).rename("account-1", "ada.king", try_sign_in=True)
    assert renamed is not None
    assert (renamed.account.enabled, renamed.sign_in) == (False, None)


def test_a_lost_reply_is_looked_at_and_not_taken_for_a_failure(directory: InMemoryDirectory) -> None:
    directory.faults = deque([FakeFault.LOST_AFTER])
    log = InMemoryEffectLog(SettableClock(NOON), epoch=1)
    naming = naming_in(directory, log)
    with pytest.raises(RetryLater):
        naming.rename("account-1", "ada.king", try_sign_in=False)
    assert naming.rename("account-1", "ada.king", try_sign_in=False) is None
    naming.conclude("account-1", [line.effect for line in log.logged[-1:]])
    assert directory.count("rename") == 1
    assert log.logged[-1].state is EffectState.DONE


def test_a_name_that_goes_back_and_forth_is_followed_each_time(directory: InMemoryDirectory) -> None:
    naming = naming_in(directory)
    for login in ("ada.king", "ada.lovelace", "ada.king"):
        assert naming.rename("account-1", login, try_sign_in=False) is not None
    assert directory.entries["account-1"].login == "ada.king"
    assert directory.count("rename") == 3


def test_a_login_of_somebody_else_is_refused(directory: InMemoryDirectory) -> None:
    with pytest.raises(AlreadyTaken):
        naming_in(directory).rename("account-1", BOSS.login, try_sign_in=False)


def test_a_directory_that_cannot_rename_says_so() -> None:
    directory = PlainDirectory(clock=SettableClock(NOON))
    directory.plant("account-1", ACCOUNT)
    with pytest.raises(Refused) as fault:
        naming_in(directory).rename("account-1", "ada.king", try_sign_in=False)
    assert fault.value.cause == "cannot_rename"


def test_the_manager_is_who_has_the_address(directory: InMemoryDirectory) -> None:
    assert naming_in(directory).set_manager("account-1", BOSS.login)
    assert directory.managers == {"account-1": "account-2"}


def test_a_manager_whom_the_directory_does_not_know_is_no_failure_and_is_asked_for_again(directory: InMemoryDirectory) -> None:
    naming = naming_in(directory)
    assert not naming.set_manager("account-1", "ada@acme.example")
    directory.plant("account-3", AccountState("account-3", "ada@acme.example", None, enabled=True))
    assert naming.set_manager("account-1", "ada@acme.example")


def test_a_throttled_directory_is_not_taken_for_one_without_the_manager(directory: InMemoryDirectory) -> None:
    directory.faults = deque([FakeFault.THROTTLED])
    with pytest.raises(RetryLater, match="too many"):
        naming_in(directory).set_manager("account-1", BOSS.login)


def test_no_login_and_no_address_is_in_an_effect(directory: InMemoryDirectory) -> None:
    log = InMemoryEffectLog(SettableClock(NOON), epoch=1)
    naming = naming_in(directory, log)
    naming.rename("account-1", "ada.king", try_sign_in=False)
    naming.set_manager("account-1", BOSS.login)
    told = " ".join(line.effect.detail for line in log.logged)
    assert not {"ada", "king", "charles", "acme"} & set(told.replace(".", " ").replace("@", " ").split())
