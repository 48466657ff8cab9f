"""The settings form of a Gusto instance."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings
from connectors.forms import HttpsOrigin, Uuid


class GustoSettings(ConnectorSettings):
    """One company at Gusto, through an application that the company has authorised.

    Give either ``access_token``, renewed from outside (a token lives two hours), or ``refresh_token``, renewed by the hub, which keeps
    what follows it (see ``connectors.wire.rotation``). ``client_id`` and ``client_secret`` belong to the latter; beside ``access_token``
    they open what is the application's own: events and webhook subscriptions. Contractors are reached with company-level tokens only.
    """

    base_url: HttpsOrigin = Field(description="https://api.gusto.com, or https://api.gusto-demo.com for trials")
    company_uuid: Uuid
    edition: Literal["app_integrations", "embedded"] = Field(
        default="app_integrations",
        description="embedded has dated terminations and payment groups; it needs another agreement with Gusto",
    )
    api_version: Literal["2025-06-15", "2026-06-15"] | None = Field(
        default=None, description="sent as X-Gusto-API-Version; by default that of the edition's description"
    )
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

    @property
    def sent_version(self) -> str:
        """The API version that goes with each request."""
        return self.api_version or ("2026-06-15" if self.edition == "embedded" else "2025-06-15")

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Self:
        has_client = self.client_id is not None and self.client_secret is not None
        has_half_a_client = (self.client_id is None) != (self.client_secret is None)
        is_one_kind = (self.access_token is None) != (self.refresh_token is None)
        if has_half_a_client or not is_one_kind or (self.refresh_token is not None and not has_client):
            raise PydanticCustomError(
                "credentials", "give either access_token, or client_id, client_secret and refresh_token together"
            )
        return self
