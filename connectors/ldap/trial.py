"""How this connector is tried: against a real slapd, through a proxy that spoils answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from connectors.ldap.sandbox import SlapdSandbox
from connectors.protocols.ldapv3.faulty import FAULT_KINDS, FaultyDirectory
from connectors.suite.trial import Opened, Trial, Wire
from workforce.access import DesiredAccount

_END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
_SEARCH = Wire("LDAP", "^search dc=client,dc=example$")
_BLOCK = "pwdAccountLockedTime+pwdStartTime"


def _modify(attributes: str, entry: str = "employeeNumber") -> Wire:
    return Wire("LDAP", rf"^modify {entry}=.* {attributes.replace('+', '[+]')}$", f"modify {attributes}")


class LdapTrial(Trial[FaultyDirectory]):
    """The OpenLDAP dialect. That of 389 runs the tests of the ``Directory`` port against its own server."""

    max_lines = 380  # two kinds of servers
    stand_ins = frozenset({"sandbox", "dirsrv", "trial"})
    fault_kinds = FAULT_KINDS
    samples: Mapping[str, object] = {
        **dict.fromkeys(("manager", "secretary", "seeAlso")),  # other entries' DNs
        "objectClass": None,  # a class is not taken away again
    }
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
        "directory.set_manager": _modify("manager"),
        "directory.rename": _modify("uid"),
        "directory.first_credential": _modify("pwdReset+userPassword"),
    }

    @contextmanager
    def open(self, folder: Path) -> Iterator[Opened[FaultyDirectory]]:
        """Start a slapd and the proxy in front of it."""
        with FaultyDirectory(SlapdSandbox(folder / "slapd")) as directory:
            yield Opened(directory, directory.settings())

    def account(self, marker: str) -> DesiredAccount:
        """A developer."""
        attributes = {"title": "Developer", "cn": "Ada Lovelace", "sn": "Lovelace"}
        return DesiredAccount(marker, f"ada.{marker.lower()}", attributes, frozenset(), _END)

    def shown(self, sandbox: FaultyDirectory, external_id: str) -> Mapping[str, object]:
        """The whole entry."""
        return sandbox.server.held(external_id)

    def add_group(self, sandbox: FaultyDirectory, name: str) -> str:
        """A groupOfNames."""
        return sandbox.server.add_group(name)

    def add_manager(self, sandbox: FaultyDirectory, n: int) -> str:
        """An employee."""
        name = f"boss{n}"
        entry = {"objectClass": ["inetOrgPerson"], "cn": [name], "sn": [name], "uid": [name], "mail": [f"{name}@client.example"]}
        sandbox.server.plant(f"uid={name},{sandbox.server.base('people')}", entry)
        return entry["mail"][0]

    def manager_of(self, sandbox: FaultyDirectory, account_id: str) -> str | None:
        """The name in the DN."""
        held = str(sandbox.server.held(account_id).get("manager", ""))
        return f"{held.partition(',')[0].removeprefix('uid=')}@client.example" if held else None


TRIAL = LdapTrial()
