"""What Graph sends, typed. Field names are Graph's own (v1.0 metadata)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, SecretStr

from connectors.forms import Uuid
from connectors.protocols.odata import Page
from connectors.records.answers import Instant, Wire


class LicenceState(Wire):
    """One licence of a user, and the group that it comes through, if it does."""

    sku_id: str = Field(alias="skuId")
    assigned_by_group: str | None = Field(default=None, alias="assignedByGroup")
    state: str | None = None

    @property
    def is_held(self) -> bool:
        """Not where the group has more members than there are seats, for one."""
        return (self.state or "Active").startswith("Active")


class User(Wire):
    """A user, with the fields that we select."""

    id: Uuid
    user_principal_name: str = Field(alias="userPrincipalName")
    employee_id: str | None = Field(default=None, alias="employeeId")
    account_enabled: bool | None = Field(default=None, alias="accountEnabled")
    employee_leave_date_time: Instant | None = Field(default=None, alias="employeeLeaveDateTime")
    sign_in_sessions_valid_from: Instant | None = Field(default=None, alias="signInSessionsValidFromDateTime")
    on_premises_extension_attributes: dict[str, str | None] | None = Field(default=None, alias="onPremisesExtensionAttributes")
    on_premises_sync_enabled: bool | None = Field(default=None, alias="onPremisesSyncEnabled")
    licence_assignment_states: list[LicenceState] | None = Field(default=None, alias="licenseAssignmentStates")
    user_type: str | None = Field(default=None, alias="userType")
    external_user_state: str | None = Field(default=None, alias="externalUserState")
    display_name: str | None = Field(default=None, alias="displayName")
    usage_location: str | None = Field(default=None, alias="usageLocation")

    @property
    def is_guest(self) -> bool:
        """Whether the user is from elsewhere."""
        return self.user_type == "Guest"

    @property
    def invited_as(self) -> str | None:
        """The name under which a guest was invited, who has done nothing since: it holds our marker until the marker has its place."""
        return self.display_name if self.is_guest and self.external_user_state == "PendingAcceptance" else None

    def attribute(self, name: str) -> str | None:
        """``employeeId`` or one of the extension attributes."""
        return self.employee_id if name == "employeeId" else (self.on_premises_extension_attributes or {}).get(name)


class SignInActivity(Wire):
    """When a user signed in. ``last_sign_in`` counts attempts that failed, so the last success is worth more, where it is told."""

    last_success: Instant | None = Field(default=None, alias="lastSuccessfulSignInDateTime")
    last_sign_in: Instant | None = Field(default=None, alias="lastSignInDateTime")
    last_in_background: Instant | None = Field(default=None, alias="lastNonInteractiveSignInDateTime")

    @property
    def last(self) -> datetime | None:
        """The last time."""
        return self.last_success or max(filter(None, (self.last_sign_in, self.last_in_background)), default=None)


class SeenUser(User):
    """A user with what is asked for only where the app may know it."""

    sign_in_activity: SignInActivity | None = Field(default=None, alias="signInActivity")


class WholeUser(SeenUser):
    """A user with everything that was asked for."""

    model_config = ConfigDict(extra="allow")

    @property
    def told(self) -> dict[str, object]:
        """All that Graph told, in its own names."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class CreatedUser(Wire):
    """The answer to a create: only its id matters."""

    id: Uuid


class DirectoryObject(Wire):
    """Something that a user is a member of; ``odata_type`` tells groups from directory roles and administrative units."""

    id: Uuid
    odata_type: str = Field(default="", alias="@odata.type")


class Removal(Wire):
    """A user that is no longer there (``deleted`` for good, ``changed`` for now)."""

    id: Uuid
    removed: dict[str, Any] = Field(alias="@removed")


class ToldUser(User):
    """A user of whom everything was told."""

    account_enabled: bool = Field(alias="accountEnabled")


class Mention(Wire):
    """A user of whom only what changed was told."""

    id: Uuid


class UserDelta(Page[Annotated[Removal | ToldUser | Mention, Field(union_mode="left_to_right")]]):
    """One page of what became of users. ``next_link`` leads on; ``delta_link``, on the last page, to what changes from then on."""

    delta_link: str | None = Field(default=None, alias="@odata.deltaLink")


class AppRole(Wire):
    """One role of one application, given to a user or to a group of theirs."""

    id: str
    role_id: str = Field(alias="appRoleId")
    principal_id: str = Field(alias="principalId")
    resource_id: str = Field(alias="resourceId")

    @property
    def name(self) -> str:
        """As in ``Entitlement``."""
        return f"{self.resource_id}/{self.role_id}".lower()


class AssignedLicence(Wire):
    """A licence that members of a group get."""

    sku_id: str = Field(alias="skuId")


class Group(Wire):
    """A group, as far as it matters who decides about its members."""

    group_types: list[str] = Field(default=[], alias="groupTypes")
    membership_rule: str | None = Field(default=None, alias="membershipRule")
    on_premises_sync_enabled: bool | None = Field(default=None, alias="onPremisesSyncEnabled")
    is_assignable_to_role: bool | None = Field(default=None, alias="isAssignableToRole")
    mail_enabled: bool | None = Field(default=None, alias="mailEnabled")
    assigned_licences: list[AssignedLicence] = Field(default=[], alias="assignedLicenses")


class Units(Wire):
    """Seats by their state; those in ``warning`` are past their end and still work."""

    enabled: int | None = None
    warning: int | None = None


class Subscription(Wire):
    """One licence that the company has bought."""

    sku_id: str = Field(alias="skuId")
    consumed: int | None = Field(default=None, alias="consumedUnits")
    prepaid: Units | None = Field(default=None, alias="prepaidUnits")

    @property
    def working(self) -> int:
        """The seats that work."""
        return (self.prepaid.enabled or 0) + (self.prepaid.warning or 0) if self.prepaid else 0


class Invitation(Wire):
    """The answer to an invitation."""

    invited: CreatedUser = Field(alias="invitedUser")


class Named(Wire):
    """Somebody whose other addresses we keep."""

    other_mails: list[str] = Field(default=[], alias="otherMails")


class AccessPass(Wire):
    """A temporary access pass that was just made."""

    secret: SecretStr = Field(alias="temporaryAccessPass", min_length=1)
    starts_at: Instant | None = Field(default=None, alias="startDateTime")
    minutes: int | None = Field(default=None, alias="lifetimeInMinutes")


def selection(kind: type[Wire]) -> str:
    """The ``$select`` that asks for the fields of ``kind``."""
    return ",".join(field.alias or name for name, field in kind.model_fields.items())


SELECTED = selection(User)
"""The ``$select`` of a user: without it Graph leaves out the marker, the expiry and whether the account is enabled."""
