"""DocuSign's JWT grant (RFC 7523): an RS256 assertion buys an access token, kept until shortly before it expires."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
import structlog

from connectors.contract import Surroundings
from connectors.docusign.settings import DocuSignSettings
from connectors.tokens import GrantedToken, TokenCache, TokenEndpoint
from workforce.errors import Misconfigured

log = structlog.get_logger(__name__)

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "signature impersonation"
ASSERTION_LIFETIME = timedelta(minutes=10)  # the vendor allows an hour at most


def audience(settings: DocuSignSettings) -> str:
    """The assertion's ``aud``: the OAuth server without its scheme."""
    host, port = settings.auth_server.host, settings.auth_server.port
    return f"{host}" if port in (None, 443) else f"{host}:{port}"


class JwtGrant:
    """The access token of one integration; ``authorize`` and ``renew`` are those of its ``TokenCache``."""

    def __init__(self, settings: DocuSignSettings, around: Surroundings, now: Callable[[], datetime]) -> None:
        self._settings, self._now = settings, now
        self._endpoint = _ConsentedEndpoint(settings, around)
        tokens = TokenCache(self._fetch, clock=lambda: now().timestamp())
        self.authorize, self.renew, self.close = tokens.authorize, tokens.renew, self._endpoint.close

    def _fetch(self) -> GrantedToken:
        token = self._endpoint.grant("/oauth/token", data={"grant_type": GRANT_TYPE, "assertion": self._assertion()})
        log.info("docusign.token_fetched", expires_in_seconds=token.lifetime_seconds)
        return token

    def _assertion(self) -> str:
        issued = self._now()
        claims = {
            "iss": str(self._settings.integration_key),
            "sub": str(self._settings.user_id),
            "aud": audience(self._settings),
            "iat": issued,
            "exp": issued + ASSERTION_LIFETIME,
            "scope": SCOPE,
        }
        return jwt.encode(claims, self._settings.private_key.get_secret_value(), algorithm="RS256")


class _ConsentedEndpoint(TokenEndpoint):
    """The token endpoint, which gives nothing until the API user has consented once."""

    def __init__(self, settings: DocuSignSettings, around: Surroundings) -> None:
        super().__init__(str(settings.auth_server), "DocuSign", around.reach(settings), field="integration_key")
        self._settings = settings

    def refused(self, answer: Mapping[str, Any]) -> Misconfigured:
        """As everywhere, except for ``consent_required``, which is not verified against the vendor."""
        if answer["error"] != "consent_required":
            return super().refused(answer)
        return Misconfigured(
            "DocuSign sign-in: the API user has not yet consented to the integration key; let the user or an administrator open "
            f"{self._settings.auth_server}oauth/auth?response_type=code&scope=signature%20impersonation"
            f"&client_id={self._settings.integration_key}&redirect_uri=<a redirect URI of the app> once, then replay",
            cause="consent_required",
            field="user_id",
        )
