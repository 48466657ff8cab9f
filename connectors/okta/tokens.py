"""Access tokens of an API service app: client credentials with a signed assertion (RFC 7523 §2.2) from the org's own server.

That the assertion's audience is the token endpoint, and that it may live an hour, is not verified against the vendor.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import SecretStr

from connectors.okta.settings import OktaSettings
from connectors.wire.assertions import Assertion
from connectors.wire.network import Reach
from connectors.wire.tokens import GrantedToken, TokenCache, TokenEndpoint

PATH = "/oauth2/v1/token"


class AppGrant:
    """The access token of one app; ``authorize`` and ``renew`` are those of its ``TokenCache``."""

    def __init__(self, settings: OktaSettings, client_id: str, private_key: SecretStr, reach: Reach) -> None:
        audience = f"{settings.org_url}{PATH}"
        self._proof = Assertion(client_id, client_id, audience, private_key, key_id=settings.key_id, is_single_use=True)
        self._form = {"grant_type": "client_credentials", "scope": " ".join(settings.scopes)}
        self._endpoint = TokenEndpoint(settings.org_url, "okta", reach, field="private_key")
        tokens = TokenCache(self._fetch)
        self.authorize, self.renew, self.close = tokens.authorize, tokens.renew, self._endpoint.close

    def _fetch(self) -> GrantedToken:
        return self._endpoint.grant(PATH, data={**self._form, **self._proof.as_client(datetime.now(UTC))})
