"""A stand-in of a SCIM 2.0 service provider: Users with the enterprise extension, Groups, PATCH, PUT, /Bulk, versions (RFC 7643, RFC 7644).

It is stateful, checks credentials, pages, and can lag behind its own writes. What it can is switched: targets differ in that. Users have
one attribute besides, ``endsAt`` of an extension of its own, as targets have that end access by themselves.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs
from uuid import uuid4

from pydantic import ValidationError
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    BulkOperation,
    BulkRequest,
    BulkResponse,
    ChangePassword,
    Context,
    EnterpriseUser,
    Error,
    ETag,
    Extension,
    Filter,
    Group,
    GroupMembership,
    ListResponse,
    Meta,
    NotFoundException,
    NotImplementedException,
    Patch,
    PatchOp,
    PayloadTooLargeException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    Schema,
    SCIMException,
    ScimProvider,
    SearchRequest,
    ServiceProviderConfig,
    Sort,
    UnauthorizedException,
    UniquenessException,
    User,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp

BASE = "/scim/v2"
TOKEN, USERNAME, PASSWORD = "sandbox-scim-token", "stint", "sandbox-scim-password"
CLIENT_ID, CLIENT_SECRET = "stint-hub", "sandbox-scim-secret"
ENDING = "urn:example:params:scim:schemas:extension:ending:2.0:User"
_MEDIA_TYPE = "application/scim+json"
_TOKEN_SECONDS, _BULK_OPERATIONS, _BULK_BYTES = 3599, 50, 1_000_000


class Ending(Extension):
    """When this target ends access by itself."""

    __schema__ = URN(ENDING)

    ends_at: datetime | None = None


Person = User[EnterpriseUser | Ending]
_MODELS: Mapping[str, type[Any]] = {"Users": Person, "Groups": Group}
_TYPES = [ResourceType.from_resource(model) for model in _MODELS.values()]
_PROVIDER = ScimProvider(models=[User, EnterpriseUser, Ending, Group], resource_types=_TYPES)

Handler = Callable[[Request], Awaitable[Response]]


def _of(message: Any, model: type[Resource[Any]]) -> Any:
    """A message about resources of a model that is known only now."""
    return message[model]


class _MethodNotAllowed(SCIMException):
    status = 405


class _TooManyRequests(SCIMException):
    status = 429


@dataclass
class _Stored:
    """A resource now, and as laggards still see it (``None``: not at all) until ``settled_at`` (monotonic)."""

    now: Any
    before: Any
    settled_at: float

    def seen(self) -> Any:
        return self.now if time.monotonic() >= self.settled_at else self.before


class ScimSandbox:
    """One service provider. ``lag_seconds`` delays what reads see; ``throttle_seconds`` makes every call answer 429 with that Retry-After.

    ``has_patch``, ``has_bulk``, ``has_versions``, ``shows_groups`` (on Users) and ``newest_first`` may be switched at any time.
    """

    effects: EffectLedger
    faults: Faults
    app: ASGIApp

    def __init__(
        self,
        *,
        latency_seconds: float = 0.0,
        page_size: int = 50,
        credentials: Literal["bearer", "basic", "oauth"] = "bearer",
    ) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.lag_seconds, self.page_size, self.credentials = 0.0, page_size, credentials
        self.has_patch = self.has_bulk = self.has_versions = self.shows_groups = True
        self.newest_first = False
        self.throttle_seconds: int | None = None
        self._stored: dict[str, dict[str, _Stored]] = {"Users": {}, "Groups": {}}
        self._tokens: dict[str, float] = {}
        self._changes = 0
        self.app = FaultyApp(Starlette(routes=self._routes()), self.faults, latency_seconds=latency_seconds, answers=_ANSWERS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the connector's settings form for this service provider, served at ``base_url``."""
        kinds: Mapping[str, dict[str, Any]] = {
            "bearer": {"token": TOKEN},
            "basic": {"username": USERNAME, "password": PASSWORD},
            "oauth": {"token_url": f"{base_url}/oauth/token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        }
        return {
            "base_url": f"{base_url}{BASE}",
            **kinds[self.credentials],
            "expiry_attribute": f"{ENDING}:endsAt",
            "tells_changes": True,
            "ca_file": ca_file,
        }

    @property
    def users(self) -> list[dict[str, Any]]:
        """Every User as it really is, with its groups, without passwords."""
        return [self._published(one.now, "").model_dump() for one in self._stored["Users"].values()]

    def add_user(self, **fields: object) -> str:
        """A User by hand, in the RFC's own names, active unless said otherwise; its id."""
        return self._put_new("Users", Person.model_validate({"active": True, **fields}), settled=True)

    def add_group(self, name: str) -> str:
        """A Group by hand; its id."""
        return self._put_new("Groups", Group(display_name=name), settled=True)

    def settle(self) -> None:
        """Let laggards see everything as it is now."""
        for held in (*self._stored["Users"].values(), *self._stored["Groups"].values()):
            held.settled_at = 0.0

    def expire_tokens(self) -> None:
        """Take back every token that was granted."""
        self._tokens.clear()

    # Requests

    def _routes(self) -> list[Route]:
        any_method = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        serve = self._serve
        return [
            Route("/oauth/token", self._grant, methods=["POST"]),
            Route(f"{BASE}/ServiceProviderConfig", serve(self._config, to_anybody=True), methods=any_method),
            Route(f"{BASE}/ResourceTypes", serve(self._resource_types), methods=any_method),
            Route(f"{BASE}/ResourceTypes/{{name}}", serve(self._resource_types), methods=any_method),
            Route(f"{BASE}/Schemas", serve(self._schemas), methods=any_method),
            Route(f"{BASE}/Schemas/{{name}}", serve(self._schemas), methods=any_method),
            Route(f"{BASE}/Bulk", serve(self._bulk), methods=any_method),
            Route(f"{BASE}/{{kind}}", serve(self._collection), methods=any_method),
            Route(f"{BASE}/{{kind}}/{{key}}", serve(self._resource), methods=any_method),
            Route(f"{BASE}/{{rest:path}}", serve(self._nothing), methods=any_method),
        ]

    def _serve(self, handler: Handler, *, to_anybody: bool = False) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                if not to_anybody:
                    self._admit(request)
                with _PROVIDER:
                    return await handler(request)
            except SCIMException as error:
                return self._refusal(error)
            except ValidationError as error:
                return self._refusal(SCIMException.from_error(Error.from_validation_errors(error)[0]))

        return guarded

    def _admit(self, request: Request) -> None:
        if not self._is_known(request.headers.get("authorization", "")):
            raise UnauthorizedException
        if self.throttle_seconds is not None:
            raise _TooManyRequests(detail="Too many requests")

    def _is_known(self, header: str) -> bool:
        match self.credentials:
            case "bearer":
                return secrets.compare_digest(header, f"Bearer {TOKEN}")
            case "basic":
                return secrets.compare_digest(header, _basic(USERNAME, PASSWORD))
            case "oauth":
                return self._tokens.get(header.removeprefix("Bearer "), 0.0) > time.monotonic()

    def _refusal(self, error: SCIMException) -> Response:
        headers = {"Retry-After": str(self.throttle_seconds)} if error.status == 429 else {}
        headers |= {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
        return _answer(error.to_error().model_dump(), error.status, headers)

    async def _grant(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if not secrets.compare_digest(request.headers.get("authorization", ""), _basic(CLIENT_ID, CLIENT_SECRET)):
            return JSONResponse({"error": "invalid_client"}, 401)
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + _TOKEN_SECONDS
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": _TOKEN_SECONDS})

    # Discovery

    async def _config(self, request: Request) -> Response:
        _require_method(request, "GET")
        scheme = AuthenticationScheme(type=_SCHEMES[self.credentials], name=self.credentials, description="as the settings say")
        config = ServiceProviderConfig(
            patch=Patch(supported=self.has_patch),
            bulk=Bulk(supported=self.has_bulk, max_operations=_BULK_OPERATIONS, max_payload_size=_BULK_BYTES),
            filter=Filter(supported=True, max_results=self.page_size),
            change_password=ChangePassword(supported=False),
            sort=Sort(supported=False),
            etag=ETag(supported=self.has_versions),
            authentication_schemes=[scheme],
            meta=Meta(resource_type="ServiceProviderConfig", location=str(request.url)),
        )
        return _answer(config.model_dump())

    async def _resource_types(self, request: Request) -> Response:
        return _described(request, {str(one.id): one for one in _TYPES})

    async def _schemas(self, request: Request) -> Response:
        return _described(request, {str(one.id): one for one in _PROVIDER.schemas})

    async def _nothing(self, request: Request) -> Response:
        del request
        raise NotFoundException(detail="There is nothing here")

    # Resources

    async def _collection(self, request: Request) -> Response:
        kind = _kind(request)
        _require_method(request, "GET", "POST")
        return self._list(request, kind) if request.method == "GET" else await self._create(request, kind)

    def _list(self, request: Request, kind: str) -> Response:
        query = dict(request.query_params)
        asked = _of(SearchRequest, _MODELS[kind]).model_validate(query, scim_ctx=Context.RESOURCE_QUERY_REQUEST)
        base = _base(request)
        seen = [self._published(view, base) for one in self._stored[kind].values() if (view := one.seen()) is not None]
        seen = seen[::-1] if self.newest_first else seen
        found = [one for one in seen if asked.filter is None or asked.filter.match(one)]
        start = max(asked.start_index or 1, 1)
        count = self.page_size if asked.count is None else max(0, min(asked.count, self.page_size))
        page = found[start - 1 : start - 1 + count]
        answer = _of(ListResponse, _MODELS[kind])(
            total_results=len(found),
            start_index=start,
            items_per_page=len(page),
            resources=[one.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked) for one in page],
        )
        return _answer(answer.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))

    async def _create(self, request: Request, kind: str) -> Response:
        wanted = _MODELS[kind].model_validate_json(await request.body(), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
        self._require_unique(kind, wanted)
        key = self._put_new(kind, wanted)
        self.effects.record("create_user" if kind == "Users" else "create_group", key)
        return self._shown(request, self._stored[kind][key].now, Context.RESOURCE_CREATION_RESPONSE, 201)

    async def _resource(self, request: Request) -> Response:
        kind, key = _kind(request), str(request.path_params["key"])
        _require_method(request, "GET", "PUT", "PATCH", "DELETE")
        held = self._found(kind, key)
        _check_version(request, held.seen() if request.method == "GET" else held.now)
        match request.method:
            case "GET":
                return self._shown(request, held.seen(), Context.RESOURCE_QUERY_RESPONSE)
            case "DELETE":
                self.remove(kind, key)
                return Response(status_code=204)
            case "PUT":
                wanted = _MODELS[kind].model_validate_json(await request.body(), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
                wanted.replace(self._published(held.now, ""))
                self._change(kind, key, wanted)
            case "PATCH":
                self._patch(kind, key, await request.json())
        return self._shown(request, held.now, Context.RESOURCE_REPLACEMENT_RESPONSE)

    async def _bulk(self, request: Request) -> Response:
        _require_method(request, "POST")
        if not self.has_bulk:
            raise NotImplementedException(detail="There is no bulk")
        body = await request.body()
        asked = BulkRequest[Person | Group].model_validate_json(body, scim_ctx=Context.BULK_REQUEST)
        operations = asked.operations or []
        if len(body) > _BULK_BYTES or len(operations) > _BULK_OPERATIONS:
            raise PayloadTooLargeException
        results = [self._bulk_one(one, _base(request)) for one in operations]
        answer = BulkResponse[Person | Group].model_validate({"Operations": results})
        return _answer(answer.model_dump(scim_ctx=Context.BULK_RESPONSE))

    def _bulk_one(self, asked: BulkOperation[Any], base: str) -> dict[str, Any]:
        """PATCH only: nothing else is sent."""
        told = {"method": asked.method, "bulkId": asked.bulk_id, "location": f"{base}{asked.path}"}
        try:
            if asked.response is not None or asked.method is not BulkOperation.Method.patch or asked.data is None:
                raise NotImplementedException(detail="Only PATCH is done in bulk here")
            self._patch((asked.endpoint or "").strip("/"), asked.resource_id or "", asked.data.model_dump())
        except SCIMException as error:
            return {**told, "status": str(error.status), "response": error.to_error().model_dump()}
        return {**told, "status": "200"}

    # State

    def _patch(self, kind: str, key: str, body: object) -> None:
        if not self.has_patch:
            raise NotImplementedException(detail="There is no PATCH")
        asked = _of(PatchOp, _MODELS[kind]).model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST)
        changed = self._found(kind, key).now.model_copy(deep=True)
        asked.patch(changed)
        self._change(kind, key, changed)

    def _put_new(self, kind: str, wanted: Any, *, settled: bool = False) -> str:
        key, now = str(uuid4()), datetime.now(UTC)
        self._changes += 1
        wanted.id = key
        wanted.meta = Meta(resource_type=kind[:-1], created=now, last_modified=now, version=f'W/"{self._changes}"')
        self._stored[kind][key] = _Stored(wanted, None, 0.0 if settled else time.monotonic() + self.lag_seconds)
        return key

    def _change(self, kind: str, key: str, wanted: Any) -> None:
        held = self._stored[kind][key]
        wanted.id, wanted.meta = key, held.now.meta
        if wanted.model_dump() == held.now.model_dump():
            return
        self._require_unique(kind, wanted)
        for operation, subject in _differences(kind, held.now, wanted):
            self.effects.record(operation, subject)
        self._changes += 1
        wanted.meta = held.now.meta.model_copy(update={"last_modified": datetime.now(UTC), "version": f'W/"{self._changes}"'})
        held.before, held.now, held.settled_at = held.seen(), wanted, time.monotonic() + self.lag_seconds

    def remove(self, kind: str, key: str) -> None:
        """Delete a User or a Group."""
        del self._stored[kind][key]
        for group in self._stored["Groups"].values():
            group.now.members = [one for one in group.now.members or [] if one.value != key] or None
        self.effects.record("delete_user" if kind == "Users" else "delete_group", key)

    def _found(self, kind: str, key: str) -> _Stored:
        held = self._stored.get(kind, {}).get(key)
        if held is None or held.seen() is None:
            raise NotFoundException(detail=f"Resource {key} not found")
        return held

    def _require_unique(self, kind: str, wanted: Any) -> None:
        name = str(getattr(wanted, "user_name", "")).casefold()
        if kind == "Users" and any(
            str(one.now.user_name).casefold() == name and one.now.id != wanted.id for one in self._stored[kind].values()
        ):
            raise UniquenessException(detail=f"userName {wanted.user_name} is taken")

    def _published(self, resource: Resource[Any], base: str) -> Any:
        """A copy as it is shown: with its location, and a User with its groups."""
        shown = resource.model_copy(deep=True)
        kind = "Users" if isinstance(shown, User) else "Groups"
        shown.meta = (shown.meta or Meta()).model_copy(update={"location": f"{base}/{kind}/{shown.id}"})
        if not self.has_versions:
            shown.meta.version = None
        if isinstance(shown, User) and self.shows_groups:
            shown.groups = [
                GroupMembership(value=group.id, display=group.display_name, type="direct")
                for group in (one.now for one in self._stored["Groups"].values())
                if shown.id in _members(group)
            ]
        return shown

    def _shown(self, request: Request, resource: Any, context: Context, status: int = 200) -> Response:
        asked = {name: value for name, value in request.query_params.items() if name in {"attributes", "excludedAttributes"}}
        parameters = _of(ResponseParameters, type(resource)).model_validate(asked)
        shown = self._published(resource, _base(request))
        headers = {"Location": shown.meta.location, "Content-Location": shown.meta.location}
        headers |= {"ETag": shown.meta.version} if shown.meta.version else {}
        return _answer(shown.model_dump(scim_ctx=context, response_parameters=parameters), status, headers)


_SCHEMES = {"bearer": "oauthbearertoken", "basic": "httpbasic", "oauth": "oauth2"}


def _scim_error(status: int, detail: str) -> bytes:
    return json.dumps(Error(status=status, detail=detail).model_dump()).encode()


_TYPE = (b"content-type", _MEDIA_TYPE.encode())
_ANSWERS: Mapping[FaultKind, Answer] = {
    FaultKind.BUSY_BEFORE: Answer(503, _scim_error(503, "Busy"), (_TYPE, (b"retry-after", b"1"))),
    FaultKind.THROTTLED_BEFORE: Answer(429, _scim_error(429, "Too many requests"), (_TYPE, (b"retry-after", b"0"))),
    FaultKind.THROTTLED_BARE_BEFORE: Answer(429, _scim_error(429, "Too many requests"), (_TYPE,)),
    FaultKind.FORBIDDEN_BEFORE: Answer(403, _scim_error(403, "Operation is not permitted"), (_TYPE,)),
    FaultKind.ERROR_AFTER: Answer(500, _scim_error(500, "Internal error"), (_TYPE,)),
}


def _basic(name: str, secret: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"


def _answer(body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(body, status, dict(headers or {}), media_type=_MEDIA_TYPE)


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}{BASE}"


def _kind(request: Request) -> str:
    kind = str(request.path_params["kind"])
    if request.url.path.endswith("/.search"):
        raise NotImplementedException(detail="There is no search by POST")
    if kind not in _MODELS:
        raise NotFoundException(detail="There is no such endpoint")
    return kind


def _require_method(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise _MethodNotAllowed(detail=f"{request.method} is not possible here")


def _check_version(request: Request, resource: Any) -> None:
    wanted = request.headers.get("if-match")
    if wanted is not None and wanted not in {"*", resource.meta.version}:
        raise PreconditionFailedException


def _described(request: Request, known: Mapping[str, Any]) -> Response:
    """What a discovery endpoint has: all, or the one that is named."""
    _require_method(request, "GET")
    name = request.path_params.get("name")
    if name is not None and name not in known:
        raise NotFoundException(detail=f"There is no {name}")
    location = str(request.url.replace(query="")).removesuffix(f"/{name}")
    shown = {
        key: one.model_copy(update={"meta": Meta(resource_type=type(one).__name__, location=f"{location}/{key}")})
        for key, one in known.items()
    }
    if name is not None:
        return _answer(shown[name].model_dump())
    kind = ResourceType if "User" in known else Schema
    resources = list(shown.values())
    listed = _of(ListResponse, kind)(total_results=len(shown), start_index=1, resources=resources, items_per_page=len(shown))
    return _answer(listed.model_dump())


def _members(group: Group) -> set[str]:
    return {one.value for one in group.members or [] if one.value}


def _differences(kind: str, before: Any, after: Any) -> list[tuple[str, str]]:
    """What a change did, as the effect ledger names it."""
    if kind == "Groups":
        held, wanted = _members(before), _members(after)
        return [("add_member", one) for one in wanted - held] + [("remove_member", one) for one in held - wanted]
    found = []
    if before.active != after.active:
        found.append(("enable_user" if after.active else "disable_user", before.id))
    if before.model_copy(update={"active": None}).model_dump() != after.model_copy(update={"active": None}).model_dump():
        found.append(("update_user", before.id))
    return found
