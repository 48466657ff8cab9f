"""Microsoft Teams: notices to a channel or chat, through a webhook of the Workflows app."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.teams.client import TeamsClient
from connectors.teams.notifier import TeamsNotifier
from connectors.teams.settings import TeamsSettings

CONNECTOR = Connector(
    key="teams",
    title="Microsoft Teams",
    kind=Kind.NOTIFIER,
    settings=TeamsSettings,
    client=TeamsClient,
    can=Capabilities(notifier=TeamsNotifier),
    evidence=Evidence(),
    limits=(
        "one channel or chat for each instance; 4 cards a second, 28 KB a card; a card that may have been posted cannot be looked up, so "
        "a repeat may come twice"
    ),
)
