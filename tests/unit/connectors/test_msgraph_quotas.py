"""What Graph counts for a request, against the vendor's table."""

from __future__ import annotations

import httpx
import pytest

from connectors.msgraph.quotas import budgets, invitations, resource_units, writes
from tests.unit.connectors.graph import GRAPH


@pytest.mark.parametrize(
    ("method", "path", "units"),
    [
        ("GET", "/users", 2),
        ("GET", "/users?$select=id", 1),
        ("GET", "/users?$select=id&$top=1", 1),
        ("GET", "/users?$top=20", 2),
        ("GET", "/users?$top=19&$expand=manager", 2),
        ("GET", "/users?%24expand=manager", 3),
        ("GET", "/users/delta()", 2),
        ("GET", "/users/1/memberOf", 1),
        ("GET", "/groups/1/members", 3),
        ("GET", "/subscribedSkus", 3),
        ("POST", "/users", 2),
        ("PATCH", "/users/1", 2),
        ("POST", "/users/1/revokeSignInSessions", 2),
        ("DELETE", "/groups/1/members/2/$ref", 4),
    ],
)
def test_a_request_costs_what_the_vendor_says(method: str, path: str, units: int) -> None:
    request = httpx.Request(method, f"{GRAPH}{path}")
    assert resource_units(request) == units
    assert writes(request) == (method != "GET")


def test_a_batch_costs_the_sum_of_its_parts() -> None:
    parts = [
        {"id": "1", "method": "PATCH", "url": "/users/1", "body": {"accountEnabled": False}},
        {"id": "2", "method": "GET", "url": "/users/1/memberOf?$select=id&$top=999"},
        {"id": "3", "method": "GET", "url": "/users/1?$expand=manager"},
    ]
    batch = httpx.Request("POST", f"{GRAPH}/$batch", json={"requests": parts})
    assert (resource_units(batch), writes(batch)) == (2 + 1 + 3, 1)


def test_the_budget_is_that_of_the_tenants_size() -> None:
    assert [(b.units, b.seconds) for b in budgets("S")] == [(3_500, 10), (3_000, 150), (150, 5)]
    assert [b.units for b in (budgets("M")[0], budgets("L")[0])] == [5_000, 8_000]


def test_an_invitation_is_a_write_that_has_a_limit_of_its_own() -> None:
    invitation, user = (httpx.Request("POST", f"{GRAPH}/{path}") for path in ("invitations", "users"))
    assert [(invitations(each), writes(each)) for each in (invitation, user)] == [(1, 1), (0, 1)]
