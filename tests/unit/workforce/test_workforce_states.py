from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from workforce.errors import Refused
from workforce.states import (
    CLOSED,
    EFFECT_TRANSITIONS,
    ENGAGEMENT_TRANSITIONS,
    EVENT_TRANSITIONS,
    OVER,
    STANDING,
    EffectState,
    EngagementState,
    EventState,
    require_transition,
)

TABLES: list[tuple[type[StrEnum], Mapping[Any, frozenset[Any]], StrEnum]] = [
    (EngagementState, ENGAGEMENT_TRANSITIONS, EngagementState.REQUESTED),
    (EffectState, EFFECT_TRANSITIONS, EffectState.INTENDED),
    (EventState, EVENT_TRANSITIONS, EventState.RECEIVED),
]


@pytest.mark.parametrize(("states", "table", "start"), TABLES)
def test_the_table_speaks_of_every_state_and_reaches_each_from_the_start(
    states: type[StrEnum], table: Mapping[Any, frozenset[Any]], start: StrEnum
) -> None:
    assert set(table) == set(states)
    reached, waiting = {start}, [start]
    while waiting:
        fresh = table[waiting.pop()] - reached
        reached |= fresh
        waiting += fresh
    assert reached == set(states)


@pytest.mark.parametrize(("states", "table", "start"), TABLES)
def test_every_transition_outside_the_table_is_refused(
    states: type[StrEnum], table: Mapping[Any, frozenset[Any]], start: StrEnum
) -> None:
    for current in states:
        for target in states:
            if target in table[current]:
                require_transition(table, current, target)
            else:
                with pytest.raises(Refused, match=f"from {current} to {target}") as refusal:
                    require_transition(table, current, target)
                assert refusal.value.cause == "illegal_transition"


def test_no_state_goes_to_itself() -> None:
    assert not [state for _, table, _ in TABLES for state in table if state in table[state]]


def test_an_ending_may_begin_in_every_open_state_and_leads_to_ended_or_is_taken_back() -> None:
    may_end = {state for state, targets in ENGAGEMENT_TRANSITIONS.items() if EngagementState.ENDING in targets}
    assert may_end == set(EngagementState) - CLOSED - {EngagementState.ENDING}
    back = set(EngagementState) - CLOSED - {EngagementState.ENDING, EngagementState.ACTIVE}  # active is proven anew
    assert ENGAGEMENT_TRANSITIONS[EngagementState.ENDING] == {EngagementState.ENDED, *back}
    assert ENGAGEMENT_TRANSITIONS[EngagementState.ENDED] == back
    assert not any(ENGAGEMENT_TRANSITIONS[state] for state in CLOSED - {EngagementState.ENDED})


def test_what_may_have_access_is_closed_by_an_ending_alone() -> None:
    for state in STANDING:
        assert ENGAGEMENT_TRANSITIONS[state] & OVER == {EngagementState.ENDING}


def test_an_unknown_effect_is_never_simply_started_again() -> None:
    assert EffectState.STARTED not in EFFECT_TRANSITIONS[EffectState.UNKNOWN]
    assert not EFFECT_TRANSITIONS[EffectState.DONE]
