"""What the offboarding benchmark says of its figures: a stint that is missing is never a promise kept."""

from __future__ import annotations

from typing import Any

import pytest

from bench.offboarding import verdicts


def figures(**difference: Any) -> dict[str, Any]:
    directories = {name: {"max": 12.0} for name in ("entra", "ldap")}
    return {"blocked_s": directories, "read_back_s": directories, "closed_s": {"max": 200.0}, **difference}


def test_everything_in_time_is_met() -> None:
    assert [verdict["met"] for verdict in verdicts(figures())] == [True] * 5


@pytest.mark.parametrize("closed", [{"max": 300.1}, {"max": 200.0, "missing": 1}, {"missing": 1000}])
def test_late_or_missing_is_missed(closed: dict[str, float]) -> None:
    assert [verdict["met"] for verdict in verdicts(figures(closed_s=closed))] == [True, True, True, True, False]
