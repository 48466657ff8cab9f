"""Microsoft Entra ID (Azure AD) through Microsoft Graph: accounts, guests, groups, licences, application roles, sessions."""

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
    evidence=Evidence(description="Microsoft Graph v1.0 metadata, 2026-08", peer="oidc-provider 9.13 for tokens"),
    limits=(
        "3,000 writes in 150 s and 3,500 resource units in 10 s (small tenants) are kept by themselves; changes tell users, and a change of "
        "groups or of application roles alone shows only when accounts are read from the beginning; holders of administrator roles are left "
        "alone as far as Graph shows them (an eligible role, or one by way of a group, shows at most as a refusal)"
    ),
    login_attribute="userPrincipalName",
)
