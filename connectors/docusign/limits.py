"""How DocuSign says no: throttling hides in HTTP 400, and reasons are error codes.

Sources: the vendor's error model ``{errorCode, message}`` and its developer pages on API limits (hourly limit per account, burst
limit per 30 seconds, polling guard per envelope).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx

from connectors.answers import code_in
from connectors.budget import Budget
from connectors.http import Dialect, Verdict, retry_after_seconds, verdict_by_status
from workforce.errors import RetryLater

BURST_WINDOW_SECONDS = 30.0
POLLING_SECONDS = 15 * 60.0  # the vendor's rule: at most one read per envelope in 15 minutes
_LONGEST_WINDOW_SECONDS = 3600.0


def error_code(response: httpx.Response) -> str:
    """The ``errorCode`` of an answer in upper case, or nothing. Never the message: it may quote an address."""
    return code_in(response, "errorCode").upper()


def verdict(response: httpx.Response) -> Verdict:
    """The verdict of RFC 9110, except where DocuSign's error code says it better."""
    if response.is_success or response.status_code >= 500:
        return verdict_by_status(response)
    code = error_code(response)
    if _is_hourly(code) or _is_burst(code) or _is_polling(code):
        return Verdict.THROTTLED
    if code == "ENVELOPE_DOES_NOT_EXIST":
        return Verdict.NOT_FOUND
    return verdict_by_status(response)


def reason(response: httpx.Response) -> str:
    """The error code, for people."""
    return error_code(response) or response.reason_phrase


def wait_seconds(response: httpx.Response) -> float | None:
    """Seconds that every caller has to wait. Raises ``RetryLater`` where only one envelope has to be left alone.

    The hourly window ends at ``X-RateLimit-Reset`` or, without a usable one, at the start of the next hour. The header's unit is not
    verified against the vendor: a number above a day is read as Unix time, a smaller one as the seconds that remain.
    """
    asked = retry_after_seconds(response.headers.get("retry-after"))
    if asked is not None:
        return asked
    code, now = error_code(response), datetime.now(UTC)
    if _is_burst(code):
        return BURST_WINDOW_SECONDS
    if _is_polling(code):  # raised from here, because the edge leaves the whole account alone for as long as this returns
        message = "DocuSign: this envelope was read too often; the others can still be worked on"
        raise RetryLater(message, cause="throttled", after_seconds=POLLING_SECONDS)
    if _is_hourly(code):
        return seconds_to_reset(response.headers.get("x-ratelimit-reset"), now)
    return None


def seconds_to_reset(header: str | None, now: datetime) -> float:
    """Seconds from ``now`` to the end of the hourly window."""
    text = (header or "").strip()
    number = int(text) if re.fullmatch(r"[0-9]{1,12}", text) else 0
    remaining = number - now.timestamp() if number > 86400 else float(number)
    if 0 < remaining <= _LONGEST_WINDOW_SECONDS:
        return remaining
    next_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return (next_hour - now).total_seconds()


def _is_hourly(code: str) -> bool:
    return code == "HOURLY_APIINVOCATION_LIMIT_EXCEEDED"


def _is_burst(code: str) -> bool:
    return code.startswith("BURST_")


def _is_polling(code: str) -> bool:
    return code.endswith("POLLING_LIMIT_EXCEEDED")


BUDGETS = (Budget(3000, 3600), Budget(500, BURST_WINDOW_SECONDS))  # an account's default; the vendor raises it on request
DIALECT = Dialect("DocuSign", verdict=verdict, reason=reason, wait=wait_seconds, budgets=BUDGETS)
