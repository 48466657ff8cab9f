"""What Slack means: success and failure both come as HTTP 200, and ``ok`` tells them apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from connectors.http import Dialect, Verdict, verdict_by_status
from connectors.wire.budget import Budget
from workforce.errors import Refused

_CODE = re.compile(r"[a-z0-9_]{1,64}")
_VERDICTS: Mapping[str, Verdict] = {
    **dict.fromkeys(("ratelimited", "rate_limited"), Verdict.THROTTLED),
    **dict.fromkeys(("fatal_error", "internal_error", "service_unavailable", "request_timeout"), Verdict.UNAVAILABLE),
    **dict.fromkeys(
        ("not_authed", "invalid_auth", "token_revoked", "token_expired", "account_inactive", "not_allowed_token_type"),
        Verdict.UNAUTHENTICATED,
    ),
    **dict.fromkeys(
        ("missing_scope", "no_permission", "access_denied", "ekm_access_denied", "restricted_action", "not_in_channel"),
        Verdict.FORBIDDEN,
    ),
    **dict.fromkeys(("channel_not_found", "users_not_found", "user_not_found", "user_not_visible"), Verdict.NOT_FOUND),
}
"""By the error's code, from the description's lists and the vendor's pages. Any other is a plain refusal.

Of fatal_error and internal_error the vendor says that part of the work may have been done.
"""


def dialect() -> Dialect:
    """How Slack answers, with the limits of its tiers: 20 and 50 calls a minute for each method."""
    calls = {"conversations.list": 20, "conversations.history": 50, "conversations.open": 50, "users.lookupByEmail": 50}
    budgets = tuple(Budget(units, 60, cost=_of(method)) for method, units in calls.items())
    return Dialect(
        "slack", verdict=_verdict, reason=lambda response: code_of(response) or response.reason_phrase, budgets=budgets
    )


def accepted(response: httpx.Response, payload: Mapping[str, Any], doing: str) -> Mapping[str, Any]:
    """The payload of a success. Raises ``Refused`` with Slack's own code as the cause."""
    if code := code_of(response):
        raise Refused(f"slack: {doing} is refused: {code}; see Slack's list of errors for this method", cause=code)
    return payload


def code_of(response: httpx.Response) -> str | None:
    """The error's code; ``None`` for a success and for what is not Slack's."""
    try:
        payload = response.json()
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict) or payload.get("ok") is not False:
        return None
    code = payload.get("error")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else "unknown_error"


def _verdict(response: httpx.Response) -> Verdict:
    """Plain refusals pass: beside the request they are told with Slack's code as the cause."""
    by_status = verdict_by_status(response)
    if by_status is not Verdict.OK:
        return by_status
    return _VERDICTS.get(code_of(response) or "", Verdict.OK)


def _of(method: str) -> Callable[[httpx.Request], float]:
    return lambda request: 1.0 if request.url.path.endswith(f"/{method}") else 0.0
