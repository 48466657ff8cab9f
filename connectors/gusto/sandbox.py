"""A stand-in of Gusto: one company with contractors, in memory.

As the vendor where it hurts: no marker, nothing unique, versions that go stale, pages, tokens that expire and refresh tokens that work
once, a rate limit (``requests_per_minute``), records that cannot be read for ``lag_seconds`` after they were created.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.gusto.webhooks import SCHEME, SIGNATURE
from connectors.sandbox import EffectLedger, Faults, FaultyApp
from connectors.webhooks import sign

COMPANY_UUID = "7b1d0df1-6403-4a06-8768-c1dd7d24d27a"
CLIENT_ID = "sandbox-gusto-client"
CLIENT_SECRET = "sandbox-gusto-client-secret"
ACCESS_TOKEN = "sandbox-gusto-access-token"
REFRESH_TOKEN = "sandbox-gusto-refresh-token"
VERIFICATION_TOKEN = "sandbox-gusto-verification-token"

_WRITABLE = (
    *("type", "wage_type", "start_date", "hourly_rate", "email", "first_name", "last_name", "middle_initial"),
    *("file_new_hire_report", "work_state", "business_name", "ein", "is_active"),
)
_CHOICES = {"type": ("Individual", "Business"), "wage_type": ("Fixed", "Hourly")}


class GustoSandbox:
    """Gusto with one company. ``contractors`` maps uuids to what GET shows; ``scope`` and ``company_uuid`` are the token's.

    ``changes_behind_our_back`` counts updates, still to come, before which somebody else changes the contractor first.
    ``access_tokens`` maps tokens to the instant (monotonic seconds) until which they are good; clear it and they have expired.
    """

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.contractors: dict[str, dict[str, Any]] = {}
        self.company_uuid = COMPANY_UUID
        self.scope = "public contractors:read contractors:write contractors:manage"
        self.access_tokens = {ACCESS_TOKEN: float("inf")}
        self.refresh_token = REFRESH_TOKEN
        self.token_lifetime_seconds = 7200.0
        self.requests_per_minute: int | None = None
        self.lag_seconds = 0.0
        self.changes_behind_our_back = 0
        self.per_limit = 100
        self._visible_from: dict[str, float] = {}
        self._recent: deque[float] = deque()
        self.app = FaultyApp(Starlette(routes=self._routes()), self.faults, latency_seconds=latency_seconds)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form for an instance that talks to this sandbox at ``base_url``, with a token that stays good."""
        return {
            "base_url": base_url,
            "company_uuid": COMPANY_UUID,
            "access_token": ACCESS_TOKEN,
            "webhook_verification_tokens": [VERIFICATION_TOKEN],
            "ca_file": ca_file,
        }

    def refreshing_settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The same with a refresh token instead."""
        rest = {name: value for name, value in self.settings(base_url, ca_file).items() if name != "access_token"}
        return {**rest, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": self.refresh_token}

    def webhook(self, kind: str, entity_uuid: str, *, uuid: str | None = None) -> tuple[dict[str, str], bytes]:
        """Headers (lower case) and body of a signed delivery of ``kind`` about an entity."""
        event = {
            "uuid": uuid or str(uuid4()),
            "event_type": kind,
            "resource_type": "Company",
            "resource_uuid": COMPANY_UUID,
            "entity_type": "Contractor",
            "entity_uuid": entity_uuid,
            "timestamp": int(datetime.now(UTC).timestamp()),
        }
        body = json.dumps(event).encode()
        return {SIGNATURE: sign(SCHEME, VERIFICATION_TOKEN.encode(), {}, body), "content-type": "application/json"}, body

    def _routes(self) -> list[Route]:
        company, contractor = "/v1/companies/{company}/contractors", "/v1/contractors/{uuid}"
        return [
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/v1/token_info", self._guarded(self._token_info), methods=["GET"]),
            Route(company, self._guarded(self._list), methods=["GET"]),
            Route(company, self._guarded(self._create), methods=["POST"]),
            Route(contractor, self._guarded(self._get), methods=["GET"]),
            Route(contractor, self._guarded(self._update), methods=["PUT"]),
        ]

    def _guarded(self, answer: Callable[[Request, dict[str, Any]], Response]) -> Callable[[Request], Awaitable[Response]]:
        """The route with its token and the rate limit checked and its JSON body read."""

        async def route(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if self.access_tokens.get(token, 0.0) <= time.monotonic():
                return JSONResponse({"error": "invalid_token"}, status_code=401)
            if throttled := self._throttled():
                return throttled
            if request.path_params.get("company", self.company_uuid) != self.company_uuid:
                return _not_found()
            try:
                body = await request.json() if request.method in {"POST", "PUT"} else {}
            except ValueError:
                return _fault(422, "base", "invalid_request_error", "The body is not JSON.")
            return answer(request, body)

        return route

    def _throttled(self) -> Response | None:
        """A rolling minute, as the vendor counts."""
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        if self.requests_per_minute is None or len(self._recent) < self.requests_per_minute:
            self._recent.append(now)
            return None
        wait = max(1, round(60 - (now - self._recent[0]))) if self._recent else 60
        return Response("Too Many Requests", status_code=429, headers={"retry-after": str(wait)})

    # tokens

    async def _token(self, request: Request) -> Response:
        body = await request.json()
        if (body.get("client_id"), body.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        if body.get("grant_type") != "refresh_token" or body.get("refresh_token") != self.refresh_token:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        self.refresh_token = secrets.token_urlsafe(16)
        token = secrets.token_urlsafe(16)
        self.access_tokens[token] = time.monotonic() + self.token_lifetime_seconds
        self.effects.record("rotate_refresh_token", CLIENT_ID)
        return JSONResponse(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": self.token_lifetime_seconds,
                "created_at": int(time.time()),
                "refresh_token": self.refresh_token,
                "scope": self.scope,
            }
        )

    def _token_info(self, _request: Request, _body: dict[str, Any]) -> Response:
        resource = {"type": "Company", "uuid": self.company_uuid}
        return JSONResponse({"scope": self.scope, "resource": resource, "resource_owner": None})

    # contractors

    def _list(self, request: Request, _body: dict[str, Any]) -> Response:
        query = request.query_params
        term = query.get("search_term", "").casefold()
        shown = [one for one in self._visible() if term in f"{one['first_name']} {one['last_name']}".casefold()]
        if "page" not in query:
            return JSONResponse(shown)
        page, per = int(query["page"]), min(int(query.get("per", "25")), self.per_limit)
        total_pages = -(-len(shown) // per)
        headers = {"x-page": str(page), "x-total-pages": str(total_pages), "x-total-count": str(len(shown))}
        return JSONResponse(shown[(page - 1) * per : page * per], headers=headers)

    def _visible(self) -> list[dict[str, Any]]:
        now = time.monotonic()
        return [one for uuid, one in self.contractors.items() if self._visible_from.get(uuid, 0.0) <= now]

    def _one(self, request: Request) -> dict[str, Any] | None:
        return next((one for one in self._visible() if one["uuid"] == request.path_params["uuid"]), None)

    def _get(self, request: Request, _body: dict[str, Any]) -> Response:
        contractor = self._one(request)
        return JSONResponse(contractor) if contractor else _not_found()

    def _create(self, _request: Request, body: dict[str, Any]) -> Response:
        if fault := _invalid(body):
            return fault
        contractor = _blank() | {name: body[name] for name in _WRITABLE if name in body}
        contractor["hourly_rate"] = body.get("hourly_rate", "0.00")
        contractor["has_ssn"] = "ssn" in body
        self.contractors[contractor["uuid"]] = contractor
        self._visible_from[contractor["uuid"]] = time.monotonic() + self.lag_seconds
        self.effects.record("create_contractor", str(body.get("email") or contractor["uuid"]))
        return JSONResponse(contractor, status_code=201)

    def _update(self, request: Request, body: dict[str, Any]) -> Response:
        contractor = self._one(request)
        if contractor is None:
            return _not_found()
        if self.changes_behind_our_back:
            self.changes_behind_our_back -= 1
            contractor["version"] = uuid4().hex
        if body.get("version") != contractor["version"]:
            return _fault(409, "version", "invalid_resource_version", "You are attempting to update a stale version.")
        changed = contractor | {name: body[name] for name in _WRITABLE if name in body}
        if fault := _invalid(changed) or _pending_dismissal(contractor, changed):
            return fault
        ended = contractor["is_active"] and not changed["is_active"]
        if changed["is_active"] != contractor["is_active"]:
            changed["dismissal_date"] = datetime.now(UTC).date().isoformat() if ended else None
        contractor.update(changed, version=uuid4().hex)
        self.effects.record("end_contractor" if ended else "update_contractor", contractor["uuid"])
        return JSONResponse(contractor)


def _blank() -> dict[str, Any]:
    nothing = dict.fromkeys(("first_name", "last_name", "middle_initial", "business_name", "ein", "email", "work_state"))
    return {
        **nothing,
        "uuid": str(uuid4()),
        "company_uuid": COMPANY_UUID,
        "version": uuid4().hex,
        "is_active": True,
        "file_new_hire_report": False,
        "has_ein": False,
        "onboarded": False,
        "onboarding_status": "admin_onboarding_incomplete",
        "payment_method": "Check",
        "department": None,
        "dismissal_date": None,
        "upcoming_employment": None,
    }


def _invalid(body: Mapping[str, Any]) -> Response | None:
    """The first thing wrong with a contractor, as 422."""
    individual = body.get("type") != "Business"
    required = ["type", "wage_type", "start_date", *(("first_name", "last_name") if individual else ("business_name",))]
    required += ["hourly_rate"] if body.get("wage_type") == "Hourly" else []
    required += ["email"] if body.get("self_onboarding") else []
    for name in required:
        if not body.get(name):
            return _fault(422, name, "missing_parameter", f"{name} is required.")
    for name, allowed in _CHOICES.items():
        if body[name] not in allowed:
            return _fault(422, name, "invalid_attribute_value", f"{body[name]} is not one of {', '.join(allowed)}.")
    return _malformed(body)


def _malformed(body: Mapping[str, Any]) -> Response | None:
    rate = body.get("hourly_rate", "0")
    if not isinstance(rate, str) or not re.fullmatch(r"\d+(\.\d+)?", rate):
        return _fault(422, "hourly_rate", "invalid_attribute_value", "hourly_rate must be a number in a string.")
    if "ssn" in body and not re.fullmatch(r"[0-9]{9}", str(body["ssn"])):
        return _fault(422, "ssn", "invalid_attribute_value", f"{body['ssn']} is not a valid SSN.")
    try:
        date.fromisoformat(str(body["start_date"]))
    except ValueError:
        return _fault(422, "start_date", "invalid_attribute_value", "start_date is not a date.")
    return None


def _pending_dismissal(contractor: Mapping[str, Any], changed: Mapping[str, Any]) -> Response | None:
    if contractor["dismissal_date"] and contractor["is_active"] and not changed["is_active"]:
        return _fault(422, "is_active", "invalid_operation", "A dismissal is already scheduled.")
    return None


def _fault(status: int, key: str, category: str, message: str) -> Response:
    return JSONResponse({"errors": [{"error_key": key, "category": category, "message": message}]}, status_code=status)


def _not_found() -> Response:
    return _fault(404, "request", "not_found", "The requested resource was not found.")
