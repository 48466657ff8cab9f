"""A stand-in of an Okta org: users with their statuses, groups, sessions, administrator roles, tokens (Management API 2026.06.3).

It is stateful, checks credentials, pages by Link, and its searches can lag behind what is written. Shapes are from the vendor's
description; error codes, the lag and the headers of throttling are not verified against the vendor.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp

API_TOKEN = "00SandboxApiToken"
CLIENT_ID = "0oaSandboxStintHub01"
EXPIRY = "contractEndsAt"
SCOPES = frozenset({"okta.users.read", "okta.users.manage", "okta.groups.manage"})
_TOKEN_SECONDS = 3600
_PROFILE = frozenset({
    "city", "costCenter", "countryCode", "department", "displayName", "division", "email", "employeeNumber", "firstName", "honorificPrefix",
    "honorificSuffix", "lastName", "locale", "login", "manager", "managerId", "middleName", "mobilePhone", "nickName", "organization",
    "postalAddress", "preferredLanguage", "primaryPhone", "profileUrl", "secondEmail", "state", "streetAddress", "timezone", "title",
    "userType", "zipCode", EXPIRY,
})  # fmt: skip
_REQUIRED = ("login", "email", "firstName", "lastName")
_CONDITION = re.compile(r'(profile\.employeeNumber|profile\.login|profile\.email|lastUpdated) (eq|gt) "([^"]*)"')
_STEPS = {
    "suspend": (frozenset({"ACTIVE"}), "SUSPENDED"),
    "unsuspend": (frozenset({"SUSPENDED"}), "ACTIVE"),
    "deactivate": (frozenset({"STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED"}), "DEPROVISIONED"),
    "activate": (frozenset({"STAGED", "DEPROVISIONED"}), "PROVISIONED"),
    "reactivate": (frozenset({"PROVISIONED", "RECOVERY"}), "PROVISIONED"),
    "expire_password_with_temp_password": (frozenset({"ACTIVE", "PASSWORD_EXPIRED", "LOCKED_OUT"}), "PASSWORD_EXPIRED"),
}  # fmt: skip

Handler = Callable[[Request], Awaitable[Response]]


class _OktaError(Exception):
    def __init__(self, status: int, code: str, summary: str, causes: list[str] | None = None) -> None:
        super().__init__(summary)
        self.status, self.code, self.summary, self.causes = status, code, summary, causes or []

    def body(self) -> dict[str, Any]:
        causes = [{"errorSummary": cause} for cause in self.causes]
        return {
            "errorCode": self.code, "errorSummary": self.summary, "errorLink": self.code,
            "errorId": f"oae{secrets.token_hex(8)}", "errorCauses": causes,
        }  # fmt: skip


@dataclass
class _User:
    """A user, and when searches see it as it is. ``goes_to``/``goes_at``: a change of status that is under way (monotonic)."""

    id: str
    profile: dict[str, Any]
    status: str
    created: str
    updated: str
    has_password: bool = True
    last_login: str | None = None
    goes_to: str | None = None
    goes_at: float = 0.0
    roles: list[str] = field(default_factory=list)
    indexed: dict[str, Any] | None = None
    indexed_at: float = 0.0

    def view(self) -> dict[str, Any]:
        """As a read by id shows it."""
        if self.goes_to is not None and time.monotonic() >= self.goes_at:
            self.status, self.goes_to = self.goes_to, None
        transition = {"transitioningToStatus": self.goes_to} if self.goes_to else {}
        return {
            "id": self.id, "status": self.status, **transition, "created": self.created, "activated": None, "statusChanged": self.updated,
            "lastLogin": self.last_login, "lastUpdated": self.updated, "passwordChanged": None, "type": {"id": "oty1sandboxDefault01"},
            "profile": dict(self.profile), "credentials": {"provider": {"type": "OKTA", "name": "OKTA"}},
        }  # fmt: skip

    def searched(self) -> dict[str, Any] | None:
        """As a search shows it (``None``: not at all)."""
        return self.view() if time.monotonic() >= self.indexed_at else self.indexed


class OktaSandbox:
    """One org. ``lag_seconds`` delays what searches see, ``deactivation_seconds`` a deactivation.

    ``throttle_seconds`` makes every call answer 429 until then. Administrators' accounts may not be changed by the app.
    """

    effects: EffectLedger
    faults: Faults
    app: ASGIApp

    def __init__(
        self, *, latency_seconds: float = 0.0, page_size: int = 200, credentials: Literal["token", "app"] = "token"
    ) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.lag_seconds = self.deactivation_seconds = 0.0
        self.page_size, self.credentials = page_size, credentials
        self.throttle_seconds: int | None = None
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._users: dict[str, _User] = {}
        self._groups: dict[str, dict[str, Any]] = {}
        self._members: dict[str, list[str]] = {}
        self._tokens: dict[str, float] = {}
        self._assertions: set[str] = set()
        self._everyone = self.add_group("Everyone", kind="BUILT_IN")
        self.app = FaultyApp(Starlette(routes=self._routes()), self.faults, latency_seconds=latency_seconds, answers=_ANSWERS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the connector's settings form for this org, served at ``base_url``."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        given = {"api_token": API_TOKEN} if self.credentials == "token" else {"client_id": CLIENT_ID, "private_key": pem}
        return {"org_url": base_url, **given, "expiry_attribute": EXPIRY, "ca_file": ca_file}

    @property
    def users(self) -> list[dict[str, Any]]:
        """Every user as it really is, with its groups."""
        return [{**user.view(), "groups": self._groups_of(user.id)} for user in self._users.values()]

    def add_user(self, *, status: str = "ACTIVE", **profile: object) -> str:
        """A user by hand; its id."""
        user_id, now = _new_id("00u"), _now()
        self._users[user_id] = _User(user_id, dict(profile), status, now, now)
        self._members[self._everyone].append(user_id)
        return user_id

    def add_group(self, name: str, *, kind: str = "OKTA_GROUP") -> str:
        """A group by hand; its id."""
        group_id, now = _new_id("00g"), _now()
        self._groups[group_id] = {
            "id": group_id, "created": now, "lastUpdated": now, "lastMembershipUpdated": now, "objectClass": ["okta:user_group"],
            "type": kind, "profile": {"name": name, "description": name},
        }  # fmt: skip
        self._members[group_id] = []
        return group_id

    def set_status(self, user_id: str, status: str) -> None:
        """Let a user be in a status, as people and time bring it about."""
        self._users[user_id].status = status

    def sign_in(self, user_id: str) -> None:
        """Let a person sign in now."""
        self._users[user_id].last_login = _now()

    def give_admin_role(self, user_id: str) -> None:
        """Let a user be an administrator."""
        self._users[user_id].roles.append("SUPER_ADMIN")

    def expire_tokens(self) -> None:
        """Take back every token that was granted."""
        self._tokens.clear()

    def _routes(self) -> list[Route]:
        api, of = "/api/v1", self._guarded
        return [
            Route("/oauth2/v1/token", self._grant, methods=["POST"]),
            Route(f"{api}/users", of(self._list_users), methods=["GET"]),
            Route(f"{api}/users", of(self._create_user), methods=["POST"]),
            Route(f"{api}/users/{{key}}", of(self._get_user), methods=["GET"]),
            Route(f"{api}/users/{{key}}", of(self._update_user), methods=["POST"]),
            Route(f"{api}/users/{{key}}/groups", of(self._list_groups), methods=["GET"]),
            Route(f"{api}/users/{{key}}/roles", of(self._list_roles), methods=["GET"]),
            Route(f"{api}/users/{{key}}/sessions", of(self._end_sessions), methods=["DELETE"]),
            Route(f"{api}/users/{{key}}/lifecycle/{{step}}", of(self._step), methods=["POST"]),
            Route(f"{api}/groups/{{group}}", of(self._get_group), methods=["GET"]),
            Route(f"{api}/groups/{{group}}/users/{{key}}", of(self._change_member), methods=["PUT", "DELETE"]),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                self._admit(request)
                return await handler(request)
            except _OktaError as error:
                return JSONResponse(error.body(), error.status, self._limits(error.status))

        return guarded

    def _limits(self, status: int) -> dict[str, str]:
        if status != 429:
            return {}
        reset = int(time.time()) + (self.throttle_seconds or 0)
        return {"X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": str(reset)}

    def _admit(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self.credentials == "token":
            is_known = scheme == "SSWS" and secrets.compare_digest(token, API_TOKEN)
        else:
            is_known = scheme == "Bearer" and self._tokens.get(token, 0.0) > time.monotonic()
        if not is_known:
            raise _OktaError(401, "E0000011", "Invalid token provided")
        if self.throttle_seconds is not None:
            raise _OktaError(429, "E0000047", "API call exceeded rate limit due to too many requests.")

    async def _grant(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        try:
            claims = jwt.decode(
                form.get("client_assertion", ""), self._key.public_key(), algorithms=["RS256"], audience=str(request.url),
                options={"require": ["exp", "iss", "sub", "jti"]},
            )  # fmt: skip
        except jwt.InvalidTokenError:
            claims = {}
        if claims.get("iss") != CLIENT_ID or claims.get("sub") != CLIENT_ID or claims["jti"] in self._assertions:
            return JSONResponse({"error": "invalid_client"}, 401)
        if not set(form.get("scope", "").split()) <= SCOPES or form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "invalid_scope"}, 400)
        self._assertions.add(claims["jti"])
        token = secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + _TOKEN_SECONDS
        return JSONResponse({"token_type": "Bearer", "expires_in": _TOKEN_SECONDS, "access_token": token, "scope": form["scope"]})

    async def _list_users(self, request: Request) -> Response:
        asked = request.query_params.get("search") or request.query_params.get("filter")
        matching = _condition(asked)
        found = [view for user in self._users.values() if (view := user.searched()) is not None and matching(view)]
        return self._listed(request, found)

    async def _create_user(self, request: Request) -> Response:
        body = await _body(request)
        profile = dict(body.get("profile") or {})
        missing = [name for name in _REQUIRED if not profile.get(name)]
        if missing:
            raise _invalid([f"{name}: The field cannot be left blank" for name in missing])
        self._check_profile(profile, None)
        has_password = bool(((body.get("credentials") or {}).get("password") or {}).get("value"))
        activate = request.query_params.get("activate", "true") == "true"
        status = ("ACTIVE" if has_password else "PROVISIONED") if activate else "STAGED"
        user_id = self.add_user(status=status, **profile)
        user = self._users[user_id]
        user.has_password, user.indexed_at = has_password, time.monotonic() + self.lag_seconds
        self.effects.record("create_user", user_id)
        return JSONResponse(user.view())

    async def _get_user(self, request: Request) -> Response:
        return JSONResponse(self._found(request).view())

    async def _update_user(self, request: Request) -> Response:
        user = self._changeable(request)
        profile = dict((await _body(request)).get("profile") or {})
        self._check_profile(profile, user)
        changed = {name for name, value in profile.items() if user.profile.get(name) != value}
        self._touch(user)
        user.profile = {name: value for name, value in {**user.profile, **profile}.items() if value is not None}
        if changed:
            self.effects.record("update_user", user.id)
        return JSONResponse(user.view())

    async def _step(self, request: Request) -> Response:
        user, step = self._changeable(request), str(request.path_params["step"])
        if step not in _STEPS:
            raise _not_found(step)
        before, after = _STEPS[step]
        user.view()  # what was under way may be done by now
        if user.status not in before:
            raise _invalid([f"Cannot {step} a user that is {user.status}"])
        self._touch(user)
        if step == "deactivate" and self.deactivation_seconds:
            user.goes_to, user.goes_at = after, time.monotonic() + self.deactivation_seconds
        else:
            user.status = "ACTIVE" if step == "activate" and user.status == "STAGED" and user.has_password else after
        if step.startswith("expire"):
            self.effects.record("set_temporary_password", user.id)
            return JSONResponse({"tempPassword": secrets.token_urlsafe(6)})
        self.effects.record(f"{step}_user", user.id)
        if step in {"activate", "reactivate"}:
            return JSONResponse({"activationUrl": f"{request.base_url}tokens/sandbox/verify", "activationToken": "sandbox"})
        return Response(status_code=200)

    async def _end_sessions(self, request: Request) -> Response:
        user = self._changeable(request)
        scope = "sessions" if request.query_params.get("oauthTokens") != "true" else "sessions_and_tokens"
        self.effects.record(f"revoke_{scope}", user.id)
        return Response(status_code=204)

    async def _list_groups(self, request: Request) -> Response:
        return JSONResponse([self._groups[group] for group in self._groups_of(self._found(request).id)])

    async def _list_roles(self, request: Request) -> Response:
        roles = [{"id": f"ra{n}", "type": role, "status": "ACTIVE"} for n, role in enumerate(self._found(request).roles)]
        return JSONResponse(roles)

    async def _get_group(self, request: Request) -> Response:
        group = str(request.path_params["group"])
        if group not in self._groups:
            raise _not_found(group)
        return JSONResponse(self._groups[group])

    async def _change_member(self, request: Request) -> Response:
        group_id, user = str(request.path_params["group"]), self._changeable(request)
        if group_id not in self._groups:
            raise _not_found(group_id)
        if self._groups[group_id]["type"] != "OKTA_GROUP":
            raise _OktaError(403, "E0000006", "You do not have permission to perform the requested action")
        members, is_added = self._members[group_id], request.method == "PUT"
        if is_added and user.id not in members:
            members.append(user.id)
            self.effects.record("add_member", user.id)
        elif not is_added and user.id in members:
            members.remove(user.id)
            self.effects.record("remove_member", user.id)
        return Response(status_code=204)

    def _groups_of(self, user_id: str) -> list[str]:
        return [group for group, members in self._members.items() if user_id in members]

    def _found(self, request: Request) -> _User:
        """By id, by login, or by what stands before the @ of one."""
        key = str(request.path_params["key"])
        if key in self._users:
            return self._users[key]
        for user in self._users.values():
            login = str(user.profile.get("login")).casefold()
            if key.casefold() in {login, login.partition("@")[0]}:
                return user
        raise _not_found(key)

    def _changeable(self, request: Request) -> _User:
        user = self._found(request)
        if user.roles:
            raise _OktaError(403, "E0000006", "You do not have permission to perform the requested action")
        return user

    def _touch(self, user: _User) -> None:
        user.indexed = user.searched()
        user.updated, user.indexed_at = _now(), time.monotonic() + self.lag_seconds

    def _check_profile(self, profile: Mapping[str, Any], but: _User | None) -> None:
        unknown = sorted(set(profile) - _PROFILE)
        if unknown:
            raise _invalid([f"{name}: Not a property of the profile" for name in unknown])
        login = str(profile.get("login")).casefold()
        if any(user is not but and str(user.profile.get("login")).casefold() == login for user in self._users.values()):
            raise _invalid(["login: An object with this field already exists in the current organization"])

    def _listed(self, request: Request, items: list[dict[str, Any]]) -> Response:
        """A page; ``after`` is the id of the last one before it."""
        after = request.query_params.get("after")
        start = next((n for n, item in enumerate(items, 1) if item["id"] == after), 0) if after else 0
        size = min(int(request.query_params.get("limit", "200")), self.page_size)
        page = items[start : start + size]
        links = f'<{request.url.remove_query_params("after")}>; rel="self"'
        if start + size < len(items):
            links += f', <{request.url.include_query_params(after=page[-1]["id"])}>; rel="next"'
        return JSONResponse(page, headers={"Link": links})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_id(kind: str) -> str:
    return f"{kind}{secrets.token_hex(8)}5"


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _OktaError(400, "E0000003", "The request body was not well-formed.")
    return body


def _condition(text: str | None) -> Callable[[dict[str, Any]], bool]:
    """A listing without a condition leaves out those that are deactivated."""
    if text is None:
        return lambda user: user["status"] != "DEPROVISIONED"
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise _OktaError(400, "E0000031", "Invalid search criteria.")
    name, operator, value = match.group(1), match.group(2), match.group(3)

    def matches(user: dict[str, Any]) -> bool:
        held = str(user["profile"].get(name.partition(".")[2]) if "." in name else user[name])
        return held > value if operator == "gt" else held.casefold() == value.casefold()

    return matches


def _invalid(causes: list[str]) -> _OktaError:
    return _OktaError(400, "E0000001", f"Api validation failed: {causes[0].partition(':')[0]}", causes)


def _not_found(key: str) -> _OktaError:
    return _OktaError(404, "E0000007", f"Not found: Resource not found: {key}")


def _worded(status: int, code: str, summary: str, *headers: tuple[bytes, bytes]) -> Answer:
    body = json.dumps(_OktaError(status, code, summary).body()).encode()
    return Answer(status, body, ((b"content-type", b"application/json"), *headers))


_ANSWERS: Mapping[FaultKind, Answer] = {
    FaultKind.THROTTLED_BEFORE: _worded(429, "E0000047", "API call exceeded rate limit", (b"x-rate-limit-reset", b"1")),
    FaultKind.THROTTLED_BARE_BEFORE: _worded(429, "E0000047", "API call exceeded rate limit"),
    FaultKind.EXPIRED_BEFORE: _worded(401, "E0000011", "Invalid token provided"),
    FaultKind.FORBIDDEN_BEFORE: _worded(403, "E0000006", "You do not have permission to perform the requested action"),
    FaultKind.ERROR_AFTER: _worded(500, "E0000009", "Internal Server Error"),
}
"""Okta's own words; a limit that is set anew in the past is over."""
