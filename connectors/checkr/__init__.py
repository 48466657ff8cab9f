"""Checkr: orders background checks and tells what came of them."""

from __future__ import annotations

from connectors.checkr.backfill import CheckrBackfill
from connectors.checkr.client import CheckrClient
from connectors.checkr.screening import CheckrScreening
from connectors.checkr.settings import CheckrSettings
from connectors.checkr.webhooks import CheckrWebhooks
from connectors.contract import Capabilities, Connector, Evidence, Kind

CONNECTOR = Connector(
    key="checkr",
    title="Checkr",
    kind=Kind.SCREENING,
    settings=CheckrSettings,
    client=CheckrClient,
    can=Capabilities(webhooks=CheckrWebhooks, backfill=CheckrBackfill, screening=CheckrScreening),
    evidence=Evidence(description="Checkr API v1 (interface of 2025-07)"),
    limits="1,200 requests in 60 s for each account; a region is needed with every place of work; adverse action stays in Checkr",
)
