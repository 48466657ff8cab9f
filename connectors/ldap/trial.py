"""How this connector is tried: against a real slapd, through a proxy that spoils answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from connectors.ldap.faulty import FAULT_KINDS, FaultySlapd
from connectors.trial import Opened, Trial, Wire
from workforce.access import DesiredAccount

_END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
_SEARCH = Wire("LDAP", "^search dc=client,dc=example$")
_BLOCK = "pwdAccountLockedTime+pwdStartTime"


def _modify(attributes: str, entry: str = "employeeNumber") -> Wire:
    return Wire("LDAP", rf"^modify {entry}=.* {attributes.replace('+', '[+]')}$", f"modify {attributes}")


class LdapTrial(Trial[FaultySlapd]):
    """The OpenLDAP dialect. The others run the tests of the ``Directory`` port against their own servers."""

    max_lines = (
        1800  # three kinds of servers, TLS that libldap leaves half done, and a protocol in which all of it has to be said
    )
    stand_ins = frozenset({"sandbox", "samba", "dirsrv", "processes", "faulty", "trial"})
    fault_kinds = FAULT_KINDS
    wires: Mapping[str, Wire] = {
        "directory.find": _SEARCH,
        "directory.find_by_login": _SEARCH,
        "directory.read": _SEARCH,
        "directory.accounts": _SEARCH,
        "directory.create": Wire("LDAP", "^add employeeNumber=", "add"),
        "directory.update": _modify("title"),
        "directory.set_expiry": _modify("pwdEndTime"),
        "directory.enable": _modify(_BLOCK),
        "directory.disable": _modify(_BLOCK),
        "directory.block_all": _modify(_BLOCK),
        "directory.revoke_sessions": _modify("userPassword"),
        "directory.add_member": _modify("member", entry="cn"),
        "directory.remove_member": _modify("member", entry="cn"),
        "directory.move_to_disabled": Wire("LDAP", "^modrdn employeeNumber=", "modrdn"),
    }

    @contextmanager
    def open(self, folder: Path) -> Iterator[Opened[FaultySlapd]]:
        """Start a slapd and the proxy in front of it."""
        with FaultySlapd(folder / "slapd") as directory:
            yield Opened(directory, directory.settings())

    def account(self, marker: str) -> DesiredAccount:
        """A developer."""
        attributes = {"title": "Developer", "cn": "Ada Lovelace", "sn": "Lovelace"}
        return DesiredAccount(marker, f"ada.{marker.lower()}", attributes, frozenset(), _END)

    def add_group(self, sandbox: FaultySlapd, name: str) -> str:
        """A groupOfNames."""
        return sandbox.slapd.add_group(name)


TRIAL = LdapTrial()
