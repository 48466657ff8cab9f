"""Okta's traps: statuses that are not suspended, searches that lag, limits told in epoch seconds; and every exchange as described."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from starlette.responses import JSONResponse

from connectors.contract import Instance
from connectors.okta import CONNECTOR
from connectors.okta.directory import OktaDirectory
from connectors.okta.records import CANNOT_SIGN_IN, Status
from connectors.okta.sandbox import EXPIRY, OktaSandbox
from connectors.okta.trial import TRIAL
from connectors.suite.sandbox import Fault, FaultKind, serve
from connectors.suite.scenes import every_account
from connectors.suite.trial import Opened, an_instance
from connectors.wire.tls import make_loopback_tls
from provisioning.accounts import AccountApplier
from provisioning.fakes import InMemoryEffectLog, SettableClock
from tests.contract.specs import VendorSpec
from workforce.access import CredentialKind, DesiredAccount
from workforce.effects import Effect, EffectKind
from workforce.errors import AlreadyTaken, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.markers import new_marker

pytestmark = pytest.mark.integration

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[OktaSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        yield opened


def instance(opened: Opened[OktaSandbox], **other: object) -> Any:
    form = {name: value for name, value in {**opened.settings, **other}.items() if value is not None}
    return an_instance(CONNECTOR, form)


@pytest.fixture
def directory(opened: Opened[OktaSandbox]) -> Iterator[OktaDirectory]:
    with instance(opened) as one:
        yield one.directory()


def wanted(name: str = "ada", **attributes: object) -> DesiredAccount:
    login = f"{name}@client.example"
    profile = {
        "firstName": "Ada",
        "lastName": "Lovelace",
        "email": login,
        "title": "Developer",
        "department": "Engines",
        **attributes,
    }
    return DesiredAccount(new_marker(), login, profile, frozenset(), END)


def every_id(directory: OktaDirectory, cursor: str | None = None) -> tuple[set[str], str]:
    accounts, following = every_account(directory, cursor)
    return {account.account_id for account in accounts}, following


def lifecycle(opened: Opened[OktaSandbox]) -> list[str]:
    return [exchange.path.rpartition("/")[2] for exchange in opened.exchanges if "/lifecycle/" in exchange.path]


# As described


def test_every_exchange_is_as_the_vendor_describes_it(opened: Opened[OktaSandbox]) -> None:
    spec = VendorSpec.load("okta/okta-management.pruned.json")
    opened.sandbox.page_size = 2
    with instance(opened) as one:
        _use_everything(one, opened.sandbox)
    described = [exchange for exchange in opened.exchanges if not exchange.path.endswith("/roles")]
    assert {f"{exchange.method} {exchange.status}" for exchange in described} >= {
        "GET 200", "GET 404", "POST 200", "POST 400", "POST 403", "PUT 204", "PUT 404", "DELETE 204", "GET 429",
    }  # fmt: skip
    for exchange in described:
        spec.check(exchange)
    assert not [e for e in described if e.method == "DELETE" and re.fullmatch(r"/api/v1/users/[^/]+", e.path)]


def _use_everything(one: Instance, sandbox: OktaSandbox) -> None:
    directory, ada = one.directory(), wanted(mobilePhone="")
    assert one.client.check().ok
    account_id = directory.create(ada)
    with pytest.raises(AlreadyTaken) as caught:
        directory.create(wanted())
    assert caught.value.field == "login"
    with pytest.raises(Refused) as refused:
        directory.create(wanted("grace", lastName=None))
    assert refused.value.field == "lastName"
    groups = {sandbox.add_group(name) for name in ("developers", "vpn", "wiki")}
    for group in groups:
        for _ in range(2):
            directory.add_member(group, account_id)
    with pytest.raises(NotFound):
        directory.add_member("00gAbsent", account_id)
    directory.update(account_id, {"title": "Architect", "organization": None})
    directory.set_expiry(account_id, END + timedelta(days=1))
    state = directory.read(account_id)
    assert (state.groups, state.expires_at, state.marker) == (groups, END + timedelta(days=1), ada.marker)
    shown = sandbox.users[0]
    assert (shown["profile"]["title"], "organization" in shown["profile"]) == ("Architect", False)
    for group in groups:
        directory.remove_member(group, account_id)
    with pytest.raises(Refused):
        directory.add_member(sandbox.add_group("imported", kind="APP_GROUP"), account_id)
    directory.rename(account_id, "lovelace@client.example")
    directory.set_manager(account_id, TRIAL.add_manager(sandbox, 1))
    directory.create(replace(wanted("later"), enabled=False))
    directory.disable(account_id)
    directory.enable(account_id)
    directory.revoke_sessions(account_id)
    assert directory.block_all([account_id]) == {account_id: None}
    every_account(directory)
    with pytest.raises(NotFound):
        directory.read("00uAbsent")
    sandbox.set_status(account_id, "ACTIVE")
    sandbox.give_admin_role(account_id)
    with pytest.raises(Refused) as protected:
        directory.disable(account_id)
    assert protected.value.cause == "protected_account"
    sandbox.throttle_seconds = 60  # last: nothing more is sent for a minute
    with pytest.raises(RetryLater):
        directory.read(account_id)


# Blocked, whatever the status


@pytest.mark.parametrize("status", list(Status))
def test_whoever_is_disabled_cannot_sign_in_and_cannot_get_there(
    opened: Opened[OktaSandbox], directory: OktaDirectory, status: Status
) -> None:
    account_id = directory.create(wanted())
    opened.sandbox.set_status(account_id, status)
    for _ in range(2):
        directory.disable(account_id)
    assert not directory.read(account_id).enabled
    assert opened.sandbox.users[0]["status"] in CANNOT_SIGN_IN
    expected = [] if status in CANNOT_SIGN_IN else ["suspend" if status is Status.ACTIVE else "deactivate"]
    assert lifecycle(opened) == expected


@pytest.mark.parametrize("status", list(Status))
def test_whoever_is_enabled_can_sign_in_or_get_there(
    opened: Opened[OktaSandbox], directory: OktaDirectory, status: Status
) -> None:
    account_id = directory.create(wanted())
    opened.sandbox.set_status(account_id, status)
    for _ in range(2):
        directory.enable(account_id)
    assert directory.read(account_id).enabled
    expected = {Status.SUSPENDED: ["unsuspend"], Status.STAGED: ["activate"], Status.DEPROVISIONED: ["activate"]}
    assert lifecycle(opened) == expected.get(status, [])
    assert all(e.query == {"sendEmail": "false"} for e in opened.exchanges if e.path.endswith("/activate"))


def test_a_status_that_changes_between_the_look_and_the_suspend_ends_blocked_too(tmp_path: Path) -> None:
    sandbox, tls = OktaSandbox(), make_loopback_tls(tmp_path)

    async def meddling(scope: Any, receive: Any, send: Any) -> None:
        """The person runs into the password's expiry just before we suspend."""
        if scope["path"].endswith("/suspend"):
            sandbox.set_status(scope["path"].split("/")[4], "PASSWORD_EXPIRED")
        await sandbox.app(scope, receive, send)

    with serve(meddling, tls) as base_url, an_instance(CONNECTOR, sandbox.settings(base_url, tls.ca)) as one:
        account_id = one.directory().create(wanted())
        one.directory().disable(account_id)
        assert not one.directory().read(account_id).enabled
    assert sandbox.users[0]["status"] == "DEPROVISIONED"


def test_a_deactivation_that_is_still_under_way_is_not_yet_shown_as_blocked(
    opened: Opened[OktaSandbox], directory: OktaDirectory
) -> None:
    account_id = directory.create(wanted())
    opened.sandbox.set_status(account_id, "RECOVERY")
    opened.sandbox.deactivation_seconds = 3600.0
    directory.disable(account_id)
    assert opened.sandbox.users[0]["transitioningToStatus"] == "DEPROVISIONED"
    assert directory.read(account_id).enabled


def test_a_refused_permission_never_leads_to_the_destructive_way(opened: Opened[OktaSandbox], directory: OktaDirectory) -> None:
    account_id = directory.create(wanted())
    opened.sandbox.faults.plan(Fault(FaultKind.FORBIDDEN_BEFORE, "POST", "/suspend$"))
    with pytest.raises(Refused) as caught:
        directory.disable(account_id)
    assert caught.value.cause == "forbidden"
    opened.sandbox.faults.plan(Fault(FaultKind.UNAVAILABLE_BEFORE, "POST", "/suspend$"))
    with pytest.raises(OutcomeUnknown):
        directory.disable(account_id)
    assert lifecycle(opened) == ["suspend", "suspend"]


def test_sessions_tokens_and_devices_go_together(opened: Opened[OktaSandbox], directory: OktaDirectory) -> None:
    account_id = directory.create(wanted())
    directory.revoke_sessions(account_id)
    (revoked,) = [exchange for exchange in opened.exchanges if exchange.method == "DELETE"]
    assert revoked.query == {"oauthTokens": "true", "forgetDevices": "true"}
    opened.sandbox.set_status(account_id, "DEPROVISIONED")
    directory.revoke_sessions(account_id)
    assert opened.sandbox.effects.count("revoke_sessions_and_tokens") == 2


def test_one_failure_keeps_no_other_from_being_blocked(opened: Opened[OktaSandbox], directory: OktaDirectory) -> None:
    ids = [directory.create(wanted(f"worker.{n}")) for n in range(3)]
    employee = opened.sandbox.add_user(login="em@client.example", employeeNumber="4711")
    opened.sandbox.give_admin_role(ids[1])
    outcome = directory.block_all([*ids, employee, "00uAbsent", "not an id"])
    causes = [getattr(outcome[one], "cause", None) for one in (*ids, employee, "00uAbsent", "not an id")]
    assert causes == [None, "protected_account", None, "protected_account", "not_found", "not_found"]
    assert opened.sandbox.effects.count("suspend_user") == opened.sandbox.effects.count("revoke_sessions_and_tokens") == 2


# Who is whom


def test_a_path_that_takes_logins_too_never_touches_somebody_else(opened: Opened[OktaSandbox], directory: OktaDirectory) -> None:
    account_id = directory.create(wanted("ada"))
    for other in ("me", "ada@client.example"):
        with pytest.raises(NotFound):
            directory.disable(other)
    with pytest.raises(Refused):
        directory.disable("ada")  # the path finds a user by the first part of a login
    assert directory.find_by_login("ada") is None
    assert directory.find_by_login("me") is None
    found = directory.find_by_login("ADA@client.example")
    assert found is not None
    assert found.account_id == account_id
    assert opened.sandbox.effects.count("suspend_user") == 0


def test_a_new_account_is_found_by_its_login_before_the_search_shows_it(
    opened: Opened[OktaSandbox], directory: OktaDirectory
) -> None:
    opened.sandbox.lag_seconds = 3600.0
    ada = wanted()
    opened.sandbox.faults.plan(Fault(FaultKind.TIMEOUT_AFTER, "POST", "/users$"))
    with instance(opened, timeout_seconds=0.4) as one, pytest.raises(OutcomeUnknown):
        one.directory().create(ada)
    assert directory.find(ada.marker) == []
    held = directory.find_by_login(ada.login)
    assert held is not None
    assert held.marker == ada.marker
    with pytest.raises(AlreadyTaken):
        directory.create(ada)


def test_everyone_is_no_group_of_ours_and_a_managed_group_takes_nobody(
    opened: Opened[OktaSandbox], directory: OktaDirectory
) -> None:
    account_id = directory.create(wanted())
    imported = opened.sandbox.add_group("from Active Directory", kind="APP_GROUP")
    assert directory.read(account_id).groups == frozenset()
    with pytest.raises(Refused) as caught:
        directory.add_member(imported, account_id)
    assert caught.value.cause == "group_not_ours"


def test_a_permission_that_is_missing_is_not_taken_for_a_managed_group(
    opened: Opened[OktaSandbox], directory: OktaDirectory
) -> None:
    account_id, group = directory.create(wanted()), opened.sandbox.add_group("vpn")
    opened.sandbox.faults.plan(Fault(FaultKind.FORBIDDEN_BEFORE, "PUT", r"/users/"))
    with pytest.raises(Refused) as caught:
        directory.add_member(group, account_id)
    assert caught.value.cause == "forbidden"


# Starts that lie ahead, renames, managers, first credentials


def test_an_account_that_starts_later_is_staged_and_nobody_is_written_to(
    opened: Opened[OktaSandbox], directory: OktaDirectory
) -> None:
    account_id = directory.create(replace(wanted(), enabled=False))
    assert [user["status"] for user in opened.sandbox.users] == ["STAGED"]
    with pytest.raises(RetryLater) as caught:
        directory.first_credential(account_id)
    assert (caught.value.cause, lifecycle(opened)) == ("not_enabled", [])
    directory.enable(account_id)
    assert [user["status"] for user in opened.sandbox.users] == ["ACTIVE"]
    assert [e.query for e in opened.exchanges if e.path.endswith("/activate")] == [{"sendEmail": "false"}]


def test_a_temporary_password_is_to_be_changed_and_ends_what_was_open(
    opened: Opened[OktaSandbox], directory: OktaDirectory
) -> None:
    account_id = directory.create(wanted())
    credential = directory.first_credential(account_id)
    assert (credential.kind, len(credential.secret.get_secret_value())) == (CredentialKind.PASSWORD, 8)
    assert directory.first_credential(account_id) != credential
    assert (opened.sandbox.users[0]["status"], directory.read(account_id).enabled) == ("PASSWORD_EXPIRED", True)
    asked = [e.query for e in opened.exchanges if e.path.endswith("/expire_password_with_temp_password")]
    assert asked == [{"revokeSessions": "true"}] * 2


@pytest.mark.parametrize("status", ["PROVISIONED", "RECOVERY"])
def test_whoever_never_had_a_password_gets_a_link_instead(
    opened: Opened[OktaSandbox], directory: OktaDirectory, status: str
) -> None:
    account_id = directory.create(wanted())
    opened.sandbox.set_status(account_id, status)
    credential = directory.first_credential(account_id)
    assert credential.secret.get_secret_value().startswith("https://")
    assert "https" not in repr(credential)
    assert lifecycle(opened) == ["reactivate"]


@pytest.mark.parametrize("status", ["STAGED", "SUSPENDED", "DEPROVISIONED"])
def test_a_blocked_account_is_given_nothing_to_sign_in_with(
    opened: Opened[OktaSandbox], directory: OktaDirectory, status: str
) -> None:
    account_id = directory.create(wanted())
    opened.sandbox.set_status(account_id, status)
    with pytest.raises(RetryLater):
        directory.first_credential(account_id)
    assert lifecycle(opened) == []


def test_a_login_changes_and_its_account_does_not(opened: Opened[OktaSandbox], directory: OktaDirectory) -> None:
    account_id = directory.create(wanted())
    directory.create(wanted("eve"))
    for _ in range(2):
        directory.rename(account_id, "grace@client.example")
    assert directory.read(account_id).login == "grace@client.example"
    assert opened.sandbox.effects.count("update_user") == 1
    with pytest.raises(AlreadyTaken) as caught:
        directory.rename(account_id, "eve@client.example")
    assert caught.value.field == "login"
    for nonsense in ("", "a/b", "me?x", "a b"):
        with pytest.raises(Refused):
            directory.rename(account_id, nonsense)


def test_a_manager_is_found_by_login_or_by_mail_and_nobody_is_guessed(
    opened: Opened[OktaSandbox], directory: OktaDirectory
) -> None:
    account_id = directory.create(wanted())
    boss = opened.sandbox.add_user(login="boss@client.example", email="the.boss@mail.example")
    for address in ("boss@client.example", "the.boss@mail.example"):
        directory.set_manager(account_id, address)
        assert TRIAL.manager_of(opened.sandbox, account_id) == "the.boss@mail.example"
    for address in ("nobody@client.example", 'x" or profile.login pr or "', ""):
        with pytest.raises(NotFound):
            directory.set_manager(account_id, address)
    opened.sandbox.add_user(login="b2@client.example", email="the.boss@mail.example")
    with pytest.raises(Refused) as caught:
        directory.set_manager(account_id, "the.boss@mail.example")
    assert (caught.value.cause, opened.sandbox.users[0]["profile"]["managerId"]) == ("ambiguous_manager", boss)


def test_the_last_sign_in_is_told(opened: Opened[OktaSandbox], directory: OktaDirectory) -> None:
    account_id = directory.create(wanted())
    assert directory.read(account_id).last_sign_in is None
    opened.sandbox.sign_in(account_id)
    seen = directory.read(account_id).last_sign_in
    assert seen is not None
    assert abs(datetime.now(UTC) - seen) < timedelta(minutes=1)


def test_a_guest_is_refused(opened: Opened[OktaSandbox], directory: OktaDirectory) -> None:
    with pytest.raises(Refused) as caught:
        directory.create(replace(wanted(), guest=True))
    assert (caught.value.cause, opened.sandbox.users) == ("no_guests", [])


def test_a_listed_account_is_protected_although_it_carries_our_marker(
    opened: Opened[OktaSandbox], directory: OktaDirectory
) -> None:
    account_id = directory.create(wanted())
    with instance(opened, protected_user_ids=[account_id]) as one:
        assert one.directory().read(account_id).protected
        with pytest.raises(Refused) as caught:
            one.directory().disable(account_id)
    assert caught.value.cause == "protected_account"


@pytest.mark.parametrize(
    "attributes", [{"employeeNumber": "4711"}, {EXPIRY: "2031-01-01"}, {EXPIRY: None}, {"profile.title": "x"}, {"": 1}]
)
def test_a_mapping_cannot_change_the_marker_or_the_end(directory: OktaDirectory, attributes: dict[str, object]) -> None:
    account_id = directory.create(wanted())
    with pytest.raises(Refused) as caught:
        directory.update(account_id, attributes)
    assert caught.value.cause == "reserved_attribute"


def test_without_an_attribute_for_it_no_expiry_is_written_or_told(opened: Opened[OktaSandbox]) -> None:
    with instance(opened, expiry_attribute=None) as one:
        account_id = one.directory().create(wanted())
        one.directory().set_expiry(account_id, END)
        assert one.directory().read(account_id).expires_at is None
    assert EXPIRY not in opened.sandbox.users[0]["profile"]
    assert opened.sandbox.effects.count("update_user") == 0


# All accounts


def test_all_accounts_are_told_also_the_deactivated_and_later_those_that_changed(
    opened: Opened[OktaSandbox], directory: OktaDirectory
) -> None:
    opened.sandbox.page_size = 2
    ids = {directory.create(wanted(f"worker.{n}")) for n in range(5)}
    ids.add(opened.sandbox.add_user(status="DEPROVISIONED", login="gone@client.example"))
    told, cursor = every_id(directory)
    assert told == ids
    changed = directory.create(wanted("new"))
    assert changed in every_id(directory, cursor)[0]
    asked = [exchange.query["filter"] for exchange in opened.exchanges if "filter" in exchange.query]
    assert asked[0] == 'lastUpdated gt "1970-01-01T00:00:00.000Z"'
    assert asked[-1] > asked[0]
    assert every_id(directory, "not a cursor")[0] == {*ids, changed}


def test_a_next_page_at_another_host_is_not_asked_for(tmp_path: Path) -> None:
    with _answering(tmp_path, [], {"Link": '<https://evil.example/api/v1/users?after=1>; rel="next"'}) as one:
        page = one.directory().accounts(None)
        with pytest.raises(Refused) as caught:
            one.directory().accounts(page.cursor)
    assert caught.value.cause == "foreign_address"


def test_a_status_that_nobody_knows_hides_nobody_and_is_not_taken_for_blocked(tmp_path: Path) -> None:
    user = {"id": "00u1", "status": "HIBERNATING", "profile": {"login": "em@client.example"}}
    with _answering(tmp_path, [user], {}) as one:
        (state,) = one.directory().accounts(None).accounts
    assert (state.account_id, state.enabled, state.protected) == ("00u1", True, True)


@contextmanager
def _answering(tmp_path: Path, users: list[dict[str, Any]], headers: dict[str, str]) -> Iterator[Instance]:
    """An instance whose org answers everything with this page."""
    tls, form = make_loopback_tls(tmp_path), {"api_token": "token"}
    with (
        serve(JSONResponse(users, headers=headers), tls) as base_url,
        an_instance(CONNECTOR, form, org_url=base_url, ca_file=tls.ca) as one,
    ):
        yield one


# Credentials and limits


def test_a_throttled_call_waits_until_the_limit_is_set_anew(opened: Opened[OktaSandbox], directory: OktaDirectory) -> None:
    opened.sandbox.throttle_seconds = 37
    with pytest.raises(RetryLater) as caught:
        directory.read("00u1")
    assert caught.value.cause == "throttled"
    assert caught.value.after_seconds is not None
    assert 30 < caught.value.after_seconds <= 38
    sent = len(opened.exchanges)
    with pytest.raises(RetryLater):
        directory.read("00u1")
    assert len(opened.exchanges) == sent


@pytest.fixture
def app(tmp_path: Path) -> Iterator[tuple[OktaSandbox, dict[str, Any]]]:
    sandbox, tls = OktaSandbox(credentials="app"), make_loopback_tls(tmp_path)
    with serve(sandbox.app, tls) as base_url:
        yield sandbox, sandbox.settings(base_url, tls.ca)


def test_an_app_signs_its_assertion_and_renews_what_has_expired(app: tuple[OktaSandbox, dict[str, Any]]) -> None:
    sandbox, form = app
    with an_instance(CONNECTOR, form) as one:
        assert one.client.check().ok
        account_id = one.directory().create(wanted())
        sandbox.expire_tokens()
        one.directory().disable(account_id)
    assert sandbox.effects.count("suspend_user") == 1


@pytest.mark.parametrize("other", [{"client_id": "0oaAnother"}, {"scopes": ["okta.roles.manage"]}])
def test_an_app_that_is_not_let_in_is_a_fault_of_the_settings(
    app: tuple[OktaSandbox, dict[str, Any]], other: dict[str, Any]
) -> None:
    with an_instance(CONNECTOR, app[1], **other) as one:
        assert not one.client.check().ok
        with pytest.raises(Misconfigured) as caught:
            one.directory().read("00u1")
    assert caught.value.field == "private_key"


def test_many_threads_cause_one_token(app: tuple[OktaSandbox, dict[str, Any]]) -> None:
    sandbox, form = app
    with an_instance(CONNECTOR, form) as one:
        threads = [threading.Thread(target=one.client.check) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(sandbox._assertions) == 1


# One person, one account


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT_AFTER, FaultKind.ERROR_AFTER, FaultKind.TRUNCATED_AFTER])
def test_a_lost_reply_a_lagging_search_and_two_workers_make_one_account(opened: Opened[OktaSandbox], kind: FaultKind) -> None:
    """The login is what the target keeps unique: an empty search just after a create never leads to a second account."""
    opened.sandbox.lag_seconds = 3600.0
    opened.sandbox.faults.plan(Fault(kind, "POST", "/users$"))
    ada, clock, told = wanted(), SettableClock(END), list[str]()
    effect = Effect("acme", uuid4(), "okta", EffectKind.CREATE_ACCOUNT, 1)
    with instance(opened, timeout_seconds=0.4) as one:
        workers = [AccountApplier(one.directory(), effect, InMemoryEffectLog(clock)) for _ in range(2)]
        for turn in range(8):
            clock.advance(61)
            with suppress(RetryLater):
                told.append(workers[turn % 2].create(ada, {}))
    assert opened.sandbox.effects.count("create_user") == 1
    assert len(set(told)) == 1
