"""The settings form of a Teams instance."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings

_WHOLE = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-\"$->@-~]*)?\?[!-\"$-~]+")


class TeamsSettings(ConnectorSettings):
    """One channel or chat, into which a workflow posts what its webhook is sent.

    In Teams: Workflows, "Send webhook alerts to a channel" (or to a chat). Whoever has the address can post, so it is a secret. The
    workflow belongs to a person: give it a co-owner, or it ends with that person's account.
    """

    webhook_url: SecretStr = Field(description="the address that the workflow shows, whole: https://…/workflows/…/invoke?…&sig=…")
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")

    @field_validator("webhook_url")
    @classmethod
    def _is_whole(cls, value: SecretStr) -> SecretStr:
        if not _WHOLE.fullmatch(value.get_secret_value()):
            raise PydanticCustomError(
                "webhook_url", "give the whole https address that the workflow shows, with what follows its ?"
            )
        return value

    @property
    def origin(self) -> str:
        """Where the webhook is, without what is secret."""
        parts = urlsplit(self.webhook_url.get_secret_value())
        return f"https://{parts.netloc}"

    @property
    def target(self) -> bytes:
        """The secret rest, as it goes over the wire."""
        parts = urlsplit(self.webhook_url.get_secret_value())
        return f"{parts.path or '/'}?{parts.query}".encode("ascii")
