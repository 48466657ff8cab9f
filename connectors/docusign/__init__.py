"""DocuSign eSignature v2.1: agreements sent from templates, pushed by Connect and read again by JWT grant."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.docusign.backfill import DocuSignBackfill
from connectors.docusign.client import DocuSignClient
from connectors.docusign.settings import DocuSignSettings
from connectors.docusign.signing import DocuSignSigning
from connectors.docusign.webhooks import DocuSignConnect

CONNECTOR = Connector(
    key="docusign",
    title="DocuSign eSignature",
    kind=Kind.ESIGN,
    settings=DocuSignSettings,
    client=DocuSignClient,
    can=Capabilities(webhooks=DocuSignConnect, backfill=DocuSignBackfill, signing=DocuSignSigning),
    evidence=Evidence(description="eSignature REST v2.1, 2022-02, and Connect JSON"),
    limits="3,000 calls in an hour, 500 in 30 s, one read of an envelope in 15 minutes; envelopes are sent from templates only",
)
