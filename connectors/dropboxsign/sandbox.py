"""A stand-in of Dropbox Sign: templates, signature requests, their search, their asynchronous end, and callbacks.

A new request is seen by reads and found by the search after ``lag_seconds``; a canceled one is gone after ``cancel_seconds``, unless it
was completed before, or declined without ``cancels_declined``; the documents of those in ``preparing`` are not ready. The rate limit is off until ``hourly_limit`` is set.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors import webhooks
from connectors.dropboxsign.webhooks import SCHEME, DropboxSignCallbacks
from connectors.http import tls_context
from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp

TEMPLATE_ID, TEMPLATE_ROLE = "c26b8a16784a872da37ea946b9ddec7c1e11dff6", "Contractor"
"""The template that every sandbox has, and its one role."""
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

Handler = Callable[[Request], Awaitable[Response]]


def _said(status: int, name: str, *headers: tuple[bytes, bytes]) -> Answer:
    content = json.dumps({"error": {"error_msg": "The request cannot be carried out.", "error_name": name}}).encode()
    return Answer(status, content, ((b"content-type", b"application/json"), *headers))


_ANSWERS = {
    FaultKind.UNAVAILABLE_BEFORE: _said(503, "maintenance"),
    FaultKind.THROTTLED_BEFORE: _said(403, "exceeded_rate", (b"x-ratelimit-reset", b"1430170900")),
    FaultKind.THROTTLED_BARE_BEFORE: _said(429, "exceeded_rate"),
    FaultKind.EXPIRED_BEFORE: _said(401, "unauthorized"),
    FaultKind.FORBIDDEN_BEFORE: _said(403, "forbidden"),
}


@dataclass(frozen=True, slots=True)
class CallbackDelivery:
    """A callback, ready to be posted as it is."""

    headers: Mapping[str, str]
    body: bytes


def deliver(delivery: CallbackDelivery, url: str, *, ca_file: Path | None = None) -> bool:
    """Post a callback as Dropbox Sign does; whether it counts as received, which is 200 with the exact text. Raises ``httpx.HTTPError``."""
    with httpx.Client(verify=tls_context(ca_file), trust_env=False, timeout=30) as client:
        answer = client.post(url, content=delivery.body, headers=dict(delivery.headers))
    return answer.status_code == 200 and answer.content == DropboxSignCallbacks.reply


class _Fault(Exception):
    """A refusal of the vendor, by its name."""

    def __init__(self, status: int, name: str) -> None:
        super().__init__(name)
        self.status, self.name = status, name


class DropboxSignSandbox:
    """One account. ``requests`` are the vendor's JSON by id, ``templates`` the roles by template id."""

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.api_key, self.earlier_api_key = secrets.token_hex(32), secrets.token_hex(32)
        self.account_id = secrets.token_hex(20)
        self.requests: dict[str, dict[str, Any]] = {}
        self.templates: dict[str, tuple[str, ...]] = {TEMPLATE_ID: (TEMPLATE_ROLE,)}
        self.preparing: set[str] = set()
        self.largest_page = 100
        self.lag_seconds, self.cancel_seconds = 0.0, 0.0
        self.hourly_limit: int | None = None
        self.cancels_declined, self.heeds_page = True, True
        self.empty_page: int | None = None
        self._calls = 0
        self._made: dict[str, float] = {}
        self._canceled: dict[str, float] = {}
        self.effects, self.faults = EffectLedger(), Faults()
        self.app = FaultyApp(self._routes(), self.faults, latency_seconds=latency_seconds, answers=_ANSWERS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The settings form of an instance that talks to this sandbox at ``base_url`` and lists for lost callbacks whenever asked."""
        return {
            "base_url": f"{base_url}/v3",
            "api_key": self.api_key,
            "earlier_api_keys": [self.earlier_api_key],
            "test_mode": True,
            "backfill_hours": 0,
            "ca_file": str(ca_file),
        }

    def create_request(
        self, work_order_id: str, signer_name: str, signer_email: str, *, work_order_field: str = "stint_work_order"
    ) -> str:
        """Send an agreement about a work order to one signer by hand; the request's id."""
        signer = {"role": TEMPLATE_ROLE, "name": signer_name, "email_address": signer_email}
        subject = f"Agreement for {work_order_id}"
        return self._create({"signers": [signer], "subject": subject, "metadata": {work_order_field: work_order_id}})

    def complete(self, request_id: str) -> CallbackDelivery:
        """Let every signer sign; the callback about it. Raises ``ValueError`` unless the request waits for signatures."""
        request = self._waiting(request_id)
        for signature in request["signatures"]:
            signature.update(status_code="signed", signed_at=_now())
        request["is_complete"] = True
        self.effects.record("complete_request", request_id)
        return self.callback(request_id, "signature_request_all_signed")

    def decline(self, request_id: str) -> CallbackDelivery:
        """Let the first signer decline; the callback about it. No instant tells when. Raises ``ValueError`` as ``complete``."""
        request = self._waiting(request_id)
        signature = request["signatures"][0]
        signature["status_code"] = "declined"
        request["is_declined"] = True
        return self.callback(request_id, "signature_request_declined", related=signature["signature_id"])

    def callback(
        self, request_id: str, event_type: str, *, related: str | None = None, key: str | None = None, at: int | None = None
    ) -> CallbackDelivery:
        """A callback about the request as it is now, in the vendor's shape. ``key`` signs instead of the current API key."""
        return self.wrap({"event": self.event(event_type, related, key, at), "signature_request": self.requests[request_id]})

    def event(self, event_type: str, related: str | None = None, key: str | None = None, at: int | None = None) -> dict[str, Any]:
        """The part ``event`` of a callback."""
        event_time = str(at or _now())
        signature = webhooks.sign(SCHEME, (key or self.api_key).encode(), {}, f"{event_time}{event_type}".encode())
        metadata = {"related_signature_id": related, "reported_for_account_id": self.account_id, "reported_for_app_id": None}
        return {"event_time": event_time, "event_type": event_type, "event_hash": signature, "event_metadata": metadata}

    def wrap(self, content: Mapping[str, Any]) -> CallbackDelivery:
        """``content`` as multipart/form-data."""
        boundary = f"------------------------{secrets.token_hex(8)}"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="json"\r\n\r\n'
        body = f"{head}{json.dumps(content)}\r\n--{boundary}--\r\n".encode()
        return CallbackDelivery({"Content-Type": f"multipart/form-data; boundary={boundary}"}, body)

    def redeliveries(self, deliveries: Sequence[CallbackDelivery]) -> list[CallbackDelivery]:
        """Each callback once more, the latest first: Dropbox Sign keeps no order. Only the boundary differs."""
        again = []
        for delivery in reversed(deliveries):
            boundary, other = delivery.headers["Content-Type"].rpartition("=")[2], f"----{secrets.token_hex(12)}"
            content_type = {"Content-Type": f"multipart/form-data; boundary={other}"}
            again.append(CallbackDelivery(content_type, delivery.body.replace(boundary.encode(), other.encode())))
        return again

    def _routes(self) -> Starlette:
        base = "/v3/signature_request"
        routes = [
            Route(f"{base}/send_with_template", self._counted(self._send), methods=["POST"]),
            Route(f"{base}/list", self._counted(self._list)),
            Route(base + "/cancel/{request}", self._counted(self._cancel), methods=["POST"]),
            Route(base + "/files/{request}", self._counted(self._files)),
            Route(base + "/{request}", self._counted(self._get)),
        ]
        return Starlette(routes=routes, exception_handlers={_Fault: _fault_answer})

    def _counted(self, answer: Handler) -> Handler:
        async def counted(request: Request) -> Response:
            self._require_key(request.headers.get("authorization", ""))
            self._calls += 1
            limit = self.hourly_limit or 2000
            over = self.hourly_limit is not None and self._calls > limit
            response = _error(403, "exceeded_rate") if over else await answer(request)
            response.headers["X-RateLimit-Limit"] = str(limit)
            response.headers["X-RateLimit-Remaining"] = str(max(limit - self._calls, 0))
            response.headers["X-Ratelimit-Reset"] = str(_now() + 1800)
            return response

        return counted

    def _require_key(self, authorization: str) -> None:
        scheme, _, credentials = authorization.partition(" ")
        expected = base64.b64encode(f"{self.api_key}:".encode()).decode()
        if scheme != "Basic" or not secrets.compare_digest(credentials, expected):
            raise _Fault(401, "unauthorized")

    # Signature requests

    async def _send(self, request: Request) -> Response:
        asked = await request.json()
        metadata = asked.get("metadata", {})
        is_too_much = len(metadata) > 10 or any(len(key) > 40 or len(str(value)) > 1000 for key, value in metadata.items())
        roles = self.templates.get(next(iter(asked["template_ids"]), ""))
        if is_too_much or roles is None or sorted(roles) != sorted(signer["role"] for signer in asked["signers"]):
            raise _Fault(400, "bad_request")
        return JSONResponse({"signature_request": self.requests[self._create(asked)]})

    async def _list(self, request: Request) -> Response:
        query, size = request.query_params, min(int(request.query_params.get("page_size", "20")), self.largest_page)
        tests = [_test_of(term) for term in query["query"].split(" AND ")] if "query" in query else []
        found = [one for one in reversed(self.requests.values()) if self._is_listed(one) and all(test(one) for test in tests)]
        number = int(query.get("page", "1")) if self.heeds_page else 1
        start, pages = (number - 1) * size, -(-len(found) // size) if size else 1
        info = {"num_pages": pages, "num_results": len(found), "page": number, "page_size": size}
        rows = [] if number == self.empty_page else found[start : start + size]
        return JSONResponse({"signature_requests": rows, "list_info": info})

    async def _get(self, request: Request) -> Response:
        return JSONResponse({"signature_request": self._found(request)})

    async def _cancel(self, request: Request) -> Response:
        found = self._found(request)
        request_id = found["signature_request_id"]
        if found["is_complete"] or (found["is_declined"] and not self.cancels_declined):
            raise _Fault(400, "signature_request_cancel_failed")
        if request_id not in self._canceled:
            self._canceled[request_id] = time.monotonic()
            self.effects.record("cancel_request", request_id)
        return Response(status_code=200)

    async def _files(self, request: Request) -> Response:
        if self._found(request)["signature_request_id"] in self.preparing:
            raise _Fault(409, "conflict")
        return Response(_PDF, media_type="application/pdf")

    def _found(self, request: Request) -> dict[str, Any]:
        found = self.requests.get(request.path_params["request"])
        if found is None or not self._shows(found):
            raise _Fault(404, "not_found")
        if self._is_gone(found):
            raise _Fault(410, "deleted")
        return found

    def _waiting(self, request_id: str) -> dict[str, Any]:
        request = self.requests[request_id]
        if request["is_complete"] or request["is_declined"] or self._is_gone(request):
            raise ValueError("the request does not wait for signatures any more")
        return request

    def _is_listed(self, request: Mapping[str, Any]) -> bool:
        return self._shows(request) and not self._is_gone(request)

    def _shows(self, request: Mapping[str, Any]) -> bool:
        return time.monotonic() - self._made[request["signature_request_id"]] >= self.lag_seconds

    def _is_gone(self, request: Mapping[str, Any]) -> bool:
        canceled = self._canceled.get(request["signature_request_id"])
        return canceled is not None and not request["is_complete"] and time.monotonic() - canceled >= self.cancel_seconds

    def _create(self, asked: Mapping[str, Any]) -> str:
        request_id = secrets.token_hex(20)
        self.requests[request_id] = {
            "signature_request_id": request_id,
            "test_mode": bool(asked.get("test_mode")),
            "title": asked["subject"],
            "original_title": asked["subject"],
            "subject": asked["subject"],
            "message": None,
            "metadata": dict(asked["metadata"]),
            "created_at": _now(),
            "is_complete": False,
            "is_declined": False,
            "has_error": False,
            "template_ids": list(asked.get("template_ids", [])),
            "custom_fields": [],
            "response_data": [],
            "signatures": [_signature(n, signer) for n, signer in enumerate(asked["signers"])],
        }
        self._made[request_id] = time.monotonic()
        self.effects.record("send_request", request_id)
        return request_id


def _signature(order: int, signer: Mapping[str, str]) -> dict[str, Any]:
    return {
        "signature_id": secrets.token_hex(16),
        "signer_email_address": signer["email_address"],
        "signer_name": signer["name"],
        "signer_role": signer["role"],
        "order": order,
        "status_code": "awaiting_signature",
        "signed_at": None,
        "last_viewed_at": None,
        "last_reminded_at": None,
        "has_pin": False,
        "error": None,
    }


def _test_of(term: str) -> Callable[[Mapping[str, Any]], bool]:
    """One ``field:value`` of the vendor's query language, as far as it is needed here."""
    name, _, value = term.partition(":")
    if name == "metadata":
        return lambda request: value in str(request["metadata"])
    span = re.fullmatch(r"\[(\S+) TO (\S+)\]", value)
    if name == "created" and span:
        return lambda request: span[1] <= f"{datetime.fromtimestamp(request['created_at'], UTC):%Y-%m-%d}" <= span[2]
    raise _Fault(400, "bad_request")


def _now() -> int:
    return int(time.time())


def _error(status: int, name: str) -> JSONResponse:
    return JSONResponse({"error": {"error_msg": "The request cannot be carried out.", "error_name": name}}, status_code=status)


async def _fault_answer(request: Request, fault: Any) -> Response:
    del request
    return _error(fault.status, fault.name)
