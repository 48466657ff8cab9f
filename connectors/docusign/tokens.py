"""DocuSign's JWT grant (RFC 7523): an RS256 assertion buys an access token, kept until shortly before it expires."""

from __future__ import annotations

from datetime import timedelta

from connectors.contract import Surroundings
from connectors.docusign.settings import DocuSignSettings
from connectors.wire.assertions import Assertion
from connectors.wire.tokens import KnownRefusal, TokenEndpoint

SCOPE = "signature impersonation"
ASSERTION_LIFETIME = timedelta(minutes=10)  # the vendor allows an hour at most


def audience(settings: DocuSignSettings) -> str:
    """The assertion's ``aud``: the OAuth server without its scheme."""
    host, port = settings.auth_server.host, settings.auth_server.port
    return f"{host}" if port in (None, 443) else f"{host}:{port}"


def assertion(settings: DocuSignSettings) -> Assertion:
    """What the integration key asserts: it acts for the API user."""
    issuer, user = str(settings.integration_key), str(settings.user_id)
    claims = {"scope": SCOPE}
    return Assertion(issuer, user, audience(settings), settings.private_key, ASSERTION_LIFETIME, claims=claims)


def sign_in(settings: DocuSignSettings, around: Surroundings) -> TokenEndpoint:
    """The token endpoint, which gives nothing until the API user has consented once. That is not verified against the vendor."""
    consent = KnownRefusal(
        "the API user has not yet consented to the integration key; let the user or an administrator open "
        f"{settings.auth_server}oauth/auth?response_type=code&scope=signature%20impersonation"
        f"&client_id={settings.integration_key}&redirect_uri=<a redirect URI of the app> once, then replay",
        field="user_id",
    )
    reach, server = around.reach(settings), str(settings.auth_server)
    return TokenEndpoint(server, "DocuSign", reach, field="integration_key", refusals={"consent_required": consent})
