"""What Graph sends, typed. Field names are Graph's own (v1.0 metadata)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from connectors.records.answers import Instant, Wire

ObjectId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]


class GraphRecord(Wire):
    """Base: fields carry Graph's names as aliases."""

    model_config = ConfigDict(populate_by_name=True)


class User(GraphRecord):
    """A user, with the fields that we select."""

    id: ObjectId
    user_principal_name: str = Field(alias="userPrincipalName")
    employee_id: str | None = Field(default=None, alias="employeeId")
    account_enabled: bool | None = Field(default=None, alias="accountEnabled")
    employee_leave_date_time: Instant | None = Field(default=None, alias="employeeLeaveDateTime")
    sign_in_sessions_valid_from: Instant | None = Field(default=None, alias="signInSessionsValidFromDateTime")
    on_premises_extension_attributes: dict[str, str | None] | None = Field(default=None, alias="onPremisesExtensionAttributes")

    def attribute(self, name: str) -> str | None:
        """``employeeId`` or one of the extension attributes."""
        return self.employee_id if name == "employeeId" else (self.on_premises_extension_attributes or {}).get(name)


class WholeUser(User):
    """A user with everything that was asked for."""

    model_config = ConfigDict(extra="allow")

    @property
    def told(self) -> dict[str, object]:
        """All that Graph told, in its own names."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class CreatedUser(GraphRecord):
    """The answer to a create: only its id matters."""

    id: ObjectId


class DirectoryObject(GraphRecord):
    """Something that a user is a member of; ``odata_type`` tells groups from directory roles and administrative units."""

    id: ObjectId
    odata_type: str = Field(default="", alias="@odata.type")


class UserPage(GraphRecord):
    """One page of users."""

    value: list[User]
    next_link: str | None = Field(default=None, alias="@odata.nextLink")


class Removal(GraphRecord):
    """A user that is no longer there (``deleted`` for good, ``changed`` for now)."""

    id: ObjectId
    removed: dict[str, Any] = Field(alias="@removed")


class ToldUser(User):
    """A user of whom everything was told."""

    account_enabled: bool = Field(alias="accountEnabled")


class Mention(GraphRecord):
    """A user of whom only what changed was told."""

    id: ObjectId


class UserDelta(GraphRecord):
    """One page of what became of users. ``next_link`` leads on; ``delta_link``, on the last page, to what changes from then on."""

    value: list[Annotated[Removal | ToldUser | Mention, Field(union_mode="left_to_right")]]
    next_link: str | None = Field(default=None, alias="@odata.nextLink")
    delta_link: str | None = Field(default=None, alias="@odata.deltaLink")


class DirectoryObjectPage(GraphRecord):
    """One page of memberships."""

    value: list[DirectoryObject]
    next_link: str | None = Field(default=None, alias="@odata.nextLink")


SELECTED = ",".join(field.alias or name for name, field in User.model_fields.items())
"""The ``$select`` of a user: without it Graph leaves out the marker, the expiry and whether the account is enabled."""
