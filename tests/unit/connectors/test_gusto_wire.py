"""Answers of Gusto that its sandbox does not give, its settings, and its tokens."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import respx

from connectors.contract import Surroundings
from connectors.gusto.client import GustoClient
from connectors.gusto.sandbox import COMPANY_UUID
from connectors.gusto.settings import GustoSettings
from connectors.gusto.sink import GustoSink
from tests.unit.connectors.shelf import Shelf
from workforce.errors import AlreadyTaken, Misconfigured, OutcomeUnknown, Refused, RetryLater

BASE = "https://gusto.example"
LIST = f"{BASE}/v1/companies/{COMPANY_UUID}/contractors"
FORM: dict[str, Any] = {"base_url": BASE, "company_uuid": COMPANY_UUID}
REFRESH = {"client_id": "id", "client_secret": "secret", "refresh_token": "first"}
ADA = {
    "type": "Individual", "wage_type": "Hourly", "hourly_rate": "95.00", "first_name": "Ada", "last_name": "Lovelace",
    "email": "ada.lovelace@acme.example", "start_date": "2026-02-01",
}  # fmt: skip
CONTRACTOR = httpx.Response(200, json={"uuid": "u1"})
MARKER = "ST0123456789ABC"


def refreshing(shelf: Shelf | None = None, *, seed: str = "first") -> GustoClient:
    return GustoClient(GustoSettings.model_validate({**FORM, **REFRESH, "refresh_token": seed}), Surroundings(credentials=shelf))


def grants(*numbers: int, expires_in: float = 7200) -> list[httpx.Response]:
    told = [{"access_token": f"access-{n}", "expires_in": expires_in, "refresh_token": f"refresh-{n}"} for n in numbers]
    return [httpx.Response(200, json=answer) for answer in told]


def spent(route: respx.Route) -> list[str]:
    return [json.loads(call.request.content)["refresh_token"] for call in route.calls]


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
@pytest.mark.parametrize("ssn", ["123456789", "123-45-6789", "123 45 6789"])
def test_a_refusal_tells_no_number_and_no_part_of_a_name(sink: GustoSink, ssn: str) -> None:
    family = "Wolfeschlegelsteinhausenbergerdorff"
    entry = {"error_key": "ssn", "category": "invalid", "message": f"{ssn} is not valid, {'x' * 250} says {family}"}
    respx.post(LIST).mock(return_value=faults(422, entry))
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, {**ADA, "ssn": "123456789", "last_name": family})
    assert "6789" not in str(caught.value)
    assert "Wolf" not in str(caught.value)


@respx.mock
def test_the_field_that_is_taken_is_the_one_that_gusto_calls_so(sink: GustoSink) -> None:
    invalid = {"error_key": "email", "category": "invalid_attribute_value", "message": "is odd"}
    taken = {"error_key": "ssn", "category": "duplicate_operation", "message": "has already been taken"}
    respx.post(LIST).mock(return_value=faults(422, invalid, taken))
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, ADA)
    assert not isinstance(caught.value, AlreadyTaken)
    respx.post(LIST).mock(return_value=faults(422, {**invalid, "error_key": "ein"}, {**taken, "error_key": "email"}))
    with pytest.raises(AlreadyTaken) as second:
        sink.create(MARKER, ADA)
    assert second.value.field == "email"


@respx.mock
def test_an_answer_of_another_depth_or_an_odd_field_is_no_crash(sink: GustoSink) -> None:
    respx.get(f"{BASE}/v1/contractors/u1").respond(text="[" * 100_000)
    with pytest.raises(RetryLater):
        sink.read("u1")
    respx.post(LIST).mock(return_value=faults(422, {"error_key": "x" * 10_000, "message": "no"}))
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, ADA)
    assert (caught.value.field, len(str(caught.value)) < 500) == (None, True)


@respx.mock
@pytest.mark.parametrize("grant", [{"expires_in": 1e400}, {"access_token": "a b"}, {"access_token": 7}, {"refresh_token": ""}])
def test_a_grant_that_cannot_be_used_is_not_kept(grant: dict[str, object]) -> None:
    shelf = Shelf()
    given = {"access_token": "access", "expires_in": 7200, "refresh_token": "next", **grant}
    respx.post(f"{BASE}/oauth/token").respond(text=json.dumps(given))
    with pytest.raises(RetryLater):
        refreshing(shelf).create_contractor({})
    assert shelf.kept == {}


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
def test_a_client_after_a_restart_takes_over_the_token_and_spends_the_newest_when_it_is_stale() -> None:
    shelf = Shelf()
    tokens = respx.post(f"{BASE}/oauth/token").mock(side_effect=grants(1) + grants(2))
    contractor = respx.get(f"{BASE}/v1/contractors/u1").mock(
        side_effect=[CONTRACTOR, CONTRACTOR, httpx.Response(401), CONTRACTOR]
    )
    refreshing(shelf).contractor("u1")
    later = refreshing(shelf)
    later.contractor("u1")
    assert spent(tokens) == ["first"]
    later.contractor("u1")
    assert spent(tokens) == ["first", "refresh-1"]
    assert [call.request.headers["authorization"] for call in contractor.calls] == [
        "Bearer access-1", "Bearer access-1", "Bearer access-1", "Bearer access-2",
    ]  # fmt: skip


@respx.mock
def test_a_token_about_to_expire_is_not_taken_over() -> None:
    shelf = Shelf()
    tokens = respx.post(f"{BASE}/oauth/token").mock(side_effect=grants(1, expires_in=60) + grants(2))
    respx.get(f"{BASE}/v1/contractors/u1").mock(return_value=CONTRACTOR)
    refreshing(shelf).contractor("u1")
    refreshing(shelf).contractor("u1")
    assert spent(tokens) == ["first", "refresh-1"]


@respx.mock
def test_a_newly_configured_refresh_token_starts_afresh() -> None:
    shelf = Shelf()
    tokens = respx.post(f"{BASE}/oauth/token").mock(side_effect=grants(1) + grants(2))
    respx.get(f"{BASE}/v1/contractors/u1").mock(return_value=CONTRACTOR)
    refreshing(shelf).contractor("u1")
    refreshing(shelf, seed="authorised again").contractor("u1")
    assert spent(tokens) == ["first", "authorised again"]


@respx.mock
def test_a_refresh_token_that_the_store_could_not_take_is_kept_before_anything_else() -> None:
    shelf = Shelf()
    shelf.outages = 5  # of the five attempts below; reads try again by themselves
    client = refreshing(shelf)
    tokens = respx.post(f"{BASE}/oauth/token").mock(side_effect=grants(1))
    respx.get(f"{BASE}/v1/contractors/u1").mock(return_value=CONTRACTOR)
    create = respx.post(LIST)
    for _ in range(5):
        with pytest.raises(RetryLater, match="database"):
            client.create_contractor({})
    assert not create.called
    client.contractor("u1")
    assert spent(tokens) == ["first"]
    assert "refresh-1" in shelf.kept["first"]


@respx.mock
def test_what_is_kept_but_not_readable_is_named_and_not_shown() -> None:
    shelf = Shelf()
    shelf.kept["first"] = '{"access_token": "canary"}'
    with pytest.raises(Misconfigured) as caught:
        refreshing(shelf).contractor("u1")
    assert (caught.value.cause, caught.value.field) == ("kept_credential_unreadable", "refresh_token")
    assert "canary" not in repr(caught.value)
    assert "canary" not in str(caught.value)


@respx.mock
def test_a_check_does_not_use_up_a_refresh_token_that_nobody_would_keep() -> None:
    tokens = respx.post(f"{BASE}/oauth/token")
    result = refreshing().check()
    assert not result.ok
    assert "stint check --connect" in result.detail
    assert not tokens.called


@respx.mock
def test_a_refused_refresh_token_is_the_administrators_matter() -> None:
    client = refreshing()
    respx.post(f"{BASE}/oauth/token").respond(400, json={"error": "invalid_grant"})
    with pytest.raises(Misconfigured) as caught:
        client.contractor("u1")
    assert caught.value.field == "refresh_token"


@respx.mock
def test_a_write_whose_token_cannot_be_renewed_was_not_sent() -> None:
    sink = GustoSink(refreshing())
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
    with pytest.raises(ValueError, match="give either access_token, or client_id") as caught:
        GustoSettings.model_validate({**FORM, **credentials})
    assert "input_value" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url", ["https://gusto.example:port", "https://gusto.example:999999", "https://[::1", "https://a b"]
)
def test_an_address_that_no_client_could_be_built_for_is_refused_in_the_form(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        GustoSettings.model_validate({**FORM, "base_url": base_url, "access_token": "t"})
