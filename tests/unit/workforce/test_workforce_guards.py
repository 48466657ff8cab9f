"""Guards: what is blocked by name, whatever a source says or does not say any more."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workforce.engagement import EngagementTerms, RateBand
from workforce.guards import violations, with_standing_band

BAND = RateBand(minimum=Decimal(80), maximum=Decimal(120))


def terms(amount: str = "95", unit: str = "hour", currency: str = "USD", band: RateBand | None = None) -> EngagementTerms:
    return EngagementTerms.model_validate(
        {
            "vms_id": "WO-1", "role": "Data Engineer", "client_unit": "Analytics", "supplier": "Difference Staffing",
            "sponsor_email": "charles@acme.example", "location": "Berlin", "time_zone": "Europe/Berlin",
            "starts_on": "2026-11-23", "ends_on": "2027-02-26",
            "rate": {"amount": amount, "currency": currency, "unit": unit}, "rate_band": band,
        }
    )  # fmt: skip


@pytest.mark.parametrize("amount", ["80", "80.0000", "95", "120"])
def test_a_rate_inside_its_band_passes_both_ends_included(amount: str) -> None:
    assert violations(terms(amount, band=BAND)) == []


@pytest.mark.parametrize("amount", ["79.9999", "120.0001", "9500"])
def test_a_rate_outside_its_band_is_blocked_and_not_shown(amount: str) -> None:
    (found,) = violations(terms(amount, band=BAND))
    assert (found.field, found.cause) == ("terms.rate.amount", "rate_outside_band")
    assert amount not in found.message


def test_a_band_that_vanished_still_holds() -> None:
    (found,) = violations(terms("9500"), terms(band=BAND))
    assert found.cause == "rate_outside_band"


def test_a_band_that_vanished_is_kept_with_the_terms_so_that_it_holds_the_next_time_too() -> None:
    kept = with_standing_band(terms("96"), terms(band=BAND))
    assert kept.rate_band == BAND
    assert [each.cause for each in violations(terms("9500"), kept)] == ["rate_outside_band"]


def test_a_new_band_takes_the_place_of_the_known_one() -> None:
    wider = RateBand(minimum=Decimal(80), maximum=Decimal(200))
    assert violations(terms("150", band=wider), terms(band=BAND)) == []
    assert with_standing_band(terms("150", band=wider), terms(band=BAND)).rate_band == wider


def test_a_band_is_not_compared_with_a_rate_in_another_unit() -> None:
    (found,) = violations(terms("100", unit="day"), terms(band=BAND))
    assert (found.field, found.cause) == ("terms.rate.unit", "band_without_unit")
    daily = RateBand(minimum=Decimal(640), maximum=Decimal(960))
    assert violations(terms("760", unit="day", band=daily), terms(band=BAND)) == []


def test_another_currency_is_blocked_whatever_the_amount() -> None:
    assert [each.cause for each in violations(terms(currency="JPY"), terms())] == ["currency_changed"]


def test_a_first_work_order_has_nothing_to_keep() -> None:
    assert violations(terms()) == []
    assert with_standing_band(terms(), None).rate_band is None
