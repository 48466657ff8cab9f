"""A stand-in of DocuSign: sign-in by JWT grant, templates, envelopes, limits, and signed Connect messages.

The token endpoint verifies the RS256 assertion against a key pair that the sandbox makes itself. Limits are off until
``hourly_limit`` or ``polling_limit`` is set; ``base_uri`` replaces the regional server that is told; a new envelope is seen by reads after ``lag_seconds``. An unknown envelope is answered with
400, the only error that the vendor's description has for it.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors import webhooks
from connectors.docusign.tokens import SCOPE
from connectors.docusign.webhooks import SCHEME
from connectors.http import tls_context
from connectors.records.instants import instant
from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp
from connectors.wire.assertions import JWT_BEARER

TOKEN_SECONDS = 3600
_VOIDABLE = {"created", "sent", "delivered", "signed"}
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

TEMPLATE_ID, TEMPLATE_ROLE = "a9e7c0de-5d1c-4b7e-9d0a-3f6f1c2b7a11", "Contractor"
"""The template that every sandbox has, and its one role."""

Handler = Callable[[Request], Awaitable[Response]]


def _said(status: int, code: str, *headers: tuple[bytes, bytes]) -> Answer:
    content = json.dumps({"errorCode": code, "message": "The request cannot be carried out."}).encode()
    return Answer(status, content, ((b"content-type", b"application/json"), *headers))


_ANSWERS = {
    FaultKind.THROTTLED_BEFORE: _said(400, "BURST_APIINVOCATION_LIMIT_EXCEEDED", (b"retry-after", b"0")),
    FaultKind.EXPIRED_BEFORE: _said(401, "AUTHORIZATION_INVALID_TOKEN"),
    FaultKind.FORBIDDEN_BEFORE: _said(403, "USER_LACKS_PERMISSIONS"),
}


@dataclass(frozen=True, slots=True)
class ConnectDelivery:
    """A signed Connect message, ready to be posted as it is."""

    headers: Mapping[str, str]
    body: bytes


def deliver(delivery: ConnectDelivery, url: str, *, ca_file: Path | None = None) -> int:
    """Post a Connect message as DocuSign does; the receiver's HTTP status. Raises ``httpx.HTTPError`` without an answer."""
    with httpx.Client(verify=tls_context(ca_file), trust_env=False, timeout=10) as client:
        return client.post(url, content=delivery.body, headers=dict(delivery.headers)).status_code


class _Fault(Exception):
    """A refusal of the vendor, as its error code."""

    def __init__(self, code: str, *, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class DocuSignSandbox:
    """One account with one API user. ``envelopes`` are the vendor's JSON by envelope id, ``templates`` the roles by template id."""

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.integration_key, self.user_id, self.account_id = str(uuid4()), str(uuid4()), str(uuid4())
        self.connect_hmac_keys = (secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        self.envelopes: dict[str, dict[str, Any]] = {}
        self.templates: dict[str, tuple[str, ...]] = {TEMPLATE_ID: (TEMPLATE_ROLE,)}
        self.largest_page = 1000
        self.lag_seconds = 0.0
        self.consented = True
        self.base_uri: str | None = None
        self.heeds_transaction_ids, self.tells_unknown_transactions = True, False
        self.hourly_limit: int | None = None
        self.polling_limit: int | None = None
        self.tokens_issued = 0
        self._tokens: dict[str, datetime] = {}
        self._calls: Counter[datetime] = Counter()
        self._polls: Counter[tuple[datetime, str]] = Counter()
        self.effects, self.faults = EffectLedger(), Faults()
        self.app = FaultyApp(self._routes(), self.faults, latency_seconds=latency_seconds, answers=_ANSWERS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The settings form of an instance that talks to this sandbox at ``base_url``."""
        pem = self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return {
            "auth_server": base_url,
            "integration_key": self.integration_key,
            "user_id": self.user_id,
            "private_key": pem.decode(),
            "account_id": self.account_id,
            "connect_hmac_keys": list(self.connect_hmac_keys),
            "ca_file": str(ca_file),
        }

    def create_envelope(
        self, work_order_id: str, signer_name: str, signer_email: str, *, work_order_field: str = "stint_work_order"
    ) -> str:
        """Send an agreement about a work order to one signer; the envelope id."""
        return self._create(
            {
                "status": "sent",
                "emailSubject": f"Agreement for {work_order_id}",
                "customFields": {"textCustomFields": [{"name": work_order_field, "value": work_order_id}]},
                "recipients": {"signers": [{"recipientId": "1", "name": signer_name, "email": signer_email}]},
            }
        )

    def complete(self, envelope_id: str) -> ConnectDelivery:
        """Let every signer sign; the Connect message about it. Raises ``ValueError`` unless the envelope waits for signatures."""
        envelope = self.envelopes[envelope_id]
        if envelope["status"] not in _VOIDABLE:
            raise ValueError(f"the envelope is already {envelope['status']}")
        now = _timestamp()
        for signer in envelope["recipients"]["signers"]:
            signer.update(status="completed", signedDateTime=now)
        self._change(envelope, "completed", now)
        self.effects.record("complete_envelope", envelope_id)
        return self.connect_message(envelope_id, "envelope-completed")

    def connect_message(self, envelope_id: str, event: str) -> ConnectDelivery:
        """A signed message about the envelope as it is now, in the vendor's shape; signed with every active key."""
        message = {
            "event": event,
            "uri": f"/restapi/v2.1/accounts/{self.account_id}/envelopes/{envelope_id}",
            "retryCount": 0,
            "configurationId": 1,
            "apiVersion": "v2.1",
            "generatedDateTime": _timestamp(),
            "data": {
                "accountId": self.account_id,
                "userId": self.user_id,
                "envelopeId": envelope_id,
                "envelopeSummary": self.envelopes[envelope_id],
            },
        }
        return self.sign(json.dumps(message).encode())

    def sign(self, body: bytes) -> ConnectDelivery:
        """``body`` with one signature header per active key."""
        signatures = {
            f"X-DocuSign-Signature-{number}": webhooks.sign(SCHEME, key.encode(), {}, body)
            for number, key in enumerate(self.connect_hmac_keys, start=1)
        }
        return ConnectDelivery({"Content-Type": "application/json", **signatures}, body)

    def redeliveries(self, deliveries: Sequence[ConnectDelivery]) -> list[ConnectDelivery]:
        """Each message once more, one retry later and the latest first: DocuSign keeps no order."""
        messages = [json.loads(delivery.body) for delivery in reversed(deliveries)]
        return [self.sign(json.dumps({**each, "retryCount": each["retryCount"] + 1}).encode()) for each in messages]

    def expire_tokens(self) -> None:
        """Stop accepting every access token given out so far."""
        self._tokens.clear()

    def _routes(self) -> Starlette:
        account = "/restapi/v2.1/accounts/{account}"
        envelope = account + "/envelopes/{envelope}"
        routes = [
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/oauth/userinfo", self._signed_in(self._userinfo)),
            Route(account, self._limited(self._account)),
            Route(account + "/envelopes", self._limited(self._list), methods=["GET"]),
            Route(account + "/envelopes", self._limited(self._post), methods=["POST"]),
            Route(envelope, self._limited(self._get), methods=["GET"]),
            Route(envelope, self._limited(self._put), methods=["PUT"]),
            Route(envelope + "/documents/combined", self._limited(self._documents)),
        ]
        return Starlette(routes=routes, exception_handlers={_Fault: _fault_answer})

    # Sign-in

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        error = self._grant_error(form, request.headers["host"])
        if error:
            return JSONResponse({"error": error}, status_code=400)
        token = secrets.token_urlsafe(48)
        self._tokens[token] = datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS)
        self.tokens_issued += 1
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS})

    def _grant_error(self, form: Mapping[str, str], host: str) -> str | None:
        if form.get("grant_type") != JWT_BEARER:
            return "unsupported_grant_type"
        try:
            claims = jwt.decode(
                form.get("assertion", ""),
                self._key.public_key(),
                algorithms=["RS256"],
                audience=host,
                issuer=self.integration_key,
                options={"require": ["iss", "sub", "aud", "iat", "exp"]},
            )
        except jwt.InvalidTokenError:
            return "invalid_grant"
        if claims["exp"] - claims["iat"] > TOKEN_SECONDS or claims["sub"] != self.user_id:
            return "invalid_grant"
        if not set(SCOPE.split()) <= set(str(claims.get("scope")).split()):
            return "invalid_scope"
        return None if self.consented else "consent_required"

    def _signed_in(self, answer: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if self._tokens.get(token, datetime.min.replace(tzinfo=UTC)) <= datetime.now(UTC):
                raise _Fault("AUTHORIZATION_INVALID_TOKEN", status=401)
            return await answer(request)

        return checked

    async def _userinfo(self, request: Request) -> Response:
        account = {
            "account_id": self.account_id,
            "is_default": True,
            "account_name": "Sandbox",
            "base_uri": self.base_uri or str(request.base_url).rstrip("/"),
        }
        return JSONResponse({"sub": self.user_id, "accounts": [account]})

    # Limits

    def _limited(self, answer: Handler) -> Handler:
        async def counted(request: Request) -> Response:
            if request.path_params["account"] != self.account_id:
                raise _Fault("ACCOUNT_LACKS_PERMISSIONS")
            hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            self._calls[hour] += 1
            over = self.hourly_limit is not None and self._calls[hour] > self.hourly_limit
            response = _error("HOURLY_APIINVOCATION_LIMIT_EXCEEDED", 400) if over else await answer(request)
            limit = self.hourly_limit or 3000
            response.headers["X-RateLimit-Limit"] = str(limit)
            response.headers["X-RateLimit-Remaining"] = str(max(limit - self._calls[hour], 0))
            response.headers["X-RateLimit-Reset"] = str(int((hour + timedelta(hours=1)).timestamp()))
            return response

        return self._signed_in(counted)

    def _count_poll(self, envelope_id: str) -> None:
        poll = (datetime.now(UTC).replace(minute=0, second=0, microsecond=0), envelope_id)
        self._polls[poll] += 1
        if self.polling_limit is not None and self._polls[poll] > self.polling_limit:
            raise _Fault("Hourly_Envelope_Polling_Limit_Exceeded")

    # Envelopes

    async def _account(self, request: Request) -> Response:
        del request
        return JSONResponse({"accountIdGuid": self.account_id, "accountName": "Sandbox"})

    async def _list(self, request: Request) -> Response:
        query = dict(request.query_params)
        if not {"from_date", "envelope_ids", "transaction_ids"} & set(query):
            raise _Fault("INVALID_REQUEST_PARAMETER")
        asked = query.get("transaction_ids", "") if self.heeds_transaction_ids else query.pop("transaction_ids", "")
        seen = [e for e in self.envelopes.values() if self._shows(e) and _matches(e, query)]
        seen.sort(key=lambda e: instant(e["lastModifiedDateTime"]), reverse=query.get("order") == "desc")
        start, count = int(query.get("start_position", "0")), min(int(query.get("count", "100")), self.largest_page)
        page = [self._shown(e, query.get("include", "")) for e in seen[start : start + count]]
        sizes = {"resultSetSize": len(page), "totalSetSize": len(seen), "startPosition": start}
        named = [{name: e[name] for name in ("envelopeId", "status", "transactionId")} for e in page if asked]
        if asked and not named and self.tells_unknown_transactions:
            error = {"errorCode": "ENVELOPE_DOES_NOT_EXIST", "message": "The request cannot be carried out."}
            named, sizes["totalSetSize"] = [{"transactionId": asked, "errorDetails": error}], 1
        content = {"envelopes": page, "envelopeTransactionStatuses": named}
        return JSONResponse({**{name: str(size) for name, size in sizes.items()}, **content})

    async def _post(self, request: Request) -> Response:
        definition = await request.json()
        if "templateId" in definition:
            definition = {**definition, "recipients": {"signers": self._from_template(definition)}}
        if not definition.get("recipients", {}).get("signers"):
            raise _Fault("RECIPIENTS_NOT_PROVIDED")
        envelope = self.envelopes[self._create(definition)]
        uri = f"/envelopes/{envelope['envelopeId']}"
        summary = {name: envelope[name] for name in ("envelopeId", "status")}
        return JSONResponse({**summary, "statusDateTime": envelope["statusChangedDateTime"], "uri": uri}, status_code=201)

    def _from_template(self, definition: Mapping[str, Any]) -> list[dict[str, Any]]:
        roles = self.templates.get(definition["templateId"])
        if roles is None:
            raise _Fault("TEMPLATE_ID_INVALID")
        given = {role["roleName"]: role for role in definition.get("templateRoles", [])}
        if set(given) != set(roles):
            raise _Fault("RECIPIENTS_NOT_PROVIDED")
        return [
            {"recipientId": str(n), "roleName": role, "name": given[role]["name"], "email": given[role]["email"]}
            for n, role in enumerate(roles, start=1)
        ]

    async def _get(self, request: Request) -> Response:
        envelope = self._envelope(request)
        self._count_poll(envelope["envelopeId"])
        return JSONResponse(self._shown(envelope, request.query_params.get("include", "")))

    async def _put(self, request: Request) -> Response:
        envelope, change = self._envelope(request), await request.json()
        if change.get("status") != "voided" or not change.get("voidedReason"):
            raise _Fault("INVALID_REQUEST_BODY")
        if envelope["status"] not in _VOIDABLE:
            raise _Fault("ENVELOPE_CANNOT_VOID_INVALID_STATE")
        envelope["voidedReason"] = change["voidedReason"]
        self._change(envelope, "voided", _timestamp())
        self.effects.record("void_envelope", envelope["envelopeId"])
        return JSONResponse({"envelopeId": envelope["envelopeId"]})

    async def _documents(self, request: Request) -> Response:
        self._envelope(request)
        return Response(_PDF, media_type="application/pdf")

    def _envelope(self, request: Request) -> dict[str, Any]:
        envelope = self.envelopes.get(request.path_params["envelope"])
        if envelope is None or not self._shows(envelope):
            raise _Fault("ENVELOPE_DOES_NOT_EXIST")
        return envelope

    def _shows(self, envelope: Mapping[str, Any]) -> bool:
        return datetime.now(UTC) - instant(envelope["createdDateTime"]) >= timedelta(seconds=self.lag_seconds)

    def _create(self, definition: Mapping[str, Any]) -> str:
        now, envelope_id = _timestamp(), str(uuid4())
        signers = [{"status": "sent", "sentDateTime": now, **s} for s in definition["recipients"]["signers"]]
        fields = definition.get("customFields", {}).get("textCustomFields", [])
        envelope = {
            "envelopeId": envelope_id,
            "emailSubject": definition.get("emailSubject", ""),
            "transactionId": definition.get("transactionId", ""),
            "createdDateTime": now,
            "customFields": {
                "textCustomFields": [
                    {"fieldId": str(n), "show": "false", "required": "false", **field} for n, field in enumerate(fields, start=1)
                ],
                "listCustomFields": [],
            },
            "recipients": {"signers": signers, "recipientCount": str(len(signers))},
        }
        self._change(envelope, definition.get("status", "created"), now)
        self.envelopes[envelope_id] = envelope
        self.effects.record("create_envelope", envelope_id)
        return envelope_id

    def _change(self, envelope: dict[str, Any], status: str, now: str) -> None:
        envelope.update(status=status, statusChangedDateTime=now, lastModifiedDateTime=now)
        envelope[f"{status}DateTime"] = now

    def _shown(self, envelope: Mapping[str, Any], include: str) -> dict[str, Any]:
        """The envelope without the parts that were not asked for."""
        asked = set(include.split(","))
        hidden = {name for name, word in (("customFields", "custom_fields"), ("recipients", "recipients")) if word not in asked}
        return {name: value for name, value in envelope.items() if name not in hidden}


def _matches(envelope: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    fields = {f"{f['name']}={f['value']}" for f in envelope["customFields"]["textCustomFields"]}
    wanted = {
        "envelope_ids": envelope["envelopeId"],
        "transaction_ids": envelope["transactionId"],
        "status": envelope["status"],
    }
    listed = all(value in query[name].split(",") for name, value in wanted.items() if name in query)
    recent = "from_date" not in query or instant(envelope["statusChangedDateTime"]) >= instant(query["from_date"])
    return listed and recent and ("custom_field" not in query or query["custom_field"] in fields)


def _timestamp() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _error(code: str, status: int) -> JSONResponse:
    return JSONResponse({"errorCode": code, "message": "The request cannot be carried out."}, status_code=status)


async def _fault_answer(request: Request, fault: Any) -> Response:
    del request
    return _error(fault.code, fault.status)
