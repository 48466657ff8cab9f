"""A stand-in of Graph v1.0 as far as accounts and groups go; its login authority is in ``sandbox_authority``.

It is stateful, checks tokens, leaves fields out unless they are selected, pages, tells changes, takes batches, and can lag behind its own
writes. Shapes are from the vendor's metadata; messages, error codes and the lag are not verified against the vendor.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from connectors.msgraph.sandbox_authority import Authority
from connectors.suite.sandbox import Answer, Collected, EffectLedger, FaultKind, Faults, FaultyApp

TENANT = "8f1c2d3e-0000-4000-8000-00000000c11e"
CLIENT_ID = "5e1ec7ed-0000-4000-8000-0000000057e7"
CLIENT_SECRET = "sandbox-client-secret"
_WRITES_SECONDS = 150.0
_MAX_PARTS = 20
_DEFAULT_FIELDS = ("businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
                   "preferredLanguage", "surname", "userPrincipalName")  # fmt: skip
_WRITABLE = frozenset({*_DEFAULT_FIELDS, "accountEnabled", "city", "companyName", "country", "department", "employeeHireDate", "employeeId",
                       "employeeLeaveDateTime", "employeeOrgData", "employeeType", "mailNickname", "onPremisesExtensionAttributes",
                       "otherMails", "passwordPolicies", "passwordProfile", "postalCode", "state", "streetAddress", "usageLocation", "userType"} - {"id"})  # fmt: skip
_LISTS = frozenset({"businessPhones", "otherMails"})
_REQUIRED = ("accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile")
_FILTER = re.compile(r"(employeeId|userPrincipalName|onPremisesExtensionAttributes/extensionAttribute\d+) eq '((?:[^']|'')*)'")

Handler = Callable[[Request], Awaitable[Response]]


def _answer(status: int, code: str, words: str, *headers: tuple[bytes, bytes]) -> Answer:
    error = {"code": code, "message": words, "innerError": {"request-id": str(uuid4()), "date": _now()}}
    return Answer(status, json.dumps({"error": error}).encode(), ((b"content-type", b"application/json"), *headers))


def _answers() -> dict[FaultKind, Answer]:
    """Faults in Graph's own words."""
    throttled, away = (429, "TooManyRequests", "Too many requests."), (503, "serviceNotAvailable", "The service is unavailable.")
    return {
        FaultKind.THROTTLED_BEFORE: _answer(*throttled, (b"retry-after", b"0")),
        FaultKind.THROTTLED_BARE_BEFORE: _answer(*throttled),
        FaultKind.UNAVAILABLE_BEFORE: _answer(*away),
        FaultKind.BUSY_BEFORE: _answer(*away, (b"retry-after", b"1")),
        FaultKind.EXPIRED_BEFORE: _answer(401, "InvalidAuthenticationToken", "Access token has expired."),
        FaultKind.FORBIDDEN_BEFORE: _answer(403, "Authorization_RequestDenied", "Insufficient privileges."),
        FaultKind.REFUSED_BEFORE: _answer(400, "Request_BadRequest", "One or more properties are invalid."),
        FaultKind.TIMEOUT_BEFORE: _answer(504, "timeout", "The request timed out."),  # only for parts of a batch
        FaultKind.ERROR_AFTER: _answer(500, "generalException", "An error occurred."),
    }


@dataclass
class _GraphError(Exception):
    status: int
    code: str
    message: str
    details: list[dict[str, str]] | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class _User:
    """A user now, and as laggards still see it (``None``: not at all) until ``settled_at`` (monotonic), each with its version."""

    now: dict[str, Any]
    before: dict[str, Any] | None
    settled_at: float
    version: int
    version_before: int = 0
    roles: set[str] = field(default_factory=set)
    has_role_by_group: bool = False

    @property
    def is_settled(self) -> bool:
        return time.monotonic() >= self.settled_at

    def seen(self) -> dict[str, Any] | None:
        return self.now if self.is_settled else self.before

    def seen_version(self) -> int:
        return self.version if self.is_settled else self.version_before


@dataclass(frozen=True)
class _Round:
    """What a delta token stands for: the users still to be told, or with ``None`` those that changed after version ``since``."""

    fields: tuple[str, ...]
    since: int = 0
    until: int = 0
    left: tuple[str, ...] | None = None


class MsGraphSandbox:
    """One tenant.

    ``lag_seconds`` delays what reads see; ``throttle_seconds`` makes every Graph call answer 429 with that Retry-After;
    ``write_quota`` is how many writes it takes in 150 s (Graph: 3,000). ``app_is_admin`` gives the app a role of its own, with which it may
    change holders of roles.
    """

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0, lag_seconds: float = 0.0, page_size: int = 50) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.authority = Authority(TENANT, CLIENT_ID, CLIENT_SECRET)
        self.lag_seconds, self.page_size = lag_seconds, page_size
        self.throttle_seconds: int | None = None
        self.write_quota: int | None = None
        self.app_is_admin = False
        self._writes: deque[float] = deque()
        self._users: dict[str, _User] = {}
        self._version, self._removed = 0, dict[str, tuple[int, str]]()
        self._rounds: dict[str, _Round] = {}
        self._groups: dict[str, dict[str, Any]] = {}
        self._members: dict[str, list[str]] = {}
        self._answers = _answers()
        self._graph_app = Starlette(routes=self._routes())
        self.app = FaultyApp(self._graph_app, self.faults, latency_seconds=latency_seconds, answers=self._answers)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the connector's settings form for this tenant, served at ``base_url``."""
        return {**self._place(base_url, ca_file), "client_secret": CLIENT_SECRET}

    def certificate_settings(self, base_url: str, ca_file: Path, *, by_thumbprint: bool = False) -> dict[str, Any]:
        """The same with a certificate, registered for the app just now, instead of the secret."""
        registered = self.authority.register_certificate()
        proof = {"certificate_thumbprint": registered.thumbprint} if by_thumbprint else {"certificate": registered.certificate}
        return {**self._place(base_url, ca_file), "private_key": registered.private_key, **proof}

    def _place(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        place = {"authority": base_url, "graph_url": self.authority.graph_url or base_url, "ca_file": ca_file}
        return {"tenant_id": TENANT, "client_id": CLIENT_ID, **place}

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
        self._users[user_id] = _User(now, now, 0.0, self._next_version())
        return user_id

    def change_user(self, user_id: str, **fields: object) -> None:
        """Change a user by hand."""
        self._change(self._users[user_id], fields)

    def delete_user(self, user_id: str, *, for_good: bool = False) -> None:
        """Delete a user by hand: to the recycle bin, or for good."""
        del self._users[user_id]
        self._removed[user_id] = (self._next_version(), "deleted" if for_good else "changed")

    def settle(self) -> None:
        """Let reads see everything that was done."""
        for user in self._users.values():
            user.settled_at = 0.0

    def expire_delta_tokens(self) -> None:
        """Forget every delta token handed out so far."""
        self._rounds.clear()

    def give_admin_role(self, user_id: str, *, by_group: bool = False) -> None:
        """Let a user hold a directory role: apps without one may not change it any more. By way of a group it is no membership."""
        user = self._users[user_id]
        user.has_role_by_group = by_group
        if not by_group:
            user.roles.add(str(uuid4()))

    def expire_tokens(self) -> None:
        """Take back every token issued so far."""
        self.authority.expire_tokens()

    def _routes(self) -> list[Route]:
        graph = self._graph
        return [
            *self.authority.routes(),
            Route("/v1.0/$batch", graph(self._batch), methods=["POST"]),
            Route("/v1.0/users/delta()", graph(self._delta), methods=["GET"]),
            Route("/v1.0/users", graph(self._list_users), methods=["GET"]),
            Route("/v1.0/users", graph(self._create_user), methods=["POST"]),
            Route("/v1.0/users/{key}", graph(self._get_user), methods=["GET"]),
            Route("/v1.0/users/{key}", graph(self._patch_user), methods=["PATCH"]),
            Route("/v1.0/users/{key}/memberOf", graph(self._member_of), methods=["GET"]),
            Route("/v1.0/users/{key}/revokeSignInSessions", graph(self._revoke), methods=["POST"]),
            Route("/v1.0/groups/{group}/members/$ref", graph(self._add_member), methods=["POST"]),
            Route("/v1.0/groups/{group}/members/{member}/$ref", graph(self._remove_member), methods=["DELETE"]),
        ]

    def _graph(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                self._admit(request)
                return await handler(request)
            except _GraphError as error:
                return _error_answer(request, error)

        return guarded

    def _admit(self, request: Request) -> None:
        if not self.authority.accepts(request.headers.get("authorization", "").removeprefix("Bearer ")):
            raise _GraphError(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
        if self.throttle_seconds is not None:
            raise _throttled(self.throttle_seconds)
        if self.write_quota is not None and request.method != "GET" and not request.url.path.endswith("/$batch"):
            self._spend_write(self.write_quota)

    def _spend_write(self, quota: int) -> None:
        now = time.monotonic()
        while self._writes and self._writes[0] <= now - _WRITES_SECONDS:
            self._writes.popleft()
        if len(self._writes) >= quota:
            raise _throttled(math.ceil(self._writes[0] + _WRITES_SECONDS - now))
        self._writes.append(now)

    async def _batch(self, request: Request) -> Response:
        """All parts at once, answered in reverse to show that the order means nothing."""
        parts = (await _body(request)).get("requests")
        if not isinstance(parts, list) or not 0 < len(parts) <= _MAX_PARTS:
            raise _GraphError(400, "BadRequest", "A batch has 1 to 20 requests.")
        ids = [part.get("id") for part in parts]
        if len(set(ids)) != len(ids) or any("dependsOn" in part or "$batch" in part.get("url", "") for part in parts):
            raise _GraphError(400, "BadRequest", "Request ids are unique; parts depend on no other and are no batches here.")
        return JSONResponse({"responses": [await self._part(request, part) for part in reversed(parts)]})

    async def _part(self, request: Request, part: Mapping[str, Any]) -> dict[str, Any]:
        url = urlsplit(f"/v1.0{part['url']}")
        kind = self.faults.take(part["method"], unquote(url.path))
        answer = Collected()
        if kind is None or kind.is_after:
            await self._graph_app(*_as_request(request, part, answer))
        if kind is not None:
            told = self._answers.get(kind, self._answers[FaultKind.ERROR_AFTER])
            answer = Collected(told.status, list(told.headers), told.body)
        headers = {name.decode(): value.decode() for name, value in answer.headers if name != b"content-length"}
        return {"id": part["id"], "status": answer.status, "headers": headers} | (
            {"body": json.loads(answer.body)} if answer.body else {}
        )

    async def _delta(self, request: Request) -> Response:
        query = request.query_params
        token = query.get("$deltatoken", query.get("$skiptoken"))
        fields = tuple(query.get("$select", ",".join(_DEFAULT_FIELDS)).split(","))
        start = _Round(fields) if token is None else self._rounds.get(token)
        if start is None:
            raise _GraphError(410, "resyncRequired", "The delta token is no longer known.")
        now = start if start.left is not None else self._begun(start)
        told, left = (now.left or ())[: self.page_size], (now.left or ())[self.page_size :]
        following = replace(now, left=left) if left else _Round(now.fields, since=now.until)
        name, kind = ("nextLink", "$skiptoken") if left else ("deltaLink", "$deltatoken")
        token = uuid4().hex
        self._rounds[token] = following
        items = [self._told(user_id, now.fields) for user_id in told]
        link = f"{request.base_url}v1.0/users/delta()?{kind}={token}"
        return JSONResponse({"@odata.context": f"{request.base_url}v1.0/$metadata#users", "value": items, f"@odata.{name}": link})

    def _begun(self, start: _Round) -> _Round:
        """What changed until now, as far as reads see it; what they do not see yet is left to the next time."""
        changed = [key for key, user in self._users.items() if user.seen() is not None and user.seen_version() > start.since]
        removed = [key for key, (version, _) in self._removed.items() if version > start.since > 0]
        hidden: Iterable[int] = (user.version - 1 for user in self._users.values() if not user.is_settled)
        return replace(start, until=min([self._version, *hidden]), left=(*changed, *removed))

    def _told(self, user_id: str, fields: Iterable[str]) -> dict[str, Any]:
        if user_id not in self._users:
            return {"id": user_id, "@removed": {"reason": self._removed[user_id][1]}}
        user = self._users[user_id].seen() or self._users[user_id].now
        return {name: user[name] for name in ("id", *fields) if name in user and name != "passwordProfile"}

    async def _list_users(self, request: Request) -> Response:
        matching = _condition(request)
        seen = [view for user in self._users.values() if (view := user.seen()) is not None and matching(view)]
        chosen, link = self._page(request, seen)
        count = len(seen) if request.query_params.get("$count") == "true" else None
        return _listed(request, [_selected(request, user) for user in chosen], link, count)

    async def _create_user(self, request: Request) -> Response:
        body = await _body(request)
        _check_fields(body)
        missing = [name for name in _REQUIRED if body.get(name) is None]
        if missing:
            raise _GraphError(400, "Request_BadRequest", f"A value is required for property '{missing[0]}' of resource 'User'.")
        self._check_unique(body)
        user_id = str(uuid4())
        now = {"id": user_id, "signInSessionsValidFromDateTime": _now(), "userType": "Member", **body}
        self._users[user_id] = _User(now, None, time.monotonic() + self.lag_seconds, self._next_version())
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
        if (user.roles or user.has_role_by_group) and not self.app_is_admin:
            raise _GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        return user

    def _change(self, user: _User, fields: Mapping[str, Any]) -> None:
        user.before, user.version_before = user.seen(), user.seen_version()
        user.now, user.version = _merged(user.now, fields), self._next_version()
        user.settled_at = time.monotonic() + self.lag_seconds

    def _next_version(self) -> int:
        self._version += 1
        return self._version

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
        link = str(request.url.include_query_params(**{"$skiptoken": start + size}))
        return items[start : start + size], link if start + size < len(items) else None

    def _view(self, user_id: str) -> dict[str, Any]:
        user = {name: value for name, value in self._users[user_id].now.items() if name != "passwordProfile"}
        return {**user, "memberOf": [group for group, members in self._members.items() if user_id in members]}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _throttled(seconds: int) -> _GraphError:
    return _GraphError(429, "TooManyRequests", "Too many requests", headers={"Retry-After": str(seconds)})


def _as_request(batch: Request, part: Mapping[str, Any], answer: Collected) -> tuple[Any, Any, Any]:
    """A part of a batch as a request of its own, with the token of the batch."""
    url, body = urlsplit(f"/v1.0{part['url']}"), part.get("body")
    headers = {name.lower(): value for name, value in part.get("headers", {}).items()}
    if body is not None and "content-type" not in headers:
        body = None  # Graph does not read a body of unknown type
    outer = {name: batch.headers[name] for name in ("authorization", "host", "client-request-id") if name in batch.headers}
    scope = {name: batch.scope[name] for name in ("type", "asgi", "http_version", "scheme", "server", "client", "root_path")}
    scope |= {"method": part["method"], "path": unquote(url.path), "query_string": url.query.encode()}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in {**headers, **outer}.items()]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode(), "more_body": False}

    return scope, receive, answer


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    return body


def _merged(user: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The user with ``fields`` set; of a complex property, what is not named stays (OData 4.01 part 1, 11.4.3)."""
    return {**user, **{n: {**(user.get(n) or {}), **value} if isinstance(value, dict) else value for n, value in fields.items()}}


def _check_fields(body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        if name not in _WRITABLE:
            raise _GraphError(400, "Request_BadRequest", f"Invalid property '{name}'.")
        if value == "" or (name == "employeeId" and len(value or "") > 16):
            raise _GraphError(400, "Request_BadRequest", f"Invalid value specified for property '{name}' of resource 'User'.")


def _condition(request: Request) -> Callable[[dict[str, Any]], bool]:
    text = request.query_params.get("$filter")
    if text is None:
        return lambda _user: True
    match = _FILTER.fullmatch(text)
    is_advanced = request.headers.get("consistencylevel") == "eventual" and request.query_params.get("$count") == "true"
    if match is None or ("/" in match.group(1) and not is_advanced):
        raise _GraphError(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause.")
    outer, _, inner = match.group(1).partition("/")
    value = match.group(2).replace("''", "'").casefold()
    return lambda user: str((user.get(outer) or {}).get(inner) if inner else user.get(outer)).casefold() == value


def _selected(request: Request, user: Mapping[str, Any]) -> dict[str, Any]:
    names = request.query_params.get("$select", ",".join(_DEFAULT_FIELDS)).split(",")
    return {name: user.get(name, [] if name in _LISTS else None) for name in names if name != "passwordProfile"}


def _listed(request: Request, items: list[dict[str, Any]], link: str | None, count: int | None = None) -> Response:
    context = f"{request.base_url}v1.0/$metadata#{request.url.path.rpartition('/')[2]}"
    counted = {} if count is None else {"@odata.count": count}
    return JSONResponse({"@odata.context": context, **counted, "value": items, **({"@odata.nextLink": link} if link else {})})


def _not_found(key: str) -> _GraphError:
    words = f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
    return _GraphError(404, "Request_ResourceNotFound", words)


def _error_answer(request: Request, error: _GraphError) -> Response:
    trace = {"date": _now(), "request-id": str(uuid4()), "client-request-id": request.headers.get("client-request-id", "")}
    details = {} if error.details is None else {"details": error.details}
    main = {"code": error.code, "message": error.message, "innerError": trace, **details}
    return JSONResponse({"error": main}, error.status, error.headers)
