"""DocuSign's JWT grant (RFC 7523): an RS256 assertion buys an access token, kept until shortly before it expires."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import jwt
import structlog
from pydantic import ValidationError

from connectors.contract import Surroundings
from connectors.docusign.records import AccessGrant
from connectors.docusign.settings import DocuSignSettings
from connectors.http import Dialect, HttpEdge, Verdict, json_object, verdict_by_status
from connectors.tokens import GrantedToken, TokenCache
from workforce.errors import Misconfigured, OutcomeUnknown, RetryLater

log = structlog.get_logger(__name__)

SYSTEM = "DocuSign sign-in"
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
        self._edge = HttpEdge(
            str(settings.auth_server),
            Dialect(SYSTEM, verdict=_verdict),
            reach=around.reach(settings),
        )
        tokens = TokenCache(self._fetch, clock=lambda: now().timestamp())
        self.authorize, self.renew = tokens.authorize, tokens.renew

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()

    def _fetch(self) -> GrantedToken:
        form = {"grant_type": GRANT_TYPE, "assertion": self._assertion()}
        answer = self._ask(form)
        if "error" in answer:
            raise self._misconfigured(answer)
        try:
            grant = AccessGrant.model_validate(answer)
        except ValidationError:
            raise RetryLater("DocuSign sign-in: the answer holds no usable token", cause="unreadable_answer") from None
        log.info("docusign.token_fetched", expires_in_seconds=grant.expires_in)
        return GrantedToken(grant.access_token, grant.expires_in)

    def _ask(self, form: Mapping[str, str]) -> dict[str, Any]:
        # Once: the call that needs the token is retried by its own rules, and retries within retries multiply.
        try:
            return json_object(self._edge.write("POST", "/oauth/token", data=form), SYSTEM)
        except OutcomeUnknown as error:
            raise RetryLater(str(error), cause=error.cause) from None

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

    def _misconfigured(self, answer: Mapping[str, Any]) -> Misconfigured:
        """Why the vendor gives no token. ``consent_required`` is not verified against the vendor."""
        code = str(answer["error"])
        if code == "consent_required":
            return Misconfigured(
                "DocuSign sign-in: the API user has not yet consented to the integration key; let the user or an administrator open "
                f"{self._settings.auth_server}oauth/auth?response_type=code&scope=signature%20impersonation"
                f"&client_id={self._settings.integration_key}&redirect_uri=<a redirect URI of the app> once, then replay",
                cause="consent_required",
                field="user_id",
            )
        shown = code if re.fullmatch(r"[a-z_]{1,64}", code) else "an unknown error"
        return Misconfigured(
            f"DocuSign sign-in: {shown}; check integration_key, user_id, private_key and auth_server",
            cause="token_refused",
            field="integration_key",
        )


def _verdict(response: httpx.Response) -> Verdict:
    # The token endpoint answers errors with 400 or 401 and a JSON object (RFC 6749 §5.2), which is read as an answer.
    return Verdict.OK if response.status_code in {400, 401} else verdict_by_status(response)
