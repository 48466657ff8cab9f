"""What Checkr's answers mean: verdicts, refusals and waits."""

from __future__ import annotations

from itertools import product

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.checkr.records import Invitation, Report, parse
from connectors.checkr.refusals import refusal, wait_seconds
from connectors.checkr.screening import Progress, verdict_of
from connectors.checkr.settings import CheckrSettings
from connectors.http import MAX_RETRY_AFTER_SECONDS
from workforce.errors import HubError, OutcomeUnknown, Refused, RetryLater
from workforce.screening import ScreeningVerdict

STATUSES = ("pending", "complete", "suspended", "dispute", "canceled", "paused", "something new")
RESULTS = ("clear", "consider", None)
ADJUDICATIONS = ("engaged", "pre_adverse_action", "post_adverse_action", "something new", None)
ASSESSMENTS = ("eligible", "review", "escalated", None)
SENT = {"email": "ada@home.example", "first_name": "Ada"}


def a_report(**fields: object) -> Report:
    return Report.model_validate({"id": "r1", "status": "complete", "result": "clear", "candidate_id": "c1", **fields})


def an_answer(status: int, error: object = None, **headers: str) -> httpx.Response:
    request = httpx.Request("POST", "https://api.checkr.example/v1/invitations")
    return httpx.Response(status, json={"error": error}, headers=headers, request=request)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ScreeningVerdict.CLEAR),
        ({"assessment": "eligible"}, ScreeningVerdict.CLEAR),
        ({"result": "consider", "adjudication": "engaged"}, ScreeningVerdict.CLEAR),
        ({"result": None}, ScreeningVerdict.REVIEW),
        ({"result": "consider"}, ScreeningVerdict.REVIEW),
        ({"includes_canceled": True}, ScreeningVerdict.REVIEW),
        ({"assessment": "escalated"}, ScreeningVerdict.REVIEW),
        ({"assessment": "review"}, ScreeningVerdict.REVIEW),
        ({"adjudication": "pre_adverse_action"}, ScreeningVerdict.REVIEW),
        ({"result": "consider", "adjudication": "post_adverse_action"}, ScreeningVerdict.REVIEW),
        ({"status": "suspended"}, ScreeningVerdict.REVIEW),
        ({"status": "paused"}, ScreeningVerdict.REVIEW),
        ({"status": "dispute", "adjudication": "engaged"}, ScreeningVerdict.REVIEW),
        ({"status": "pending", "result": None}, ScreeningVerdict.PENDING),
        ({"status": "canceled", "result": None}, ScreeningVerdict.CANCELED),
    ],
)
def test_complete_is_not_passed(fields: dict[str, object], expected: ScreeningVerdict) -> None:
    assert verdict_of(a_report(**fields)) is expected


def test_of_all_reports_only_the_complete_that_are_clear_throughout_or_engaged_clear() -> None:
    for status, result, adjudication, assessment, canceled in product(
        STATUSES, RESULTS, ADJUDICATIONS, ASSESSMENTS, (True, False)
    ):
        report = a_report(
            status=status, result=result, adjudication=adjudication, assessment=assessment, includes_canceled=canceled
        )
        is_whole = result == "clear" and adjudication is None and assessment in {None, "eligible"} and not canceled
        may_clear = status == "complete" and (is_whole or adjudication == "engaged")
        assert (verdict_of(report) is ScreeningVerdict.CLEAR) == may_clear


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "pending"}, ScreeningVerdict.PENDING),
        ({"status": "completed"}, ScreeningVerdict.PENDING),
        ({"status": "expired"}, ScreeningVerdict.REVIEW),
        ({"status": "pending", "deleted_at": "2026-03-02T12:00:00Z"}, ScreeningVerdict.CANCELED),
    ],
)
def test_before_there_is_a_report_the_invitation_counts(fields: dict[str, object], expected: ScreeningVerdict) -> None:
    progress = Progress(invitation=Invitation.model_validate({"id": "i1", "candidate_id": "c1", **fields}))
    assert progress.verdict is expected


@pytest.mark.parametrize(
    ("status", "error", "kind", "cause"),
    [
        (409, "Duplicate report: no more than 3 reports per candidate in 24 hours", Refused, "duplicate_report"),
        (409, ["Duplicate candidate"], Refused, "duplicate_candidate"),
        (409, "A request with this idempotency key is in progress", OutcomeUnknown, "in_flight"),
        (404, "Package not found", Refused, "unknown_package"),
        (404, {"message": "Candidate not found"}, RetryLater, "lagging"),
        (400, None, Refused, "http_400"),
    ],
)
def test_a_refusal_says_what_to_do_next(status: int, error: object, kind: type[HubError], cause: str) -> None:
    told = refusal(an_answer(status, error), SENT)
    assert (type(told), told.cause) == (kind, cause)


@given(st.sampled_from(["email ada@home.example is taken", "other@home.example", "first_name ADA is invalid", "Ada"]))
def test_a_refusal_repeats_nothing_about_the_person(text: str) -> None:
    told = str(refusal(an_answer(400, [text, {"message": text}]), SENT)).lower()
    assert "home.example" not in told
    assert "ada " not in f"{told} "


@pytest.mark.parametrize("padding", range(180, 320, 7))
def test_a_refusal_that_is_shortened_repeats_no_half_of_a_name(padding: int) -> None:
    sent = {"email": "ada@home.example", "last_name": "Featherstonehaugh"}
    told = str(refusal(an_answer(400, "x" * padding + " Featherstonehaugh and ada@home.example are odd"), sent))
    assert "Fea" not in told
    assert "ada" not in told


def test_a_refusal_holds_nothing_that_a_database_cannot_keep() -> None:
    assert str(refusal(an_answer(400, "odd\x00 \x1b[31mtext\n"), SENT)).isprintable()


@pytest.mark.parametrize(
    "content",
    [b'{"id": "r1", "status": "pending"', b"[]", b"", b"[" * 100_000, b'{"id": "r1", "status": "\\ud800"}',
     b'{"id": "r1", "status": "pending", "created_at": "0001-01-01T00:00:00+14:00"}'],
)  # fmt: skip
def test_an_answer_that_is_no_report_is_asked_for_again(content: bytes) -> None:
    with pytest.raises(RetryLater):
        parse(Report, content)


@pytest.mark.parametrize(
    "wrong", [{"api_key": 4711_4711}, {"api_key": "", "apikey": "4711_4711"}, {"webhook_keys": {"47114711": 1}}]
)
def test_a_form_that_is_refused_quotes_no_secret(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        CheckrSettings.model_validate({"api_key": "right", **wrong})
    assert "4711" not in str(caught.value)


def test_an_empty_webhook_key_which_anybody_could_sign_with_is_refused() -> None:
    with pytest.raises(ValidationError, match="webhook_keys"):
        CheckrSettings.model_validate({"api_key": "right", "webhook_keys": [""]})


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_error_body_makes_it_crash(error: object) -> None:
    assert isinstance(refusal(an_answer(400, error), SENT), Refused)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": "2026-03-02T12:00:30Z"}, 30.0),
        ({"x-ratelimit-reset": "2026-03-02T12:00:30"}, 30.0),
        ({"x-ratelimit-reset": "2026-03-02T13:00:30+01:00"}, 30.0),
        ({"x-ratelimit-reset": "2026-03-02T11:59:00Z"}, 0.0),
        ({"x-ratelimit-reset": "2099-01-01T00:00:00Z"}, MAX_RETRY_AFTER_SECONDS),
        ({"x-ratelimit-reset": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "7"}, 7.0),
        ({}, None),
    ],
)
def test_the_wait_is_until_the_reset_by_checkrs_own_clock(headers: dict[str, str], seconds: float | None) -> None:
    response = httpx.Response(429, headers={"date": "Mon, 02 Mar 2026 12:00:00 GMT", **headers})
    assert wait_seconds(response) == seconds
