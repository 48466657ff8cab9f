"""What accounts of Entra hold, and what becomes of people, against the sandbox: what something else decides is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.sandbox import MsGraphSandbox
from connectors.suite.sandbox import Fault, FaultKind
from tests.integration.connectors.msgraph.tenant import END, Connect, an_account
from workforce.access import CredentialKind, Seats
from workforce.errors import AlreadyTaken, Misconfigured, NotFound, OutcomeUnknown, Refused
from workforce.markers import new_marker
from workforce.ports import AppRoles, Credentials, Licensing, Managers, Renaming, Restoring

pytestmark = pytest.mark.integration

ABSENT = "0b0f1a52-0000-4000-8000-000000000000"


@pytest.fixture
def account_id(directory: MsGraphDirectory) -> str:
    return directory.create(an_account())


def cause_of(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value.cause


def test_entra_has_every_optional_port(directory: MsGraphDirectory) -> None:
    assert all(isinstance(directory, port) for port in (Licensing, AppRoles, Managers, Renaming, Restoring, Credentials))


def test_an_account_before_its_start_is_made_disabled(directory: MsGraphDirectory) -> None:
    assert directory.read(directory.create(replace(an_account(), enabled=False))).enabled is False


# Groups


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ({"rule": 'user.department -eq "IT"'}, "a rule decides"),
        ({"synced": True}, "Active Directory"),
        ({"for_roles": True}, "administrator roles"),
        ({"mail_enabled": True}, "Exchange decides"),
    ],
)
def test_a_group_that_something_else_decides_about_is_refused_with_the_reason(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str, kind: dict[str, object], reason: str
) -> None:
    group = sandbox.add_group("developers", **kind)  # type: ignore[arg-type]  # one of its switches
    with pytest.raises(Refused, match=reason) as caught:
        directory.add_member(group, account_id)
    assert caught.value.cause == "group_not_ours"
    sandbox.add_to_group(group, account_id)
    assert directory.read(account_id).groups == {group}
    assert cause_of(lambda: directory.remove_member(group, account_id)) == "group_not_ours"
    assert sandbox.effects.count("add_member") == sandbox.effects.count("remove_member") == 0


def test_an_unknown_group_is_not_found(directory: MsGraphDirectory, account_id: str) -> None:
    with pytest.raises(NotFound):
        directory.add_member(ABSENT, account_id)


def test_a_group_that_gives_a_licence_is_not_filled_beyond_the_seats(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory
) -> None:
    group, licence = sandbox.add_group("licensed"), sandbox.add_licence("E3", seats=1)
    sandbox.license_group(group, licence)
    first, second = directory.create(an_account()), directory.create(an_account("grace@client.example"))
    directory.add_member(group, first)
    assert cause_of(lambda: directory.add_member(group, second)) == "no_seat_left"
    assert directory.read(first).inherited_licences == {licence}
    assert directory.read(second).groups == frozenset()


# Licences


def test_a_licence_is_given_only_while_a_seat_is_free_and_nothing_is_bought(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory
) -> None:
    licence = sandbox.add_licence("E3", seats=1)
    first, second = directory.create(an_account()), directory.create(an_account("grace@client.example"))
    directory.assign_licence(first, licence.upper())
    directory.assign_licence(first, licence)
    assert directory.seats(licence) == Seats(total=1, taken=1)
    assert cause_of(lambda: directory.assign_licence(second, licence)) == "no_seat_left"
    directory.reclaim_licence(first, licence)
    directory.reclaim_licence(first, licence)
    directory.assign_licence(second, licence)
    assert [directory.read(each).licences for each in (first, second)] == [frozenset(), {licence}]
    assert (sandbox.effects.count("assign_licence"), sandbox.effects.count("reclaim_licence")) == (2, 1)


def test_a_licence_that_the_company_has_not_bought_is_not_found(directory: MsGraphDirectory, account_id: str) -> None:
    for ask in (lambda: directory.seats(ABSENT), lambda: directory.assign_licence(account_id, ABSENT)):
        with pytest.raises(NotFound):
            ask()


def test_a_licence_needs_the_country_where_it_is_used(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    account_id = directory.create(replace(an_account(), attributes={"displayName": "Ada", "mailNickname": "ada"}))
    assert cause_of(lambda: directory.assign_licence(account_id, sandbox.add_licence("E3"))) == "no_usage_location"


def test_a_licence_that_comes_through_a_group_is_told_apart_and_not_taken_from_the_account(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str
) -> None:
    group, licence = sandbox.add_group("licensed"), sandbox.add_licence("E3")
    sandbox.license_group(group, licence)
    directory.add_member(group, account_id)
    state = directory.read(account_id)
    assert (state.licences, state.inherited_licences) == (frozenset(), {licence})
    assert cause_of(lambda: directory.reclaim_licence(account_id, licence)) == "inherited_licence"
    directory.assign_licence(account_id, licence)
    directory.reclaim_licence(account_id, licence)
    assert directory.read(account_id).inherited_licences == {licence}
    directory.remove_member(group, account_id)
    assert directory.read(account_id).inherited_licences == frozenset()
    assert directory.seats(licence).taken == 0


def test_a_licence_that_a_group_has_no_seat_for_is_not_held(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str
) -> None:
    group, licence = sandbox.add_group("licensed"), sandbox.add_licence("E3", seats=0)
    sandbox.license_group(group, licence)
    sandbox.add_to_group(group, account_id)
    assert sandbox.users[0]["licenseAssignmentStates"][0]["error"] == "CountViolation"
    assert directory.read(account_id).inherited_licences == frozenset()


# Roles of applications


def test_a_role_of_an_application_is_given_and_taken_once(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str
) -> None:
    role = sandbox.add_app_role()
    for _ in range(2):
        directory.assign_app_role(account_id, role)
    assert directory.read(account_id).app_roles == {role}
    for _ in range(2):
        directory.remove_app_role(account_id, role)
    assert directory.read(account_id).app_roles == frozenset()
    assert (sandbox.effects.count("assign_app_role"), sandbox.effects.count("remove_app_role")) == (1, 1)


def test_a_role_that_comes_through_a_group_is_not_the_accounts_own(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str
) -> None:
    group, role = sandbox.add_group("developers"), sandbox.add_app_role()
    sandbox.give_group_app_role(group, role)
    directory.add_member(group, account_id)
    assert directory.read(account_id).app_roles == frozenset()
    directory.remove_app_role(account_id, role)
    assert sandbox.effects.count("remove_app_role") == 0


def test_an_unknown_role_is_not_found(sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str) -> None:
    application = sandbox.add_app_role().partition("/")[0]
    for role in (f"{application}/{ABSENT}", f"{ABSENT}/{ABSENT}", "wiki", ""):
        with pytest.raises(NotFound):
            directory.assign_app_role(account_id, role)


def test_roles_that_are_switched_off_are_neither_read_nor_given(
    sandbox: MsGraphSandbox, connect: Connect, account_id: str
) -> None:
    without = connect(app_roles=False)
    sandbox.faults.plan(Fault(FaultKind.FORBIDDEN_BEFORE, "GET", "appRoleAssignments"))
    assert without.read(account_id).app_roles == frozenset()
    assert len(without.accounts(None).accounts) == 1
    with pytest.raises(Misconfigured) as caught:
        without.assign_app_role(account_id, sandbox.add_app_role())
    assert caught.value.field == "app_roles"
    assert sandbox.faults.happened == []


def test_the_listing_tells_of_ours_what_reading_one_tells(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str
) -> None:
    group, licence, role = sandbox.add_group("developers"), sandbox.add_licence("E3"), sandbox.add_app_role()
    directory.add_member(group, account_id)
    directory.assign_licence(account_id, licence)
    directory.assign_app_role(account_id, role)
    (listed,) = directory.accounts(None).accounts
    assert listed == replace(directory.read(account_id), attributes=None)
    assert (listed.licences, listed.app_roles) == ({licence}, {role})


def test_a_change_of_licences_is_told_as_a_change(sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str) -> None:
    start = directory.accounts(None)
    licence = sandbox.add_licence("E3")
    directory.assign_licence(account_id, licence)
    assert [account.licences for account in directory.accounts(start.cursor).accounts] == [{licence}]


# Accounts that come from Active Directory


def a_synced_account(sandbox: MsGraphSandbox, *, enabled: bool) -> str:
    fields = {"userPrincipalName": f"{new_marker().lower()}@client.example", "employeeId": new_marker()}
    return sandbox.add_user(**fields, onPremisesSyncEnabled=True, accountEnabled=enabled, usageLocation="DE")


def test_a_synced_account_is_disabled_where_it_comes_from_and_read_here(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory
) -> None:
    account_id = a_synced_account(sandbox, enabled=True)
    state = directory.read(account_id)
    assert (state.synced, state.keeps_expiry, state.protected) == (True, False, False)
    for act in (
        lambda: directory.disable(account_id),
        lambda: directory.update(account_id, {"jobTitle": "Developer"}),
        lambda: directory.set_expiry(account_id, END),
        lambda: directory.rename(account_id, "new@client.example"),
        lambda: directory.set_manager(account_id, "grace@client.example"),
    ):
        assert cause_of(act) == "synced_account"
    assert sandbox.effects.entries == []
    sandbox.change_user(account_id, accountEnabled=False)  # Active Directory did it
    directory.disable(account_id)
    assert directory.read(account_id).enabled is False
    assert cause_of(lambda: directory.enable(account_id)) == "synced_account"


def test_a_synced_account_is_given_groups_and_licences_of_the_cloud(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    account_id, group, licence = a_synced_account(sandbox, enabled=True), sandbox.add_group("cloud"), sandbox.add_licence("E3")
    directory.add_member(group, account_id)
    directory.assign_licence(account_id, licence)
    state = directory.read(account_id)
    assert (state.groups, state.licences) == ({group}, {licence})


def test_blocking_many_signs_synced_accounts_out_and_refuses_those_that_are_still_enabled(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory
) -> None:
    ours, blocked, enabled = (
        directory.create(an_account()),
        a_synced_account(sandbox, enabled=False),
        a_synced_account(sandbox, enabled=True),
    )
    outcomes = directory.block_all([ours, blocked, enabled])
    assert [error.cause if error else None for error in outcomes.values()] == [None, None, "synced_account"]
    assert sandbox.effects.count("revoke_sessions") == 3


# Managers, logins, first credentials


def test_the_manager_is_found_by_mail_or_login(sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str) -> None:
    by_mail = sandbox.add_user(userPrincipalName="gh@client.example", mail="Grace.O'Hopper@client.example")
    by_login = sandbox.add_user(userPrincipalName="alan@client.example")
    for address, manager in (("grace.o'hopper@client.example", by_mail), ("ALAN@client.example", by_login)):
        directory.set_manager(account_id, address)
        assert sandbox.entries[account_id].manager_id == manager


@pytest.mark.parametrize("address", ["nobody@client.example", "no address", "", "a' or mail ne 'b@client.example"])
def test_a_manager_that_nobody_is_is_not_found(directory: MsGraphDirectory, account_id: str, address: str) -> None:
    with pytest.raises(NotFound):
        directory.set_manager(account_id, address)


def test_an_address_of_two_people_names_no_manager(sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str) -> None:
    sandbox.add_user(userPrincipalName="a@client.example", mail="desk@client.example")
    sandbox.add_user(userPrincipalName="desk@client.example")
    assert cause_of(lambda: directory.set_manager(account_id, "desk@client.example")) == "several_managers"


def test_a_renamed_account_keeps_the_old_login_as_another_address(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str
) -> None:
    sandbox.change_user(account_id, otherMails=["ada@home.example"])
    for _ in range(2):
        directory.rename(account_id, "ada.byron@client.example")
    (user,) = sandbox.users
    assert (user["userPrincipalName"], user["otherMails"]) == (
        "ada.byron@client.example",
        ["ada@home.example", "ada@client.example"],
    )
    assert directory.read(account_id).login == "ada.byron@client.example"
    assert directory.find_by_login("ada@client.example") is None
    assert sandbox.effects.count("update_user") == 1
    directory.update(account_id, {"userPrincipalName": "ada.king@client.example"})
    assert sandbox.users[0]["otherMails"] == ["ada@home.example", "ada@client.example", "ada.byron@client.example"]


def test_nobody_is_renamed_to_a_login_that_is_taken(directory: MsGraphDirectory, account_id: str) -> None:
    directory.create(an_account("grace@client.example"))
    with pytest.raises(AlreadyTaken):
        directory.rename(account_id, "Grace@client.example")


def test_the_first_credential_is_a_pass_that_is_shown_nowhere(connect: Connect, account_id: str) -> None:
    before = datetime.now(UTC)
    made = connect(access_pass_minutes=480).first_credential(account_id)
    assert made.kind is CredentialKind.TEMPORARY_ACCESS_PASS
    assert made.valid_until is not None
    assert timedelta(0) <= made.valid_until - before - timedelta(minutes=480) < timedelta(minutes=1)
    assert made.secret.get_secret_value() not in repr(made)


def test_a_pass_whose_reply_is_lost_is_replaced_by_another(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str
) -> None:
    sandbox.faults.plan(Fault(FaultKind.TRUNCATED_AFTER, "POST", "temporaryAccessPass"))
    with pytest.raises(OutcomeUnknown) as caught:
        directory.first_credential(account_id)
    assert "temporaryAccessPass" not in str(caught.value)
    assert directory.first_credential(account_id).secret.get_secret_value()


# Deleted accounts


def test_a_deleted_account_comes_back_blocked_with_its_groups(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    wanted, group = an_account(), sandbox.add_group("developers")
    account_id = directory.create(wanted)
    directory.add_member(group, account_id)
    assert directory.deleted(wanted.marker) == []
    sandbox.delete_user(account_id)
    assert (directory.find(wanted.marker), directory.deleted(wanted.marker)) == ([], [account_id])
    for _ in range(2):
        directory.restore(account_id)
    state = directory.read(account_id)
    assert (state.enabled, state.marker, state.groups) == (False, wanted.marker, {group})
    assert directory.deleted(wanted.marker) == []
    assert sandbox.effects.count("restore_user") == 1


@pytest.mark.parametrize("how", [{"days_ago": 31}, {"for_good": True}])
def test_what_is_gone_for_good_is_not_found(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, how: dict[str, int | bool]
) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    sandbox.delete_user(account_id, **how)  # type: ignore[arg-type]  # one of its switches
    assert directory.deleted(wanted.marker) == []
    with pytest.raises(NotFound):
        directory.restore(account_id)


def test_somebody_elses_deleted_account_stays_deleted(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    employee = sandbox.add_user(userPrincipalName="em@client.example", employeeId="4711")
    sandbox.delete_user(employee)
    assert cause_of(lambda: directory.restore(employee)) == "protected_account"
    assert sandbox.effects.count("restore_user") == 0


def test_an_account_whose_login_is_taken_meanwhile_is_not_restored(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    account_id = directory.create(an_account())
    sandbox.delete_user(account_id)
    directory.create(an_account())
    with pytest.raises(AlreadyTaken):
        directory.restore(account_id)


def test_a_restored_account_that_could_not_be_blocked_is_blocked_the_next_time(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str
) -> None:
    sandbox.delete_user(account_id)
    sandbox.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "PATCH", f"{account_id}$"))
    with pytest.raises(OutcomeUnknown):
        directory.restore(account_id)
    directory.restore(account_id)
    assert sandbox.users[0]["accountEnabled"] is False


def test_with_the_marker_in_an_extension_attribute_a_deleted_account_is_found_as_well(
    sandbox: MsGraphSandbox, connect: Connect
) -> None:
    directory, wanted = connect(marker_attribute="extensionAttribute3"), an_account()
    account_id = directory.create(wanted)
    sandbox.delete_user(account_id)
    assert directory.deleted(wanted.marker) == [account_id]


# Last sign-ins


def test_the_last_sign_in_is_read_only_where_the_app_may(sandbox: MsGraphSandbox, connect: Connect, account_id: str) -> None:
    told = {"lastSignInDateTime": "2030-03-02T08:00:00Z", "lastSuccessfulSignInDateTime": "2030-03-01T08:00:00Z"}
    sandbox.change_user(account_id, signInActivity=told)
    assert connect().read(account_id).last_sign_in is None
    reading = connect(sign_in_activity=True)
    last = datetime(2030, 3, 1, 8, 0, tzinfo=UTC)
    assert reading.read(account_id).last_sign_in == last
    assert [account.last_sign_in for account in reading.accounts(None).accounts] == [last]


def test_nobody_who_is_protected_is_given_or_relieved_of_anything(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, account_id: str
) -> None:
    licence, role = sandbox.add_licence("E3"), sandbox.add_app_role()
    sandbox.give_admin_role(account_id)
    sandbox.app_is_admin = True
    for act in (
        lambda: directory.assign_licence(account_id, licence),
        lambda: directory.reclaim_licence(account_id, licence),
        lambda: directory.assign_app_role(account_id, role),
        lambda: directory.remove_app_role(account_id, role),
        lambda: directory.set_manager(account_id, "grace@client.example"),
        lambda: directory.rename(account_id, "new@client.example"),
        lambda: directory.first_credential(account_id),
        lambda: directory.restore(account_id),
    ):
        assert cause_of(act) == "protected_account"
    assert [entry.operation for entry in sandbox.effects.entries] == ["create_user"]
