"""What Slack's answers mean, most of which are HTTP 200."""

from __future__ import annotations

import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import Verdict
from connectors.slack.answers import code_of, dialect


def verdict(error: object, status: int = 200) -> Verdict:
    return dialect().verdict(httpx.Response(status, json={"ok": False, "error": error}))


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        ("ratelimited", Verdict.THROTTLED),
        ("invalid_auth", Verdict.UNAUTHENTICATED),
        ("not_authed", Verdict.UNAUTHENTICATED),
        ("token_revoked", Verdict.UNAUTHENTICATED),
        ("missing_scope", Verdict.FORBIDDEN),
        ("channel_not_found", Verdict.NOT_FOUND),
        ("users_not_found", Verdict.NOT_FOUND),
        ("fatal_error", Verdict.UNAVAILABLE),
        ("is_archived", Verdict.OK),  # a plain refusal is told beside the request
    ],
)
def test_a_failure_is_read_by_its_code(error: str, meaning: Verdict) -> None:
    assert verdict(error) is meaning


def test_a_status_of_failure_rules_over_the_code() -> None:
    assert (verdict("ratelimited", 429), verdict("is_archived", 503)) == (Verdict.THROTTLED, Verdict.UNAVAILABLE)


@given(st.binary(max_size=60) | st.text().map(lambda error: httpx.Response(200, json={"ok": False, "error": error}).content))
def test_no_answer_makes_it_crash_and_no_code_holds_more_than_a_word(body: bytes) -> None:
    code = code_of(httpx.Response(200, content=body))
    assert code is None or re.fullmatch(r"[a-z0-9_]{1,64}", code)
    assert isinstance(dialect().verdict(httpx.Response(200, content=body)), Verdict)


def test_each_sort_of_look_up_has_its_own_budget() -> None:
    spent = {
        path: sum(budget.cost(httpx.Request("GET", f"https://slack.com/api/{path}")) for budget in dialect().budgets)
        for path in ("conversations.history", "users.lookupByEmail", "chat.postMessage")
    }
    assert spent == {"conversations.history": 1, "users.lookupByEmail": 1, "chat.postMessage": 0}
