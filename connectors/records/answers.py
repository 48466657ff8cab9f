"""Vendors' answers as typed records. What is not as expected is told by its place, never by its content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Protocol, TypeVar

import httpx
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from connectors.records.instants import in_utc
from workforce.errors import OutcomeUnknown, RetryLater

T = TypeVar("T")
CODE = r"[A-Za-z0-9_.-]{1,80}"


class Wire(BaseModel):
    """Base of what crosses the wire: frozen, nothing quoted in errors, and unknown fields are none of our business."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


Instant = Annotated[AwareDatetime, AfterValidator(in_utc)]
"""A date-time with its offset (RFC 3339), in UTC from then on."""


def _or_nothing(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return None


Usable = WrapValidator(_or_nothing)
"""What cannot be used counts as absent, as in ``Annotated[Instant | None, Usable] = None``: one odd record never hides the others of its page."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads one system's answers: ``parse = Reading("gusto")``, then ``parse(Contractor, payload)``."""

    system: str

    def __call__(self, shape: type[T], payload: object) -> T:
        """``payload`` of a read as ``shape``; bytes are JSON. Raises ``RetryLater`` when it is something else: a read may be repeated."""
        try:
            return _as(shape, payload)
        except ValidationError as error:
            raise RetryLater(f"{self.system}: unexpected answer at {place_of(error)}", cause="unreadable_answer") from None

    def written(self, shape: type[T], payload: object) -> T:
        """``payload`` of a write that succeeded as ``shape``. Raises ``OutcomeUnknown`` when it is something else: it may not be repeated."""
        try:
            return self(shape, payload)
        except RetryLater as error:
            raise OutcomeUnknown(f"{error}; the write may have been done", cause=error.cause) from None


def told_in(payload: object, shape: type[T], otherwise: T) -> T:
    """``payload`` of a refusal as ``shape``; bytes are JSON. ``otherwise`` when it is something else: it is a refusal all the same."""
    try:
        return _as(shape, payload)
    except ValidationError:
        return otherwise


def _as(shape: type[T], payload: object) -> T:
    adapter = TypeAdapter(shape)
    return adapter.validate_json(payload) if isinstance(payload, bytes) else adapter.validate_python(payload)


def place_of(error: ValidationError, *, whole: str = "answer") -> str:
    """Where the first fault lies, as a dotted path, or ``whole``; a vendor's own keys may be in it, so it is cut short."""
    return ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])[:100] or whole


def code_in(response: httpx.Response, *path: str) -> str:
    """The code that the JSON of an answer holds at ``path``; ``""`` where there is none. Words for people are none: they may quote."""
    try:
        value: object = response.json()
    except (ValueError, RecursionError):
        return ""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) and re.fullmatch(CODE, value) else ""


class Served(Protocol):
    """An answer of ``httpx`` or ``requests``."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in any case."""
        ...


def served_at(response: Served) -> datetime | None:
    """When an answer was made, by the vendor's clock (RFC 9110 §6.6.1, whole seconds); ``None`` where it does not tell."""
    try:
        told = parsedate_to_datetime(response.headers["date"])
        return in_utc(told if told.tzinfo else told.replace(tzinfo=UTC))
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def whole_pdf(response: httpx.Response, system: str) -> bytes:
    """The PDF in an answer. Raises ``RetryLater`` unless it is whole: nothing but its own end tells that it was cut off."""
    content = response.content
    if not content.startswith(b"%PDF-") or b"%%EOF" not in content[-1024:]:
        raise RetryLater(f"{system}: what it sent is not a whole PDF", cause="unreadable_answer")
    return content
