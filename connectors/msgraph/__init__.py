"""Microsoft Entra ID (Azure AD) through Microsoft Graph: accounts, groups, sessions."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Kind
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
)
