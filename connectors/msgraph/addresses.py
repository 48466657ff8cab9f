"""Paths of the Graph API, each made in one place, from ids that have the form of an id."""

from __future__ import annotations

import re
from urllib.parse import quote
from uuid import UUID

from workforce.errors import NotFound

USERS = "/users"
USER_CHANGES = "/users/delta()"
"""What became of users."""
INVITATIONS = "/invitations"
SUBSCRIPTIONS = "/subscribedSkus"
"""What the company has bought."""
DELETED_USERS = "/directory/deletedItems/graph.user"
_OPAQUE = re.compile(r"[A-Za-z0-9_\-]+")
_ALONG_CHANGES = re.compile(r"/users/(microsoft\.graph\.)?delta(\(\))?\?")


def object_id(text: str, *, field: str) -> str:
    """``text`` as an object id. Raises ``NotFound``, since nothing can have any other id."""
    try:
        return str(UUID(text))
    except ValueError:
        raise NotFound(f"msgraph: {field}: not an Entra object id", field=field) from None


def leads_through_changes(path: str) -> bool:
    """Whether ``path`` is that of a link of Graph's through ``USER_CHANGES``, by either of the names that it has for it."""
    return _ALONG_CHANGES.match(path) is not None


def user(account_id: str) -> str:
    """One user."""
    return f"/users/{object_id(account_id, field='account_id')}"


def user_by_login(login: str) -> str:
    """One user by userPrincipalName."""
    return f"/users/{quote(login, safe='@')}"


def revoke_sessions(account_id: str) -> str:
    """The action that signs a user out everywhere."""
    return f"{user(account_id)}/revokeSignInSessions"


def memberships(account_id: str) -> str:
    """What a user is a direct member of."""
    return f"{user(account_id)}/memberOf"


def member_ref(group_id: str, account_id: str | None = None) -> str:
    """The link between a group and a member, or with no ``account_id`` the collection of links to add one to.

    It always ends in ``/$ref``: without that the same DELETE would delete the user instead of the membership (not verified against
    the vendor, and nothing to try out).
    """
    members = f"/groups/{object_id(group_id, field='groups')}/members"
    return f"{members}/$ref" if account_id is None else f"{members}/{object_id(account_id, field='account_id')}/$ref"


def group(group_id: str) -> str:
    """One group."""
    return f"/groups/{object_id(group_id, field='groups')}"


def manager_ref(account_id: str) -> str:
    """The link to a user's manager."""
    return f"{user(account_id)}/manager/$ref"


def assign_licence(account_id: str) -> str:
    """The action that gives and takes licences."""
    return f"{user(account_id)}/assignLicense"


def app_roles(account_id: str, assignment_id: str | None = None) -> str:
    """The application roles of a user, or the one assignment. Raises ``NotFound`` for what cannot be one."""
    if assignment_id is None:
        return f"{user(account_id)}/appRoleAssignments"
    if not _OPAQUE.fullmatch(assignment_id):
        raise NotFound("msgraph: app_roles: not the id of an assignment", field="app_roles")
    return f"{user(account_id)}/appRoleAssignments/{assignment_id}"


def access_passes(account_id: str) -> str:
    """The temporary access passes of a user."""
    return f"{user(account_id)}/authentication/temporaryAccessPassMethods"


def restore(account_id: str) -> str:
    """The action that brings a deleted user back."""
    return f"/directory/deletedItems/{object_id(account_id, field='account_id')}/restore"
