"""The wire to one domain controller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from connectors.activedirectory.dialect import ActiveDirectory
from connectors.activedirectory.ranges import completed
from connectors.activedirectory.settings import ActiveDirectorySettings
from connectors.contract import ALONE, Surroundings
from connectors.protocols.ldapv3.client import LdapV3Client
from connectors.protocols.ldapv3.connection import Connection
from connectors.protocols.ldapv3.entries import Entry
from workforce.errors import Refused


class ActiveDirectoryClient(LdapV3Client):
    """LDAP v3 with long lists in ranges, and update sequence numbers for a clock."""

    def __init__(self, settings: ActiveDirectorySettings, around: Surroundings = ALONE) -> None:
        del around  # a directory lies inside by nature, and libldap resolves names itself
        super().__init__(settings, ActiveDirectory())

    def clock(self) -> tuple[str, int]:
        """The domain controller's own; so the stamps of two domain controllers are never compared."""
        return usn_clock(self.entry, self.settings.suffix)

    def _whole(self, connection: Connection, dn: str, values: Mapping[str, Sequence[bytes]]) -> Mapping[str, Sequence[bytes]]:
        return completed(connection, dn, values)


def usn_clock(entry: Callable[[str, Sequence[str]], Entry | None], suffix: str) -> tuple[str, int]:
    """Whose update sequence numbers they are, in which part of the tree, and the highest one; ``entry`` reads an entry.

    A domain controller's database has another id after it was restored ([MS-ADTS] 3.1.1.1.9).
    """
    root = entry("", ("dsServiceName", "highestCommittedUSN"))
    if root is None or (latest := root.number("highestCommittedUSN")) is None:
        message = "ldap: the server does not tell highestCommittedUSN; check that url names a domain controller"
        raise Refused(message, cause="wrong_server", field="url")
    service = root.first("dsServiceName") or ""
    database = entry(service, ("invocationId",)) if service else None
    ids = database.values.get("invocationId", ()) if database else ()
    return f"{(ids[0].hex() if ids else None) or service} {suffix}", latest
