"""Answers of Salesforce that its sandbox does not give, and its settings."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from pydantic import ValidationError

from connectors.salesforce.client import SalesforceClient, share_left
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.sink import SalesforceSink
from connectors.salesforce.source import SalesforceSource
from workforce.errors import AlreadyTaken, HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater

BASE = "https://acme.my.salesforce.example"
API = f"{BASE}/services/data/v59.0"
FORM: dict[str, Any] = {
    "my_domain_url": BASE,
    "consumer_key": "key",
    "consumer_secret": "hush-hush-secret",
    "source": {"object": "Placement__c", "fields": ["Name"]},
    "sink": {},
}
MARKER = "ST0123456789ABC"
RECORD_ID = "003000000000001AAA"
UPSERT = f"{API}/sobjects/Contact/Stint_Marker__c/{MARKER}"
GRANT = {"access_token": "00D!token", "instance_url": BASE}


@pytest.fixture
def client() -> SalesforceClient:
    return SalesforceClient(SalesforceSettings.model_validate(FORM))


@pytest.fixture
def sink(client: SalesforceClient) -> SalesforceSink:
    return SalesforceSink(client)


def signed_in(grant: dict[str, Any] | None = None) -> respx.Route:
    return respx.post(f"{BASE}/services/oauth2/token").respond(json=grant or GRANT)


def refusal(status: int, code: str, *fields: str) -> httpx.Response:
    return httpx.Response(status, json=[{"errorCode": code, "message": "ada@acme.example is bad", "fields": list(fields)}])


@respx.mock
def test_the_token_goes_only_to_the_configured_address(sink: SalesforceSink) -> None:
    signed_in({**GRANT, "instance_url": "https://evil.example"})
    elsewhere = respx.patch(UPSERT)
    with pytest.raises(Misconfigured) as caught:
        sink.create(MARKER, {"LastName": "Lovelace"})
    assert caught.value.field == "my_domain_url"
    assert not elsewhere.called


@respx.mock
def test_a_redirect_is_not_followed(sink: SalesforceSink) -> None:
    signed_in()
    respx.patch(UPSERT).respond(307, headers={"Location": "https://evil.example/"})
    elsewhere = respx.route(host="evil.example")
    with pytest.raises(Refused):
        sink.create(MARKER, {"LastName": "Lovelace"})
    assert not elsewhere.called


@respx.mock
@pytest.mark.parametrize("told", [{"nextRecordsUrl": "@evil.example/services/data/v59.0/query/1"}, {}])
def test_a_next_page_elsewhere_or_nowhere_is_not_the_end(client: SalesforceClient, told: dict[str, str]) -> None:
    signed_in()
    page = {"done": False, "records": [], **told}
    respx.get(f"{API}/queryAll/").respond(json=page)
    elsewhere = respx.route(host="evil.example")
    with pytest.raises(RetryLater):
        SalesforceSource(client).changes(None)
    assert not elsewhere.called


@respx.mock
@pytest.mark.parametrize(
    ("answer", "error", "cause"),
    [
        (refusal(400, "DUPLICATES_DETECTED"), AlreadyTaken, "already_taken"),
        (refusal(400, "STRING_TOO_LONG", "LastName"), Refused, "string_too_long"),
        (refusal(403, "INSUFFICIENT_ACCESS_OR_READONLY"), Refused, "forbidden"),
        (refusal(403, "REQUEST_LIMIT_EXCEEDED"), RetryLater, "throttled"),
        (refusal(500, "UNABLE_TO_LOCK_ROW"), RetryLater, "row_locked"),
        (refusal(503, "SERVER_UNAVAILABLE"), OutcomeUnknown, "http_503"),
        (refusal(500, "UNKNOWN_EXCEPTION"), OutcomeUnknown, "http_500"),
        (httpx.Response(300, json=["/a", "/b"]), Refused, "ambiguous_marker"),
        (httpx.Response(400, text="<html>no"), Refused, "http_400"),
        (httpx.Response(201, text="<html>ok"), OutcomeUnknown, "unreadable_answer"),
        (httpx.Response(201, json={"id": "../x", "success": True}), OutcomeUnknown, "unreadable_answer"),
        (httpx.Response(200, json={"id": RECORD_ID, "success": False}), OutcomeUnknown, "unreadable_answer"),
        (httpx.Response(400, content=b"[" * 100_000), Refused, "http_400"),
    ],
)
def test_each_answer_to_a_creation_means_one_of_the_four_errors(
    sink: SalesforceSink, answer: httpx.Response, error: type[HubError], cause: str
) -> None:
    signed_in()
    sent = respx.patch(UPSERT).mock(return_value=answer)
    with pytest.raises(error) as caught:
        sink.create(MARKER, {"LastName": "Lovelace"})
    assert caught.value.cause == cause
    assert "ada@acme.example" not in str(caught.value)
    assert sent.call_count == 1


@respx.mock
def test_an_upsert_whose_id_cannot_be_asked_for_is_unknown(sink: SalesforceSink) -> None:
    signed_in()
    respx.patch(UPSERT).respond(204)
    respx.get(UPSERT).respond(404, json=[])
    with pytest.raises(OutcomeUnknown):
        sink.create(MARKER, {"LastName": "Lovelace"})


@respx.mock
def test_a_second_401_is_the_administrators(sink: SalesforceSink) -> None:
    token = signed_in()
    sent = respx.patch(UPSERT).mock(return_value=refusal(401, "INVALID_SESSION_ID"))
    with pytest.raises(Misconfigured):
        sink.create(MARKER, {"LastName": "Lovelace"})
    assert (token.call_count, sent.call_count) == (2, 2)


@respx.mock
@pytest.mark.parametrize("answer", [{"error": "invalid_grant"}, {"error": "<b>&hush-hush-secret"}])
def test_a_refused_sign_in_names_the_setting_and_no_secret(client: SalesforceClient, answer: dict[str, str]) -> None:
    respx.post(f"{BASE}/services/oauth2/token").respond(400, json=answer)
    result = client.check()
    assert not result.ok
    assert "consumer_key" in result.detail
    assert "hush-hush" not in result.detail + repr(client.settings)


@respx.mock
def test_simple_salesforce_never_holds_the_token(sink: SalesforceSink) -> None:
    signed_in()
    sent = respx.patch(UPSERT).respond(201, json={"id": RECORD_ID, "success": True})
    sink.create(MARKER, {"LastName": "Lovelace"})
    assert sent.calls.last.request.headers["Authorization"] == "Bearer 00D!token"
    assert "X-PrettyPrint" not in sent.calls.last.request.headers


@pytest.mark.parametrize(
    "change",
    [
        {"my_domain_url": "http://acme.my.salesforce.example"},
        {"my_domain_url": "https://user@acme.my.salesforce.example"},
        {"consumer_secret": None},
        {"username": "integration@acme.example"},
        {"username": "integration@acme.example", "private_key": "no key"},
        {"source": {"object": "Placement__c WHERE", "fields": ["Name"]}},
        {"source": {"object": "Placement__c", "fields": ["Name FROM User"]}},
        {"sink": {"status_field": "Status__c"}},
        {"sink": {"active_status": "Active"}},
        {"sink": {"status_field": "Status__c", "ended_status": "Inactive", "active_status": "Inactive"}},
    ],
)
def test_a_form_that_could_not_work_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SalesforceSettings.model_validate({**FORM, **change})


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ("api-usage=96/100", 0.04),
        ("api-usage=10/100; per-app-api-usage=17/250(appName=hub)", 0.9),
        ("api-usage=120/100", -0.2),
        ("api-usage=0/0", None),
        ("api-usage=" + "9" * 5000 + "/1", None),
        ("", None),
    ],
)
def test_an_answer_tells_what_the_organisation_has_left(told: str, left: float | None) -> None:
    assert share_left(httpx.Response(200, headers={"Sforce-Limit-Info": told})) == (left and pytest.approx(left))


@respx.mock
def test_an_end_that_only_a_proxy_has_answered_is_unknown(sink: SalesforceSink) -> None:
    signed_in()
    address = f"{API}/sobjects/Contact/{RECORD_ID}"
    respx.get(address).respond(json={"Id": RECORD_ID})
    respx.patch(address).respond(200, html="<html>sign in</html>")
    with pytest.raises(OutcomeUnknown):
        sink.end(RECORD_ID, ended_at=datetime(2026, 4, 1, tzinfo=UTC), ends_on="2026-03-31")


@respx.mock
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_an_answer_in_another_encoding_is_read_and_never_a_crash(sink: SalesforceSink, encoding: str) -> None:
    signed_in()
    content = json.dumps({"Id": RECORD_ID, "Email": "zoë@acme.example"}, ensure_ascii=False).encode(encoding)
    respx.get(f"{API}/sobjects/Contact/{RECORD_ID}").respond(content=content)
    assert sink.read(RECORD_ID).values["Email"] == "zoë@acme.example"
