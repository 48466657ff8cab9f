"""Gusto's company-level access tokens, renewed with a refresh token that changes with each use.

Gusto replaces the refresh token whenever it is used (not verified against the vendor), so the new one must outlive this process and
be the same for all processes. A connector writes no ledger; whoever builds the client may pass a ``RefreshTokens`` that stores it.
Without one the newest token is kept in this process only: good for one process until it stops, after which a company administrator has
to authorise the hub again. Several processes then need ``access_token``, renewed from outside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import httpx
import structlog

from connectors.gusto.records import Token, parse
from connectors.http import HttpEdge, Verdict, verdict_by_status
from connectors.tokens import GrantedToken, TokenCache
from workforce.errors import Misconfigured, OutcomeUnknown, RetryLater

log = structlog.get_logger(__name__)

RENEW_BEFORE_SECONDS = 120.0


class RefreshTokens(Protocol):
    """Where a company's newest refresh token is kept."""

    def newest(self) -> str:
        """The refresh token to use next."""
        ...

    def replace(self, used: str, fresh: str) -> None:
        """Keep ``fresh`` instead of ``used``, durably, before anything else happens."""
        ...


class InProcessRefreshTokens:
    """Keeps the newest refresh token in this process only."""

    def __init__(self, first: str) -> None:
        self._token = first

    def newest(self) -> str:
        """The newest token that this process has seen."""
        return self._token

    def replace(self, used: str, fresh: str) -> None:
        """Remember ``fresh``."""
        del used
        self._token = fresh


def grant_verdict(response: httpx.Response) -> Verdict:
    """OAuth 2 refuses a grant with 400 (RFC 6749 §5.2), or 401 for the client: both need an administrator."""
    verdict = verdict_by_status(response)
    return Verdict.UNAUTHENTICATED if verdict is Verdict.REFUSED else verdict


class RenewedAccess:
    """The ``Authorization`` of one company; ``headers`` and ``rejected`` are those of its ``TokenCache``."""

    def __init__(
        self,
        edge: HttpEdge,
        client_id: str,
        client_secret: str,
        refresh_tokens: RefreshTokens,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._edge, self._refresh_tokens = edge, refresh_tokens
        self._client = {"client_id": client_id, "client_secret": client_secret, "grant_type": "refresh_token"}
        tokens = TokenCache(self._renew, early_seconds=RENEW_BEFORE_SECONDS, clock=monotonic)
        self.headers, self.rejected = tokens.authorize, tokens.renew

    def _renew(self) -> GrantedToken:
        used = self._refresh_tokens.newest()
        try:
            response = self._edge.write("POST", "/oauth/token", json={**self._client, "refresh_token": used})
            token = parse(Token, response.json())
        except (OutcomeUnknown, ValueError):  # the business call itself was not sent
            raise RetryLater("gusto: no usable answer from /oauth/token", cause="token_unavailable") from None
        except Misconfigured:
            raise Misconfigured(
                "gusto: the refresh token is not accepted; authorise the hub again in Gusto and enter the new refresh_token",
                cause="unauthenticated",
                field="refresh_token",
            ) from None
        if token.refresh_token:
            self._refresh_tokens.replace(used, token.refresh_token)
        log.info("gusto.token_renewed", seconds=token.expires_in)
        return GrantedToken(token.access_token, token.expires_in)
