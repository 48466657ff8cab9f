"""Greenhouse's client credentials grant: HTTP Basic, a form body, and an expiry told in one of three ways."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from connectors.contract import Surroundings
from connectors.greenhouse.settings import GreenhouseSettings
from connectors.tokens import TokenCache, TokenEndpoint

UNTOLD_LIFETIME_SECONDS = 600.0
SHORTEST_LIFETIME_SECONDS = 60.0  # where our clock disagrees with expires_at; a token that is refused is renewed anyway
LONGEST_LIFETIME_SECONDS = 86_400.0
_INSTANT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Access(TokenEndpoint):
    """The ``Authorization`` of one integration; ``headers`` and ``rejected`` are those of its ``TokenCache``."""

    def __init__(self, settings: GreenhouseSettings, around: Surroundings, now: Callable[[], datetime] = _utc_now) -> None:
        basic = base64.b64encode(f"{settings.client_id}:{settings.client_secret.get_secret_value()}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        super().__init__(settings.auth_url, "greenhouse", around.reach(settings), field="client_secret", headers=headers)
        form = {"grant_type": "client_credentials", **({"sub": settings.sub} if settings.sub else {})}
        tokens = TokenCache(lambda: self.grant("/token", data=form))
        self.headers, self.rejected, self._now = tokens.authorize, tokens.renew, now

    def ask(self, path: str, **request: Any) -> dict[str, Any]:
        """The answer as RFC 6749 has it: with ``error``, or with ``expires_in``, which Greenhouse may tell as an instant."""
        answer = super().ask(path, **request)
        if "access_token" not in answer:
            return {"error": answer.get("error", "no_token_given")}
        return answer if answer.get("expires_in") is not None else {**answer, "expires_in": self._lifetime_seconds(answer)}

    def _lifetime_seconds(self, answer: Mapping[str, Any]) -> float:
        """By ``expires_at`` before ``expires``."""
        try:
            end = _INSTANT.validate_python(answer.get("expires_at") or answer.get("expires"))
        except ValidationError:
            return UNTOLD_LIFETIME_SECONDS
        return min(max((end - self._now()).total_seconds(), SHORTEST_LIFETIME_SECONDS), LONGEST_LIFETIME_SECONDS)
