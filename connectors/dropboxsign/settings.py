"""The settings form of the Dropbox Sign connector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from connectors.contract import ConnectorSettings

HttpsAddress = Annotated[str, StringConstraints(pattern=r"^https://[^?#@\s]+[^?#@\s/]$")]
ApiKey = Annotated[SecretStr, Field(min_length=16)]


class DropboxSignSettings(ConnectorSettings):
    """One Dropbox Sign account, used with its API key."""

    base_url: HttpsAddress = Field(default="https://api.hellosign.com/v3", description="address of the API, with its version")
    api_key: ApiKey = Field(description="the account's primary API key; it signs the callbacks as well")
    earlier_api_keys: tuple[ApiKey, ...] = Field(
        default=(), max_length=8, description="primary keys that were replaced, as long as callbacks signed with them may arrive"
    )
    client_id: str | None = Field(
        default=None, min_length=1, max_length=100, description="API app whose branding and callback URL new requests use"
    )
    test_mode: bool = Field(default=False, description="new requests are tests and not legally binding")
    work_order_field: str = Field(
        default="stint_work_order",
        min_length=1,
        max_length=40,
        description="metadata key that holds the work order id; mappings see it as stint_work_order",
    )
    backfill_hours: float = Field(
        default=24.0,
        ge=0,
        le=168,
        description="how often all requests are listed for lost callbacks, which Dropbox Sign itself repeats for about 30 hours",
    )
    backfill_days: int = Field(default=365, ge=1, le=3660, description="requests sent longer ago are not among those listed")
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    ca_file: Path | None = Field(default=None, description="PEM file of authorities that replaces the system's trust store")
