"""The settings form of a Greenhouse instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings
from connectors.forms import HttpsOrigin

Visible = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$")]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]


class GreenhouseSettings(ConnectorSettings):
    """One Greenhouse organisation, reached with the client credentials of a custom integration (Harvest v3).

    An ATS hires employees as well: ``contractor_field`` and ``contractor_values`` say which hires are ours. Without them all are.
    """

    base_url: HttpsOrigin = "https://harvest.greenhouse.io"
    auth_url: HttpsOrigin = Field(default="https://auth.greenhouse.io", description="where tokens are given")
    client_id: Annotated[Visible, StringConstraints(pattern=r"^[^:]+$")]
    client_secret: SecretStr = Field(min_length=1)
    sub: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")] | None = Field(
        default=None,
        description="user id of a Site Admin who may manage offers, to act as that user; without it the integration acts as itself",
    )
    webhook_secrets: tuple[Annotated[SecretStr, Field(min_length=1)], ...] = Field(
        default=(), description="secret key of each active web hook"
    )
    contractor_field: Label | None = Field(
        default=None, description="key of a custom field of the offer, the job or the application"
    )
    contractor_values: frozenset[Label] = Field(
        default=frozenset(), description="values of contractor_field that mean a contractor"
    )
    changed_since: AwareDatetime | None = Field(
        default=None, description="the first reading leaves out what did not change since then; without it, it reads everything"
    )
    page_size: int = Field(default=100, ge=1, le=500)
    overlap_seconds: int = Field(
        default=300, ge=0, le=3600, description="how far before the last reading's start the next one looks again"
    )
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")

    @model_validator(mode="after")
    def _field_and_values_together(self) -> Self:
        if (self.contractor_field is None) != (not self.contractor_values):
            raise PydanticCustomError("contractors", "give contractor_field and contractor_values together, or neither")
        return self
