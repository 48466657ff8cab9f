"""Greenhouse: tells which candidates were hired as contractors, and when a hire is taken back."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.greenhouse.client import GreenhouseClient
from connectors.greenhouse.settings import GreenhouseSettings
from connectors.greenhouse.source import GreenhouseSource
from connectors.greenhouse.webhooks import GreenhouseWebhooks

CONNECTOR = Connector(
    key="greenhouse",
    title="Greenhouse",
    kind=Kind.ATS,
    settings=GreenhouseSettings,
    client=GreenhouseClient,
    can=Capabilities(webhooks=GreenhouseWebhooks, source=GreenhouseSource),
    evidence=Evidence(description="Greenhouse Harvest v3 (subset of 2026-08, OpenAPI 3.1) and the vendor's 29 webhook samples"),
    limits="Harvest v3 with client credentials, read only: nothing is written to Greenhouse; 50 ids a request; the call limit is Greenhouse's own",
)
