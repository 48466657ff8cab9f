"""Groups, licences and application roles of Entra's accounts. What something else decides is refused with the reason.

The words of Graph's refusals are not verified against the vendor (see ``answers``).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from connectors.msgraph import addresses
from connectors.msgraph.answers import ALREADY_MEMBER, LICENCE_NOT_HELD, NO_SEAT_LEFT, ROLE_HELD, done_before
from connectors.msgraph.records import Group, Subscription, selection
from connectors.msgraph.writes import Writes
from connectors.protocols.odata import Page
from workforce.access import AccountState, Seats
from workforce.errors import HubError, Misconfigured, NotFound, Refused

_GROUP = {"$select": selection(Group)}


class Entitlements(Writes):
    """What an account may hold."""

    def add_member(self, group_id: str, account_id: str) -> None:
        """Add to a group that we may fill, and that has a seat where it gives licences."""
        link = addresses.member_ref(group_id)
        account = self._writable(account_id).state
        group = self._group(group_id)
        if reason := _not_ours(group):
            raise _refused_group(reason)
        self._require_seats({each.sku_id.lower() for each in group.assigned_licences}, account)
        with done_before(ALREADY_MEMBER):
            self._client.write("POST", link, json=self._client.reference(account.account_id))

    def remove_member(self, group_id: str, account_id: str) -> None:
        """Remove from a group; 404 means that there is no such membership. Why Graph refuses is looked up."""
        link = addresses.member_ref(group_id, account_id)
        self._writable(account_id)
        try:
            self._client.write("DELETE", link)
        except NotFound:
            return
        except Refused:
            if reason := self._why_not(group_id):
                raise _refused_group(reason) from None
            raise

    def seats(self, licence: str) -> Seats:
        """Seats that are bought and those that are taken; those past their end still count while they work."""
        sku_id = addresses.object_id(licence, field="licences")
        for bought in self._client.listed(addresses.SUBSCRIPTIONS, Page[Subscription]):
            if bought.sku_id.lower() == sku_id:
                return Seats(bought.working, bought.consumed or 0)
        raise NotFound(f"msgraph: the company has no licence {sku_id}; see Billing, Licences", field="licences")

    def assign_licence(self, account_id: str, licence: str) -> None:
        """Give a licence directly, if a seat is free. Where a user may use it has to be known."""
        sku_id = addresses.object_id(licence, field="licences")
        seen = self._writable(account_id)
        if not seen.user.usage_location:
            raise Refused(
                "msgraph: a licence needs usageLocation; map it first", cause="no_usage_location", field="usageLocation"
            )
        self._require_seats({sku_id}, seen.state)
        self._license(account_id, add=[{"skuId": sku_id, "disabledPlans": []}], remove=[])

    def reclaim_licence(self, account_id: str, licence: str) -> None:
        """Take a licence that was given directly."""
        sku_id = addresses.object_id(licence, field="licences")
        account = self._writable(account_id).state
        if sku_id in account.inherited_licences and sku_id not in account.licences:
            message = f"msgraph: licence {sku_id} comes through a group; take the account out of the group that gives it"
            raise Refused(message, cause="inherited_licence", field="licences")
        with done_before(LICENCE_NOT_HELD):
            self._license(account_id, add=[], remove=[sku_id])

    def assign_app_role(self, account_id: str, app_role: str) -> None:
        """Give a role of an application, ``<service principal's object id>/<appRoleId>``."""
        resource_id, role_id = self._role(app_role)
        self._writable(account_id)
        body = {"principalId": account_id, "resourceId": resource_id, "appRoleId": role_id}
        with done_before(ROLE_HELD):
            self._client.write("POST", addresses.app_roles(account_id), json=body)

    def remove_app_role(self, account_id: str, app_role: str) -> None:
        """Take a role that the user holds; one that comes through a group goes with the group."""
        name = "/".join(self._role(app_role))
        self._writable(account_id)
        for role in self._accounts.app_roles(account_id):
            if role.name == name:
                with suppress(NotFound):
                    self._client.write("DELETE", addresses.app_roles(account_id, role.id))

    def _role(self, app_role: str) -> tuple[str, str]:
        if not self._client.settings.app_roles:
            message = "msgraph: app_roles is off, so that no role of an application can be read back; switch it on"
            raise Misconfigured(message, cause="app_roles_off", field="app_roles")
        resource_id, _, role_id = app_role.partition("/")
        return addresses.object_id(resource_id, field="app_roles"), addresses.object_id(role_id, field="app_roles")

    def _license(self, account_id: str, *, add: Collection[object], remove: Collection[str]) -> None:
        body = {"addLicenses": add, "removeLicenses": remove}  # Graph wants both
        self._client.write("POST", addresses.assign_licence(account_id), json=body)

    def _require_seats(self, licences: set[str], account: AccountState) -> None:
        """Raise ``Refused`` unless each of ``licences`` that the account does not hold yet has a seat left."""
        for licence in sorted(licences - (account.licences | account.inherited_licences)):
            seats = self.seats(licence)
            if not seats.free:
                message = f"msgraph: all {seats.total} seats of licence {licence} are taken; buy or free one"
                raise Refused(message, cause=NO_SEAT_LEFT, field="licences")

    def _group(self, group_id: str) -> Group:
        return self._client.get(addresses.group(group_id), Group, _GROUP)

    def _why_not(self, group_id: str) -> str | None:
        try:
            return _not_ours(self._group(group_id))
        except HubError:
            return None  # what was refused stays refused, with Graph's own reason


def _not_ours(group: Group) -> str | None:
    """Who decides about the members of a group, if it is not we."""
    kinds = {kind.casefold() for kind in group.group_types}
    if "dynamicmembership" in kinds or group.membership_rule:
        return "a rule decides about its members (a dynamic group)"
    if group.on_premises_sync_enabled:
        return "it comes from Active Directory, which decides about its members"
    if group.is_assignable_to_role:
        return "administrator roles can be given to it"
    if group.mail_enabled and "unified" not in kinds:
        return "Exchange decides about its members (a distribution list or a mail-enabled security group)"
    return None


def _refused_group(reason: str) -> Refused:
    message = f"msgraph: the group is not ours to fill or to empty: {reason}; name a static security group"
    return Refused(message, cause="group_not_ours", field="groups")
