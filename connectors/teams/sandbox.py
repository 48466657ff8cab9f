"""A stand-in of a workflow with a webhook: it takes cards with 202 and posts them.

As the vendor where it hurts: the address is the only credential, a wrong signature is 401 and a deleted workflow 404, 202 comes before the
card is posted, more than four in a second are throttled (``is_strict``), nothing can be read back and repeats are posted again.
"""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp

WORKFLOW = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
SIGNATURE = "sandbox-teams-signature"
PATH = f"/workflows/{WORKFLOW}/triggers/manual/paths/invoke"
QUERY = f"api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIGNATURE}"
MAX_BYTES = 28_672


def _fault(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _answer(status: int, code: str, message: str, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(status, json.dumps(_fault(code, message)).encode(), ((b"content-type", b"application/json"), *headers))


_ANSWERS = {
    FaultKind.THROTTLED_BEFORE: _answer(429, "WorkflowTriggerThrottled", "Rate limit is exceeded.", (b"retry-after", b"0")),
    FaultKind.THROTTLED_BARE_BEFORE: _answer(429, "WorkflowTriggerThrottled", "Rate limit is exceeded."),
    FaultKind.EXPIRED_BEFORE: _answer(401, "DirectApiInvalidAuthorizationScope", "The authorization scope is not valid."),
    FaultKind.FORBIDDEN_BEFORE: _answer(403, "WorkflowTriggerDisabled", "The workflow is turned off."),
}


class TeamsSandbox:
    """One workflow. ``cards`` is what it posted; ``is_deleted`` makes it gone."""

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.cards: list[dict[str, Any]] = []
        self.is_deleted = False
        self.is_strict = False
        self._recent: deque[float] = deque(maxlen=4)
        routed = Starlette(routes=[Route("/{path:path}", self._invoke, methods=["GET", "POST"])])
        self.app = FaultyApp(routed, self.faults, latency_seconds=latency_seconds, answers=_ANSWERS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form for an instance that talks to this sandbox at ``base_url``."""
        return {"webhook_url": f"{base_url}{PATH}?{QUERY}", "ca_file": ca_file}

    async def _invoke(self, request: Request) -> Response:
        if request.url.path != PATH or self.is_deleted:
            return JSONResponse(_fault("WorkflowNotFound", "The workflow could not be found."), status_code=404)
        if request.scope["query_string"].decode() != QUERY:
            fault = _fault("DirectApiInvalidAuthorizationScope", "The authorization signature is not valid.")
            return JSONResponse(fault, status_code=401)
        if request.method != "POST":
            return JSONResponse(_fault("MethodNotAllowed", "The trigger expects POST."), status_code=405)
        return self._post(await request.body())

    def _post(self, body: bytes) -> Response:
        now = time.monotonic()
        if self.is_strict and len(self._recent) == 4 and now - self._recent[0] < 1:
            return JSONResponse(_fault("WorkflowTriggerThrottled", "Slow down."), status_code=429, headers={"retry-after": "1"})
        if len(body) > MAX_BYTES:
            return JSONResponse(_fault("RequestEntityTooLarge", "The message is too large."), status_code=413)
        try:
            (attachment,) = json.loads(body)["attachments"]
            card = attachment["content"]
            is_card = attachment["contentType"] == "application/vnd.microsoft.card.adaptive" and card["type"] == "AdaptiveCard"
        except (ValueError, KeyError, TypeError):
            is_card = False
        if not is_card:
            return JSONResponse(_fault("InvalidRequestContent", "The body holds no card."), status_code=400)
        self._recent.append(now)
        self.cards.append(card)
        self.effects.record("post_card", card["body"][0]["id"])
        return Response(status_code=202, headers={"x-ms-workflow-run-id": f"run-{len(self.cards)}"})
