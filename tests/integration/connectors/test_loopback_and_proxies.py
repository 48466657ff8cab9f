"""This installation's own processes are asked straight, whatever proxy the environment names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.loopback import answers, is_loopback, post
from connectors.suite.sandbox import serve
from flows.prefect_runs import PrefectRuns

pytestmark = pytest.mark.integration


async def _health(_request: Request) -> Response:
    return Response("true")


async def _echo(request: Request) -> Response:
    expected = (await request.body(), request.headers.get("x-key")) == (b"body", "value")
    return Response(status_code=200 if expected else 401)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A process on loopback, and a proxy in the environment at which nobody listens."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serve(Starlette(routes=[Route("/health", _health), Route("/hooks", _echo, methods=["POST"])])) as base:
        yield base


def test_health_is_asked_straight(url: str) -> None:
    assert answers(f"{url}/health")
    assert not answers(f"{url}/missing")
    assert not answers("http://127.0.0.1:1/health")


def test_elsewhere_is_asked_through_the_proxy(url: str) -> None:
    assert not answers(f"{url}/health", straight=False)


def test_a_delivery_is_posted_straight_and_every_status_is_an_answer(url: str) -> None:
    assert post(f"{url}/hooks", b"body", {"X-Key": "value"}) == 200
    assert post(f"{url}/hooks", b"other", {}) == 401
    assert post(f"{url}/missing", b"", {}) == 404


def test_prefects_server_on_loopback_is_found_up(url: str) -> None:
    assert PrefectRuns(url).is_up()


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://127.0.0.1:4200/api", True),
        ("http://[::1]:4200/api", True),
        ("http://localhost:4200/api", True),
        ("https://prefect.acme.example/api", False),
        ("http://10.0.0.5/api", False),
    ],
)
def test_only_loopback_counts_as_here(address: str, here: bool) -> None:
    assert is_loopback(address) is here
