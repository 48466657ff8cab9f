"""The wire to Microsoft Graph v1.0: tokens, pages, refusals. Nothing else raises transport errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from pydantic import BaseModel

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.http import Dialect
from connectors.msgraph import addresses
from connectors.msgraph.answers import reason, refusal, verdict
from connectors.msgraph.quotas import budgets
from connectors.msgraph.records import User
from connectors.msgraph.settings import MsGraphSettings
from connectors.msgraph.tokens import AppTokens
from connectors.protocols.odata import Batch, Page
from connectors.records.accounts import usable
from connectors.records.paging import every_page
from workforce.errors import Refused
from workforce.ports import CheckResult
from workforce.urgency import is_revoking

BATCH_SIZE = 20  # https://learn.microsoft.com/graph/json-batching

T = TypeVar("T")
R = TypeVar("R", bound=BaseModel)


class MsGraphClient:
    """One tenant of Entra ID. Thread-safe; connects on first use."""

    def __init__(self, settings: MsGraphSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        self.base_url = f"{settings.graph_origin}/v1.0"
        self._tokens = AppTokens(settings, around)
        dialect = Dialect("msgraph", verdict, reason, budgets=budgets(settings.tenant_size), refusal=refusal)
        self.batch = Batch(self, dialect, self.base_url, size=BATCH_SIZE)
        self._edge = self._tokens.cache.edge(self.base_url, dialect, around.reach(settings))

    @faults_as_result
    def check(self) -> CheckResult:
        """Get a token and read one user's id. Raises nothing."""
        self.get(addresses.USERS, Page[User], {"$top": "1", "$select": "id,userPrincipalName"})
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
        body = self._edge.read_object("GET", path, params=query, headers={**headers, **call_headers()})
        return usable("msgraph", kind, body)

    def listed(
        self, path: str, kind: type[Page[T]], query: Mapping[str, str] | None = None, *, advanced: bool = False
    ) -> Iterator[T]:
        """What the list at ``path`` holds, whose pages are of ``kind``."""
        return self.entries(self.get(path, kind, query, advanced=advanced), advanced=advanced)

    def entries(self, first: Page[T], *, advanced: bool = False) -> Iterator[T]:
        """What ``first`` holds, and every page that follows it."""

        def page(link: str | None) -> Page[T]:
            return first if link is None else self.get(self.own_path(link), type(first), advanced=advanced)

        return (one for each in every_page("msgraph", page, lambda each: each.next_link) for one in each.value)

    def own_path(self, link: str) -> str:
        """The path and query of a link that Graph gave, otherwise as it stands. At another host it is refused: our token goes with it."""
        if not link.startswith(f"{self.base_url}/"):
            message = "msgraph: a page lies at another host; check cloud and graph_url"
            raise Refused(message, cause="foreign_page", field="graph_url")
        return link.removeprefix(self.base_url)

    def write(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a change, once. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        return self._edge.write(method, path, headers=call_headers(), **request)

    def send_batch(self, requests: Sequence[Mapping[str, object]], *, is_read: bool) -> httpx.Response:
        """Send up to 20 requests as one. Raises what a single read, or a single write, would."""
        send = self._edge.read if is_read else self._edge.write
        return send("POST", "/$batch", headers=call_headers(), json={"requests": requests})

    def reference(self, account_id: str, *, of: str = "directoryObjects") -> dict[str, object]:
        """The body that links to a directory object; a manager is one ``of`` ``users``."""
        return {"@odata.id": f"{self.base_url}/{of}/{account_id}"}


def call_headers() -> dict[str, str]:
    """An id to trace the call by, and Graph's word for calls that it throttles last."""
    urgency = {"x-ms-throttle-priority": "high"} if is_revoking() else {}
    return {"client-request-id": str(uuid4()), **urgency}
