"""Access tokens for the app itself (OAuth 2.0 client credentials, RFC 6749 §4.4), by way of msal."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import msal

from connectors.contract import Surroundings
from connectors.http import GuardedTransport, retry_after_seconds, tls_context
from connectors.msgraph.settings import PUBLIC_AUTHORITY, MsGraphSettings
from connectors.network import Reach
from workforce.errors import Misconfigured, RetryLater

_PUBLIC_HOSTS = frozenset({urlsplit(PUBLIC_AUTHORITY).hostname, "login.microsoftonline.us", "login.partner.microsoftonline.cn"})
_FIELDS = {"invalid_client": "client_secret", "unauthorized_client": "client_id", "invalid_tenant": "tenant_id"}


class AppTokens:
    """The app's token, cached by msal until shortly before it expires. One thread at a time fetches a new one.

    msal costs about 0.1 s to import and asks for the authority's metadata when it is built, so it is built on first use.
    """

    def __init__(self, settings: MsGraphSettings, around: Surroundings) -> None:
        self._settings = settings
        self._http = _TokenHttp(around.reach(settings))
        self._lock = threading.Lock()
        self._app: Any = None
        self._current = ""
        self._used = threading.local()

    def headers(self) -> Mapping[str, str]:
        """The Authorization header. Raises ``Misconfigured`` for refused credentials, ``RetryLater`` for an unreachable authority."""
        with self._lock:
            self._current = self._used.token = self._token()
        return {"Authorization": f"Bearer {self._current}"}

    def forget(self) -> None:
        """Drop the token that this thread used last, unless another thread has replaced it already."""
        with self._lock:
            if self._app is not None and self._current == getattr(self._used, "token", None):
                self._app.remove_tokens_for_client()
                self._current = ""

    def close(self) -> None:
        """Close the connections to the authority."""
        self._http.close()

    def _token(self) -> str:
        if self._app is None:
            self._app = self._built()
        answer = self._app.acquire_token_for_client(scopes=[f"{self._settings.graph_url}/.default"])
        if "access_token" not in answer:
            raise _no_token(answer)
        return str(answer["access_token"])

    def _built(self) -> Any:
        settings = self._settings
        try:
            return msal.ConfidentialClientApplication(
                settings.client_id,
                authority=f"{settings.authority}/{settings.tenant_id}",
                client_credential=settings.client_secret.get_secret_value(),
                instance_discovery=None if urlsplit(settings.authority).hostname in _PUBLIC_HOSTS else False,
                http_client=self._http,
            )
        except (ValueError, KeyError):
            raise Misconfigured(
                f"msgraph: {settings.authority} knows no tenant {settings.tenant_id}; check tenant_id and authority",
                cause="unknown_tenant",
                field="tenant_id",
            ) from None


class _TokenHttp:
    """The HTTP client that msal is given: our trust store, our deadline, no proxy from the environment, errors in our taxonomy.

    msal's own, ``requests``, lets REQUESTS_CA_BUNDLE overrule a given CA, and msal logs unreadable answers in full.
    """

    def __init__(self, reach: Reach) -> None:
        transport = GuardedTransport(reach.network, tls_context(reach.ca_file))
        self._client = httpx.Client(transport=transport, timeout=reach.timeout_seconds, trust_env=False, follow_redirects=False)

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        return self._send("GET", url, params=params or None, headers=headers)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        return self._send("POST", url, params=params or None, data=data, headers=headers)

    def close(self) -> None:
        self._client.close()

    def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            response = self._client.request(method, url, **request)
        except httpx.HTTPError as error:
            raise RetryLater(f"msgraph: no answer from the authority: {type(error).__name__}", cause="no_token") from None
        if response.status_code == 429 or response.status_code >= 500:
            after = retry_after_seconds(response.headers.get("retry-after"))
            raise RetryLater(f"msgraph: the authority answered {response.status_code}", cause="no_token", after_seconds=after)
        if not _is_json_object(response):
            raise RetryLater("msgraph: the authority's answer is not readable", cause="no_token")
        return response


def _is_json_object(response: httpx.Response) -> bool:
    try:
        return isinstance(response.json(), dict)
    except (ValueError, RecursionError):
        return False


def _no_token(answer: Mapping[str, Any]) -> Misconfigured | RetryLater:
    error = str(answer.get("error", "no reason given"))
    trace = f"(correlation id {answer.get('correlation_id', 'none')})"
    if error == "temporarily_unavailable":
        return RetryLater(f"msgraph: no token: {error} {trace}", cause="no_token")
    return Misconfigured(
        f"msgraph: no token: {error} {trace}; check tenant_id, client_id and client_secret, and whether the secret has expired",
        cause="no_token",
        field=_FIELDS.get(error),
    )
