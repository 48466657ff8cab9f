"""Microsoft Entra ID (Azure AD) through Microsoft Graph: accounts, groups, sessions."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.msgraph.client import MsGraphClient
from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.settings import MsGraphSettings

CONNECTOR = Connector(
    key="msgraph",
    title="Microsoft Entra ID",
    kind=Kind.DIRECTORY,
    settings=MsGraphSettings,
    client=MsGraphClient,
    can=Capabilities(directory=MsGraphDirectory),
    evidence=Evidence(description="Microsoft Graph v1.0 metadata, 2026-08"),
    limits="3,000 writes in 150 s for each app and tenant; Retry-After is heeded",
)
