"""The receiver: raw body, size cap, signature, one transaction, and 2xx only after the commit.

401 wrong or missing signature (nothing is stored, but counted) · 404 unknown tenant or system · 413 too large · 503 the database is
away. An authentic body that cannot be used is stored and parked, and acknowledged: sending it again would not help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from config.hub import Hub
from console.tenancy import is_known
from ledger.intake import deliveries, inbox
from workforce.errors import BadSignature, Misconfigured, RetryLater, UnusableContent
from workforce.ports import RepliesInWords, Webhooks

log = structlog.get_logger(__name__)

_MAX_DIGITS = 18  # of a length that can be meant; Python refuses to read numbers of thousands of digits
RECEIVED = Counter("stint_webhooks_total", "Deliveries by answer", ["outcome"])


class TooLarge(Exception):
    """The body is larger than the cap; reading stopped there."""


def receiver_routes(hub: Callable[[], Hub], *, max_body_bytes: int) -> APIRouter:
    """``POST /v1/hooks/{tenant}/{system}``: where a vendor's webhook is sent. ``hub`` is asked at each request."""
    router = APIRouter()

    @router.post("/v1/hooks/{tenant}/{system}", summary="Receive a vendor's webhook", tags=["webhooks"])
    async def receive(tenant: str, system: str, request: Request) -> Response:
        """Store an authentic delivery and acknowledge it after the commit."""
        try:
            body = await _body(request, max_body_bytes)
        except TooLarge:
            return _answer(413, "too_large", f"the body is larger than {max_body_bytes} bytes")
        except ClientDisconnect:
            return _answer(400, "disconnected", "the sender went away before the body was complete")
        return await run_in_threadpool(_take, hub, tenant, system, request.headers, body)

    return router


async def _body(request: Request, cap: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > _MAX_DIGITS or int(declared) > cap):
        raise TooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > cap:
            raise TooLarge
    return bytes(body)


def _take(hub: Callable[[], Hub], tenant: str, system: str, headers: Mapping[str, str], body: bytes) -> Response:
    try:
        return _verified(hub(), tenant, system, headers, body)
    except BadSignature as error:
        return _answer(401, error.cause, str(error))
    except RetryLater as error:
        return _answer(503, error.cause, "this cannot be stored now; send it again later", retry_after=True)


def _verified(hub: Hub, tenant: str, system: str, headers: Mapping[str, str], body: bytes) -> Response:
    webhooks = _webhooks(hub, tenant, system)
    if webhooks is None:
        return _answer(404, "unknown", "there is no such tenant, or it has no such system that sends webhooks")
    webhooks.verify({name.lower(): value for name, value in headers.items()}, body)
    try:
        events = webhooks.events(body)
        with hub.database.transaction(tenant) as tx:
            fresh = [deliveries.take(tx, system, event, body, auth="hmac") for event in events]
    except UnusableContent as error:
        with hub.database.transaction(tenant) as tx:
            inbox.receive_unusable(tx, source=system, body=body, cause=error.cause, message=str(error), field=error.field)
        return _receipt(webhooks, 202, "parked", "stored, but it cannot be used; see: stint failures list")
    return _receipt(webhooks, 200, "accepted" if any(fresh) else "duplicate", "stored")


def _webhooks(hub: Hub, tenant: str, system: str) -> Webhooks | None:
    if not is_known(hub, tenant):
        return None
    try:
        return hub.tenant(tenant).instance(system).webhooks()
    except Misconfigured as error:
        if error.cause in {"unknown_instance", "missing_capability"}:
            return None
        raise RetryLater(str(error), cause=error.cause) from None


def _receipt(webhooks: Webhooks, status: int, outcome: str, message: str) -> Response:
    """The delivery is stored: say so, in the sender's own words where it insists on them."""
    answer = _answer(status, outcome, message)
    return PlainTextResponse(webhooks.reply) if isinstance(webhooks, RepliesInWords) else answer


def _answer(status: int, outcome: str, message: str, *, retry_after: bool = False) -> JSONResponse:
    RECEIVED.labels(outcome).inc()
    if status >= 400:
        log.info("webhook.not_accepted", status=status, outcome=outcome)
    headers = {"Retry-After": "5"} if retry_after else None
    return JSONResponse({"outcome": outcome, "message": message}, status_code=status, headers=headers)
