"""The settings form of an Okta org."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings
from connectors.forms import RsaPrivateKey


def _origin(url: str) -> str:
    """Without a slash at its end. Raises ``ValueError`` where the port is none."""
    if urlsplit(url).port == 0:  # beyond 65535 it raises by itself
        raise PydanticCustomError("url", "must have a port that can be called")
    return url.rstrip("/")


HttpsOrigin = Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]+(:\d{1,5})?/?$"), AfterValidator(_origin)]
OktaId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,40}$")]


class OktaSettings(ConnectorSettings):
    """One org. Give either ``api_token``, or ``client_id`` and ``private_key`` of an API service app."""

    org_url: HttpsOrigin = Field(description="https://acme.okta.com, or the org's own domain")
    api_token: SecretStr | None = Field(default=None, min_length=1, description="token of an administrator (SSWS)")
    client_id: OktaId | None = Field(default=None, description="of an API service app with public key authentication")
    private_key: RsaPrivateKey | None = Field(
        default=None, description="RSA private key (PEM) whose public half is registered with the app"
    )
    key_id: str | None = Field(default=None, description="kid of that key, where the app has several")
    scopes: tuple[str, ...] = Field(
        default=("okta.users.read", "okta.users.manage", "okta.groups.manage"), min_length=1, description="granted to the app"
    )
    expiry_attribute: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$")] | None = Field(
        default=None, description="text attribute of the user profile for the end instant: Okta itself ends nobody's access by it"
    )
    protected_user_ids: frozenset[OktaId] = Field(default=frozenset(), description="accounts that automation never touches")
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Self:
        given = [value is not None for value in (self.client_id, self.private_key)]
        if all(given) == (self.api_token is not None) or any(given) != all(given):
            raise PydanticCustomError("credentials", "give either api_token, or client_id and private_key together")
        return self
