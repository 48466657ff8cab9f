"""How the Microsoft Graph connector is tried."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from connectors.msgraph.sandbox import MsGraphSandbox
from connectors.suite.trial import Description, HttpTrial, Wire
from workforce.access import DesiredAccount

_ONE_USER = r"/users/[^/]+$"


class MsGraphTrial(HttpTrial[MsGraphSandbox]):
    """Faults of ``block_all`` strike a part of its batch: there the sandbox asks for them by the part's own method and path."""

    max_lines = 1_700
    """Accounts 20 at a time, a delta, four clouds with quotas, tokens by way of msal, groups, licences, application roles, guests, managers,
    renaming, restoring and access passes, each a module or a few methods of its own."""
    stand_ins = frozenset({"sandbox", "sandbox_access", "sandbox_authority", "sandbox_tenant", "sandbox_wire", "trial"})
    samples: Mapping[str, object] = {"employeeId": None}  # it holds the marker
    wires: Mapping[str, Wire] = {
        "directory.find": Wire("GET", r"/users$"),
        "directory.find_by_login": Wire("GET", _ONE_USER),
        "directory.read": Wire("GET", _ONE_USER),
        "directory.create": Wire("POST", r"/users$", "create_user"),
        "directory.update": Wire("PATCH", _ONE_USER, "update_user"),
        "directory.set_expiry": Wire("PATCH", _ONE_USER, "update_user"),
        "directory.enable": Wire("PATCH", _ONE_USER, "enable_user"),
        "directory.disable": Wire("PATCH", _ONE_USER, "disable_user"),
        "directory.revoke_sessions": Wire("POST", r"/revokeSignInSessions$", "revoke_sessions"),
        "directory.add_member": Wire("POST", r"/members/\$ref$", "add_member"),
        "directory.remove_member": Wire("DELETE", r"/members/[^/]+/\$ref$", "remove_member"),
        "directory.accounts": Wire("GET", r"/users/delta"),
        "directory.block_all": Wire("PATCH", _ONE_USER, "disable_user"),
        "directory.read_all": Wire("GET", _ONE_USER),
        "directory.seats": Wire("GET", r"/subscribedSkus$"),
        "directory.assign_licence": Wire("POST", r"/assignLicense$", "assign_licence"),
        "directory.reclaim_licence": Wire("POST", r"/assignLicense$", "reclaim_licence"),
        "directory.assign_app_role": Wire("POST", r"/appRoleAssignments$", "assign_app_role"),
        "directory.remove_app_role": Wire("DELETE", r"/appRoleAssignments/[^/]+$", "remove_app_role"),
        "directory.set_manager": Wire("PUT", r"/manager/\$ref$", "set_manager"),
        "directory.rename": Wire("PATCH", _ONE_USER, "update_user"),
        "directory.deleted": Wire("GET", r"/deletedItems/graph\.user$"),
        "directory.restore": Wire("POST", r"/restore$", "restore_user"),
        "directory.first_credential": Wire("POST", r"/temporaryAccessPassMethods$", "issue_access_pass"),
    }
    untried: Mapping[str, str] = {"directory.move_to_disabled": "Entra has no such place, so no request is made"}
    description = Description(
        "microsoft-graph/graph-v1.0-identity.openapi.json",
        prefix="/v1.0",
        undescribed=(r"/\.well-known/openid-configuration$", r"/oauth2/v2\.0/token$"),
    )

    def sandbox(self) -> MsGraphSandbox:
        """A fresh sandbox."""
        return MsGraphSandbox()

    def account(self, marker: str) -> DesiredAccount:
        """A contractor's account."""
        login = f"ada.{marker.lower()}"
        attributes = {"displayName": "Ada Lovelace", "mailNickname": login, "usageLocation": "DE", "employeeType": "Contractor"}
        return DesiredAccount(
            marker, f"{login}@client.example", attributes, frozenset(), datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
        )

    def shown(self, sandbox: MsGraphSandbox, external_id: str) -> Mapping[str, object]:
        """The whole user."""
        return next(user for user in sandbox.users if user["id"] == external_id)

    def add_group(self, sandbox: MsGraphSandbox, name: str) -> str:
        """A security group; its id."""
        return sandbox.add_group(name)

    def add_licence(self, sandbox: MsGraphSandbox, name: str) -> str:
        """A licence with a hundred seats; its skuId."""
        return sandbox.add_licence(name)

    def add_app_role(self, sandbox: MsGraphSandbox, name: str) -> str:  # noqa: ARG002 - an application needs no name here
        """An application with a role."""
        return sandbox.add_app_role()

    def add_manager(self, sandbox: MsGraphSandbox, n: int) -> str:
        """An employee; their mail."""
        address = f"grace{n}@client.example"
        sandbox.add_user(userPrincipalName=f"g{n}.hopper@client.example", mail=address, displayName="Grace Hopper")
        return address

    def manager_of(self, sandbox: MsGraphSandbox, account_id: str) -> str | None:
        """The mail of the manager."""
        manager_id = sandbox.entries[account_id].manager_id
        return None if manager_id is None else str(sandbox.entries[manager_id].now["mail"])

    def delete_account(self, sandbox: MsGraphSandbox, account_id: str) -> None:
        """To the deleted items."""
        sandbox.delete_user(account_id)


TRIAL = MsGraphTrial()
