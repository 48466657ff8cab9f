"""What Graph sends, typed. Field names are Graph's own (v1.0 metadata)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from workforce.errors import UnusableContent


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_utc)]


class GraphRecord(BaseModel):
    """Base: frozen, and unknown fields are none of our business."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class User(GraphRecord):
    """A user, with the fields that we select."""

    id: str
    user_principal_name: str = Field(alias="userPrincipalName")
    employee_id: str | None = Field(default=None, alias="employeeId")
    account_enabled: bool | None = Field(default=None, alias="accountEnabled")
    employee_leave_date_time: Instant | None = Field(default=None, alias="employeeLeaveDateTime")
    sign_in_sessions_valid_from: Instant | None = Field(default=None, alias="signInSessionsValidFromDateTime")


class CreatedUser(GraphRecord):
    """The answer to a create: only its id matters."""

    id: str


class DirectoryObject(GraphRecord):
    """Something that a user is a member of; ``odata_type`` tells groups from directory roles and administrative units."""

    id: str
    odata_type: str = Field(default="", alias="@odata.type")


class UserPage(GraphRecord):
    """One page of users."""

    value: list[User]
    next_link: str | None = Field(default=None, alias="@odata.nextLink")


class DirectoryObjectPage(GraphRecord):
    """One page of memberships."""

    value: list[DirectoryObject]
    next_link: str | None = Field(default=None, alias="@odata.nextLink")


class ErrorDetail(GraphRecord):
    """One of several reasons."""

    code: str = ""
    target: str | None = None


class InnerError(GraphRecord):
    """What Microsoft's support asks for."""

    request_id: str = Field(default="", alias="request-id")


class MainError(GraphRecord):
    """``message`` may name people: it is looked at, never passed on."""

    code: str = ""
    message: str = ""
    target: str | None = None
    details: list[ErrorDetail] = []
    inner_error: InnerError = Field(default=InnerError(), alias="innerError")


class ODataError(GraphRecord):
    """Graph's error answer."""

    error: MainError = MainError()


SELECTED = ",".join(field.alias or name for name, field in User.model_fields.items())
"""The ``$select`` of a user: without it Graph leaves out the marker, the expiry and whether the account is enabled."""

R = TypeVar("R", bound=GraphRecord)


def parsed(kind: type[R], body: dict[str, Any]) -> R:
    """``body`` as ``kind``. Raises ``UnusableContent`` naming the fields at fault, without their values."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise UnusableContent(f"msgraph: an answer has unusable fields: {fields}", field=fields) from None
