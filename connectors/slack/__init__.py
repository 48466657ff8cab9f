"""Slack: notices to channels and to people."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.slack.client import SlackClient
from connectors.slack.notifier import SlackNotifier
from connectors.slack.settings import SlackSettings

CONNECTOR = Connector(
    key="slack",
    title="Slack",
    kind=Kind.NOTIFIER,
    settings=SlackSettings,
    client=SlackClient,
    can=Capabilities(notifier=SlackNotifier),
    evidence=Evidence(description="Slack Web API 1.7.0, archived 2021-09"),
    limits=(
        "one message a second in a channel, 50 look-ups a minute of each sort; no idempotency at Slack: a repeat is recognised in the "
        "channel's recent history"
    ),
)
