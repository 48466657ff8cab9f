"""A check tells what it finds and raises nothing."""

from __future__ import annotations

import pytest

from connectors.contract import faults_as_result
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater
from workforce.ports import CheckResult


class Client:
    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    @faults_as_result
    def check(self) -> CheckResult:
        """Ask."""
        if self.fault:
            raise self.fault
        return CheckResult(ok=True, detail="vendor: answers")


@pytest.mark.parametrize("error", [Misconfigured, OutcomeUnknown, Refused, RetryLater])
def test_an_error_that_a_check_meets_is_its_finding(error: type[HubError]) -> None:
    assert Client(error("vendor: mend api_key")).check() == CheckResult(ok=False, detail="vendor: mend api_key")  # type: ignore[call-arg]  # each has a cause of its own


def test_what_a_check_says_itself_stays_as_it_is() -> None:
    assert Client().check() == CheckResult(ok=True, detail="vendor: answers")
    assert Client.check.__doc__ == "Ask."


def test_a_fault_of_ours_is_no_finding() -> None:
    with pytest.raises(ZeroDivisionError):
        Client(ZeroDivisionError()).check()
