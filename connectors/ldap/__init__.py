"""LDAP directories (OpenLDAP, 389 Directory Server, Active Directory): accounts, groups, native expiry, proof by trying to sign in."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.ldap.client import LdapClient
from connectors.ldap.directory import LdapDirectory
from connectors.ldap.settings import LdapSettings

CONNECTOR = Connector(
    key="ldap",
    title="LDAP directory",
    kind=Kind.DIRECTORY,
    settings=LdapSettings,
    client=LdapClient,
    can=Capabilities(directory=LdapDirectory),
    evidence=Evidence(
        peer="OpenLDAP 2.5.13 (slapd), 389 Directory Server 2.3.1, and a Samba 4.17 domain controller for Active Directory; "
        "no domain controller of Microsoft's"
    ),
    limits="no rate limits of its own and every search is paged; LDAP ends no sessions, and cannot tell which accounts are gone",
)
