"""Access tokens: fetched once, not by each thread, kept until shortly before they expire, dropped when they are not accepted."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import structlog
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from connectors.http import Dialect, HttpEdge, Verdict, harmless, json_object, verdict_by_status
from connectors.records.instants import instant_in
from connectors.wire.network import Reach
from workforce.errors import Misconfigured, RetryLater

log = structlog.get_logger(__name__)

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

    def edge(self, base_url: str, dialect: Dialect, reach: Reach, headers: Mapping[str, str] | None = None) -> HttpEdge:
        """An edge whose calls carry this token; one that is not accepted is renewed once."""
        return HttpEdge(base_url, dialect, authorize=self.authorize, renew=self.renew, headers=headers, reach=reach)


class AccessGrant(BaseModel):
    """The answer of a token endpoint (RFC 6749 §5.1)."""

    access_token: Annotated[str, StringConstraints(min_length=1, max_length=16384, pattern=r"^[\x21-\x7e]+$")]
    expires_in: Annotated[float, Field(gt=0, le=366 * 86400)]


@dataclass(frozen=True, slots=True)
class Expiry:
    """How long a token lives where ``expires_in`` does not tell (RFC 6749 §5.1: then it is documented, or told in another way).

    ``instants`` are the fields that may hold the instant of its end, the first that is there counts; ``otherwise_seconds`` is the rest. One
    that dies earlier is renewed when it is refused, and an instant in the past shows that the clocks disagree.
    """

    otherwise_seconds: float
    instants: tuple[str, ...] = ()

    def seconds(self, answer: Mapping[str, Any], now: datetime) -> float:
        """The lifetime of the token in ``answer``: a minute to a day, where an instant tells it."""
        end = instant_in(next((answer[name] for name in self.instants if answer.get(name)), None))
        return min(max((end - now).total_seconds(), 60.0), 86_400.0) if end else self.otherwise_seconds


@dataclass(frozen=True, slots=True)
class KnownRefusal:
    """What an administrator does about one error code of a token endpoint, and at which setting."""

    advice: str
    field: str


class TokenEndpoint:
    """One vendor's token endpoint (RFC 6749 §3.2), asked once for each token that is needed.

    ``field`` is the setting that an administrator mends when no token is given, ``check`` what is to be checked if that is more. ``expiry``
    is needed where answers do not tell ``expires_in``. ``refusals`` are error codes that call for something else.
    """

    def __init__(
        self,
        base_url: str,
        system: str,
        reach: Reach,
        *,
        field: str,
        check: str | None = None,
        headers: Mapping[str, str] | None = None,
        expiry: Expiry | None = None,
        refusals: Mapping[str, KnownRefusal] | None = None,
    ) -> None:
        self._system, self._field, self._check = f"{system} sign-in", field, check or f"{field} and what belongs to it"
        self._expiry, self._refusals = expiry, refusals or {}
        self._edge = HttpEdge(base_url, Dialect(self._system, verdict=_grant_verdict), reach=reach, headers=headers)

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def ask(self, path: str, **request: Any) -> dict[str, Any]:
        """The endpoint's answer to one POST, an error of RFC 6749 §5.2 included. Raises ``RetryLater``.

        It is sent once: the call that needs the token is retried by its own rules, and retries within retries multiply.
        """
        with harmless():  # the call that needs the token was not sent
            return json_object(self._edge.write("POST", path, **request), self._system)

    def grant(self, path: str, **request: Any) -> GrantedToken:
        """A token. Raises ``Misconfigured`` when it is refused, ``RetryLater`` when the endpoint does not answer."""
        return self.granted(self.ask(path, **request))

    def granted(self, answer: Mapping[str, Any]) -> GrantedToken:
        """The token in ``answer``; one that holds none is a refusal, whatever its shape. Raises ``Misconfigured``, ``RetryLater``."""
        if "error" in answer or "access_token" not in answer:
            raise self.refused(answer)
        told = dict(answer)
        if self._expiry is not None and told.get("expires_in") is None:
            told["expires_in"] = self._expiry.seconds(answer, datetime.now(UTC))
        try:
            given = AccessGrant.model_validate(told)
        except ValidationError:
            raise RetryLater(f"{self._system}: the answer holds no usable token", cause="unreadable_answer") from None
        log.info("token.fetched", system=self._system, expires_in_seconds=given.expires_in)
        return GrantedToken(given.access_token, given.expires_in)

    def refused(self, answer: Mapping[str, Any]) -> Misconfigured:
        """The refusal in ``answer``, by its error code alone."""
        code = str(answer.get("error", "no_token_given"))
        if known := self._refusals.get(code):
            return Misconfigured(f"{self._system}: {known.advice}", cause=code, field=known.field)
        shown = code if re.fullmatch(r"[A-Za-z_]{1,64}", code) else "an unknown error"
        return Misconfigured(f"{self._system}: {shown}; check {self._check}", cause="token_refused", field=self._field)


def basic(user: str, password: str = "") -> dict[str, str]:
    """The header of HTTP Basic (RFC 7617). Vendors whose key is the user want no password."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def _grant_verdict(response: httpx.Response) -> Verdict:
    # The endpoint answers errors with 400 or 401 and a JSON object (RFC 6749 §5.2), which is read as an answer.
    return Verdict.OK if response.status_code in {400, 401} else verdict_by_status(response)
