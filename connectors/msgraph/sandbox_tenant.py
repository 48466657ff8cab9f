"""What the sandbox of Graph holds: users, as reads see them, groups, licences, roles of applications, and who was deleted.

How seats are given out among the members of a group is not verified against the vendor.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from connectors.msgraph.sandbox_wire import GraphError, merged, not_found, now_text
from connectors.suite.sandbox import EffectLedger

DELETED_DAYS = 30
_COMPUTED = frozenset({"licenseAssignmentStates", "assignedLicenses"})


@dataclass
class TenantUser:
    """A user now, and as laggards still see it (``None``: not at all) until ``settled_at`` (monotonic), each with its version."""

    now: dict[str, Any]
    before: dict[str, Any] | None
    settled_at: float
    version: int
    version_before: int = 0
    roles: set[str] = field(default_factory=set)
    has_role_by_group: bool = False
    manager_id: str | None = None
    app_roles: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Assignments by id: the application and the role."""

    @property
    def is_settled(self) -> bool:
        """Whether reads see it as it is."""
        return time.monotonic() >= self.settled_at

    def seen(self) -> dict[str, Any] | None:
        """As reads see it."""
        return self.now if self.is_settled else self.before

    def seen_version(self) -> int:
        """The version that reads see."""
        return self.version if self.is_settled else self.version_before


@dataclass
class Sku:
    """A licence: ``enabled`` seats, and for each user where it comes from: a group's id, or "" directly."""

    sku_id: str
    name: str
    enabled: int
    held: dict[str, set[str]] = field(default_factory=dict)
    without_seat: dict[str, set[str]] = field(default_factory=dict)
    status: str = "Enabled"

    def give(self, user_id: str, source: str) -> bool:
        """Give a seat, if there is one; a user who has one already needs no second."""
        if user_id not in self.held and len(self.held) >= self.enabled:
            if source:
                self.without_seat.setdefault(user_id, set()).add(source)
            return False
        self.held.setdefault(user_id, set()).add(source)
        return True

    def take(self, user_id: str, source: str | None = None) -> None:
        """Take what comes from ``source``, or all."""
        for place in (self.held, self.without_seat):
            left = set() if source is None else place.get(user_id, set()) - {source}
            place.pop(user_id, None)
            if left:
                place[user_id] = left


class Tenant:
    """One tenant's state, and what people do in it by hand."""

    def __init__(self, *, lag_seconds: float = 0.0) -> None:
        self.effects = EffectLedger()
        self.lag_seconds = lag_seconds
        self.app_is_admin = False
        self.entries: dict[str, TenantUser] = {}
        self.removed = dict[str, tuple[int, str]]()
        self.deleted: dict[str, tuple[TenantUser, datetime]] = {}
        self.version = 0
        self.groups: dict[str, dict[str, Any]] = {}
        self.members: dict[str, dict[str, None]] = {}
        self.skus: dict[str, Sku] = {}
        self.applications: dict[str, set[str]] = {}
        self.group_roles: dict[str, list[tuple[str, str]]] = {}

    @property
    def users(self) -> list[dict[str, Any]]:
        """Every user as it really is, with ``memberOf`` as group ids, without passwords."""
        return [self._view(user_id) for user_id in self.entries]

    def add_group(
        self, name: str, *, rule: str | None = None, synced: bool = False, for_roles: bool = False, mail_enabled: bool = False
    ) -> str:
        """A security group by hand; its id. With a ``rule`` it is dynamic."""
        group_id = str(uuid4())
        group = {
            "id": group_id,
            "displayName": name,
            "groupTypes": ["DynamicMembership"] if rule else [],
            "securityEnabled": True,
        }
        group |= {"membershipRule": rule, "onPremisesSyncEnabled": True if synced else None}
        group |= {"isAssignableToRole": True if for_roles else None, "mailEnabled": mail_enabled, "assignedLicenses": []}
        self.groups[group_id], self.members[group_id] = group, {}
        return group_id

    def add_user(self, **fields: object) -> str:
        """A user by hand, enabled unless said otherwise; the id."""
        user_id = str(uuid4())
        now = {"id": user_id, "accountEnabled": True, "signInSessionsValidFromDateTime": now_text(), **fields}
        self.entries[user_id] = TenantUser(now, now, 0.0, self.next_version())
        return user_id

    def add_licence(self, name: str, *, seats: int = 100) -> str:
        """A licence that the company has bought; its skuId."""
        sku_id = str(uuid4())
        self.skus[sku_id] = Sku(sku_id, name, seats)
        return sku_id

    def license_group(self, group_id: str, sku_id: str) -> None:
        """Let a group give a licence to its members, as far as seats go."""
        self.groups[group_id]["assignedLicenses"].append({"skuId": sku_id, "disabledPlans": []})
        for user_id in self.members[group_id]:
            self.skus[sku_id].give(user_id, group_id)

    def add_app_role(self) -> str:
        """An application with one role; as in ``Entitlement``."""
        application, role = str(uuid4()), str(uuid4())
        self.applications[application] = {role}
        return f"{application}/{role}"

    def give_group_app_role(self, group_id: str, app_role: str) -> None:
        """Give a role to a group, by hand."""
        application, _, role = app_role.partition("/")
        self.group_roles.setdefault(group_id, []).append((application, role))

    def add_to_group(self, group_id: str, user_id: str) -> None:
        """Make a user a member, by hand or by the group's rule."""
        self.members[group_id][user_id] = None
        for licence in self.groups[group_id]["assignedLicenses"]:
            self.skus[licence["skuId"]].give(user_id, group_id)
            self.change(self.entries[user_id], {})

    def take_from_group(self, group_id: str, user_id: str) -> None:
        """End a membership."""
        del self.members[group_id][user_id]
        for licence in self.groups[group_id]["assignedLicenses"]:
            self.skus[licence["skuId"]].take(user_id, group_id)
            self.change(self.entries[user_id], {})

    def change_user(self, user_id: str, **fields: object) -> None:
        """Change a user by hand."""
        self.change(self.entries[user_id], fields)

    def delete_user(self, user_id: str, *, for_good: bool = False, days_ago: int = 0) -> None:
        """Delete a user by hand: to the deleted items, where they stay for 30 days, or for good. Seats are free again at once."""
        user = self.entries.pop(user_id)
        if not for_good:
            self.deleted[user_id] = (user, datetime.now(UTC) - timedelta(days=days_ago))
        for sku in self.skus.values():
            sku.take(user_id)
        self.removed[user_id] = (self.next_version(), "deleted" if for_good else "changed")

    def restorable(self) -> dict[str, TenantUser]:
        """Who was deleted in the last 30 days."""
        first = datetime.now(UTC) - timedelta(days=DELETED_DAYS)
        return {user_id: user for user_id, (user, at) in self.deleted.items() if at > first}

    def restore_user(self, user_id: str) -> TenantUser:
        """Bring a user back as they were, with their groups. Raises ``GraphError`` where there is none, or the login is taken."""
        if user_id not in self.restorable():
            raise not_found(user_id)
        user, _ = self.deleted[user_id]
        self.check_unique(user.now)
        del self.deleted[user_id], self.removed[user_id]
        self.entries[user_id] = user
        for group_id in [group for group, members in self.members.items() if user_id in members]:
            self.add_to_group(group_id, user_id)
        self.change(user, {})
        return user

    def hide(self, user_id: str) -> None:
        """Let reads not see a user that was made just now."""
        user = self.entries[user_id]
        user.before, user.settled_at = None, time.monotonic() + self.lag_seconds

    def settle(self) -> None:
        """Let reads see everything that was done."""
        for user in self.entries.values():
            user.settled_at = 0.0

    def give_admin_role(self, user_id: str, *, by_group: bool = False) -> None:
        """Let a user hold a directory role: apps without one may not change it any more. By way of a group it is no membership."""
        user = self.entries[user_id]
        user.has_role_by_group = by_group
        if not by_group:
            user.roles.add(str(uuid4()))

    def next_version(self) -> int:
        """Changes are counted."""
        self.version += 1
        return self.version

    def find(self, key: str) -> TenantUser:
        """By id or userPrincipalName, if laggards see it already."""
        for user in [self.entries[key]] if key in self.entries else self.entries.values():
            seen = user.seen()
            if seen is not None and key.casefold() in {seen["id"], str(seen.get("userPrincipalName")).casefold()}:
                return user
        raise not_found(key)

    def changeable(self, key: str, *, is_mastered_here: bool = True) -> TenantUser:
        """A user that the app may change; what is ``is_mastered_here`` is not changed here of one that comes from elsewhere."""
        user = self.find(key)
        if (user.roles or user.has_role_by_group) and not self.app_is_admin:
            raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        if is_mastered_here and user.now.get("onPremisesSyncEnabled"):
            raise mastered_elsewhere()
        return user

    def change(self, user: TenantUser, fields: Mapping[str, Any]) -> None:
        """Set fields; reads see it once it has settled."""
        user.before, user.version_before = user.seen(), user.seen_version()
        user.now, user.version = merged(user.now, fields), self.next_version()
        user.settled_at = time.monotonic() + self.lag_seconds

    def check_unique(self, body: Mapping[str, Any], but: TenantUser | None = None) -> None:
        """Raise ``GraphError`` where somebody else has the login."""
        login = str(body.get("userPrincipalName")).casefold()
        for user in self.entries.values():
            if user is not but and "userPrincipalName" in body and str(user.now["userPrincipalName"]).casefold() == login:
                words = "Another object with the same value for property userPrincipalName already exists."
                conflict = {"code": "ObjectConflict", "message": words, "target": "userPrincipalName"}
                raise GraphError(400, "Request_BadRequest", words, [conflict])

    def with_computed(self, user: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
        """The user with those of ``names`` that follow from elsewhere."""
        if not _COMPUTED.intersection(names):
            return user
        states = self._licence_states(user["id"])
        held = [
            {"skuId": sku_id, "disabledPlans": []} for sku_id in dict.fromkeys(e["skuId"] for e in states if e["error"] == "None")
        ]
        return {**user, "licenseAssignmentStates": states, "assignedLicenses": held}

    def _licence_states(self, user_id: str) -> list[dict[str, Any]]:
        return [
            {"skuId": sku.sku_id, "assignedByGroup": source or None, "state": state, "error": error, "disabledPlans": []}
            for sku in self.skus.values()
            for place, state, error in ((sku.held, "Active", "None"), (sku.without_seat, "Error", "CountViolation"))
            for source in sorted(place.get(user_id, ()))
        ]

    def _view(self, user_id: str) -> dict[str, Any]:
        user = self.with_computed({n: v for n, v in self.entries[user_id].now.items() if n != "passwordProfile"}, _COMPUTED)
        return {**user, "memberOf": [group for group, members in self.members.items() if user_id in members]}


def mastered_elsewhere() -> GraphError:
    """The refusal to change what comes from Active Directory."""
    words = "Unable to update the specified properties for on-premises mastered Directory Sync objects."
    return GraphError(400, "Request_BadRequest", words)
