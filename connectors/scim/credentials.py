"""The three kinds of credentials that a SCIM target takes (RFC 7644 §2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote_plus, urlsplit

from pydantic import SecretStr

from connectors.scim.settings import ScimSettings
from connectors.wire.network import Reach
from connectors.wire.tokens import TokenCache, TokenEndpoint, basic


class Credentials:
    """The credentials of one instance; ``renew`` only where there is something to renew."""

    authorize: Callable[[], Mapping[str, str]]
    renew: Callable[[], None] | None = None

    def __init__(self, settings: ScimSettings, reach: Reach) -> None:
        self._endpoint: TokenEndpoint | None = None
        if settings.token_url is not None:
            self._grant(settings, settings.token_url, reach)
            return
        bearer = {"Authorization": f"Bearer {_text(settings.token)}"}
        header = bearer if settings.token is not None else basic(settings.username or "", _text(settings.password))
        self.authorize = lambda: header

    def close(self) -> None:
        """Close the pooled connections."""
        if self._endpoint is not None:
            self._endpoint.close()

    def _grant(self, settings: ScimSettings, token_url: str, reach: Reach) -> None:
        """Client credentials (RFC 6749 §4.4). The client authenticates by HTTP Basic, which every token endpoint has to take (§2.3.1)."""
        parts = urlsplit(token_url)
        header = basic(quote_plus(settings.client_id or ""), quote_plus(_text(settings.client_secret)))
        form = {"grant_type": "client_credentials", **({"scope": settings.scope} if settings.scope else {})}
        endpoint = TokenEndpoint(f"{parts.scheme}://{parts.netloc}", "scim", reach, field="client_secret", headers=header)
        tokens = TokenCache(lambda: endpoint.grant(parts.path or "/", data=form))
        self._endpoint, self.authorize, self.renew = endpoint, tokens.authorize, tokens.renew


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
