"""A tenant of Entra that answers as a test says, without a connection."""

from __future__ import annotations

import respx

FORM = {"tenant_id": "client.example", "client_id": "app", "client_secret": "hush-hush"}
LOGIN, GRAPH = "https://login.microsoftonline.com/client.example", "https://graph.microsoft.com/v1.0"


def give_tokens(router: respx.MockRouter) -> None:
    """Let the authority give a token to whoever asks."""
    endpoints = {"authorization_endpoint": f"{LOGIN}/a", "token_endpoint": f"{LOGIN}/oauth2/v2.0/token"}
    router.get(f"{LOGIN}/v2.0/.well-known/openid-configuration").respond(json={"issuer": LOGIN, **endpoints})
    router.post(f"{LOGIN}/oauth2/v2.0/token").respond(json={"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
