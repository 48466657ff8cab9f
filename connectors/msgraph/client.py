"""The wire to Microsoft Graph v1.0: tokens, pages, refusals. Nothing else raises transport errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from connectors.contract import ALONE, Surroundings
from connectors.http import Dialect, HttpEdge, json_object
from connectors.msgraph.answers import accept, reason, verdict
from connectors.msgraph.quotas import budgets
from connectors.msgraph.records import BatchAnswers, DirectoryObjectPage, GraphRecord, UserPage, parsed
from connectors.msgraph.settings import MsGraphSettings
from connectors.msgraph.tokens import AppTokens
from workforce.errors import HubError, OutcomeUnknown, Refused, RetryLater, UnusableContent
from workforce.ports import CheckResult
from workforce.urgency import is_revoking

R = TypeVar("R", bound=GraphRecord)
P = TypeVar("P", UserPage, DirectoryObjectPage)


class MsGraphClient:
    """One tenant of Entra ID. Thread-safe; connects on first use."""

    def __init__(self, settings: MsGraphSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        self.base_url = f"{settings.graph_origin}/v1.0"
        self._tokens = AppTokens(settings, around)
        self._edge = HttpEdge(
            self.base_url,
            Dialect("msgraph", verdict=verdict, reason=reason, budgets=budgets(settings.tenant_size)),
            authorize=self._tokens.cache.authorize,
            renew=self._tokens.cache.renew,
            reach=around.reach(settings),
        )

    def check(self) -> CheckResult:
        """Get a token and read one user's id. Raises nothing."""
        try:
            self.get("/users", UserPage, {"$top": "1", "$select": "id,userPrincipalName"})
        except HubError as error:
            return CheckResult(ok=False, detail=str(error))
        return CheckResult(ok=True, detail=f"tenant {self.settings.tenant_id}: users are readable")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()
        self._tokens.close()

    def get(self, path: str, kind: type[R], query: Mapping[str, str] | None = None, *, advanced: bool = False) -> R:
        """Read one record. ``advanced`` asks the index, which some filters need and which lags more. Raises ``NotFound``."""
        headers = {"ConsistencyLevel": "eventual"} if advanced else {}
        if query and advanced:
            query = {**query, "$count": "true"}
        request = {"params": query} if query else {}
        response = self._edge.read("GET", path, headers={**headers, **call_headers()}, **request)
        return read_as(kind, accept(response))

    def pages(self, path: str, kind: type[P], query: Mapping[str, str], *, advanced: bool = False) -> Iterator[P]:
        """Every page."""
        page = self.get(path, kind, query, advanced=advanced)
        yield page
        yield from self.pages_after(page, kind, advanced=advanced)

    def pages_after(self, page: P, kind: type[P], *, advanced: bool = False) -> Iterator[P]:
        """The pages that follow ``page``."""
        seen: set[str] = set()
        while page.next_link is not None:
            if page.next_link in seen:
                raise RetryLater("msgraph: the pages go round in a circle", cause="circular_pages")
            seen.add(page.next_link)
            page = self.get(self.own_path(page.next_link), kind, advanced=advanced)
            yield page

    def own_path(self, link: str) -> str:
        """The path and query of a link that Graph gave, otherwise as it stands. At another host it is refused: our token goes with it."""
        if not link.startswith(f"{self.base_url}/"):
            message = "msgraph: a page lies at another host; check cloud and graph_url"
            raise Refused(message, cause="foreign_page", field="graph_url")
        return link.removeprefix(self.base_url)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> httpx.Response:
        """Send a create or an action, once. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        return self._write("POST", path, **({"json": body} if body is not None else {}))

    def patch(self, path: str, body: Mapping[str, object]) -> None:
        """Change fields, once."""
        self._write("PATCH", path, json=body)

    def delete(self, path: str) -> None:
        """Delete, once."""
        self._write("DELETE", path)

    def batch(self, requests: Sequence[Mapping[str, object]], *, is_read: bool) -> BatchAnswers:
        """Send up to 20 requests as one. Raises what a single read, or a single write, would."""
        send = self._edge.read if is_read else self._edge.write
        response = accept(send("POST", "/$batch", headers=call_headers(), json={"requests": requests}))
        try:
            return parsed(BatchAnswers, json_object(response, "msgraph"))
        except (OutcomeUnknown, UnusableContent) as error:
            raise (RetryLater if is_read else OutcomeUnknown)(str(error), cause=error.cause) from None

    def reference(self, account_id: str) -> dict[str, object]:
        """The body that links to a directory object."""
        return {"@odata.id": f"{self.base_url}/directoryObjects/{account_id}"}

    def _write(self, method: str, path: str, **request: Any) -> httpx.Response:
        return accept(self._edge.write(method, path, headers=call_headers(), **request))


def read_as(kind: type[R], response: httpx.Response) -> R:
    """The record in the answer to a read. Raises ``RetryLater`` where there is none, ``UnusableContent``."""
    try:
        return parsed(kind, json_object(response, "msgraph"))
    except OutcomeUnknown as error:
        raise RetryLater(str(error), cause=error.cause) from None


def call_headers() -> dict[str, str]:
    """An id to trace the call by, and Graph's word for calls that it throttles last."""
    urgency = {"x-ms-throttle-priority": "high"} if is_revoking() else {}
    return {"client-request-id": str(uuid4()), **urgency}
