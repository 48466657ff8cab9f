"""Gusto's access tokens of a company, renewed with a refresh token that changes with each use.

Gusto replaces the refresh token whenever it is used (not verified against the vendor), so the new one must outlive this process and be
the same for all processes: it is kept in a ``CredentialStore``, together with its access token. Whoever finds that another process
has renewed takes over its access token instead of spending the refresh token again; nobody knows here whether a renewal ends the access
tokens that were given out before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.tokens import AccessGrant, GrantedToken, TokenCache, TokenEndpoint
from workforce.errors import Misconfigured, RetryLater
from workforce.ports import CredentialStore, HeldCredential

log = structlog.get_logger(__name__)

PATH = "/oauth/token"
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


class _Given(AccessGrant):
    """What a renewal answers. ``refresh_token`` replaces the one that was used."""

    expires_in: float = Field(default=7200, gt=0, le=366 * 86400)
    refresh_token: str | None = Field(default=None, min_length=1)


class _Kept(BaseModel):
    """What is kept. ``expires_at`` is in Unix seconds, of the access token."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    expires_at: float


class RenewedAccess:
    """The ``Authorization`` of one company; ``headers`` and ``rejected`` are those of its ``TokenCache``.

    ``client`` is ``client_id`` and ``client_secret``, ``seed`` the configured refresh token: the first one. ``now`` gives Unix seconds,
    ``monotonic`` seconds of any origin.
    """

    def __init__(
        self,
        endpoint: TokenEndpoint,
        client: Mapping[str, str],
        *,
        seed: str,
        credentials: CredentialStore,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint, self._client, self._seed, self._credentials, self._now = endpoint, client, seed, credentials, now
        self._used_up: str | None = None  # the access token that the cache had last: stale, or rejected
        self._unkept: tuple[str | None, str] | None = None
        tokens = TokenCache(self._renew, early_seconds=RENEW_BEFORE_SECONDS, clock=monotonic)
        self.headers, self.rejected = tokens.authorize, tokens.renew

    def _renew(self) -> GrantedToken:
        self._keep_what_is_unkept()
        with self._credentials.exclusively(self._seed) as held:
            newest = held.newest()
            kept = _read(newest) if newest is not None else None
            if kept is None or not self._is_good(kept):
                kept = self._spend(kept.refresh_token if kept else self._seed)
                self._unkept = newest, kept.model_dump_json()
                held.replace(*self._unkept)
        self._unkept, self._used_up = None, kept.access_token
        return GrantedToken(kept.access_token, kept.expires_at - self._now())

    def _keep_what_is_unkept(self) -> None:
        """The store may go away between Gusto's answer and the commit; the only good refresh token is here then."""
        if self._unkept is not None:
            with self._credentials.exclusively(self._seed) as held:
                held.replace(*self._unkept)
            self._unkept = None

    def _is_good(self, kept: _Kept) -> bool:
        """Whether another process renewed since we last did, and not too long ago."""
        return kept.access_token != self._used_up and kept.expires_at - self._now() > RENEW_BEFORE_SECONDS

    def _spend(self, refresh_token: str) -> _Kept:
        answer = self._endpoint.ask(PATH, json={**self._client, "grant_type": "refresh_token", "refresh_token": refresh_token})
        if "access_token" not in answer:
            raise _authorise_again("the refresh token is not accepted", cause="unauthenticated")
        try:
            given = _Given.model_validate(answer)
        except ValidationError:
            raise RetryLater("gusto: the answer of /oauth/token holds no usable token", cause="unreadable_answer") from None
        log.info("gusto.token_renewed", seconds=given.expires_in)
        return _Kept(
            access_token=given.access_token,
            refresh_token=given.refresh_token or refresh_token,
            expires_at=self._now() + given.expires_in,
        )


def _read(kept: str) -> _Kept:
    try:
        return _Kept.model_validate_json(kept)
    except ValidationError:
        raise _authorise_again("what is kept of the refresh token is not readable", cause="kept_credential_unreadable") from None


def _authorise_again(told: str, *, cause: str) -> Misconfigured:
    message = f"gusto: {told}; authorise the hub again in Gusto and enter the new refresh_token"
    return Misconfigured(message, cause=cause, field="refresh_token")
