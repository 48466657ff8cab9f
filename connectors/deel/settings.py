"""The settings form of a Deel organisation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from connectors.contract import ConnectorSettings

HttpsBase = Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9.\-]+(:\d{1,5})?(/[\w\-]+)*$")]
HeaderDate = Annotated[str, StringConstraints(pattern=r"^20\d\d-[01]\d-[0-3]\d$")]


class DeelSettings(ConnectorSettings):
    """One organisation, reached with an organisation token that may read and write contracts."""

    base_url: HttpsBase = Field(
        default="https://api.letsdeel.com/rest/v2", description="for trials: https://api-staging.letsdeel.com/rest/v2"
    )
    access_token: SecretStr = Field(min_length=8, description="organisation token")
    api_version: HeaderDate = Field(default="2026-01-01", description="sent as X-Version")
    webhook_signing_keys: tuple[Annotated[SecretStr, Field(min_length=8)], ...] = Field(
        default=(), max_length=8, description="signing_key of each active webhook; two while one is being replaced"
    )
    team_id: str | None = Field(default=None, min_length=1, max_length=64, description="read the contracts of this team only")
    reads_each_open_contract: bool = Field(
        default=True,
        description="Deel's list tells no rates: read each open contract at every poll. Without it such changes come by webhook only",
    )
    page_size: int = Field(default=50, ge=1, le=99)
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")
