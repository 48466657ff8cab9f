"""Assertions by which an application proves who it is with its own key (RFC 7523): as a grant (§2.1), or beside one (§2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

import jwt
from pydantic import SecretStr

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Assertion:
    """What is asserted, each time anew (RFC 7523 §3): ``issuer`` speaks for ``subject`` to ``audience``, for ``lifetime``.

    ``private_key`` is RSA in PEM form; ``key_id`` names it where an issuer has several. ``claims`` are further ones. With ``is_single_use``
    each has an identity of its own, so that nobody can use it again.
    """

    issuer: str
    subject: str
    audience: str
    private_key: SecretStr
    lifetime: timedelta = timedelta(minutes=5)
    key_id: str | None = None
    claims: Mapping[str, object] = field(default_factory=dict)
    is_single_use: bool = False

    def signed(self, now: datetime) -> str:
        """The assertion as it is sent, valid from ``now``."""
        claims = {"iss": self.issuer, "sub": self.subject, "aud": self.audience, "iat": now, "exp": now + self.lifetime}
        identity = {"jti": str(uuid4())} if self.is_single_use else {}
        headers = {"kid": self.key_id} if self.key_id else None
        key = self.private_key.get_secret_value()
        return jwt.encode({**claims, **identity, **self.claims}, key, algorithm="RS256", headers=headers)

    def as_grant(self, now: datetime) -> dict[str, str]:
        """The form fields of a token request that the assertion alone justifies (§2.1)."""
        return {"grant_type": JWT_BEARER, "assertion": self.signed(now)}

    def as_client(self, now: datetime) -> dict[str, str]:
        """The form fields that prove the client in a token request of any grant (§2.2), in place of a client secret."""
        return {"client_assertion_type": CLIENT_ASSERTION, "client_assertion": self.signed(now)}
