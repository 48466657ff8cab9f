"""Answers of Deel that its sandbox does not give, its cursor and its settings."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from pydantic import ValidationError

from connectors.deel.client import DeelClient
from connectors.deel.sandbox import sample
from connectors.deel.settings import DeelSettings
from connectors.deel.sink import DeelSink
from connectors.deel.source import DeelSource, Place
from workforce.errors import HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

BASE = "https://api.deel.example/rest/v2"
FORM: dict[str, Any] = {"base_url": BASE, "access_token": "organisation-token"}
MARKER = "ST0123456789ABC"


@pytest.fixture
def client() -> DeelClient:
    return DeelClient(DeelSettings.model_validate(FORM))


def refusal(status: int, *paths: str) -> httpx.Response:
    errors = [{"message": "ada@acme.example is bad", "path": path} for path in paths]
    return httpx.Response(status, json={"request": {}, "errors": errors})


@respx.mock
def test_every_call_says_which_version_it_means_and_amounts_are_numbers(client: DeelClient) -> None:
    sent = respx.post(f"{BASE}/contracts").respond(201, json={"data": {"id": "c1"}})
    pay = {**sample(1)["compensation_details"], "amount": "95.50", "payment_due_days": "14"}
    assert DeelSink(client).create(MARKER, {**sample(1), "compensation_details": pay, "state_code": None}) == "c1"
    request = sent.calls.last.request
    assert request.headers["X-Version"] == "2026-01-01"
    body = json.loads(request.content)["data"]
    assert body["external_id"] == MARKER
    assert "state_code" not in body
    assert (body["compensation_details"]["amount"], body["compensation_details"]["payment_due_days"]) == (95.5, 14.0)


@respx.mock
@pytest.mark.parametrize(
    ("answer", "error", "cause"),
    [
        (refusal(400, "/data/start_date"), Refused, "http_400"),
        (refusal(401), Misconfigured, "unauthenticated"),
        (refusal(403), Refused, "forbidden"),
        (refusal(404), NotFound, "not_found"),
        (refusal(429), RetryLater, "throttled"),
        (refusal(500), OutcomeUnknown, "http_500"),
        (httpx.Response(201, json={"data": {}}), OutcomeUnknown, "unreadable_answer"),
        (httpx.Response(201, json={"data": []}), OutcomeUnknown, "unreadable_answer"),
        (httpx.Response(201, text="ok"), OutcomeUnknown, "unreadable_answer"),
        (httpx.Response(302, headers={"Location": "https://evil.example"}), Refused, "http_302"),
    ],
)
def test_each_answer_to_a_creation_means_one_of_the_four_errors(
    client: DeelClient, answer: httpx.Response, error: type[HubError], cause: str
) -> None:
    sent = respx.post(f"{BASE}/contracts").mock(return_value=answer)
    with pytest.raises(error) as caught:
        DeelSink(client).create(MARKER, sample(1))
    assert caught.value.cause == cause
    assert "ada@acme.example" not in str(caught.value)
    assert sent.call_count == 1


@respx.mock
def test_a_refusal_names_the_field(client: DeelClient) -> None:
    respx.post(f"{BASE}/contracts").mock(return_value=refusal(400, "/data/start_date", "ada@acme.example"))
    with pytest.raises(Refused, match=r"at /data/start_date$"):
        DeelSink(client).create(MARKER, sample(1))


@respx.mock
def test_a_filter_that_lets_others_through_finds_no_strangers(client: DeelClient) -> None:
    rows = [{"id": "c1", "status": "new", "external_id": "ST0123456789ABCD"}, {"id": "c2", "status": "new"}]
    respx.get(f"{BASE}/contracts").respond(json={"data": rows, "page": {"cursor": "", "total_rows": 2}})
    assert DeelSink(client).find(MARKER, {}) == []


@respx.mock
def test_a_cursor_that_does_not_move_ends_the_list(client: DeelClient) -> None:
    listed = respx.get(f"{BASE}/contracts").respond(
        json={"data": [{"id": "c1", "status": "completed"}], "page": {"cursor": "c1"}}
    )
    contract = {"id": "c1", "status": "completed", "updated_at": "2026-02-01T00:00:00Z"}
    respx.get(f"{BASE}/contracts/c1").respond(json={"data": contract})
    source = DeelSource(client)
    first = source.changes(None)
    assert source.changes(first.cursor).complete
    assert listed.call_count == 2


@respx.mock
@pytest.mark.parametrize("answer", [{"data": []}, {"page": {}}, {"data": [{"status": "new"}], "page": {}}, {"errors": []}])
def test_an_answer_that_is_no_list_is_no_empty_list(client: DeelClient, answer: dict[str, Any]) -> None:
    respx.get(f"{BASE}/contracts").respond(json=answer)
    with pytest.raises(RetryLater):
        DeelSource(client).changes(None)


@respx.mock
def test_a_contract_that_went_while_it_was_listed_does_not_stop_the_others(client: DeelClient) -> None:
    rows = [{"id": "c1", "status": "new"}, {"id": "c2", "status": "new"}]
    respx.get(f"{BASE}/contracts").respond(json={"data": rows, "page": {"cursor": ""}})
    respx.get(f"{BASE}/contracts/c1").mock(return_value=refusal(404))
    respx.get(f"{BASE}/contracts/c2").respond(json={"data": {"id": "c2", "status": "new", "updated_at": "2026-02-01T00:00:00Z"}})
    page = DeelSource(client).changes(None)
    assert [record.external_id for record in page.records] == ["c2"]
    assert page.records[0].version == "2026-02-01T00:00:00.000000+00:00"


@respx.mock
def test_a_contract_that_is_listed_before_it_shows_is_no_refusal(client: DeelClient) -> None:
    row = {"id": "c1", "status": "new", "external_id": MARKER}
    respx.get(f"{BASE}/contracts").respond(json={"data": [row], "page": {"cursor": ""}})
    respx.get(f"{BASE}/contracts/c1").mock(return_value=refusal(404))
    with pytest.raises(RetryLater) as caught:
        DeelSink(client).find(MARKER, {})
    assert caught.value.cause == "lagging"


@pytest.mark.parametrize("amount", ["a lot", "nan", "inf", "1e999", []])
def test_an_amount_that_is_none_is_refused_before_anything_is_sent(client: DeelClient, amount: object) -> None:
    with pytest.raises(Refused) as caught:
        DeelSink(client).create(MARKER, {**sample(1), "compensation_details": {"amount": amount}})
    assert caught.value.field == "amount"


@pytest.mark.parametrize(
    "text", ["", "{}", "null", "not a cursor", '[1, {"after": 5}]', '[1, {"known": "abc"}]', '[1, {"found": [1]}]']
)
def test_a_cursor_that_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        Place.decode(text)
    assert caught.value.cause == "bad_cursor"


def test_the_place_of_twenty_thousand_contracts_is_what_was_promised() -> None:
    place = Place(frozenset(f"{n:012x}" for n in range(20_000)), frozenset(f"{n:012x}" for n in range(20_000)), "c1")
    assert Place.decode(place.encode()) == place
    assert len(place.encode()) < 650_000


@pytest.mark.parametrize(
    "change",
    [{"base_url": "http://api.deel.example"}, {"base_url": "https://a@b.example"}, {"api_version": "v2"}, {"page_size": 0}],
)
def test_a_form_that_could_not_work_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DeelSettings.model_validate({**FORM, **change})


@respx.mock
def test_an_odd_contract_keeps_no_other_from_being_told(client: DeelClient) -> None:
    rows = [{"id": "c1", "status": "new"}, {"id": "c2", "status": "new"}]
    respx.get(f"{BASE}/contracts").respond(json={"data": rows, "page": {"cursor": ""}})
    stamp = {"updated_at": "2026-02-01T00:00:00Z"}
    respx.get(f"{BASE}/contracts/c1").respond(json={"data": {"id": "c1", "title": [], "compensation_details": None, **stamp}})
    respx.get(f"{BASE}/contracts/c2").respond(json={"data": {"id": "c2", "status": "new", **stamp}})
    assert [record.external_id for record in DeelSource(client).changes(None).records] == ["c1", "c2"]


@respx.mock
def test_a_listed_contract_that_could_not_be_read_is_not_passed_over(client: DeelClient) -> None:
    respx.get(f"{BASE}/contracts").respond(json={"data": [{"id": "a/b", "status": "new"}], "page": {"cursor": ""}})
    with pytest.raises(RetryLater):
        DeelSource(client).changes(None)


@respx.mock
def test_an_end_that_only_a_proxy_has_answered_is_unknown(client: DeelClient) -> None:
    held = {"id": "c1", "status": "in_progress", "updated_at": "2026-02-01T00:00:00Z", "compensation_details": {"amount": 95.5}}
    respx.get(f"{BASE}/contracts/c1").respond(json={"data": held})
    respx.get(f"{BASE}/contracts/c1/amendments").respond(json={"data": []})
    respx.post(url__regex=r"/contracts/c1/(terminations|amendments)$").respond(200, html="<html>sign in</html>")
    sink = DeelSink(client)
    with pytest.raises(OutcomeUnknown):
        sink.end("c1", ended_at=datetime(2026, 4, 1, tzinfo=UTC), ends_on="2026-03-31")
    with pytest.raises(OutcomeUnknown):
        sink.update("c1", {"compensation_details": {"amount": "110.00"}})


@respx.mock
@pytest.mark.parametrize(
    ("now", "ends_at_once"),
    [(datetime(2026, 4, 1, 7, 59, tzinfo=UTC), False), (datetime(2026, 4, 1, 8, 0, tzinfo=UTC), True)],
)
def test_nothing_ends_at_once_before_the_last_day_is_over_at_the_place_of_work(
    client: DeelClient, now: datetime, ends_at_once: bool
) -> None:
    held = {"id": "c1", "status": "in_progress", "updated_at": "2026-02-01T00:00:00Z"}
    respx.get(f"{BASE}/contracts/c1").respond(json={"data": held})
    sent = respx.post(f"{BASE}/contracts/c1/terminations").respond(201, json={"data": {}})
    DeelSink(client, lambda: now).end("c1", ended_at=datetime(2026, 4, 1, 8, 0, tzinfo=UTC), ends_on="2026-03-31")
    assert json.loads(sent.calls.last.request.content)["data"]["terminate_now"] is ends_at_once


@respx.mock
def test_an_end_is_not_taken_back_before_deel_has_refused_another(client: DeelClient) -> None:
    held = {"id": "c1", "status": "in_progress", "updated_at": "2026-02-01T00:00:00Z", "termination_date": "2039-01-31"}
    respx.get(f"{BASE}/contracts/c1").respond(json={"data": held})
    taken_back = respx.delete(f"{BASE}/contracts/c1/terminations").respond(204)
    for answer in (refusal(403), refusal(429), refusal(500), httpx.Response(201, json={"data": {}})):
        respx.post(f"{BASE}/contracts/c1/terminations").mock(return_value=answer)
        with contextlib.suppress(HubError):
            DeelSink(client).end("c1", ended_at=datetime(2026, 4, 1, tzinfo=UTC), ends_on="2038-03-31")
    assert not taken_back.called
    respx.post(f"{BASE}/contracts/c1/terminations").mock(side_effect=[refusal(400), httpx.Response(201, json={"data": {}})])
    DeelSink(client).end("c1", ended_at=datetime(2026, 4, 1, tzinfo=UTC), ends_on="2038-03-31")
    assert taken_back.call_count == 1
