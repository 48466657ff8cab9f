"""How the kinds of directory servers differ: one object per kind, and everything else is the same for all."""

from __future__ import annotations

from connectors.ldap.dialects.ds389 import Ds389
from connectors.ldap.dialects.inetorgperson import InetOrgPersonDialect
from connectors.ldap.dialects.openldap import OpenLdap
from connectors.ldap.settings import Dialect

_DIALECTS: dict[Dialect, type[InetOrgPersonDialect]] = {Dialect.OPENLDAP: OpenLdap, Dialect.DS389: Ds389}


def dialect_of(kind: Dialect, alias_attribute: str | None = None) -> InetOrgPersonDialect:
    """The dialect of a kind of server, with old logins in ``alias_attribute`` (``None``: in ``uid``)."""
    return _DIALECTS[kind](alias_attribute)
