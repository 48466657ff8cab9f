"""Fieldglass's client credentials grant (RFC 6749 §4.4), with the vendor's parameters in the query string."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import structlog
from pydantic import ValidationError

from connectors.contract import Surroundings
from connectors.fieldglass.settings import FieldglassSettings
from connectors.http import Dialect, HttpEdge, Verdict, json_object, verdict_by_status
from connectors.tokens import AccessGrant, GrantedToken, TokenCache
from workforce.errors import OutcomeUnknown, RetryLater

log = structlog.get_logger(__name__)

SYSTEM = "Fieldglass sign-in"
TOKEN_PATH = "/api/oauth2/v2.0/token"  # noqa: S105 - a path


class ClientCredentials:
    """The access token of one integration user; ``authorize`` and ``renew`` are those of its ``TokenCache``."""

    def __init__(self, settings: FieldglassSettings, around: Surroundings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._edge = HttpEdge(
            str(settings.base_url),
            Dialect(SYSTEM, verdict=_verdict),
            headers={"X-ApplicationKey": settings.application_key.get_secret_value()},
            reach=around.reach(settings),
        )
        tokens = TokenCache(self._fetch, clock=lambda: now().timestamp())
        self.authorize, self.renew = tokens.authorize, tokens.renew

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def _fetch(self) -> GrantedToken:
        try:
            grant = AccessGrant.model_validate(self._ask())
        except ValidationError:
            raise RetryLater("Fieldglass sign-in: the answer holds no usable token", cause="unreadable_answer") from None
        log.info("fieldglass.token_fetched", expires_in_seconds=grant.expires_in)
        return GrantedToken(grant.access_token, grant.expires_in)

    def _ask(self) -> dict[str, Any]:
        # Once: the call that needs the token is retried by its own rules, and retries within retries multiply.
        query = {"grant_type": "client_credentials", "response_type": "token"}
        pair = f"{self._settings.client_id}:{self._settings.client_secret.get_secret_value()}"
        basic = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        try:
            return json_object(self._edge.write("POST", TOKEN_PATH, params=query, headers=basic), SYSTEM)
        except OutcomeUnknown as error:
            raise RetryLater(str(error), cause=error.cause) from None


def _verdict(response: httpx.Response) -> Verdict:
    # RFC 6749 §5.2 lets a server refuse wrong client credentials with 400 as well as 401.
    return Verdict.UNAUTHENTICATED if response.status_code in {400, 403} else verdict_by_status(response)
