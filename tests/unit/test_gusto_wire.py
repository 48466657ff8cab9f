"""Answers of Gusto that its sandbox does not give, its settings, and its tokens."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import respx

from connectors.gusto.client import GustoClient
from connectors.gusto.sandbox import COMPANY_UUID
from connectors.gusto.settings import GustoSettings
from connectors.gusto.sink import GustoSink
from workforce.errors import AlreadyTaken, Misconfigured, OutcomeUnknown, Refused, RetryLater

BASE = "https://gusto.example"
LIST = f"{BASE}/v1/companies/{COMPANY_UUID}/contractors"
FORM: dict[str, Any] = {"base_url": BASE, "company_uuid": COMPANY_UUID}
REFRESH = {"client_id": "id", "client_secret": "secret", "refresh_token": "first"}
ADA = {
    "type": "Individual", "wage_type": "Hourly", "hourly_rate": "95.00", "first_name": "Ada", "last_name": "Lovelace",
    "email": "ada.lovelace@acme.example", "start_date": "2026-02-01",
}  # fmt: skip
MARKER = "ST0123456789ABC"


class StoredTokens:
    """A store that outlives the client, as a ledger would."""

    def __init__(self) -> None:
        self.history = ["first"]

    def newest(self) -> str:
        return self.history[-1]

    def replace(self, used: str, fresh: str) -> None:
        assert used == self.newest()
        self.history.append(fresh)


@pytest.fixture
def sink() -> GustoSink:
    return GustoSink(GustoClient(GustoSettings.model_validate({**FORM, "access_token": "token"})))


def faults(status: int, *entries: dict[str, Any]) -> httpx.Response:
    return httpx.Response(status, json={"errors": list(entries)})


@respx.mock
def test_a_refusal_names_the_field_but_not_the_person(sink: GustoSink) -> None:
    message = "ada.lovelace@acme.example of Lovelace is invalid"
    respx.post(LIST).mock(return_value=faults(422, {"error_key": "email", "category": "invalid", "message": message}))
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, ADA)
    assert caught.value.field == "email"
    assert "lovelace" not in str(caught.value).lower()


@respx.mock
def test_a_nested_refusal_names_the_inner_field(sink: GustoSink) -> None:
    inner = {"error_key": "work_state", "category": "invalid_attribute_value", "message": "must be a state"}
    respx.post(LIST).mock(return_value=faults(422, {"error_key": "contractor", "category": "nested_errors", "errors": [inner]}))
    with pytest.raises(Refused, match="work_state: must be a state") as caught:
        sink.create(MARKER, ADA)
    assert caught.value.field == "work_state"


@respx.mock
def test_a_value_that_has_been_taken_is_looked_up(sink: GustoSink) -> None:
    entry = {"error_key": "email", "category": "invalid_attribute_value", "message": "User has already been taken"}
    respx.post(LIST).mock(return_value=faults(422, entry))
    with pytest.raises(AlreadyTaken):
        sink.create(MARKER, ADA)


@respx.mock
@pytest.mark.parametrize("answer", [{"text": "{"}, {"json": {}}, {"json": []}, {"html": "<html>"}])
def test_a_creation_without_a_readable_uuid_is_unknown(sink: GustoSink, answer: dict[str, Any]) -> None:
    respx.post(LIST).respond(201, **answer)
    with pytest.raises(OutcomeUnknown):
        sink.create(MARKER, ADA)


@respx.mock
def test_a_second_version_conflict_is_tried_again_later(sink: GustoSink) -> None:
    respx.get(f"{BASE}/v1/contractors/u1").respond(json={"uuid": "u1", "version": "1"})
    put = respx.put(f"{BASE}/v1/contractors/u1").mock(return_value=faults(409, {"error_key": "version", "category": "stale"}))
    with pytest.raises(RetryLater) as caught:
        sink.update("u1", {"hourly_rate": "96.00"})
    assert (put.call_count, caught.value.cause) == (2, "version_conflict")


@respx.mock
def test_a_server_that_ignores_the_page_number_is_not_read_for_ever(sink: GustoSink) -> None:
    route = respx.get(LIST).respond(json=[{"uuid": "u1", "email": ADA["email"], "start_date": "2020-01-01", "last_name": "X"}])
    (record,) = sink.find(MARKER, ADA)
    assert (record.marker, route.call_count) == (None, 2)


@pytest.mark.parametrize("missing", ["email", "start_date", "last_name"])
def test_nothing_is_created_that_could_not_be_recognised_again(sink: GustoSink, missing: str) -> None:
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, {**ADA, missing: None})
    assert caught.value.field == missing


def test_a_business_cannot_be_recognised_again(sink: GustoSink) -> None:
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, {**ADA, "type": "Business"})
    assert caught.value.field == "type"


@respx.mock
def test_a_rotated_refresh_token_is_stored_before_it_is_needed() -> None:
    tokens = StoredTokens()
    client = GustoClient(GustoSettings.model_validate({**FORM, **REFRESH}), refresh_tokens=tokens)
    respx.post(f"{BASE}/oauth/token").respond(json={"access_token": "a", "expires_in": 7200, "refresh_token": "second"})
    respx.get(f"{BASE}/v1/contractors/u1").respond(json={"uuid": "u1"})
    client.contractor("u1")
    assert tokens.history == ["first", "second"]


@respx.mock
def test_a_refused_refresh_token_is_the_administrators_matter() -> None:
    client = GustoClient(GustoSettings.model_validate({**FORM, **REFRESH}))
    respx.post(f"{BASE}/oauth/token").respond(400, json={"error": "invalid_grant"})
    with pytest.raises(Misconfigured) as caught:
        client.contractor("u1")
    assert caught.value.field == "refresh_token"


@respx.mock
def test_a_write_whose_token_cannot_be_renewed_was_not_sent() -> None:
    sink = GustoSink(GustoClient(GustoSettings.model_validate({**FORM, **REFRESH})))
    respx.post(f"{BASE}/oauth/token").mock(side_effect=httpx.ReadTimeout)
    create = respx.post(LIST)
    with pytest.raises(RetryLater):
        sink.create(MARKER, ADA)
    assert not create.called


@respx.mock
@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"scope": "contractors:read", "resource": {"type": "Company", "uuid": COMPANY_UUID}}, "contractors:manage"),
        ({"scope": "public", "resource": {"type": "Company", "uuid": "9c2a1b3d"}}, "company_uuid"),
        ({"scope": "public", "resource": None}, "company_uuid"),
    ],
)
def test_the_check_fails_closed_on_a_token_that_opens_too_little(info: dict[str, Any], told: str) -> None:
    respx.get(f"{BASE}/v1/token_info").respond(json=info)
    result = GustoClient(GustoSettings.model_validate({**FORM, "access_token": "token"})).check()
    assert not result.ok
    assert told in result.detail


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"access_token": "t", **REFRESH},
        {"client_id": "id", "client_secret": "secret"},
        {"access_token": "t", "client_id": "id"},
    ],
)
def test_exactly_one_whole_kind_of_credentials_is_accepted(credentials: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give either access_token, or client_id"):
        GustoSettings.model_validate({**FORM, **credentials})
