"""A memory for looks at a directory: a second look is free, and a write makes the next one real."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from provisioning.fakes import InMemoryDirectory, SettableClock
from provisioning.looks import remembering
from workforce.access import AccountState
from workforce.errors import NotFound
from workforce.ports import AppRoles, Licensing

MARKER = "ST0123456789ABC"


class CountingDirectory(InMemoryDirectory):
    """Counts its reads."""

    looks = 0

    def read(self, account_id: str) -> AccountState:
        self.looks += 1
        return super().read(account_id)


@pytest.fixture
def directory() -> CountingDirectory:
    directory = CountingDirectory(clock=SettableClock(datetime(2026, 11, 20, tzinfo=UTC)), groups={"cn=staff"})
    directory.plant("account-1", AccountState("account-1", "ada", MARKER, enabled=True, groups=frozenset({"cn=staff"})))
    return directory


def test_a_second_look_without_a_write_in_between_costs_nothing(directory: CountingDirectory) -> None:
    shared = remembering(directory)
    assert [shared.read("account-1").enabled, shared.read("account-1").enabled] == [True, True]
    assert directory.looks == 1


def test_a_look_after_a_write_is_a_real_one(directory: CountingDirectory) -> None:
    shared = remembering(directory)
    assert shared.find(MARKER)[0].enabled
    assert shared.read("account-1").groups
    shared.disable("account-1")
    assert not shared.find(MARKER)[0].enabled
    shared.remove_member("cn=staff", "account-1")
    assert not shared.read("account-1").groups
    assert directory.looks == 2


def test_a_write_that_failed_is_followed_by_a_real_look_too(directory: CountingDirectory) -> None:
    shared = remembering(directory)
    shared.read("account-1")
    with pytest.raises(NotFound):
        shared.add_member("cn=unknown", "account-1")
    shared.read("account-1")
    assert directory.looks == 2


@pytest.mark.parametrize(("signed_in", "looks"), [(None, 1), (True, 2)])
def test_a_trial_sign_in_counts_as_a_write_only_where_one_was_made(
    directory: CountingDirectory, signed_in: bool | None, looks: int
) -> None:
    directory.signed_in = signed_in
    shared = remembering(directory)
    shared.read("account-1")
    shared.sign_in_works("account-1")
    shared.read("account-1")
    assert directory.looks == looks


def test_what_is_not_there_is_looked_for_again(directory: CountingDirectory) -> None:
    shared = remembering(directory)
    for _ in range(2):
        with pytest.raises(NotFound):
            shared.read("account-2")
    assert directory.looks == 2


def test_the_directory_can_do_what_it_could(directory: CountingDirectory) -> None:
    shared = remembering(directory)
    assert isinstance(shared, Licensing) is isinstance(directory, Licensing)
    assert isinstance(shared, AppRoles) is isinstance(directory, AppRoles)
    assert isinstance(shared, CountingDirectory)
