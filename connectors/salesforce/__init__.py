"""Salesforce: an ATS built on it tells changed placements, and an HRIS built on it keeps the worker's record."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.schemas import SalesforceSchemas
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.sink import SalesforceSink
from connectors.salesforce.source import SalesforceSource

CONNECTOR = Connector(
    key="salesforce",
    title="Salesforce",
    kind=Kind.ATS,
    also=(Kind.HRIS,),
    settings=SalesforceSettings,
    client=SalesforceClient,
    can=Capabilities(source=SalesforceSource, schemas=SalesforceSchemas, sink=SalesforceSink),
    evidence=Evidence(),
    limits="the organisation's own API requests in 24 hours, of which a share is kept for revocations; polling only, no event bus, no Bulk API",
)
