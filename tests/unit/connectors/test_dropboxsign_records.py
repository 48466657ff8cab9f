"""Requests and answers of Dropbox Sign: versions, verdicts, settings."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.dropboxsign.client import DIALECT
from connectors.dropboxsign.records import SignatureRequest
from connectors.dropboxsign.settings import DropboxSignSettings
from connectors.dropboxsign.signing import VERSION_OF_DELETED
from connectors.http import Verdict

epochs = st.integers(min_value=1, max_value=4_000_000_000)


def a_request(**changes: Any) -> SignatureRequest:
    flags = {"is_complete": False, "is_declined": False, "has_error": False}
    return SignatureRequest.model_validate({"signature_request_id": "r-1", "created_at": 1000, **flags, **changes})


def answer(status: int, name: object = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"error_name": name, "error_msg": "canary"}}, headers=headers)


@given(epochs, epochs)
def test_each_step_of_a_request_is_a_newer_version(one: int, other: int) -> None:
    viewed = a_request(signatures=[{"last_viewed_at": one}, {"last_viewed_at": other}])
    signed = a_request(signatures=[{"signed_at": one}, {"last_viewed_at": other}])
    complete = a_request(is_complete=True, signatures=[{"signed_at": one}, {"signed_at": other}])
    declined = a_request(is_declined=True, signatures=[{"last_viewed_at": one}])
    assert a_request().version <= viewed.version < signed.version < complete.version < VERSION_OF_DELETED
    assert viewed.version < declined.version < VERSION_OF_DELETED


def test_a_signature_is_newer_though_who_had_looked_at_it_was_replaced() -> None:
    looked = a_request(signatures=[{"last_viewed_at": 5000}])
    signed_by_another = a_request(signatures=[{"signed_at": 4000}])
    assert signed_by_another.version > looked.version


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "sent"),
        ({"has_error": True}, "error"),
        ({"is_declined": True, "has_error": True}, "declined"),
        ({"is_complete": True, "has_error": True}, "completed"),
    ],
)
def test_the_three_flags_are_one_word(changes: dict[str, Any], state: str) -> None:
    assert a_request(**changes).state == state


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        (answer(403, "exceeded_rate"), Verdict.THROTTLED),
        (answer(429, "exceeded_rate"), Verdict.THROTTLED),
        (answer(429), Verdict.THROTTLED),
        (answer(403, "forbidden"), Verdict.FORBIDDEN),
        (answer(401, "unauthorized"), Verdict.UNAUTHENTICATED),
        (answer(402, "payment_required"), Verdict.REFUSED),
        (answer(404, "not_found"), Verdict.NOT_FOUND),
        (answer(410, "deleted"), Verdict.REFUSED),
        (answer(503, "maintenance"), Verdict.UNAVAILABLE),
        (httpx.Response(200, json={"error": {"error_name": "exceeded_rate"}}), Verdict.OK),
        (httpx.Response(400, content=b"<html>"), Verdict.REFUSED),
        (httpx.Response(400, content=b"[" * 100_000), Verdict.REFUSED),
        (httpx.Response(400, json={"error": ["exceeded_rate"]}), Verdict.REFUSED),
    ],
)
def test_an_answer_means_what_its_name_says(response: httpx.Response, verdict: Verdict) -> None:
    assert DIALECT.verdict(response) is verdict


def test_the_reason_is_the_name_and_never_the_message() -> None:
    assert DIALECT.reason(answer(400, "bad_request")) == "bad_request"
    assert "canary" not in DIALECT.reason(answer(400, "canary <b>"))


def test_a_throttled_call_waits_for_the_reset() -> None:
    rest = DIALECT.wait(answer(429, "exceeded_rate", **{"X-Ratelimit-Reset": str(int(time.time()) + 600)}))
    assert rest == pytest.approx(600, abs=5)
    assert DIALECT.wait(answer(429, **{"Retry-After": "9", "X-Ratelimit-Reset": "1"})) == 9.0


@pytest.mark.parametrize("reset", ["", "soon", "-1", "1430170900", "9" * 12, "9" * 50, "\uff11"])
def test_a_reset_that_is_past_or_senseless_asks_for_nothing(reset: str) -> None:
    assert DIALECT.wait(httpx.Response(429, headers=[(b"x-ratelimit-reset", reset.encode())])) is None


KEY = "k" * 64


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("api_key", ""),
        ("earlier_api_keys", [""]),
        ("base_url", "http://api.hellosign.com/v3"),
        ("base_url", "https://api.hellosign.com/v3/"),
        ("base_url", "https://api.hellosign.com/v3?x=1"),
        ("work_order_field", "x" * 41),
        ("timeout_seconds", 0),
        ("backfill_hours", -1),
        ("backfill_days", 0),
        ("surprise", "1"),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        DropboxSignSettings.model_validate({"api_key": KEY, field: value})
    assert raised.value.errors(include_input=False)[0]["loc"][0] == field


def test_keys_do_not_show() -> None:
    settings = DropboxSignSettings.model_validate({"api_key": KEY, "earlier_api_keys": [KEY]})
    assert KEY not in f"{settings!r} {settings.model_dump_json()}"
