"""OData's JSON: lists in pages, what went wrong, and many requests at once (OData JSON Format 4.01 §19 and §21).

The parts of a batch run in parallel and are answered in any order; the whole is answered 200 even where parts failed. A part that is
throttled was not done and is sent again once its own Retry-After has passed, a few times, if that is soon. All other outcomes are final.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Protocol, TypeAlias, TypeVar

import httpx
from pydantic import BeforeValidator, Field, ValidationError

from connectors.http import READ_ATTEMPTS, READ_RETRY_SECONDS, Dialect
from connectors.records.answers import CODE, Reading, Wire
from workforce.errors import HubError, OutcomeUnknown, RetryLater

Outcome: TypeAlias = httpx.Response | HubError
T = TypeVar("T")

Word = Annotated[str, BeforeValidator(lambda text: text if isinstance(text, str) and re.fullmatch(CODE, text) else "")]
"""A code, or a field's name, fit to be shown to people; anything else is left out."""


class Page(Wire, Generic[T]):
    """One page of a list; ``next_link`` is the address of the next, if there is one."""

    value: list[T]
    next_link: str | None = Field(default=None, alias="@odata.nextLink")


class ErrorDetail(Wire):
    """One of several reasons."""

    code: Word = ""
    target: Word = ""


class Error(ErrorDetail):
    """What went wrong. ``message`` may name people: it is looked at, never passed on."""

    message: str = ""
    details: tuple[ErrorDetail, ...] = ()


class _ErrorAnswer(Wire):
    error: Error = Error()


def error_in(response: httpx.Response) -> Error:
    """The error in an answer; an empty one where it holds none."""
    try:
        return _ErrorAnswer.model_validate_json(response.content).error
    except ValidationError:
        return Error()


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch. ``key`` is its id there, unique among the parts. ``path`` is below the service's root."""

    key: str
    method: str
    path: str
    body: Mapping[str, object] | None = None

    def wire(self) -> dict[str, object]:
        """As it is sent."""
        content = {"headers": {"Content-Type": "application/json"}, "body": self.body} if self.body is not None else {}
        return {"id": self.key, "method": self.method, "url": self.path, **content}


class _PartAnswer(Wire):
    id: str
    status: Annotated[int, Field(ge=100, le=599)]
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None

    def as_response(self, part: Part, root: str) -> httpx.Response:
        """As if it had come alone. Of its headers only Retry-After means anything to us."""
        headers = {name: value for name, value in self.headers.items() if name.casefold() == "retry-after" and value.isascii()}
        content = b"" if self.body is None else json.dumps(self.body).encode()
        return httpx.Response(
            self.status, headers=headers, content=content, request=httpx.Request(part.method, f"{root}{part.path}")
        )


class _BatchAnswer(Wire):
    responses: list[Any]

    def by_id(self) -> dict[str, _PartAnswer]:
        """The answers that can be read; a request without one may have been carried out or not."""
        answers = [answer for each in self.responses if (answer := _readable(each)) is not None]
        return {answer.id: answer for answer in answers}


def _readable(answer: object) -> _PartAnswer | None:
    try:
        return _PartAnswer.model_validate(answer)
    except ValidationError:
        return None


class SendsBatches(Protocol):
    """Who sends a batch as a whole."""

    def send_batch(self, requests: Sequence[Mapping[str, object]], *, is_read: bool) -> httpx.Response:
        """The answer to ``requests``, sent as one. Raises what a single read, or a single write, would."""
        ...


@dataclass(frozen=True, slots=True)
class _Turn:
    part: Part
    attempt: int = 1
    not_before: float = -math.inf


class Batch:
    """Sends parts to the service at ``root``, at most ``size`` at a time, and judges the answer to each as ``dialect`` has it."""

    def __init__(
        self,
        sender: SendsBatches,
        dialect: Dialect,
        root: str,
        *,
        size: int,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender, self._dialect, self._root, self._size = sender, dialect, root, size
        self._parse, self._sleep, self._monotonic = Reading(dialect.name), sleep, monotonic

    def read(self, parts: Iterable[Part]) -> dict[str, Outcome]:
        """Each part's answer or error, by key. What a fault of the server left unanswered may be asked again."""
        return self._outcomes(parts, is_read=True)

    def write(self, parts: Iterable[Part]) -> dict[str, Outcome]:
        """Each part's answer or error, by key. None is sent again unless the service said that it did not do it."""
        return self._outcomes(parts, is_read=False)

    def _outcomes(self, parts: Iterable[Part], *, is_read: bool) -> dict[str, Outcome]:
        waiting, outcomes = [_Turn(part) for part in parts], dict[str, Outcome]()
        while waiting:
            turns = self._due(waiting)
            keys = dict.fromkeys(turn.part.key for turn in turns)
            waiting = [turn for turn in waiting if turn.part.key not in keys]
            try:
                answers = self._answers(turns, is_read=is_read)
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
        return [turn for turn in waiting if turn.not_before <= now][: self._size]

    def _answers(self, turns: Sequence[_Turn], *, is_read: bool) -> dict[str, _PartAnswer]:
        response = self._sender.send_batch([turn.part.wire() for turn in turns], is_read=is_read)
        parse = self._parse if is_read else self._parse.written
        return parse(_BatchAnswer, response.content).by_id()

    def _outcome(self, part: Part, answer: _PartAnswer | None, *, is_read: bool) -> Outcome:
        if answer is None:
            message = f"{self._dialect.name}: a {part.method} in a batch has no answer"
            error: HubError | None = OutcomeUnknown(message, cause="unanswered_part")
        else:
            response = answer.as_response(part, self._root)
            error = self._dialect.error(response)
        if error is None:
            return response
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
