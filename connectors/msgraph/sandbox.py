"""A stand-in of Microsoft's login authority and of Graph v1.0, as far as accounts and groups go.

It is stateful, checks tokens, leaves fields out unless they are selected, pages, and can lag behind its own writes. Shapes are from the
vendor's metadata; messages, error codes and the lag are not verified against the vendor.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.sandbox import EffectLedger, Faults, FaultyApp

TENANT = "8f1c2d3e-0000-4000-8000-00000000c11e"
CLIENT_ID = "5e1ec7ed-0000-4000-8000-0000000057e7"
CLIENT_SECRET = "sandbox-client-secret"
_TOKEN_SECONDS = 3599
_DEFAULT_FIELDS = ("businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
                   "preferredLanguage", "surname", "userPrincipalName")  # fmt: skip
_WRITABLE = frozenset({*_DEFAULT_FIELDS, "accountEnabled", "city", "companyName", "country", "department", "employeeHireDate", "employeeId",
                       "employeeLeaveDateTime", "employeeOrgData", "employeeType", "mailNickname", "otherMails", "passwordPolicies",
                       "passwordProfile", "postalCode", "state", "streetAddress", "usageLocation", "userType"} - {"id"})  # fmt: skip
_REQUIRED = ("accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile")
_FILTER = re.compile(r"(employeeId|userPrincipalName) eq '((?:[^']|'')*)'")

Handler = Callable[[Request], Awaitable[Response]]


class _GraphError(Exception):
    def __init__(self, status: int, code: str, message: str, details: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


@dataclass
class _User:
    """A user now, and as laggards still see it (``None``: not at all) until ``settled_at`` (monotonic)."""

    now: dict[str, Any]
    before: dict[str, Any] | None
    settled_at: float
    roles: set[str] = field(default_factory=set)

    def seen(self) -> dict[str, Any] | None:
        return self.now if time.monotonic() >= self.settled_at else self.before


class MsGraphSandbox:
    """One tenant. ``lag_seconds`` delays what reads see; ``throttle_seconds`` makes every Graph call answer 429 with that Retry-After."""

    def __init__(self, *, latency_seconds: float = 0.0, lag_seconds: float = 0.0, page_size: int = 50) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.lag_seconds, self.page_size = lag_seconds, page_size
        self.throttle_seconds: int | None = None
        self._users: dict[str, _User] = {}
        self._groups: dict[str, dict[str, Any]] = {}
        self._members: dict[str, list[str]] = {}
        self._tokens: dict[str, float] = {}
        self.app: ASGIApp = FaultyApp(Starlette(routes=self._routes()), self.faults, latency_seconds=latency_seconds)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the connector's settings form for this tenant, served at ``base_url``."""
        return {
            "tenant_id": TENANT,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "authority": base_url,
            "graph_url": base_url,
            "ca_file": ca_file,
        }

    @property
    def users(self) -> list[dict[str, Any]]:
        """Every user as it really is, with ``memberOf`` as group ids, without passwords."""
        return [self._view(user_id) for user_id in self._users]

    def add_group(self, name: str) -> str:
        """A security group by hand; its id."""
        group_id = str(uuid4())
        self._groups[group_id] = {"id": group_id, "displayName": name, "groupTypes": [], "securityEnabled": True}
        self._members[group_id] = []
        return group_id

    def add_user(self, **fields: object) -> str:
        """A user by hand, enabled unless said otherwise; the id."""
        user_id = str(uuid4())
        now = {"id": user_id, "accountEnabled": True, "signInSessionsValidFromDateTime": _now(), **fields}
        self._users[user_id] = _User(now, now, 0.0)
        return user_id

    def give_admin_role(self, user_id: str) -> None:
        """Let a user hold a directory role: apps without a role of their own may not change it any more."""
        self._users[user_id].roles.add(str(uuid4()))

    def expire_tokens(self) -> None:
        """Take back every token issued so far."""
        self._tokens.clear()

    def _routes(self) -> list[Route]:
        graph = self._graph
        return [
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery, methods=["GET"]),
            Route("/{tenant}/oauth2/v2.0/token", self._issue_token, methods=["POST"]),
            Route("/v1.0/organization", graph(self._organization), methods=["GET"]),
            Route("/v1.0/users", graph(self._list_users), methods=["GET"]),
            Route("/v1.0/users", graph(self._create_user), methods=["POST"]),
            Route("/v1.0/users/{key}", graph(self._get_user), methods=["GET"]),
            Route("/v1.0/users/{key}", graph(self._patch_user), methods=["PATCH"]),
            Route("/v1.0/users/{key}/memberOf", graph(self._member_of), methods=["GET"]),
            Route("/v1.0/users/{key}/revokeSignInSessions", graph(self._revoke), methods=["POST"]),
            Route("/v1.0/groups/{group}", graph(self._get_group), methods=["GET"]),
            Route("/v1.0/groups/{group}/members/$ref", graph(self._add_member), methods=["POST"]),
            Route("/v1.0/groups/{group}/members/{member}/$ref", graph(self._remove_member), methods=["DELETE"]),
        ]

    def _graph(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                self._admit(request)
                return await handler(request)
            except _GraphError as error:
                return _error_answer(request, error, self.throttle_seconds)

        return guarded

    def _admit(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._tokens.get(token, 0.0) < time.monotonic():
            raise _GraphError(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
        if self.throttle_seconds is not None:
            raise _GraphError(429, "TooManyRequests", "Too many requests")

    async def _discovery(self, request: Request) -> Response:
        if request.path_params["tenant"] != TENANT:
            return JSONResponse({"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found."}, 400)
        base = f"{request.base_url}{TENANT}"
        return JSONResponse(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        )

    async def _issue_token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        fault = _token_fault(form, str(request.base_url))
        if fault is not None:
            status, error, words = fault
            body = {"error": error, "error_description": words, "correlation_id": str(uuid4()), "error_codes": [7000215]}
            return JSONResponse(body, status)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + _TOKEN_SECONDS
        return JSONResponse({"token_type": "Bearer", "expires_in": _TOKEN_SECONDS, "access_token": token})

    async def _organization(self, request: Request) -> Response:
        return _listed(request, [{"id": TENANT, "displayName": "Client"}], None)

    async def _list_users(self, request: Request) -> Response:
        matching = _condition(request.query_params.get("$filter"))
        seen = [view for user in self._users.values() if (view := user.seen()) is not None and matching(view)]
        chosen, link = self._page(request, seen)
        return _listed(request, [_selected(request, user) for user in chosen], link)

    async def _create_user(self, request: Request) -> Response:
        body = await _body(request)
        _check_fields(body)
        missing = [name for name in _REQUIRED if body.get(name) is None]
        if missing:
            raise _GraphError(400, "Request_BadRequest", f"A value is required for property '{missing[0]}' of resource 'User'.")
        self._check_unique(body)
        user_id = str(uuid4())
        now = {"id": user_id, "signInSessionsValidFromDateTime": _now(), "userType": "Member", **body}
        self._users[user_id] = _User(now, None, time.monotonic() + self.lag_seconds)
        self.effects.record("create_user", user_id)
        return JSONResponse(_selected(request, now), 201)

    async def _get_user(self, request: Request) -> Response:
        return JSONResponse(_selected(request, self._seen(request)))

    async def _patch_user(self, request: Request) -> Response:
        body = await _body(request)
        user = self._changeable(request)
        _check_fields(body)
        self._check_unique(body, user)
        changed = {name for name, value in body.items() if user.now.get(name) != value}
        self._change(user, body)
        if "accountEnabled" in changed:
            self.effects.record("enable_user" if body["accountEnabled"] else "disable_user", user.now["id"])
        if changed - {"accountEnabled"}:
            self.effects.record("update_user", user.now["id"])
        return Response(status_code=204)

    async def _revoke(self, request: Request) -> Response:
        user = self._changeable(request)
        self._change(user, {"signInSessionsValidFromDateTime": _now()})
        self.effects.record("revoke_sessions", user.now["id"])
        return JSONResponse({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Edm.Boolean", "value": True})

    async def _member_of(self, request: Request) -> Response:
        user_id = self._seen(request)["id"]
        groups = [self._groups[group] for group, members in self._members.items() if user_id in members]
        held = [{"@odata.type": "#microsoft.graph.group", "id": group["id"]} for group in groups]
        held += [{"@odata.type": "#microsoft.graph.directoryRole", "id": role} for role in self._users[user_id].roles]
        chosen, link = self._page(request, held)
        return _listed(request, chosen, link)

    async def _get_group(self, request: Request) -> Response:
        return JSONResponse(self._groups[self._group(request)])

    async def _add_member(self, request: Request) -> Response:
        group_id = self._group(request)
        member = str((await _body(request)).get("@odata.id", "")).rpartition("/directoryObjects/")[2]
        self._find(member)
        if member in self._members[group_id]:
            words = "One or more added object references already exist for the following modified properties: 'members'."
            raise _GraphError(400, "Request_BadRequest", words)
        self._members[group_id].append(member)
        self.effects.record("add_member", member)
        return Response(status_code=204)

    async def _remove_member(self, request: Request) -> Response:
        members, member = self._members[self._group(request)], request.path_params["member"]
        if member not in members:
            raise _not_found(member)
        members.remove(member)
        self.effects.record("remove_member", member)
        return Response(status_code=204)

    def _group(self, request: Request) -> str:
        group_id = str(request.path_params["group"])
        if group_id not in self._groups:
            raise _not_found(group_id)
        return group_id

    def _find(self, key: str) -> _User:
        """By id or userPrincipalName, if laggards see it already."""
        for user in self._users.values():
            seen = user.seen()
            if seen is not None and key.casefold() in {seen["id"], str(seen.get("userPrincipalName")).casefold()}:
                return user
        raise _not_found(key)

    def _seen(self, request: Request) -> dict[str, Any]:
        user = self._find(request.path_params["key"])
        return user.seen() or user.now

    def _changeable(self, request: Request) -> _User:
        user = self._find(request.path_params["key"])
        if user.roles:
            raise _GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        return user

    def _change(self, user: _User, fields: Mapping[str, Any]) -> None:
        user.before = user.seen()
        user.now = {**user.now, **fields}
        user.settled_at = time.monotonic() + self.lag_seconds

    def _check_unique(self, body: Mapping[str, Any], but: _User | None = None) -> None:
        login = str(body.get("userPrincipalName")).casefold()
        for user in self._users.values():
            if user is not but and "userPrincipalName" in body and str(user.now["userPrincipalName"]).casefold() == login:
                words = "Another object with the same value for property userPrincipalName already exists."
                conflict = {"code": "ObjectConflict", "message": words, "target": "userPrincipalName"}
                raise _GraphError(400, "Request_BadRequest", words, [conflict])

    def _page(self, request: Request, items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str | None]:
        start = int(request.query_params.get("$skiptoken", "0"))
        size = min(int(request.query_params.get("$top", "100")), self.page_size)
        link = None
        if start + size < len(items):
            link = str(request.url.include_query_params(**{"$skiptoken": start + size}))
        return items[start : start + size], link

    def _view(self, user_id: str) -> dict[str, Any]:
        user = {name: value for name, value in self._users[user_id].now.items() if name != "passwordProfile"}
        return {**user, "memberOf": [group for group, members in self._members.items() if user_id in members]}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _token_fault(form: Mapping[str, str], base_url: str) -> tuple[int, str, str] | None:
    if form.get("grant_type") != "client_credentials":
        return 400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported."
    if form.get("client_id") != CLIENT_ID:
        return 400, "unauthorized_client", "AADSTS700016: Application was not found in the directory."
    if not secrets.compare_digest(form.get("client_secret", ""), CLIENT_SECRET):
        return 401, "invalid_client", "AADSTS7000215: Invalid client secret provided."
    if form.get("scope") != f"{base_url}.default":
        return 400, "invalid_scope", f"AADSTS70011: The scope is not valid for {urlsplit(base_url).hostname}."
    return None


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    return body


def _check_fields(body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        if name not in _WRITABLE:
            raise _GraphError(400, "Request_BadRequest", f"Invalid property '{name}'.")
        if value == "" or (name == "employeeId" and len(value or "") > 16):
            raise _GraphError(400, "Request_BadRequest", f"Invalid value specified for property '{name}' of resource 'User'.")


def _condition(text: str | None) -> Callable[[dict[str, Any]], bool]:
    if text is None:
        return lambda _user: True
    match = _FILTER.fullmatch(text)
    if match is None:
        raise _GraphError(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause.")
    name, value = match.group(1), match.group(2).replace("''", "'").casefold()
    return lambda user: str(user.get(name)).casefold() == value


def _selected(request: Request, user: Mapping[str, Any]) -> dict[str, Any]:
    wanted = request.query_params.get("$select")
    names = wanted.split(",") if wanted else _DEFAULT_FIELDS
    empty: dict[str, list[str]] = {"businessPhones": []}
    return {name: user.get(name, empty.get(name)) for name in names if name != "passwordProfile"}


def _listed(request: Request, items: list[dict[str, Any]], link: str | None) -> Response:
    context = f"{request.base_url}v1.0/$metadata#{request.url.path.rpartition('/')[2]}"
    return JSONResponse({"@odata.context": context, "value": items, **({"@odata.nextLink": link} if link else {})})


def _not_found(key: str) -> _GraphError:
    words = f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
    return _GraphError(404, "Request_ResourceNotFound", words)


def _error_answer(request: Request, error: _GraphError, throttle_seconds: int | None) -> Response:
    trace = {
        "date": _now(),
        "request-id": str(uuid4()),
        "client-request-id": request.headers.get("client-request-id", ""),
    }
    main: dict[str, Any] = {"code": error.code, "message": error.message, "innerError": trace}
    if error.details is not None:
        main["details"] = error.details
    headers = {"Retry-After": str(throttle_seconds)} if error.status == 429 else {}
    return JSONResponse({"error": main}, error.status, headers)
