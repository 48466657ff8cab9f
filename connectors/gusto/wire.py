"""JSON over an edge to Gusto: what was refused, about which field, without anybody's name in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, TypeVar

import httpx
import structlog
from pydantic import ValidationError

from connectors.budget import Budget
from connectors.gusto.records import Fault, Faults, Listed, parse
from connectors.http import Dialect, HttpEdge, Verdict, json_object, verdict_by_status
from workforce.errors import AlreadyTaken, OutcomeUnknown, Refused, RetryLater

log = structlog.get_logger(__name__)

L = TypeVar("L", bound=Listed)

PER_PAGE = 100
BUDGET = Budget(units=200, seconds=60)  # of each authorisation, in a rolling minute: the vendor's guide to rate limits
_ADDRESS_OR_NUMBER = re.compile(r"[^\s<>\"']+@[^\s<>\"']+|\d[\d -]{4,}\d")  # a tax or bank number, however it is written


def dialect() -> Dialect:
    """How Gusto answers."""
    return Dialect("gusto", verdict=_verdict, reason=lambda response: _told(response, _faults(response), {}), budgets=(BUDGET,))


def _verdict(response: httpx.Response) -> Verdict:
    """Refusals with a body pass: only here, beside the request, is it known what they are about."""
    verdict = verdict_by_status(response)
    return Verdict.OK if verdict is Verdict.REFUSED else verdict


class GustoWire:
    """One authorisation's requests. Every method raises only the errors of ``workforce.errors``."""

    def __init__(self, edge: HttpEdge) -> None:
        self._edge = edge

    def get(self, path: str, **request: Any) -> object:
        """The JSON of a read."""
        response = self._edge.read("GET", path, **request)
        _accept(response, {}, frozenset())
        try:
            payload: object = response.json()
        except (ValueError, RecursionError):
            raise RetryLater("gusto: GET answered without readable JSON", cause="unreadable_answer") from None
        return payload

    def pages(self, path: str, shape: type[list[L]], **params: str) -> Iterator[L]:
        """Every entry of a list, until a page brings nothing new.

        The description gives no last page; the header X-Total-Pages (not verified against the vendor) is not relied upon.
        """
        seen: set[str] = set()
        for page in count(1):
            listed = parse(shape, self.get(path, params={"page": str(page), "per": str(PER_PAGE), **params}))
            fresh = [one for one in listed if one.uuid not in seen]
            if not fresh:
                return
            yield from fresh
            seen.update(one.uuid for one in fresh)

    def send(
        self, method: str, path: str, fields: Mapping[str, object], *, unique: frozenset[str | None] = frozenset()
    ) -> dict[str, Any]:
        """A write and the JSON object in its answer. A duplicate of a field in ``unique`` raises ``AlreadyTaken``."""
        return json_object(self._written(method, path, fields, unique), "gusto")

    def order(self, method: str, path: str, fields: Mapping[str, object] | None = None) -> None:
        """A write that is answered with 204 and nothing else."""
        if self._written(method, path, fields, frozenset()).status_code != 204:
            raise OutcomeUnknown(f"gusto: {method} was answered otherwise than with 204", cause="unreadable_answer")

    def _written(
        self, method: str, path: str, fields: Mapping[str, object] | None, unique: frozenset[str | None]
    ) -> httpx.Response:
        body = b"" if fields is None else json.dumps(dict(fields)).encode()
        response = self._edge.write(method, path, content=body, headers={"Content-Type": "application/json"} if body else {})
        _accept(response, fields or {}, unique)
        return response


def _accept(response: httpx.Response, sent: Mapping[str, object], unique: frozenset[str | None]) -> None:
    """Raise ``Refused`` naming the field, or ``AlreadyTaken`` for a duplicate in ``unique``, unless the answer is a success."""
    if response.is_success:
        return
    faults = _faults(response)
    told = f"gusto: {response.request.method} answered {response.status_code}: {_told(response, faults, sent)}"
    field = next((fault.field for fault in faults if fault.field), None)
    log.info("gusto.refused", status=response.status_code, field=field)
    taken = next((fault for fault in faults if _is_duplicate(fault)), None)
    if response.status_code == 422 and taken is not None and taken.field in unique:
        raise AlreadyTaken(f"{told}; look at the record that holds it", field=taken.field)
    raise Refused(f"{told}; correct {field or 'the record'} and replay", cause=f"http_{response.status_code}", field=field)


def _faults(response: httpx.Response) -> list[Fault]:
    try:
        return Faults.model_validate_json(response.content).leaves()
    except ValidationError:
        return []


def _is_duplicate(fault: Fault) -> bool:
    """By the category of the vendor's guide to errors, or the words of the description's examples."""
    return fault.category == "duplicate_operation" or "already been taken" in fault.message


def _told(response: httpx.Response, faults: list[Fault], sent: Mapping[str, object]) -> str:
    """What Gusto says, as "attribute: message", without addresses, numbers and texts that were sent: they may tell who it is."""
    told = "; ".join(f"{fault.error_key or 'base'}: {fault.message or fault.category}" for fault in faults)
    told = _ADDRESS_OR_NUMBER.sub("…", told)
    for text in sorted((value for value in sent.values() if isinstance(value, str) and value), key=len, reverse=True):
        told = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "…", told, flags=re.IGNORECASE)
    return told[:300] or response.reason_phrase
