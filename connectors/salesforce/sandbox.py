"""A stand-in of one Salesforce organisation's REST API, in memory: sign-in, describe, query, upsert, update.

As the vendor where it hurts: sessions that end, an allowance of requests told in each answer and refused with 403, queries whose further
pages are forgotten, locked rows, unique fields, several records under one external id, fields that the integration user may not write,
deleted records that only queryAll shows, records that do not show for ``lag_seconds`` after they were created.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.records.schemas import target_schema
from connectors.salesforce.tokens import TOKEN_PATH
from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp
from connectors.wire.assertions import JWT_BEARER

CONSUMER_KEY = "sandbox-salesforce-consumer-key"
CONSUMER_SECRET = "sandbox-salesforce-consumer-secret"
USERNAME = "integration@acme.example"
AUDIENCE = "https://login.salesforce.com"
SOURCE, SINK, MARKER_FIELD = "Placement__c", "Contact", "Stint_Marker__c"
SOURCE_FIELDS = ("Name", "Status__c", "Start_Date__c", "End_Date__c", "Revision__c", "Worker__r.Email")
BASE = "/services/data/v{version}"

_PREFIXES = {SOURCE: "a0P", SINK: "003"}
_SYSTEM_FIELDS = ("Id", "SystemModstamp", "IsDeleted")
_CONDITION = re.compile(r"(\w+) (=|>=) ('(?:[^'\\]|\\.)*'|[\w:.+\-]+)")
_QUERY = re.compile(r"SELECT ([\w., ]+) FROM (\w+)(?: WHERE (.+?))?(?: ORDER BY ([\w, ]+))?", re.DOTALL)


class _Refusal(Exception):
    def __init__(self, status: int, code: str, message: str = "", fields: tuple[str, ...] = ()) -> None:
        super().__init__(code)
        self.status, self.body = status, _fault(code, message, fields)


@dataclass
class SandboxField:
    """A field as the integration user sees it. ``options`` are those of a restricted picklist, ``refers_to`` objects' names."""

    name: str
    relationship: str | None = None
    writable: bool = True
    external_id: bool = False
    unique: bool = False
    type: str = "string"
    length: int = 80
    nillable: bool = True
    options: tuple[str, ...] = ()
    refers_to: tuple[str, ...] = ()


@dataclass
class SandboxObject:
    """An object, its fields by name and its records by id."""

    name: str
    fields: dict[str, SandboxField]
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    createable: bool = True
    updateable: bool = True


class SalesforceSandbox:
    """An organisation with placements (a source) and contacts (a sink).

    ``rows_per_page`` is smaller than a client may ask for, as Salesforce may give less. ``used`` and ``total`` are the organisation's
    requests in 24 hours. ``sessions`` maps tokens to the instant (monotonic seconds) until which they are good: clear it and they have
    ended. ``locators`` are the queries that have further pages: clear it and they are forgotten. ``locked`` are ids of records that somebody
    else holds. ``upserts_answer_bodies`` false is how older versions of the API answer an upsert that changes something.
    """

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.objects = {one.name: one for one in (_placements(), _contacts())}
        self.rows_per_page = 2
        self.used, self.total = 18, 100_000
        self.session_seconds = 7200.0
        self.lag_seconds = 0.0
        self.sessions: dict[str, float] = {}
        self.locators: dict[str, tuple[list[str], SandboxObject, list[str]]] = {}
        self.locked: set[str] = set()
        self.upserts_answer_bodies = True
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._ids, self._last_stamp = count(1), datetime.min.replace(tzinfo=UTC)
        self._lock = threading.RLock()
        self._visible_from: dict[str, float] = {}
        self._key: rsa.RSAPrivateKey | None = None
        routes = Starlette(routes=self._routes())
        self.app = FaultyApp(routes, self.faults, latency_seconds=latency_seconds, answers=_IN_ITS_WORDS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form for an instance that talks to this sandbox at ``base_url``, with client credentials."""
        return {
            "my_domain_url": base_url,
            "consumer_key": CONSUMER_KEY,
            "consumer_secret": CONSUMER_SECRET,
            "source": {"object": SOURCE, "fields": list(SOURCE_FIELDS)},
            "sink": {
                "object": SINK,
                "fields": ["FirstName", "LastName", "Title"],
                "status_field": "Status__c",
                "ended_status": "Inactive",
            },
            "ca_file": ca_file,
        }

    def bearer_settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The same with a JWT bearer assertion."""
        rest = {name: value for name, value in self.settings(base_url, ca_file).items() if name != "consumer_secret"}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return {**rest, "username": USERNAME, "private_key": pem.decode()}

    def put(self, sobject: str, values: Mapping[str, Any], record_id: str | None = None) -> str:
        """Make a record, or change it, by hand, as people there do; its id."""
        with self._lock:
            one = self.objects[sobject]
            record_id = record_id or f"{_PREFIXES[sobject]}{next(self._ids):012d}AAA"
            blank = dict.fromkeys(one.fields) | {"Id": record_id, "IsDeleted": False}
            held = one.records.setdefault(record_id, blank)
            held.update(values, SystemModstamp=self._stamp())
            return record_id

    def change_placement(self, n: int) -> str:
        """Make placement ``n``, or change it; its id."""
        with self._lock:
            records = self.objects[SOURCE].records
            found = next((key for key, one in records.items() if one["Name"] == f"P-{n:05d}"), None)
            revision = records[found]["Revision__c"] + 1 if found else 1
            worker = {"attributes": {"type": SINK}, "Email": f"worker{n}@acme.example"}
            made = {"Name": f"P-{n:05d}", "Status__c": "Signed", "Start_Date__c": "2026-02-01", "Worker__r": worker}
            values = {**({} if found else made), "End_Date__c": f"{2027 + revision}-01-31", "Revision__c": revision}
            return self.put(SOURCE, values, found)

    def delete(self, sobject: str, record_id: str) -> None:
        """Put a record into the recycle bin by hand."""
        self.put(sobject, {"IsDeleted": True}, record_id)

    def _stamp(self) -> datetime:
        """The time of a change; no two changes here share one, at Salesforce they may."""
        now = self.clock().replace(microsecond=self.clock().microsecond // 1000 * 1000)
        later = max(now, self._last_stamp + timedelta(milliseconds=1))
        # a whole second would look like a clock of seconds, whose present one waits for the next poll
        self._last_stamp = later if later.microsecond else later + timedelta(milliseconds=1)
        return self._last_stamp

    def _routes(self) -> list[Route]:
        sobject = BASE + "/sobjects/{sobject}"
        return [
            Route(TOKEN_PATH, self._token, methods=["POST"]),
            Route(sobject + "/describe", self._guarded(self._describe), methods=["GET"]),
            Route(BASE + "/query/{locator}", self._guarded(self._more), methods=["GET"]),
            Route(BASE + "/query/", self._guarded(self._query), methods=["GET"]),
            Route(BASE + "/queryAll/", self._guarded(self._query), methods=["GET"]),
            Route(sobject + "/{id}", self._guarded(self._get), methods=["GET"]),
            Route(sobject + "/{id}", self._guarded(self._update), methods=["PATCH"]),
            Route(sobject + "/{field}/{value}", self._guarded(self._get_by), methods=["GET"]),
            Route(sobject + "/{field}/{value}", self._guarded(self._upsert), methods=["PATCH"]),
        ]

    def _guarded(self, answer: Callable[[Request, dict[str, Any]], Response]) -> Callable[[Request], Awaitable[Response]]:
        """The route with its session and the organisation's allowance checked, its JSON body read, and the usage told."""

        async def route(request: Request) -> Response:
            body = await request.body()
            with self._lock:
                try:
                    response = self._answered(request, body, answer)
                except _Refusal as refusal:
                    response = JSONResponse(refusal.body, status_code=refusal.status)
                response.headers["Sforce-Limit-Info"] = f"api-usage={self.used}/{self.total}"
                return response

        return route

    def _answered(self, request: Request, body: bytes, answer: Callable[[Request, dict[str, Any]], Response]) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.sessions.get(token, 0.0) <= time.monotonic():
            raise _Refusal(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if self.used >= self.total:
            raise _Refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.used += 1
        try:
            content = json.loads(body) if body else {}
        except ValueError:
            raise _Refusal(400, "JSON_PARSER_ERROR", "The body is not JSON.") from None
        return answer(request, content)

    # sign-in

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        if not self._is_granted(form):
            return JSONResponse({"error": "invalid_client", "error_description": "invalid client credentials"}, status_code=400)
        token = f"00D!{secrets.token_urlsafe(24)}"
        self.sessions[token] = time.monotonic() + self.session_seconds
        instance = f"{request.url.scheme}://{request.url.netloc}"
        return JSONResponse({"access_token": token, "instance_url": instance, "token_type": "Bearer", "issued_at": "0"})

    def _is_granted(self, form: Mapping[str, Any]) -> bool:
        if form.get("grant_type") == "client_credentials":
            return (form.get("client_id"), form.get("client_secret")) == (CONSUMER_KEY, CONSUMER_SECRET)
        if form.get("grant_type") != JWT_BEARER or self._key is None:
            return False
        try:
            claims = jwt.decode(str(form.get("assertion")), self._key.public_key(), algorithms=["RS256"], audience=AUDIENCE)
        except jwt.InvalidTokenError:
            return False
        return (claims.get("iss"), claims.get("sub")) == (CONSUMER_KEY, USERNAME)

    # reading

    def _describe(self, request: Request, _body: dict[str, Any]) -> Response:
        one = self._object(request)
        fields = [_described(each) for each in (*map(_system_field, _SYSTEM_FIELDS), *one.fields.values())]
        allowed = {"queryable": True, "createable": one.createable, "updateable": one.updateable}
        return JSONResponse({"name": one.name, **allowed, "fields": fields})

    def _query(self, request: Request, _body: dict[str, Any]) -> Response:
        asked = _QUERY.fullmatch(request.query_params.get("q", ""))
        if asked is None:
            raise _Refusal(400, "MALFORMED_QUERY", "unexpected token")
        fields, name, where, order = asked.groups()
        one = self.objects.get(name)
        if one is None:
            raise _Refusal(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
        paths = fields.split(", ")
        _require_known(one, paths)
        shown = [each for each in self._visible(one) if not each["IsDeleted"] or "queryAll" in request.url.path]
        found = [each for each in shown if where is None or _holds(one, where, each)]
        keys = [key.strip() for key in (order or "Id").split(",")]
        ids = [each["Id"] for each in sorted(found, key=lambda each: tuple(each[key] for key in keys))]
        return self._page(paths, one, ids, request.path_params["version"], len(ids))

    def _more(self, request: Request, _body: dict[str, Any]) -> Response:
        kept = self.locators.get(request.path_params["locator"])
        if kept is None:
            raise _Refusal(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(*kept, request.path_params["version"], len(kept[2]))

    def _page(self, paths: list[str], one: SandboxObject, ids: list[str], version: str, total: int) -> Response:
        """Ids are fixed when the query is made, values when a page is read."""
        now, rest = ids[: self.rows_per_page], ids[self.rows_per_page :]
        records = [_shown(one, one.records[each], paths) for each in now]
        answer: dict[str, Any] = {"totalSize": total, "done": not rest, "records": records}
        if rest:
            locator = f"0r8{secrets.token_hex(8)}-{len(rest)}"
            self.locators[locator] = paths, one, rest
            answer["nextRecordsUrl"] = f"/services/data/v{version}/query/{locator}"
        return JSONResponse(answer)

    def _get(self, request: Request, _body: dict[str, Any]) -> Response:
        return self._shown_record(request, self._held(request))

    def _get_by(self, request: Request, _body: dict[str, Any]) -> Response:
        one, held = self._object(request), self._carriers(request)
        if not held:
            raise _Refusal(404, "NOT_FOUND", "The requested resource does not exist")
        if len(held) > 1:
            return JSONResponse([f"/sobjects/{one.name}/{each['Id']}" for each in held], status_code=300)
        return self._shown_record(request, held[0])

    def _shown_record(self, request: Request, held: Mapping[str, Any]) -> Response:
        one = self._object(request)
        paths = request.query_params.get("fields", ",".join(one.fields)).split(",")
        _require_known(one, paths)
        return JSONResponse(_shown(one, held, paths))

    # writing

    def _update(self, request: Request, body: dict[str, Any]) -> Response:
        held = self._held(request)
        self._write(self._object(request), held["Id"], body)
        self.effects.record("update_record", held["Id"])
        return Response(status_code=204)

    def _upsert(self, request: Request, body: dict[str, Any]) -> Response:
        one, name, value = self._object(request), request.path_params["field"], request.path_params["value"]
        held = self._carriers(request)
        if len(held) > 1:
            return JSONResponse([f"/sobjects/{one.name}/{each['Id']}" for each in held], status_code=300)
        if name in body:
            raise _Refusal(400, "INVALID_FIELD", "The external id may not be in the body", (name,))
        if held:
            self._write(one, held[0]["Id"], body)
            self.effects.record("update_record", held[0]["Id"])
            answer = {"id": held[0]["Id"], "success": True, "errors": [], "created": False}
            return JSONResponse(answer) if self.upserts_answer_bodies else Response(status_code=204)
        if not body.get("LastName"):
            raise _Refusal(400, "REQUIRED_FIELD_MISSING", "Required fields are missing", ("LastName",))
        self._require_writable(one, None, body)
        made = self.put(one.name, {**body, name: value})
        self._visible_from[made] = time.monotonic() + self.lag_seconds
        self.effects.record("create_record", made)
        return JSONResponse({"id": made, "success": True, "errors": [], "created": True}, status_code=201)

    def _write(self, one: SandboxObject, record_id: str, body: Mapping[str, Any]) -> None:
        if record_id in self.locked:
            raise _Refusal(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        self._require_writable(one, record_id, body)
        self.put(one.name, body, record_id)

    def _require_writable(self, one: SandboxObject, record_id: str | None, body: Mapping[str, Any]) -> None:
        for name, value in body.items():
            about = one.fields.get(name)
            if about is None:
                raise _Refusal(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {one.name}", (name,))
            if not about.writable:
                raise _Refusal(400, "INVALID_FIELD_FOR_INSERT_UPDATE", f"Unable to create/update fields: {name}", (name,))
            if value is None and not about.nillable:
                raise _Refusal(400, "REQUIRED_FIELD_MISSING", "Required fields are missing", (name,))
            if about.options and value is not None and value not in about.options:
                raise _Refusal(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "bad value for restricted picklist field", (name,))
            holders = [each["Id"] for each in one.records.values() if each[name] == value and not each["IsDeleted"]]
            if about.unique and value is not None and set(holders) - {record_id}:
                raise _Refusal(400, "DUPLICATE_VALUE", f"duplicate value found: {name} duplicates {holders[0]}", (name,))

    def _object(self, request: Request) -> SandboxObject:
        one = self.objects.get(request.path_params["sobject"])
        if one is None:
            raise _Refusal(404, "NOT_FOUND", "The requested resource does not exist")
        return one

    def _visible(self, one: SandboxObject) -> list[dict[str, Any]]:
        now = time.monotonic()
        return [each for key, each in one.records.items() if self._visible_from.get(key, 0.0) <= now]

    def _held(self, request: Request) -> dict[str, Any]:
        held = next((each for each in self._visible(self._object(request)) if each["Id"] == request.path_params["id"]), None)
        if held is None:
            raise _Refusal(404, "NOT_FOUND", "The requested resource does not exist")
        if held["IsDeleted"]:
            raise _Refusal(404, "ENTITY_IS_DELETED", "entity is deleted")
        return held

    def _carriers(self, request: Request) -> list[dict[str, Any]]:
        """The records of an external id; uniqueness is enforced for what was written before it shows, too."""
        one, name, value = self._object(request), request.path_params["field"], request.path_params["value"]
        about = one.fields.get(name)
        if about is None or not about.external_id:
            raise _Refusal(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible")
        return [each for each in one.records.values() if each[name] == value and not each["IsDeleted"]]


def _placements() -> SandboxObject:
    fields = [
        SandboxField("Name", nillable=False),
        SandboxField("Status__c", length=255),
        SandboxField("Start_Date__c", type="date", length=0),
        SandboxField("End_Date__c", type="date", length=0),
        SandboxField("Revision__c", type="double", length=0),
    ]
    worker = SandboxField("Worker__c", relationship="Worker__r", type="reference", length=18, refers_to=(SINK,))
    return SandboxObject(SOURCE, {**{each.name: each for each in fields}, "Worker__r": worker})


def _contacts() -> SandboxObject:
    """A Contact with every field that the library's own mapping writes."""
    described: Mapping[str, Any] = (target_schema("salesforce") or {})["properties"]
    fields = [_field(name, schema) for name, schema in described.items() if schema is not False]
    fields += [
        SandboxField("Status__c", type="picklist", length=255, options=("Active", "Inactive")),
        SandboxField("Stint_Ends_On__c", type="date", length=0),
        SandboxField(MARKER_FIELD, length=15, external_id=True, unique=True),
        SandboxField("Employee_Number__c", length=20, unique=True),
    ]
    return SandboxObject(SINK, {each.name: each for each in fields})


def _field(name: str, schema: Mapping[str, Any]) -> SandboxField:
    kind = "double" if "number" in schema["type"] else schema.get("format", "string")
    length = schema.get("maxLength", 255) if kind in {"string", "email"} else 0
    return SandboxField(name, type=kind, length=length, nillable=name != "LastName")


def _system_field(name: str) -> SandboxField:
    kind = {"Id": "id", "SystemModstamp": "datetime", "IsDeleted": "boolean"}[name]
    return SandboxField(name, writable=False, type=kind, length=18 if kind == "id" else 0, nillable=False)


def _described(one: SandboxField) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": one.type,
        "length": one.length,
        "nillable": one.nillable,
        "defaultedOnCreate": one.type == "boolean",
        "restrictedPicklist": bool(one.options),
        "picklistValues": [{"value": option, "label": option, "active": True} for option in one.options],
        "referenceTo": list(one.refers_to),
        "relationshipName": one.relationship,
        "createable": one.writable,
        "updateable": one.writable,
        "externalId": one.external_id,
        "unique": one.unique,
    }


def _require_known(one: SandboxObject, paths: list[str]) -> None:
    for path in paths:
        if path.partition(".")[0] not in {*_SYSTEM_FIELDS, *one.fields}:
            raise _Refusal(400, "INVALID_FIELD", f"No such column '{path}' on entity '{one.name}'")


def _shown(one: SandboxObject, held: Mapping[str, Any], paths: list[str]) -> dict[str, Any]:
    url = f"/services/data/v59.0/sobjects/{one.name}/{held['Id']}"
    names = dict.fromkeys(path.partition(".")[0] for path in paths)
    return {"attributes": {"type": one.name, "url": url}, **{name: _as_json(held[name]) for name in names}}


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}+0000"
    return value


def _holds(one: SandboxObject, where: str, held: Mapping[str, Any]) -> bool:
    """Whether one of the comparisons, joined with OR, holds. Texts compare without regard to case, as in SOQL."""
    found = _CONDITION.findall(where)
    if " OR ".join(f"{name} {operator} {literal}" for name, operator, literal in found) != where:
        raise _Refusal(400, "MALFORMED_QUERY", "unexpected token")
    _require_known(one, [name for name, _, _ in found])
    return any(_compares(held[name], operator, literal) for name, operator, literal in found)


def _compares(held: object, operator: str, literal: str) -> bool:
    if operator == ">=":
        return isinstance(held, datetime) and held >= datetime.fromisoformat(literal)
    text = re.sub(r"\\(.)", r"\1", literal[1:-1])
    return isinstance(held, str) and held.casefold() == text.casefold()


def _fault(code: str, message: str, fields: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return [{"message": message, "errorCode": code, **({"fields": list(fields)} if fields else {})}]


def _said(status: int, code: str, message: str) -> Answer:
    return Answer(status, json.dumps(_fault(code, message)).encode(), ((b"content-type", b"application/json"),))


_IN_ITS_WORDS = {
    FaultKind.THROTTLED_BEFORE: _said(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
    FaultKind.THROTTLED_BARE_BEFORE: _said(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded."),
    FaultKind.EXPIRED_BEFORE: _said(401, "INVALID_SESSION_ID", "Session expired or invalid"),
    FaultKind.FORBIDDEN_BEFORE: _said(403, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights"),
    FaultKind.UNAVAILABLE_BEFORE: _said(503, "SERVER_UNAVAILABLE", "Server unavailable"),
}
