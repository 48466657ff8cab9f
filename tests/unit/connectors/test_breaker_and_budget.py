"""A vendor that does not serve is left alone, a published limit is kept, and revocations pass both."""

from __future__ import annotations

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from connectors.wire.breaker import FAILURES_TO_OPEN, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Breaker
from connectors.wire.budget import Allowance, Budget, Budgets, Remainder, Spending
from workforce.errors import RetryLater
from workforce.urgency import is_revoking, revoking

CALL = httpx.Request("GET", "https://vendor.example/")


class Time:
    """Seconds that pass only when told to; a sleep makes them pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def an_open_breaker(time: Time) -> Breaker:
    breaker = Breaker("Vendor", time)
    for _ in range(FAILURES_TO_OPEN):
        breaker.admit()
        breaker.failed("http_500")
    return breaker


def test_single_failures_between_successes_open_nothing(time: Time) -> None:
    breaker = Breaker("Vendor", time)
    for _ in range(FAILURES_TO_OPEN * 3):
        breaker.admit()
        breaker.failed("http_500")
        breaker.served()
    breaker.admit()


def test_after_failures_in_a_row_calls_are_put_off_for_the_rest_of_the_pause(time: Time) -> None:
    breaker = an_open_breaker(time)
    time.sleep(2.0)
    with pytest.raises(RetryLater) as raised:
        breaker.admit()
    assert (raised.value.cause, raised.value.after_seconds) == ("circuit_open", FIRST_PAUSE_SECONDS - 2.0)


def test_after_the_pause_one_call_goes_first_and_the_others_wait_for_it(time: Time) -> None:
    breaker = an_open_breaker(time)
    time.sleep(FIRST_PAUSE_SECONDS)
    breaker.admit()
    with pytest.raises(RetryLater):
        breaker.admit()
    breaker.served()
    breaker.admit()


def test_each_failed_trial_doubles_the_pause_up_to_a_minute(time: Time) -> None:
    breaker, pauses = an_open_breaker(time), []
    for _ in range(6):
        with pytest.raises(RetryLater) as raised:
            breaker.admit()
        pauses.append(raised.value.after_seconds or 0.0)
        time.sleep(pauses[-1])
        breaker.admit()
        breaker.failed("http_500")
    assert pauses == [5.0, 10.0, 20.0, 40.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_calls_that_were_under_way_when_it_opened_do_not_prolong_the_pause(time: Time) -> None:
    breaker = an_open_breaker(time)
    for _ in range(20):
        breaker.failed("ReadTimeout")
    with pytest.raises(RetryLater) as raised:
        breaker.admit()
    assert raised.value.after_seconds == FIRST_PAUSE_SECONDS


def test_revocations_that_fail_put_nobody_else_s_trial_off(time: Time) -> None:
    breaker = an_open_breaker(time)
    time.sleep(FIRST_PAUSE_SECONDS)
    with revoking():
        breaker.admit()
        breaker.failed("ReadTimeout")
    breaker.admit()


def test_unavailable_is_logged_once_and_back_once(time: Time) -> None:
    with structlog.testing.capture_logs() as logs:
        breaker = an_open_breaker(time)
        breaker.served()
        breaker.served()
    assert [(line["event"], line["system"]) for line in logs] == [("system.unavailable", "Vendor"), ("system.back", "Vendor")]


def test_a_revocation_passes_an_open_breaker(time: Time) -> None:
    breaker = an_open_breaker(time)
    with revoking():
        breaker.admit()
    with pytest.raises(RetryLater):
        breaker.admit()


def test_revoking_ends_with_its_block_and_may_be_nested() -> None:
    assert not is_revoking()
    with revoking():
        with revoking():
            assert is_revoking()
        assert is_revoking()
    assert not is_revoking()


@given(gaps=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60), units=st.integers(2, 12))
def test_no_span_ever_holds_more_than_the_budget_and_ordinary_work_leaves_a_fifth(gaps: list[float], units: int) -> None:
    time, seconds = Time(), 5.0
    spending, sent = Spending("Vendor", Budget(units, seconds), time), []
    for gap in gaps:
        time.sleep(gap)
        if spending.wait_seconds(CALL) == 0:
            sent.append(time.now)
    for start in sent:
        within = sum(1 for at in sent if start <= at < start + seconds)
        assert within <= max(1, units * 0.8)


@given(gaps=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60))
def test_the_wait_that_is_told_is_enough(gaps: list[float]) -> None:
    time = Time()
    spending = Spending("Vendor", Budget(5, 5.0), time)
    for gap in gaps:
        time.sleep(gap)
        if (wait := spending.wait_seconds(CALL)) > 0:
            time.sleep(wait + 1e-6)
            assert spending.wait_seconds(CALL) == 0


def test_revocations_may_spend_what_is_kept_back(time: Time) -> None:
    spending = Spending("Vendor", Budget(10, 60.0), time)
    assert [spending.wait_seconds(CALL) for _ in range(8)] == [0.0] * 8
    assert spending.wait_seconds(CALL) == 60.0
    with revoking():
        assert [spending.wait_seconds(CALL) for _ in range(2)] == [0.0] * 2
        assert spending.wait_seconds(CALL) == 60.0


def test_requests_that_do_not_count_are_free(time: Time) -> None:
    writes = Budget(1, 60.0, cost=lambda request: 0.0 if request.method == "GET" else 1.0)
    spending = Spending("Vendor", writes, time)
    assert [spending.wait_seconds(CALL) for _ in range(5)] == [0.0] * 5


def test_a_short_wait_is_waited_for_and_a_longer_one_goes_back_to_the_queue(time: Time) -> None:
    short = Budgets("Vendor", [Budget(1, 1.0)], sleep=time.sleep, monotonic=time)
    for _ in range(3):
        short.spend(CALL)
    assert time.now == 1002.0
    long = Budgets("Vendor", [Budget(1, 30.0)], sleep=time.sleep, monotonic=time)
    long.spend(CALL)
    with pytest.raises(RetryLater) as raised:
        long.spend(CALL)
    assert (raised.value.cause, raised.value.after_seconds) == ("budget_spent", 30.0)


def left_in(response: httpx.Response) -> float | None:
    told = response.headers.get("x-left")
    return float(told) if told else None


def served(left: str = "") -> httpx.Response:
    return httpx.Response(200, headers={"X-Left": left})


def test_when_little_is_left_it_is_kept_for_revocations_and_heard_again_every_few_minutes(time: Time) -> None:
    remainder = Remainder("Vendor", Allowance("calls of today", left_in, reserved_share=0.05), time)
    remainder.heard(served("0.04"))
    remainder.respect()
    remainder.heard(served())
    with pytest.raises(RetryLater, match="Vendor: nearly all calls of today are used") as raised:
        remainder.respect()
    assert (raised.value.cause, raised.value.after_seconds) == ("budget_spent", Remainder.HEARD_AGAIN_SECONDS)
    with revoking():
        remainder.respect()
    time.sleep(Remainder.HEARD_AGAIN_SECONDS)
    remainder.respect()
    with pytest.raises(RetryLater):
        remainder.respect()
    remainder.heard(served("0.9"))
    remainder.respect()


def test_a_vendor_that_tells_nothing_is_called_as_ever(time: Time) -> None:
    remainder = Remainder("Vendor", Allowance(), time)
    for _ in range(3):
        remainder.heard(served())
        remainder.respect()
