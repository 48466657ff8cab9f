"""Gusto: keeps the contractor's payroll record and gives signed hints when it changes."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Kind
from connectors.gusto.client import GustoClient
from connectors.gusto.settings import GustoSettings
from connectors.gusto.sink import GustoSink
from connectors.gusto.webhooks import GustoWebhooks

CONNECTOR = Connector(
    key="gusto",
    title="Gusto",
    kind=Kind.PAYROLL,
    settings=GustoSettings,
    client=GustoClient,
    client_with_credentials=GustoClient,
    can=Capabilities(webhooks=GustoWebhooks, sink=GustoSink),
)
