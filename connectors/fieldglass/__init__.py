"""SAP Fieldglass: work orders through the customer's own named connectors (downloads and uploads)."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind, RecordsOf
from connectors.fieldglass.client import FieldglassClient
from connectors.fieldglass.schemas import FieldglassSchemas
from connectors.fieldglass.settings import FieldglassSettings
from connectors.fieldglass.sink import FieldglassSink
from connectors.fieldglass.source import FieldglassSource

CONNECTOR = Connector(
    key="fieldglass",
    title="SAP Fieldglass",
    kind=Kind.VMS,
    settings=FieldglassSettings,
    client=FieldglassClient,
    can=Capabilities(source=FieldglassSource, schemas=FieldglassSchemas, sink=FieldglassSink),
    evidence=Evidence(),
    limits="the customer's own connectors and their layout; an upload tells no id, so a creation is looked up by its marker",
    records_of=RecordsOf.ENGAGEMENTS,
)
