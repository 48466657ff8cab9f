"""The settings form of a BambooHR instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from connectors.contract import ConnectorSettings
from connectors.forms import HttpsOrigin

Status = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class BambooHrSettings(ConnectorSettings):
    """One BambooHR company, reached with an API key of a user who may see and edit every contractor."""

    base_url: HttpsOrigin = Field(description="https://{companyDomain}.bamboohr.com, without a path")
    api_key: SecretStr = Field(description="API key; sent as the user name of HTTP Basic with the password x")
    webhook_private_keys: tuple[SecretStr, ...] = Field(
        default=(), description="privateKey of each active webhook; BambooHR shows it once, when the webhook is created"
    )
    contractor_status: Status = Field(default="Contractor", description="option of the employmentStatus table while a stint runs")
    terminated_status: Status = Field(default="Terminated", description="option of the employmentStatus table that ends a stint")
    termination_columns: dict[str, str] = Field(
        default_factory=dict, description="further columns that this company requires in the row that ends a stint"
    )
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")
