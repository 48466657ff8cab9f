"""What Graph sends, typed. Field names are Graph's own (v1.0 metadata)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import httpx
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from workforce.errors import UnusableContent


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the calendar") from None


def _word(text: object) -> str:
    return text if isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_.\-]{1,64}", text) else ""


Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
ObjectId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]
Word = Annotated[str, BeforeValidator(_word)]
"""A code, a field's name or an id, fit to be shown to people; anything else is left out."""


class GraphRecord(BaseModel):
    """Base: frozen, and unknown fields are none of our business."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


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


class BatchAnswer(GraphRecord):
    """What became of one request of a batch."""

    id: str
    status: Annotated[int, Field(ge=100, le=599)]
    headers: dict[str, str] = {}
    body: Any = None

    def as_response(self, method: str, url: str) -> httpx.Response:
        """As if it had come alone. Of its headers only Retry-After means anything to us."""
        headers = {name: value for name, value in self.headers.items() if name.casefold() == "retry-after" and value.isascii()}
        content = b"" if self.body is None else json.dumps(self.body).encode()
        return httpx.Response(self.status, headers=headers, content=content, request=httpx.Request(method, url))


class BatchAnswers(GraphRecord):
    """What became of a batch, in no order."""

    responses: list[Any]

    def by_id(self) -> dict[str, BatchAnswer]:
        """The answers that can be read; a request without one may have been carried out or not."""
        answers = [answer for each in self.responses if (answer := _readable(each)) is not None]
        return {answer.id: answer for answer in answers}


def _readable(answer: object) -> BatchAnswer | None:
    try:
        return BatchAnswer.model_validate(answer)
    except ValidationError:
        return None


class DirectoryObjectPage(GraphRecord):
    """One page of memberships."""

    value: list[DirectoryObject]
    next_link: str | None = Field(default=None, alias="@odata.nextLink")


class ErrorDetail(GraphRecord):
    """One of several reasons."""

    code: Word = ""
    target: Word = ""


class InnerError(GraphRecord):
    """What Microsoft's support asks for."""

    request_id: Word = Field(default="", alias="request-id")


class MainError(GraphRecord):
    """``message`` may name people: it is looked at, never passed on."""

    code: Word = ""
    message: str = ""
    target: Word = ""
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
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)[:3])
        raise UnusableContent(f"msgraph: an answer has unusable fields: {fields}", field=fields) from None
