"""DocuSign eSignature v2.1: signed agreements, pushed by Connect and read again by JWT grant."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Kind
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
    can=Capabilities(webhooks=DocuSignConnect, signing=DocuSignSigning),
)
