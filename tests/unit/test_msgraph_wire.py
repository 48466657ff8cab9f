"""Graph's addresses, records and refusals, without a connection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.msgraph import addresses
from connectors.msgraph.client import MsGraphClient
from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.records import SELECTED, User, parsed
from connectors.msgraph.settings import MsGraphSettings
from workforce.access import DesiredAccount
from workforce.errors import Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater, UnusableContent
from workforce.markers import new_marker

GROUP, PERSON = "6f0c6f1e-0000-4000-8000-000000000001", "6f0c6f1e-0000-4000-8000-000000000002"
FORM = {"tenant_id": "client.example", "client_id": "app", "client_secret": "hush-hush"}
LOGIN, GRAPH = "https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0"
USER = {"id": PERSON, "userPrincipalName": "ada@client.example", "employeeId": "ST0123456789ABC", "accountEnabled": True}


@pytest.fixture
def graph() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        tenant = f"{LOGIN}/client.example"
        router.get(f"{tenant}/v2.0/.well-known/openid-configuration").respond(
            json={"issuer": tenant, "authorization_endpoint": f"{tenant}/a", "token_endpoint": f"{tenant}/oauth2/v2.0/token"}
        )
        router.get(f"{LOGIN}/common/discovery/instance").respond(json={"metadata": []})
        router.post(f"{tenant}/oauth2/v2.0/token").respond(json={"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
        yield router


@pytest.fixture
def directory() -> MsGraphDirectory:
    return MsGraphDirectory(MsGraphClient(MsGraphSettings(**FORM)))


def an_account() -> DesiredAccount:
    return DesiredAccount(
        new_marker(), "ada@client.example", {"displayName": "Ada"}, frozenset(), datetime(2031, 1, 1, tzinfo=UTC)
    )


def test_a_membership_is_addressed_by_its_reference_and_never_by_the_person() -> None:
    assert addresses.member_ref(GROUP, PERSON) == f"/groups/{GROUP}/members/{PERSON}/$ref"
    assert addresses.member_ref(GROUP) == f"/groups/{GROUP}/members/$ref"


@given(st.text())
def test_no_other_text_than_an_object_id_gets_into_a_path(text: str) -> None:
    for address in (addresses.user, addresses.memberships, addresses.revoke_sessions, addresses.member_ref):
        try:
            path = address(text)
        except NotFound:
            continue
        assert all(part.replace("-", "").isalnum() or part in {"", "$ref"} for part in path.split("/"))


@given(st.text())
def test_a_login_stays_one_segment_of_the_path(login: str) -> None:
    path = addresses.user_by_login(login)
    assert (path.count("/"), "?" in path, "#" in path) == (2, False, False)


def test_the_fields_that_graph_leaves_out_by_default_are_selected() -> None:
    assert {"id", "employeeId", "accountEnabled", "employeeLeaveDateTime", "signInSessionsValidFromDateTime"} <= set(
        SELECTED.split(",")
    )


def test_an_unusable_answer_names_its_fields_and_not_their_values() -> None:
    with pytest.raises(UnusableContent) as caught:
        parsed(User, {"id": PERSON, "userPrincipalName": "a@b.example", "employeeLeaveDateTime": "Ada's birthday"})
    assert caught.value.field == "employeeLeaveDateTime"
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("graph_url", "http://graph.microsoft.com"),
        ("graph_url", "https://graph.microsoft.com/v1.0"),
        ("authority", "https://user@login.microsoftonline.com"),
        ("tenant_id", "../common"),
        ("client_secret", ""),
        ("timeout_seconds", 0),
    ],
)
def test_a_form_that_cannot_work_is_rejected(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        MsGraphSettings(**{**FORM, field: value})


def test_the_form_shows_no_secret() -> None:
    assert "hush" not in repr(MsGraphSettings(**FORM))


def test_the_token_is_never_sent_to_the_host_of_a_foreign_next_page(graph: respx.MockRouter, directory: MsGraphDirectory) -> None:
    stranger = graph.get(url__startswith="https://graph.microsoft.com.evil.example")
    for link in ("https://graph.microsoft.com.evil.example/v1.0/users", "https://graph.microsoft.com@evil.example/v1.0/users"):
        graph.get(url__startswith=f"{GRAPH}/users").respond(json={"value": [], "@odata.nextLink": link})
        with pytest.raises(Refused) as caught:
            directory.find(new_marker())
        assert caught.value.cause == "foreign_page"
    assert not stranger.called


def test_pages_that_go_round_in_a_circle_end(graph: respx.MockRouter, directory: MsGraphDirectory) -> None:
    graph.get(url__startswith=f"{GRAPH}/users").respond(json={"value": [], "@odata.nextLink": f"{GRAPH}/users?$skiptoken=1"})
    with pytest.raises(RetryLater) as caught:
        directory.find(new_marker())
    assert caught.value.cause == "circular_pages"


@pytest.mark.parametrize("content", [b"{}", b'{"id": ', b"<html>", b"[]"])
def test_a_create_whose_answer_holds_no_id_is_an_unknown_outcome(
    graph: respx.MockRouter, directory: MsGraphDirectory, content: bytes
) -> None:
    graph.post(f"{GRAPH}/users").respond(201, content=content)
    with pytest.raises(OutcomeUnknown):
        directory.create(an_account())


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_success_of_revoking_is_success(graph: respx.MockRouter, directory: MsGraphDirectory, status: int) -> None:
    graph.get(f"{GRAPH}/users/{PERSON}").respond(json=USER)
    revoke = graph.post(f"{GRAPH}/users/{PERSON}/revokeSignInSessions").respond(status)
    directory.revoke_sessions(PERSON)
    assert revoke.call_count == 1
    assert revoke.calls[0].request.headers["client-request-id"]


def test_a_refusal_carries_graphs_code_and_not_its_words(graph: respx.MockRouter, directory: MsGraphDirectory) -> None:
    graph.get(f"{GRAPH}/users/{PERSON}").respond(json=USER)
    error = {"code": "Request_BadRequest", "message": "ada@client.example is odd", "innerError": {"request-id": "trace-me"}}
    graph.patch(f"{GRAPH}/users/{PERSON}").respond(400, json={"error": error})
    with pytest.raises(Refused) as caught:
        directory.update(PERSON, {"jobTitle": "x"})
    assert "Request_BadRequest (request-id trace-me)" in str(caught.value)
    assert "ada" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "answer", "kind", "field"),
    [
        (401, {"error": "invalid_client", "correlation_id": "c-1"}, Misconfigured, "client_secret"),
        (400, {"error": "unauthorized_client"}, Misconfigured, "client_id"),
        (400, {"error": "temporarily_unavailable"}, RetryLater, None),
        (503, {}, RetryLater, None),
        (429, {}, RetryLater, None),
    ],
)
def test_a_refused_token_says_whose_turn_it_is(
    graph: respx.MockRouter,
    directory: MsGraphDirectory,
    status: int,
    answer: dict[str, str],
    kind: type[Exception],
    field: str | None,
) -> None:
    graph.post(f"{LOGIN}/client.example/oauth2/v2.0/token").respond(
        status, json=answer, headers={"retry-after": "60"} if status > 400 else {}
    )
    with pytest.raises(kind) as caught:
        directory.find(new_marker())
    assert getattr(caught.value, "field", None) == field
    assert "hush" not in str(caught.value)


def test_an_authority_that_is_away_or_speaks_html_is_tried_again_later(
    graph: respx.MockRouter, directory: MsGraphDirectory
) -> None:
    token = graph.post(f"{LOGIN}/client.example/oauth2/v2.0/token")
    for answer in (httpx.ConnectTimeout("away"), httpx.Response(200, html="<p>Sign in</p>")):
        token.side_effect = [answer] * 8
        with pytest.raises(RetryLater) as caught:
            directory.find(new_marker())
        assert caught.value.cause == "no_token"
