"""Gusto's access tokens: a company's, renewed with a refresh token that changes with each use, and the application's own.

Gusto replaces the refresh token whenever it is used (not verified against the vendor), so the new one must outlive this process and be
the same for all processes: it is kept in a ``CredentialStore``, together with its access token. Whoever finds that another process
has renewed takes over its access token instead of spending the refresh token again; nobody knows here whether a renewal ends the access
tokens that were given out before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.gusto.records import Token, parse
from connectors.gusto.settings import GustoSettings
from connectors.http import HttpEdge, Verdict, verdict_by_status
from connectors.tokens import GrantedToken, TokenCache, TokenEndpoint
from workforce.errors import Misconfigured, OutcomeUnknown, RetryLater
from workforce.ports import CredentialStore, HeldCredential

log = structlog.get_logger(__name__)

RENEW_BEFORE_SECONDS = 120.0


class InProcessCredentials:
    """The ``CredentialStore`` of one client whose credential nobody else keeps: good until this process stops.

    Afterwards a company administrator has to authorise the hub again. Not locked: the client's ``TokenCache`` is.
    """

    def __init__(self) -> None:
        self._newest: str | None = None

    @contextmanager
    def exclusively(self, seed: str) -> Iterator[HeldCredential]:
        """Itself: a client has one seed."""
        del seed
        yield self

    def newest(self) -> str | None:
        """What this process kept last."""
        return self._newest

    def replace(self, used: str | None, fresh: str) -> None:
        """Remember ``fresh``."""
        if used == self._newest:
            self._newest = fresh


class _Grant(BaseModel):
    """What is kept. ``expires_at`` is in Unix seconds, of the access token."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    expires_at: float


def grant_verdict(response: httpx.Response) -> Verdict:
    """OAuth 2 refuses a grant with 400 (RFC 6749 §5.2), or 401 for the client: both need an administrator."""
    verdict = verdict_by_status(response)
    return Verdict.UNAUTHENTICATED if verdict is Verdict.REFUSED else verdict


class RenewedAccess:
    """The ``Authorization`` of one company; ``headers`` and ``rejected`` are those of its ``TokenCache``.

    ``seed`` is the configured refresh token: the first one. ``now`` gives Unix seconds, ``monotonic`` seconds of any origin.
    """

    def __init__(
        self,
        edge: HttpEdge,
        client_id: str,
        client_secret: str,
        *,
        seed: str,
        credentials: CredentialStore,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._edge, self._seed, self._credentials, self._now = edge, seed, credentials, now
        self._client = {"client_id": client_id, "client_secret": client_secret, "grant_type": "refresh_token"}
        self._used_up: str | None = None  # the access token that the cache had last: stale, or rejected
        self._unkept: tuple[str | None, str] | None = None
        tokens = TokenCache(self._renew, early_seconds=RENEW_BEFORE_SECONDS, clock=monotonic)
        self.headers, self.rejected = tokens.authorize, tokens.renew

    def _renew(self) -> GrantedToken:
        self._keep_what_is_unkept()
        with self._credentials.exclusively(self._seed) as held:
            kept = held.newest()
            grant = _read(kept) if kept is not None else None
            if grant is None or not self._is_good(grant):
                grant = self._spend(grant.refresh_token if grant else self._seed)
                self._unkept = kept, grant.model_dump_json()
                held.replace(*self._unkept)
        self._unkept, self._used_up = None, grant.access_token
        return GrantedToken(grant.access_token, grant.expires_at - self._now())

    def _keep_what_is_unkept(self) -> None:
        """The store may go away between Gusto's answer and the commit; the only good refresh token is here then."""
        if self._unkept is not None:
            with self._credentials.exclusively(self._seed) as held:
                held.replace(*self._unkept)
            self._unkept = None

    def _is_good(self, grant: _Grant) -> bool:
        """Whether another process renewed since we last did, and not too long ago."""
        return grant.access_token != self._used_up and grant.expires_at - self._now() > RENEW_BEFORE_SECONDS

    def _spend(self, refresh_token: str) -> _Grant:
        try:
            response = self._edge.write("POST", "/oauth/token", json={**self._client, "refresh_token": refresh_token})
            token = parse(Token, response.json())
        except (OutcomeUnknown, ValueError):  # the business call itself was not sent
            raise RetryLater("gusto: no usable answer from /oauth/token", cause="token_unavailable") from None
        except Misconfigured:
            raise Misconfigured(
                "gusto: the refresh token is not accepted; authorise the hub again in Gusto and enter the new refresh_token",
                cause="unauthenticated",
                field="refresh_token",
            ) from None
        log.info("gusto.token_renewed", seconds=token.expires_in)
        return _Grant(
            access_token=token.access_token,
            refresh_token=token.refresh_token or refresh_token,
            expires_at=self._now() + token.expires_in,
        )


class SystemAccess:
    """The ``Authorization`` of the application itself (grant system_access); ``headers`` and ``rejected`` are its ``TokenCache``'s.

    ``to_vendor`` is how the client reaches Gusto: reach and headers.
    """

    def __init__(self, settings: GustoSettings, to_vendor: Mapping[str, Any]) -> None:
        secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
        self._form = {"client_id": settings.client_id, "client_secret": secret, "grant_type": "system_access"}
        self._endpoint = TokenEndpoint(settings.base_url, "gusto", field="client_secret", **to_vendor)
        tokens = TokenCache(self._fetch)
        self.headers, self.rejected = tokens.authorize, tokens.renew

    def close(self) -> None:
        """Close the pooled connections."""
        self._endpoint.close()

    def _fetch(self) -> GrantedToken:
        return self._endpoint.grant("/oauth/token", json=self._form)


def _read(kept: str) -> _Grant:
    try:
        return _Grant.model_validate_json(kept)
    except ValidationError:
        raise Misconfigured(
            "gusto: what is kept of the refresh token is not readable; authorise the hub again in Gusto and enter the new refresh_token",
            cause="kept_credential_unreadable",
            field="refresh_token",
        ) from None
