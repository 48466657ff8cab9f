"""Deel: contracts with contractors, as the source of the engagement and as its record; signed hints when they change."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind, RecordsOf
from connectors.deel.client import DeelClient
from connectors.deel.settings import DeelSettings
from connectors.deel.sink import DeelSink
from connectors.deel.source import DeelSource
from connectors.deel.webhooks import DeelWebhooks

CONNECTOR = Connector(
    key="deel",
    title="Deel",
    kind=Kind.VMS,
    settings=DeelSettings,
    client=DeelClient,
    can=Capabilities(webhooks=DeelWebhooks, source=DeelSource, sink=DeelSink),
    evidence=Evidence(description="Deel REST v2, names and types only"),
    limits="no filter for changes: each poll lists all contracts and reads each open one; a change of rate counts once the worker has signed",
    records_of=RecordsOf.ENGAGEMENTS,
)
