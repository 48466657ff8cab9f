"""One company at Gusto: tokens, pages, versions, terminations.

Sources: the vendor's App Integrations OpenAPI description, 2025-06-15; for the Embedded edition its SDK's operations, 2026-06-15, and
the vendor's pages about them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote

import structlog
from pydantic import SecretStr

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.gusto.records import Contractor, Created, TokenInfo
from connectors.gusto.settings import GustoSettings
from connectors.gusto.wire import DIALECT, GustoWire
from connectors.http import HttpEdge
from connectors.wire.rotation import InProcessCredentials, RotatingAccess
from connectors.wire.tokens import TokenCache, TokenEndpoint
from workforce.errors import Misconfigured, Refused, RetryLater
from workforce.ports import CheckResult

log = structlog.get_logger(__name__)

SCOPES = frozenset({"contractors:read", "contractors:write", "contractors:manage"})
NOT_TRIED = (
    "gusto: not tried, because that would use up refresh_token and nothing here could keep the next one; "
    "apply the folder, then run: stint check --connect"
)
TOKENS = "/oauth/token"
TOKEN_SECONDS = 7200.0


class GustoClient:
    """One company at Gusto. Thread-safe. Every method raises only the errors of ``workforce.errors``.

    ``around.credentials`` keeps the rotating refresh token; without it, this process does, and only as long as it runs. ``wire`` carries
    requests with the company's authorisation, ``system`` those with the application's own.
    """

    def __init__(self, settings: GustoSettings, around: Surroundings = ALONE) -> None:
        self.settings, credentials = settings, around.credentials
        self._check_is_free = settings.access_token is not None or credentials is not None
        self._to_vendor: dict[str, Any] = {
            "reach": around.reach(settings),
            "headers": {"X-Gusto-API-Version": settings.sent_version},
        }
        self._contractors = f"/v1/companies/{settings.company_uuid}/contractors"
        self._endpoint = TokenEndpoint(settings.base_url, "gusto", field="client_secret", **self._to_vendor)
        self._opened: list[HttpEdge | TokenEndpoint] = [self._endpoint]
        if settings.access_token is not None:
            bearer = {"Authorization": f"Bearer {_plain(settings.access_token)}"}
            self.wire = self._wire(lambda: bearer)
        else:
            seed, kept = _plain(settings.refresh_token), credentials or InProcessCredentials()
            access = RotatingAccess("gusto", self._spend, seed=seed, credentials=kept, lifetime_seconds=TOKEN_SECONDS)
            self.wire = self._wire(access.authorize, access.renew)

    def _application(self, grant_type: str) -> dict[str, str]:
        client = {"client_id": self.settings.client_id or "", "client_secret": _plain(self.settings.client_secret)}
        return {**client, "grant_type": grant_type}

    def _spend(self, refresh_token: str) -> Mapping[str, Any]:
        return self._endpoint.ask(TOKENS, json={**self._application("refresh_token"), "refresh_token": refresh_token})

    def _wire(self, authorize: Callable[[], Mapping[str, str]], renew: Callable[[], None] | None = None) -> GustoWire:
        edge = HttpEdge(self.settings.base_url, DIALECT, authorize=authorize, renew=renew, **self._to_vendor)
        self._opened.append(edge)
        return GustoWire(edge)

    @cached_property
    def system(self) -> GustoWire:
        """Requests that want the application's own token: events and webhook subscriptions. Raises ``Misconfigured``."""
        if self.settings.client_secret is None:
            message = "gusto: events and webhook subscriptions need client_id and client_secret beside access_token"
            raise Misconfigured(message, cause="missing_setting", field="client_secret")
        tokens = TokenCache(lambda: self._endpoint.grant(TOKENS, json=self._application("system_access")))
        return self._wire(tokens.authorize, tokens.renew)

    @faults_as_result
    def check(self) -> CheckResult:
        """Ask what the token opens: it must be this company's, with the scopes to read, create and update contractors.

        A check must not use up the configured refresh token, so without a store for the next one it is not made.
        """
        if not self._check_is_free:
            return CheckResult(ok=False, detail=NOT_TRIED)
        info = self.wire.read(TokenInfo, "/v1/token_info")
        if info.resource is None or info.resource.uuid != self.settings.company_uuid:
            return CheckResult(
                ok=False, detail="gusto: the token is not one of the company in company_uuid; authorise that company"
            )
        if missing := SCOPES - set(info.scope.split()):
            return CheckResult(ok=False, detail=f"gusto: the token lacks {', '.join(sorted(missing))}; authorise the hub with it")
        return CheckResult(ok=True, detail=f"gusto: {self.settings.base_url} answers for the company")

    def close(self) -> None:
        """Close the pooled connections."""
        for one in self._opened:
            one.close()

    def contractors(self) -> Iterator[Contractor]:
        """Every contractor, active and inactive, oldest first."""
        return self.wire.pages(self._contractors, list[Contractor], sort_by="created_at:asc")

    def contractor(self, uuid: str) -> Contractor:
        """One contractor. Raises ``NotFound``."""
        return self.wire.read(Contractor, _path(uuid))

    def create_contractor(self, fields: Mapping[str, object]) -> str:
        """Create a contractor; its uuid. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        return self.wire.send(Created, "POST", self._contractors, fields).uuid

    def update_contractor(self, uuid: str, fields: Mapping[str, object]) -> None:
        """Set fields on the current version. A conflict proves that nothing was done: read again and try once more."""
        for attempt in (1, 2):
            version = self.contractor(uuid).version
            try:
                self.wire.send(dict[str, object], "PUT", _path(uuid), {**fields, "version": version})
            except Refused as error:
                if error.cause != "http_409":
                    raise
                log.info("gusto.version_conflict", contractor=uuid, attempt=attempt)
            else:
                return
        raise RetryLater("gusto: the contractor changes faster than it can be updated", cause="version_conflict")

    def schedule_termination(self, uuid: str, end_date: str) -> None:
        """Embedded only: dismiss an active contractor, without a pending dismissal, as of ``end_date`` (ISO, past or coming)."""
        self.wire.order("POST", f"{_path(uuid)}/termination", json={"end_date": end_date})

    def cancel_termination(self, uuid: str) -> None:
        """Embedded only: take back a dismissal that is pending, or not more than two days old."""
        self.wire.order("DELETE", f"{_path(uuid)}/termination")

    def schedule_rehire(self, uuid: str, start_date: str) -> None:
        """Embedded only: employ a dismissed contractor, without a pending rehire, again as of ``start_date`` (ISO, past or coming)."""
        self.wire.order("POST", f"{_path(uuid)}/rehire", json={"start_date": start_date})

    def cancel_rehire(self, uuid: str) -> None:
        """Embedded only: take back a rehire that is pending."""
        self.wire.order("DELETE", f"{_path(uuid)}/rehire")


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _path(uuid: str) -> str:
    return f"/v1/contractors/{quote(uuid, safe='')}"
