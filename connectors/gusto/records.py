"""Gusto's answers as typed records. Field names are the vendor's."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field, SecretStr

from connectors.records.answers import Reading, Usable, Wire

parse = Reading("gusto")

MAX_EPOCH_SECONDS = 253_402_300_799  # the end of the year 9999

Name = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$")]
"""An id or the name of a kind or field, fit to be kept and shown."""
Epoch = Annotated[int, Field(ge=0, le=MAX_EPOCH_SECONDS)]


class Listed(Wire):
    """What comes in pages."""

    uuid: str


class Created(Wire):
    """What a write is answered with, as far as it matters."""

    uuid: str = Field(min_length=1)


class Employment(Wire):
    """An employment to come, of a contractor whose rehire is scheduled. ``start_date`` is a day (ISO)."""

    start_date: str


class Contractor(Listed):
    """A contractor: what the hub writes and reads back. ``dismissal_date`` is a day (ISO), also a coming one."""

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
    upcoming_employment: Employment | None = None


class Event(Wire):
    """GET /v1/events. ``timestamp`` is in Unix seconds; only ``uuid`` is sure to be there."""

    uuid: Name
    event_type: Annotated[Name | None, Usable] = None
    entity_uuid: Annotated[Name | None, Usable] = None
    resource_uuid: Annotated[Name | None, Usable] = None
    timestamp: Annotated[Epoch | None, Usable] = None

    @property
    def occurred_at(self) -> datetime | None:
        """The vendor's clock, UTC."""
        return datetime.fromtimestamp(self.timestamp, UTC) if self.timestamp is not None else None


class PaymentRecord(Wire):
    """One payment of a group; amounts are numbers in strings."""

    contractor_uuid: str
    payment_method: str | None = None
    wage: Decimal | None = None
    hours: Decimal | None = None
    bonus: Decimal | None = None
    reimbursement: Decimal | None = None


class PaymentGroupRecord(Listed):
    """A contractor payment group (Embedded). ``status`` is Funded or Unfunded; a list leaves the payments out."""

    check_date: str | None = None
    status: str | None = None
    creation_token: str | None = None
    contractor_payments: tuple[PaymentRecord, ...] = ()


class Subscription(Wire):
    """A webhook subscription. ``status`` is pending, verified, removed or unreachable."""

    uuid: str
    url: str | None = None
    status: str | None = None


class Verification(Wire):
    """What Gusto posts, unsigned, to a new subscription's url. The field names are from memory: not verified against the vendor."""

    verification_token: SecretStr = Field(min_length=1)
    webhook_subscription_uuid: str = Field(min_length=1)


class _Resource(Wire):
    type: str | None = None
    uuid: str | None = None


class TokenInfo(Wire):
    """GET /v1/token_info: what the token opens. ``scope`` is separated by blanks."""

    scope: str = ""
    resource: _Resource | None = None


class Fault(Wire):
    """The body of a 404, 409 or 422, and each entry of its ``errors``. ``error_key`` is the attribute; entries may be nested."""

    error_key: Annotated[Name | None, Usable] = None
    category: Annotated[str | None, Usable] = None
    message: Annotated[str | None, Usable] = None
    errors: tuple[Fault, ...] = ()

    @property
    def field(self) -> str | None:
        """The attribute; nothing for a fault of the whole."""
        return None if self.error_key == "base" else self.error_key

    def leaves(self) -> list[Fault]:
        """The entries that say something, in order."""
        return [leaf for nested in self.errors for leaf in nested.leaves() or [nested]]
