"""Access tokens: fetched once, not by each thread, kept until shortly before they expire, dropped when they are not accepted."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from connectors.http import Dialect, HttpEdge, Verdict, json_object, verdict_by_status
from connectors.network import Reach
from workforce.errors import Misconfigured, OutcomeUnknown, RetryLater

EARLY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class GrantedToken:
    """What a token endpoint gave (RFC 6749 §5.1)."""

    text: str
    lifetime_seconds: float


class TokenCache:
    """The bearer token of one instance. Thread-safe: many threads that find it stale or rejected cause one ``fetch``.

    A token is given up ``early_seconds`` before it expires, but never in the first half of its life. ``clock`` gives seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], GrantedToken],
        *,
        early_seconds: float = EARLY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._early_seconds, self._clock = fetch, early_seconds, clock
        self._lock = threading.Lock()
        self._token: GrantedToken | None = None
        self._stale_at = 0.0
        self._handed_out = threading.local()

    def authorize(self) -> Mapping[str, str]:
        """The header of the current token, fetched if there is none. Raises what ``fetch`` raises."""
        with self._lock:
            if self._token is None or self._clock() >= self._stale_at:
                self._token = self._fetch()
                lifetime = self._token.lifetime_seconds
                self._stale_at = self._clock() + max(lifetime - self._early_seconds, lifetime / 2)
            token = self._handed_out.token = self._token
        return {"Authorization": f"Bearer {token.text}"}

    def renew(self) -> None:
        """Drop the token that this thread last used, unless another thread has replaced it meanwhile."""
        with self._lock:
            if self._token is getattr(self._handed_out, "token", None):
                self._token = None


class AccessGrant(BaseModel):
    """The answer of a token endpoint (RFC 6749 §5.1)."""

    access_token: Annotated[str, StringConstraints(min_length=1, max_length=16384, pattern=r"^[\x21-\x7e]+$")]
    expires_in: Annotated[float, Field(gt=0, le=366 * 86400)]


class TokenEndpoint:
    """One vendor's token endpoint (RFC 6749 §3.2), asked once for each token that is needed.

    ``field`` is the setting that an administrator mends when no token is given.
    """

    def __init__(self, base_url: str, system: str, reach: Reach, *, field: str, headers: Mapping[str, str] | None = None) -> None:
        self._system, self._field = f"{system} sign-in", field
        self._edge = HttpEdge(base_url, Dialect(self._system, verdict=_grant_verdict), reach=reach, headers=headers)

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def ask(self, path: str, **request: Any) -> dict[str, Any]:
        """The endpoint's answer to one POST, an error of RFC 6749 §5.2 included. Raises ``RetryLater``.

        It is sent once: the call that needs the token is retried by its own rules, and retries within retries multiply.
        """
        try:
            return json_object(self._edge.write("POST", path, **request), self._system)
        except OutcomeUnknown as error:  # the call that needs the token was not sent
            raise RetryLater(str(error), cause=error.cause) from None

    def grant(self, path: str, **request: Any) -> GrantedToken:
        """A token. Raises ``Misconfigured`` when it is refused, ``RetryLater`` when the endpoint does not answer."""
        answer = self.ask(path, **request)
        if "error" in answer:
            raise self.refused(answer)
        try:
            given = AccessGrant.model_validate(answer)
        except ValidationError:
            raise RetryLater(f"{self._system}: the answer holds no usable token", cause="unreadable_answer") from None
        return GrantedToken(given.access_token, given.expires_in)

    def refused(self, answer: Mapping[str, Any]) -> Misconfigured:
        """The refusal in ``answer``, by its error code alone."""
        code = str(answer["error"])
        shown = code if re.fullmatch(r"[A-Za-z_]{1,64}", code) else "an unknown error"
        message = f"{self._system}: {shown}; check {self._field} and what belongs to it"
        return Misconfigured(message, cause="token_refused", field=self._field)


def _grant_verdict(response: httpx.Response) -> Verdict:
    # The endpoint answers errors with 400 or 401 and a JSON object (RFC 6749 §5.2), which is read as an answer.
    return Verdict.OK if response.status_code in {400, 401} else verdict_by_status(response)
