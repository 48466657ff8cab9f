"""Steps: when one is tried again, what a failed system stops, and what is raised in the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.hub import Hub
from flows.case import Case, CaseRef
from flows.steps import RETRY_DELAYS_SECONDS, PlainConductor, Step, step, worth_retrying
from workforce.errors import Fenced, HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater

REF = CaseRef("acme", "0198f0a0-0000-7000-8000-000000000001", "joiner-1.1", epoch=3)
HUB = cast("Hub", object())  # what a step of these tests never asks for anything
SYSTEMS = ("entra", "ldap", "gusto")


def conductor(*, attempts: int = 1) -> PlainConductor:
    return PlainConductor(REF, HUB, attempts=attempts)


class Log:
    """A step that writes down where it ran, and fails as told."""

    def __init__(self, **errors: Exception) -> None:
        self.ran: list[str] = []
        self._errors = errors
        self._lock = threading.Lock()

    def step(self, title: str = "Do it") -> Step:
        return Step(title, self._run)

    def _run(self, case: Case) -> None:
        with self._lock:
            self.ran.append(case.system)
        if case.system in self._errors:
            raise self._errors[case.system]


# When a step is tried again


@given(st.floats(min_value=0, max_value=1e6), st.sampled_from(RETRY_DELAYS_SECONDS))
def test_a_step_is_never_tried_again_earlier_than_it_was_asked_to(asked: float, delay: float) -> None:
    assert worth_retrying(RetryLater("throttled", after_seconds=asked), delay) is (asked <= delay)


@pytest.mark.parametrize("error", [RetryLater("away"), RetryLater("away", after_seconds=0), OutcomeUnknown("no answer")])
def test_an_outage_and_an_unknown_outcome_are_tried_again(error: HubError) -> None:
    assert worth_retrying(error, RETRY_DELAYS_SECONDS[0])


@pytest.mark.parametrize(
    "error", [Refused("no"), Fenced("stale"), Misconfigured("mend it"), ValueError("defect"), KeyboardInterrupt()]
)
def test_a_refusal_a_fault_and_a_defect_are_not_tried_again(error: BaseException) -> None:
    assert not worth_retrying(error, RETRY_DELAYS_SECONDS[-1])


def failing(times: int, error: Callable[[], Exception]) -> tuple[Step, list[int]]:
    """A step that fails ``times`` times, and the numbers of its attempts."""
    attempts: list[int] = []

    def run(case: Case) -> None:
        attempts.append(len(attempts) + 1)
        if len(attempts) <= times:
            raise error()

    return Step("Do it", run), attempts


def test_a_plain_step_is_tried_again_until_it_works() -> None:
    once, attempts = failing(1, lambda: OutcomeUnknown("no answer"))
    conductor(attempts=3).step(once)
    assert attempts == [1, 2]


def test_a_plain_step_gives_up_after_its_attempts_with_its_own_error() -> None:
    always, attempts = failing(99, lambda: RetryLater("away", after_seconds=0.5))
    with pytest.raises(RetryLater, match="away"):
        conductor(attempts=2).step(always)
    assert attempts == [1, 2]


def test_a_plain_step_that_is_asked_to_wait_for_longer_than_a_run_gives_up_at_once() -> None:
    throttled, attempts = failing(99, lambda: RetryLater("throttled", after_seconds=RETRY_DELAYS_SECONDS[-1] + 1))
    with pytest.raises(RetryLater, match="throttled"):
        conductor(attempts=8).step(throttled)
    assert attempts == [1]


def test_a_plain_step_that_is_refused_is_not_repeated() -> None:
    refused, attempts = failing(99, lambda: Refused("no"))
    with pytest.raises(Refused):
        conductor(attempts=8).step(refused)
    assert attempts == [1]


# One step for many systems


def test_a_step_is_given_the_case_and_its_system() -> None:
    seen: list[Case] = []
    declared = step("Look")(seen.append)
    run = conductor()
    run.step(declared)
    run.each(declared, ["entra"])
    assert [(case.ref, case.system) for case in seen] == [(REF, ""), (REF, "entra")]
    assert declared.title == "Look"


def test_a_system_that_fails_is_left_out_of_the_later_steps_and_the_others_go_on() -> None:
    first, second, run = Log(ldap=RetryLater("away")), Log(), conductor()
    run.each(first.step(), SYSTEMS)
    run.each(second.step(), SYSTEMS)
    assert (sorted(first.ran), sorted(second.ran)) == (["entra", "gusto", "ldap"], ["entra", "gusto"])
    assert set(run.failures) == {"ldap"}


def test_when_every_system_has_failed_the_later_steps_run_nowhere() -> None:
    later, run = Log(), conductor()
    run.each(Log(entra=Refused("no"), ldap=RetryLater("away")).step(), ["entra", "ldap"])
    run.each(later.step(), ["entra", "ldap"])
    assert later.ran == []


def test_the_systems_of_one_step_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(len(SYSTEMS), timeout=30)
    conductor().each(Step("Meet", lambda case: cast("None", together.wait())), SYSTEMS)
    assert not together.broken


def test_a_fenced_system_ends_the_process_at_once() -> None:
    run = conductor()
    with pytest.raises(Fenced):
        run.each(Log(ldap=Fenced("stale"), gusto=RetryLater("away")).step(), SYSTEMS)
    assert "ldap" not in run.failures


def test_a_defect_in_one_system_is_not_taken_for_an_outage() -> None:
    run = conductor()
    log = Log(ldap=ZeroDivisionError())
    run.each(log.step(), SYSTEMS)
    assert {system: error.cause for system, error in run.failures.items()} == {"ldap": "defect"}
    with pytest.raises(Refused, match="defect"):
        run.finish()


def test_a_step_that_is_not_for_a_system_ends_the_process_with_its_error() -> None:
    with pytest.raises(Refused, match="no"):
        conductor().step(Step("Decide", lambda case: _raise(Refused("no"))))


# The end


def test_without_a_failure_the_end_raises_nothing() -> None:
    run = conductor()
    run.each(Log().step(), SYSTEMS)
    run.finish()


@pytest.mark.parametrize("retried", [RetryLater("away"), OutcomeUnknown("no answer")])
@pytest.mark.parametrize("final", [Refused("no"), Misconfigured("mend it")])
def test_what_may_be_tried_again_is_raised_first_whatever_failed_first(retried: HubError, final: HubError) -> None:
    for order in ((retried, final), (final, retried)):
        run = conductor()
        for system, error in zip(SYSTEMS, order, strict=False):
            run.each(Log(**{system: error}).step(), [system])
        with pytest.raises(type(retried)) as raised:
            run.finish()
        assert raised.value is retried


def test_a_refusal_is_raised_when_nothing_may_be_tried_again() -> None:
    run = conductor()
    run.each(Log(entra=Refused("no")).step(), SYSTEMS)
    with pytest.raises(Refused):
        run.finish()


def _raise(error: Exception) -> None:
    raise error
