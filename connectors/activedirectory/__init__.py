"""Active Directory over LDAP: accounts, groups, native expiry, proof by trying to sign in."""

from __future__ import annotations

from connectors.activedirectory.client import ActiveDirectoryClient
from connectors.activedirectory.settings import ActiveDirectorySettings
from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.protocols.ldapv3.directory import LdapV3Directory

CONNECTOR = Connector(
    key="activedirectory",
    title="Active Directory",
    kind=Kind.DIRECTORY,
    settings=ActiveDirectorySettings,
    client=ActiveDirectoryClient,
    can=Capabilities(directory=LdapV3Directory),
    evidence=Evidence(peer="a Samba 4.17 domain controller; no domain controller of Microsoft's"),
    limits="one domain controller, every search paged; tickets that are out live on for hours; cannot tell which accounts are gone",
    login_attribute="userPrincipalName",
)
