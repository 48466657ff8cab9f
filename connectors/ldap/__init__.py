"""LDAP directories (OpenLDAP, 389 Directory Server): accounts, groups, native expiry, proof by trying to sign in."""

from __future__ import annotations

from connectors.contract import Capabilities, Connector, Evidence, Kind
from connectors.ldap.client import LdapClient
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.directory import LdapV3Directory

CONNECTOR = Connector(
    key="ldap",
    title="LDAP directory",
    kind=Kind.DIRECTORY,
    settings=LdapSettings,
    client=LdapClient,
    can=Capabilities(directory=LdapV3Directory),
    evidence=Evidence(peer="OpenLDAP 2.5.13 (slapd) and 389 Directory Server 2.3.1"),
    limits="no rate limits of its own and every search is paged; LDAP ends no sessions, and cannot tell which accounts are gone",
)
