"""Access tokens of an API service app: client credentials with a signed assertion (RFC 7523 §2.2) from the org's own server.

That the assertion's audience is the token endpoint, and that it may live an hour, is not verified against the vendor.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt

from connectors.network import Reach
from connectors.okta.settings import OktaSettings
from connectors.tokens import GrantedToken, TokenCache, TokenEndpoint

PATH = "/oauth2/v1/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME = timedelta(minutes=5)


class AppGrant:
    """The access token of one app; ``authorize`` and ``renew`` are those of its ``TokenCache``."""

    def __init__(self, settings: OktaSettings, reach: Reach) -> None:
        self._settings = settings
        self._endpoint = TokenEndpoint(settings.org_url, "okta", reach, field="private_key")
        tokens = TokenCache(self._fetch)
        self.authorize, self.renew, self.close = tokens.authorize, tokens.renew, self._endpoint.close

    def _fetch(self) -> GrantedToken:
        form = {
            "grant_type": "client_credentials",
            "scope": " ".join(self._settings.scopes),
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(),
        }
        return self._endpoint.grant(PATH, data=form)

    def _assertion(self) -> str:
        settings, issued = self._settings, datetime.now(UTC)
        claims = {
            "iss": settings.client_id,
            "sub": settings.client_id,
            "aud": f"{settings.org_url}{PATH}",
            "iat": issued,
            "exp": issued + ASSERTION_LIFETIME,
            "jti": str(uuid4()),
        }
        key = settings.private_key.get_secret_value() if settings.private_key else ""
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": settings.key_id} if settings.key_id else None)
