"""The Graph connector against its sandbox where it hurts: lag, lost replies, throttling, tokens, protected accounts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.sandbox import MsGraphSandbox
from connectors.suite.sandbox import Fault, FaultKind
from connectors.wire.tls import make_loopback_tls
from tests.integration.connectors.msgraph.tenant import END, Connect, an_account
from workforce.errors import Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.markers import new_marker

pytestmark = pytest.mark.integration


def test_an_account_that_reads_do_not_show_yet_is_there_once(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    sandbox.lag_seconds = 3600.0
    wanted = an_account()
    account_id = directory.create(wanted)
    with pytest.raises(NotFound):
        directory.read(account_id)
    assert directory.find(wanted.marker) == []
    assert [(u["id"], u["employeeId"]) for u in sandbox.users] == [(account_id, wanted.marker)]


def test_a_change_that_reads_do_not_show_yet_has_happened(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    account_id = directory.create(an_account())
    sandbox.lag_seconds = 3600.0
    directory.disable(account_id)
    assert directory.read(account_id).enabled is True
    assert sandbox.users[0]["accountEnabled"] is False


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT_AFTER, FaultKind.ERROR_AFTER, FaultKind.HTML_AFTER])
def test_a_lost_reply_is_an_unknown_outcome_that_the_marker_resolves(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory, kind: FaultKind
) -> None:
    wanted = an_account()
    sandbox.faults.plan(Fault(kind, "POST", "/users$"))
    with pytest.raises(OutcomeUnknown):
        directory.create(wanted)
    (found,) = directory.find(wanted.marker)
    assert found.login == wanted.login
    assert sandbox.effects.count("create_user") == 1


@pytest.mark.parametrize("kind", list(FaultKind))
def test_no_write_is_ever_sent_twice(sandbox: MsGraphSandbox, directory: MsGraphDirectory, kind: FaultKind) -> None:
    account_id = directory.create(an_account())
    sandbox.faults.plan(Fault(kind, "POST", "revokeSignInSessions"))
    try:
        directory.revoke_sessions(account_id)
    except RetryLater as error:
        assert error.cause == "throttled"  # noqa: PT017 - some kinds raise nothing
    except (OutcomeUnknown, Refused):
        pass
    is_done = kind.is_after or kind is FaultKind.EXPIRED_BEFORE  # a token that has expired is renewed
    assert sandbox.effects.count("revoke_sessions") == is_done
    assert len(sandbox.faults.happened) == 1


def test_reads_outlive_a_sick_moment(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    account_id = directory.create(an_account())
    sandbox.faults.plan(Fault(FaultKind.UNAVAILABLE_BEFORE, "GET", "/users/"))
    assert directory.read(account_id).enabled


def test_being_throttled_says_how_long(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    account_id = directory.create(an_account())
    sandbox.throttle_seconds = 120
    with pytest.raises(RetryLater) as caught:
        directory.disable(account_id)
    assert (caught.value.cause, caught.value.after_seconds) == ("throttled", 120.0)


def test_revoking_moves_the_instant_from_which_sessions_are_valid(directory: MsGraphDirectory) -> None:
    account_id = directory.create(an_account())
    before = directory.read(account_id).sessions_valid_from
    directory.revoke_sessions(account_id)
    after = directory.read(account_id).sessions_valid_from
    assert before is not None
    assert after is not None
    assert after > before


def test_a_token_that_was_taken_back_is_replaced_by_threads_without_losing_a_call(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory
) -> None:
    account_id = directory.create(an_account())
    for _ in range(3):
        sandbox.expire_tokens()
        with ThreadPoolExecutor(8) as threads:
            states = list(threads.map(directory.read, [account_id] * 24))
        assert all(state.enabled for state in states)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"client_secret": "wrong"}, "client_secret"),
        ({"client_id": "stranger"}, "client_id"),
        ({"tenant_id": "stranger"}, "tenant_id"),
    ],
)
def test_wrong_credentials_are_ours_to_mend(connect: Connect, form: dict[str, str], field: str) -> None:
    directory = connect(**form)
    with pytest.raises(Misconfigured) as caught:
        directory.find(new_marker())
    assert caught.value.field == field
    assert not directory._client.check().ok


def test_an_unknown_authority_certificate_is_not_trusted(connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(RetryLater):
        connect(ca_file=make_loopback_tls(tmp_path).ca).find(new_marker())


def test_protected_accounts_are_seen_and_refused(sandbox: MsGraphSandbox, directory: MsGraphDirectory, connect: Connect) -> None:
    listed = directory.create(an_account())
    admin = directory.create(an_account("grace@client.example"))
    sandbox.give_admin_role(admin)
    guarded = connect(protected_user_ids=[listed.upper()])
    for account_id in (listed, admin):
        assert guarded.read(account_id).protected
        for act in (guarded.disable, guarded.revoke_sessions):
            with pytest.raises(Refused) as caught:
                act(account_id)
            assert caught.value.cause == "protected_account"
    assert sandbox.effects.count("disable_user") == 0


def test_a_holder_of_an_administrator_role_is_not_touched_even_where_the_app_might(
    sandbox: MsGraphSandbox, directory: MsGraphDirectory
) -> None:
    admin, group = directory.create(an_account()), sandbox.add_group("developers")
    sandbox.give_admin_role(admin)
    sandbox.app_is_admin = True
    for act in (directory.disable, directory.enable, directory.revoke_sessions, lambda each: directory.add_member(group, each)):
        with pytest.raises(Refused) as caught:
            act(admin)
        assert caught.value.cause == "protected_account"
    (outcome,) = directory.block_all([admin]).values()
    assert outcome is not None
    assert outcome.cause == "protected_account"
    assert [entry.operation for entry in sandbox.effects.entries] == ["create_user"]


def test_repeating_changes_nothing_at_the_vendor(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    account_id, group = directory.create(an_account()), sandbox.add_group("developers")
    for _ in range(2):
        directory.add_member(group, account_id)
        directory.disable(account_id)
        directory.set_expiry(account_id, END)
    directory.remove_member(group, account_id)
    directory.remove_member(group, account_id)
    counted = ("create_user", "add_member", "disable_user", "update_user", "remove_member")
    assert [sandbox.effects.count(operation) for operation in counted] == [1, 1, 1, 0, 1]


def test_the_password_is_shown_to_nobody(sandbox: MsGraphSandbox, directory: MsGraphDirectory) -> None:
    directory.create(an_account())
    assert "password" not in str(sandbox.users).lower()
