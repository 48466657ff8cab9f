"""Refresh tokens that change with each use: none is spent twice, none is lost, and a stale one is the administrator's matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from connectors.wire.rotation import RENEW_BEFORE_SECONDS, RotatingAccess
from tests.unit.connectors.shelf import Shelf
from workforce.errors import Misconfigured, RetryLater


class Endpoint:
    """A vendor that gives ``access-1`` and ``refresh-1`` for what is spent first, and so on."""

    def __init__(self, **given: object) -> None:
        self.spent: list[str] = []
        self._given = given

    def spend(self, refresh_token: str) -> Mapping[str, Any]:
        self.spent.append(refresh_token)
        n = len(self.spent)
        return {"access_token": f"access-{n}", "refresh_token": f"refresh-{n}", "expires_in": 7200, **self._given}


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def a_process(endpoint: Endpoint, shelf: Shelf, seed: str = "seed") -> RotatingAccess:
    return RotatingAccess("vendor", endpoint.spend, seed=seed, credentials=shelf, lifetime_seconds=3600, now=lambda: 1e9)


def bearer(n: int) -> dict[str, str]:
    return {"Authorization": f"Bearer access-{n}"}


def test_a_process_after_a_restart_takes_over_the_access_token(endpoint: Endpoint, shelf: Shelf) -> None:
    assert a_process(endpoint, shelf).authorize() == bearer(1)
    assert a_process(endpoint, shelf).authorize() == bearer(1)
    assert endpoint.spent == ["seed"]


def test_a_rejected_access_token_is_renewed_with_the_newest_refresh_token(endpoint: Endpoint, shelf: Shelf) -> None:
    access = a_process(endpoint, shelf)
    access.authorize()
    access.renew()
    assert access.authorize() == bearer(2)
    assert endpoint.spent == ["seed", "refresh-1"]


def test_what_another_process_renewed_meanwhile_is_taken_over_instead_of_spent_again(endpoint: Endpoint, shelf: Shelf) -> None:
    first, second = a_process(endpoint, shelf), a_process(endpoint, shelf)
    for access in (first, second):
        access.authorize()
        access.renew()
    assert first.authorize() == second.authorize() == bearer(2)
    assert endpoint.spent == ["seed", "refresh-1"]


def test_an_access_token_about_to_expire_is_not_taken_over(shelf: Shelf) -> None:
    endpoint = Endpoint(expires_in=RENEW_BEFORE_SECONDS)
    a_process(endpoint, shelf).authorize()
    a_process(endpoint, shelf).authorize()
    assert endpoint.spent == ["seed", "refresh-1"]


def test_a_newly_configured_refresh_token_starts_afresh(endpoint: Endpoint, shelf: Shelf) -> None:
    a_process(endpoint, shelf).authorize()
    a_process(endpoint, shelf, seed="authorised again").authorize()
    assert endpoint.spent == ["seed", "authorised again"]


def test_a_refresh_token_that_the_store_could_not_take_is_kept_before_anything_else(endpoint: Endpoint, shelf: Shelf) -> None:
    shelf.outages = 3
    access = a_process(endpoint, shelf)
    for _ in range(3):
        with pytest.raises(RetryLater, match="database"):
            access.authorize()
    assert access.authorize() == bearer(1)
    assert (endpoint.spent, "refresh-1" in shelf.kept["seed"]) == (["seed"], True)


def test_a_vendor_that_gives_no_new_refresh_token_keeps_the_old_one(shelf: Shelf) -> None:
    endpoint = Endpoint(refresh_token=None)
    access = a_process(endpoint, shelf)
    access.authorize()
    access.renew()
    access.authorize()
    assert endpoint.spent == ["seed", "seed"]


@pytest.mark.parametrize(
    "given", [{"expires_in": 0}, {"expires_in": float("inf")}, {"access_token": "a b"}, {"refresh_token": ""}]
)
def test_a_grant_that_cannot_be_used_is_not_kept(shelf: Shelf, given: dict[str, object]) -> None:
    with pytest.raises(RetryLater):
        a_process(Endpoint(**given), shelf).authorize()
    assert shelf.kept == {}


def test_a_refused_refresh_token_is_the_administrators_matter(shelf: Shelf) -> None:
    access = RotatingAccess(
        "vendor", lambda _: {"error": "invalid_grant"}, seed="s3cr3t", credentials=shelf, lifetime_seconds=3600, now=lambda: 1e9
    )
    with pytest.raises(Misconfigured) as caught:
        access.authorize()
    assert (caught.value.cause, caught.value.field) == ("unauthenticated", "refresh_token")
    assert "s3cr3t" not in str(caught.value)


def test_what_is_kept_but_not_readable_is_named_and_not_shown(endpoint: Endpoint, shelf: Shelf) -> None:
    shelf.kept["seed"] = '{"access_token": "canary"}'
    with pytest.raises(Misconfigured) as caught:
        a_process(endpoint, shelf).authorize()
    assert caught.value.cause == "kept_credential_unreadable"
    assert "canary" not in str(caught.value)
    assert endpoint.spent == []
