"""An org that answers otherwise than hoped: stale searches, refusals of what is done, hostile content, hostile logins."""

from __future__ import annotations

import json
import random
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

from connectors.okta import CONNECTOR
from connectors.okta.client import OktaClient
from connectors.okta.directory import OktaDirectory
from connectors.okta.settings import OktaSettings
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.wire.tls import make_loopback_tls
from workforce.access import DesiredAccount
from workforce.errors import HubError, OutcomeUnknown, Refused, RetryLater

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"
END = datetime(2031, 3, 31, 22, tzinfo=UTC)
CANARY = "canary-Lovelace"
ADMIN_REFUSAL = {"errorCode": "E0000006", "errorCauses": []}
Answerer = Callable[[Request], "tuple[int, object] | tuple[int, object, dict[str, str]]"]


class Org:
    """An org that answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: Answerer = lambda request: (404, {})
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await request.body()
        self.asked.append((request.method, request.url.path.removeprefix("/api/v1")))
        status, told, headers = (*self.answer(request), None)[:3]
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        await Response(content, status, headers, "application/json")(scope, receive, send)

    def sent(self, method: str) -> list[str]:
        return [path for verb, path in self.asked if verb == method]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Org, dict[str, Any]]]:
    org, tls = Org(), make_loopback_tls(tmp_path_factory.mktemp("tls"))
    with serve(org, tls) as base_url:
        yield org, {"org_url": base_url, "api_token": "token", "ca_file": tls.ca}


@contextmanager
def connected(place: tuple[Org, dict[str, Any]], answer: Answerer) -> Iterator[OktaDirectory]:
    org, form = place
    org.answer, org.asked = answer, []
    client = OktaClient(CONNECTOR.settings.model_validate(form), ON_LOOPBACK)
    try:
        yield OktaDirectory(client)
    finally:
        client.close()


def user(status: str = "ACTIVE", user_id: str = "00u1", marker: str = MARKER, **other: object) -> dict[str, Any]:
    return {"id": user_id, "status": status, "profile": {"login": "ada@client.example", "employeeNumber": marker}, **other}


# What a search shows


def test_a_search_that_shows_somebody_else_finds_nobody(place: tuple[Org, dict[str, Any]]) -> None:
    def answer(request: Request) -> tuple[int, object]:
        return 200, [] if request.url.path.endswith("/groups") else [user(marker="ST9999999999999"), user(marker=MARKER.lower())]

    with connected(place, answer) as directory:
        assert directory.find(MARKER) == []


def test_who_was_deleted_and_is_still_shown_by_the_index_is_left_out(place: tuple[Org, dict[str, Any]]) -> None:
    def answer(request: Request) -> tuple[int, object]:
        if request.url.path.endswith("/00u1/groups"):
            return 404, {"errorCode": "E0000007"}
        return 200, [] if request.url.path.endswith("/groups") else [user(), user(user_id="00u2")]

    with connected(place, answer) as directory:
        assert [one.account_id for one in directory.find(MARKER)] == ["00u2"]
        page = directory.accounts(None)
    assert ([one.account_id for one in page.accounts], page.gone) == (["00u2"], ["00u1"])


def test_an_id_that_leads_to_another_user_is_not_read(place: tuple[Org, dict[str, Any]]) -> None:
    with connected(place, lambda request: (200, user())) as directory, pytest.raises(Refused):
        directory.read("ada")


@pytest.mark.parametrize("login", ["_ada@client.example", "ünal@client.example", "+ada@client.example"])
def test_a_namesake_with_an_odd_login_is_seen(place: tuple[Org, dict[str, Any]], login: str) -> None:
    held = {**user(marker="4711"), "profile": {"login": login}}
    with connected(place, lambda request: (200, held)) as directory:
        found = directory.find_by_login(login)
    assert found is not None
    assert found.protected


def test_a_relative_address_of_the_next_page_is_followed(place: tuple[Org, dict[str, Any]]) -> None:
    def answer(request: Request) -> tuple[int, object, dict[str, str]]:
        if "after" in request.query_params:
            return 200, [user(user_id="00u2", marker="x")], {}
        return 200, [user(marker="x")], {"Link": '</api/v1/users?after=1>; rel="next"'}

    with connected(place, answer) as directory:
        page = directory.accounts(None)
        assert [one.account_id for one in directory.accounts(page.cursor).accounts] == ["00u2"]


# Blocked


def test_a_deactivation_that_is_refused_because_it_was_done_meanwhile_is_done(place: tuple[Org, dict[str, Any]]) -> None:
    shown = iter([user("RECOVERY"), user("DEPROVISIONED")])

    def answer(request: Request) -> tuple[int, object]:
        return (200, next(shown)) if request.method == "GET" else (400, {"errorCode": "E0000001"})

    with connected(place, answer) as directory:
        directory.disable("00u1")
    assert place[0].sent("POST") == ["/users/00u1/lifecycle/deactivate"]


def test_a_deactivation_that_is_refused_and_not_done_is_told(place: tuple[Org, dict[str, Any]]) -> None:
    def answer(request: Request) -> tuple[int, object]:
        return (200, user("RECOVERY")) if request.method == "GET" else (400, {"errorCode": "E0000001"})

    with connected(place, answer) as directory, pytest.raises(Refused) as caught:
        directory.disable("00u1")
    assert caught.value.cause == "http_400"


@pytest.mark.parametrize("status", ["ACTIVE", "RECOVERY"])
def test_a_refusal_that_the_status_does_not_explain_never_leads_to_the_destructive_way(
    place: tuple[Org, dict[str, Any]], status: str
) -> None:
    with (
        connected(
            place, lambda request: (200, user(status)) if request.method == "GET" else (400, {"errorCode": "E0000038"})
        ) as directory,
        pytest.raises(Refused),
    ):
        directory.disable("00u1")
    assert len(place[0].sent("POST")) == 1


def test_a_status_that_changes_without_end_is_tried_again_later(place: tuple[Org, dict[str, Any]]) -> None:
    shown = iter(["ACTIVE", "RECOVERY"] * 10)

    def answer(request: Request) -> tuple[int, object]:
        return (200, user(next(shown))) if request.method == "GET" else (400, {"errorCode": "E0000001"})

    with connected(place, answer) as directory, pytest.raises(RetryLater):
        directory.disable("00u1")


@pytest.mark.parametrize("status", ["ACTIVE", "RECOVERY", "STAGED"])
def test_a_deactivation_under_way_is_not_asked_for_again_and_not_undone(place: tuple[Org, dict[str, Any]], status: str) -> None:
    with connected(place, lambda request: (200, user(status, transitioningToStatus="DEPROVISIONED"))) as directory:
        directory.disable("00u1")
        with pytest.raises(RetryLater) as caught:
            directory.enable("00u1")
    assert caught.value.cause == "deactivating"
    assert place[0].sent("POST") == []


@pytest.mark.parametrize(("answer", "refused"), [((204, b""), False), ((403, ADMIN_REFUSAL), False), ((404, {}), False)])
def test_the_deactivated_are_signed_out_too_where_okta_takes_it(
    place: tuple[Org, dict[str, Any]], answer: tuple[int, object], refused: bool
) -> None:
    def answers(request: Request) -> tuple[int, object]:
        if request.url.path.endswith("/roles"):
            return 200, []
        return (200, user("DEPROVISIONED")) if request.method == "GET" else answer

    with connected(place, answers) as directory:
        directory.revoke_sessions("00u1")
    assert place[0].sent("DELETE") == ["/users/00u1/sessions"]
    assert not refused


def test_a_sign_out_that_is_lost_is_never_told_as_done(place: tuple[Org, dict[str, Any]]) -> None:
    def answer(request: Request) -> tuple[int, object]:
        return (200, user("DEPROVISIONED")) if request.method == "GET" else (500, b"")

    with connected(place, answer) as directory, pytest.raises(OutcomeUnknown):
        directory.revoke_sessions("00u1")


def test_roles_that_cannot_be_read_now_are_not_taken_for_none(place: tuple[Org, dict[str, Any]]) -> None:
    def answer(request: Request) -> tuple[int, object]:
        if request.url.path.endswith("/roles"):
            return 200, b"<html>"
        return (200, user()) if request.method == "GET" else (403, ADMIN_REFUSAL)

    with connected(place, answer) as directory, pytest.raises(RetryLater):
        directory.disable("00u1")


# Hostile content


@pytest.mark.parametrize("name", ["EMPLOYEENUMBER", "employeenumber"])
def test_a_mapping_cannot_change_the_marker_in_any_case(place: tuple[Org, dict[str, Any]], name: str) -> None:
    with connected(place, lambda request: (200, user())) as directory, pytest.raises(Refused) as caught:
        directory.update("00u1", {name: "4711"})
    assert caught.value.cause == "reserved_attribute"


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, datetime(2031, 1, 1, tzinfo=UTC), b"x"])
def test_a_value_that_json_has_not_is_refused_by_name(place: tuple[Org, dict[str, Any]], value: object) -> None:
    with connected(place, lambda request: (200, user())) as directory, pytest.raises(Refused) as caught:
        directory.update("00u1", {"title": value})
    assert caught.value.cause == "unusable_value"


@pytest.mark.parametrize("summary", ["Lovelace", "Ada Lovelace: is taken", "Ada: is taken", ""])
def test_a_name_in_an_error_does_not_become_its_field(place: tuple[Org, dict[str, Any]], summary: str) -> None:
    told = {"errorCode": "E0000001", "errorCauses": [{"errorSummary": summary}]}
    with (
        connected(place, lambda request: (200, user()) if request.method == "GET" else (400, told)) as directory,
        pytest.raises(Refused) as caught,
    ):
        directory.update("00u1", {"title": "x"})
    assert (caught.value.field, "Ada" in str(caught.value)) == (None, False)


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.just(CANARY), st.text(max_size=5), st.just(10**400)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.just(CANARY), st.text(max_size=4)), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
KEYS = ["id", "status", "transitioningToStatus", "profile", "type", "errorCode", "errorId", "errorSummary", "errorCauses"]
ODD = st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=3)
BODIES = st.one_of(
    JUNK, st.lists(JUNK, max_size=2), ODD, st.builds(lambda odd: user(**odd), ODD.map(lambda odd: {k: v for k, v in odd.items() if k != "status"})),
    st.builds(lambda odd: [{**user(), **odd}], ODD),
    st.sampled_from([b"", b"\0", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe{}", b"9" * 5000, b'{"id":"\\ud800"}', b"null"]),
)  # fmt: skip
LINKS = st.one_of(
    st.just(""), st.text("<>;=\"' ,relnxt:/?#[]@%\\", max_size=30), st.just("<https://[>; rel=next"), st.just("<//x>; rel=next")
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reads=BODIES,
    writes=BODIES,
    link=LINKS,
    status=st.sampled_from([200, 204, 302, 400, 404, 409, 412, 501]),
    is_ours=st.booleans(),
)
def test_whatever_an_org_answers_only_the_four_errors_leave_and_tell_nothing_of_it(
    place: tuple[Org, dict[str, Any]], reads: object, writes: object, link: str, status: int, is_ours: bool
) -> None:
    def answer(request: Request) -> tuple[int, object, dict[str, str]]:
        if request.method != "GET":
            return status, writes, {}
        if is_ours and request.url.path.endswith("/users/00u1"):
            return 200, user(), {}
        return 200, reads, {"Link": link}

    with connected(place, answer) as directory:
        wanted = DesiredAccount(MARKER, "ada@client.example", {"title": CANARY}, frozenset(), END)
        assert CANARY not in directory._client.check().detail
        operations: list[Callable[[], object]] = [
            lambda: directory.find(MARKER), lambda: directory.find_by_login(wanted.login), lambda: directory.read("00u1"),
            lambda: directory.create(wanted), lambda: directory.update("00u1", {"title": CANARY}), lambda: directory.disable("00u1"),
            lambda: directory.enable("00u1"), lambda: directory.revoke_sessions("00u1"), lambda: directory.add_member("00g1", "00u1"),
            lambda: directory.remove_member("00g1", "00u1"), lambda: directory.accounts(directory.accounts(None).cursor),
        ]  # fmt: skip
        assert CANARY not in str([_told(operation) for operation in operations])


def _told(operation: Callable[[], object]) -> str:
    try:
        operation()
    except HubError as error:
        return f"{error} {error.field} {error.__cause__!r}"
    return ""


PIECES = ['"', "\\", '" or profile.login pr or "', ") or (", "'", "*", "%2F", "%", "\u201d", "\uff02", "é", "\u202e", "\0", "\n", "\t", "/", "..", ".", "?", "#",
          "&search=", ";", "ada", "me", "@client.example", " ", MARKER, "00u1", "\ud83d\ude00"]  # fmt: skip


def test_100_000_hostile_logins_and_markers_ask_for_nobody_else() -> None:
    """Neither leaves its place: a login is one segment of a path, and only what has a marker's form is searched for."""
    choose = random.Random(7644)  # noqa: S311 - the same content at each run
    asked: list[tuple[str, dict[str, str]]] = []

    class Wire:
        settings = OktaSettings(org_url="https://acme.okta.example", api_token="token")

        def get(self, path: str, kind: object) -> object:
            asked.append((path, {}))
            raise Refused("nobody", cause="none")

        def all(self, path: str, kind: object, query: dict[str, str]) -> list[object]:
            asked.append((path, query))
            return []

    directory = OktaDirectory(Wire())  # type: ignore[arg-type]
    for _ in range(100_000):
        text = "".join(choose.choices(PIECES, k=choose.randint(1, 5)))
        _told(lambda text=text: directory.find_by_login(text))  # type: ignore[misc]
        _told(lambda text=text: directory.find(text))  # type: ignore[misc]
    assert len(asked) > 1000
    for path, query in asked:
        if query:
            assert query["search"] == f'profile.employeeNumber eq "{MARKER}"'
        else:
            last = path.removeprefix("/users/")
            assert last not in {"", ".", ".."}
            assert not set(last) & set('/?#\\" \n\t\0')


@pytest.mark.parametrize("url", ["https://acme.okta.com:99999", "https://acme.okta.com:65536"])
def test_an_address_that_cannot_be_one_is_refused_by_the_form(url: str) -> None:
    with pytest.raises(ValueError, match="org_url"):
        OktaSettings.model_validate({"org_url": url, "api_token": "t"})


@pytest.mark.parametrize("status", [200, 400, 403, 409, 500, 302])
def test_the_first_password_is_in_no_error(place: tuple[Org, dict[str, Any]], status: int) -> None:
    sent: list[bytes] = []

    def answer(request: Request) -> tuple[int, object]:
        sent.append(request._body)  # what the app has read already
        return status, b"?"

    wanted = DesiredAccount(MARKER, "ada@client.example", {"title": CANARY}, frozenset(), END)
    with connected(place, answer) as directory, pytest.raises(HubError) as caught:
        directory.create(wanted)
    password = json.loads(sent[0])["credentials"]["password"]["value"]
    assert len(password) > 40
    told = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert password not in told
    assert CANARY not in told
