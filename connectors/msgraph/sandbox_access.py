"""The part of the sandbox of Graph about what accounts hold and what becomes of people."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.msgraph.sandbox_tenant import Sku, Tenant, TenantUser, mastered_elsewhere
from connectors.msgraph.sandbox_wire import GraphError, body_of, condition, listed, not_found, now_text, selected

Handler = Callable[[Request], Awaitable[Response]]
DEFAULT_PASS_MINUTES = 60
"""What a tenant's policy gives where nothing is asked for."""


class AccessRoutes:
    """Groups' members, licences, roles of applications, managers, invitations, deleted users and temporary access passes."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant, self._effects = tenant, tenant.effects

    def routes(self, graph: Callable[[Handler], Handler]) -> list[Route]:
        """The routes; ``graph`` guards each."""
        deleted = "/v1.0/directory/deletedItems"
        return [
            Route("/v1.0/groups/{group}", graph(self._get_group), methods=["GET"]),
            Route("/v1.0/groups/{group}/members/$ref", graph(self._add_member), methods=["POST"]),
            Route("/v1.0/groups/{group}/members/{member}/$ref", graph(self._remove_member), methods=["DELETE"]),
            Route("/v1.0/subscribedSkus", graph(self._list_skus), methods=["GET"]),
            Route("/v1.0/users/{key}/assignLicense", graph(self._assign_licence), methods=["POST"]),
            Route("/v1.0/users/{key}/appRoleAssignments", graph(self._list_app_roles), methods=["GET"]),
            Route("/v1.0/users/{key}/appRoleAssignments", graph(self._assign_app_role), methods=["POST"]),
            Route("/v1.0/users/{key}/appRoleAssignments/{assignment}", graph(self._remove_app_role), methods=["DELETE"]),
            Route("/v1.0/users/{key}/manager/$ref", graph(self._set_manager), methods=["PUT"]),
            Route("/v1.0/users/{key}/authentication/temporaryAccessPassMethods", graph(self._make_pass), methods=["POST"]),
            Route("/v1.0/invitations", graph(self._invite), methods=["POST"]),
            Route(f"{deleted}/graph.user", graph(self._list_deleted), methods=["GET"]),
            Route(f"{deleted}/{{key}}/restore", graph(self._restore), methods=["POST"]),
        ]

    async def _get_group(self, request: Request) -> Response:
        return JSONResponse(selected(request, self._tenant.groups[self._group(request)]))

    async def _add_member(self, request: Request) -> Response:
        group_id = self._editable_group(request)
        member = str((await body_of(request)).get("@odata.id", "")).rpartition("/directoryObjects/")[2]
        self._tenant.find(member)
        if member in self._tenant.members[group_id]:
            words = "One or more added object references already exist for the following modified properties: 'members'."
            raise GraphError(400, "Request_BadRequest", words)
        self._tenant.add_to_group(group_id, member)
        self._effects.record("add_member", member)
        return Response(status_code=204)

    async def _remove_member(self, request: Request) -> Response:
        group_id, member = self._editable_group(request), request.path_params["member"]
        if member not in self._tenant.members[group_id]:
            raise not_found(member)
        self._tenant.take_from_group(group_id, member)
        self._effects.record("remove_member", member)
        return Response(status_code=204)

    def _group(self, request: Request) -> str:
        group_id = str(request.path_params["group"])
        if group_id not in self._tenant.groups:
            raise not_found(group_id)
        return group_id

    def _editable_group(self, request: Request) -> str:
        group_id = self._group(request)
        group = self._tenant.groups[group_id]
        if group["membershipRule"]:
            raise GraphError(400, "Request_BadRequest", "Memberships of a dynamic group cannot be changed.")
        if group["onPremisesSyncEnabled"]:
            raise mastered_elsewhere()
        if group["mailEnabled"]:
            raise GraphError(400, "Request_BadRequest", "Cannot Update a mail-enabled security groups and or distribution list.")
        if group["isAssignableToRole"] and not self._tenant.app_is_admin:
            raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        return group_id

    async def _list_skus(self, request: Request) -> Response:
        return listed(request, [_subscription(sku) for sku in self._tenant.skus.values()], None)

    async def _assign_licence(self, request: Request) -> Response:
        body = await body_of(request)
        if not isinstance(body.get("addLicenses"), list) or not isinstance(body.get("removeLicenses"), list):
            raise GraphError(400, "Request_BadRequest", "addLicenses and removeLicenses are both required.")
        user = self._tenant.changeable(request.path_params["key"], is_mastered_here=False)
        for each in body["addLicenses"]:
            self._give_licence(user, self._sku(each["skuId"]))
        for sku_id in body["removeLicenses"]:
            self._take_licence(user, self._sku(sku_id))
        return JSONResponse(selected(request, user.now))

    def _give_licence(self, user: TenantUser, sku: Sku) -> None:
        user_id = user.now["id"]
        if not user.now.get("usageLocation"):
            raise GraphError(400, "Request_BadRequest", "License assignment cannot be done for user with invalid usage location.")
        if "" in sku.held.get(user_id, ()):
            return
        if not sku.give(user_id, ""):
            words = f"Subscription with SKU {sku.sku_id} does not have any available licenses."
            raise GraphError(400, "Request_BadRequest", words)
        self._tenant.change(user, {})
        self._effects.record("assign_licence", user_id)

    def _take_licence(self, user: TenantUser, sku: Sku) -> None:
        user_id = user.now["id"]
        sources = sku.held.get(user_id, set())
        if "" not in sources:
            words = "User license is inherited from a group membership and it cannot be removed directly from the user."
            raise GraphError(400, "Request_BadRequest", words if sources else "User does not have a corresponding license.")
        sku.take(user_id, "")
        self._tenant.change(user, {})
        self._effects.record("reclaim_licence", user_id)

    def _sku(self, sku_id: str) -> Sku:
        if sku_id not in self._tenant.skus:
            raise GraphError(400, "Request_BadRequest", f"License {sku_id} does not correspond to a valid company License.")
        return self._tenant.skus[sku_id]

    async def _list_app_roles(self, request: Request) -> Response:
        """Those of the groups that the user is in come along."""
        user = self._tenant.find(request.path_params["key"])
        user_id = user.now["id"]
        found = [_assignment(key, user_id, "User", *place) for key, place in user.app_roles.items()]
        for group_id, places in self._tenant.group_roles.items():
            if user_id in self._tenant.members[group_id]:
                found += [_assignment(f"{group_id}-{n}", group_id, "Group", *place) for n, place in enumerate(places)]
        return listed(request, found, None)

    async def _assign_app_role(self, request: Request) -> Response:
        body = await body_of(request)
        user = self._tenant.changeable(request.path_params["key"], is_mastered_here=False)
        application, role = body["resourceId"], body["appRoleId"]
        if application not in self._tenant.applications:
            raise not_found(application)
        if role not in self._tenant.applications[application]:
            raise GraphError(400, "Request_BadRequest", "Permission being assigned was not found on application.")
        if (application, role) in user.app_roles.values():
            raise GraphError(400, "Request_BadRequest", "Permission being assigned already exists on the object.")
        key = secrets.token_urlsafe(32)
        user.app_roles[key] = (application, role)
        self._effects.record("assign_app_role", user.now["id"])
        return JSONResponse(_assignment(key, user.now["id"], "User", application, role), 201)

    async def _remove_app_role(self, request: Request) -> Response:
        user = self._tenant.changeable(request.path_params["key"], is_mastered_here=False)
        if user.app_roles.pop(request.path_params["assignment"], None) is None:
            raise not_found(request.path_params["assignment"])
        self._effects.record("remove_app_role", user.now["id"])
        return Response(status_code=204)

    async def _set_manager(self, request: Request) -> Response:
        user = self._tenant.changeable(request.path_params["key"])
        manager = self._tenant.find(str((await body_of(request)).get("@odata.id", "")).rpartition("/users/")[2]).now["id"]
        if user.manager_id != manager:
            user.manager_id = manager
            self._effects.record("set_manager", user.now["id"])
        return Response(status_code=204)

    async def _make_pass(self, request: Request) -> Response:
        """A user has one; a new one takes the place of the last."""
        body, user = await body_of(request), self._tenant.changeable(request.path_params["key"], is_mastered_here=False)
        if user.now.get("userType") == "Guest":
            raise GraphError(400, "badRequest", "Temporary Access Pass cannot be added to an external guest user.")
        self._effects.record("issue_access_pass", user.now["id"])
        made = {
            "id": str(uuid4()),
            "temporaryAccessPass": secrets.token_urlsafe(9),
            "createdDateTime": now_text(),
            "startDateTime": now_text(),
            "lifetimeInMinutes": body.get("lifetimeInMinutes", DEFAULT_PASS_MINUTES),
            "isUsableOnce": False,
            "isUsable": True,
            "methodUsabilityReason": "EnabledByPolicy",
        }
        return JSONResponse(made, 201)

    async def _invite(self, request: Request) -> Response:
        """Whoever was invited before, or is here already with that address, is not made a second time and keeps their name."""
        body = await body_of(request)
        address = str(body.get("invitedUserEmailAddress", ""))
        if "@" not in address or not str(body.get("inviteRedirectUrl", "")).startswith("https://"):
            raise GraphError(400, "BadRequest", "Invalid value for invitedUserEmailAddress or inviteRedirectUrl.")
        user_id = self._holder(address) or self._guest(address, body.get("invitedUserDisplayName") or address)
        answer = {**body, "id": str(uuid4()), "status": "PendingAcceptance", "invitedUser": {"id": user_id}}
        answer["inviteRedeemUrl"] = f"{request.base_url}redeem?rd={secrets.token_urlsafe(16)}"
        return JSONResponse(answer, 201)

    def _holder(self, address: str) -> str | None:
        for user_id, user in self._tenant.entries.items():
            if address.casefold() in {str(user.now.get(name)).casefold() for name in ("mail", "userPrincipalName")}:
                return user_id
        return None

    def _guest(self, address: str, name: str) -> str:
        login = f"{address.replace('@', '_')}#EXT#@client.example"
        made = {"userPrincipalName": login, "mail": address, "displayName": name, "userType": "Guest"}
        user_id = self._tenant.add_user(**made, externalUserState="PendingAcceptance", creationType="Invitation")
        if self._tenant.lag_seconds:
            self._tenant.hide(user_id)
        self._effects.record("invite_guest", user_id)
        return user_id

    async def _list_deleted(self, request: Request) -> Response:
        matching = condition(request)
        found = [user.now for user in self._tenant.restorable().values() if matching(user.now)]
        count = len(found) if request.query_params.get("$count") == "true" else None
        return listed(request, [selected(request, user) for user in found], None, count)

    async def _restore(self, request: Request) -> Response:
        user = self._tenant.restore_user(request.path_params["key"])
        self._effects.record("restore_user", user.now["id"])
        return JSONResponse({"@odata.type": "#microsoft.graph.user", "id": user.now["id"]})


def _subscription(sku: Sku) -> dict[str, Any]:
    units = {"enabled": sku.enabled, "suspended": 0, "warning": 0, "lockedOut": 0}
    told = {"skuId": sku.sku_id, "skuPartNumber": sku.name, "capabilityStatus": "Enabled", "appliesTo": "User"}
    return {**told, "prepaidUnits": units, "consumedUnits": len(sku.held)}


def _assignment(key: str, principal: str, kind: str, application: str, role: str) -> dict[str, Any]:
    place = {"resourceId": application, "appRoleId": role}
    return {"id": key, "principalId": principal, "principalType": kind, "createdDateTime": now_text(), **place}
