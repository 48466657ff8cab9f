"""Access tokens: fetched once, not by each thread, kept until shortly before they expire, dropped when they are not accepted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

EARLY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class GrantedToken:
    """What a token endpoint gave (RFC 6749 §5.1)."""

    text: str
    lifetime_seconds: float


class TokenCache:
    """The bearer token of one instance. Thread-safe: many threads that find it stale or rejected cause one ``fetch``.

    A token is given up ``early_seconds`` before it expires, but never in the first half of its life. ``clock`` gives seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], GrantedToken],
        *,
        early_seconds: float = EARLY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._early_seconds, self._clock = fetch, early_seconds, clock
        self._lock = threading.Lock()
        self._token: GrantedToken | None = None
        self._stale_at = 0.0
        self._handed_out = threading.local()

    def authorize(self) -> Mapping[str, str]:
        """The header of the current token, fetched if there is none. Raises what ``fetch`` raises."""
        with self._lock:
            if self._token is None or self._clock() >= self._stale_at:
                self._token = self._fetch()
                lifetime = self._token.lifetime_seconds
                self._stale_at = self._clock() + max(lifetime - self._early_seconds, lifetime / 2)
            token = self._handed_out.token = self._token
        return {"Authorization": f"Bearer {token.text}"}

    def renew(self) -> None:
        """Drop the token that this thread last used, unless another thread has replaced it meanwhile."""
        with self._lock:
            if self._token is getattr(self._handed_out, "token", None):
                self._token = None
