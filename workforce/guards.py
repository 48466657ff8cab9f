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


def with_standing_band(terms: EngagementTerms, known: EngagementTerms | None) -> EngagementTerms:
    """``terms`` with the band that holds. A band that vanished still does: a source that stops telling it does not lift it."""
    if known is None or terms.rate_band is not None or known.rate_band is None:
        return terms
    return terms.model_copy(update={"rate_band": known.rate_band})


def _rate_in_band(terms: EngagementTerms, known: EngagementTerms | None) -> Iterator[Violation]:
    band = with_standing_band(terms, known).rate_band
    if band is None:
        return
    if known is not None and terms.rate_band is None and terms.rate.unit is not known.rate.unit:
        yield Violation(
            "terms.rate.unit",
            "band_without_unit",
            "the rate is in another unit, and the band that was approved is not said in it; have the band approved in the new unit",
        )
    elif not band.minimum <= terms.rate.amount <= band.maximum:
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
            "an engagement keeps the currency in which it was requested; correct it at its source, or end this work order and start another",
        )
