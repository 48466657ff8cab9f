"""How the Okta connector is tried."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from connectors.okta.sandbox import OktaSandbox
from connectors.suite.trial import Description, HttpTrial, Wire
from workforce.access import DesiredAccount

_USER = r"/users/[^/]+$"


class OktaTrial(HttpTrial[OktaSandbox]):
    """Against the sandbox, with an API token."""

    wires: Mapping[str, Wire] = {
        "directory.find": Wire("GET", r"/users$"),
        "directory.find_by_login": Wire("GET", _USER),
        "directory.read": Wire("GET", _USER),
        "directory.create": Wire("POST", r"/users$", "create_user"),
        "directory.update": Wire("POST", _USER, "update_user"),
        "directory.set_expiry": Wire("POST", _USER, "update_user"),
        "directory.enable": Wire("POST", r"/lifecycle/unsuspend$", "unsuspend_user"),
        "directory.disable": Wire("POST", r"/lifecycle/suspend$", "suspend_user"),
        "directory.revoke_sessions": Wire("DELETE", r"/sessions$", "revoke_sessions_and_tokens"),
        "directory.add_member": Wire("PUT", r"/groups/[^/]+/users/[^/]+$", "add_member"),
        "directory.remove_member": Wire("DELETE", r"/groups/[^/]+/users/[^/]+$", "remove_member"),
        "directory.accounts": Wire("GET", r"/users$"),
        "directory.block_all": Wire("POST", r"/lifecycle/suspend$", "suspend_user"),
        "directory.set_manager": Wire("POST", _USER, "update_user"),
        "directory.rename": Wire("POST", _USER, "update_user"),
        "directory.first_credential": Wire("POST", r"/lifecycle/expire_password_with_temp_password$", "set_temporary_password"),
    }
    untried: Mapping[str, str] = {"directory.move_to_disabled": "Okta has no place for disabled accounts, so nothing is sent"}
    description = Description(
        "okta/okta-management.pruned.json", undescribed=(r"^/oauth2/", r"/roles$", r"/expire_password_with_temp_password$")
    )
    max_lines = 730  # the whole Directory port, two kinds of credentials, and eight statuses of which Okta suspends one

    def sandbox(self) -> OktaSandbox:
        """A fresh org."""
        return OktaSandbox()

    def account(self, marker: str) -> DesiredAccount:
        """A developer."""
        login = f"ada.{marker.lower()}@client.example"
        attributes = {"title": "Developer", "email": login, "firstName": "Ada", "lastName": "Lovelace", "department": "Engines"}
        return DesiredAccount(marker, login, attributes, frozenset(), datetime(2031, 3, 31, 22, tzinfo=UTC))

    def shown(self, sandbox: OktaSandbox, external_id: str) -> Mapping[str, object]:
        """The whole profile."""
        return next(user["profile"] for user in sandbox.users if user["id"] == external_id)

    def add_group(self, sandbox: OktaSandbox, name: str) -> str:
        """A group by hand."""
        return sandbox.add_group(name)

    def add_manager(self, sandbox: OktaSandbox, n: int) -> str:
        """An employee, by their e-mail address."""
        address = f"boss{n}@client.example"
        sandbox.add_user(login=f"b{n}@client.example", email=address)
        return address

    def manager_of(self, sandbox: OktaSandbox, account_id: str) -> str | None:
        """By the manager's id."""
        profiles = {user["id"]: user["profile"] for user in sandbox.users}
        manager = profiles[account_id].get("managerId")
        return str(profiles[manager]["email"]) if manager else None


TRIAL = OktaTrial()
