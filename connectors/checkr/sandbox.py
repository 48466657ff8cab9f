"""A stand-in of Checkr: one account with candidates, invitations and reports, in memory.

As the vendor where it hurts: idempotency keys whose first success is replayed (``in_flight`` holds those still being worked on), its rules
against duplicates, lists that show late (``lag_seconds``) and hide canceled invitations, a rate limit told by X-Ratelimit-Reset
(``requests_per_minute``), webhooks with or without their object (``include_object``) that come twice and in any order.
"""

from __future__ import annotations

import base64
import json
import random
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.checkr.webhooks import SCHEME, SIGNATURE
from connectors.records.instants import instant_text
from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp, RollingMinute
from connectors.webhooks import sign

API_KEY = "sandbox-checkr-secret-key"
ACCOUNT_ID = "a0b1c2d3e4f5a6b7c8d9e0f1"
PACKAGES = ("essential_criminal", "driver_pro")
KEY_LIFETIME = timedelta(hours=24)

_NAME = re.compile(r"[a-zA-Z0-9ªµºÀ-ÖØ-öø-ÿ\-'., ]*")
_TOO_MANY = b'{"error":"Rate limit exceeded"}'
_IN_ITS_WORDS = {
    FaultKind.THROTTLED_BEFORE: Answer(429, _TOO_MANY, ((b"x-ratelimit-reset", b"2026-01-01T00:00:00Z"),)),
    FaultKind.THROTTLED_BARE_BEFORE: Answer(429, _TOO_MANY),
    FaultKind.EXPIRED_BEFORE: Answer(401, b'{"error":"Bad authentication error"}'),
    FaultKind.FORBIDDEN_BEFORE: Answer(403, b'{"error":"Access denied"}'),
}


class CheckrSandbox:
    """Checkr with one account. ``candidates``, ``invitations`` and ``reports`` map ids to what GET shows; ``outbox`` holds the events."""

    effects: EffectLedger
    faults: Faults
    app: ASGIApp

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.api_key = API_KEY
        self.authorized = True
        self.include_object = True
        self.lag_seconds = 0.0
        self.per_page_limit = 100
        self.requests_per_minute: int | None = None
        self.candidates: dict[str, dict[str, Any]] = {}
        self.invitations: dict[str, dict[str, Any]] = {}
        self.reports: dict[str, dict[str, Any]] = {}
        self.outbox: list[tuple[dict[str, str], bytes]] = []
        self.in_flight: set[str] = set()
        self._answered: dict[str, tuple[datetime, dict[str, Any]]] = {}
        self._adjudicated_at: dict[str, datetime] = {}
        self._visible_from: dict[str, float] = {}
        self._recent = RollingMinute()
        routed = Starlette(routes=self._routes())
        self.app = FaultyApp(routed, self.faults, latency_seconds=latency_seconds, answers=_IN_ITS_WORDS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form for an instance that talks to this sandbox at ``base_url``."""
        return {"base_url": base_url, "api_key": API_KEY, "ca_file": ca_file}

    # what candidates, Checkr and its people do

    def ordered_by_hand(self, custom_id: str) -> str:
        """Somebody orders a check in Checkr itself; the candidate's id."""
        candidate = self._made_candidate({"email": f"{custom_id.lower()}@home.example", "custom_id": custom_id})
        self._made_invitation(candidate, PACKAGES[0])
        return str(candidate["id"])

    def fill_in(self, candidate_id: str) -> str:
        """The candidate consents and fills in the form: a report begins; its id."""
        invitation = self._invitation_of(candidate_id)
        report = _new("report", status="pending", package=invitation["package"], candidate_id=candidate_id, source="api")
        report |= {"result": None, "adjudication": None, "assessment": None, "includes_canceled": False}
        self.reports[report["id"]] = report
        self.candidates[candidate_id]["report_ids"].append(report["id"])
        invitation |= {"status": "completed", "completed_at": _now(), "report_id": report["id"]}
        self._tell("invitation.completed", invitation)
        self._tell("report.created", report)
        return str(report["id"])

    def expire(self, candidate_id: str) -> None:
        """Seven days go by without the candidate."""
        invitation = self._invitation_of(candidate_id)
        invitation["status"] = "expired"
        self._tell("invitation.expired", invitation)

    def cancel_invitation(self, candidate_id: str) -> None:
        """Somebody takes the invitation back."""
        invitation = self._invitation_of(candidate_id)
        invitation["deleted_at"] = _now()
        self._tell("invitation.deleted", invitation)

    def finish(self, report_id: str, result: str | None = "clear", **fields: object) -> None:
        """The report is complete."""
        self.change_report(report_id, "report.completed", status="complete", result=result, completed_at=_now(), **fields)

    def adjudicate(self, report_id: str, adjudication: str) -> None:
        """A person at the customer decides: engaged, pre_adverse_action or post_adverse_action."""
        self._adjudicated_at[report_id] = datetime.now(UTC)
        self.change_report(report_id, f"report.{adjudication}", adjudication=adjudication)

    def change_report(self, report_id: str, kind: str, **fields: object) -> None:
        """Change fields of a report and tell it as ``kind``."""
        self.reports[report_id] |= fields
        self._tell(kind, self.reports[report_id])

    def deliveries(self, chance: random.Random) -> Sequence[tuple[dict[str, str], bytes]]:
        """Everything in the outbox as it may arrive: some of it twice, in any order."""
        sent = self.outbox + [one for one in self.outbox if chance.random() < 0.3]
        chance.shuffle(sent)
        return sent

    def _tell(self, kind: str, about: Mapping[str, Any]) -> None:
        shown = about if self.include_object else {name: about[name] for name in ("id", "object", "uri")}
        event = _new("event", type=kind, account_id=ACCOUNT_ID, data={"object": shown})
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        self.outbox.append(({SIGNATURE: sign(SCHEME, self.api_key.encode(), {}, body), "content-type": "application/json"}, body))

    def _invitation_of(self, candidate_id: str) -> dict[str, Any]:
        return [one for one in self.invitations.values() if one["candidate_id"] == candidate_id][-1]

    # the API

    def _routes(self) -> list[Route]:
        return [
            Route("/v1/account", self._guarded(self._account), methods=["GET"]),
            Route("/v1/candidates", self._guarded(self._list_candidates), methods=["GET"]),
            Route("/v1/candidates", self._guarded(self._create_candidate), methods=["POST"]),
            Route("/v1/candidates/{id}", self._guarded(self._one("candidates")), methods=["GET"]),
            Route("/v1/invitations", self._guarded(self._list_invitations), methods=["GET"]),
            Route("/v1/invitations", self._guarded(self._invite), methods=["POST"]),
            Route("/v1/invitations/{id}", self._guarded(self._one("invitations")), methods=["GET"]),
            Route("/v1/reports/{id}", self._guarded(self._one("reports")), methods=["GET"]),
        ]

    def _guarded(self, answer: Callable[[Request, dict[str, Any]], Response]) -> Callable[[Request], Awaitable[Response]]:
        """The route with the key and the limit checked, and a post's success kept under its idempotency key."""

        async def route(request: Request) -> Response:
            basic = base64.b64encode(f"{self.api_key}:".encode()).decode()
            if request.headers.get("authorization") != f"Basic {basic}":
                return _fault(401, "Bad authentication error")
            if throttled := self._throttled():
                return throttled
            if request.method == "GET":
                return answer(request, {})
            try:
                body = await request.json()
            except ValueError:
                return _fault(400, "The body is not JSON")
            return self._once(f"{request.url.path} {request.headers.get('idempotency-key')}", lambda: answer(request, body))

        return route

    def _once(self, key: str, answer: Callable[[], Response]) -> Response:
        if key.rpartition(" ")[2] in self.in_flight:
            return _fault(409, "A request with this idempotency key is in progress")
        at, first = self._answered.get(key, (datetime.min.replace(tzinfo=UTC), {}))
        if datetime.now(UTC) - at < KEY_LIFETIME:
            return JSONResponse(first, status_code=201)
        response = answer()
        if response.status_code == 201 and not key.endswith(" None"):
            self._answered[key] = datetime.now(UTC), json.loads(bytes(response.body))
        return response

    def forget_idempotency_keys(self) -> None:
        """24 hours go by."""
        self._answered.clear()

    def _throttled(self) -> Response | None:
        wait = self._recent.wait_seconds(self.requests_per_minute)
        if not wait:
            return None
        headers = {"x-ratelimit-limit": str(self.requests_per_minute), "x-ratelimit-remaining": "0"}
        headers["x-ratelimit-reset"] = instant_text(datetime.now(UTC) + timedelta(seconds=wait))
        return JSONResponse({"error": "Rate limit exceeded"}, status_code=429, headers=headers)

    def _account(self, _request: Request, _body: dict[str, Any]) -> Response:
        return JSONResponse({"id": ACCOUNT_ID, "object": "account", "name": "Acme", "authorized": self.authorized})

    def _one(self, kind: str) -> Callable[[Request, dict[str, Any]], Response]:
        def answer(request: Request, _body: dict[str, Any]) -> Response:
            found = getattr(self, kind).get(request.path_params["id"])
            if found is None or self._is_hidden(found):
                return _fault(404, f"{kind[:-1].capitalize()} not found")
            if found.get("deleted_at") and request.query_params.get("include_deleted") != "true":
                return _fault(404, "Invitation not found")
            return JSONResponse(found)

        return answer

    def _is_hidden(self, one: Mapping[str, Any]) -> bool:
        return self._visible_from.get(one["id"], 0.0) > time.monotonic()

    def _listed(self, request: Request, found: Sequence[Mapping[str, Any]]) -> Response:
        """One page, newest first."""
        shown = [one for one in reversed(found) if not self._is_hidden(one)]
        page = int(request.query_params.get("page", "1"))
        per_page = min(int(request.query_params.get("per_page", "25")), self.per_page_limit)
        answer = {"object": "list", "count": len(shown), "data": shown[(page - 1) * per_page : page * per_page]}
        if page * per_page < len(shown):
            answer["next_href"] = str(request.url.include_query_params(page=page + 1))
        return JSONResponse(answer)

    def _list_candidates(self, request: Request, _body: dict[str, Any]) -> Response:
        query = request.query_params
        found = list(self.candidates.values())
        if "custom_id" in query:
            found = [one for one in found if one.get("custom_id") == query["custom_id"]]
        for name in ("created", "report_revised", "report_adjudicated"):
            for is_after, bound in ((True, query.get(f"{name}_after")), (False, query.get(f"{name}_before"))):
                if bound is not None:
                    instant = datetime.fromisoformat(bound)
                    found = [one for one in found if any((at > instant) == is_after for at in self._instants(name, one))]
        return self._listed(request, found)

    def _instants(self, name: str, candidate: Mapping[str, Any]) -> list[datetime]:
        """When ``candidate`` was made, or when its reports were revised or adjudicated."""
        if name == "created":
            return [datetime.fromisoformat(candidate["created_at"])]
        ids = [one for one in candidate["report_ids"] if one in self.reports]
        if name == "report_adjudicated":
            return [self._adjudicated_at[one] for one in ids if one in self._adjudicated_at]
        revised = [self.reports[one].get("revised_at") for one in ids]
        return [datetime.fromisoformat(at) for at in revised if at]

    def _create_candidate(self, _request: Request, body: dict[str, Any]) -> Response:
        email = body.get("email")
        if not isinstance(email, str) or "@" not in email:
            return _fault(400, f"email {email} is invalid")
        for name in ("first_name", "last_name"):
            if name in body and not _NAME.fullmatch(body[name]):
                return _fault(400, f"{name} {body[name]} is invalid")
        since = datetime.now(UTC) - timedelta(hours=24)
        same = [c for c in self.candidates.values() if c["email"] == email and datetime.fromisoformat(c["created_at"]) > since]
        if len(same) >= 2:
            return _fault(409, "Duplicate candidate: no more than 2 candidates with the same e-mail in 24 hours")
        return JSONResponse(self._made_candidate(body), status_code=201)

    def _made_candidate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: body[name] for name in ("email", "first_name", "last_name", "custom_id", "work_locations") if name in body}
        candidate = _new("candidate", **kept, report_ids=[], geo_ids=[], metadata={})
        self._keep(self.candidates, candidate)
        self.effects.record("create_candidate", str(body.get("custom_id")))
        return candidate

    def _list_invitations(self, request: Request, _body: dict[str, Any]) -> Response:
        query = request.query_params
        found = [one for one in self.invitations.values() if not one["deleted_at"]]
        found = [one for one in found if query.get("candidate_id") in {None, one["candidate_id"]}]
        return self._listed(request, [one for one in found if query.get("status") in {None, one["status"]}])

    def _invite(self, _request: Request, body: dict[str, Any]) -> Response:
        candidate = self.candidates.get(body.get("candidate_id", ""))
        if candidate is None or self._is_hidden(candidate):
            return _fault(404, "Candidate not found")
        if body.get("package") not in PACKAGES:
            return _fault(404, "Package not found")
        if any("state" not in place for place in body.get("work_locations", [])):
            return _fault(400, "work_locations: state is required")
        return JSONResponse(self._made_invitation(candidate, body["package"]), status_code=201)

    def _made_invitation(self, candidate: Mapping[str, Any], package: str) -> dict[str, Any]:
        invitation = _new("invitation", status="pending", package=package, candidate_id=candidate["id"])
        invitation |= {"completed_at": None, "deleted_at": None, "report_id": None, "archived": False}
        invitation["invitation_url"] = f"https://apply.checkr.example/invite/{invitation['id']}"
        invitation["expires_at"] = instant_text(datetime.now(UTC) + timedelta(days=7))
        self._keep(self.invitations, invitation)
        self._tell("invitation.created", invitation)
        self.effects.record("invite", str(candidate.get("custom_id")))
        return invitation

    def _keep(self, where: dict[str, dict[str, Any]], one: dict[str, Any]) -> None:
        where[one["id"]] = one
        self._visible_from[one["id"]] = time.monotonic() + self.lag_seconds if self.lag_seconds else 0.0


def _now() -> str:
    return instant_text(datetime.now(UTC))


def _new(kind: str, **fields: object) -> dict[str, Any]:
    number = secrets.token_hex(12)
    return {"id": number, "object": kind, "uri": f"/v1/{kind}s/{number}", "created_at": _now(), **fields}


def _fault(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)
