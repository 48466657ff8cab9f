"""The wire to Slack's Web API.

Sources: the vendor's archived description (1.7.0, 2021), which wants the token as a parameter; its pages, by which it goes into
Authorization, and which describe conversations.history, message metadata and the limits of calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import httpx

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.http import HttpEdge, harmless, json_object
from connectors.records.paging import every_page
from connectors.slack.answers import accepted, dialect
from connectors.slack.records import ChannelPage, History, Opened, Page, UserFound, parse
from connectors.slack.settings import SlackSettings
from workforce.errors import NotFound, OutcomeUnknown
from workforce.ports import CheckResult

PAGE_LIMIT = 200  # what the vendor recommends at most
SCOPE = "chat:write"

P = TypeVar("P", bound=Page)


class SlackClient:
    """One workspace. Thread-safe. Every method raises only the errors of ``workforce.errors``."""

    def __init__(self, settings: SlackSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        bearer = {"Authorization": f"Bearer {settings.bot_token.get_secret_value()}"}
        self._edge = HttpEdge(settings.base_url, dialect(), authorize=lambda: bearer, reach=around.reach(settings))

    @faults_as_result
    def check(self) -> CheckResult:
        """Ask whose token it is. Where Slack tells the token's scopes, chat:write has to be among them."""
        response = self._edge.read("GET", "/api/auth.test")
        self._payload(response, "auth.test")
        scopes = response.headers.get("x-oauth-scopes")
        if scopes is not None and SCOPE not in {scope.strip() for scope in scopes.split(",")}:
            return CheckResult(ok=False, detail=f"slack: the app lacks the scope {SCOPE}; add it and install the app again")
        return CheckResult(ok=True, detail=f"slack: {self.settings.base_url} knows the token")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def user_with_email(self, email: str) -> str:
        """The id of the workspace's member with that address. Raises ``NotFound``."""
        return parse(UserFound, self._read("GET", "users.lookupByEmail", params={"email": email})).user.id

    def direct_channel(self, user_id: str) -> str:
        """The id of the app's conversation with a user, opened if need be. Opening twice gives the same one, so it is retried."""
        return parse(Opened, self._read("POST", "conversations.open", json={"users": user_id})).channel.id

    def channel_named(self, name: str) -> str:
        """The id of the public or private channel ``name``. Raises ``NotFound``, also for one that the app may not see."""
        query = {"types": "public_channel,private_channel", "exclude_archived": "true"}
        for page in self._pages(ChannelPage, "conversations.list", query):
            for channel in page.channels:
                if channel.name == name:
                    return channel.id
        raise NotFound("slack: no channel of that name is visible to the app; invite it, or give the channel's id", field="to")

    def messages(self, channel: str, oldest: float) -> Iterator[object]:
        """The messages of a conversation since ``oldest`` (Unix seconds), youngest first, with what apps attached."""
        query = {"channel": channel, "oldest": f"{oldest:.6f}", "include_all_metadata": "true"}
        for page in self._pages(History, "conversations.history", query):
            yield from page.messages

    def post(self, message: Mapping[str, Any]) -> None:
        """Send one message. Raises ``OutcomeUnknown`` when it may have been sent."""
        response = self._edge.write("POST", "/api/chat.postMessage", json=dict(message))
        self._payload(response, "chat.postMessage")

    def _read(self, verb: str, method: str, **request: Any) -> Mapping[str, Any]:
        response = self._edge.read(verb, f"/api/{method}", **request)
        with harmless():
            return self._payload(response, method)

    def _pages(self, shape: type[P], method: str, query: Mapping[str, str]) -> Iterator[P]:
        """Every page."""

        def page(cursor: str | None) -> P:
            asked = {**query, "limit": str(PAGE_LIMIT), **({"cursor": cursor} if cursor else {})}
            return parse(shape, self._read("GET", method, params=asked))

        return every_page("slack", page, lambda each: each.cursor)

    def _payload(self, response: httpx.Response, method: str) -> Mapping[str, Any]:
        payload = accepted(response, json_object(response, "slack"), method)
        if payload.get("ok") is not True:
            raise OutcomeUnknown(f"slack: {method} was answered without ok", cause="unreadable_answer")
        return payload
