"""Okta: accounts, groups, sessions."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.okta.client import OktaClient
from connectors.okta.directory import OktaDirectory
from connectors.okta.settings import OktaSettings

CONNECTOR = Connector(
    key="okta",
    title="Okta",
    kind=Kind.DIRECTORY,
    settings=OktaSettings,
    client=OktaClient,
    can=Capabilities(directory=OktaDirectory),
    evidence=Evidence(description="Okta Management API 2026.06.3"),
    limits="rate limits are each org's own: X-Rate-Limit-Reset is heeded, none is known beforehand; apps must not demand DPoP",
    login_attribute="login",
)
