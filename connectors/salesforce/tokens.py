"""Salesforce's access tokens: client credentials, or a JWT bearer assertion (RFC 7523), at the organisation's My Domain.

simple-salesforce could sign in by itself; then its own copy of the token would be renewed at its own moments, its ``requests`` errors
would leave it, and an assertion's audience could not be set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlsplit

import jwt
import structlog
from pydantic import BaseModel, StringConstraints, ValidationError

from connectors.contract import Surroundings
from connectors.salesforce.settings import SalesforceSettings
from connectors.tokens import GrantedToken, TokenCache, TokenEndpoint
from workforce.errors import Misconfigured, RetryLater

log = structlog.get_logger(__name__)

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - an address
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_LIFETIME = timedelta(minutes=3)  # as simple-salesforce's own sign-in
KEPT_SECONDS = 3600.0
"""Salesforce does not tell how long a token lives (the organisation's session settings do); one that died earlier is renewed at its 401."""


class _Grant(BaseModel):
    access_token: Annotated[str, StringConstraints(min_length=1, max_length=16384, pattern=r"^[\x21-\x7e]+$")]
    instance_url: Annotated[str, StringConstraints(pattern=r"^https://[^/\[\]\s]+/?$")]


class SessionTokens:
    """The access token of one organisation; ``authorize`` and ``renew`` are those of its ``TokenCache``."""

    def __init__(self, settings: SalesforceSettings, around: Surroundings, now: Callable[[], datetime]) -> None:
        self._settings, self._now = settings, now
        self._endpoint = TokenEndpoint(settings.my_domain_url, "salesforce", around.reach(settings), field="consumer_key")
        tokens = TokenCache(self._fetch)
        self.authorize, self.renew = tokens.authorize, tokens.renew

    def close(self) -> None:
        """Close the pooled connections."""
        self._endpoint.close()

    def _fetch(self) -> GrantedToken:
        answer = self._endpoint.ask(TOKEN_PATH, data=self._form())
        if "error" in answer:
            raise self._endpoint.refused(answer)
        try:
            grant = _Grant.model_validate(answer)
        except ValidationError:
            raise RetryLater("salesforce sign-in: the answer holds no usable token", cause="unreadable_answer") from None
        self._require_own_instance(grant.instance_url)
        log.info("salesforce.token_fetched")
        return GrantedToken(grant.access_token, KEPT_SECONDS)

    def _form(self) -> Mapping[str, str]:
        settings = self._settings
        if settings.consumer_secret is not None:
            secret = settings.consumer_secret.get_secret_value()
            return {"grant_type": "client_credentials", "client_id": settings.consumer_key, "client_secret": secret}
        return {"grant_type": GRANT_TYPE, "assertion": self._assertion()}

    def _assertion(self) -> str:
        settings = self._settings
        claims = {
            "iss": settings.consumer_key,
            "sub": settings.username,
            "aud": settings.audience,
            "exp": self._now() + ASSERTION_LIFETIME,
        }
        key = settings.private_key.get_secret_value() if settings.private_key else ""
        return jwt.encode(claims, key, algorithm="RS256")

    def _require_own_instance(self, instance_url: str) -> None:
        """Calls go to the configured place only, not wherever an answer says: they carry the token."""
        if _origin(instance_url) != _origin(self._settings.my_domain_url):
            raise Misconfigured(
                "salesforce sign-in: the organisation's API is at another address; enter its My Domain as my_domain_url",
                cause="foreign_address",
                field="my_domain_url",
            )


def _origin(url: str) -> tuple[str, str | None, int] | None:
    parts = urlsplit(url)
    try:
        port = parts.port or 443
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port
