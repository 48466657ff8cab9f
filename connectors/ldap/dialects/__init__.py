"""How the kinds of directory servers differ: one object per kind, and everything else is the same for all."""

from __future__ import annotations

import re

from connectors.ldap.dialects.activedirectory import ActiveDirectory
from connectors.ldap.dialects.dialect import ServerDialect
from connectors.ldap.dialects.ds389 import Ds389
from connectors.ldap.dialects.openldap import OpenLdap
from connectors.ldap.records import Entry
from connectors.ldap.settings import Dialect

ROOT_ATTRIBUTES = ("dsServiceName", "vendorName")

_DIALECTS: dict[Dialect, type[ServerDialect]] = {
    Dialect.OPENLDAP: OpenLdap,
    Dialect.DS389: Ds389,
    Dialect.ACTIVE_DIRECTORY: ActiveDirectory,
}


def dialect_of(kind: Dialect) -> ServerDialect:
    """The dialect of a kind of server."""
    return _DIALECTS[kind]()


def recognised(root: Entry) -> Dialect | None:
    """The kind of server that a rootDSE (read with ``ROOT_ATTRIBUTES``) tells, where it does."""
    if root.first("dsServiceName"):
        return Dialect.ACTIVE_DIRECTORY
    return Dialect.DS389 if re.match(r"389 |Red Hat", root.first("vendorName") or "") else None
