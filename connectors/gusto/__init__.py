"""Gusto: keeps the contractor's payroll record and gives signed hints when it changes."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
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
    keeps_credential=True,
    can=Capabilities(webhooks=GustoWebhooks, sink=GustoSink),
    evidence=Evidence(description="Gusto App Integrations 2025-06-15"),
    limits="200 requests in 60 s for each authorisation",
)
