"""JSON over an edge to Gusto: what was refused, about which field, without anybody's name in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from connectors.gusto.records import Fault, Listed, parse
from connectors.http import Dialect, HttpEdge
from connectors.records.answers import told_in
from connectors.records.paging import until_nothing_new
from connectors.records.words import sent_in, without_values
from connectors.wire.budget import Budget
from workforce.errors import AlreadyTaken, HubError, OutcomeUnknown, Refused

T = TypeVar("T")
L = TypeVar("L", bound=Listed)

PER_PAGE = 100
BUDGET = Budget(units=200, seconds=60)  # of each authorisation, in a rolling minute: the vendor's guide to rate limits
FOUND_BY: Mapping[str, frozenset[str | None]] = {
    "contractors": frozenset({None, "email"}),
    "contractor_payment_groups": frozenset({None, "creation_token"}),
}
"""Duplicates (``None``: of an unnamed field) whose holder can be looked up, by what is created; any other is a plain refusal."""


class GustoWire:
    """One authorisation's requests. Every method raises only the errors of ``workforce.errors``."""

    def __init__(self, edge: HttpEdge) -> None:
        self._edge = edge

    def read(self, shape: type[T], path: str, **params: str) -> T:
        """What is at ``path``. Raises ``NotFound``."""
        return parse(shape, self._edge.read_json("GET", path, params=params))

    def pages(self, path: str, shape: type[list[L]], **params: str) -> Iterator[L]:
        """Every entry of a list, until a page brings nothing new.

        The description gives no last page; the header X-Total-Pages (not verified against the vendor) is not relied upon.
        """

        def page(number: int) -> Sequence[L]:
            return self.read(shape, path, page=str(number), per=str(PER_PAGE), **params)

        return until_nothing_new(page, lambda one: one.uuid)

    def send(self, shape: type[T], method: str, path: str, fields: Mapping[str, object]) -> T:
        """A write and what it is answered with. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        return parse.written(shape, self._edge.write(method, path, json=dict(fields)).content)

    def order(self, method: str, path: str, **request: Any) -> None:
        """A write that is answered with 204 and nothing else."""
        if self._edge.write(method, path, **request).status_code != 204:
            raise OutcomeUnknown(f"gusto: {method} was answered otherwise than with 204", cause="unreadable_answer")


def _reason(response: httpx.Response) -> str:
    """What Gusto says, as "attribute: message", without what may tell who it is."""
    told = "; ".join(f"{fault.error_key or 'base'}: {fault.message or fault.category}" for fault in _faults(response))
    return without_values(told, sent_in(response)) or response.reason_phrase


def _refusal(said: str, response: httpx.Response) -> HubError:
    """``Refused`` naming the field, or ``AlreadyTaken`` where a creation meets a record that can be looked up."""
    faults, created = _faults(response), response.request.url.path.rpartition("/")[2]
    taken = next((fault for fault in faults if _is_duplicate(fault)), None)
    if response.status_code == 422 and taken is not None and taken.field in FOUND_BY.get(created, ()):
        return AlreadyTaken(f"{said}; look at the record that holds it", field=taken.field)
    field = next((fault.field for fault in faults if fault.field), None)
    return Refused(f"{said}; correct {field or 'the record'} and replay", cause=f"http_{response.status_code}", field=field)


def _faults(response: httpx.Response) -> list[Fault]:
    return told_in(response.content, Fault, Fault()).leaves()


def _is_duplicate(fault: Fault) -> bool:
    """By the category of the vendor's guide to errors, or the words of the description's examples."""
    return fault.category == "duplicate_operation" or "already been taken" in (fault.message or "")


DIALECT = Dialect("gusto", reason=_reason, refusal=_refusal, budgets=(BUDGET,))
"""How Gusto answers."""
