"""Many requests at once: Graph's ``$batch``, 20 at a time, in which each request has an outcome of its own.

The parts run in parallel and are answered in any order; the whole is answered 200 even where parts failed. A part that is throttled was
not done and is sent again once its own Retry-After has passed, a few times, if that is soon. All other outcomes are final.
https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from connectors.http import READ_ATTEMPTS, READ_RETRY_SECONDS
from connectors.msgraph.answers import accept_part
from connectors.msgraph.client import MsGraphClient
from connectors.msgraph.records import BatchAnswer
from workforce.errors import HubError, OutcomeUnknown, RetryLater

MAX_PARTS = 20
Outcome: TypeAlias = httpx.Response | HubError


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch. ``key`` is its id there, unique among the parts. ``path`` is below ``/v1.0``."""

    key: str
    method: str
    path: str
    body: Mapping[str, object] | None = None

    def wire(self) -> dict[str, object]:
        """As Graph wants it."""
        content = {"headers": {"Content-Type": "application/json"}, "body": self.body} if self.body is not None else {}
        return {"id": self.key, "method": self.method, "url": self.path, **content}


@dataclass(frozen=True, slots=True)
class _Turn:
    part: Part
    attempt: int = 1
    not_before: float = -math.inf


class Batch:
    """Sends parts for one client."""

    def __init__(
        self,
        client: MsGraphClient,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._sleep, self._monotonic = client, sleep, monotonic

    def read(self, parts: Iterable[Part]) -> dict[str, Outcome]:
        """Each part's answer or error, by key. What a fault of the server left unanswered is asked again."""
        return self._outcomes(parts, is_read=True)

    def write(self, parts: Iterable[Part]) -> dict[str, Outcome]:
        """Each part's answer or error, by key. None is sent again unless Graph said that it did not do it."""
        return self._outcomes(parts, is_read=False)

    def _outcomes(self, parts: Iterable[Part], *, is_read: bool) -> dict[str, Outcome]:
        waiting, outcomes = [_Turn(part) for part in parts], dict[str, Outcome]()
        while waiting:
            turns = self._due(waiting)
            keys = dict.fromkeys(turn.part.key for turn in turns)
            waiting = [turn for turn in waiting if turn.part.key not in keys]
            try:
                answers = self._client.batch([turn.part.wire() for turn in turns], is_read=is_read).by_id()
            except HubError as error:  # for the whole batch the edge has done what can be done
                outcomes |= dict.fromkeys(keys, error)
                continue
            for turn in turns:
                outcome = outcomes[turn.part.key] = self._outcome(turn.part, answers.get(turn.part.key), is_read=is_read)
                waiting += self._again(turn, outcome)
        return outcomes

    def _due(self, waiting: Sequence[_Turn]) -> list[_Turn]:
        """As many as may be sent now, once any may be."""
        self._sleep(max(0.0, min(turn.not_before for turn in waiting) - self._monotonic()))
        now = self._monotonic()
        return [turn for turn in waiting if turn.not_before <= now][:MAX_PARTS]

    def _outcome(self, part: Part, answer: BatchAnswer | None, *, is_read: bool) -> Outcome:
        error: HubError = OutcomeUnknown(f"msgraph: a {part.method} in a batch has no answer", cause="unanswered_part")
        try:
            if answer is not None:
                return accept_part(answer.as_response(part.method, f"{self._client.base_url}{part.path}"))
        except HubError as raised:
            error = raised
        is_harmless = is_read and isinstance(error, OutcomeUnknown)
        return RetryLater(str(error), cause=error.cause) if is_harmless else error

    def _again(self, turn: _Turn, outcome: Outcome) -> list[_Turn]:
        """The part's next turn, if it was put off, not for too long, and not too often."""
        if not isinstance(outcome, RetryLater) or turn.attempt == READ_ATTEMPTS:
            return []
        wait = outcome.after_seconds if outcome.after_seconds is not None else 2.0 ** (turn.attempt - 1)
        if wait > READ_RETRY_SECONDS:
            return []
        return [_Turn(turn.part, turn.attempt + 1, self._monotonic() + wait)]
