"""The wire to Greenhouse Harvest v3: tokens, lists, pages. Source: the vendor's Harvest v3 OpenAPI description, 2026-08.

Every list is flat and paged by the header ``Link`` with ``rel="next"`` alone, whose ``cursor`` has to be the only parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import httpx

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.greenhouse.records import RESOURCES, Application, Offer, Row, rows
from connectors.greenhouse.settings import GreenhouseSettings
from connectors.http import Dialect
from connectors.records.answers import served_at
from connectors.wire.tokens import Expiry, TokenCache, TokenEndpoint, basic
from workforce.errors import RetryLater
from workforce.ports import CheckResult

MAX_IDS = 50
EXPIRY = Expiry(600.0, instants=("expires_at", "expires"))
"""Greenhouse tells a token's end in one of three ways, or not at all."""

R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Rows, the vendor's cursor of the next page, and when the vendor served it (by its own clock where it says so)."""

    rows: list[R]
    next: str | None
    served_at: datetime


class GreenhouseClient:
    """One organisation. Thread-safe. Every method raises only the errors of ``workforce.errors``."""

    def __init__(self, settings: GreenhouseSettings, around: Surroundings = ALONE) -> None:
        self.settings = settings
        reach, pair = around.reach(settings), basic(settings.client_id, settings.client_secret.get_secret_value())
        self._sign_in = TokenEndpoint(settings.auth_url, "greenhouse", reach, field="client_secret", headers=pair, expiry=EXPIRY)
        form = {"grant_type": "client_credentials", **({"sub": settings.sub} if settings.sub else {})}
        tokens = TokenCache(lambda: self._sign_in.grant("/token", data=form))
        self._edge = tokens.edge(settings.base_url, Dialect("greenhouse", reason=_reason), reach)

    @faults_as_result
    def check(self) -> CheckResult:
        """Read one row of each list that a hire is put together from: that proves the credentials and every scope."""
        seen = {shape: self.page(shape, {"per_page": "1"}).rows for shape in RESOURCES}
        detail = f"greenhouse: {self.settings.base_url} answers"
        if self.settings.sub is not None and not seen[Offer]:
            detail += "; no offer can be seen: unless there is none yet, the user in sub lacks the permission to manage offers"
        return CheckResult(ok=True, detail=detail)

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()
        self._sign_in.close()

    def page(self, shape: type[R], query: Mapping[str, str]) -> Page[R]:
        """One page of the list of ``shape``; ``query`` is either filters or nothing but ``cursor``."""
        response = self._edge.read("GET", f"/v3/{RESOURCES[shape]}", params=dict(query))
        return Page(rows(shape, response.content), _next_cursor(response), served_at(response) or datetime.now(UTC))

    def by_ids(self, shape: type[R], ids: Iterable[int], *, key: str = "ids", **filters: str) -> list[R]:
        """Every row of ``shape`` whose ``key`` is among ``ids``; no request where there are none."""
        wanted, per_page = [str(one) for one in sorted(set(ids))], str(self.settings.page_size)
        return [
            row
            for start in range(0, len(wanted), MAX_IDS)
            for row in self._to_the_end(shape, {**filters, key: ",".join(wanted[start : start + MAX_IDS]), "per_page": per_page})
        ]

    def application(self, application_id: int) -> Application | None:
        """One application, or ``None``: v3 has no path of a single object."""
        found = self.by_ids(Application, [application_id])
        return next((one for one in found if one.id == application_id), None)

    def _to_the_end(self, shape: type[R], query: Mapping[str, str]) -> Iterator[R]:
        page = self.page(shape, query)
        yield from page.rows
        while page.next is not None:
            page = self.page(shape, {"cursor": page.next})
            yield from page.rows


def _reason(response: httpx.Response) -> str:
    """The path tells which scope is missing (``harvest:<list>:list``); bodies may quote people and are left out."""
    return f"{response.reason_phrase} for {response.request.url.path}"


def _next_cursor(response: httpx.Response) -> str | None:
    """The cursor of ``rel="next"``. It is asked for at our own address, wherever the link points."""
    link = response.links.get("next")
    if link is None:
        return None
    try:
        cursor = httpx.URL(link["url"]).params.get("cursor")
    except httpx.InvalidURL:
        cursor = None
    if not cursor:
        raise RetryLater("greenhouse: the link to the next page holds no cursor", cause="unreadable_answer")
    return str(cursor)
