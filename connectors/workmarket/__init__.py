"""WorkMarket (ADP): assignments as the source of engagements, created and ended there too, with hints by webhook."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind, RecordsOf
from connectors.workmarket.client import WorkMarketClient
from connectors.workmarket.settings import WorkMarketSettings
from connectors.workmarket.sink import WorkMarketSink
from connectors.workmarket.source import WorkMarketSource
from connectors.workmarket.webhooks import WorkMarketWebhooks

CONNECTOR = Connector(
    key="workmarket",
    title="WorkMarket",
    kind=Kind.VMS,
    settings=WorkMarketSettings,
    client=WorkMarketClient,
    can=Capabilities(webhooks=WorkMarketWebhooks, source=WorkMarketSource, sink=WorkMarketSink),
    evidence=Evidence(description="WorkMarket Employer API v1, interface only"),
    limits="no published limits and no idempotency; webhooks are not signed and are hints at most; pay is decided in WorkMarket",
    records_of=RecordsOf.ENGAGEMENTS,
)
