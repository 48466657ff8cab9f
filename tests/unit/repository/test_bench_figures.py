"""The benchmarks' arithmetic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.connectors import measured
from bench.installation import percentile
from connectors.protocols.ldapv3.servers import CANNOT_RUN_HERE
from workforce.errors import Misconfigured

VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=200)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(1, 0.5, 1), (2, 0.5, 1), (3, 0.5, 2), (10, 0.5, 5), (10, 0.95, 10), (20, 0.95, 19), (100, 0.99, 99), (101, 0.99, 100),
     (100, 0.07, 7), (100, 0.29, 29), (1000, 0.999, 999), (5, 0.0, 1), (5, 1.0, 5)],
)  # fmt: skip
def test_a_percentile_is_the_value_at_the_nearest_rank(count: int, share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(count, 0, -1)], share) == expected


@given(VALUES, st.sampled_from([50, 90, 95, 99]))
def test_at_least_the_share_of_the_values_is_not_above_it_and_nothing_smaller_will_do(values: list[float], percent: int) -> None:
    found = percentile(values, percent / 100)
    needed = math.ceil(len(values) * percent / 100)
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


def test_a_connector_whose_peer_cannot_run_here_is_skipped_and_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    def figures(key: str) -> dict[str, object]:
        if key == "activedirectory":
            raise Misconfigured("Samba is not installed", cause=CANNOT_RUN_HERE)
        return {"directory.find": {"cpu_ms": 1.0}}

    found, skipped = measured(["activedirectory", "ldap"], figures)
    assert (list(found), skipped) == (["ldap"], {"activedirectory": "Samba is not installed"})
    assert "skipped activedirectory: Samba is not installed" in capsys.readouterr().err


def test_any_other_fault_of_a_trial_ends_the_benchmark() -> None:
    def figures(key: str) -> dict[str, object]:
        raise Misconfigured(f"{key}: slapd is missing", cause="missing_program")

    with pytest.raises(Misconfigured):
        measured(["ldap"], figures)
