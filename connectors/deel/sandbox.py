"""A stand-in of one Deel organisation: contracts, amendments, terminations, signed webhooks, in memory.

As the vendor where it hurts: a list that tells no rates and has no filter for changes, ``external_id`` that nothing keeps unique, amendments
that count only once they are signed, one termination at a time, contracts that do not show for ``lag_seconds`` after they were created.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.deel.records import CLOSED
from connectors.deel.webhooks import SCHEME, SIGNATURE
from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp
from connectors.webhooks import sign

ACCESS_TOKEN = "sandbox-deel-organisation-token"
SIGNING_KEY = "sandbox-deel-signing-key"
ORGANIZATION_ID = "5b0b9f1c-7e64-4a51-9b13-0d8f0a4f7a52"
BASE = "/rest/v2"

_SPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_REQUIRED = ("title", "client", "job_title", "start_date", "type", "meta", "compensation_details")
_TYPES = ("pay_as_you_go_time_based", "payg_tasks", "payg_milestones", "ongoing_time_based")
_UNKNOWN = (404, "/contract_id", "not found")


class DeelSandbox:
    """One organisation. ``contracts`` maps ids to what GET shows, ``amendments`` to what was asked for; ``terminations`` are set ends.

    ``signs_at_once`` false leaves amendments pending until ``sign_amendments``.
    """

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.contracts: dict[str, dict[str, Any]] = {}
        self.amendments: dict[str, list[dict[str, Any]]] = {}
        self.terminations: dict[str, str] = {}
        self.access_tokens = {ACCESS_TOKEN}
        self.rows_per_page = 3
        self.lag_seconds = 0.0
        self.signs_at_once = True
        self._lock = threading.RLock()
        self._ids = count(1)
        self._last_stamp = datetime.min.replace(tzinfo=UTC)
        self._visible_from: dict[str, float] = {}
        self._asked: dict[str, dict[str, Any]] = {}
        self.app = FaultyApp(
            Starlette(routes=self._routes()), self.faults, latency_seconds=latency_seconds, answers=_IN_ITS_WORDS
        )

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form for an instance that talks to this sandbox at ``base_url``."""
        return {
            "base_url": base_url + BASE,
            "access_token": ACCESS_TOKEN,
            "webhook_signing_keys": [SIGNING_KEY],
            "ca_file": ca_file,
        }

    def webhook(self, kind: str, contract_id: str) -> tuple[dict[str, str], bytes]:
        """Headers (lower case) and body of a signed delivery of ``kind`` about a contract."""
        told = {"contract_id": contract_id, "status": self.contracts[contract_id]["status"]}
        meta = {"event_type": kind, "organization_id": ORGANIZATION_ID}
        body = json.dumps({"data": {"meta": meta, "resource": [told]}, "timestamp": self._stamp()}).encode()
        signature = sign(SCHEME, SIGNING_KEY.encode(), {}, body)
        return {SIGNATURE: signature, "x-deel-hmac-label": "hub", "content-type": "application/json"}, body

    def change_contract(self, n: int) -> str:
        """Make contract ``n``, or change its rate or status by hand; its id."""
        with self._lock:
            found = next((key for key, one in self.contracts.items() if one["title"] == f"Contract {n}"), None)
            if found is None:
                return self._make({**sample(n), "external_id": None})
            one = self.contracts[found]
            if one["status"] == "new":
                self._set(found, status="in_progress")
            else:
                amount = float(one["compensation_details"]["amount"]) + 5
                self._set(found, compensation_details={**one["compensation_details"], "amount": f"{amount:.2f}"})
            return found

    def sign_amendments(self, contract_id: str) -> None:
        """Let the worker sign what is pending."""
        for one in self.amendments.get(contract_id, []):
            if one["status"] == "PENDING":
                one.update(status="ACTIVE", sign_status="APPROVED")
                held, asked = self.contracts[contract_id]["compensation_details"], self._asked[one["id"]]
                rate = {"amount": f"{one['rate']:.2f}", "scale": one["scale"], "currency_code": one["currency_code"]}
                paid = {name: value for name, value in asked.items() if name in held and name not in rate}
                self._set(contract_id, compensation_details={**held, **rate, **paid}, **_amended(asked))

    def _routes(self) -> list[Route]:
        contracts, contract = f"{BASE}/contracts", f"{BASE}/contracts/{{id}}"
        return [
            Route(contracts, self._guarded(self._list), methods=["GET"]),
            Route(contracts, self._guarded(self._create), methods=["POST"]),
            Route(contract, self._guarded(self._get), methods=["GET"]),
            Route(f"{contract}/amendments", self._guarded(self._list_amendments), methods=["GET"]),
            Route(f"{contract}/amendments", self._guarded(self._amend), methods=["POST"]),
            Route(f"{contract}/terminations", self._guarded(self._terminate), methods=["POST"]),
            Route(f"{contract}/terminations", self._guarded(self._cancel), methods=["DELETE"]),
        ]

    def _guarded(self, answer: Callable[[Request, dict[str, Any]], Response]) -> Callable[[Request], Awaitable[Response]]:
        """The route with its token and version checked and its JSON body read."""

        async def route(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if token not in self.access_tokens:
                return _fault(401, "", "Unauthorized")
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", request.headers.get("x-version", "")):
                return _fault(400, "/headers/X-Version", "X-Version is required")
            body = await request.body()
            try:
                content = json.loads(body)["data"] if body else {}
            except (ValueError, KeyError, TypeError):
                return _fault(400, "/data", "The body holds no data.")
            with self._lock:
                return answer(request, content)

        return route

    # contracts

    def _list(self, request: Request, _body: dict[str, Any]) -> Response:
        query = request.query_params
        shown = [one for one in self._visible() if query.get("external_id") in {None, one["external_id"]}]
        ids = [one["id"] for one in shown]
        after = query.get("after_cursor")
        start = ids.index(after) + 1 if after in ids else 0
        rows = shown[start : start + min(int(query.get("limit", "20")), self.rows_per_page)]
        page = {"cursor": rows[-1]["id"] if rows else "", "total_rows": len(shown)}
        return JSONResponse({"data": [_row(one) for one in rows], "page": page})

    def _get(self, request: Request, _body: dict[str, Any]) -> Response:
        contract = self._one(request)
        return JSONResponse({"data": contract}) if contract else _fault(*_UNKNOWN)

    def _create(self, _request: Request, body: dict[str, Any]) -> Response:
        missing = next((name for name in _REQUIRED if not body.get(name)), None)
        if missing or body["type"] not in _TYPES:
            return _fault(400, f"/data/{missing or 'type'}", f"{missing or body['type']} is not valid")
        made = self._make(body)
        self._visible_from[made] = time.monotonic() + self.lag_seconds
        self.effects.record("create_contract", made)
        return JSONResponse({"data": _as_created(self.contracts[made])}, status_code=201)

    # changes

    def _amend(self, request: Request, body: dict[str, Any]) -> Response:
        contract = self._one(request)
        if contract is None:
            return _fault(*_UNKNOWN)
        if not isinstance(body.get("amount"), int | float):
            return _fault(400, "/data/amount", f"{body.get('amount')} is not a number")
        asked = self._amendment(contract, body)
        self._asked[asked["id"]] = body
        self.amendments.setdefault(contract["id"], []).append(asked)
        self.effects.record("amend_contract", contract["id"])
        if self.signs_at_once:
            self.sign_amendments(contract["id"])
        shown = {name: asked[name] for name in ("id", "rate", "scale", "currency_code", "created_at", "updated_at")}
        status = asked["status"].lower()
        return JSONResponse({"data": {**shown, "status": status, "created": True, "worker_id": asked["id"]}}, status_code=201)

    def _amendment(self, contract: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        now = self._stamp()
        held = contract["compensation_details"]
        return {
            "id": _uuid(f"{contract['id']} {now}"),
            "rate": float(body["amount"]),
            "scale": body.get("scale", held["scale"]),
            "currency_code": body.get("currency_code", held["currency_code"]),
            "status": "PENDING",
            "sign_status": "PENDING",
            "contract_name": contract["title"],
            "contract_type": contract["type"],
            "effective_date": f"{body['effective_date']}T00:00:00.000Z" if body.get("effective_date") else None,
            "created_at": now,
            "updated_at": now,
        }

    def _list_amendments(self, request: Request, _body: dict[str, Any]) -> Response:
        contract = self._one(request)
        if contract is None:
            return _fault(*_UNKNOWN)
        held = self.amendments.get(contract["id"], [])
        start = int(request.query_params.get("cursor", "0"))
        end = start + self.rows_per_page
        has_more = end < len(held)
        page = {"cursor": str(end) if has_more else None, "has_more": has_more, "total_count": len(held)}
        return JSONResponse({"data": held[start:end], **page})

    def _terminate(self, request: Request, body: dict[str, Any]) -> Response:
        contract = self._one(request)
        if contract is None:
            return _fault(*_UNKNOWN)
        if contract["id"] in self.terminations or contract["status"] in CLOSED:
            return _fault(400, "/contract_id", "The contract is terminated already")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(body.get("completion_date"))):
            return _fault(400, "/data/completion_date", "not a date")
        ends_at = f"{body['completion_date']}T00:00:00.000Z"
        self.terminations[contract["id"]] = str(contract["termination_date"] or "")
        status = "completed" if body.get("terminate_now") else contract["status"]
        self._set(contract["id"], termination_date=ends_at, status=status)
        self.effects.record("terminate_contract", contract["id"])
        return JSONResponse({"data": {"id": _uuid(contract["id"]), "completion_date": ends_at}}, status_code=201)

    def _cancel(self, request: Request, _body: dict[str, Any]) -> Response:
        contract = self._one(request)
        if contract is None or contract["id"] not in self.terminations:
            return _fault(*_UNKNOWN)
        self._set(contract["id"], termination_date=self.terminations.pop(contract["id"]) or None)
        self.effects.record("cancel_termination", contract["id"])
        return Response(status_code=204)

    def _make(self, body: Mapping[str, Any]) -> str:
        contract = _contract(f"c{next(self._ids):06d}", body, self._stamp())
        self.contracts[contract["id"]] = contract
        return str(contract["id"])

    def _set(self, contract_id: str, **changes: object) -> None:
        self.contracts[contract_id] |= {**changes, "updated_at": self._stamp()}

    def _visible(self) -> list[dict[str, Any]]:
        now = time.monotonic()
        return [one for key, one in sorted(self.contracts.items()) if self._visible_from.get(key, 0.0) <= now]

    def _one(self, request: Request) -> dict[str, Any] | None:
        return next((one for one in self._visible() if one["id"] == request.path_params["id"]), None)

    def _stamp(self) -> str:
        """Now; no two changes share one."""
        self._last_stamp = max(datetime.now(UTC), self._last_stamp + timedelta(milliseconds=1))
        return self._last_stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sample(n: int) -> dict[str, Any]:
    """The body of contract ``n``, as the vendor wants it."""
    return {
        "type": "ongoing_time_based",
        "title": f"Contract {n}",
        "meta": {"documents_required": False},
        "client": {"team": {"id": "team-1"}, "legal_entity": {"id": "entity-1"}},
        "worker": {"first_name": "Ada", "last_name": f"Lovelace {n}", "expected_email": f"ada.lovelace{n}@acme.example"},
        "job_title": {"name": "Engineer"},
        "start_date": "2026-02-01",
        "termination_date": "2039-01-31",
        "country_code": "GB",
        "compensation_details": {
            "amount": 95.5,
            "scale": "hourly",
            "currency_code": "GBP",
            "frequency": "monthly",
            "cycle_end": 31,
            "cycle_end_type": "DAY_OF_MONTH",
            "payment_due_days": 14,
            "payment_due_type": "REGULAR",
        },
    }


def _contract(contract_id: str, body: Mapping[str, Any], now: str) -> dict[str, Any]:
    person, pay = body["worker"], body["compensation_details"]
    ends_on, team, entity = body.get("termination_date"), body["client"]["team"]["id"], body["client"]["legal_entity"]["id"]
    return {
        "id": contract_id,
        "type": body["type"],
        "title": body["title"],
        "status": "new",
        "external_id": body.get("external_id"),
        "client": {"team": {"id": str(team), "name": "Contractors"}, "legal_entity": {"id": str(entity), "name": "Acme Ltd"}},
        "worker": {
            "id": _uuid(person["expected_email"]),
            "first_name": person["first_name"],
            "last_name": person["last_name"],
            "full_name": f"{person['first_name']} {person['last_name']}",
            "email": person["expected_email"],
            "expected_email": person["expected_email"],
        },
        "job_title": body["job_title"]["name"],
        "created_at": now,
        "updated_at": now,
        "start_date": f"{body['start_date']}T00:00:00.000Z",
        "termination_date": f"{ends_on}T00:00:00.000Z" if ends_on else None,
        "signatures": {"client_signature": "", "client_signed_at": None, "worker_signature": "", "worker_signed_at": None},
        "invitations": {"client_email": None, "worker_email": None},
        "is_archived": False,
        "scope_of_work": body.get("scope_of_work"),
        "special_clause": body.get("special_clause") or "",
        "compensation_details": {
            "amount": f"{pay['amount']:.2f}",
            "scale": pay.get("scale", "custom"),
            "frequency": pay["frequency"],
            "cycle_end": pay["cycle_end"],
            "cycle_end_type": pay["cycle_end_type"],
            "currency_code": pay["currency_code"],
            "first_payment": None,
            "first_payment_date": None,
            "gross_annual_salary": None,
            "gross_signing_bonus": None,
            "gross_variable_bonus": None,
        },
    }


def _amended(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a signed amendment makes of a contract, apart from what it pays."""
    changed = {name: asked[name] for name in ("scope_of_work", "special_clause") if name in asked}
    if "job_title_name" in asked:
        changed["job_title"] = asked["job_title_name"]
    if "start_date" in asked:
        changed["start_date"] = f"{asked['start_date']}T00:00:00.000Z"
    return changed


def _row(contract: Mapping[str, Any]) -> dict[str, Any]:
    """What the list tells: no rate, no start, no time of change."""
    names = ("id", "type", "title", "client", "status", "created_at", "external_id", "invitations", "is_archived")
    person = contract["worker"]
    signatures = {name: contract["signatures"][name] for name in ("client_signed_at", "worker_signature", "worker_signed_at")}
    return {
        **{name: contract[name] for name in names},
        "worker": {"id": person["id"], "email": person["email"], "full_name": person["full_name"], "alternate_email": []},
        "signatures": signatures,
        "is_shielded": False,
        "termination_date": contract["termination_date"],
    }


def _as_created(contract: Mapping[str, Any]) -> dict[str, Any]:
    employment = {"type": "CONTRACTOR", "days_per_week": 5, "hours_per_day": 8, "probation_period": None}
    return {
        **{name: value for name, value in contract.items() if name != "updated_at"},
        "signatures": {**contract["signatures"], "signed_at": None},
        "client": {**contract["client"], "legal_entity": None},
        "work_statement_id": _uuid(contract["id"]),
        "employment_details": {**employment, "paid_vacation_days": 0},
        "termination_date": contract["termination_date"] or "",
    }


def _uuid(text: str) -> str:
    return str(uuid5(_SPACE, hashlib.sha256(text.encode()).hexdigest()))


def _error(status: int, path: str, message: str) -> dict[str, Any]:
    request = {
        "method": "",
        "url": "",
        "status": status,
        "api_req_id": "sandbox",
        "docs": "",
        "source": "sandbox",
        "code": status,
    }
    return {"request": request, "errors": [{"message": message, "path": path}]}


def _fault(status: int, path: str, message: str) -> Response:
    return JSONResponse(_error(status, path, message), status_code=status)


def _said(status: int, message: str, *headers: tuple[bytes, bytes]) -> Answer:
    body = json.dumps(_error(status, "", message)).encode()
    return Answer(status, body, ((b"content-type", b"application/json"), *headers))


_IN_ITS_WORDS = {
    FaultKind.THROTTLED_BEFORE: _said(429, "Too many requests", (b"retry-after", b"0")),
    FaultKind.THROTTLED_BARE_BEFORE: _said(429, "Too many requests"),
    FaultKind.EXPIRED_BEFORE: _said(401, "Unauthorized"),
    FaultKind.FORBIDDEN_BEFORE: _said(403, "Forbidden"),
}
