"""WorkMarket's unsigned webhooks, the verdict of its answers, and the settings form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.http import Verdict
from connectors.workmarket.cursor import Cursor
from connectors.workmarket.records import reason, verdict
from connectors.workmarket.sandbox import WorkMarketSandbox
from connectors.workmarket.settings import WorkMarketSettings
from connectors.workmarket.webhooks import WorkMarketWebhooks
from workforce.errors import BadSignature, Refused, UnusableContent

SANDBOX = WorkMarketSandbox()
FORM = SANDBOX.settings("https://localhost", Path("ca.pem"))
OTHER = "another secret 16+"


def webhooks(**form: Any) -> WorkMarketWebhooks:
    return WorkMarketWebhooks(WorkMarketSettings.model_validate({**FORM, **form}))


def test_each_active_secret_is_accepted_while_one_replaces_the_other() -> None:
    both = webhooks(webhook_secrets=[OTHER, SANDBOX.webhook_secret])
    for secret in (OTHER, SANDBOX.webhook_secret):
        both.verify({"x-stint-secret": secret}, b"anything")


@pytest.mark.parametrize("given_secret", ["", "wrong", OTHER[:-1], f"{OTHER} ", OTHER.upper(), "\udc80", "é"])
def test_any_other_secret_is_not(given_secret: str) -> None:
    with pytest.raises(BadSignature) as raised:
        webhooks(webhook_secrets=[OTHER]).verify({"x-stint-secret": given_secret}, b"{}")
    assert OTHER not in str(raised.value)


@pytest.mark.parametrize(("form", "cause"), [({}, "missing_signature"), ({"webhook_secrets": []}, "no_key")])
def test_without_header_or_without_secrets_nothing_is_accepted(form: dict[str, Any], cause: str) -> None:
    with pytest.raises(BadSignature) as raised:
        webhooks(**form).verify({}, b"{}")
    assert raised.value.cause == cause


def test_the_same_body_is_the_same_event_and_another_moment_is_another() -> None:
    assignment = SANDBOX.add_assignment()
    _, body = SANDBOX.webhook(assignment, "Accepted")
    (event,), (again,) = webhooks().events(body), webhooks().events(body)
    assert event == again
    assert (event.kind, event.subject_id) == ("Accepted", assignment)
    SANDBOX.change(assignment, last="x", status="sent")
    later = body.replace(b'"at": "', b'"at": "1')
    assert webhooks().events(later)[0].external_id != event.external_id


def test_a_number_is_an_id_too() -> None:
    assert webhooks().events(b'{"event": "Cancel", "assignment_id": 1234567890}')[0].subject_id == "1234567890"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"event": "x"}', b'{"event": "x", "assignment_id": "${assignment_id}"}',
     b'{"event": "x", "assignment_id": "../get"}', b'{"event": "x", "assignment_id": ""}', b"\xff"],
)  # fmt: skip
def test_a_body_that_was_not_agreed_is_unusable(body: bytes) -> None:
    with pytest.raises(UnusableContent):
        webhooks().events(body)


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (200, {"meta": {"errors": [], "status_code": 200}}, Verdict.OK),
        (200, {"meta": {}}, Verdict.OK),
        (200, {"meta": {"errors": [{"message": "Title is a required field"}]}}, Verdict.REFUSED),
        (200, {"meta": {"errors": [{"message": "Invalid access token"}]}}, Verdict.UNAUTHENTICATED),
        (200, {"meta": {"errors": [], "status_code": 401}}, Verdict.UNAUTHENTICATED),
        (200, {"meta": {"errors": [{"code": 1}], "status_code": 403}}, Verdict.FORBIDDEN),
        (200, {"meta": {"errors": [{"message": "Assignment not found"}], "status_code": 400}}, Verdict.NOT_FOUND),
        (200, {"meta": {"errors": [], "status_code": 429}}, Verdict.THROTTLED),
        (200, {"meta": {"errors": [], "status_code": 500}}, Verdict.UNAVAILABLE),
        (200, {"meta": {"errors": "many"}}, Verdict.OK),
        (200, {"meta": {"errors": ["Invalid access token"]}}, Verdict.UNAUTHENTICATED),
        (200, {"meta": {"errors": ["Title 'Token Engineer' is taken"], "status_code": 400}}, Verdict.REFUSED),
        (200, [], Verdict.OK),
        (429, {}, Verdict.THROTTLED),
        (500, {"meta": {"status_code": 404}}, Verdict.UNAVAILABLE),
    ],
)
def test_the_answer_s_head_decides_where_http_says_200(status: int, content: object, expected: Verdict) -> None:
    assert verdict(httpx.Response(status, json=content)) is expected


def test_a_reason_names_codes_and_the_request_and_quotes_no_message() -> None:
    errors = [{"code": "email.invalid", "message": "ada@acme.example is not valid"}, {"code": "ada@acme.example"}]
    told = reason(httpx.Response(200, json={"meta": {"errors": errors, "requestId": "abc123"}}))
    assert told == "email.invalid, abc123"
    assert reason(httpx.Response(502, text="<html>")) == "Bad Gateway"


@given(st.text(max_size=60))
def test_a_foreign_cursor_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        Cursor.decode(text)


@given(
    st.integers(0, 2**60), st.integers(0, 10**6), st.none() | st.integers(0, 2**60), st.dictionaries(st.text(max_size=9), st.integers(0, 2**60))
)  # fmt: skip
def test_a_cursor_survives_its_text(since: int, start: int, began: int | None, told: dict[str, int]) -> None:
    cursor = Cursor(since, start, began, told, told)
    assert Cursor.decode(cursor.encode()) == cursor


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "http://www.workmarket.com"),
        ("base_url", "https://www.workmarket.com/v1"),
        ("api_token", ""),
        ("webhook_secrets", ["too short"]),
        ("webhook_secrets", ["canary with a line\nbreak in it"]),
        ("time_unit", "minutes"),
        ("page_size", 5),
        ("end_assigned_with", "delete"),
        ("surprise", 1),
    ],
)
def test_a_wrong_field_is_named_and_not_quoted(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        WorkMarketSettings.model_validate({**FORM, field: value})
    fault = raised.value.errors(include_input=False)[0]
    assert fault["loc"][0] == field
    assert "canary" not in fault["msg"]
