"""How the SCIM connector is tried."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from connectors.protocols.scim_resources import ENTERPRISE
from connectors.scim.sandbox import ScimSandbox
from connectors.suite.trial import HttpTrial, Wire
from workforce.access import DesiredAccount

_ONE = r"/Users/[^/]+$"


class ScimTrial(HttpTrial[ScimSandbox]):
    """Against the sandbox."""

    samples: Mapping[str, object] = {
        "externalId": None,  # it holds the marker
        f"{ENTERPRISE}.employeeNumber": None,
        "profileUrl": "https://acme.example/ada",
    }
    wires: Mapping[str, Wire] = {
        "directory.find": Wire("GET", r"/Users$"),
        "directory.find_by_login": Wire("GET", r"/Users$"),
        "directory.read": Wire("GET", _ONE),
        "directory.create": Wire("POST", r"/Users$", "create_user"),
        "directory.update": Wire("PATCH", _ONE, "update_user"),
        "directory.set_expiry": Wire("PATCH", _ONE, "update_user"),
        "directory.enable": Wire("PATCH", _ONE, "enable_user"),
        "directory.disable": Wire("PATCH", _ONE, "disable_user"),
        "directory.revoke_sessions": Wire("GET", _ONE),
        "directory.add_member": Wire("PATCH", r"/Groups/[^/]+$", "add_member"),
        "directory.remove_member": Wire("PATCH", r"/Groups/[^/]+$", "remove_member"),
        "directory.accounts": Wire("GET", r"/Users$"),
        "directory.block_all": Wire("PATCH", _ONE, "disable_user"),
        "directory.set_manager": Wire("PATCH", _ONE, "update_user"),
        "directory.rename": Wire("PATCH", _ONE, "update_user"),
    }
    untried: Mapping[str, str] = {"directory.move_to_disabled": "SCIM has no place for disabled accounts, so nothing is sent"}
    max_lines = 550  # the whole Directory port, and what of the RFC each target does otherwise

    def sandbox(self) -> ScimSandbox:
        """A fresh service provider."""
        return ScimSandbox()

    def account(self, marker: str) -> DesiredAccount:
        """A developer."""
        name = f"ada.{marker.lower()}"
        attributes = {"displayName": "Ada Lovelace", "title": "Developer", "name": {"givenName": "Ada", "familyName": "Lovelace"}}
        return DesiredAccount(marker, f"{name}@client.example", attributes, frozenset(), datetime(2031, 3, 31, 22, tzinfo=UTC))

    def shown(self, sandbox: ScimSandbox, external_id: str) -> Mapping[str, object]:
        """The whole User."""
        return next(user for user in sandbox.users if user["id"] == external_id)

    def add_group(self, sandbox: ScimSandbox, name: str) -> str:
        """A group by hand."""
        return sandbox.add_group(name)

    def add_manager(self, sandbox: ScimSandbox, n: int) -> str:
        """An employee, by their e-mail address."""
        address = f"boss{n}@client.example"
        sandbox.add_user(userName=f"boss{n}", emails=[{"value": address, "type": "work"}])
        return address

    def manager_of(self, sandbox: ScimSandbox, account_id: str) -> str | None:
        """By the manager's id."""
        users = {user["id"]: user for user in sandbox.users}
        manager = users[account_id].get(ENTERPRISE, {}).get("manager")
        return str(users[manager["value"]]["emails"][0]["value"]) if manager else None


TRIAL = ScimTrial()
