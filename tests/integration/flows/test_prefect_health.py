"""Whether Prefect is up: asked of its API, and remembered for a moment, because every job asks."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.suite.sandbox import serve
from flows.prefect_runs import PrefectRuns

pytestmark = pytest.mark.integration

AN_HOUR = 3600.0


class Api:
    """An API that answers its health address as told, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.app = Starlette(routes=[Route("/api/health", self._health)])

    async def _health(self, request: Request) -> Response:
        self.asked += 1
        return Response("true", status_code=self.status)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    with serve(api.app) as base:
        yield f"{base}/api"


def test_an_answer_is_remembered_for_its_time(api: Api, url: str) -> None:
    prefect = PrefectRuns(url, health_cache_seconds=AN_HOUR)
    assert [prefect.is_up() for _ in range(5)] == [True] * 5
    assert api.asked == 1


def test_once_its_time_is_over_the_api_is_asked_again(api: Api, url: str) -> None:
    prefect = PrefectRuns(url, health_cache_seconds=0)
    assert prefect.is_up()
    api.status = 503
    assert not prefect.is_up()
    assert api.asked == 2


def test_an_address_at_which_nobody_listens_is_down() -> None:
    with socket.socket() as listener:  # bound, but it takes no connections
        listener.bind(("127.0.0.1", 0))
        assert not PrefectRuns(f"http://127.0.0.1:{listener.getsockname()[1]}/api", health_cache_seconds=0).is_up()
