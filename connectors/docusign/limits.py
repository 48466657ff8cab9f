"""How DocuSign says no: throttling hides in HTTP 400, and reasons are error codes.

Sources: the vendor's error model ``{errorCode, message}`` and its developer pages on API limits (hourly limit per account, burst
limit per 30 seconds, polling guard per envelope).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import httpx

from connectors.http import Dialect, Verdict, reset_seconds, retry_after_seconds, verdict_by_status
from connectors.records.answers import code_in
from connectors.records.instants import utc_now
from connectors.wire.budget import Budget
from workforce.errors import RetryLater

BURST_WINDOW_SECONDS = 30.0
POLLING_SECONDS = 15 * 60.0  # the vendor's rule: at most one read per envelope in 15 minutes
_LONGEST_WINDOW_SECONDS = 3600.0
_LIMIT = re.compile(r"(?P<hour>HOURLY_APIINVOCATION_LIMIT_EXCEEDED)|(?P<burst>BURST_.*)|(?P<envelope>.*POLLING_LIMIT_EXCEEDED)")


def error_code(response: httpx.Response) -> str:
    """The ``errorCode`` of an answer in upper case, or nothing. Never the message: it may quote an address."""
    return code_in(response, "errorCode").upper()


def limit_in(response: httpx.Response) -> str | None:
    """The limit that was exceeded: of the ``hour``, the ``burst``, or the reads of one ``envelope``."""
    named = _LIMIT.fullmatch(error_code(response))
    return named.lastgroup if named else None


def verdict(response: httpx.Response) -> Verdict:
    """The verdict of RFC 9110, except where DocuSign's error code says it better."""
    if response.is_success or response.status_code >= 500:
        return verdict_by_status(response)
    if limit_in(response):
        return Verdict.THROTTLED
    if error_code(response) == "ENVELOPE_DOES_NOT_EXIST":
        return Verdict.NOT_FOUND
    return verdict_by_status(response)


def reason(response: httpx.Response) -> str:
    """The error code, for people."""
    return error_code(response) or response.reason_phrase


def wait_seconds(response: httpx.Response) -> float | None:
    """Seconds that every caller has to wait. Raises ``RetryLater`` where only one envelope has to be left alone."""
    asked, limit = retry_after_seconds(response.headers.get("retry-after")), limit_in(response)
    if asked is not None or limit is None:
        return asked
    if limit == "envelope":  # raised from here, because the edge leaves the whole account alone for as long as this returns
        message = "DocuSign: this envelope was read too often; the others can still be worked on"
        raise RetryLater(message, cause="throttled", after_seconds=POLLING_SECONDS)
    return BURST_WINDOW_SECONDS if limit == "burst" else seconds_to_reset(response.headers.get("x-ratelimit-reset"), utc_now())


def seconds_to_reset(header: str | None, now: datetime) -> float:
    """Seconds from ``now`` to the end of the hourly window: at ``X-RateLimit-Reset`` or, without a usable one, with the hour.

    The header's unit is not verified against the vendor.
    """
    next_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return reset_seconds(header, now, within_seconds=_LONGEST_WINDOW_SECONDS) or (next_hour - now).total_seconds()


BUDGETS = (Budget(3000, 3600), Budget(500, BURST_WINDOW_SECONDS))  # an account's default; the vendor raises it on request
DIALECT = Dialect("DocuSign", verdict=verdict, reason=reason, wait=wait_seconds, budgets=BUDGETS)
