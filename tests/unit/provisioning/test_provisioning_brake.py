"""The brake's arithmetic: what passes, what is held, and that no clever slicing gets more through within the hour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.brake import judge
from provisioning.policies import Brake

USUAL = Brake()
COUNTS = st.integers(min_value=0, max_value=100_000)


@pytest.mark.parametrize(
    ("active", "asked", "is_held"),
    [(20, 5, False), (20, 6, True), (0, 5, False), (0, 6, True), (1000, 30, False), (1000, 31, True), (100_000, 3000, False)],
)
def test_five_or_three_percent_pass_whichever_is_more(active: int, asked: int, is_held: bool) -> None:
    assert judge(USUAL, active=active, already=0, asked=asked).is_held is is_held


@given(active=COUNTS, batches=st.lists(st.integers(min_value=1, max_value=500), max_size=30))
def test_however_it_is_sliced_no_more_than_the_limit_passes_within_the_hour(active: int, batches: list[int]) -> None:
    passed = 0
    for asked in batches:
        if not judge(USUAL, active=active, already=passed, asked=asked).is_held:
            passed += asked
    assert passed <= USUAL.limit(active)


@given(active=COUNTS, already=COUNTS, asked=st.integers(min_value=1, max_value=100_000))
def test_what_is_above_the_limit_is_held_always(active: int, already: int, asked: int) -> None:
    assert judge(USUAL, active=active, already=already, asked=asked).is_held is (already + asked > USUAL.limit(active))


@given(active=COUNTS, already=COUNTS)
def test_one_explicit_termination_passes_always_and_two_do_not_by_being_explicit(active: int, already: int) -> None:
    assert not judge(USUAL, active=active, already=already, asked=1, explicit=True).is_held
    both = [judge(USUAL, active=active, already=already, asked=2, explicit=explicit).is_held for explicit in (True, False)]
    assert both[0] is both[1]


def test_nothing_is_never_held() -> None:
    assert not judge(USUAL, active=0, already=99, asked=0).is_held


def test_a_person_is_told_the_figures() -> None:
    assert (
        str(judge(USUAL, active=20, already=2, asked=9)) == "9 at once, after 2 within the hour; at most 5 pass without a person"
    )
