"""Guests of Entra, against the sandbox: an invitation whose reply is lost stays recognisable, and nobody else's guest is taken over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.sandbox import MsGraphSandbox
from connectors.suite.sandbox import Fault, FaultKind
from tests.integration.connectors.msgraph.tenant import END
from workforce.access import DesiredAccount
from workforce.errors import OutcomeUnknown, Refused, RetryLater
from workforce.markers import new_marker

pytestmark = pytest.mark.integration

HOME = "ada@home.example"


def a_guest(**other: object) -> DesiredAccount:
    attributes = {"displayName": "Ada", "mailNickname": "ada", "userPrincipalName": "ada@client.example", "usageLocation": "DE"}
    account = DesiredAccount(new_marker(), "ada@client.example", attributes, frozenset(), END, guest=True, invite_to=HOME)
    return replace(account, **other)  # type: ignore[arg-type]  # its own fields


def test_a_guest_is_invited_and_carries_the_marker(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    wanted = a_guest()
    guest = directory.create(wanted)
    state = directory.read(guest)
    assert (state.guest, state.marker, state.enabled, state.expires_at) == (True, wanted.marker, True, END)
    (user,) = sandbox.users
    assert (user["displayName"], user["employeeId"], user["usageLocation"], user["mail"]) == ("Ada", wanted.marker, "DE", HOME)
    assert user["userPrincipalName"] == "ada_home.example#EXT#@client.example"
    assert [found.account_id for found in directory.find(wanted.marker)] == [guest]
    found = directory.find_by_login(state.login)
    assert found is not None
    assert found.account_id == guest


def test_a_guest_before_the_start_is_blocked(directory: MsGraphDirectory) -> None:
    assert directory.read(directory.create(a_guest(enabled=False))).enabled is False


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind.is_after])
def test_an_invitation_whose_reply_is_lost_is_found_by_the_marker_and_completed_by_the_next_write(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, kind: FaultKind
) -> None:
    wanted = a_guest()
    sandbox.faults.plan(Fault(kind, "POST", "/invitations$"))
    with pytest.raises(OutcomeUnknown):
        directory.create(wanted)
    (found,) = directory.find(wanted.marker)
    assert (found.marker, found.guest, found.protected) == (wanted.marker, True, False)
    assert sandbox.users[0].get("employeeId") is None
    directory.set_expiry(found.account_id, END)
    directory.update(found.account_id, wanted.attributes)
    (user,) = sandbox.users
    assert (user["employeeId"], user["displayName"]) == (wanted.marker, "Ada")
    assert directory.find(wanted.marker)[0].account_id == found.account_id
    assert sandbox.effects.count("invite_guest") == 1


@pytest.mark.parametrize(
    "kind", [FaultKind.TIMEOUT_AFTER, FaultKind.THROTTLED_BEFORE, FaultKind.REFUSED_BEFORE, FaultKind.FORBIDDEN_BEFORE]
)
def test_a_guest_who_is_invited_and_could_not_be_completed_is_found(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, kind: FaultKind
) -> None:
    wanted = a_guest()
    sandbox.faults.plan(Fault(kind, "PATCH", "/users/"))
    with pytest.raises(OutcomeUnknown):
        directory.create(wanted)
    (found,) = directory.find(wanted.marker)
    assert directory.create(wanted) == found.account_id  # issued again, it takes up who was invited
    assert sandbox.users[0]["employeeId"] == wanted.marker
    assert sandbox.effects.count("invite_guest") == 1


def test_a_guest_who_does_not_show_yet_is_looked_up_later(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    wanted = a_guest()
    sandbox.lag_seconds = 3600.0
    with pytest.raises(OutcomeUnknown) as caught:
        directory.create(wanted)
    assert caught.value.cause == "guest_unfinished"
    assert directory.find(wanted.marker) == []
    sandbox.settle()
    assert len(directory.find(wanted.marker)) == 1


def test_an_invitation_that_is_put_off_was_not_sent(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    sandbox.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "POST", "/invitations$"))
    with pytest.raises(RetryLater):
        directory.create(a_guest())
    assert sandbox.users == []


@pytest.mark.parametrize("theirs", [{"userType": "Guest", "employeeId": None}, {"userType": "Guest", "employeeId": "x"}, {}])
def test_an_address_of_somebody_elses_account_is_not_taken_over(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, theirs: dict[str, object]
) -> None:
    fields = {key: new_marker() if value == "x" else value for key, value in theirs.items()}
    sandbox.add_user(userPrincipalName="other@client.example", mail=HOME.upper(), displayName="Another Ada", **fields)
    before = sandbox.users
    with pytest.raises(Refused) as caught:
        directory.create(a_guest())
    assert (caught.value.cause, caught.value.field) == ("namesake", "invite_to")
    assert HOME not in str(caught.value)
    assert sandbox.users == before


def test_a_person_who_calls_themselves_by_a_marker_is_not_ours(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    marker = new_marker()
    sandbox.add_user(userPrincipalName="m@client.example", displayName=marker, userType="Member")
    accepted = {"userType": "Guest", "externalUserState": "Accepted"}
    sandbox.add_user(userPrincipalName="g@client.example", displayName=marker, **accepted)
    assert directory.find(marker) == []


@pytest.mark.parametrize("address", [None, "", "no address", "ada@home.example' or '1' eq '1"])
def test_a_guest_without_an_address_is_refused(directory: MsGraphDirectory, address: str | None) -> None:
    with pytest.raises(Refused) as caught:
        directory.create(a_guest(invite_to=address))
    assert caught.value.cause == "no_address"


def test_what_a_guest_has_at_home_is_left_alone(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    guest = directory.create(a_guest())
    login = sandbox.users[0]["userPrincipalName"]
    directory.update(guest, {"userPrincipalName": "ada@client.example", "userType": "Member", "jobTitle": "Developer"})
    (user,) = sandbox.users
    assert (user["userPrincipalName"], user["userType"], user["jobTitle"]) == (login, "Guest", "Developer")
    attributes = directory.read(guest).attributes
    assert attributes is not None
    assert not {"userPrincipalName", "userType"} & set(attributes)
    for act in (lambda: directory.rename(guest, "ada@client.example"), lambda: directory.first_credential(guest)):
        with pytest.raises(Refused) as caught:
            act()
        assert caught.value.cause == "guest_account"


def test_guests_are_blocked_as_everybody_is(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    guest = directory.create(a_guest())
    assert directory.block_all([guest]) == {guest: None}
    assert sandbox.users[0]["accountEnabled"] is False
