"""Guards of a work order: what must hold before anything of it is written anywhere.

A miskeyed rate is a payroll discrepancy, and a repeated one can make a contractor look like an employee. So what lies outside what was
approved is blocked, by name, and a person corrects it at its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workforce.engagement import EngagementTerms


@dataclass(frozen=True, slots=True)
class Violation:
    """What a guard blocks. ``field`` is canonical; ``message`` says what to do and never what was found."""

    field: str
    cause: str
    message: str


def violations(terms: EngagementTerms, known: EngagementTerms | None = None) -> list[Violation]:
    """Everything that keeps ``terms`` from being taken; ``known`` are those that hold until now.

    That an end lies before its start is refused by the canonical model itself (cause ``contradicting_dates``).
    """
    return [*_rate_in_band(terms, known), *_currency_stays(terms, known)]


def _rate_in_band(terms: EngagementTerms, known: EngagementTerms | None) -> Iterator[Violation]:
    """A band that vanished still holds: a source that stops telling it does not lift it."""
    band = terms.rate_band or (known.rate_band if known else None)
    if band is not None and not band.minimum <= terms.rate.amount <= band.maximum:
        yield Violation(
            "terms.rate.amount",
            "rate_outside_band",
            "outside the band that the work order approves; correct the rate at its source, or have the band approved there",
        )


def _currency_stays(terms: EngagementTerms, known: EngagementTerms | None) -> Iterator[Violation]:
    if known is not None and terms.rate.currency != known.rate.currency:
        yield Violation(
            "terms.rate.currency",
            "currency_changed",
            "a running engagement keeps its currency; correct it at its source, or end this work order and start another",
        )
