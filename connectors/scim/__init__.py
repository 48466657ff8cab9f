"""Any application that is provisioned by SCIM 2.0 (RFC 7643, RFC 7644): accounts and groups."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.scim.client import ScimClient
from connectors.scim.directory import ScimDirectory
from connectors.scim.settings import ScimSettings

CONNECTOR = Connector(
    key="scim",
    title="SCIM 2.0 target",
    kind=Kind.DIRECTORY,
    settings=ScimSettings,
    client=ScimClient,
    can=Capabilities(directory=ScimDirectory),
    evidence=Evidence(peer="scim2-server 0.8; its sandbox is judged by scim2-tester 0.5"),
    limits="active: false is all that SCIM knows of an end: no sessions, and no expiry unless the target has an attribute for it",
    login_attribute="userName",
)
