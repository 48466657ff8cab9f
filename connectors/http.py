"""The HTTP edge shared by connectors: one pooled client per instance, a deadline on every call, errors in our taxonomy.

Reads are retried here for seconds and honour Retry-After. Writes are sent exactly once: a write that may have happened raises
``OutcomeUnknown`` and is looked up by the caller. Messages never carry bodies, query strings or headers. What a vendor cannot serve is
left to its breaker (``connectors.wire.breaker``), what it allows to its budgets (``connectors.wire.budget``), how far we may reach to
``connectors.wire.network``; redirects are never followed.
"""

from __future__ import annotations

import json
import math
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from pathlib import Path
from typing import Any

import httpcore
import httpx
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, stop_any
from tenacity.stop import stop_base

from connectors.wire.breaker import Breaker
from connectors.wire.budget import NOTHING_TOLD, Allowance, Budget, Budgets, Remainder
from connectors.wire.network import Network, Reach, ends_within
from workforce.errors import HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

log = structlog.get_logger(__name__)

MAX_RETRY_AFTER_SECONDS = 24 * 3600.0
MAX_ANSWER_BYTES = 64 * 2**20
READ_ATTEMPTS = 4
READ_RETRY_SECONDS = 8.0


class Verdict(Enum):
    """What a response means, decided per vendor."""

    OK = auto()
    THROTTLED = auto()
    """The vendor says that it did nothing because we ask too much."""
    UNAVAILABLE = auto()
    """The vendor cannot serve; for a write it is unknown whether it did it."""
    UNAUTHENTICATED = auto()
    """Our token is not accepted (any more)."""
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    REFUSED = auto()


def verdict_by_status(response: httpx.Response) -> Verdict:
    """The verdict of RFC 9110 alone. Vendors that say it otherwise (DocuSign's 400, Salesforce's 403) wrap this."""
    status = response.status_code
    if response.is_success:
        return Verdict.OK
    if status == 429:
        return Verdict.THROTTLED
    if status == 503 and "retry-after" in response.headers:
        return Verdict.THROTTLED
    if status >= 500 or status == 408:
        return Verdict.UNAVAILABLE
    by_status = {401: Verdict.UNAUTHENTICATED, 403: Verdict.FORBIDDEN, 404: Verdict.NOT_FOUND, 410: Verdict.NOT_FOUND}
    return by_status.get(status, Verdict.REFUSED)


def plain_refusal(said: str, response: httpx.Response) -> HubError:
    """``Refused``, by its status."""
    return Refused(said, cause=f"http_{response.status_code}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one vendor answers: its verdicts, the short error text of a refusal (never the body as a whole), and how long to wait.

    ``wait`` gives the seconds that a throttled answer asks for; vendors that say it outside Retry-After have their own. ``budgets`` are
    the published limits, which are kept without being told; ``allowance`` is the one of which answers tell what is left. ``refusal`` tells what a plain refusal is about (a login that is taken, a
    field that is wrong) from what is said of it and the answer, whose ``request`` holds what was sent.
    """

    name: str
    verdict: Callable[[httpx.Response], Verdict] = verdict_by_status
    reason: Callable[[httpx.Response], str] = lambda response: response.reason_phrase
    wait: Callable[[httpx.Response], float | None] = lambda response: retry_after_seconds(response.headers.get("retry-after"))
    budgets: tuple[Budget, ...] = ()
    allowance: Allowance = NOTHING_TOLD
    refusal: Callable[[str, httpx.Response], HubError] = plain_refusal

    def error(self, response: httpx.Response) -> HubError | None:
        """What an answer stands for; ``None`` for a success. The edge raises it; parts of a batch are told by it one by one."""
        verdict, status = self.verdict(response), response.status_code
        if verdict is Verdict.OK:
            return None
        where = f"{self.name}: {response.request.method} answered {status}"
        if verdict is Verdict.UNAUTHENTICATED:
            return Misconfigured(f"{where}: the credentials are not accepted; renew them", cause="unauthenticated")
        said = f"{where}: {self.reason(response)}"
        match verdict:
            case Verdict.THROTTLED:
                return RetryLater(said, cause="throttled", after_seconds=self.wait(response))
            case Verdict.UNAVAILABLE:
                return OutcomeUnknown(said, cause=f"http_{status}")
            case Verdict.FORBIDDEN:
                return Refused(f"{said}; grant the permission named in the connector's page", cause="forbidden")
            case Verdict.NOT_FOUND:
                return NotFound(said)
            case _:
                return self.refusal(said, response)


def retry_after_seconds(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds to wait from a Retry-After header (RFC 9110 §10.2.3: seconds or a date), capped at a day; ``None`` if unusable."""
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text) if text.replace(".", "", 1).isdigit() else _seconds_until(text, now or datetime.now(UTC))
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _seconds_until(text: str, now: datetime) -> float:
    moment = parsedate_to_datetime(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()


def reset_seconds(told: str | None, now: datetime, *, within_seconds: float) -> float | None:
    """Seconds until a limit begins anew, as vendors tell it outside Retry-After; ``None`` unless that is ahead, ``within_seconds``.

    Most give Unix time, others the seconds that remain: a number above a day is the former.
    """
    text = (told or "").strip()
    number = int(text) if re.fullmatch(r"[0-9]{1,12}", text) else 0
    rest = number - now.timestamp() if number > 24 * 3600 else float(number)
    return rest if 0 < rest <= within_seconds else None


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A verifying TLS context. ``ca_file`` (PEM) replaces the system's trust store. Raises ``Misconfigured``.

    The system store is used rather than a bundled one, so that an administrator's own CA works as everywhere else.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(f"ca_file: cannot read certificates from {ca_file}: {error}", field="ca_file") from None


class GuardedTransport(httpx.HTTPTransport):
    """httpx's own transport, on connections that ``network`` permits.

    httpx takes no network backend, httpcore's pool does; so the pool is made here, with all that httpx would give it.
    """

    def __init__(self, network: Network, context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=32,
            max_keepalive_connections=16,
            keepalive_expiry=30,
            network_backend=network.backend(),
        )


class HttpEdge:
    """One instance's connection to one vendor. Thread-safe; build it once.

    A vendor that asks to be left alone means all our calls: until then each raises ``RetryLater`` without being sent.

    ``authorize`` gives the headers of the current credentials; ``renew`` is told when they were not accepted, after which the call
    is tried once more with fresh ones (a 401 proves that the first call did nothing).
    """

    def __init__(
        self,
        base_url: str,
        dialect: Dialect,
        *,
        authorize: Callable[[], Mapping[str, str]] = dict,
        renew: Callable[[], None] | None = None,
        headers: Mapping[str, str] | None = None,
        reach: Reach | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        reach = reach or Reach()
        self._dialect = dialect
        self._timeout_seconds = reach.timeout_seconds
        self._quiet = _Quiet(dialect.name, monotonic)
        self._breaker = Breaker(dialect.name, monotonic)
        self._budgets = Budgets(dialect.name, dialect.budgets, sleep=sleep, monotonic=monotonic)
        self._remainder = Remainder(dialect.name, dialect.allowance, monotonic)
        self._authorize = authorize
        self._renew = renew
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=_usable(base_url, dialect.name),
            headers={"Accept": "application/json", "User-Agent": "stint-hub", **(headers or {})},
            timeout=httpx.Timeout(reach.timeout_seconds),
            transport=GuardedTransport(reach.network, tls_context(reach.ca_file)),
            follow_redirects=False,
            trust_env=False,
            event_hooks={"response": [_cap_body]},
        )
        self._origin = _origin(self._client.base_url)

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()

    def is_at(self, address: str | httpx.URL) -> bool:
        """Whether ``address`` is of this edge's own origin, the only one where our credentials go."""
        try:
            origin = _origin(httpx.URL(address))
        except (httpx.InvalidURL, UnicodeError):
            return False
        return origin == self._origin

    def read(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a safe request; retried a few times within seconds. Raises ``RetryLater`` where a write would be unknown."""
        retrying = Retrying(
            retry=retry_if_exception_type(RetryLater),
            stop=stop_any(stop_after_attempt(READ_ATTEMPTS), stop_after_delay(READ_RETRY_SECONDS), _AskedToWaitLonger()),
            wait=_read_wait,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self._read_once, method, path, request)

    def read_json(self, method: str, path: str, **request: Any) -> object:
        """``read``, then the JSON in the answer. Raises ``RetryLater`` when there is none."""
        response = self.read(method, path, **request)
        with harmless():
            return json_in(response, self._dialect.name)

    def read_object(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """``read``, then the JSON object in the answer. Raises ``RetryLater`` when the answer is not one."""
        response = self.read(method, path, **request)
        with harmless():
            return json_object(response, self._dialect.name)

    def write(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request that changes something, once. Raises ``OutcomeUnknown`` when it may have been carried out."""
        return self._call(method, path, request)

    def _read_once(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        with harmless():
            return self._call(method, path, request)

    def _call(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        self._remainder.respect()
        response = self._send(method, path, request)
        if self._dialect.verdict(response) is Verdict.UNAUTHENTICATED and self._renew is not None:
            self._renew()
            response = self._send(method, path, request)
        return self._judge(response)

    def _send(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        self._quiet.respect()
        self._breaker.admit()
        headers = {**self._authorize(), **request.get("headers", {})}
        try:
            wire = self._client.build_request(method, path, **self._encoded(request, headers))
            self._require_own_origin(wire.url)
            self._budgets.spend(wire)
            with ends_within(self._timeout_seconds):
                response = self._client.send(wire)
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            raise Misconfigured(
                f"{self._dialect.name}: a header is not sendable; look for line breaks and odd characters in the credentials",
                cause="invalid_header",
            ) from None
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise Refused(f"{self._dialect.name}: not a usable address", cause="invalid_url") from None
        except httpx.HTTPError as error:
            raise self._unanswered(method, error) from None
        if self._dialect.verdict(response) is Verdict.UNAVAILABLE:
            self._breaker.failed(f"http_{response.status_code}")
        else:
            self._breaker.served()
        return response

    def _encoded(self, request: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        """The request with its ``json`` as bytes. Raises ``Refused`` for what JSON cannot carry: sets, dates, NaN, lone surrogates."""
        if "json" not in request:
            return {**request, "headers": headers}
        others = {name: value for name, value in request.items() if name != "json"}
        try:
            text = json.dumps(request["json"], ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            return {**others, "content": text.encode(), "headers": {"Content-Type": "application/json", **headers}}
        except (TypeError, ValueError, RecursionError):
            message = f"{self._dialect.name}: a value cannot be sent as JSON; mend the mapping or the record"
            raise Refused(message, cause="unusable_value") from None

    def _require_own_origin(self, url: httpx.URL) -> None:
        """A next page or a location that a vendor names is followed only at the same place: our credentials go with the call."""
        if not self.is_at(url):
            message = f"{self._dialect.name}: sent us to another host; check the instance's address"
            raise Refused(message, cause="foreign_address")

    def _unanswered(self, method: str, error: httpx.HTTPError) -> HubError:
        kind = _kind(error)
        self._breaker.failed(kind)
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return RetryLater(f"{self._dialect.name}: cannot connect: {kind}", cause="cannot_connect")
        return OutcomeUnknown(f"{self._dialect.name}: {method} was sent, no answer: {kind}", cause=kind)

    def _judge(self, response: httpx.Response) -> httpx.Response:
        error = self._dialect.error(response)
        if error is None:
            self._remainder.heard(response)
            return response
        if isinstance(error, RetryLater):
            self._quiet.keep(error.after_seconds or 0.0)
        status, field = response.status_code, getattr(error, "field", None)
        log.info(
            "http.not_ok",
            system=self._dialect.name,
            method=response.request.method,
            status=status,
            cause=error.cause,
            field=field,
        )
        raise error


@contextmanager
def harmless() -> Iterator[None]:
    """What is done within changes nothing, so it may be repeated: ``RetryLater`` is raised for ``OutcomeUnknown``."""
    try:
        yield
    except OutcomeUnknown as error:
        raise RetryLater(str(error), cause=error.cause) from None


def json_in(response: httpx.Response, system: str) -> object:
    """The JSON in an answer. Raises ``OutcomeUnknown`` when a success carries anything else (truncated, HTML)."""
    try:
        body: object = response.json()
    except (ValueError, RecursionError):
        message = f"{system}: answered {response.status_code} without readable JSON"
        raise OutcomeUnknown(message, cause="unreadable_answer") from None
    return body


def json_object(response: httpx.Response, system: str) -> dict[str, Any]:
    """The JSON object in an answer. Raises ``OutcomeUnknown`` when a success carries anything else."""
    body = json_in(response, system)
    if not isinstance(body, dict):
        raise OutcomeUnknown(f"{system}: answered {response.status_code} with JSON that is no object", cause="unreadable_answer")
    return body


class _Quiet:
    """Until when a vendor wants no calls. A later wish only ever prolongs it."""

    def __init__(self, system: str, monotonic: Callable[[], float]) -> None:
        self._system, self._monotonic = system, monotonic
        self._lock = threading.Lock()
        self._not_before = -math.inf

    def keep(self, seconds: float) -> None:
        with self._lock:
            self._not_before = max(self._not_before, self._monotonic() + seconds)

    def respect(self) -> None:
        """Raise ``RetryLater`` with the rest of the time."""
        with self._lock:
            rest = self._not_before - self._monotonic()
        if rest > 0:
            message = f"{self._system}: it asked for fewer calls; none is sent for another {math.ceil(rest)} s"
            raise RetryLater(message, cause="throttled", after_seconds=rest)


class _CappedBody(httpx.SyncByteStream):
    """A body that is cut off where no answer of a vendor has any business to be."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._stream:
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise httpx.ReadError("the answer is too large")
            yield chunk

    def close(self) -> None:
        self._stream.close()


def _cap_body(response: httpx.Response) -> None:
    if isinstance(response.stream, httpx.SyncByteStream):
        response.stream = _CappedBody(response.stream)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _usable(base_url: str, system: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
        _ = url.host  # is decoded only when it is asked for
    except (httpx.InvalidURL, UnicodeError):
        raise Misconfigured(f"{system}: the address holds what is no host name; mend it", cause="invalid_url") from None
    return url


def _kind(error: Exception) -> str:
    return type(error).__name__


class _AskedToWaitLonger(stop_base):
    """Stop when the vendor asks for more patience than a caller has; the job goes back to the queue instead."""

    def __call__(self, retry_state: RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        return isinstance(error, RetryLater) and (error.after_seconds or 0.0) > READ_RETRY_SECONDS


def _read_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.after_seconds if isinstance(error, RetryLater) else None
    return asked if asked is not None else 0.1 * 2.0 ** (state.attempt_number - 1)
