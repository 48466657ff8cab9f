"""LDAP directories (OpenLDAP): accounts, groups, native expiry, and proof by trying to sign in."""

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
    evidence=Evidence(peer="OpenLDAP 2.5 (slapd)"),
    limits="none of its own; every search is paged",
)
