"""A stand-in of Slack: one workspace with members, channels and their messages, in memory.

As the vendor where it hurts: failures as HTTP 200 with ok false, 429 with Retry-After above one message a second in a channel
(``is_strict``), messages that show after ``lag_seconds``, pages (``page_limit``), nothing that drops repeats.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from connectors.suite.sandbox import Answer, EffectLedger, FaultKind, Faults, FaultyApp

BOT_TOKEN = "sandbox-slack-bot-token"
TEAM, BOT = "T012AB3C4", "B019AB3C4"


def _failure(error: str, **more: str) -> Answer:
    body = json.dumps({"ok": False, "error": error, **more}).encode()
    return Answer(200, body, ((b"content-type", b"application/json; charset=utf-8"),))


_ANSWERS = {
    FaultKind.EXPIRED_BEFORE: _failure("token_expired"),
    FaultKind.FORBIDDEN_BEFORE: _failure("missing_scope", needed="chat:write", provided="users:read"),
    FaultKind.THROTTLED_BARE_BEFORE: _failure("ratelimited"),
    FaultKind.ERROR_AFTER: _failure("internal_error"),
}


class SlackSandbox:
    """A workspace. ``members`` maps mail addresses to user ids, ``channels`` ids to names, ``joined`` is where the app is a member.

    ``messages`` maps conversation ids to what was said in them, oldest first.
    """

    app: ASGIApp
    effects: EffectLedger
    faults: Faults

    def __init__(self, *, latency_seconds: float = 0.0) -> None:
        self.effects, self.faults = EffectLedger(), Faults()
        self.members = {"hr@acme.example": "U012A3CDE", "it@acme.example": "U061F7AUR"}
        self.channels = {"C012AB3CD": "general", "C061EG9T2": "contractors", "C0PRIVATE": "not-ours"}
        self.joined = {"C012AB3CD", "C061EG9T2"}
        self.archived: set[str] = set()
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.scopes = "chat:write,users:read.email,im:write,channels:read,channels:history,im:history"
        self.lag_seconds = 0.0
        self.page_limit = 200
        self.is_strict = False
        self._last_ts = 0.0
        routed = Starlette(routes=self._routes())
        self.app = FaultyApp(routed, self.faults, latency_seconds=latency_seconds, answers=_ANSWERS)

    def settings(self, base_url: str, ca_file: Path) -> dict[str, Any]:
        """The values of the settings form for an instance that talks to this sandbox at ``base_url``."""
        return {"base_url": base_url, "bot_token": BOT_TOKEN, "ca_file": ca_file}

    def _routes(self) -> list[Route]:
        methods: dict[str, tuple[str, Callable[[dict[str, Any]], Response]]] = {
            "auth.test": ("GET", self._auth_test),
            "users.lookupByEmail": ("GET", self._lookup),
            "conversations.open": ("POST", self._open),
            "conversations.list": ("GET", self._list),
            "conversations.history": ("GET", self._history),
            "chat.postMessage": ("POST", self._post),
        }
        return [Route(f"/api/{name}", self._guarded(act), methods=[verb]) for name, (verb, act) in methods.items()]

    def _guarded(self, act: Callable[[dict[str, Any]], Response]) -> Callable[[Request], Awaitable[Response]]:
        """The route with its token checked and its arguments read."""

        async def route(request: Request) -> Response:
            authorization = request.headers.get("authorization")
            if authorization != f"Bearer {BOT_TOKEN}":
                return _refusal("invalid_auth" if authorization else "not_authed")
            if request.method == "GET":
                return act(dict(request.query_params))
            try:
                return act(await request.json())
            except ValueError:
                return _refusal("invalid_json")

        return route

    def _auth_test(self, _arguments: dict[str, Any]) -> Response:
        told = {
            "url": "https://acme.slack.com/",
            "team": "Acme",
            "user": "stint",
            "team_id": TEAM,
            "user_id": "U0STINT",
            "bot_id": BOT,
        }
        return JSONResponse({"ok": True, **told}, headers={"x-oauth-scopes": self.scopes})

    def _lookup(self, arguments: dict[str, Any]) -> Response:
        user_id = self.members.get(arguments.get("email", "").casefold())
        return JSONResponse({"ok": True, "user": {"id": user_id, "name": "somebody"}}) if user_id else _refusal("users_not_found")

    def _open(self, arguments: dict[str, Any]) -> Response:
        user_id = str(arguments.get("users"))
        if user_id not in self.members.values():
            return _refusal("user_not_found")
        channel = f"D{user_id[1:]:0<8}"
        self.joined.add(channel)
        return JSONResponse({"ok": True, "channel": {"id": channel}})

    def _list(self, arguments: dict[str, Any]) -> Response:
        shown = [{"id": id_, "name": name} for id_, name in self.channels.items() if id_ in self.joined | {"C012AB3CD"}]
        page, cursor = self._page(shown, arguments)
        return JSONResponse({"ok": True, "channels": page, "response_metadata": {"next_cursor": cursor}})

    def _page(self, items: list[dict[str, Any]], arguments: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
        first, size = int(arguments.get("cursor") or 0), min(int(arguments.get("limit", 100)), self.page_limit)
        return items[first : first + size], str(first + size) if first + size < len(items) else ""

    def _history(self, arguments: dict[str, Any]) -> Response:
        channel = arguments.get("channel", "")
        if channel not in self.joined:
            return _refusal("not_in_channel" if channel in self.channels else "channel_not_found")
        newest = time.time() - self.lag_seconds
        kept = [m for m in self.messages.get(channel, []) if float(arguments.get("oldest", 0)) < float(m["ts"]) <= newest]
        told = kept if arguments.get("include_all_metadata") == "true" else [{**m, "metadata": None} for m in kept]
        page, cursor = self._page(told[::-1], arguments)
        following = {"response_metadata": {"next_cursor": cursor}} if cursor else {}
        return JSONResponse({"ok": True, "messages": page, "has_more": bool(cursor), **following})

    def _post(self, arguments: dict[str, Any]) -> Response:
        channel, text = arguments.get("channel", ""), arguments.get("text")
        if channel not in self.joined:
            return _refusal("not_in_channel" if channel in self.channels else "channel_not_found")
        if channel in self.archived:
            return _refusal("is_archived")
        if not text or len(text) > 40_000:
            return _refusal("msg_too_long" if text else "no_text")
        said = self.messages.setdefault(channel, [])
        if self.is_strict and said and time.time() - float(said[-1]["ts"]) < 1:
            return JSONResponse({"ok": False, "error": "ratelimited"}, status_code=429, headers={"retry-after": "1"})
        self._last_ts = max(time.time(), self._last_ts + 0.000002)
        message = {"type": "message", "subtype": "bot_message", "text": text, "ts": f"{self._last_ts:.6f}", "bot_id": BOT}
        said.append({**message, "metadata": arguments.get("metadata")})
        self.effects.record("post_message", channel)
        return JSONResponse({"ok": True, "channel": channel, "ts": message["ts"], "message": message})


def _refusal(error: str) -> Response:
    return JSONResponse({"ok": False, "error": error})
