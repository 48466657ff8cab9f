"""The settings form of a Slack instance."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from connectors.contract import ConnectorSettings
from connectors.forms import HttpsOrigin


class SlackSettings(ConnectorSettings):
    """One workspace, reached with the bot token of an app that the workspace has installed.

    Scopes: chat:write; users:read.email and im:write for mail addresses; channels:read and groups:read for channel names; and
    channels:history, groups:history and im:history, unless ``look_back_hours`` is 0. The app has to be a member of its channels.
    """

    base_url: HttpsOrigin = Field(default="https://slack.com", description="https://slack.com, or https://slack-gov.com")
    bot_token: SecretStr = Field(description="the app's bot token, xoxb-…")
    look_back_hours: float = Field(
        default=24.0, ge=0, le=168, description="how far back a notice is looked for before it is sent; 0 sends without looking"
    )
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")
