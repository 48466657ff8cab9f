"""The states of engagements, effects and events, and the one table of legal transitions for each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from workforce.errors import Refused


class EngagementState(StrEnum):
    """``requested → in_review → approved → collecting → cleared → active → ending → ended``, or declined, cancelled."""

    REQUESTED = "requested"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    COLLECTING = "collecting"
    CLEARED = "cleared"
    ACTIVE = "active"
    ENDING = "ending"
    ENDED = "ended"
    DECLINED = "declined"
    CANCELLED = "cancelled"


class EffectState(StrEnum):
    """``intended → started → done | refused | unknown``; ``unknown → done | parked``, or ``intended`` once looked up."""

    INTENDED = "intended"
    STARTED = "started"
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    PARKED = "parked"


class EventState(StrEnum):
    """``received → projected → settled | parked``."""

    RECEIVED = "received"
    PROJECTED = "projected"
    SETTLED = "settled"
    PARKED = "parked"


_E, _F, _V = EngagementState, EffectState, EventState

_BEFORE_ACCESS = frozenset({_E.REQUESTED, _E.IN_REVIEW, _E.APPROVED, _E.COLLECTING})

# An ending may begin at any point after the request: a contract can be terminated before it is cleared. What is cleared can no longer be
# cancelled: access may have been prepared, and only an ending takes it back.
ENGAGEMENT_TRANSITIONS: Mapping[EngagementState, frozenset[EngagementState]] = {
    _E.REQUESTED: frozenset({_E.IN_REVIEW, _E.CLEARED, _E.DECLINED, _E.CANCELLED, _E.ENDING}),
    _E.IN_REVIEW: frozenset({_E.APPROVED, _E.DECLINED, _E.CANCELLED, _E.ENDING}),
    _E.APPROVED: frozenset({_E.COLLECTING, _E.CLEARED, _E.CANCELLED, _E.ENDING}),
    _E.COLLECTING: frozenset({_E.CLEARED, _E.CANCELLED, _E.ENDING}),
    _E.CLEARED: frozenset({_E.ACTIVE, _E.ENDING}),
    _E.ACTIVE: frozenset({_E.ENDING}),
    # Back: the ending was rescinded (an extension that came late, a termination taken back), and what was never cleared goes back to
    # where it was; see ``ledger.ending.endings``.
    _E.ENDING: frozenset({_E.ENDED, *_BEFORE_ACCESS, _E.CLEARED}),
    _E.ENDED: frozenset({*_BEFORE_ACCESS, _E.CLEARED}),
    _E.DECLINED: frozenset(),
    _E.CANCELLED: frozenset(),
}

STANDING = frozenset({_E.CLEARED, _E.ACTIVE})
"""The states in which an engagement supports access, unless its ending has begun."""
WITHDRAWN = frozenset({_E.DECLINED, _E.CANCELLED})
"""It came to nothing."""
CLOSED = WITHDRAWN | {_E.ENDED}
"""Nothing is left to be done."""
OVER = CLOSED | {_E.ENDING}
"""It does not go on, unless its ending is taken back."""

EFFECT_TRANSITIONS: Mapping[EffectState, frozenset[EffectState]] = {
    _F.INTENDED: frozenset({_F.STARTED}),
    # started → intended: the target said that it did nothing (throttled, refused to connect); try again later.
    _F.STARTED: frozenset({_F.DONE, _F.REFUSED, _F.UNKNOWN, _F.INTENDED}),
    # unknown → intended: looked up after the visibility window and proven absent; issue again under the same key.
    _F.UNKNOWN: frozenset({_F.DONE, _F.PARKED, _F.INTENDED}),
    # refused, parked → intended: a person mended the cause and replays.
    _F.REFUSED: frozenset({_F.INTENDED}),
    _F.PARKED: frozenset({_F.INTENDED}),
    _F.DONE: frozenset(),
}

EVENT_TRANSITIONS: Mapping[EventState, frozenset[EventState]] = {
    _V.RECEIVED: frozenset({_V.PROJECTED, _V.SETTLED, _V.PARKED}),
    _V.PROJECTED: frozenset({_V.SETTLED, _V.PARKED}),
    _V.SETTLED: frozenset(),
    _V.PARKED: frozenset({_V.RECEIVED}),
}

S = TypeVar("S", EngagementState, EffectState, EventState)


def require_transition(table: Mapping[S, frozenset[S]], current: S, target: S) -> None:
    """Raise ``Refused`` (cause ``illegal_transition``) unless ``table`` allows ``current → target``."""
    if target not in table[current]:
        allowed = ", ".join(sorted(table[current])) or "nothing"
        raise Refused(
            f"{type(current).__name__} cannot go from {current} to {target}; allowed: {allowed}",
            cause="illegal_transition",
            field="state",
        )
