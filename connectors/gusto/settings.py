"""The settings form of a Gusto instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings

HttpsOrigin = Annotated[str, StringConstraints(pattern=r"^https://[^/?#@\s]+$")]
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]


class GustoSettings(ConnectorSettings):
    """One company at Gusto, through an App Integration that the company has authorised.

    Give either ``access_token``, renewed from outside (a token lives two hours), or ``client_id``, ``client_secret`` and
    ``refresh_token``, renewed by the hub, which keeps what follows it (see ``connectors.gusto.tokens``). The ``system_access`` grant
    is of no use here: contractors are reached with company-level tokens only.
    """

    base_url: HttpsOrigin = Field(description="https://api.gusto.com, or https://api.gusto-demo.com for trials")
    company_uuid: Uuid
    api_version: Literal["2025-06-15"] = Field(default="2025-06-15", description="sent as X-Gusto-API-Version")
    access_token: SecretStr | None = Field(default=None, description="company-level token that somebody else renews")
    client_id: str | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = Field(
        default=None, description="what the authorisation gave; it changes with each use, and the hub keeps the newest"
    )
    webhook_verification_tokens: tuple[SecretStr, ...] = Field(
        default=(), description="verification_token of each active webhook subscription"
    )
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Self:
        given = [value is not None for value in (self.client_id, self.client_secret, self.refresh_token)]
        if all(given) == (self.access_token is not None) or any(given) != all(given):
            raise PydanticCustomError(
                "credentials", "give either access_token, or client_id, client_secret and refresh_token together"
            )
        return self
