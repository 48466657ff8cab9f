"""The wire to Okta's Management API: credentials, pages, throttling, refusals."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

import httpx

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.http import MAX_RETRY_AFTER_SECONDS, Dialect, HttpEdge, harmless, json_in, json_object, retry_after_seconds
from connectors.okta.records import OktaError, OktaRecord, User
from connectors.okta.settings import OktaSettings
from connectors.okta.tokens import AppGrant
from connectors.records.accounts import usable
from connectors.records.paging import every_page
from workforce.errors import AlreadyTaken, HubError, OutcomeUnknown, Refused, RetryLater, UnusableContent
from workforce.markers import new_marker
from workforce.ports import CheckResult

API = "/api/v1"
PAGE_SIZE = "200"
VALIDATION_FAILED = "E0000001"
_ATTRIBUTE = re.compile(r"([a-z]\w{0,63}):", re.ASCII)

R = TypeVar("R", bound=OktaRecord)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list, and the address of the next."""

    items: list[R]
    next_link: str | None


class OktaClient:
    """One org. Thread-safe; connects on first use."""

    def __init__(self, settings: OktaSettings, around: Surroundings = ALONE) -> None:
        self.settings, reach = settings, around.reach(settings)
        self._grant: AppGrant | None = None
        if settings.client_id and settings.private_key:
            self._grant = AppGrant(settings, settings.client_id, settings.private_key, reach)
        fixed = {"Authorization": f"SSWS {settings.api_token.get_secret_value()}"} if settings.api_token else {}
        self._edge = HttpEdge(
            settings.org_url,
            DIALECT,
            authorize=self._grant.authorize if self._grant else lambda: fixed,
            renew=self._grant.renew if self._grant else None,
            reach=reach,
        )

    @faults_as_result
    def check(self) -> CheckResult:
        """Search for a marker that nobody has: it proves the credentials and the right to read users. Raises nothing."""
        self.page("/users", User, {"search": f'profile.employeeNumber eq "{new_marker()}"', "limit": "1"})
        return CheckResult(ok=True, detail=f"okta: users of {self.settings.org_url} are readable")

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()
        if self._grant is not None:
            self._grant.close()

    def get(self, path: str, kind: type[R]) -> R:
        """Read one record. Raises ``NotFound``."""
        return usable("okta", kind, self._edge.read_object("GET", f"{API}{path}"))

    def page(self, path: str, kind: type[R], query: Mapping[str, str] | None = None) -> Page[R]:
        """One page. ``path`` is below the API, or the address that a page before gave for the next, which is followed as it stands."""
        is_next = path.startswith("https://")
        response = self._edge.read("GET", path if is_next else f"{API}{path}", params=query)
        with harmless():
            body = json_in(response, "okta")
        if not isinstance(body, list):
            raise RetryLater("okta: a page is no list", cause="unreadable_answer")
        return Page([usable("okta", kind, item) for item in body], _next_link(response))

    def all(self, path: str, kind: type[R], query: Mapping[str, str] | None = None) -> Iterator[R]:
        """Every record of a list, page after page."""

        def page(link: str | None) -> Page[R]:
            return self.page(link, kind) if link else self.page(path, kind, query)

        for each in every_page("okta", page, lambda each: each.next_link):
            yield from each.items

    def write(
        self, method: str, path: str, body: Mapping[str, object] | None = None, query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a change, once. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        content = {} if body is None else {"json": body}
        return self._edge.write(method, f"{API}{path}", params=query, **content)


def _next_link(response: httpx.Response) -> str | None:
    """The address of the next page (RFC 8288: it may be relative)."""
    link = response.links.get("next", {}).get("url")
    try:
        return str(response.url.join(link)) if link else None
    except httpx.InvalidURL:
        raise RetryLater("okta: the address of the next page cannot be read", cause="unreadable_answer") from None


def _wait(response: httpx.Response) -> float | None:
    """Okta says when the limit is set anew, in epoch seconds, and gives no Retry-After; its own clock is in Date."""
    reset = response.headers.get("x-rate-limit-reset", "")
    if not reset.isascii() or not reset.isdigit() or len(reset) > 12:
        return retry_after_seconds(response.headers.get("retry-after"))
    try:
        now = parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        now = time.time()
    return min(max(int(reset) - now, 0.0), MAX_RETRY_AFTER_SECONDS)


def _refusal(said: str, response: httpx.Response) -> HubError:
    """What is refused. That a taken login is told by E0000001 and these words is not verified against the vendor."""
    error = _error_of(response)
    for cause in error.error_causes:
        field, _, words = cause.error_summary.partition(":")
        if error.error_code == VALIDATION_FAILED and field == "login" and "already exists" in words:
            return AlreadyTaken(f"{said}: login is in use; look up its holder", field="login")
    return Refused(said, cause=f"http_{response.status_code}", field=_field_of(error))


def _reason(response: httpx.Response) -> str:
    error = _error_of(response)
    return f"{error.error_code or response.reason_phrase} (errorId {error.error_id or 'none'})"


def _field_of(error: OktaError) -> str | None:
    """The first attribute that the causes name, in the form ``lastName: …``; anything else may be a person's name."""
    named = (_ATTRIBUTE.match(cause.error_summary) for cause in error.error_causes)
    return next((match[1] for match in named if match), None)


def _error_of(response: httpx.Response) -> OktaError:
    try:
        return usable("okta", OktaError, json_object(response, "okta"))
    except (OutcomeUnknown, UnusableContent):
        return OktaError()


DIALECT = Dialect("okta", reason=_reason, wait=_wait, refusal=_refusal)
"""How Okta answers."""
