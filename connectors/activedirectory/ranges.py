"""Attributes with so many values that Active Directory gives them in ranges (``member;range=0-1499``; [MS-ADTS] 3.1.1.3.1.3.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import ldap

from connectors.protocols.ldapv3.connection import Connection

_RANGE = re.compile(r"(?P<attribute>[^;]+);range=(?P<first>\d+)-(?P<last>\d+|\*)", re.IGNORECASE)


def completed(connection: Connection, dn: str, values: Mapping[str, Sequence[bytes]]) -> Mapping[str, Sequence[bytes]]:
    """The attributes of an entry under their plain names, each with all its values. Raises ``ldap.LDAPError``, never gives a part."""
    if not any(";range=" in name.lower() for name in values):
        return values
    return dict(_whole(connection, dn, name, found) for name, found in values.items())


def _whole(connection: Connection, dn: str, name: str, found: Sequence[bytes]) -> tuple[str, Sequence[bytes]]:
    part = _RANGE.fullmatch(name)
    if part is None:
        return name, found
    attribute, gathered = part["attribute"], list(found)
    while part is not None and part["last"] != "*":
        name, more = _next(connection, dn, f"{attribute};range={int(part['last']) + 1}-*")
        part = _RANGE.fullmatch(name)
        gathered += more
    return attribute, gathered


def _next(connection: Connection, dn: str, wanted: str) -> tuple[str, Sequence[bytes]]:
    """The next range. None at all means that the list was shortened while it was read: what is missing cannot be told."""
    answer = connection.search_s(dn, ldap.SCOPE_BASE, attrlist=[wanted])
    for name, values in answer[0][1].items() if answer else ():
        if _RANGE.fullmatch(name):
            return name, values
    raise ldap.BUSY
