"""Prefect's troubles mean "later", and say nothing about our own work."""

from __future__ import annotations

import httpx
import pytest
from prefect.exceptions import Abort, CancelledRun, CrashedRun, FailedRun, ObjectNotFound, PrefectHTTPStatusError

from flows.prefect_runs import prefect_as_retry_later
from workforce.errors import Fenced, HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater

REQUEST = httpx.Request("POST", "http://127.0.0.1:4200/api/flow_runs/")

PREFECTS = [
    httpx.ConnectError("refused", request=REQUEST),
    httpx.ReadTimeout("no answer", request=REQUEST),
    httpx.RemoteProtocolError("cut off", request=REQUEST),
    httpx.HTTPStatusError("500", request=REQUEST, response=httpx.Response(500, request=REQUEST)),
    PrefectHTTPStatusError("503", request=REQUEST, response=httpx.Response(503, request=REQUEST)),
    ObjectNotFound(Exception("no such run")),
    FailedRun("the run failed"),
    CrashedRun("the run crashed"),
    CancelledRun("the run was cancelled"),
    Abort("this run has already terminated"),
]
OURS: list[HubError] = [
    RetryLater("away", cause="throttled", after_seconds=7), OutcomeUnknown("no answer"), Refused("no"), Fenced("stale"), Misconfigured("mend it"),
]  # fmt: skip


@pytest.mark.parametrize("error", PREFECTS, ids=lambda error: type(error).__name__)
def test_a_trouble_of_prefect_means_later(error: BaseException) -> None:
    with pytest.raises(RetryLater, match=type(error).__name__) as raised, prefect_as_retry_later():
        raise error
    assert (raised.value.cause, raised.value.__cause__) == ("prefect_failed", error)


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
def test_our_own_errors_pass_as_they_are(error: HubError) -> None:
    with pytest.raises(type(error)) as raised, prefect_as_retry_later():
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), KeyError("x"), ConnectionResetError(), KeyboardInterrupt(), SystemExit(1)]
)
def test_a_defect_and_the_end_of_the_process_pass_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, prefect_as_retry_later():
        raise error
    assert raised.value is error


def test_what_goes_well_is_left_alone() -> None:
    with prefect_as_retry_later():
        done = True
    assert done
