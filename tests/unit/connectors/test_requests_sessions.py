"""A library's ``requests.Session`` that goes through the edge."""

from __future__ import annotations

import httpx
import pytest
import requests
import respx

from connectors.http import Dialect, HttpEdge
from connectors.protocols.requests_sessions import session_over
from workforce.errors import HubError, OutcomeUnknown, Refused, RetryLater

BASE = "https://vendor.example"


@pytest.fixture
def session() -> requests.Session:
    edge = HttpEdge(BASE, Dialect("Vendor"), authorize=lambda: {"Authorization": "Bearer ours"}, sleep=lambda _: None)
    return session_over(edge, "Vendor", sent_headers=("Content-Type", "X-Page-Size"))


@respx.mock
def test_the_edge_puts_the_credentials_on_and_only_named_headers_go_along(session: requests.Session) -> None:
    route = respx.patch(f"{BASE}/things/1").respond(204)
    headers = {"Authorization": "Bearer theirs", "X-Page-Size": "5", "X-Pretty": "1"}
    answer = session.patch(f"{BASE}/things/1", json={"name": "zoë"}, headers=headers, timeout=0.001, verify=False)
    sent = route.calls.last.request
    assert (answer.status_code, answer.content) == (204, b"")
    assert (sent.headers["Authorization"], sent.headers["X-Page-Size"]) == ("Bearer ours", "5")
    assert (sent.headers["Content-Type"], "X-Pretty" in sent.headers) == ("application/json", False)
    assert sent.content == b'{"name": "zo\\u00eb"}'


@respx.mock
def test_an_answer_has_its_body_type_and_date_and_leads_nowhere(session: requests.Session) -> None:
    told = {"Date": "Sun, 01 Mar 2026 12:00:00 GMT", "Location": "https://evil.example/", "Set-Cookie": "a=b"}
    respx.get(f"{BASE}/things").respond(json={"id": 1}, headers=told)
    answer = session.get(f"{BASE}/things")
    assert (answer.json(), answer.reason, answer.url) == ({"id": 1}, "OK", f"{BASE}/things")
    assert set(answer.headers) == {"Content-Type", "Date"}
    assert not session.cookies


@respx.mock
def test_a_read_is_repeated_and_a_write_is_not(session: requests.Session) -> None:
    read = respx.get(f"{BASE}/things").mock(side_effect=[httpx.ReadTimeout, httpx.Response(200, json={})])
    write = respx.post(f"{BASE}/things").mock(side_effect=httpx.ReadTimeout)
    assert session.get(f"{BASE}/things").json() == {}
    with pytest.raises(OutcomeUnknown):
        session.post(f"{BASE}/things", json={})
    assert (read.call_count, write.call_count) == (2, 1)


@respx.mock
@pytest.mark.parametrize("content", [b'{"id": 1', b"<html>", b"[]", b""])
def test_a_read_that_no_json_object_answers_may_be_repeated(session: requests.Session, content: bytes) -> None:
    respx.get(f"{BASE}/things").respond(content=content)
    with pytest.raises(RetryLater) as caught:
        session.get(f"{BASE}/things")
    assert caught.value.cause == "unreadable_answer"


@respx.mock
@pytest.mark.parametrize(("address", "error"), [("https://evil.example/things", Refused), ("http://vendor.example/things", None)])
def test_no_other_place_is_called(session: requests.Session, address: str, error: type[HubError] | None) -> None:
    elsewhere = respx.route().respond(200)
    with pytest.raises(error or requests.exceptions.InvalidSchema):
        session.get(address)
    assert not elsewhere.called
