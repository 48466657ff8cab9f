"""A stand-in of one company at WorkMarket: tokens, assignments, lists by offset, refusals inside HTTP 200, unsigned webhooks.

Times are in milliseconds. Statuses and the words of refusals are from memory.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp
from connectors.workmarket.client import ASSIGNMENTS, TOKEN_PATH
from connectors.workmarket.settings import WorkMarketSettings
from connectors.workmarket.webhooks import HEADER

_UNASSIGNED = WorkMarketSettings.model_fields["unassigned_statuses"].default
_ENDED = WorkMarketSettings.model_fields["ended_statuses"].default
_EDITABLE = ("title", "description", "instructions", "desired_skills")
DAY = 86_400_000
EXAMPLE = {"title": "Data Engineer", "description": "Builds pipelines", "time_zone": "America/New_York"}

Act = Callable[[Request], Awaitable[Response]]
Change = Callable[[dict[str, Any], Mapping[str, str]], str | None]


def _refusal(status: int, code: str, message: str) -> dict[str, Any]:
    meta = {"errors": [{"code": code, "message": message}], "status_code": status, "requestId": secrets.token_hex(8)}
    return {"meta": meta, "response": None}


_IN_ITS_WORDS = {
    FaultKind.EXPIRED_BEFORE: Answer(200, json.dumps(_refusal(401, "token.expired", "Access token has expired")).encode()),
    FaultKind.FORBIDDEN_BEFORE: Answer(200, json.dumps(_refusal(403, "forbidden", "Not permitted")).encode()),
}


class WorkMarketSandbox:
    """One company. ``assignments`` are by id; a new one is listed and shown after ``lag_seconds``; a part has ``page_limit`` items.

    Those in ``unreadable`` are listed and not shown. ``touches_all_on_list`` lets every look at the list meet assignments that have just changed,
    ``shuffles_ties`` shows those of one time in another order each time, ``tells_totals`` is whether a list says how long it is.
    """

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.token, self.secret = secrets.token_urlsafe(16), secrets.token_urlsafe(24)
        self.webhook_secret = secrets.token_urlsafe(24)
        self.assignments: dict[str, dict[str, Any]] = {}
        self.page_limit = 100
        self.lag_seconds = 0.0
        self.worker_has_to_agree = self.touches_all_on_list = self.shuffles_ties = False
        self.tells_totals = True
        self.tokens_issued = 0
        self.unreadable: set[str] = set()
        self._shows_at: dict[str, float] = {}
        self._tokens: set[str] = set()
        self._clock = 0
        self._lock = threading.RLock()
        self.effects, self.faults = EffectLedger(), Faults()
        self.app = FaultyApp(self._routes(), self.faults, latency_seconds=latency_seconds, answers=_IN_ITS_WORDS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The settings form of an instance that talks to this sandbox at ``base_url``."""
        return {
            "base_url": base_url,
            "api_token": self.token,
            "api_secret": self.secret,
            "webhook_secrets": [self.webhook_secret],
            "time_unit": "milliseconds",
            "page_size": 20,
            "ca_file": str(ca_file),
        }

    def add_assignment(self, **fields: Any) -> str:
        """An assignment with a worker, for ninety days; ``fields`` override. Its id."""
        with self._lock:
            assignment_id = str(fields.pop("id", 1000000001 + len(self.assignments)))
            now = int(time.time() * 1000)
            usual = {"status": "active", "scheduled_start": now - DAY, "scheduled_end": now + 90 * DAY, "created_on": now}
            self.assignments[assignment_id] = {"id": assignment_id, **EXAMPLE, **usual}
            self._shows_at[assignment_id] = time.monotonic() + self.lag_seconds
            self.change(assignment_id, **fields)
            return assignment_id

    def change(self, assignment_id: str, **fields: Any) -> None:
        """Set fields of an assignment."""
        with self._lock:
            self._clock = max(int(time.time() * 1000), self._clock)
            self.assignments[assignment_id].update(fields, last_modified_on=self._clock)

    def webhook(self, assignment_id: str, event: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of the webhook, as the company has set it up."""
        body = {"event": event, "assignment_id": assignment_id, "at": str(self.assignments[assignment_id]["last_modified_on"])}
        return {"content-type": "application/json", HEADER: self.webhook_secret}, json.dumps(body).encode()

    def expire_tokens(self) -> None:
        """Stop accepting every access token given out so far."""
        self._tokens.clear()

    def show_all(self) -> None:
        """End the lag of what was created so far."""
        self._shows_at.clear()

    def _routes(self) -> Starlette:
        return Starlette(
            routes=[
                Route(TOKEN_PATH, self._token, methods=["POST"]),
                Route(f"{ASSIGNMENTS}/statuses", self._guarded(self._statuses), methods=["GET"]),
                Route(f"{ASSIGNMENTS}/list_updated", self._guarded(self._list), methods=["GET"]),
                Route(f"{ASSIGNMENTS}/get", self._guarded(self._get), methods=["GET"]),
                Route(f"{ASSIGNMENTS}/create", self._guarded(self._create), methods=["POST"]),
                Route(f"{ASSIGNMENTS}/reschedule", self._changing("reschedule_assignment", self._reschedule), methods=["POST"]),
                Route(f"{ASSIGNMENTS}/cancel", self._changing("cancel_assignment", _cancel), methods=["POST"]),
                Route(f"{ASSIGNMENTS}/void", self._changing("void_assignment", _void), methods=["POST"]),
                Route(f"{ASSIGNMENTS}/{{id}}/edit", self._changing("edit_assignment", _edit), methods=["POST"]),
                Route(f"{ASSIGNMENTS}/{{id}}/complete", self._changing("complete_assignment", _complete), methods=["POST"]),
            ]
        )

    async def _token(self, request: Request) -> Response:
        query = request.query_params
        if (query.get("token"), query.get("secret")) != (self.token, self.secret):
            return JSONResponse(_refusal(401, "token.invalid", "Invalid token or secret"))
        token = secrets.token_urlsafe(32)
        self._tokens.add(token)
        self.tokens_issued += 1
        return self._fine({"access_token": token})

    def _guarded(self, act: Act) -> Act:
        async def checked(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if token not in self._tokens:
                return JSONResponse(_refusal(401, "token.expired", "Access token has expired"))
            return await act(request)

        return checked

    def _changing(self, effect: str, change: Change) -> Act:
        """Change one assignment by the query, unless ``change`` tells why not. What changes nothing is no effect."""

        async def changed(request: Request) -> Response:
            query = request.query_params
            assignment_id = request.path_params.get("id") or query.get("id", "")
            with self._lock:
                current = self._shown().get(assignment_id)
                if current is None:
                    return JSONResponse(_refusal(404, "assignment.not_found", "Assignment not found"))
                wanted = dict(current)
                if fault := change(wanted, query):
                    return JSONResponse(_refusal(400, "assignment.invalid", fault))
                if wanted != current:
                    self.change(assignment_id, **wanted)
                    self.effects.record(effect, assignment_id)
            return self._fine({"successful": True})

        return self._guarded(changed)

    def _shown(self) -> dict[str, dict[str, Any]]:
        now = time.monotonic()
        return {one: fields for one, fields in self.assignments.items() if self._shows_at.get(one, 0.0) <= now}

    async def _statuses(self, _request: Request) -> Response:
        return self._fine([{"id": status, "name": status} for status in (*_UNASSIGNED, "active", "inprogress", *_ENDED)])

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        start, limit = int(query.get("start", "0")), min(int(query.get("limit", "25")), self.page_limit)
        with self._lock:
            for assignment_id in self.assignments if self.touches_all_on_list else ():
                self.change(assignment_id)
            found = [one for one in self._shown().values() if one["last_modified_on"] >= int(query.get("modified_since", "0"))]
        order = {one["id"]: secrets.token_hex(4) if self.shuffles_ties else one["id"] for one in found}
        found.sort(key=lambda one: (one["last_modified_on"], order[one["id"]]), reverse=query.get("sort_dir") == "desc")
        names = ("id", "title", "status", "scheduled_start", "scheduled_end", "last_modified_on")
        data = [{name: one[name] for name in names} for one in found[start : start + limit]]
        total = {"totalResults": len(found)} if self.tells_totals else {}
        return self._fine({"count": len(data), "data": data, "limit": limit, "start": start, **total})

    async def _get(self, request: Request) -> Response:
        assignment_id = request.query_params.get("id", "")
        fields = self._shown().get(assignment_id) if assignment_id not in self.unreadable else None
        return self._fine(fields) if fields else JSONResponse(_refusal(404, "assignment.not_found", "Assignment not found"))

    async def _create(self, request: Request) -> Response:
        query = request.query_params
        if not query.get("title"):
            return JSONResponse(_refusal(400, "title.required", "Title is a required field"))
        fields: dict[str, Any] = {name: query[name] for name in _EDITABLE if name in query}
        fields |= {name: int(query[name]) for name in ("scheduled_start", "scheduled_end") if name in query}
        assignment_id = self.add_assignment(**fields, status="active" if "resource_id" in query else "draft")
        self.effects.record("create_assignment", assignment_id)
        return self._fine({"id": assignment_id, "successful": True})

    def _reschedule(self, wanted: dict[str, Any], query: Mapping[str, str]) -> str | None:
        start, end = int(query["scheduled_start"]), int(query["scheduled_end"])
        if wanted["status"] in (*_UNASSIGNED, *_ENDED):
            return f"An assignment that is {wanted['status']} cannot be rescheduled"
        if start > end:
            return "The end lies before the start"
        asked = {"scheduled_start": start, "scheduled_end": end}
        wanted.update(
            {"reschedule_request": {"request_window_start": start, "request_window_end": end}}
            if self.worker_has_to_agree
            else asked
        )
        return None

    def _fine(self, response: object) -> JSONResponse:
        """An answer. The clock it tells is past every change: a tick is over before the next answer."""
        with self._lock:
            self._clock = max(int(time.time() * 1000), self._clock + 1)
            meta = {"errors": [], "status_code": 200, "version": 1, "requestId": secrets.token_hex(8), "timestamp": self._clock}
        return JSONResponse({"meta": meta, "response": response})


def _edit(wanted: dict[str, Any], query: Mapping[str, str]) -> str | None:
    wanted.update({name: query[name] for name in _EDITABLE if name in query})
    wanted.update({name: int(query[name]) for name in ("scheduled_start", "scheduled_end") if name in query})
    return None


def _void(wanted: dict[str, Any], query: Mapping[str, str]) -> str | None:
    del query
    return _set_status(wanted, "void", refused=wanted["status"] not in _UNASSIGNED)


def _cancel(wanted: dict[str, Any], query: Mapping[str, str]) -> str | None:
    return _set_status(wanted, "cancelled", refused=not query.get("reason") or wanted["status"] in (*_UNASSIGNED, *_ENDED))


def _complete(wanted: dict[str, Any], query: Mapping[str, str]) -> str | None:
    return _set_status(wanted, "complete", refused=not query.get("resolution") or wanted["status"] in (*_UNASSIGNED, *_ENDED))


def _set_status(wanted: dict[str, Any], status: str, *, refused: bool) -> str | None:
    if refused:
        return f"An assignment that is {wanted['status']} cannot become {status}"
    wanted["status"] = status
    return None
