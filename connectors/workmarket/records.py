"""What crosses the wire: the envelope of every answer, items of the list, an assignment. Field names are the vendor's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from connectors.http import Verdict, verdict_by_status
from connectors.records.answers import Reading, Wire, place_of
from workforce.errors import Refused, RetryLater

SYSTEM = "WorkMarket"
reading = Reading(SYSTEM)

R = TypeVar("R", bound=BaseModel)
Text = Annotated[str, Field(min_length=1)]

_OF_TOKEN = re.compile(r"(access|invalid|expired) token|unauthori[sz]ed|not authenticated", re.IGNORECASE)
_OF_ABSENCE = re.compile(r"not found|does not exist", re.IGNORECASE)
_BY_STATUS = {401: Verdict.UNAUTHENTICATED, 403: Verdict.FORBIDDEN, 404: Verdict.NOT_FOUND, 429: Verdict.THROTTLED}


class _Wire(Wire, coerce_numbers_to_str=True):
    pass


class Meta(_Wire):
    """The envelope's head. A refusal comes with HTTP 200 as well: then ``errors`` is filled. ``timestamp`` is the vendor's clock."""

    errors: tuple[Any, ...] = ()
    status_code: int | None = None
    request_id: str | None = Field(default=None, alias="requestId")
    timestamp: int | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether it says no."""
        return bool(self.errors) or (self.status_code or 200) >= 400

    def told(self, name: str) -> list[str]:
        """The ``name`` of each error; one may be a bare text."""
        return [str(error.get(name, "") if isinstance(error, Mapping) else error) for error in self.errors]


class Envelope(_Wire):
    """Every answer."""

    meta: Meta = Meta()
    response: Any = None


class Item(_Wire):
    """An assignment, as much of it as a list and the feed of changes need."""

    id: Text
    title: str | None = None
    last_modified_on: int


class Listing(_Wire):
    """A part of a list by offset. ``total`` counts all of it."""

    data: tuple[Item, ...]
    total: int | None = Field(default=None, alias="totalResults")


class Assignment(Item):
    """One assignment: what is used here. Times are in the settings' unit; ``time_zone`` is an IANA name."""

    status: str = ""
    scheduled_start: int | None = None
    scheduled_end: int | None = None
    time_zone: str | None = None


class Created(_Wire):
    """The answer to a creation."""

    id: Text | None = None
    successful: bool = True


def verdict(response: httpx.Response) -> Verdict:
    """By the envelope's head where HTTP says 200."""
    by_status = verdict_by_status(response)
    meta = _meta(response)
    if by_status is not Verdict.OK or not meta.is_refusal:
        return by_status
    if (meta.status_code or 200) >= 500:
        return Verdict.UNAVAILABLE
    said = " ".join(meta.told("message"))
    if known := _BY_STATUS.get(meta.status_code or 200):
        return known
    if _OF_TOKEN.search(said):
        return Verdict.UNAUTHENTICATED
    return Verdict.NOT_FOUND if _OF_ABSENCE.search(said) else Verdict.REFUSED


def reason(response: httpx.Response) -> str:
    """The errors' codes and the request's id; their messages may quote what was sent."""
    meta = _meta(response)
    told = [code for code in [*meta.told("code"), meta.request_id or ""] if re.fullmatch(r"[\w.-]{1,64}", code)]
    return ", ".join(told) or response.reason_phrase


def parse(shape: type[R], content: object) -> R:
    """``content`` as ``shape``: for answers to reads. Raises ``RetryLater`` when there is none, ``Refused`` when it is another."""
    if content is None:
        raise RetryLater(f"{SYSTEM}: the answer is empty", cause="unreadable_answer")
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        where = place_of(error)
        raise Refused(f"{SYSTEM}: {where} is not as described; tell WorkMarket", cause="unexpected_answer", field=where) from None


def _meta(response: httpx.Response) -> Meta:
    try:
        return Envelope.model_validate(response.json()).meta
    except (ValueError, RecursionError):
        return Meta()
