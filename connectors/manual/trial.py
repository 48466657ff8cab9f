"""How the manual connector is tried: over SFTP, with people who work each ticket as it appears.

The faults of HTTP that have no like in SFTP are left out; folders of this machine, and people as they are, are covered by the connector's
own tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from connectors.manual.sandbox import ManualSandbox
from connectors.protocols.sftp_server import FAULT_KINDS
from connectors.suite.sandbox import FaultKind
from connectors.suite.trial import Opened, Trial, Wire
from workforce.access import DesiredAccount

_END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
_LOOK = Wire("LIST", "/evidence$")


def _ticket(action: str) -> Wire:
    return Wire("RENAME", rf"/tickets/STINT-ST\w+-{action}-", action)


class ManualTrial(Trial[ManualSandbox]):
    """Badges, and accounts of a mainframe."""

    wires: Mapping[str, Wire] = {
        "directory.find": _LOOK,
        "directory.find_by_login": _LOOK,
        "directory.read": _LOOK,
        "directory.accounts": _LOOK,
        "directory.create": _ticket("create"),
        "directory.update": _ticket("update"),
        "directory.set_expiry": _ticket("expiry"),
        "directory.enable": _ticket("enable"),
        "directory.disable": _ticket("block"),
        "directory.block_all": _ticket("block"),
        "directory.revoke_sessions": _ticket("signout"),
        "directory.add_member": _ticket("add"),
        "directory.remove_member": _ticket("remove"),
    }
    untried: Mapping[str, str] = {"directory.move_to_disabled": "people have no such place"}
    max_lines = 650  # no system stands behind it: what an account is, and what may be asked of it, is told here
    fault_kinds = FAULT_KINDS - {FaultKind.UNAVAILABLE_BEFORE}  # SFTP's "failure" is an answer: it was not done

    @contextmanager
    def open(self, folder: Path) -> Iterator[Opened[ManualSandbox]]:
        """Serve a fresh sandbox by SFTP."""
        sandbox = ManualSandbox(folder / "manual")
        with sandbox.serve() as (host, port):
            yield Opened(sandbox, sandbox.settings(host, port))

    def account(self, marker: str) -> DesiredAccount:
        """A contractor."""
        attributes = {"display_name": "Ada Lovelace", "role": "Engineer", "company": "Brightwater Staffing"}
        return DesiredAccount(marker, f"ada.{marker.lower()}", attributes, frozenset(), _END)

    def shown(self, sandbox: ManualSandbox, external_id: str) -> Mapping[str, object]:
        """What the person has."""
        return sandbox.accounts[external_id].attributes

    def add_group(self, sandbox: ManualSandbox, name: str) -> str:
        """Whatever people call it."""
        del sandbox
        return f"badge:{name}"


TRIAL = ManualTrial()
