"""The three kinds of credentials that a SCIM target takes (RFC 7644 §2)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urlsplit

from connectors.network import Reach
from connectors.scim.settings import ScimSettings
from connectors.tokens import GrantedToken, TokenCache, TokenEndpoint


@dataclass(frozen=True)
class Credentials:
    """What the edge is given; ``renew`` only where there is something to renew."""

    authorize: Callable[[], Mapping[str, str]]
    renew: Callable[[], None] | None = None
    close: Callable[[], None] = lambda: None


def credentials_of(settings: ScimSettings, reach: Reach) -> Credentials:
    """The credentials that ``settings`` holds."""
    if settings.token_url is not None:
        return _granted(settings, settings.token_url, reach)
    if settings.token is not None:
        header = {"Authorization": f"Bearer {settings.token.get_secret_value()}"}
    else:
        password = settings.password.get_secret_value() if settings.password else ""
        header = {"Authorization": f"Basic {_pair(settings.username or '', password)}"}
    return Credentials(lambda: header)


def _granted(settings: ScimSettings, token_url: str, reach: Reach) -> Credentials:
    """Client credentials (RFC 6749 §4.4). The client authenticates by HTTP Basic, which every token endpoint has to take (§2.3.1)."""
    parts = urlsplit(token_url)
    secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
    header = {"Authorization": f"Basic {_pair(quote_plus(settings.client_id or ''), quote_plus(secret))}"}
    endpoint = TokenEndpoint(f"{parts.scheme}://{parts.netloc}", "scim", reach, field="client_secret", headers=header)
    form = {"grant_type": "client_credentials", **({"scope": settings.scope} if settings.scope else {})}

    def fetch() -> GrantedToken:
        return endpoint.grant(parts.path or "/", data=form)

    tokens = TokenCache(fetch)
    return Credentials(tokens.authorize, tokens.renew, endpoint.close)


def _pair(name: str, secret: str) -> str:
    return base64.b64encode(f"{name}:{secret}".encode()).decode()
