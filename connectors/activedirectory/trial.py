"""How this connector is tried: against a Samba domain controller, through a proxy that spoils answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.activedirectory.sandbox import SambaSandbox
from connectors.protocols.ldapv3.faulty import FAULT_KINDS, FaultyDirectory
from connectors.suite.trial import Opened, Trial, Wire
from workforce.access import DesiredAccount

_END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
_SEARCH = Wire("LDAP", "^search DC=client,DC=example$")
_BLOCK = "userAccountControl"


def _modify(attributes: str) -> Wire:
    return Wire("LDAP", f"^modify CN=.* {attributes.replace('+', '[+]')}$", f"modify {attributes}")


class ActiveDirectoryTrial(Trial[FaultyDirectory]):
    """A domain controller is provisioned once, and every trial begins with a copy."""

    max_lines = 440  # the dialect alone is half of it: bits, passwords, two sign-in names
    fault_kinds = FAULT_KINDS
    samples: Mapping[str, object] = {
        **{f"extensionAttribute{n}": None for n in range(1, 16)},  # Exchange's part of the schema, which Samba does not have
        "manager": None,  # another entry's DN
        "objectClass": None,  # a class is not taken away again
    }
    wires: Mapping[str, Wire] = {
        "directory.find": _SEARCH,
        "directory.find_by_login": _SEARCH,
        "directory.read": _SEARCH,
        "directory.accounts": _SEARCH,
        "directory.create": Wire("LDAP", "^add CN=", "add"),
        "directory.update": _modify("title"),
        "directory.set_expiry": _modify("accountExpires"),
        "directory.enable": _modify(_BLOCK),
        "directory.disable": _modify(_BLOCK),
        "directory.block_all": _modify(_BLOCK),
        "directory.revoke_sessions": _modify("unicodePwd"),
        "directory.add_member": _modify("member"),
        "directory.remove_member": _modify("member"),
        "directory.move_to_disabled": Wire("LDAP", "^modrdn CN=", "modrdn"),
        "directory.set_manager": _modify("manager"),
        "directory.rename": _modify("proxyAddresses+userPrincipalName"),
        "directory.first_credential": _modify("unicodePwd"),
    }

    @cached_property
    def _provisioned(self) -> SambaSandbox:
        self._folder = TemporaryDirectory(prefix="stint-dc-")  # removed when the process ends
        with SambaSandbox(Path(self._folder.name) / "dc") as domain:
            return domain

    @contextmanager
    def open(self, folder: Path) -> Iterator[Opened[FaultyDirectory]]:
        """Start a domain controller and the proxy in front of it."""
        with FaultyDirectory(SambaSandbox(folder / "dc", like=self._provisioned)) as directory:
            yield Opened(directory, directory.settings())

    def account(self, marker: str) -> DesiredAccount:
        """A developer."""
        attributes = {"title": "Developer", "displayName": "Ada Lovelace", "sn": "Lovelace"}
        return DesiredAccount(marker, f"ada.{marker.lower()}@client.example", attributes, frozenset(), _END)

    def shown(self, sandbox: FaultyDirectory, external_id: str) -> Mapping[str, object]:
        """The whole entry."""
        return sandbox.server.held(external_id)

    def add_group(self, sandbox: FaultyDirectory, name: str) -> str:
        """A security group."""
        return sandbox.server.add_group(name)

    def add_manager(self, sandbox: FaultyDirectory, n: int) -> str:
        """An employee."""
        address = f"boss{n}@client.example"
        sandbox.server.plant(
            f"CN=boss{n},{sandbox.server.base('people')}",
            {"objectClass": ["user"], "userPrincipalName": [address], "mail": [address]},
        )
        return address

    def manager_of(self, sandbox: FaultyDirectory, account_id: str) -> str | None:
        """The name in the DN."""
        held = str(sandbox.server.held(account_id).get("manager", ""))
        return f"{held.partition(',')[0].removeprefix('CN=')}@client.example" if held else None


TRIAL = ActiveDirectoryTrial()
