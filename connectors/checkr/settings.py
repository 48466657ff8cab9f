"""The settings form of a Checkr instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from connectors.contract import ConnectorSettings
from connectors.forms import HttpsOrigin


class CheckrSettings(ConnectorSettings):
    """One Checkr account, reached with its API secret key, which signs its webhooks as well."""

    base_url: HttpsOrigin = Field(default="https://api.checkr.com", description="https://api.checkr-staging.com for trials")
    api_key: SecretStr = Field(min_length=1, description="secret key")
    webhook_keys: tuple[Annotated[SecretStr, Field(min_length=1)], ...] = Field(
        default=(), description="further keys that may sign webhooks: the old or the next api_key, a partner's client secret"
    )
    node: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="custom_id of the node in the account's hierarchy that orders are made for"
    )
    look_back_days: int = Field(
        default=90, ge=1, le=366, description="how long after its start an order is looked at for lost webhooks"
    )
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")
