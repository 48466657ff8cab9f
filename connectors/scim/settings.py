"""The settings form of a SCIM 2.0 target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import httpx
from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings


def _sendable(url: str) -> str:
    """An address with a host and a port that can be called."""
    try:
        is_one = (httpx.URL(url).port or 0) < 2**16
    except httpx.InvalidURL:
        is_one = False
    if not is_one:
        raise PydanticCustomError("url", "must be an address with a host that can be called")
    return url.rstrip("/")


HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https://[^/?#@\s]+(/[^?#\s]*)?$"), AfterValidator(_sendable)]
AttributePath = Annotated[str, StringConstraints(pattern=r"^urn:[\w.:-]+:[A-Za-z][\w-]*$")]


class ScimSettings(ConnectorSettings):
    """One service provider (RFC 7644), and what of it the RFC leaves open.

    Give one kind of credentials: ``token``, or ``username`` and ``password``, or ``token_url``, ``client_id`` and ``client_secret``.
    """

    base_url: HttpsUrl = Field(description="where /Users and /Groups lie, such as https://app.example/scim/v2")
    token: SecretStr | None = Field(default=None, description="bearer token (RFC 6750)")
    username: str | None = Field(default=None, pattern=r"^[^:]+$")
    password: SecretStr | None = None
    token_url: HttpsUrl | None = Field(default=None, description="token endpoint for client credentials (RFC 6749 §4.4)")
    client_id: str | None = None
    client_secret: SecretStr | None = None
    scope: str | None = None
    marker_attribute: Literal["externalId", "employeeNumber"] = Field(
        default="externalId", description="what carries our marker; employeeNumber is that of the enterprise extension"
    )
    expiry_attribute: AttributePath | None = Field(
        default=None, description="dateTime attribute of an extension that the target ends access by: SCIM itself has none"
    )
    patch: bool = Field(
        default=True, description="false where the target has no PATCH: resources are replaced whole, by their version"
    )
    password_on_create: bool = Field(
        default=False, description="true where the target wants a password for a new account: a random one"
    )
    tells_changes: bool = Field(
        default=False, description="true where the target filters by meta.lastModified: later readings give what changed"
    )
    page_size: int = Field(default=100, ge=2, le=1000)
    max_pages: int = Field(default=1000, ge=1, description="of one list; more is taken for a fault of the target")
    protected_user_ids: frozenset[str] = Field(default=frozenset(), description="accounts that automation never touches")
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Self:
        kinds: list[list[object]] = [
            [self.token],
            [self.username, self.password],
            [self.token_url, self.client_id, self.client_secret],
        ]
        given = [kind for kind in kinds if any(value is not None for value in kind)]
        if len(given) != 1 or None in given[0] or (self.scope is not None and self.token_url is None):
            raise PydanticCustomError(
                "credentials",
                "give token, or username and password, or token_url, client_id and client_secret; and only one of them",
            )
        return self
