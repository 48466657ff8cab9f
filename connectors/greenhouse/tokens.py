"""Greenhouse's client credentials grant: HTTP Basic, a form body, and an expiry told in one of three ways."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, ValidationError

from connectors.contract import Surroundings
from connectors.greenhouse.settings import GreenhouseSettings
from connectors.tokens import GrantedToken, TokenCache, TokenEndpoint
from workforce.errors import RetryLater

log = structlog.get_logger(__name__)

UNTOLD_LIFETIME_SECONDS = 600.0
SHORTEST_LIFETIME_SECONDS = 60.0  # where our clock disagrees with expires_at; a token that is refused is renewed anyway


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Grant(BaseModel):
    access_token: Annotated[str, StringConstraints(min_length=1, max_length=16384, pattern=r"^[\x21-\x7e]+$")]
    expires_in: Annotated[float, Field(gt=0, le=366 * 86400)] | None = None
    expires_at: AwareDatetime | None = None
    expires: AwareDatetime | None = None

    def lifetime_seconds(self, now: datetime) -> float:
        """How long the token is good: ``expires_in`` before ``expires_at`` before ``expires``."""
        if self.expires_in is not None:
            return self.expires_in
        end = self.expires_at or self.expires
        return UNTOLD_LIFETIME_SECONDS if end is None else max((end - now).total_seconds(), SHORTEST_LIFETIME_SECONDS)


class Access:
    """The ``Authorization`` of one integration; ``headers`` and ``rejected`` are those of its ``TokenCache``."""

    def __init__(self, settings: GreenhouseSettings, around: Surroundings, now: Callable[[], datetime] = _utc_now) -> None:
        basic = base64.b64encode(f"{settings.client_id}:{settings.client_secret.get_secret_value()}".encode()).decode()
        self._headers = {"Authorization": f"Basic {basic}"}
        self._form = {"grant_type": "client_credentials", **({"sub": settings.sub} if settings.sub else {})}
        self._now = now
        self._endpoint = TokenEndpoint(settings.auth_url, "greenhouse", around.reach(settings), field="client_secret")
        tokens = TokenCache(self._fetch)
        self.headers, self.rejected = tokens.authorize, tokens.renew

    def close(self) -> None:
        """Close the pooled connections."""
        self._endpoint.close()

    def _fetch(self) -> GrantedToken:
        answer = self._endpoint.ask("/token", data=self._form, headers=self._headers)
        if "access_token" not in answer:
            raise self._endpoint.refused({"error": answer.get("error", "no_token_given")})
        grant = _read(answer)
        lifetime = grant.lifetime_seconds(self._now())
        log.info("greenhouse.token_fetched", seconds=round(lifetime))
        return GrantedToken(grant.access_token, lifetime)


def _read(answer: Mapping[str, Any]) -> _Grant:
    try:
        return _Grant.model_validate(answer)
    except ValidationError:
        raise RetryLater("greenhouse sign-in: the answer holds no usable token", cause="unreadable_answer") from None
