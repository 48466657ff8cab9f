"""How Checkr says no, and how it says "not so fast"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import httpx

from connectors.http import MAX_RETRY_AFTER_SECONDS, Verdict, retry_after_seconds, verdict_by_status
from connectors.records.answers import served_at
from connectors.records.instants import instant_in
from connectors.records.words import without_values
from workforce.errors import HubError, OutcomeUnknown, Refused, RetryLater

_DUPLICATE = re.compile(r"duplicate (report|candidate)", re.IGNORECASE)


def verdict(response: httpx.Response) -> Verdict:
    """Refused writes pass: only beside the request is it known what they are about."""
    by_status = verdict_by_status(response)
    is_refused_write = response.request.method == "POST" and by_status in {Verdict.REFUSED, Verdict.NOT_FOUND}
    return Verdict.OK if is_refused_write else by_status


def wait_seconds(response: httpx.Response) -> float | None:
    """Seconds until X-Ratelimit-Reset (ISO 8601), else Retry-After; ``None`` where neither is usable."""
    reset = instant_in(response.headers.get("x-ratelimit-reset"))
    if reset is None:
        return retry_after_seconds(response.headers.get("retry-after"))
    seconds = (reset - (served_at(response) or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def refusal(response: httpx.Response, sent: Mapping[str, object]) -> HubError:
    """The error that a refused write is.

    409 means either one of Checkr's rules against duplicates, or that a call with the same Idempotency-Key is still being worked on, which
    may yet take effect. 404 is about the package, or about a candidate that does not show yet.
    """
    reason = without_values(" ".join(_texts(response)) or response.reason_phrase, sent)
    reason = "".join(letter for letter in reason if letter.isprintable())
    told = f"checkr: POST answered {response.status_code}: {reason}"
    if response.status_code == 409:
        if rule := _DUPLICATE.search(reason):
            kind = rule.group(1).lower()
            return Refused(f"{told}; look in Checkr at what is there", cause=f"duplicate_{kind}")
        return OutcomeUnknown(f"{told}; the first call is still being worked on", cause="in_flight")
    if response.status_code == 404 and "candidate" in reason.lower():
        return RetryLater(f"{told}; the candidate does not show yet", cause="lagging")
    if response.status_code == 404:
        return Refused(f"{told}; correct package", cause="unknown_package", field="package")
    return Refused(f"{told}; correct the order and replay", cause=f"http_{response.status_code}")


def _texts(response: httpx.Response) -> Iterator[str]:
    """What ``error`` says: a text, a list of them, or an object with ``message``."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return
    error = body.get("error") if isinstance(body, dict) else None
    for one in error if isinstance(error, list) else [error]:
        text = one.get("message") if isinstance(one, dict) else one
        if isinstance(text, str):
            yield text[:2000]
