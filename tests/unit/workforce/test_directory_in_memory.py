"""The directory in memory is as strict as the real ones: seats, inherited licences, foreign groups, aliases, deleted accounts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from provisioning.fakes import InMemoryDirectory, PlainDirectory, SettableClock
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, NotFound, Refused
from workforce.markers import new_marker
from workforce.ports import AppRoles, Credentials, Licensing, Managers, Renaming, Restoring

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OPTIONAL = (Licensing, AppRoles, Managers, Renaming, Restoring, Credentials)


@pytest.fixture
def directory() -> InMemoryDirectory:
    return InMemoryDirectory(
        clock=SettableClock(NOW),
        groups={"staff", "with office"},
        foreign_groups={"everybody in Berlin"},
        licences={"office": 2},
        group_licences={"with office": {"office"}},
        app_roles={"wiki/reader"},
    )


def wanted(login: str = "ada", *, enabled: bool = True, guest: bool = False) -> DesiredAccount:
    return DesiredAccount(
        new_marker(), login, {"mail": f"{login}@client.example"}, frozenset(), NOW, enabled=enabled, guest=guest
    )


def test_it_can_everything_and_the_plain_one_nothing_beyond_the_port(directory: InMemoryDirectory) -> None:
    assert all(isinstance(directory, port) for port in OPTIONAL)
    assert not any(isinstance(PlainDirectory(clock=SettableClock(NOW)), port) for port in OPTIONAL)


def test_an_account_that_starts_later_is_made_disabled_and_enabling_brings_it_back(directory: InMemoryDirectory) -> None:
    account = directory.create(wanted(enabled=False))
    assert not directory.read(account).enabled
    directory.move_to_disabled(account)
    assert directory.put_away == {account}
    directory.enable(account)
    assert (directory.read(account).enabled, directory.put_away) == (True, set())


def test_a_group_that_something_else_fills_takes_nobody(directory: InMemoryDirectory) -> None:
    with pytest.raises(Refused) as caught:
        directory.add_member("everybody in Berlin", directory.create(wanted()))
    assert caught.value.cause == "group_not_ours"


def test_guests_are_refused_where_there_are_none(directory: InMemoryDirectory) -> None:
    assert directory.read(directory.create(wanted(guest=True))).guest
    directory.has_guests = False
    with pytest.raises(Refused) as caught:
        directory.create(wanted("eve", guest=True))
    assert caught.value.cause == "no_guests"


def test_no_licence_is_given_without_a_seat_and_a_seat_that_is_taken_counts_once(directory: InMemoryDirectory) -> None:
    ada, eve, kim = (directory.create(wanted(name)) for name in ("ada", "eve", "kim"))
    directory.assign_licence(ada, "office")
    directory.assign_licence(ada, "office")
    directory.add_member("with office", eve)
    assert (directory.seats("office").taken, directory.seats("office").free) == (2, 0)
    with pytest.raises(Refused) as caught:
        directory.assign_licence(kim, "office")
    assert caught.value.cause == "no_seat_left"
    directory.reclaim_licence(ada, "office")
    directory.assign_licence(kim, "office")
    with pytest.raises(NotFound):
        directory.seats("visio")


def test_what_comes_through_a_group_goes_with_the_group_alone(directory: InMemoryDirectory) -> None:
    ada = directory.create(wanted())
    directory.add_member("with office", ada)
    assert (directory.read(ada).licences, directory.read(ada).inherited_licences) == (frozenset(), frozenset({"office"}))
    with pytest.raises(Refused) as caught:
        directory.reclaim_licence(ada, "office")
    assert caught.value.cause == "inherited_licence"
    directory.remove_member("with office", ada)
    assert directory.read(ada).inherited_licences == frozenset()


def test_roles_come_and_go_and_an_unknown_one_is_not_found(directory: InMemoryDirectory) -> None:
    ada = directory.create(wanted())
    for _ in range(2):
        directory.assign_app_role(ada, "wiki/reader")
    assert directory.read(ada).app_roles == {"wiki/reader"}
    for _ in range(2):
        directory.remove_app_role(ada, "wiki/reader")
    assert directory.read(ada).app_roles == frozenset()
    with pytest.raises(NotFound):
        directory.assign_app_role(ada, "wiki/owner")


def test_a_manager_is_found_by_address(directory: InMemoryDirectory) -> None:
    ada, boss = directory.create(wanted()), directory.create(wanted("boss"))
    directory.set_manager(ada, "boss@client.example")
    assert directory.managers == {ada: boss}
    with pytest.raises(NotFound):
        directory.set_manager(ada, "nobody@client.example")


def test_an_old_login_keeps_leading_to_its_account_and_to_no_other(directory: InMemoryDirectory) -> None:
    ada, eve = directory.create(wanted()), directory.create(wanted("eve"))
    for _ in range(2):
        directory.rename(ada, "grace")
    for login in ("ada", "grace"):
        holder = directory.find_by_login(login)
        assert holder is not None
        assert (holder.account_id, holder.login) == (ada, "grace")
    for taken in ("ada", "grace"):
        with pytest.raises(AlreadyTaken):
            directory.rename(eve, taken)
        with pytest.raises(AlreadyTaken):
            directory.create(wanted(taken))
    directory.rename(ada, "ada")
    assert directory.aliases == {ada: {"grace"}}


def test_a_deleted_account_comes_back_disabled_and_under_its_own_id(directory: InMemoryDirectory) -> None:
    account = wanted()
    ada = directory.create(account)
    directory.delete(ada)
    assert (directory.find(account.marker), directory.deleted(account.marker)) == ([], [ada])
    with pytest.raises(NotFound):
        directory.read(ada)
    assert directory.create(wanted("eve")) != ada
    for _ in range(2):
        directory.restore(ada)
    assert (directory.read(ada).enabled, directory.deleted(account.marker)) == (False, [])
    with pytest.raises(NotFound):
        directory.restore("account-99")


def test_a_first_credential_is_another_one_each_time_and_is_kept_nowhere(directory: InMemoryDirectory) -> None:
    ada = directory.create(wanted())
    first, second = (directory.first_credential(ada).secret.get_secret_value() for _ in range(2))
    assert first != second
    assert first not in repr(directory)
    assert directory.count("first_credential") == 2
