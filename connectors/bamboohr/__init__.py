"""BambooHR: keeps the contractor's HRIS record and gives signed hints when an employee changes."""

from __future__ import annotations

from connectors.bamboohr.backfill import BambooHrBackfill
from connectors.bamboohr.client import BambooHrClient
from connectors.bamboohr.schemas import BambooHrSchemas
from connectors.bamboohr.settings import BambooHrSettings
from connectors.bamboohr.sink import BambooHrSink
from connectors.bamboohr.webhooks import BambooHrWebhooks
from connectors.contract import Capabilities, Connector, Evidence, Kind

CONNECTOR = Connector(
    key="bamboohr",
    title="BambooHR",
    kind=Kind.HRIS,
    settings=BambooHrSettings,
    client=BambooHrClient,
    can=Capabilities(webhooks=BambooHrWebhooks, backfill=BambooHrBackfill, schemas=BambooHrSchemas, sink=BambooHrSink),
    evidence=Evidence(description="BambooHR public API, 2026-06"),
    limits="no published number of requests; 429 and 503 with Retry-After are heeded; other tables than employmentStatus are not written",
)
