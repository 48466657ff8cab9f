"""Gusto: keeps the contractor's payroll record and gives signed hints when it changes."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.gusto.backfill import GustoBackfill
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
    can=Capabilities(webhooks=GustoWebhooks, backfill=GustoBackfill, sink=GustoSink),
    evidence=Evidence(description="Gusto App Integrations 2025-06-15; operations of the Embedded SDK 2026-06-15"),
    limits=(
        "200 requests in 60 s for each authorisation; a dated end and payment groups only in the Embedded edition; no contractors of "
        "type Business; a dated rehire only in the Embedded edition"
    ),
)
