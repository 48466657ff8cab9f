"""Envelopes and answers of DocuSign: versions, limits, reasons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.docusign.limits import BURST_WINDOW_SECONDS, DIALECT, POLLING_SECONDS, seconds_to_reset
from connectors.docusign.records import Envelope
from connectors.http import Verdict
from workforce.engagement import canonical
from workforce.errors import Refused, RetryLater

instants = st.datetimes(
    min_value=datetime.fromisoformat("2000-01-01"),
    max_value=datetime.fromisoformat("2100-01-01"),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-8))]),
)


def an_envelope(**changes: Any) -> Envelope:
    values = {"envelopeId": "e-1", "status": "sent", "statusChangedDateTime": "2026-03-01T12:00:00.0000000Z", **changes}
    return canonical(Envelope, values, source="DocuSign envelope")


def answer(status: int, code: object = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"errorCode": code, "message": "canary"}, headers=headers)


@given(instants, instants)
def test_versions_sort_as_their_instants(one: datetime, other: datetime) -> None:
    versions = [an_envelope(statusChangedDateTime=moment.isoformat()).version for moment in (one, other)]
    assert (versions[0] < versions[1]) == (one < other)


def test_an_edit_after_the_last_status_is_a_newer_version() -> None:
    assert an_envelope(lastModifiedDateTime="2026-03-01T12:00:01Z").version > an_envelope().version


def test_an_envelope_without_an_instant_has_no_version() -> None:
    with pytest.raises(Refused) as raised:
        _ = canonical(Envelope, {"envelopeId": "e-1", "status": "sent"}, source="DocuSign envelope").version
    assert raised.value.field == "statusChangedDateTime"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"status": None}, "status"),
        ({"completedDateTime": "canary"}, "completedDateTime"),
        ({"customFields": []}, "customFields"),
    ],
)
def test_a_wrong_field_is_named_and_not_quoted(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as raised:
        an_envelope(**changes)
    assert raised.value.field == field
    assert "canary" not in str(raised.value)


def test_only_known_fields_are_kept_and_instants_stay_as_written() -> None:
    kept = an_envelope(purgeState="unpurged", sender={"email": "a@b.example"}).model_dump(by_alias=True, exclude_none=True)
    assert kept == {"envelopeId": "e-1", "status": "sent", "statusChangedDateTime": "2026-03-01T12:00:00.0000000Z"}


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        (answer(400, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED"), Verdict.THROTTLED),
        (answer(400, "BURST_APIINVOCATION_LIMIT_EXCEEDED"), Verdict.THROTTLED),
        (answer(400, "Hourly_Envelope_Polling_Limit_Exceeded"), Verdict.THROTTLED),
        (answer(400, "ENVELOPE_DOES_NOT_EXIST"), Verdict.NOT_FOUND),
        (answer(404, "ENVELOPE_DOES_NOT_EXIST"), Verdict.NOT_FOUND),
        (answer(400, "INVALID_REQUEST_PARAMETER"), Verdict.REFUSED),
        (answer(400, ["HOURLY_APIINVOCATION_LIMIT_EXCEEDED"]), Verdict.REFUSED),
        (answer(401, "AUTHORIZATION_INVALID_TOKEN"), Verdict.UNAUTHENTICATED),
        (answer(429), Verdict.THROTTLED),
        (answer(500, "BURST_APIINVOCATION_LIMIT_EXCEEDED"), Verdict.UNAVAILABLE),
        (httpx.Response(400, content=b"<html>"), Verdict.REFUSED),
        (httpx.Response(400, content=b"[" * 100_000), Verdict.REFUSED),
        (httpx.Response(200, json={"errorCode": "BURST_X"}), Verdict.OK),
    ],
)
def test_an_answer_means_what_its_error_code_says(response: httpx.Response, verdict: Verdict) -> None:
    assert DIALECT.verdict(response) is verdict


def test_the_reason_is_the_code_and_never_the_message() -> None:
    assert DIALECT.reason(answer(400, "INVALID_REQUEST_PARAMETER")) == "INVALID_REQUEST_PARAMETER"
    assert "canary" not in DIALECT.reason(answer(400, "canary <b>not</b> a code"))


def test_each_limit_asks_for_its_own_wait() -> None:
    assert DIALECT.wait(answer(400, "BURST_APIINVOCATION_LIMIT_EXCEEDED")) == BURST_WINDOW_SECONDS
    with pytest.raises(RetryLater) as raised:  # and not for the whole account
        DIALECT.wait(answer(400, "Hourly_Envelope_Polling_Limit_Exceeded"))
    assert raised.value.after_seconds == POLLING_SECONDS
    assert DIALECT.wait(answer(429, **{"Retry-After": "9"})) == 9.0
    assert DIALECT.wait(answer(429)) is None
    hourly = DIALECT.wait(answer(400, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED", **{"X-RateLimit-Reset": "1800"}))
    assert hourly == 1800.0


NOON = datetime(2026, 3, 1, 12, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (str(int(NOON.timestamp()) + 600), 600.0),
        ("600", 600.0),
        (str(int(NOON.timestamp()) - 1), 2400.0),
        (str(int(NOON.timestamp()) + 86400), 2400.0),
        ("0", 2400.0),
        ("soon", 2400.0),
        ("", 2400.0),
        (None, 2400.0),
        ("9" * 50, 2400.0),
    ],
)
def test_the_hourly_window_ends_at_the_reset_or_with_the_hour(header: str | None, seconds: float) -> None:
    assert seconds_to_reset(header, NOON) == seconds


@given(st.none() | st.text(max_size=20), instants)
def test_an_hourly_limit_always_asks_for_some_wait_within_the_hour(header: str | None, now: datetime) -> None:
    assert 0 < seconds_to_reset(header, now) <= 3600
