"""The web application: receiver, REST API, health and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from config.hub import Hub
from console.api import api_routes
from console.credential_page import credential_routes
from console.receiver import receiver_routes
from workforce.errors import HubError, RetryLater

log = structlog.get_logger(__name__)


def build_app(hub: Callable[[], Hub], *, api_token: str, max_body_bytes: int) -> FastAPI:
    """The application. ``hub`` is asked at each request and may raise ``RetryLater`` while the database is away."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        """Read every tenant's configuration beside the first requests, so that none of them pays for it."""
        warming = asyncio.get_running_loop().run_in_executor(None, _warm, hub)
        yield
        await warming

    app = FastAPI(
        title="Stint", description="Receives webhooks and shows what became of them.", redoc_url=None, lifespan=lifespan
    )
    app.include_router(receiver_routes(hub, max_body_bytes=max_body_bytes))
    app.include_router(api_routes(hub, api_token))
    app.include_router(credential_routes(hub))

    @app.exception_handler(RetryLater)
    def unavailable(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"outcome": "unavailable", "message": str(error)}, 503, {"Retry-After": "5"})

    @app.get("/healthz", tags=["operation"])
    def alive() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"])
    def ready() -> dict[str, str]:
        """The process can store what it receives; 503 otherwise."""
        with hub().database.system() as tx:
            tx.execute("SELECT 1")
        return {"status": "ready"}

    @app.get("/metrics", tags=["operation"])
    def metrics() -> Response:
        """Counters in Prometheus' text format, those of refused deliveries included."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


def _warm(hub: Callable[[], Hub]) -> None:
    try:
        hub().warm()
    except HubError as error:
        log.info("receiver.not_warm", cause=error.cause)
