"""A stand-in of Gusto: one company with contractors, in memory, in the App Integrations or the Embedded edition.

As the vendor where it hurts: no marker, nothing unique but creation tokens, versions that go stale, pages, tokens that expire and refresh
tokens that work once, events that want the application's own token, a rate limit (``requests_per_minute``), records that cannot be read
for ``lag_seconds`` after they were created. Embedded answers follow the vendor's pages; no description holds them.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.gusto.sandbox_contractors import (
    CHANGES,
    WRITABLE,
    blank,
    fault,
    invalid,
    is_day,
    is_pending,
    not_found,
    pending_dismissal,
)
from connectors.gusto.webhooks import SCHEME, SIGNATURE
from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp, RollingMinute
from connectors.webhooks import sign

COMPANY_UUID = "7b1d0df1-6403-4a06-8768-c1dd7d24d27a"
CLIENT_ID = "sandbox-gusto-client"
CLIENT_SECRET = "sandbox-gusto-client-secret"
ACCESS_TOKEN = "sandbox-gusto-access-token"
REFRESH_TOKEN = "sandbox-gusto-refresh-token"
VERIFICATION_TOKEN = "sandbox-gusto-verification-token"

_EMBEDDED_ONLY = "This endpoint is part of Gusto Embedded."


def _answer(status: int, category: str, message: str, *headers: tuple[bytes, bytes]) -> Answer:
    fault = {"errors": [{"error_key": "request", "category": category, "message": message}]}
    return Answer(status, json.dumps(fault).encode(), ((b"content-type", b"application/json"), *headers))


_RATE = ((b"x-ratelimit-limit", b"200"), (b"x-ratelimit-remaining", b"0"))
_ANSWERS = {
    FaultKind.THROTTLED_BEFORE: Answer(429, b"Too Many Requests", ((b"retry-after", b"0"), *_RATE)),
    FaultKind.THROTTLED_BARE_BEFORE: Answer(429, b"Too Many Requests", _RATE),
    FaultKind.EXPIRED_BEFORE: _answer(401, "invalid_token", "The access token expired."),
    FaultKind.FORBIDDEN_BEFORE: _answer(403, "missing_oauth_scopes", "Action requires another OAuth scope."),
    FaultKind.ERROR_AFTER: _answer(500, "internal_error", "An unexpected error has occurred."),
}


class GustoSandbox:
    """Gusto with one company. ``contractors`` maps uuids to what GET shows; ``scope`` and ``company_uuid`` are the token's.

    ``events`` is everything that happened, oldest first; ``groups`` and ``subscriptions`` map uuids to what was created, ``posted`` is
    what Gusto posted to subscribers to verify them. Unless it ``minds_tokens``, a creation token does not stop a second payment group.
    ``edition`` says which of the vendor's programmes the application is in.

    ``changes_behind_our_back`` counts updates, still to come, before which somebody else changes the contractor first.
    ``access_tokens`` maps tokens to the instant (monotonic seconds) until which they are good; clear it and they have expired.
    """

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0, edition: str = "app_integrations") -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.edition = edition
        self.events: list[dict[str, Any]] = []
        self.groups: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.posted: list[bytes] = []
        self.minds_tokens = True
        self.refuses_cursors = False
        self.system_tokens: dict[str, float] = {}
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
        self._recent = RollingMinute()
        routed = Starlette(routes=self._routes())
        self.app = FaultyApp(routed, self.faults, latency_seconds=latency_seconds, answers=_ANSWERS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form for an instance that talks to this sandbox at ``base_url``, with a token that stays good."""
        return {
            "base_url": base_url,
            "company_uuid": COMPANY_UUID,
            "edition": self.edition,
            "access_token": ACCESS_TOKEN,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "webhook_verification_tokens": [VERIFICATION_TOKEN],
            "ca_file": ca_file,
        }

    def refreshing_settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The same with a refresh token instead."""
        rest = {name: value for name, value in self.settings(base_url, ca_file).items() if name != "access_token"}
        return {**rest, "refresh_token": self.refresh_token}

    def webhook(self, kind: str, entity_uuid: str, *, uuid: str | None = None) -> tuple[dict[str, str], bytes]:
        """Headers (lower case) and body of a signed delivery of ``kind`` about an entity; the event is one that is told when asked."""
        body = json.dumps(self._happened(kind, entity_uuid, uuid)).encode()
        return {SIGNATURE: sign(SCHEME, VERIFICATION_TOKEN.encode(), {}, body), "content-type": "application/json"}, body

    def deliveries(self, changes: Sequence[tuple[str, str]], *, seed: int = 0) -> list[tuple[dict[str, str], bytes]]:
        """What arrives of several events (kind and entity uuid): each once or more, unchanged, and in any order."""
        chance = random.Random(seed)  # noqa: S311 - an order of deliveries, no secret
        sent = [self.webhook(kind, entity_uuid) for kind, entity_uuid in changes]
        arrived = [each for each in sent for _ in range(chance.randint(1, 3))]
        chance.shuffle(arrived)
        return arrived

    def _happened(self, kind: str, entity_uuid: str, uuid: str | None = None) -> dict[str, Any]:
        event = {
            "uuid": uuid or str(uuid4()),
            "event_type": kind,
            "resource_type": "Company",
            "resource_uuid": COMPANY_UUID,
            "entity_type": "Contractor",
            "entity_uuid": entity_uuid,
            "timestamp": int(datetime.now(UTC).timestamp()),
        }
        self.events.append(event)
        return event

    def _routes(self) -> list[Route]:
        company, contractor = "/v1/companies/{company}/contractors", "/v1/contractors/{uuid}"
        subscriptions, groups = "/v1/webhook_subscriptions", "/v1/companies/{company}/contractor_payment_groups"
        one_subscription, one_group = subscriptions + "/{uuid}", "/v1/contractor_payment_groups/{uuid}"
        return [
            Route("/v1/events", self._guarded(self._list_events, system=True), methods=["GET"]),
            Route(subscriptions, self._guarded(self._list_subscriptions, system=True), methods=["GET"]),
            Route(subscriptions, self._guarded(self._subscribe, system=True), methods=["POST"]),
            Route(one_subscription + "/verify", self._guarded(self._verify, system=True), methods=["PUT"]),
            Route(
                one_subscription + "/request_verification_token", self._guarded(self._post_token, system=True), methods=["GET"]
            ),
            Route(contractor + "/termination", self._guarded(self._terminate, embedded=True), methods=["POST"]),
            Route(contractor + "/termination", self._guarded(self._cancel_termination, embedded=True), methods=["DELETE"]),
            Route(contractor + "/rehire", self._guarded(self._rehire, embedded=True), methods=["POST"]),
            Route(contractor + "/rehire", self._guarded(self._cancel_rehire, embedded=True), methods=["DELETE"]),
            Route(groups, self._guarded(self._create_group, embedded=True), methods=["POST"]),
            Route(groups, self._guarded(self._list_groups, embedded=True), methods=["GET"]),
            Route(one_group, self._guarded(self._get_group, embedded=True), methods=["GET"]),
            Route(one_group, self._guarded(self._cancel_group, embedded=True), methods=["DELETE"]),
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/v1/token_info", self._guarded(self._token_info), methods=["GET"]),
            Route(company, self._guarded(self._list), methods=["GET"]),
            Route(company, self._guarded(self._create), methods=["POST"]),
            Route(contractor, self._guarded(self._get), methods=["GET"]),
            Route(contractor, self._guarded(self._update), methods=["PUT"]),
        ]

    def _guarded(
        self, answer: Callable[[Request, dict[str, Any]], Response], *, system: bool = False, embedded: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """The route with its token, the edition and the rate limit checked and its JSON body read."""

        async def route(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if (self.system_tokens if system else self.access_tokens).get(token, 0.0) <= time.monotonic():
                return fault(401, "request", "invalid_token", "The access token is invalid.")
            if embedded and self.edition != "embedded":
                return fault(404, "request", "missing_permissions", _EMBEDDED_ONLY)
            if throttled := self._throttled():
                return throttled
            if request.path_params.get("company", self.company_uuid) != self.company_uuid:
                return not_found()
            try:
                body = await request.json() if request.method in {"POST", "PUT"} else {}
            except ValueError:
                return fault(422, "base", "invalid_request_error", "The body is not JSON.")
            return answer(request, body)

        return route

    def _throttled(self) -> Response | None:
        """A rolling minute, as the vendor counts."""
        wait = self._recent.wait_seconds(self.requests_per_minute)
        if not wait:
            return None
        return Response("Too Many Requests", status_code=429, headers={"retry-after": str(wait)})

    # tokens

    async def _token(self, request: Request) -> Response:
        body = await request.json()
        if (body.get("client_id"), body.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        if body.get("grant_type") == "system_access":
            return self._system_token()
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

    def _system_token(self) -> Response:
        token = secrets.token_urlsafe(16)
        self.system_tokens[token] = time.monotonic() + self.token_lifetime_seconds
        told = {"expires_in": self.token_lifetime_seconds, "created_at": int(time.time()), "refresh_token": None}
        return JSONResponse({"access_token": token, "token_type": "Bearer", **told})

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
        if contractor:
            self._take_effect(contractor)
        return JSONResponse(contractor) if contractor else not_found()

    def _create(self, _request: Request, body: dict[str, Any]) -> Response:
        if refused := invalid(body):
            return refused
        contractor = blank(COMPANY_UUID) | {name: body[name] for name in WRITABLE if name in body}
        contractor["hourly_rate"] = body.get("hourly_rate", "0.00")
        contractor["has_ssn"] = "ssn" in body
        self.contractors[contractor["uuid"]] = contractor
        self._visible_from[contractor["uuid"]] = time.monotonic() + self.lag_seconds
        self._happened("contractor.created", contractor["uuid"])
        self.effects.record("create_contractor", str(body.get("email") or contractor["uuid"]))
        return JSONResponse(contractor, status_code=201)

    def _update(self, request: Request, body: dict[str, Any]) -> Response:
        contractor = self._one(request)
        if contractor is None:
            return not_found()
        if self.changes_behind_our_back:
            self.changes_behind_our_back -= 1
            contractor["version"] = uuid4().hex
        if body.get("version") != contractor["version"]:
            return fault(409, "version", "invalid_resource_version", "You are attempting to update a stale version.")
        changed = contractor | {name: body[name] for name in WRITABLE if name in body}
        if refused := invalid(changed) or pending_dismissal(contractor, changed):
            return refused
        before, after = contractor["is_active"], changed["is_active"]
        if after != before:
            changed["dismissal_date"] = None if after else datetime.now(UTC).date().isoformat()
        contractor.update(changed, version=uuid4().hex)
        event, effect = CHANGES[before, after]
        self._happened(event, contractor["uuid"])
        self.effects.record(effect, contractor["uuid"])
        return JSONResponse(contractor)

    def _terminate(self, request: Request, body: dict[str, Any]) -> Response:
        contractor, today = self._one(request), datetime.now(UTC).date().isoformat()
        if contractor is None:
            return not_found()
        if not contractor["is_active"] or is_pending(contractor):
            return fault(422, "base", "invalid_operation", "The contractor is not active or has a pending dismissal.")
        if not is_day(body.get("end_date")):
            return fault(422, "end_date", "invalid_attribute_value", "end_date is not a date.")
        contractor.update(dismissal_date=body["end_date"], is_active=body["end_date"] > today, version=uuid4().hex)
        self._happened("contractor.updated" if contractor["is_active"] else "contractor.deactivated", contractor["uuid"])
        self.effects.record("end_contractor", contractor["uuid"])
        return Response(status_code=204)

    def _cancel_termination(self, request: Request, _body: dict[str, Any]) -> Response:
        contractor = self._one(request)
        if contractor is None:
            return not_found()
        if not contractor["dismissal_date"]:
            return fault(422, "base", "invalid_operation", "There is no pending dismissal.")
        contractor.update(dismissal_date=None, is_active=True, version=uuid4().hex)
        self.effects.record("cancel_termination", contractor["uuid"])
        return Response(status_code=204)

    def _rehire(self, request: Request, body: dict[str, Any]) -> Response:
        contractor, day = self._one(request), body.get("start_date")
        if contractor is None:
            return not_found()
        if contractor["is_active"] or contractor["upcoming_employment"]:
            return fault(422, "base", "invalid_operation", "The contractor is active or has an upcoming employment.")
        if not is_day(day) or str(day) < (contractor["dismissal_date"] or ""):
            return fault(422, "start_date", "invalid_attribute_value", "start_date is not a date after the dismissal.")
        contractor.update(upcoming_employment={"start_date": day, "setup_status": None}, version=uuid4().hex)
        self.effects.record("rehire_contractor", contractor["uuid"])
        self._take_effect(contractor)
        return Response(status_code=204)

    def _take_effect(self, contractor: dict[str, Any]) -> None:
        """An employment whose day has come is the contractor's own."""
        coming = contractor["upcoming_employment"]
        if coming and coming["start_date"] <= datetime.now(UTC).date().isoformat():
            begun = {"start_date": coming["start_date"], "is_active": True, "dismissal_date": None}
            contractor.update(begun, upcoming_employment=None, version=uuid4().hex)
            self._happened("contractor.reactivated", contractor["uuid"])

    def _cancel_rehire(self, request: Request, _body: dict[str, Any]) -> Response:
        contractor = self._one(request)
        if contractor is None:
            return not_found()
        if not contractor["upcoming_employment"]:
            return fault(422, "base", "invalid_operation", "There is no pending rehire.")
        contractor.update(upcoming_employment=None, version=uuid4().hex)
        self.effects.record("cancel_rehire", contractor["uuid"])
        return Response(status_code=204)

    # events and subscriptions

    def _list_events(self, request: Request, _body: dict[str, Any]) -> Response:
        query = request.query_params
        after = query.get("starting_after_uuid")
        uuids = [event["uuid"] for event in self.events]
        if after is not None and (after not in uuids or self.refuses_cursors):
            return fault(422, "starting_after_uuid", "invalid_attribute_value", "starting_after_uuid is not known.")
        rest = self.events[uuids.index(after) + 1 if after else 0 :]
        wanted, company = query.get("event_type", "*"), query.get("resource_uuid", COMPANY_UUID)
        shown = [event for event in rest if fnmatchcase(event["event_type"], wanted) and event["resource_uuid"] == company]
        return JSONResponse(shown[: min(int(query.get("limit", "25")), self.per_limit)])

    def _list_subscriptions(self, _request: Request, _body: dict[str, Any]) -> Response:
        return JSONResponse(list(self.subscriptions.values()))

    def _subscribe(self, _request: Request, body: dict[str, Any]) -> Response:
        if not str(body.get("url", "")).startswith("https://"):
            return fault(422, "url", "invalid_attribute_value", "url is not a public https address.")
        made = {"uuid": str(uuid4()), "url": body["url"], "status": "pending", "subscription_types": body["subscription_types"]}
        self.subscriptions[made["uuid"]] = made
        self.effects.record("subscribe", made["url"])
        self._post_verification(made["uuid"])
        return JSONResponse(made, status_code=201)

    def _post_verification(self, uuid: str) -> None:
        """Gusto's own request to the subscriber, as a body to be handed over."""
        told = {"verification_token": VERIFICATION_TOKEN, "webhook_subscription_uuid": uuid}
        self.posted.append(json.dumps(told).encode())

    def _post_token(self, request: Request, _body: dict[str, Any]) -> Response:
        if request.path_params["uuid"] not in self.subscriptions:
            return not_found()
        self._post_verification(request.path_params["uuid"])
        return JSONResponse({"message": "Success! The subscriber will be notified with the verification token"})

    def _verify(self, request: Request, body: dict[str, Any]) -> Response:
        held = self.subscriptions.get(request.path_params["uuid"])
        if held is None:
            return not_found()
        if body.get("verification_token") != VERIFICATION_TOKEN:
            return fault(422, "verification_token", "invalid_attribute_value", "verification_token is not the one that was sent.")
        held["status"] = "verified"
        return JSONResponse(held)

    # payment groups

    def _create_group(self, _request: Request, body: dict[str, Any]) -> Response:
        token, payments = body.get("creation_token"), body.get("contractor_payments")
        if not token or not payments or not is_day(body.get("check_date")):
            return fault(422, "base", "missing_parameter", "check_date, creation_token and contractor_payments are required.")
        if self.minds_tokens and any(group["creation_token"] == token for group in self.groups.values()):
            return fault(422, "creation_token", "invalid_attribute_value", "Creation token has already been taken")
        if any(payment.get("contractor_uuid") not in self.contractors for payment in payments):
            return fault(422, "contractor_uuid", "invalid_attribute_value", "contractor_uuid is not of this company.")
        nothing = dict.fromkeys(("wage", "hours", "bonus", "reimbursement"), "0.00")
        paid = [{"uuid": str(uuid4()), **nothing, **payment, "status": "Unfunded"} for payment in payments]
        told = {"company_uuid": COMPANY_UUID, "check_date": body["check_date"], "status": "Unfunded", "creation_token": token}
        group = {"uuid": str(uuid4()), **told, "contractor_payments": paid}
        self.groups[group["uuid"]] = group
        self.effects.record("create_payment_group", token)
        return JSONResponse(group, status_code=201)

    def _list_groups(self, request: Request, _body: dict[str, Any]) -> Response:
        query = request.query_params
        within = [g for g in self.groups.values() if query["start_date"] <= g["check_date"] <= query["end_date"]]
        page, per = int(query["page"]), min(int(query["per"]), self.per_limit)
        listed = [{name: value for name, value in group.items() if name != "contractor_payments"} for group in within]
        return JSONResponse(listed[(page - 1) * per : page * per])

    def _get_group(self, request: Request, _body: dict[str, Any]) -> Response:
        group = self.groups.get(request.path_params["uuid"])
        return JSONResponse(group) if group else not_found()

    def _cancel_group(self, request: Request, _body: dict[str, Any]) -> Response:
        group = self.groups.get(request.path_params["uuid"])
        if group is None:
            return not_found()
        if group["status"] == "Funded":
            return fault(422, "base", "invalid_operation", "A funded group cannot be cancelled.")
        del self.groups[group["uuid"]]
        self.effects.record("cancel_payment_group", group["creation_token"])
        return Response(status_code=204)
