"""A stand-in of Graph v1.0 as far as accounts and what they hold go.

Its login authority is in ``sandbox_authority``, its state in ``sandbox_tenant``, what accounts hold in ``sandbox_access``. It checks tokens, leaves fields out unless they are selected, pages, tells changes, takes batches, and can lag behind its own
writes. Shapes are from the vendor's metadata; messages, error codes and the lag are not verified against the vendor.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.msgraph.sandbox_access import AccessRoutes
from connectors.msgraph.sandbox_authority import Authority
from connectors.msgraph.sandbox_tenant import Tenant, TenantUser
from connectors.msgraph.sandbox_wire import (
    DEFAULT_FIELDS,
    GraphError,
    answers,
    as_request,
    body_of,
    check_fields,
    condition,
    error_answer,
    listed,
    now_text,
    selected,
    throttled,
)
from connectors.suite.sandbox import Collected, EffectLedger, FaultKind, Faults, FaultyApp

TENANT = "8f1c2d3e-0000-4000-8000-00000000c11e"
CLIENT_ID = "5e1ec7ed-0000-4000-8000-0000000057e7"
CLIENT_SECRET = "sandbox-client-secret"
_WRITES_SECONDS = 150.0
_MAX_PARTS = 20
_REQUIRED = ("accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile")

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class _Round:
    """What a delta token stands for: the users still to be told, or with ``None`` those that changed after version ``since``."""

    fields: tuple[str, ...]
    since: int = 0
    until: int = 0
    left: tuple[str, ...] | None = None


class MsGraphSandbox(Tenant):
    """One tenant.

    ``lag_seconds`` delays what reads see; ``throttle_seconds`` makes every Graph call answer 429 with that Retry-After;
    ``write_quota`` is how many writes it takes in 150 s (Graph: 3,000). ``app_is_admin`` gives the app a role of its own, with which it may
    change holders of roles.
    """

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0, lag_seconds: float = 0.0, page_size: int = 50) -> None:
        super().__init__(lag_seconds=lag_seconds)
        self.faults = Faults()
        self.authority = Authority(TENANT, CLIENT_ID, CLIENT_SECRET)
        self.page_size = page_size
        self.throttle_seconds: int | None = None
        self.write_quota: int | None = None
        self._writes: deque[float] = deque()
        self._rounds: dict[str, _Round] = {}
        self._answers = answers()
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
        return {"tenant_id": TENANT, "client_id": CLIENT_ID, "app_roles": True, **place}

    def expire_delta_tokens(self) -> None:
        """Forget every delta token handed out so far."""
        self._rounds.clear()

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
            *AccessRoutes(self).routes(graph),
        ]

    def _graph(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                self._admit(request)
                return await handler(request)
            except GraphError as error:
                return error_answer(request, error)

        return guarded

    def _admit(self, request: Request) -> None:
        if not self.authority.accepts(request.headers.get("authorization", "").removeprefix("Bearer ")):
            raise GraphError(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
        if self.throttle_seconds is not None:
            raise throttled(self.throttle_seconds)
        if self.write_quota is not None and request.method != "GET" and not request.url.path.endswith("/$batch"):
            self._spend_write(self.write_quota)

    def _spend_write(self, quota: int) -> None:
        now = time.monotonic()
        while self._writes and self._writes[0] <= now - _WRITES_SECONDS:
            self._writes.popleft()
        if len(self._writes) >= quota:
            raise throttled(math.ceil(self._writes[0] + _WRITES_SECONDS - now))
        self._writes.append(now)

    async def _batch(self, request: Request) -> Response:
        """All parts at once, answered in reverse to show that the order means nothing."""
        parts = (await body_of(request)).get("requests")
        if not isinstance(parts, list) or not 0 < len(parts) <= _MAX_PARTS:
            raise GraphError(400, "BadRequest", "A batch has 1 to 20 requests.")
        ids = [part.get("id") for part in parts]
        if len(set(ids)) != len(ids) or any("dependsOn" in part or "$batch" in part.get("url", "") for part in parts):
            raise GraphError(400, "BadRequest", "Request ids are unique; parts depend on no other and are no batches here.")
        return JSONResponse({"responses": [await self._part(request, part) for part in reversed(parts)]})

    async def _part(self, request: Request, part: Mapping[str, Any]) -> dict[str, Any]:
        url = urlsplit(f"/v1.0{part['url']}")
        kind = self.faults.take(part["method"], unquote(url.path))
        answer = Collected()
        if kind is None or kind.is_after:
            await self._graph_app(*as_request(request, part, answer))
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
        fields = tuple(query.get("$select", ",".join(DEFAULT_FIELDS)).split(","))
        start = _Round(fields) if token is None else self._rounds.get(token)
        if start is None:
            raise GraphError(410, "resyncRequired", "The delta token is no longer known.")
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
        changed = [key for key, user in self.entries.items() if user.seen() is not None and user.seen_version() > start.since]
        removed = [key for key, (version, _) in self.removed.items() if version > start.since > 0]
        hidden: Iterable[int] = (user.version - 1 for user in self.entries.values() if not user.is_settled)
        return replace(start, until=min([self.version, *hidden]), left=(*changed, *removed))

    def _told(self, user_id: str, fields: Iterable[str]) -> dict[str, Any]:
        if user_id not in self.entries:
            return {"id": user_id, "@removed": {"reason": self.removed[user_id][1]}}
        user = self.with_computed(self.entries[user_id].seen() or self.entries[user_id].now, fields)
        return {name: user[name] for name in ("id", *fields) if name in user and name != "passwordProfile"}

    async def _list_users(self, request: Request) -> Response:
        matching = condition(request)
        seen = [view for user in self.entries.values() if (view := user.seen()) is not None and matching(view)]
        chosen, link = self._page(request, seen)
        count = len(seen) if request.query_params.get("$count") == "true" else None
        return listed(request, [self._selected(request, user) for user in chosen], link, count)

    async def _create_user(self, request: Request) -> Response:
        body = await body_of(request)
        check_fields(body)
        missing = [name for name in _REQUIRED if body.get(name) is None]
        if missing:
            raise GraphError(400, "Request_BadRequest", f"A value is required for property '{missing[0]}' of resource 'User'.")
        self.check_unique(body)
        user_id = str(uuid4())
        now = {"id": user_id, "signInSessionsValidFromDateTime": now_text(), "userType": "Member", **body}
        self.entries[user_id] = TenantUser(now, None, time.monotonic() + self.lag_seconds, self.next_version())
        self.effects.record("create_user", user_id)
        return JSONResponse(self._selected(request, now), 201)

    async def _get_user(self, request: Request) -> Response:
        return JSONResponse(self._selected(request, self._seen(request)))

    async def _patch_user(self, request: Request) -> Response:
        body = await body_of(request)
        user = self.changeable(request.path_params["key"])
        check_fields(body)
        self.check_unique(body, user)
        changed = {name for name, value in body.items() if user.now.get(name) != value}
        self.change(user, body)
        if "accountEnabled" in changed:
            self.effects.record("enable_user" if body["accountEnabled"] else "disable_user", user.now["id"])
        if changed - {"accountEnabled"}:
            self.effects.record("update_user", user.now["id"])
        return Response(status_code=204)

    async def _revoke(self, request: Request) -> Response:
        user = self.changeable(request.path_params["key"], is_mastered_here=False)
        self.change(user, {"signInSessionsValidFromDateTime": now_text()})
        self.effects.record("revoke_sessions", user.now["id"])
        return JSONResponse({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Edm.Boolean", "value": True})

    async def _member_of(self, request: Request) -> Response:
        user_id = self._seen(request)["id"]
        groups = [self.groups[group] for group, members in self.members.items() if user_id in members]
        held = [{"@odata.type": "#microsoft.graph.group", "id": group["id"]} for group in groups]
        held += [{"@odata.type": "#microsoft.graph.directoryRole", "id": role} for role in self.entries[user_id].roles]
        chosen, link = self._page(request, held)
        return listed(request, chosen, link)

    def _seen(self, request: Request) -> dict[str, Any]:
        user = self.find(request.path_params["key"])
        return user.seen() or user.now

    def _selected(self, request: Request, user: dict[str, Any]) -> dict[str, Any]:
        return selected(request, self.with_computed(user, request.query_params.get("$select", "").split(",")))

    def _page(self, request: Request, items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str | None]:
        start = int(request.query_params.get("$skiptoken", "0"))
        size = min(int(request.query_params.get("$top", "100")), self.page_size)
        link = str(request.url.include_query_params(**{"$skiptoken": start + size}))
        return items[start : start + size], link if start + size < len(items) else None
