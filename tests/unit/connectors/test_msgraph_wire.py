"""Graph's addresses, records and refusals, without a connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.msgraph import addresses
from connectors.msgraph.client import MsGraphClient
from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.records import SELECTED, SignInActivity, User
from connectors.msgraph.settings import MsGraphSettings
from connectors.protocols.odata import Page
from connectors.records.accounts import usable
from tests.unit.connectors.graph import FORM, GRAPH, LOGIN, give_tokens
from workforce.access import DesiredAccount
from workforce.errors import Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater, UnusableContent
from workforce.markers import new_marker
from workforce.urgency import revoking

GROUP, PERSON = "6f0c6f1e-0000-4000-8000-000000000001", "6f0c6f1e-0000-4000-8000-000000000002"
USER = {"id": PERSON, "userPrincipalName": "ada@client.example", "employeeId": "ST0123456789ABC", "accountEnabled": True}


@pytest.fixture
def graph() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        give_tokens(router)
        router.get(url__startswith=f"{GRAPH}/users/{PERSON}/memberOf", name="memberships").respond(json={"value": []})
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
        usable("msgraph", User, {"id": PERSON, "userPrincipalName": "a@b.example", "employeeLeaveDateTime": "Ada's birthday"})
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


def test_whoever_does_not_carry_the_marker_is_not_found_even_if_the_filter_was_not_heeded(
    graph: respx.MockRouter, directory: MsGraphDirectory
) -> None:
    other = {**USER, "id": GROUP, "employeeId": "ST0123456789ABD"}
    graph.get(url__startswith=f"{GRAPH}/users?").respond(json={"value": [USER, other, {**USER, "employeeId": None}]})
    nothing = [{"id": each, "status": 200, "body": {"value": []}} for each in (PERSON, GROUP)]
    graph.post(f"{GRAPH}/$batch").respond(json={"responses": nothing})
    assert [account.account_id for account in directory.find("ST0123456789ABD")] == [GROUP]


def test_an_account_whose_memberships_do_not_show_yet_is_found_all_the_same(
    graph: respx.MockRouter, directory: MsGraphDirectory
) -> None:
    graph.get(url__startswith=f"{GRAPH}/users").respond(json=USER)
    graph["memberships"].respond(404)
    graph.post(f"{GRAPH}/$batch").respond(json={"responses": [{"id": PERSON, "status": 404}]})
    found = directory.find_by_login("ada@client.example")
    assert found is not None
    assert found.account_id == PERSON


@pytest.mark.parametrize(("told", "enabled"), [(True, True), (False, False), (None, True), ("absent", True)])
def test_only_what_graph_calls_disabled_is_disabled(
    graph: respx.MockRouter, directory: MsGraphDirectory, told: object, enabled: bool
) -> None:
    user = {name: value for name, value in {**USER, "accountEnabled": told}.items() if value != "absent"}
    graph.get(url__startswith=f"{GRAPH}/users/{PERSON}").respond(json=user)
    assert directory.read(PERSON).enabled is enabled


@pytest.mark.parametrize(
    "odd",
    [
        {"employeeLeaveDateTime": "0001-01-01T00:00:00+14:00"},
        {"employeeLeaveDateTime": "9999-12-31T23:59:59-14:00"},
        {"onPremisesExtensionAttributes": {"extensionAttribute7": 5}},
        {"id": "../groups"},
        {"id": ""},
    ],
)
def test_what_no_user_can_have_is_unusable(graph: respx.MockRouter, odd: dict[str, object]) -> None:
    directory = MsGraphDirectory(MsGraphClient(MsGraphSettings(**FORM, marker_attribute="extensionAttribute7")))
    content = json.dumps({**USER, **odd}).encode()
    graph.get(url__startswith=f"{GRAPH}/users/{PERSON}").respond(content=content)
    with pytest.raises(UnusableContent):
        directory.read(PERSON)


def test_a_page_full_of_unusable_users_is_told_in_a_few_words() -> None:
    with pytest.raises(UnusableContent) as caught:
        usable("msgraph", Page[User], {"value": [{}] * 900})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("field", ["code", "target", "request-id"])
def test_a_refusal_shows_no_words_that_are_no_code(graph: respx.MockRouter, directory: MsGraphDirectory, field: str) -> None:
    graph.get(f"{GRAPH}/users/{PERSON}").respond(json=USER)
    words = "Ada\x00 of ada@client.example"
    error = {"code": "Odd", "target": "jobTitle", "innerError": {"request-id": "trace-me"}}
    odd = {**error, "innerError": {"request-id": words}} if field == "request-id" else {**error, field: words}
    graph.patch(f"{GRAPH}/users/{PERSON}").respond(400, json={"error": odd})
    with pytest.raises(Refused) as caught:
        directory.update(PERSON, {"jobTitle": "x"})
    assert "Ada" not in f"{caught.value} {caught.value.field}"


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
    graph.post(f"{LOGIN}/oauth2/v2.0/token").respond(status, json=answer, headers={"retry-after": "60"} if status > 400 else {})
    with pytest.raises(kind) as caught:
        directory.find(new_marker())
    assert getattr(caught.value, "field", None) == field
    assert "hush" not in str(caught.value)


def test_an_authority_that_is_away_or_speaks_html_is_tried_again_later(
    graph: respx.MockRouter, directory: MsGraphDirectory
) -> None:
    token = graph.post(f"{LOGIN}/oauth2/v2.0/token")
    for answer, cause in (
        (httpx.ConnectTimeout("away"), "cannot_connect"),
        (httpx.Response(200, html="<p>Sign in</p>"), "no_token"),
    ):
        token.side_effect = [answer] * 8
        with pytest.raises(RetryLater) as caught:
            directory.find(new_marker())
        assert caught.value.cause == cause


@pytest.mark.parametrize("answer", [{}, {"access_token": 5, "expires_in": 3600}, {"access_token": "t", "expires_in": "soon"}])
def test_an_answer_without_a_usable_token_is_tried_again_later(
    graph: respx.MockRouter, directory: MsGraphDirectory, answer: dict[str, object]
) -> None:
    graph.post(f"{LOGIN}/oauth2/v2.0/token").respond(json=answer)
    with pytest.raises(RetryLater) as caught:
        directory.find(new_marker())
    assert caught.value.cause == "no_token"


def test_a_token_endpoint_at_another_host_gets_no_credentials(graph: respx.MockRouter, directory: MsGraphDirectory) -> None:
    stranger = graph.post(url__startswith="https://evil.example")
    graph.get(f"{LOGIN}/v2.0/.well-known/openid-configuration").respond(
        json={"issuer": LOGIN, "authorization_endpoint": f"{LOGIN}/a", "token_endpoint": "https://evil.example/t/token"}
    )
    with pytest.raises(Refused) as caught:
        directory.find(new_marker())
    assert caught.value.cause == "foreign_address"
    assert not stranger.called


@pytest.mark.parametrize(
    ("cloud", "login", "graph_url"),
    [
        ("us_gov_l4", "https://login.microsoftonline.us", "https://graph.microsoft.us"),
        ("us_gov_dod", "https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
        ("china", "https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_a_national_cloud_is_reached_at_its_own_hosts_with_its_own_scope_alone(cloud: str, login: str, graph_url: str) -> None:
    tenant = f"{login}/client.example"
    endpoints = {"authorization_endpoint": f"{tenant}/a", "token_endpoint": f"{tenant}/oauth2/v2.0/token"}
    with respx.mock as router:  # anything else would fail
        router.get(f"{tenant}/v2.0/.well-known/openid-configuration").respond(json={"issuer": tenant, **endpoints})
        token = router.post(f"{tenant}/oauth2/v2.0/token").respond(json={"access_token": "t", "expires_in": 3600})
        router.get(url__startswith=f"{graph_url}/v1.0/users").respond(json={"value": []})
        assert MsGraphDirectory(MsGraphClient(MsGraphSettings(**FORM, cloud=cloud))).find(new_marker()) == []
    assert parse_qs(token.calls[0].request.content.decode())["scope"] == [f"{graph_url}/.default"]


def test_only_a_revocation_is_throttled_last(graph: respx.MockRouter, directory: MsGraphDirectory) -> None:
    users = graph.get(url__startswith=f"{GRAPH}/users").respond(json={"value": []})
    directory.find(new_marker())
    with revoking():
        directory.find(new_marker())
    assert [call.request.headers.get("x-ms-throttle-priority") for call in users.calls] == [None, None, "high", "high"]


def test_a_marker_in_an_extension_attribute_is_asked_of_the_index_on_every_page(graph: respx.MockRouter) -> None:
    directory = MsGraphDirectory(MsGraphClient(MsGraphSettings(**FORM, marker_attribute="extensionAttribute7")))
    pages = graph.get(url__startswith=f"{GRAPH}/users")
    pages.side_effect = [
        httpx.Response(200, json={"value": [], "@odata.nextLink": f"{GRAPH}/users?$skiptoken=1"}),
        httpx.Response(200, json={"value": []}),
        httpx.Response(200, json={"value": []}),
    ]
    marker = new_marker()
    directory.find(marker)
    first, second, invited = (call.request for call in pages.calls)
    assert invited.url.params["$filter"] == f"displayName eq '{marker}'"
    assert first.url.params["$filter"] == f"onPremisesExtensionAttributes/extensionAttribute7 eq '{marker}'"
    assert first.url.params["$count"] == "true"
    assert {first.headers["ConsistencyLevel"], second.headers["ConsistencyLevel"]} == {"eventual"}
    assert str(second.url) == f"{GRAPH}/users?$skiptoken=1"


@pytest.mark.parametrize("name", ["nextLink", "deltaLink"])
def test_changes_never_lead_to_another_host(graph: respx.MockRouter, directory: MsGraphDirectory, name: str) -> None:
    link = "https://graph.microsoft.com.evil.example/v1.0/users/delta?$deltatoken=1"
    graph.get(url__startswith=f"{GRAPH}/users/delta").respond(json={"value": [], f"@odata.{name}": link})
    with pytest.raises(Refused) as caught:
        directory.accounts(None)
    assert caught.value.cause == "foreign_page"


@pytest.mark.parametrize(
    "cursor", ["https://evil.example/v1.0/users/delta?$deltatoken=1", "//evil.example/users/delta", "garbage", ""]
)
def test_a_cursor_that_is_none_of_ours_starts_from_the_beginning(
    graph: respx.MockRouter, directory: MsGraphDirectory, cursor: str
) -> None:
    link = f"{GRAPH}/users/delta?$deltatoken=1"
    asked = graph.get(url__startswith=f"{GRAPH}/users/delta()").respond(json={"value": [], "@odata.deltaLink": link})
    assert directory.accounts(cursor).cursor == "/users/delta?$deltatoken=1"
    assert asked.called


@pytest.mark.parametrize(("status", "code"), [(410, "syncStateNotFound"), (400, "resyncRequired"), (410, "")])
def test_changes_that_graph_has_forgotten_are_read_from_the_beginning(
    graph: respx.MockRouter, directory: MsGraphDirectory, status: int, code: str
) -> None:
    graph.get(f"{GRAPH}/users/delta?$deltatoken=old").respond(status, json={"error": {"code": code, "message": "?"}})
    fresh = {"value": [], "@odata.nextLink": f"{GRAPH}/users/delta?$skiptoken=1"}
    graph.get(url__startswith=f"{GRAPH}/users/delta()").respond(json=fresh)
    page = directory.accounts("/users/delta?$deltatoken=old")
    assert (page.cursor, page.complete) == ("/users/delta?$skiptoken=1", False)


@pytest.mark.parametrize("name", ["delta", "delta()", "microsoft.graph.delta()"])
def test_changes_are_followed_by_every_name_that_graph_has_for_them(
    graph: respx.MockRouter, directory: MsGraphDirectory, name: str
) -> None:
    follow = graph.get(f"{GRAPH}/users/{name}?$skiptoken=1")
    follow.respond(json={"value": [], "@odata.deltaLink": f"{GRAPH}/users/{name}?$deltatoken=1"})
    start = {"value": [], "@odata.nextLink": f"{GRAPH}/users/{name}?$skiptoken=1"}
    graph.get(url__startswith=f"{GRAPH}/users/delta()?$select").respond(json=start)
    graph.get(url__startswith=f"{GRAPH}/users/delta()?%24select").respond(json=start)
    page = directory.accounts(directory.accounts(None).cursor)
    assert (page.complete, follow.call_count) == (True, 1)


@pytest.mark.parametrize(
    "links", [{}, {"@odata.nextLink": f"{GRAPH}/users?$skiptoken=1"}, {"@odata.deltaLink": f"{GRAPH}/groups"}]
)
def test_a_page_of_changes_that_leads_nowhere_is_no_end(
    graph: respx.MockRouter, directory: MsGraphDirectory, links: dict[str, str]
) -> None:
    graph.get(url__startswith=f"{GRAPH}/users/delta").respond(json={"value": [], **links})
    with pytest.raises(RetryLater):
        directory.accounts(None)


def test_of_a_user_that_is_told_twice_the_last_counts_and_one_told_in_part_is_read(
    graph: respx.MockRouter, directory: MsGraphDirectory
) -> None:
    other = {**USER, "employeeId": "4711"}
    told = [other, {"id": GROUP}, {"id": PERSON, "@removed": {"reason": "changed"}, "userPrincipalName": "ada@client.example"}]
    link = {"@odata.deltaLink": f"{GRAPH}/users/delta?$deltatoken=1"}
    graph.get(url__startswith=f"{GRAPH}/users/delta").respond(json={"value": told, **link})
    read = {"id": GROUP, "status": 200, "body": {**other, "id": GROUP, "accountEnabled": False}}
    graph.post(f"{GRAPH}/$batch").respond(json={"responses": [read]})
    page = directory.accounts(None)
    assert page.gone == [PERSON]
    assert [(state.account_id, state.enabled, state.protected) for state in page.accounts] == [(GROUP, False, True)]


@pytest.mark.parametrize("told", [[], None])
def test_one_of_ours_whose_licences_a_change_does_not_tell_is_read(
    graph: respx.MockRouter, directory: MsGraphDirectory, told: list[object] | None
) -> None:
    link = {"@odata.deltaLink": f"{GRAPH}/users/delta?$deltatoken=1"}
    user = USER if told is None else {**USER, "licenseAssignmentStates": told}
    graph.get(url__startswith=f"{GRAPH}/users/delta").respond(json={"value": [user], **link})
    held = [{"skuId": GROUP.upper(), "assignedByGroup": None, "state": "Active"}]
    read = {"id": PERSON, "status": 200, "body": {**USER, "licenseAssignmentStates": held, "value": []}}
    batch = graph.post(f"{GRAPH}/$batch").respond(json={"responses": [read]})
    (account,) = directory.accounts(None).accounts
    assert (account.licences, batch.call_count) == (({GROUP}, 2) if told is None else (frozenset(), 1))


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("Subscription with SKU x does not have any available licenses.", "no_seat_left"),
        ("License assignment failed.", "http_400"),
    ],
)
def test_a_seat_that_somebody_took_after_the_look_is_told_as_such(
    graph: respx.MockRouter, directory: MsGraphDirectory, words: str, cause: str
) -> None:
    graph.get(f"{GRAPH}/users/{PERSON}").respond(json={**USER, "usageLocation": "DE"})
    bought = {"skuId": GROUP, "prepaidUnits": {"enabled": 0, "warning": 1}, "consumedUnits": 0}
    graph.get(f"{GRAPH}/subscribedSkus").respond(json={"value": [bought]})
    error = {"code": "Request_BadRequest", "message": words}
    assign = graph.post(f"{GRAPH}/users/{PERSON}/assignLicense").respond(400, json={"error": error})
    with pytest.raises(Refused) as caught:
        directory.assign_licence(PERSON, GROUP)
    assert caught.value.cause == cause
    assert json.loads(assign.calls[0].request.content) == {
        "addLicenses": [{"skuId": GROUP, "disabledPlans": []}],
        "removeLicenses": [],
    }


@given(st.text())
def test_no_other_text_than_the_id_of_an_assignment_gets_into_a_path(text: str) -> None:
    try:
        path = addresses.app_roles(PERSON, text)
    except NotFound:
        return
    assert path.removeprefix(f"/users/{PERSON}/appRoleAssignments/").replace("-", "").replace("_", "").isalnum() or set(text) <= {
        "-",
        "_",
    }


@pytest.mark.parametrize(
    ("told", "last"),
    [
        ({}, None),
        ({"lastSignInDateTime": None}, None),
        ({"lastSignInDateTime": "2030-01-01T00:00:00Z", "lastNonInteractiveSignInDateTime": "2030-01-02T00:00:00Z"}, 2),
        ({"lastSignInDateTime": "2030-01-09T00:00:00Z", "lastSuccessfulSignInDateTime": "2030-01-03T00:00:00Z"}, 3),
    ],
)
def test_the_last_sign_in_is_the_last_success_where_that_is_told(told: dict[str, object], last: int | None) -> None:
    expected = None if last is None else datetime(2030, 1, last, tzinfo=UTC)
    assert SignInActivity.model_validate(told).last == expected


def test_an_access_pass_without_the_pass_is_an_unknown_outcome(graph: respx.MockRouter, directory: MsGraphDirectory) -> None:
    graph.get(f"{GRAPH}/users/{PERSON}").respond(json=USER)
    graph.post(f"{GRAPH}/users/{PERSON}/authentication/temporaryAccessPassMethods").respond(201, json={"lifetimeInMinutes": 60})
    with pytest.raises(OutcomeUnknown):
        directory.first_credential(PERSON)
