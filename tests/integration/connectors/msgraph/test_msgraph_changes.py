"""Changes of Entra's accounts and the blocking of many, against the sandbox: nothing is lost, and nobody else is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.sandbox import MsGraphSandbox
from connectors.suite.sandbox import Fault, FaultKind
from connectors.wire.tls import TlsFiles
from tests.integration.connectors.msgraph.tenant import END, Connect
from workforce.access import AccountPage, AccountState, DesiredAccount
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater
from workforce.markers import new_marker

pytestmark = pytest.mark.integration


@pytest.fixture
def sandbox() -> MsGraphSandbox:
    return MsGraphSandbox(page_size=10)


def plant(sandbox: MsGraphSandbox, n: int, **fields: object) -> list[str]:
    """``n`` accounts of ours, by hand."""
    names = [f"c{i}.{new_marker().lower()}@client.example" for i in range(n)]
    return [sandbox.add_user(userPrincipalName=name, employeeId=new_marker(), **fields) for name in names]


def read_on(directory: MsGraphDirectory, cursor: str | None, between: Callable[[], object] = lambda: None) -> list[AccountPage]:
    """Pages until the end, with something that happens after each."""
    pages = [directory.accounts(cursor)]
    while not pages[-1].complete:
        between()
        pages.append(directory.accounts(pages[-1].cursor))
    return pages


def latest(pages: list[AccountPage]) -> dict[str, AccountState]:
    return {state.account_id: state for page in pages for state in page.accounts}


def test_accounts_come_page_by_page_with_the_groups_of_ours(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    ours, group = plant(sandbox, 24), sandbox.add_group("developers")
    employee = sandbox.add_user(userPrincipalName="em@client.example", employeeId="4711")
    directory.add_member(group, ours[7])
    sandbox.give_admin_role(ours[8])
    pages = read_on(directory, None)
    states = latest(pages)
    assert [len(page.accounts) for page in pages] == [10, 10, 5]
    assert states[ours[7]].groups == {group}
    assert {key for key, state in states.items() if state.protected} == {ours[8], employee}
    assert states[ours[0]] == replace(directory.read(ours[0]), attributes=None)


def test_what_changes_while_pages_are_read_is_told_by_the_end_or_the_next_time(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory
) -> None:
    ours = plant(sandbox, 35)
    undone = iter(ours)

    def meddle() -> None:
        sandbox.change_user(next(undone), accountEnabled=False)
        plant(sandbox, 1)

    pages = read_on(directory, None, meddle)
    pages += read_on(directory, pages[-1].cursor)
    told = latest(pages)
    assert {key: state.enabled for key, state in told.items()} == {user["id"]: user["accountEnabled"] for user in sandbox.users}
    assert read_on(directory, pages[-1].cursor)[0].accounts == []


def test_the_same_cursor_tells_the_same_again(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    plant(sandbox, 12)
    first = directory.accounts(None)
    assert directory.accounts(first.cursor).accounts == directory.accounts(first.cursor).accounts != []


def test_a_change_that_reads_do_not_show_yet_is_told_once_they_do(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    (account_id,) = plant(sandbox, 1)
    (start,) = read_on(directory, None)
    sandbox.lag_seconds = 3600.0
    sandbox.change_user(account_id, accountEnabled=False)
    early = directory.accounts(start.cursor)
    assert early.accounts == []
    sandbox.settle()
    assert [state.enabled for state in directory.accounts(early.cursor).accounts] == [False]


@pytest.mark.parametrize("for_good", [False, True])
def test_who_is_deleted_is_told_as_gone(sandbox: MsGraphSandbox, directory: MsGraphDirectory, for_good: bool) -> None:
    ours = plant(sandbox, 3)
    (start,) = read_on(directory, None)
    sandbox.delete_user(ours[1], for_good=for_good)
    page = directory.accounts(start.cursor)
    assert (page.gone, page.accounts) == ([ours[1]], [])


@pytest.mark.parametrize("in_the_middle", [True, False])
def test_forgotten_changes_are_read_from_the_beginning(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, in_the_middle: bool
) -> None:
    ours = plant(sandbox, 15)
    cursor = directory.accounts(None).cursor if in_the_middle else read_on(directory, None)[-1].cursor
    sandbox.expire_delta_tokens()
    assert set(latest(read_on(directory, cursor))) == set(ours)


def test_a_membership_that_cannot_be_read_spoils_the_page(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    plant(sandbox, 2)
    sandbox.faults.plan(Fault(FaultKind.FORBIDDEN_BEFORE, "GET", "/memberOf$"))
    with pytest.raises(Refused):
        directory.accounts(None)


def test_a_hundred_accounts_are_blocked_in_batches(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    ours = plant(sandbox, 100)
    assert set(directory.block_all(ours).values()) == {None}
    assert {user["accountEnabled"] for user in sandbox.users} == {False}
    assert sandbox.effects.count("disable_user") == sandbox.effects.count("revoke_sessions") == 100
    directory.block_all(ours)
    assert sandbox.effects.count("disable_user") == 100


def test_one_accounts_misfortune_keeps_no_other_from_being_blocked(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    ours = plant(sandbox, 25)
    sandbox.give_admin_role(ours[0])
    sandbox.faults.plan(Fault(FaultKind.ERROR_AFTER, "PATCH", f"{ours[1]}$"))
    sandbox.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "PATCH", f"{ours[2]}$"))
    sandbox.faults.plan(Fault(FaultKind.FORBIDDEN_BEFORE, "POST", f"{ours[3]}/revokeSignInSessions$"))
    outcomes = directory.block_all([*ours, new_marker()])
    failed = {key: error.cause for key, error in outcomes.items() if isinstance(error, HubError)}
    assert {failed.pop(ours[0]), failed.pop(ours[1]), failed.pop(ours[3])} == {"protected_account", "http_500", "forbidden"}
    assert list(failed.values()) == ["not_found"]
    assert isinstance(outcomes[ours[1]], OutcomeUnknown)
    assert [user["id"] for user in sandbox.users if user["accountEnabled"]] == [ours[0]]


def test_the_quota_of_writes_is_told_for_each_account_that_it_leaves_out(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory
) -> None:
    ours = plant(sandbox, 30)
    sandbox.write_quota = 45
    outcomes = directory.block_all(ours)
    late = [error for error in outcomes.values() if isinstance(error, RetryLater)]
    assert len(late) == 15
    assert all(100 < (error.after_seconds or 0) <= 150 for error in late)
    assert {user["accountEnabled"] for user in sandbox.users} == {False}  # all are blocked before any session is revoked


@pytest.mark.parametrize("by_thumbprint", [True, False])
def test_a_certificate_is_as_good_as_a_secret(
    sandbox: MsGraphSandbox, connect: Connect, base_url: str, tls: TlsFiles, by_thumbprint: bool
) -> None:
    directory = connect(sandbox.certificate_settings(base_url, tls.ca, by_thumbprint=by_thumbprint))
    assert directory.find(new_marker()) == []
    (header,) = sandbox.authority.assertions
    assert (header["alg"], "x5t" in header, "x5t#S256" in header) == (
        ("RS256", True, False) if by_thumbprint else ("PS256", False, True)
    )
    sandbox.expire_tokens()
    assert directory.find(new_marker()) == []


def test_a_certificate_that_is_not_registered_or_has_expired_is_ours_to_mend(
    sandbox: MsGraphSandbox, connect: Connect, base_url: str, tls: TlsFiles
) -> None:
    unknown = sandbox.certificate_settings(base_url, tls.ca)
    sandbox.authority.certificates.clear()
    expired = sandbox.authority.register_certificate(days=-1)
    old = {**unknown, "private_key": expired.private_key, "certificate": expired.certificate}
    for settings in (unknown, old):
        with pytest.raises(Misconfigured) as caught:
            connect(settings).find(new_marker())
        assert caught.value.field == "private_key"


def test_in_a_national_cloud_graph_lies_elsewhere_than_the_authority(
    sandbox: MsGraphSandbox, connect: Connect, base_url: str, tls: TlsFiles
) -> None:
    sandbox.authority.graph_url = base_url.replace("localhost", "127.0.0.1")
    ours = plant(sandbox, 12)
    settings = sandbox.settings(base_url, tls.ca)
    assert set(latest(read_on(connect(settings), None))) == set(ours)
    with pytest.raises(Misconfigured) as caught:
        connect(settings, graph_url=base_url).find(new_marker())  # its token would be for another cloud's Graph
    assert caught.value.field == "cloud"


def test_the_marker_can_live_in_an_extension_attribute(sandbox: MsGraphSandbox, connect: Connect) -> None:
    directory = connect(marker_attribute="extensionAttribute3")
    marker = new_marker()
    mapped: dict[str, object] = {"displayName": "Ada", "mailNickname": "ada", "employeeId": "E-4711"}
    account_id = directory.create(DesiredAccount(marker, "ada@client.example", mapped, frozenset(), END))
    (found,) = directory.find(marker)
    assert (found.account_id, found.marker, found.protected) == (account_id, marker, False)
    assert sandbox.users[0]["employeeId"] == "E-4711"
    assert directory.block_all([account_id]) == {account_id: None}
    assert latest(read_on(directory, None))[account_id].marker == marker
    (theirs,) = plant(sandbox, 1)  # carries a marker where another instance would put it
    assert directory.read(theirs).protected
