"""The canonical model: what a source record becomes before anything is decided or written."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from workforce.errors import Refused
from workforce.period import Cutoff, end_instant, start_instant, zone
from workforce.states import STANDING, EngagementState

DECIDE_THE_END = ("ends_on", "time_zone", "cutoff", "close_of_business", "terminates_at")
"""The terms that decide when access stops."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class RateUnit(StrEnum):
    """What one unit of a rate buys."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    FIXED = "fixed"


class _Canonical(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Rate(_Canonical):
    """Money per unit. ``amount`` is exact, in ``currency`` (ISO 4217)."""

    amount: Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=4)]
    currency: CurrencyCode
    unit: RateUnit


class RateBand(_Canonical):
    """What was approved for a rate, both ends included, in the rate's own currency and unit."""

    minimum: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=4)]
    maximum: Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=4)]

    @model_validator(mode="after")
    def _ends_agree(self) -> Self:
        if self.maximum < self.minimum:
            raise PydanticCustomError("contradicting_band", "maximum is less than minimum", {"field": "maximum"})
        return self


class ExternalIdentities(_Canonical):
    """What the source itself calls the person, the position and the request; kept to trace a record, never to match a person by."""

    person_id: Text | None = None
    position_id: Text | None = None
    requisition_id: Text | None = None


class WorkerProfile(_Canonical):
    """A person as the records of the client know them. Names keep their script. Tax ids never travel in here."""

    given_name: Text
    family_name: Text
    personal_email: Email
    country: CountryCode = Field(description="ISO 3166-1 alpha-2 country of the work location")
    phone: Text | None = None


class EngagementTerms(_Canonical):
    """What was agreed for one stint.

    ``starts_on`` and ``ends_on`` are calendar days at the work location (both inclusive). ``terminates_at`` is an explicit
    instant that overrides ``ends_on`` (an early or immediate termination).
    """

    vms_id: Text = Field(description="identifier of the work order in the VMS")
    role: Text
    client_unit: Text = Field(description="the client's business unit or cost centre")
    supplier: Text
    supplier_id: Text | None = Field(default=None, description="what the source calls the supplier")
    sponsor_email: Email = Field(description="the client's manager who answers for the contractor")
    location: Text
    time_zone: Text
    starts_on: date
    ends_on: date
    cutoff: Cutoff = Cutoff.END_OF_LOCAL_DAY
    close_of_business: time = time(17, 0)
    terminates_at: AwareDatetime | None = None
    rate: Rate
    rate_band: RateBand | None = Field(default=None, description="what the work order approves for the rate")

    @model_validator(mode="after")
    def _dates_agree(self) -> Self:
        if self.ends_on < self.starts_on:
            raise PydanticCustomError(
                "contradicting_dates",
                "ends_on {ends_on} is before starts_on {starts_on}",
                {"field": "ends_on", "ends_on": self.ends_on.isoformat(), "starts_on": self.starts_on.isoformat()},
            )
        return self

    def start_instant(self) -> datetime:
        """The UTC instant from which access may be used: midnight at the work location. Raises ``Refused`` for an unknown zone."""
        return start_instant(self.starts_on, self.time_zone)

    def end_instant(self) -> datetime:
        """The UTC instant at which access must stop, in whole seconds (directories keep no finer ones).

        Raises ``Refused`` for an unknown zone.
        """
        zone(self.time_zone)
        if self.terminates_at is not None:
            instant = self.terminates_at.astimezone(UTC)
            return instant if instant.microsecond == 0 else instant.replace(microsecond=0) + timedelta(seconds=1)
        return end_instant(self.ends_on, self.time_zone, self.cutoff, close=self.close_of_business)

    def ends_as(self, other: EngagementTerms) -> bool:
        """Whether ``other`` says the same of the end."""
        return all(getattr(self, name) == getattr(other, name) for name in DECIDE_THE_END)


class WorkOrder(_Canonical):
    """A VMS work order in canonical form: the person, the terms, and what the source calls them."""

    worker: WorkerProfile
    terms: EngagementTerms
    external: ExternalIdentities = Field(default_factory=ExternalIdentities)


class Agreement(_Canonical):
    """An agreement as the e-signature system reports it. ``signed_at`` is the last required signature."""

    envelope_id: Text
    vms_id: Text = Field(description="the work order that the agreement is about, from the envelope's custom field")
    status: Text
    signed_at: AwareDatetime | None = None

    def executed_at(self) -> datetime:
        """When every required party had signed. Raises ``Refused`` (cause ``not_executed``) before that."""
        if self.status == "completed" and self.signed_at is not None:
            return self.signed_at
        message = f"status: envelope {self.envelope_id} is {self.status!r}, not completed; wait for every signature"
        raise Refused(message, cause="not_executed", field="status")


class Worker(_Canonical):
    """A stored worker. ``marker`` is ours on every account (see ``workforce.markers``)."""

    id: UUID
    tenant: str
    marker: str
    profile: WorkerProfile


class Engagement(_Canonical):
    """A stored engagement.

    ``epoch`` rises with every change of ownership and fences stale runners. ``tombstoned_at`` is set once the ending has
    begun; nothing is granted after it. ``end_at`` is the stored end instant, never recomputed from the date.
    ``mapping_pins`` is mapping id → version label (``v0003``), fixed when the engagement started. ``source_version`` is the VMS's version
    of the record that the terms were last compared with; versions compare by code point. ``access_pins`` is access package → version.
    ``suspended_at``: access is withheld although the engagement goes on (a review that nobody answered). ``reported_terms`` are what the
    VMS said last, where these are not the terms that count: a person moved the end, or the ending has begun.
    """

    id: UUID
    tenant: str
    worker: Worker
    terms: EngagementTerms
    state: EngagementState
    vms_system: str
    epoch: int
    end_at: AwareDatetime
    envelope_id: str | None = None
    signed_at: AwareDatetime | None = None
    tombstoned_at: AwareDatetime | None = None
    access_verified_at: AwareDatetime | None = None
    revoked_verified_at: AwareDatetime | None = None
    external: ExternalIdentities = Field(default_factory=ExternalIdentities)
    mapping_pins: dict[str, str] = Field(default_factory=dict)
    source_version: str = ""
    access_pins: dict[str, int] = Field(default_factory=dict)
    suspended_at: AwareDatetime | None = None
    reported_terms: EngagementTerms | None = Field(default=None, repr=False)

    @property
    def goes_on(self) -> bool:
        """Whether it supports access, unless it is suspended or has not started: it is cleared or active, and its ending has not begun."""
        return self.state in STANDING and self.tombstoned_at is None

    @property
    def has_access(self) -> bool:
        """Whether its access was proven once, and was not proven to be gone since: its person uses the account by now."""
        return self.access_verified_at is not None and self.revoked_verified_at is None

    def with_order(self, order: WorkOrder) -> Engagement:
        """The engagement once ``order`` is taken.

        The end moves only when the source says something new of it: an end that a person set stays until then. Once the ending has begun
        it stays whatever is said (see ``ledger.ending.ends``). Raises ``Refused`` for an unknown zone.
        """
        profile = self.worker.model_copy(update={"profile": order.worker})
        return self.model_copy(update={"worker": profile, "external": order.external, **self._agreed(order.terms)})

    def _agreed(self, said: EngagementTerms) -> dict[str, object]:
        """The terms that count once the source has said these, what it said where that differs, and the end."""
        if self.tombstoned_at is None and self._is_news(said):
            end_at = self.end_at if said.ends_as(self.terms) else said.end_instant()
            return {"terms": said, "reported_terms": None, "end_at": end_at}
        kept = DECIDE_THE_END if self.tombstoned_at is None else ("starts_on", *DECIDE_THE_END)
        terms = said.model_copy(update={name: getattr(self.terms, name) for name in kept})
        return {"terms": terms, "reported_terms": None if terms == said else said}

    def _is_news(self, said: EngagementTerms) -> bool:
        """Whether the source's word on the end counts again, although a person set another one."""
        before = self.reported_terms
        return before is None or not said.ends_as(before) or said.starts_on > self.terms.ends_on

    def last_day(self) -> date:
        """The calendar day at the work location on which the stint stops (the last moment before ``end_at``)."""
        return (self.end_at - timedelta(seconds=1)).astimezone(zone(self.terms.time_zone)).date()


C = TypeVar("C", bound=BaseModel)
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


def is_email(text: str) -> bool:
    """Whether ``text`` is an address as engagements hold them."""
    try:
        _EMAIL.validate_python(text)
    except ValidationError:
        return False
    return True


def canonical(model: type[C], values: dict[str, Any], *, source: str) -> C:
    """Validate ``values`` as ``model``. Raises ``Refused`` naming every wrong field; ``source`` says where they came from."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _as_refused(error, source) from None


def _as_refused(error: ValidationError, source: str) -> Refused:
    faults = [(_field(fault), fault["msg"], fault["type"]) for fault in error.errors(include_input=False, include_url=False)]
    sentence = "; ".join(f"{name}: {message}" for name, message, _ in faults)
    first_field, _, first_type = faults[0]
    cause = "contradicting_dates" if first_type == "contradicting_dates" else "invalid_record"
    return Refused(f"{source}: {sentence}", cause=cause, field=first_field)


def _field(fault: Any) -> str:
    path = [str(part) for part in fault["loc"]]
    named = fault.get("ctx", {}).get("field")
    return ".".join([*path, named] if named else path) or "record"
