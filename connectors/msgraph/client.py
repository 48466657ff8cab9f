"""The wire to Microsoft Graph v1.0: tokens, pages, refusals. Nothing else raises transport errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from connectors.contract import ALONE, Surroundings
from connectors.http import Dialect, HttpEdge, Verdict, json_object, verdict_by_status
from connectors.msgraph.records import DirectoryObjectPage, GraphRecord, MainError, ODataError, UserPage, parsed
from connectors.msgraph.settings import MsGraphSettings
from connectors.msgraph.tokens import AppTokens
from workforce.errors import AlreadyTaken, HubError, OutcomeUnknown, Refused, RetryLater
from workforce.ports import CheckResult

API = "/v1.0"
ALREADY_MEMBER = "already_member"

R = TypeVar("R", bound=GraphRecord)
P = TypeVar("P", UserPage, DirectoryObjectPage)


class MsGraphClient:
    """One tenant of Entra ID. Thread-safe; connects on first use."""

    def __init__(self, settings: MsGraphSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        self._tokens = AppTokens(settings, around)
        self._edge = HttpEdge(
            f"{settings.graph_url}{API}",
            Dialect("msgraph", verdict=_verdict, reason=_reason),
            authorize=self._tokens.headers,
            renew=self._tokens.forget,
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

    def get(self, path: str, kind: type[R], query: Mapping[str, str] | None = None) -> R:
        """Read one record. Raises ``NotFound``."""
        response = self._edge.read("GET", path, headers=_traced(), **({"params": query} if query else {}))
        _accept(response)
        try:
            return parsed(kind, json_object(response, "msgraph"))
        except OutcomeUnknown as error:
            raise RetryLater(str(error), cause=error.cause) from None

    def pages(self, path: str, kind: type[P], query: Mapping[str, str]) -> Iterator[P]:
        """Every page, following ``@odata.nextLink`` as it stands, but never to another host: our token goes with it."""
        page = self.get(path, kind, query)
        seen: set[str] = set()
        yield page
        while page.next_link is not None:
            if not page.next_link.startswith(f"{self.settings.graph_url}{API}/"):
                raise Refused(
                    "msgraph: a next page lies at another host; check graph_url", cause="foreign_page", field="graph_url"
                )
            if page.next_link in seen:
                raise RetryLater("msgraph: the pages go round in a circle", cause="circular_pages")
            seen.add(page.next_link)
            page = self.get(page.next_link, kind)
            yield page

    def post(self, path: str, body: Mapping[str, object] | None = None) -> httpx.Response:
        """Send a create or an action, once. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        return self._write("POST", path, **({"json": body} if body is not None else {}))

    def patch(self, path: str, body: Mapping[str, object]) -> None:
        """Change fields, once."""
        self._write("PATCH", path, json=body)

    def delete(self, path: str) -> None:
        """Delete, once."""
        self._write("DELETE", path)

    def reference(self, account_id: str) -> dict[str, object]:
        """The body that links to a directory object."""
        return {"@odata.id": f"{self.settings.graph_url}{API}/directoryObjects/{account_id}"}

    def _write(self, method: str, path: str, **request: Any) -> httpx.Response:
        return _accept(self._edge.write(method, path, headers=_traced(), **request))


def _traced() -> dict[str, str]:
    return {"client-request-id": str(uuid4())}


def _verdict(response: httpx.Response) -> Verdict:
    """Plain refusals pass the edge: ``_accept`` reads what they are about."""
    verdict = verdict_by_status(response)
    return Verdict.OK if verdict is Verdict.REFUSED else verdict


def _reason(response: httpx.Response) -> str:
    error = _error_of(response)
    return f"{error.code or response.reason_phrase} (request-id {error.inner_error.request_id or 'none'})"


def _accept(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    error = _error_of(response)
    said = f"msgraph: {response.request.method} answered {response.status_code}: {_reason(response)}"
    for detail in error.details:
        if detail.code == "ObjectConflict":
            field = detail.target or "userPrincipalName"
            raise AlreadyTaken(f"{said}: {field} is in use; look up its holder", field=field)
    if "already exist" in error.message and "references" in error.message:
        raise Refused(said, cause=ALREADY_MEMBER)
    raise Refused(said, cause=f"http_{response.status_code}", field=error.target)


def _error_of(response: httpx.Response) -> MainError:
    try:
        return parsed(ODataError, json_object(response, "msgraph")).error
    except HubError:
        return MainError()
