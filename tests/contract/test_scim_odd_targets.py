"""Targets that are not as the RFC has it: odd values, answers to writes, bulk, hostile content. Nobody is hidden, and everybody can be blocked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.scim import CONNECTOR
from connectors.scim.client import ScimClient
from connectors.scim.directory import ScimDirectory
from connectors.scim.settings import ScimSettings
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.wire.tls import make_loopback_tls
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, HubError, OutcomeUnknown, Refused

pytestmark = pytest.mark.integration

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
MARKER = "ST0123456789ABC"
CANARY = "canary-Lovelace"
_END = datetime(2031, 3, 31, 22, tzinfo=UTC)

Answerer = Callable[[Request], tuple[int, object]]


class Target:
    """A service provider that answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: Answerer = lambda request: (404, {})
        self.asked: list[tuple[str, str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.asked.append((request.method, request.url.path, json.loads(body) if body else None))
        status, told = self.answer(request)
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        await Response(content, status, media_type="application/scim+json")(scope, receive, send)

    def sent(self, method: str) -> list[str]:
        return [path for verb, path, _ in self.asked if verb == method]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, dict[str, Any]]]:
    target, tls = Target(), make_loopback_tls(tmp_path_factory.mktemp("tls"))
    with serve(target, tls) as base_url:
        yield target, {"base_url": base_url, "token": "token", "ca_file": tls.ca}


@contextmanager
def connected(place: tuple[Target, dict[str, Any]], answer: Answerer, **other: object) -> Iterator[ScimDirectory]:
    target, form = place
    target.answer, target.asked = answer, []
    client = ScimClient(CONNECTOR.settings.model_validate({**form, **other}), ON_LOOPBACK)
    try:
        yield ScimDirectory(client)
    finally:
        client.close()


def user(**other: object) -> dict[str, Any]:
    return {"schemas": [USER], "id": "1", "userName": "ada", "externalId": MARKER, "active": True, "groups": [], **other}


def listed(*resources: object) -> dict[str, Any]:
    return {"schemas": [LIST], "totalResults": len(resources), "Resources": list(resources)}


ODD: list[dict[str, Any]] = [
    {"meta": {"lastModified": "yesterday", "version": 5}},
    {"meta": "x"},
    {"active": "Inactive"},
    {"active": {"value": False}},
    {"groups": [{"value": "g", "$ref": 5, "display": {}}]},
    {"schemas": ["urn:x:y"]},
    {"schemas": [USER.lower()]},
    {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": "none"},
    {"name": "Ada Lovelace", "emails": "ada@client.example"},
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("patch", [True, False])
def test_an_odd_value_never_keeps_an_account_from_being_blocked(
    place: tuple[Target, dict[str, Any]], odd: dict[str, Any], patch: bool
) -> None:
    with connected(place, lambda request: (200, user(**odd)), patch=patch) as directory:
        directory.disable("1")
        assert directory.block_all(["1"]) == {"1": None}
    (body, *_) = [body for method, _, body in place[0].asked if method in {"PATCH", "PUT"}]
    assert (body["Operations"][0]["value"] if patch else body["active"]) is False


@pytest.mark.parametrize("odd", [*ODD, {"externalId": 5}, {"userName": {"a": 1}}, {"groups": ["g"]}, {"active": None}])
def test_an_odd_value_hides_no_other_account(place: tuple[Target, dict[str, Any]], odd: dict[str, Any]) -> None:
    others = listed({**user(**odd), "id": "2", "externalId": odd.get("externalId", "4711")}, user())

    def answer(request: Request) -> tuple[int, object]:
        return 200, others if request.url.path == "/Users" else listed()

    with connected(place, answer) as directory:
        page = directory.accounts(None)
    assert {account.account_id: account.enabled for account in page.accounts} == {"1": True, "2": True}


@pytest.mark.parametrize(
    ("active", "enabled"),
    [
        (True, True),
        (False, False),
        ("True", True),
        ("False", False),
        ("false", False),
        (None, True),
        ("", True),
        (0, True),
        ([], True),
    ],
)
def test_only_what_says_so_is_blocked(place: tuple[Target, dict[str, Any]], active: object, enabled: bool) -> None:
    with connected(place, lambda request: (200, user(active=active))) as directory:
        assert directory.read("1").enabled is enabled


def test_a_resource_with_another_id_is_not_the_one_that_was_asked_for(place: tuple[Target, dict[str, Any]]) -> None:
    with connected(place, lambda request: (200, user(id="2"))) as directory:
        for act in (directory.disable, directory.read, directory.enable):
            with pytest.raises(Refused) as caught:
                act("ada")
            assert caught.value.cause == "another_id"
    assert place[0].sent("PATCH") == []


@pytest.mark.parametrize("told", [b"", {}, {"id": "1"}, user(meta="x"), {"schemas": [], "status": "ok"}])
@pytest.mark.parametrize("patch", [True, False])
def test_a_change_is_done_whatever_a_success_shows(place: tuple[Target, dict[str, Any]], told: object, patch: bool) -> None:
    def answer(request: Request) -> tuple[int, object]:
        return 200, user() if request.method == "GET" else told

    with connected(place, answer, patch=patch) as directory:
        directory.disable("1")


@pytest.mark.parametrize(
    "told", [b"<html>", b'{"id"', b"[]", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "400"}]
)
@pytest.mark.parametrize("patch", [True, False])
def test_a_success_that_is_none_is_unknown(place: tuple[Target, dict[str, Any]], told: object, patch: bool) -> None:
    def answer(request: Request) -> tuple[int, object]:
        return 200, user() if request.method == "GET" else told

    with connected(place, answer, patch=patch) as directory, pytest.raises(OutcomeUnknown):
        directory.disable("1")


@pytest.mark.parametrize("status", [400, 409])
def test_a_taken_user_name_is_told_by_the_keyword_whatever_the_status(place: tuple[Target, dict[str, Any]], status: int) -> None:
    with connected(place, lambda request: (status, {"scimType": "uniqueness"})) as directory, pytest.raises(AlreadyTaken):
        directory.create(DesiredAccount(MARKER, "ada", {}, frozenset(), _END))


def test_a_target_that_does_not_filter_fails_the_check(place: tuple[Target, dict[str, Any]]) -> None:
    def answer(request: Request) -> tuple[int, object]:
        return (200, listed(user())) if request.url.path == "/Users" else (404, {})

    with connected(place, answer) as directory:
        assert directory._client.check().ok is False
        assert directory.find("ST9999999999999") == []


def test_groups_that_are_not_filtered_by_member_fail_the_check(place: tuple[Target, dict[str, Any]]) -> None:
    def answer(request: Request) -> tuple[int, object]:
        return (200, listed({"id": "g"}) if request.url.path == "/Groups" else listed())

    with connected(place, answer) as directory:
        result = directory._client.check()
    assert (result.ok, "Groups" in result.detail) == (False, True)


# Groups


def test_members_that_a_target_shows_only_when_asked_are_not_lost_by_a_replacement(place: tuple[Target, dict[str, Any]]) -> None:
    group = {"id": "g", "displayName": "developers", "meta": {"version": 'W/"1"'}}

    def answer(request: Request) -> tuple[int, object]:
        if "/Groups" not in request.url.path:
            return 200, user()
        shown = {"members": [{"value": str(n)} for n in range(2, 500)]} if "attributes" in request.query_params else {}
        return 200, {**group, **shown}

    with connected(place, answer, patch=False) as directory:
        directory.add_member("g", "1")
    (body,) = [body for method, _, body in place[0].asked if method == "PUT"]
    assert [one["value"] for one in body["members"]] == [*(str(n) for n in range(2, 500)), "1"]


def test_members_of_another_form_are_not_replaced(place: tuple[Target, dict[str, Any]]) -> None:
    def answer(request: Request) -> tuple[int, object]:
        group = {"id": "g", "members": {"count": 500}, "meta": {"version": "1"}}
        return 200, group if "/Groups" in request.url.path else user()

    with connected(place, answer, patch=False) as directory, pytest.raises(Refused):
        directory.add_member("g", "1")
    assert place[0].sent("PUT") == []


@pytest.mark.parametrize("status", [409, 412])
def test_a_version_conflict_is_read_again(place: tuple[Target, dict[str, Any]], status: int) -> None:
    refused = iter([status])

    def answer(request: Request) -> tuple[int, object]:
        return (200, user(meta={"version": "1"})) if request.method == "GET" else (next(refused, 200), {})

    with connected(place, answer, patch=False) as directory:
        directory.disable("1")
    assert len(place[0].sent("PUT")) == 2


# Bulk


def _bulk(results: Callable[[list[str]], object], status: int = 200, limit: object = 100) -> Answerer:
    """A target whose /Bulk does nothing, and claims ``results`` (of the ids asked for)."""

    def answer(request: Request) -> tuple[int, object]:
        path = request.url.path
        if path == "/ServiceProviderConfig":
            return 200, {"bulk": {"supported": True, "maxOperations": limit, "maxPayloadSize": 1_000_000}}
        if path == "/Bulk":
            return status, {"Operations": results([f"{n}" for n in range(5)])}
        return 200, user(id=path.rpartition("/")[2])

    return answer


ODD_STATUSES: list[object] = [None, [], {}, "²00", "2000"]


def _result(one: str, status: object) -> dict[str, Any]:
    return {"method": "PATCH", "location": f"https://app.example/scim/Users/{one}", "status": status}


@pytest.mark.parametrize(
    ("results", "done"),
    [
        (lambda ids: [_result(one, "200") for one in reversed(ids)], 5),
        (lambda ids: [_result(one, 204) for one in ids], 5),
        (lambda ids: [_result(one, "200" if one < "2" else "404") for one in ids], 2),
        (lambda ids: [_result(one, "200") for one in ids[:3]], 3),
        (lambda ids: [*(_result(one, "200") for one in ids), _result("4", "500")], 4),
        (lambda ids: [{"status": "200"} for _ in ids], 0),
        (lambda ids: [_result(one, ODD_STATUSES[int(one)]) for one in ids], 0),
        (lambda ids: "done", 0),
        (lambda ids: [None, 1, "x", [], {"location": {}, "status": "200"}], 0),
        (lambda ids: None, 0),
    ],
)
def test_only_what_bulk_reports_as_done_is_not_done_singly(
    place: tuple[Target, dict[str, Any]], results: Callable[[list[str]], object], done: int
) -> None:
    with connected(place, _bulk(results)) as directory:
        assert directory.block_all([f"{n}" for n in range(5)]) == {f"{n}": None for n in range(5)}
    assert len(place[0].sent("PATCH")) == 5 - done


@pytest.mark.parametrize("limit", [0, 1, -5, None, "many", 10**30])
def test_odd_limits_of_bulk_keep_nobody_from_being_blocked(place: tuple[Target, dict[str, Any]], limit: object) -> None:
    with connected(place, _bulk(lambda ids: [], limit=limit)) as directory:
        assert directory.block_all([f"{n}" for n in range(5)]) == {f"{n}": None for n in range(5)}
    assert len(place[0].sent("PATCH")) == 5


def test_the_first_are_blocked_before_the_last_are_looked_at(place: tuple[Target, dict[str, Any]]) -> None:
    with connected(place, _bulk(lambda ids: [], limit=2)) as directory:
        directory.block_all([f"{n}" for n in range(6)])
    order = [path for method, path, _ in place[0].asked if path != "/ServiceProviderConfig"]
    assert order.index("/Bulk") == 2


def test_bulk_that_fails_is_tried_once(place: tuple[Target, dict[str, Any]]) -> None:
    with connected(place, _bulk(lambda ids: [], status=413, limit=2)) as directory:
        assert set(directory.block_all([f"{n}" for n in range(6)]).values()) == {None}
    assert len(place[0].sent("POST")) == 1


def test_a_stale_look_never_leaves_an_account_enabled(place: tuple[Target, dict[str, Any]]) -> None:
    with connected(place, lambda request: (200, user(active=False)) if "/Users" in request.url.path else (404, {})) as directory:
        directory.disable("1")
        directory.block_all(["1", "1"])
    assert len(place[0].sent("PATCH")) == 3


# Hostile content


def _operations(directory: ScimDirectory) -> list[Callable[[], object]]:
    wanted = DesiredAccount(MARKER, "ada", {"displayName": CANARY}, frozenset(), _END)
    return [
        lambda: directory.find(MARKER), lambda: directory.find_by_login("ada"), lambda: directory.read("1"), lambda: directory.create(wanted),
        lambda: directory.update("1", {"title": CANARY}), lambda: directory.disable("1"), lambda: directory.add_member("g", "1"),
        lambda: directory.remove_member("g", "1"), lambda: directory.accounts(None), lambda: directory.set_expiry("1", _END),
    ]  # fmt: skip


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.just(CANARY), st.text(max_size=5), st.just(10**400)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.just(CANARY), st.text(max_size=4)), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
KEYS = ["schemas", "id", "userName", "externalId", "active", "groups", "meta", "members", "totalResults", "Resources", "startIndex",
        "scimType", "status", "detail", "Operations", "patch", "filter", "bulk", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]  # fmt: skip
BODIES = st.one_of(
    JUNK,
    st.builds(lambda body, odd: {**body, **odd}, st.just(user()), st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=4)),
    st.builds(lambda one, odd: {**listed(one), **odd}, JUNK, st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=2)),
    st.sampled_from(
        [b"", b"\0", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe{}", b"9" * 5000, b'{"id":"\\ud800"}', b"NaN", b"null"]
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reads=BODIES, writes=BODIES, status=st.sampled_from([200, 201, 204, 302, 400, 404, 409, 412, 501]), patch=st.booleans())
def test_whatever_a_target_answers_only_the_four_errors_leave_and_tell_nothing_of_it(
    place: tuple[Target, dict[str, Any]], reads: object, writes: object, status: int, patch: bool
) -> None:
    answers = {"GET": (200 if status < 300 else status, reads)}
    for read in (reads, user()):
        answers["GET"] = (200 if read is not reads else status, read)
        with connected(place, lambda request: answers.get(request.method, (status, writes)), patch=patch) as directory:
            _leaves_only_hub_errors(directory)


def _leaves_only_hub_errors(directory: ScimDirectory) -> None:
    assert CANARY not in directory._client.check().detail
    told = [_told(operation) for operation in _operations(directory)]
    assert CANARY not in str(told)


def _told(operation: Callable[[], object]) -> str:
    try:
        operation()
    except HubError as error:
        return f"{error} {error.field} {error.__cause__!r}"
    return ""


@pytest.mark.parametrize("status", [200, 400, 409, 500, 302])
def test_the_first_password_is_in_no_error(place: tuple[Target, dict[str, Any]], status: int) -> None:
    with (
        connected(place, lambda request: (status, b"?"), password_on_create=True) as directory,
        pytest.raises(HubError) as caught,
    ):
        directory.create(DesiredAccount(MARKER, "ada", {}, frozenset(), _END))
    password = next(body["password"] for method, _, body in place[0].asked if method == "POST")
    assert len(password) > 40
    assert password not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


@pytest.mark.parametrize(
    "url", ["https://app.example:99999", "https://[::1", "https://a.example:x", "https://xn--\u2603.example"]
)
@pytest.mark.parametrize("name", ["base_url", "token_url"])
def test_an_address_that_cannot_be_one_is_refused_by_the_form(url: str, name: str) -> None:
    given_form = {
        "base_url": "https://app.example",
        "token_url": "https://app.example",
        "client_id": "c",
        "client_secret": "s",
        name: url,
    }
    with pytest.raises(ValueError, match=name):
        ScimSettings.model_validate(given_form)
