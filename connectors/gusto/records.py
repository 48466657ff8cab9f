"""Gusto's answers as typed records. Field names are the vendor's."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from workforce.errors import RetryLater

T = TypeVar("T")


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Contractor(_Wire):
    """A contractor: what the hub writes and reads back. ``dismissal_date`` is a day (ISO), also a coming one."""

    uuid: str
    version: str | None = None
    type: str | None = None
    wage_type: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    middle_initial: str | None = None
    business_name: str | None = None
    email: str | None = None
    start_date: str | None = None
    hourly_rate: str | None = None
    work_state: str | None = None
    file_new_hire_report: bool | None = None
    onboarded: bool | None = None
    onboarding_status: str | None = None
    is_active: bool = True
    dismissal_date: str | None = None


class _Resource(_Wire):
    type: str | None = None
    uuid: str | None = None


class TokenInfo(_Wire):
    """GET /v1/token_info: what the token opens. ``scope`` is separated by blanks."""

    scope: str = ""
    resource: _Resource | None = None


class Token(_Wire):
    """POST /oauth/token. ``expires_in`` is in seconds; ``refresh_token`` replaces the one that was used."""

    access_token: str
    expires_in: float = 7200
    refresh_token: str | None = None


class Fault(_Wire):
    """One entry of ``errors``. ``error_key`` is the attribute; nested entries have ``errors`` of their own."""

    error_key: str = "base"
    category: str = ""
    message: str = ""
    errors: tuple[Fault, ...] = ()

    def leaves(self) -> list[Fault]:
        """The entries that say something, in order."""
        return [leaf for nested in self.errors for leaf in nested.leaves()] if self.errors else [self]


class Faults(_Wire):
    """The body of a 404, 409 or 422."""

    errors: tuple[Fault, ...] = ()

    def leaves(self) -> list[Fault]:
        """All entries that say something, in order."""
        return [leaf for fault in self.errors for leaf in fault.leaves()]


def parse(shape: type[T], payload: object) -> T:
    """``payload`` of a read as ``shape``. Raises ``RetryLater`` when it is something else: a read may be repeated."""
    try:
        return TypeAdapter(shape).validate_python(payload)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "answer"
        raise RetryLater(f"gusto: unexpected answer at {where}", cause="unreadable_answer") from None
