"""Access tokens for the app itself (OAuth 2.0 client credentials, RFC 6749 §4.4), by way of msal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import msal
from pydantic import ValidationError

from connectors.contract import Surroundings
from connectors.http import Dialect, HttpEdge, Verdict, json_object, verdict_by_status
from connectors.msgraph.settings import MsGraphSettings
from connectors.wire.network import Reach
from connectors.wire.tokens import AccessGrant, GrantedToken, TokenCache
from workforce.errors import Misconfigured, OutcomeUnknown, RetryLater

_SYSTEM = "msgraph sign-in"
_FIELDS = {"unauthorized_client": "client_id", "invalid_tenant": "tenant_id", "invalid_scope": "cloud"}


class AppTokens:
    """The app's token. ``cache`` keeps it; msal asks for it and signs the assertion where a certificate proves who we are.

    msal costs about 0.1 s to import and asks for the authority's metadata when it is built, so it is built on first use.
    """

    def __init__(self, settings: MsGraphSettings, around: Surroundings) -> None:
        self._settings = settings
        self._http = _AuthorityHttp(settings.login_origin, around.reach(settings))
        self._app: Any = None
        self.cache = TokenCache(self._granted)

    def close(self) -> None:
        """Close the connections to the authority."""
        self._http.close()

    def _granted(self) -> GrantedToken:
        """A new token. Raises ``Misconfigured`` for refused credentials, ``RetryLater`` for an unreachable authority."""
        if self._app is None:
            self._app = self._built()
        self._app.remove_tokens_for_client()  # we are only asked when msal's own would not do
        try:
            answer = self._app.acquire_token_for_client(scopes=[self._settings.scope])
            if "error" in answer:
                raise self._refused(answer)
            given = AccessGrant.model_validate(answer)
        except (ValidationError, ValueError, TypeError):
            raise RetryLater(f"{_SYSTEM}: the answer holds no usable token", cause="no_token") from None
        return GrantedToken(given.access_token, given.expires_in)

    def _built(self) -> Any:
        settings = self._settings
        try:
            return msal.ConfidentialClientApplication(
                settings.client_id,
                authority=f"{settings.login_origin}/{settings.tenant_id}",
                client_credential=_credential(settings),
                instance_discovery=False,  # the authority is known; msal would ask the global cloud about it
                azure_region=False,  # None lets an environment variable choose
                http_client=self._http,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
            raise Misconfigured(
                f"{_SYSTEM}: {settings.login_origin} knows no tenant {settings.tenant_id}; check tenant_id, cloud and authority",
                cause="unknown_tenant",
                field="tenant_id",
            ) from None

    def _refused(self, answer: Mapping[str, Any]) -> Misconfigured | RetryLater:
        error = str(answer["error"])
        trace = f"(correlation id {answer.get('correlation_id', 'none')})"
        if error == "temporarily_unavailable":
            return RetryLater(f"{_SYSTEM}: no token: {error} {trace}", cause="no_token")
        proof = "client_secret" if self._settings.client_secret else "private_key"
        return Misconfigured(
            f"{_SYSTEM}: no token: {error} {trace}; check tenant_id, client_id and {proof}, and whether it has expired",
            cause="no_token",
            field=proof if error == "invalid_client" else _FIELDS.get(error),
        )


def _credential(settings: MsGraphSettings) -> object:
    """What msal calls client_credential. With the certificate it signs PS256 and names it by SHA-256, else RS256 and SHA-1."""
    if settings.private_key is None:
        return settings.client_secret.get_secret_value() if settings.client_secret else None
    key = {"private_key": settings.private_key.get_secret_value()}
    if settings.certificate is not None:
        return {**key, "public_certificate": settings.certificate}
    return {**key, "thumbprint": settings.certificate_thumbprint}


class _AuthorityHttp:
    """The HTTP client that msal is given: our trust store, deadline and reach, this authority's host alone, errors in our taxonomy.

    msal's own, ``requests``, lets REQUESTS_CA_BUNDLE overrule a given CA, and msal logs unreadable answers in full.
    """

    def __init__(self, origin: str, reach: Reach) -> None:
        self._edge = HttpEdge(origin, Dialect(_SYSTEM, verdict=_verdict), reach=reach)
        self.close = self._edge.close

    def get(self, url: str, **request: Any) -> httpx.Response:
        return self._send("GET", url, request)

    def post(self, url: str, *, data: Mapping[str, object], **request: Any) -> httpx.Response:
        # msal gives the assertion as bytes, which httpx would write as Python does: b'…'
        form = {name: value.decode() if isinstance(value, bytes) else value for name, value in data.items()}
        return self._send("POST", url, {**request, "data": form})

    def _send(self, method: str, url: str, request: Mapping[str, Any]) -> httpx.Response:
        """Once: the call that needs the token has retries of its own."""
        try:
            response = self._edge.write(method, url, **request)
            json_object(response, _SYSTEM)
        except OutcomeUnknown as error:
            raise RetryLater(str(error), cause="no_token") from None
        return response


def _verdict(response: httpx.Response) -> Verdict:
    """Refusals are answers (RFC 6749 §5.2), which msal reads."""
    verdict = verdict_by_status(response)
    return Verdict.OK if 400 <= response.status_code < 500 and verdict is not Verdict.THROTTLED else verdict
