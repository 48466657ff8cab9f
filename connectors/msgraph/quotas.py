"""Graph's limits for one app in one tenant, as it counts them: resource units in 10 s, writes in 150 s, and invitations in 5 s.

https://learn.microsoft.com/graph/throttling-limits (identity and access). A batch costs what its parts cost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

import httpx

from connectors.wire.budget import Budget

_UNITS = {"S": 3_500, "M": 5_000, "L": 8_000}
_WRITES, _WRITES_SECONDS = 3_000, 150
_INVITATIONS, _INVITATIONS_SECONDS = 150, 5
_COSTS = (
    (re.compile(r"\w+ .*/groups/[^/]+/members"), 3),
    (re.compile(r"GET .*/users(/[^/]+)?$"), 2),
    (re.compile(r"GET .*/subscribedSkus$"), 3),
)


def budgets(tenant_size: Literal["S", "M", "L"]) -> tuple[Budget, ...]:
    """The budgets of a tenant of this size."""
    return (
        Budget(_UNITS[tenant_size], 10, resource_units),
        Budget(_WRITES, _WRITES_SECONDS, writes),
        Budget(_INVITATIONS, _INVITATIONS_SECONDS, invitations),
    )


def resource_units(request: httpx.Request) -> float:
    """What a request costs."""
    return sum(_cost(call) for call in _calls(request))


def writes(request: httpx.Request) -> float:
    """How many writes a request is."""
    return sum(call.is_write for call in _calls(request))


def invitations(request: httpx.Request) -> float:
    """How many invitations a request is."""
    return float(request.url.path.endswith("/invitations"))


class _Call(NamedTuple):
    method: str
    url: httpx.URL

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


def _calls(request: httpx.Request) -> Iterator[_Call]:
    if not request.url.path.endswith("/$batch"):
        yield _Call(request.method, request.url)
        return
    for part in json.loads(request.content)["requests"]:
        yield _Call(part["method"], httpx.URL(part["url"]))


def _cost(call: _Call) -> int:
    query, top = call.url.params, call.url.params.get("$top", "")
    base = next((cost for what, cost in _COSTS if what.match(f"{call.method} {call.url.path}")), 1) + call.is_write
    return max(1, base - ("$select" in query) + ("$expand" in query) - (top.isdigit() and int(top) < 20))
