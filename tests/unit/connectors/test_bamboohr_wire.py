"""Answers of BambooHR that its sandbox does not give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
import respx

from connectors.bamboohr.backfill import OPEN, BambooHrBackfill
from connectors.bamboohr.client import BambooHrClient
from connectors.bamboohr.settings import BambooHrSettings
from connectors.bamboohr.sink import BambooHrSink
from workforce.errors import AlreadyTaken, OutcomeUnknown, Refused, RetryLater
from workforce.ports import EventPage

BASE = "https://acme.bamboohr.example"
ADA = {"firstName": "Ada", "lastName": "Lovelace", "workEmail": "ada.lovelace@acme.example", "hireDate": "2026-02-01"}
MARKER = "ST0123456789ABC"
CHANGED = f"{BASE}/api/v1/employees/changed"
AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture
def sink() -> BambooHrSink:
    return BambooHrSink(BambooHrClient(BambooHrSettings(base_url=BASE, api_key="key")))  # type: ignore[arg-type]


def refusal(status: int, reason: str) -> httpx.Response:
    return httpx.Response(status, headers={"X-BambooHR-Error-Message": reason})


def page(*lines: dict[str, object], cursor: str | None = None) -> httpx.Response:
    meta = {"total": 1, "page": {"limit": 1, "nextCursor": cursor, "prevCursor": None}}
    return httpx.Response(200, json={"data": list(lines), "meta": meta, "_links": {}})


LINE = {"employeeId": "7", "firstName": "Ada", "lastName": "Lovelace", "workEmail": ADA["workEmail"], "_restrictedFields": []}


@respx.mock
@pytest.mark.parametrize(
    "location",
    [
        f"{BASE}/employees/employee.php?id=123",
        f"{BASE}/api/v1/employees/123",
        "https://api.example/api/gateway.php/acme/v1/employees/123/",
    ],
)
def test_the_id_is_read_from_the_location(sink: BambooHrSink, location: str) -> None:
    respx.post(f"{BASE}/api/v1/employees").respond(201, headers={"Location": location})
    assert sink.create(MARKER, ADA) == "123"


@respx.mock
@pytest.mark.parametrize("headers", [{}, {"Location": ""}, {"Location": f"{BASE}/home"}, {"Location": "/employees/1?id=2"}])
def test_a_creation_without_a_usable_location_is_unknown(sink: BambooHrSink, headers: dict[str, str]) -> None:
    respx.post(f"{BASE}/api/v1/employees").respond(201, headers=headers)
    with pytest.raises(OutcomeUnknown):
        sink.create(MARKER, ADA)


@respx.mock
def test_a_duplicate_is_taken_and_names_the_field_but_not_the_person(sink: BambooHrSink) -> None:
    reason = "Duplicate Work Email: ada.lovelace@acme.example is used by Lovelace"
    respx.post(f"{BASE}/api/v1/employees").mock(return_value=refusal(409, reason))
    with pytest.raises(AlreadyTaken) as caught:
        sink.create(MARKER, ADA)
    assert caught.value.field == "workEmail"
    assert "ada" not in str(caught.value).lower()
    assert "lovelace" not in str(caught.value).lower()


@respx.mock
def test_a_duplicate_whose_holder_cannot_be_looked_up_is_a_plain_refusal(sink: BambooHrSink) -> None:
    respx.post(f"{BASE}/api/v1/employees").mock(return_value=refusal(409, "Duplicate home email"))
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, {**ADA, "homeEmail": "ada@example.org"})
    assert (type(caught.value), caught.value.field) == (Refused, "homeEmail")


@respx.mock
def test_an_invalid_value_is_refused_and_names_the_field(sink: BambooHrSink) -> None:
    respx.post(f"{BASE}/api/v1/employees").mock(return_value=refusal(409, "Invalid hire date"))
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, ADA)
    assert (caught.value.field, caught.value.cause) == ("hireDate", "http_409")


@respx.mock
def test_a_web_page_instead_of_an_empty_success_is_unknown(sink: BambooHrSink) -> None:
    respx.post(f"{BASE}/api/v1/employees/7").respond(200, html="<html></html>")
    with pytest.raises(OutcomeUnknown):
        sink.update("7", ADA)


@respx.mock
def test_a_list_that_moves_while_it_is_read_is_read_again_later(sink: BambooHrSink) -> None:
    bad = httpx.Response(400, json={"error": {"code": "BadPage", "message": "moved"}})
    respx.get(f"{BASE}/api/v1/employees").mock(side_effect=[page(cursor="next"), bad])
    with pytest.raises(RetryLater) as caught:
        sink.find(MARKER, ADA)
    assert caught.value.cause == "page_moved"


@respx.mock
def test_a_list_that_repeats_a_page_does_not_go_on_for_ever(sink: BambooHrSink) -> None:
    respx.get(f"{BASE}/api/v1/employees").mock(return_value=page(cursor="same"))
    with pytest.raises(RetryLater):
        sink.find(MARKER, ADA)


@respx.mock
def test_a_hidden_work_email_is_not_taken_for_absence(sink: BambooHrSink) -> None:
    hidden = {**LINE, "workEmail": None, "_restrictedFields": ["workEmail"]}
    respx.get(f"{BASE}/api/v1/employees").mock(return_value=page(hidden))
    with pytest.raises(Refused) as caught:
        sink.find(MARKER, ADA)
    assert (caught.value.field, caught.value.cause) == ("workEmail", "forbidden")


@respx.mock
def test_a_hidden_marker_is_not_taken_for_a_namesake(sink: BambooHrSink) -> None:
    respx.get(f"{BASE}/api/v1/employees").mock(return_value=page(LINE))
    respx.get(f"{BASE}/api/v1/employees/7").respond(json={"id": "7", "workEmail": ADA["workEmail"]})
    respx.get(f"{BASE}/api/v1/employees/7/tables/employmentStatus").respond(json=[])
    with pytest.raises(Refused) as caught:
        sink.find(MARKER, ADA)
    assert caught.value.field == "employeeNumber"


@respx.mock
def test_an_answer_of_another_shape_is_read_again_later(sink: BambooHrSink) -> None:
    respx.get(f"{BASE}/api/v1/employees/7").respond(json=["surprise"])
    with pytest.raises(RetryLater) as caught:
        sink.read("7")
    assert caught.value.cause == "unreadable_answer"


@respx.mock
def test_an_answer_of_great_depth_is_read_again_later(sink: BambooHrSink) -> None:
    respx.get(f"{BASE}/api/v1/employees/7").respond(text="[" * 100_000)
    with pytest.raises(RetryLater):
        sink.read("7")


@respx.mock
def test_a_refusal_tells_no_number_and_no_part_of_a_name(sink: BambooHrSink) -> None:
    family = "Wolfeschlegelsteinhausenbergerdorff"
    respx.post(f"{BASE}/api/v1/employees").mock(return_value=refusal(409, f"Invalid SSN 123-45-6789 {'x' * 160} of {family}"))
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, {**ADA, "ssn": "123456789", "lastName": family})
    assert caught.value.field == "ssn"
    assert "6789" not in str(caught.value)
    assert "Wolf" not in str(caught.value)


def hints(now: datetime, cursor: str | None = None) -> EventPage:
    client = BambooHrClient(BambooHrSettings(base_url=BASE, api_key="key"))  # type: ignore[arg-type]
    return BambooHrBackfill(client, now=lambda: now).missed(cursor)


def changed(**employees: object) -> httpx.Response:
    return httpx.Response(200, json={"latest": AT.isoformat(), "employees": employees})


@respx.mock
def test_a_second_change_within_a_second_that_was_told_is_told_once_that_second_is_over() -> None:
    respx.get(CHANGED).mock(return_value=changed(**{"7": {"action": "Updated", "lastChanged": AT.isoformat()}}))
    first, again, over, ever = (hints(AT + timedelta(seconds=n), AT.isoformat()).events[0] for n in (0, 30, 130, 400))
    assert first.external_id == again.external_id != over.external_id == ever.external_id


@respx.mock
def test_what_changed_in_an_open_second_is_read_again_though_others_changed_since() -> None:
    route = respx.get(CHANGED).mock(return_value=changed(**{"8": {"action": "Updated", "lastChanged": AT.isoformat()}}))
    hints(AT + timedelta(minutes=1), AT.isoformat())
    since = datetime.fromisoformat(route.calls[0].request.url.params["since"])
    assert since <= AT - OPEN


@respx.mock
@pytest.mark.parametrize("day", ["9999-12-31T23:59:59-14:00", "2031-01-01T00:00:00Z"])
def test_a_change_in_the_future_hides_none_before_it(day: str) -> None:
    respx.get(CHANGED).mock(return_value=changed(**{"7": {"action": "Updated", "lastChanged": day}}))
    page = hints(AT)
    assert datetime.fromisoformat(page.cursor) <= AT
    route = respx.get(CHANGED).mock(return_value=changed())
    hints(AT, "2031-01-01T00:00:00+00:00")
    assert datetime.fromisoformat(route.calls[-1].request.url.params["since"]) <= AT


@respx.mock
def test_one_odd_change_hides_no_other() -> None:
    odd = {"1": {"action": "Transferred"}, "2": {"lastChanged": "yesterday"}, "3": {"lastChanged": None}, "x\0": {}, "": {}}
    respx.get(CHANGED).mock(return_value=changed(**odd, **{"7": {"action": "Deleted", "lastChanged": AT.isoformat()}}))
    assert {event.subject_id: event.kind for event in hints(AT).events} == {
        **dict.fromkeys("123", "employee.updated"), "7": "employee.deleted",
    }  # fmt: skip


@pytest.mark.parametrize("cursor", ["page 2", "0001-01-01T00:00:00+14:00"])
def test_a_cursor_of_another_kind_is_refused(cursor: str) -> None:
    with pytest.raises(Refused) as caught:
        hints(AT, cursor)
    assert caught.value.cause == "bad_cursor"


@respx.mock
def test_an_id_from_outside_cannot_leave_its_path(sink: BambooHrSink) -> None:
    route = respx.get(url__regex=rf"{BASE}/api/v1/employees/7%2F\.\.%2F8\?.*").respond(404)
    with pytest.raises(Refused):
        sink.read("7/../8")
    assert route.called


@pytest.mark.parametrize(
    "base_url", ["http://acme.example", "https://acme.example/path", "https://user@acme.example", "https://acme.example:x", ""]
)
def test_only_a_plain_https_origin_is_accepted(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        BambooHrSettings(base_url=base_url, api_key="key")  # type: ignore[arg-type]
