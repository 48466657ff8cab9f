"""Access tokens that are renewed with a refresh token which changes with each use (RFC 9700 §4.14.2).

The new refresh token must outlive this process and be the same for all processes: it is kept in a ``CredentialStore``, together with its
access token. Whoever finds that another process has renewed takes over its access token instead of spending the refresh token again;
nobody knows here whether a renewal ends the access tokens that were given out before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.wire.tokens import AccessGrant, GrantedToken, TokenCache
from workforce.errors import Misconfigured, RetryLater
from workforce.ports import CredentialStore, HeldCredential

log = structlog.get_logger(__name__)

RENEW_BEFORE_SECONDS = 120.0


class InProcessCredentials:
    """The ``CredentialStore`` of one client whose credential nobody else keeps: good until this process stops.

    Afterwards an administrator has to authorise the hub again. Not locked: the client's ``TokenCache`` is.
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

    refresh_token: str | None = Field(default=None, min_length=1)


class _Kept(BaseModel):
    """What is kept. ``expires_at`` is in Unix seconds, of the access token."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    expires_at: float


class RotatingAccess:
    """The ``Authorization`` of one instance; ``authorize`` and ``renew`` are those of its ``TokenCache``.

    ``spend`` sends a refresh token to the vendor's token endpoint (RFC 6749 §6) and gives its answer. ``seed`` is the configured refresh
    token: the first one. ``lifetime_seconds`` is that of access tokens that come without one. ``now`` gives Unix seconds, ``monotonic``
    seconds of any origin.
    """

    def __init__(
        self,
        system: str,
        spend: Callable[[str], Mapping[str, Any]],
        *,
        seed: str,
        credentials: CredentialStore,
        lifetime_seconds: float,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._system, self._spend, self._lifetime_seconds = system, spend, lifetime_seconds
        self._seed, self._credentials, self._now = seed, credentials, now
        self._used_up: str | None = None  # the access token that the cache had last: stale, or rejected
        self._unkept: tuple[str | None, str] | None = None
        tokens = TokenCache(self._granted, early_seconds=RENEW_BEFORE_SECONDS, clock=monotonic)
        self.authorize, self.renew = tokens.authorize, tokens.renew

    def _granted(self) -> GrantedToken:
        self._keep_what_is_unkept()
        with self._credentials.exclusively(self._seed) as held:
            newest = held.newest()
            kept = self._read(newest) if newest is not None else None
            if kept is None or not self._is_good(kept):
                kept = self._renewed(kept.refresh_token if kept else self._seed)
                self._unkept = newest, kept.model_dump_json()
                held.replace(*self._unkept)
        self._unkept, self._used_up = None, kept.access_token
        return GrantedToken(kept.access_token, kept.expires_at - self._now())

    def _keep_what_is_unkept(self) -> None:
        """The store may go away between the vendor's answer and the commit; the only good refresh token is here then."""
        if self._unkept is not None:
            with self._credentials.exclusively(self._seed) as held:
                held.replace(*self._unkept)
            self._unkept = None

    def _is_good(self, kept: _Kept) -> bool:
        """Whether another process renewed since we last did, and not too long ago."""
        return kept.access_token != self._used_up and kept.expires_at - self._now() > RENEW_BEFORE_SECONDS

    def _renewed(self, refresh_token: str) -> _Kept:
        answer = self._spend(refresh_token)
        if "access_token" not in answer:
            raise self._authorise_again("the refresh token is not accepted", cause="unauthenticated")
        try:
            given = _Given.model_validate({"expires_in": self._lifetime_seconds, **answer})
        except ValidationError:
            message = f"{self._system}: the answer to a renewal holds no usable token"
            raise RetryLater(message, cause="unreadable_answer") from None
        log.info("credentials.renewed", system=self._system, seconds=given.expires_in)
        return _Kept(
            access_token=given.access_token,
            refresh_token=given.refresh_token or refresh_token,
            expires_at=self._now() + given.expires_in,
        )

    def _read(self, kept: str) -> _Kept:
        try:
            return _Kept.model_validate_json(kept)
        except ValidationError:
            told = "what is kept of the refresh token is not readable"
            raise self._authorise_again(told, cause="kept_credential_unreadable") from None

    def _authorise_again(self, told: str, *, cause: str) -> Misconfigured:
        message = f"{self._system}: {told}; authorise the hub again with the vendor and enter the new refresh_token"
        return Misconfigured(message, cause=cause, field="refresh_token")
