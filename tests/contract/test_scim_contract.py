"""What the SCIM connector sends and its sandbox answers, against RFC 7643 and RFC 7644 as scim2-models and scim2-tester read them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_client import BaseSyncSCIMClient
from scim2_models import (
    BulkRequest,
    BulkResponse,
    Context,
    EnterpriseUser,
    Error,
    ListResponse,
    PatchOp,
    ResourceType,
    ScimProvider,
    ServiceProviderConfig,
)
from scim2_models import Group as WholeGroup
from scim2_models import User as WholeUser
from starlette.responses import JSONResponse

from connectors.contract import Instance
from connectors.protocols.scim_resources import Group, User, value_at
from connectors.scim import CONNECTOR
from connectors.scim.sandbox import BASE, TOKEN, Person, ScimSandbox
from connectors.scim.trial import TRIAL
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind, serve
from connectors.suite.trial import Exchange, Opened, an_instance
from connectors.wire.tls import make_loopback_tls
from provisioning.accounts import AccountApplier
from provisioning.fakes import InMemoryEffectLog, SettableClock
from tests.contract.specs import SPECS
from workforce.access import DesiredAccount
from workforce.effects import Effect, EffectKind
from workforce.errors import AlreadyTaken, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater, UnusableContent
from workforce.markers import new_marker
from workforce.ports import Credentials

pytestmark = pytest.mark.integration

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
RFC = SPECS / "scim"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[ScimSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        yield opened


def instance(opened: Opened[ScimSandbox], **other: object) -> Any:
    form = {name: value for name, value in {**opened.settings, **other}.items() if value is not None}
    return an_instance(CONNECTOR, form)


def wanted(name: str = "ada", **attributes: object) -> DesiredAccount:
    mapped = {
        "displayName": "Ada Lovelace",
        ENTERPRISE: {"department": "Engines", "manager": {"value": "26118915", "$ref": "../Users/26118915"}},
        **attributes,
    }
    return DesiredAccount(new_marker(), f"{name}@client.example", mapped, frozenset(), END)


def every_account(directory: Any, cursor: str | None = None, between: Any = lambda: None) -> tuple[set[str], str]:
    told: set[str] = set()
    for _ in range(1000):
        page = directory.accounts(cursor)
        told |= {account.account_id for account in page.accounts}
        cursor = page.cursor
        if page.complete:
            return told, cursor
        between()
    raise AssertionError("the pages never end")


# The stand-in, judged


class _Judge(BaseSyncSCIMClient):
    """scim2-tester's client, with a plain connection.

    It is told of User and Group: scim2-tester 0.5 fills every text, also a dateTime, with random letters, so it cannot make a Person with
    the sandbox's own ``endsAt``.
    """

    def __init__(self, connection: httpx.Client) -> None:
        types = [ResourceType.from_resource(model) for model in (WholeUser[EnterpriseUser], WholeGroup)]
        super().__init__(provider=ScimProvider(models=[WholeUser, EnterpriseUser, WholeGroup], resource_types=types))
        self._connection = connection

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        return self._connection.request(method, url, **kwargs)


def test_scim2_tester_finds_nothing_wrong_with_the_sandbox() -> None:
    tester = pytest.importorskip("scim2_tester", reason="scim2-tester is not installed")
    known = {"Authorization": f"Bearer {TOKEN}"}
    with serve(ScimSandbox().app) as url, httpx.Client(base_url=f"{url}{BASE}", headers=known) as connection:
        results = tester.check_server(_Judge(connection))
    told = Counter(result.status.name for result in results)
    assert [f"{result.title}: {result.reason}" for result in results if result.status.name not in {"SUCCESS", "SKIPPED"}] == []
    assert {result.title for result in results if result.status.name == "SKIPPED"} <= {
        "search_with_attributes"
    }  # 501: no POST search
    assert told["SUCCESS"] > 120


# Everything that crosses the wire, read strictly


def _check_request(exchange: Exchange) -> None:
    if not exchange.request_body or exchange.path == "/oauth/token":
        return
    assert exchange.headers["content-type"] == "application/scim+json"
    body, kind = json.loads(exchange.request_body), WholeGroup if "/Groups" in exchange.path else Person
    match exchange.method:
        case "PATCH":
            PatchOp[kind].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST)  # type: ignore[valid-type]
        case "PUT":
            kind.model_validate(body, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
        case _ if exchange.path.endswith("/Bulk"):
            BulkRequest[Person].model_validate(body, scim_ctx=Context.BULK_REQUEST)
        case _:
            kind.model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST)


def _check_answer(exchange: Exchange) -> None:
    if not exchange.response_body or exchange.path == "/oauth/token":
        return
    body, kind = json.loads(exchange.response_body), WholeGroup if "/Groups" in exchange.path else Person
    if exchange.status >= 400:
        assert Error.model_validate(body).status == exchange.status
    elif exchange.path.endswith("/ServiceProviderConfig"):
        ServiceProviderConfig.model_validate(body, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    elif exchange.path.endswith("/Bulk"):
        BulkResponse[Person].model_validate(body, scim_ctx=Context.BULK_RESPONSE)
    elif exchange.path.endswith(("/Users", "/Groups")) and exchange.method == "GET":
        ListResponse[kind].model_validate(body, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)  # type: ignore[valid-type]
    else:
        kind.model_validate(body, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)


@pytest.mark.parametrize("patch", [True, False])
@pytest.mark.parametrize("marker_attribute", ["externalId", "employeeNumber"])
def test_every_body_is_as_the_rfc_has_it(opened: Opened[ScimSandbox], patch: bool, marker_attribute: str) -> None:
    opened.sandbox.has_patch = patch
    with instance(opened, patch=patch, marker_attribute=marker_attribute, password_on_create=True, page_size=2) as one:
        _use_everything(one, opened.sandbox)
    said = {f"{exchange.method} {exchange.status}" for exchange in opened.exchanges}
    assert said >= {"GET 200", "GET 404", "POST 201", "POST 409", f"{'PATCH' if patch else 'PUT'} 200"}
    assert not [exchange for exchange in opened.exchanges if exchange.method == "DELETE"]
    for exchange in opened.exchanges:
        assert "application/scim+json" in exchange.headers["accept"]
        _check_request(exchange)
        _check_answer(exchange)


def _use_everything(one: Instance, sandbox: ScimSandbox) -> None:
    directory, ada = one.directory(), wanted()
    assert one.client.check().ok
    account_id, other = directory.create(ada), directory.create(wanted("grace"))
    with pytest.raises(AlreadyTaken):
        directory.create(wanted())
    group = sandbox.add_group("developers")
    for _ in range(2):
        directory.add_member(group, account_id)
    directory.update(account_id, {"title": "Architect", "displayName": None, ENTERPRISE: {"department": "Looms"}})
    directory.set_expiry(account_id, END + timedelta(days=1))
    state = directory.read(account_id)
    assert (state.groups, state.expires_at, state.marker) == ({group}, END + timedelta(days=1), ada.marker)
    (shown,) = [user for user in sandbox.users if user["id"] == account_id]
    assert (shown["title"], shown.get("displayName")) == ("Architect", None)
    assert shown[ENTERPRISE]["department"] == "Looms"
    assert shown[ENTERPRISE]["manager"]["value"] == "26118915"  # kept, although the update does not name it
    for _ in range(2):
        directory.remove_member(group, account_id)
    directory.rename(account_id, "lovelace@client.example")
    directory.set_manager(account_id, "grace@client.example")
    later = directory.create(replace(wanted("later"), enabled=False))
    assert not directory.read(later).enabled
    sandbox.remove("Users", later)
    directory.disable(account_id)
    directory.enable(account_id)
    assert directory.block_all([account_id, other]) == {account_id: None, other: None}
    assert every_account(directory)[0] == {account_id, other}
    with pytest.raises(NotFound):
        directory.read("4711")


@pytest.mark.parametrize("patch", [True, False])
def test_a_manager_takes_the_place_of_an_earlier_one_altogether(opened: Opened[ScimSandbox], patch: bool) -> None:
    opened.sandbox.has_patch = patch
    with instance(opened, patch=patch) as one:
        directory = one.directory()
        account_id = directory.create(wanted())
        boss = opened.sandbox.add_user(userName="boss", emails=[{"value": "boss@mail.example", "type": "work"}])
        for address in ("boss", "boss@mail.example"):
            directory.set_manager(account_id, address)
            (shown,) = [user for user in opened.sandbox.users if user["id"] == account_id]
            manager = {"value": boss, "$ref": f"../Users/{boss}"}
            assert shown[ENTERPRISE] == {"department": "Engines", "manager": manager}
        for address in ("nobody@mail.example", '" or userName pr or userName eq "', ""):
            with pytest.raises(NotFound):
                directory.set_manager(account_id, address)
        opened.sandbox.add_user(userName="b2", emails=[{"value": "boss@mail.example", "type": "work"}])
        with pytest.raises(Refused) as caught:
            directory.set_manager(account_id, "boss@mail.example")
    assert caught.value.cause == "ambiguous_manager"


@pytest.mark.parametrize("patch", [True, False])
def test_a_login_changes_and_its_account_does_not(opened: Opened[ScimSandbox], patch: bool) -> None:
    opened.sandbox.has_patch = patch
    with instance(opened, patch=patch) as one:
        directory = one.directory()
        account_id = directory.create(wanted())
        directory.create(wanted("eve"))
        for _ in range(2):
            directory.rename(account_id, "grace@client.example")
        assert directory.read(account_id).login == "grace@client.example"
        for taken in ("eve@client.example", "EVE@client.example"):
            with pytest.raises(AlreadyTaken) as caught:
                directory.rename(account_id, taken)
            assert caught.value.field == "userName"


@pytest.mark.parametrize("patch", [True, False])
def test_a_login_that_the_search_does_not_show_yet_is_taken_all_the_same(opened: Opened[ScimSandbox], patch: bool) -> None:
    opened.sandbox.has_patch = patch
    with instance(opened, patch=patch) as one:
        directory = one.directory()
        account_id = directory.create(wanted())
        opened.sandbox.lag_seconds = 60
        directory.create(wanted("eve"))
        with pytest.raises(AlreadyTaken):
            directory.rename(account_id, "eve@client.example")


def test_scim_has_no_guests_and_makes_no_credentials(opened: Opened[ScimSandbox]) -> None:
    with instance(opened) as one:
        with pytest.raises(Refused) as caught:
            one.directory().create(replace(wanted(), guest=True))
        assert not isinstance(one.directory(), Credentials)
    assert (caught.value.cause, opened.sandbox.users) == ("no_guests", [])


def test_the_rfc_s_own_samples_are_understood() -> None:
    if not RFC.is_dir():
        pytest.skip("the RFCs' samples are not here: shared/vendor-specs/scim")
    names = ("rfc7643-8.1-user-minimal", "rfc7643-8.2-user-full", "rfc7643-8.3-enterprise_user", "rfc7643-8.4-group")
    samples = {name: json.loads((RFC / f"{name}.json").read_text()) for name in names}
    minimal, full, enterprise = (User(samples[name]["id"], samples[name]) for name in names[:3])
    assert (minimal.user_name, minimal.is_active, minimal.groups) == ("bjensen@example.com", True, None)
    assert full.groups == {group["value"] for group in samples[names[1]]["groups"]}
    assert value_at(enterprise.body, f"{ENTERPRISE}:employeeNumber") == "701984"
    assert Group("g", samples[names[3]]).members == samples[names[3]]["members"]


def test_our_patches_of_members_have_the_form_of_the_rfc_s_samples(opened: Opened[ScimSandbox]) -> None:
    if not RFC.is_dir():
        pytest.skip("the RFCs' samples are not here: shared/vendor-specs/scim")
    with instance(opened) as one:
        directory, group = one.directory(), opened.sandbox.add_group("developers")
        account_id = directory.create(wanted())
        directory.add_member(group, account_id)
        directory.remove_member(group, account_id)
    added, removed = (json.loads(e.request_body) for e in opened.exchanges if e.method == "PATCH")
    (add,) = json.loads((RFC / "rfc7644-3.5.2.1-patch_op-add_members.json").read_text())["Operations"]
    (remove,) = json.loads((RFC / "rfc7644-3.5.2.2-patch_op-remove_one_member.json").read_text())["Operations"]
    assert (added["Operations"][0]["op"], added["Operations"][0]["path"]) == (add["op"], add["path"])
    theirs = remove["path"].partition('"')
    assert removed["Operations"] == [{"op": remove["op"], "path": f'{theirs[0]}"{account_id}"]'}]


# What the RFC leaves open


@pytest.mark.parametrize("kind", ["bearer", "basic", "oauth"])
def test_three_kinds_of_credentials_open_the_target(kind: Any, tmp_path: Path) -> None:
    sandbox, tls = ScimSandbox(credentials=kind), make_loopback_tls(tmp_path)
    with serve(sandbox.app, tls) as base_url:
        form = sandbox.settings(base_url, tls.ca)
        with an_instance(CONNECTOR, form) as one:
            assert one.client.check().ok
            account_id = one.directory().create(wanted())
            sandbox.expire_tokens()
            assert one.directory().read(account_id).enabled
        secret = next(name for name in ("token", "password", "client_secret") if name in form)
        wrong = CONNECTOR.settings.model_validate({**form, secret: "wrong"})
        with closing(Instance("scim", CONNECTOR, wrong, ON_LOOPBACK)) as stranger:
            assert not stranger.client.check().ok
            with pytest.raises(Misconfigured):
                stranger.directory().read(account_id)


def test_the_check_names_the_setting_that_does_not_fit_the_target(opened: Opened[ScimSandbox]) -> None:
    opened.sandbox.has_patch = False
    with instance(opened) as one:
        result = one.client.check()
    assert (result.ok, "set patch to false" in result.detail) == (False, True)


def test_a_target_without_groups_on_its_users_is_asked_for_the_groups(opened: Opened[ScimSandbox]) -> None:
    opened.sandbox.shows_groups, opened.sandbox.page_size = False, 2
    with instance(opened) as one:
        account_id = one.directory().create(wanted())
        groups = {opened.sandbox.add_group(f"group {n}") for n in range(5)}
        for group in groups:
            one.directory().add_member(group, account_id)
        assert one.directory().read(account_id).groups == groups
    asked = [exchange.query for exchange in opened.exchanges if exchange.path.endswith("/Groups")]
    assert all(query["excludedAttributes"] == "members" for query in asked)


def test_a_change_in_between_is_not_written_over(opened: Opened[ScimSandbox]) -> None:
    opened.sandbox.has_patch = False
    with instance(opened, patch=False) as one:
        account_id = one.directory().create(wanted())
        opened.sandbox.faults.plan(Fault(FaultKind.UNAVAILABLE_BEFORE, "PUT", "/Users/"))
        with pytest.raises(OutcomeUnknown):
            one.directory().disable(account_id)
        one.directory().disable(account_id)
        puts = [exchange for exchange in opened.exchanges if exchange.method == "PUT"]
        assert all(exchange.headers["if-match"].startswith('W/"') for exchange in puts)
        assert not one.directory().read(account_id).enabled


def test_groups_are_not_replaced_whole_without_versions(opened: Opened[ScimSandbox]) -> None:
    opened.sandbox.has_patch = opened.sandbox.has_versions = False
    group = opened.sandbox.add_group("developers")
    with instance(opened, patch=False) as one:
        account_id = one.directory().create(wanted())
        with pytest.raises(Refused) as caught:
            one.directory().add_member(group, account_id)
        assert caught.value.cause == "no_version"
        one.directory().disable(account_id)
        assert not one.directory().read(account_id).enabled


def test_without_an_attribute_for_it_no_expiry_is_written_or_told(opened: Opened[ScimSandbox]) -> None:
    with instance(opened, expiry_attribute=None) as one:
        account_id = one.directory().create(wanted())
        one.directory().set_expiry(account_id, END)
        assert one.directory().read(account_id).expires_at is None
    assert opened.sandbox.effects.count("update_user") == 0
    assert "2031" not in str(opened.sandbox.users)


def test_without_bulk_each_is_blocked_by_itself_and_one_failure_stops_no_other(opened: Opened[ScimSandbox]) -> None:
    opened.sandbox.has_bulk = False
    employee = opened.sandbox.add_user(userName="em@client.example", externalId="4711")
    with instance(opened) as one:
        ids = [one.directory().create(wanted(f"worker.{n}")) for n in range(3)]
        outcome = one.directory().block_all([ids[0], employee, "4711", *ids[1:]])
    assert [one for one in ids if outcome[one] is not None] == []
    assert getattr(outcome[employee], "cause", None) == "protected_account"
    assert isinstance(outcome["4711"], NotFound)
    assert opened.sandbox.effects.count("disable_user") == 3


@pytest.mark.parametrize("kind", list(FaultKind))
def test_whatever_becomes_of_a_bulk_request_everybody_is_blocked_once(opened: Opened[ScimSandbox], kind: FaultKind) -> None:
    with instance(opened, timeout_seconds=0.4) as one:
        ids = [one.directory().create(wanted(f"worker.{n}")) for n in range(3)]
        opened.sandbox.faults.plan(Fault(kind, "POST", "/Bulk$"))
        outcome = one.directory().block_all(ids)
        if any(isinstance(error, RetryLater) for error in outcome.values()):  # busy: nobody asks again before its time
            outcome = Instance("scim", CONNECTOR, one.settings, ON_LOOPBACK).directory().block_all(ids)
    assert outcome == dict.fromkeys(ids)
    assert opened.sandbox.effects.count("disable_user") == 3


# Lists that change while they are read


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(st.tuples(st.sampled_from(["remove", "add", "nothing"]), st.integers(0, 30), st.integers(1, 3)), max_size=12),
    page_size=st.integers(2, 5),
    served=st.integers(2, 5),
    newest_first=st.booleans(),
)
def test_nobody_who_was_there_all_along_is_missed(
    tmp_path: Path, moves: list[tuple[str, int, int]], page_size: int, served: int, newest_first: bool
) -> None:
    sandbox, tls = ScimSandbox(page_size=served), make_loopback_tls(tmp_path)
    sandbox.newest_first = newest_first
    present = [sandbox.add_user(userName=f"user.{n}") for n in range(12)]
    steps, all_along = iter(moves), set(present)

    def move() -> None:
        what, where, times = next(steps, ("nothing", 0, 1))
        for n in range(times):
            if what == "add":
                present.append(sandbox.add_user(userName=f"new.{len(present)}.{n}"))
            elif what == "remove" and present:
                gone = present.pop(where % len(present))
                all_along.discard(gone)
                sandbox.remove("Users", gone)

    with serve(sandbox.app, tls) as base_url:
        form = {**sandbox.settings(base_url, tls.ca), "page_size": page_size}
        with an_instance(CONNECTOR, form) as one:
            told, _ = every_account(one.directory(), between=move)
    assert all_along - told == set()


def test_a_later_reading_gives_what_changed_where_the_target_tells_it(opened: Opened[ScimSandbox]) -> None:
    with instance(opened) as one:
        one.directory().create(wanted())
        _, cursor = every_account(one.directory())
        new = one.directory().create(wanted("grace"))
        assert new in every_account(one.directory(), cursor)[0]
    asked = [exchange.query.get("filter", "") for exchange in opened.exchanges if exchange.path.endswith("/Users")]
    assert asked[-1].startswith('meta.lastModified ge "')
    with instance(opened, tells_changes=False) as one:
        told, cursor = every_account(one.directory())
        assert every_account(one.directory(), cursor)[0] == told


def test_a_cursor_that_is_none_of_ours_begins_anew(opened: Opened[ScimSandbox]) -> None:
    account_id = opened.sandbox.add_user(userName="em@client.example")
    with instance(opened) as one:
        assert every_account(one.directory(), "not a cursor")[0] == {account_id}


def test_a_list_without_end_is_refused(opened: Opened[ScimSandbox]) -> None:
    opened.sandbox.shows_groups, opened.sandbox.page_size = False, 2
    with instance(opened, max_pages=2) as one:
        account_id = one.directory().create(wanted())
        for n in range(9):
            one.directory().add_member(opened.sandbox.add_group(f"group {n}"), account_id)
            if n == 1:
                assert len(one.directory().read(account_id).groups) == 2
        with pytest.raises(Refused) as caught:
            one.directory().read(account_id)
    assert caught.value.field == "max_pages"


# What stands in a directory that is not ours


def test_an_odd_value_of_somebody_else_hides_nobody(tmp_path: Path) -> None:
    users = [
        {"schemas": [str(WholeUser.__schema__)], "id": "1", "userName": "a", "emails": [{"value": "a@corp.local"}], "roles": ["admin"], "active": "True"},
        {"schemas": [str(WholeUser.__schema__), "urn:x:y"], "id": "2", "userName": "b", "x509Certificates": [{"value": "?"}], "photos": "none"},
    ]  # fmt: skip
    with _answering(tmp_path, {"totalResults": 2, "Resources": users}) as one:
        told, _ = every_account(one.directory())
        assert told == {"1", "2"}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"totalResults": 2}, UnusableContent),
        ({"Resources": []}, UnusableContent),
        (
            {
                "totalResults": 1,
                "Resources": [{"schemas": [str(WholeUser.__schema__)], "id": "1", "userName": "a"}, {"userName": "b"}],
            },
            UnusableContent,
        ),
        ({"totalResults": 5, "Resources": []}, RetryLater),
        ({"totalResults": 5, "Resources": [{"schemas": [str(WholeUser.__schema__)], "id": "1", "userName": "a"}]}, Refused),
        (
            {
                "totalResults": 1,
                "startIndex": 7,
                "Resources": [{"schemas": [str(WholeUser.__schema__)], "id": "1", "userName": "a"}],
            },
            Refused,
        ),
    ],
)
def test_a_list_that_is_not_whole_is_no_empty_success(tmp_path: Path, answer: dict[str, Any], error: type[Exception]) -> None:
    with _answering(tmp_path, answer) as one, pytest.raises(error):
        every_account(one.directory())


@contextmanager
def _answering(tmp_path: Path, answer: dict[str, Any]) -> Iterator[Instance]:
    """An instance whose target answers every GET with this list."""
    tls = make_loopback_tls(tmp_path)
    listed = JSONResponse({"schemas": [str(ListResponse.__schema__)], **answer}, media_type="application/scim+json")
    with serve(listed, tls) as base_url:
        form = {"base_url": base_url, "token": TOKEN, "ca_file": tls.ca}
        with an_instance(CONNECTOR, form) as one:
            yield one


# One person, one account


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT_AFTER, FaultKind.ERROR_AFTER, FaultKind.TRUNCATED_AFTER])
def test_a_lost_reply_a_lagging_search_and_two_workers_make_one_account(opened: Opened[ScimSandbox], kind: FaultKind) -> None:
    """The login is what the target keeps unique: an empty search just after a create never leads to a second account."""
    opened.sandbox.lag_seconds = 3600.0
    opened.sandbox.faults.plan(Fault(kind, "POST", "/Users$"))
    ada, clock, told = wanted(), SettableClock(END), list[str]()
    effect = Effect("acme", uuid4(), "scim", EffectKind.CREATE_ACCOUNT, 1)
    with instance(opened, timeout_seconds=0.4) as one:
        workers = [AccountApplier(one.directory(), effect, InMemoryEffectLog(clock)) for _ in range(2)]
        for turn in range(8):
            clock.advance(61)
            if turn == 4:
                opened.sandbox.settle()
            with suppress(RetryLater):
                told.append(workers[turn % 2].create(ada, {}))
    assert opened.sandbox.effects.count("create_user") == 1
    assert len(set(told)) == 1
