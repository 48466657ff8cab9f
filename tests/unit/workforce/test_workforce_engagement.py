from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from workforce.engagement import Agreement, EngagementTerms, Rate, WorkerProfile, WorkOrder, canonical
from workforce.errors import Refused


def terms(**difference: Any) -> dict[str, Any]:
    return {
        "vms_id": "WO-1",
        "role": "Data Engineer",
        "client_unit": "Analytics",
        "supplier": "Difference Staffing",
        "sponsor_email": "charles@acme.example",
        "location": "Berlin",
        "time_zone": "Europe/Berlin",
        "starts_on": "2026-11-23",
        "ends_on": "2027-02-26",
        "rate": {"amount": "95.00", "currency": "EUR", "unit": "hour"},
        **difference,
    }


def worker(**difference: Any) -> dict[str, Any]:
    return {
        "given_name": "Ada",
        "family_name": "Lovelace",
        "personal_email": "ada@example.org",
        "country": "DE",
        **difference,
    }


def refusal_of(values: dict[str, Any], model: Any = WorkOrder) -> Refused:
    with pytest.raises(Refused) as refusal:
        canonical(model, values, source="fieldglass work order WO-1")
    return refusal.value


def test_a_faulty_record_is_not_quoted_in_a_traceback() -> None:
    with pytest.raises(ValidationError) as fault:
        WorkerProfile(**worker(personal_email="ada at example.org"))
    assert "personal_email" in str(fault.value)
    assert "ada at" not in str(fault.value)


def test_a_valid_work_order_keeps_money_exact_and_dates_as_days() -> None:
    order = canonical(WorkOrder, {"worker": worker(), "terms": terms()}, source="test")
    assert order.terms.rate == Rate(amount=Decimal("95.00"), currency="EUR", unit="hour")  # type: ignore[arg-type]  # a StrEnum's value
    assert order.terms.ends_on == date(2027, 2, 26)


@pytest.mark.parametrize(
    ("part", "field", "wrong"),
    [
        ("terms", "ends_on", "soon"),
        ("terms", "starts_on", None),
        ("terms", "sponsor_email", "nobody"),
        ("terms", "role", "  "),
        ("terms", "terminates_at", "2026-11-23T09:00:00"),
        ("worker", "country", "Germany"),
        ("worker", "personal_email", "a b@example.org"),
        ("worker", "family_name", ""),
        ("worker", "tax_id", "123-45-6789"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not(part: str, field: str, wrong: object) -> None:
    values = {"worker": worker(), "terms": terms()}
    values[part][field] = wrong
    refusal = refusal_of(values)
    assert refusal.field == f"{part}.{field}"
    assert refusal.cause == "invalid_record"
    assert f"fieldglass work order WO-1: {part}.{field}: " in str(refusal)
    assert not str(wrong).strip() or wrong is None or str(wrong) not in str(refusal)


def test_every_wrong_field_is_named_at_once() -> None:
    refusal = refusal_of(
        {"worker": worker(country="de"), "terms": terms(rate={"amount": "-1", "currency": "euro", "unit": "week"})}
    )
    for field in ("worker.country", "terms.rate.amount", "terms.rate.currency", "terms.rate.unit"):
        assert field in str(refusal)


@pytest.mark.parametrize("amount", ["0", "-95", "NaN", "Infinity", "1e400", "95.00001", "95,00"])
def test_an_amount_that_is_not_exact_positive_money_is_refused(amount: str) -> None:
    refusal = refusal_of(terms(rate={"amount": amount, "currency": "EUR", "unit": "hour"}), EngagementTerms)
    assert refusal.field == "rate.amount"


def test_an_end_before_the_start_is_a_contradiction_that_names_the_end() -> None:
    refusal = refusal_of(terms(ends_on="2026-11-22"), EngagementTerms)
    assert refusal.cause == "contradicting_dates"
    assert refusal.field == "ends_on"


def test_a_stint_of_one_day_is_allowed() -> None:
    assert canonical(EngagementTerms, terms(ends_on="2026-11-23"), source="test").ends_on == date(2026, 11, 23)


def test_the_end_is_midnight_after_the_last_day_at_the_work_location() -> None:
    assert canonical(EngagementTerms, terms(), source="test").end_instant() == datetime(2027, 2, 26, 23, tzinfo=UTC)


def test_an_explicit_termination_overrides_the_last_day() -> None:
    early = canonical(EngagementTerms, terms(terminates_at="2026-12-01T15:00:00-05:00"), source="test")
    assert early.end_instant() == datetime(2026, 12, 1, 20, tzinfo=UTC)


def test_an_unknown_zone_is_refused_even_when_the_termination_is_explicit() -> None:
    wrong = canonical(EngagementTerms, terms(time_zone="Mars/Olympus", terminates_at="2026-12-01T15:00:00Z"), source="test")
    with pytest.raises(Refused, match="time_zone"):
        wrong.end_instant()


def test_names_keep_their_script() -> None:
    assert canonical(WorkerProfile, worker(family_name="Łukasiewicz-李"), source="test").family_name == "Łukasiewicz-李"


def an_agreement(**difference: Any) -> Agreement:
    values = {"envelope_id": "e-1", "vms_id": "WO-1", "status": "completed", "signed_at": "2026-11-20T15:00:00Z", **difference}
    return canonical(Agreement, values, source="docusign")


def test_an_agreement_is_executed_at_its_last_required_signature() -> None:
    assert an_agreement().executed_at() == datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize("difference", [{"status": "sent"}, {"signed_at": None}, {"status": "voided", "signed_at": None}])
def test_an_agreement_that_is_not_executed_is_refused(difference: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        an_agreement(**difference).executed_at()
    assert (refusal.value.cause, refusal.value.field) == ("not_executed", "status")


def test_a_termination_within_a_second_ends_with_that_second() -> None:
    early = canonical(EngagementTerms, terms(terminates_at="2026-12-01T15:00:00.000001Z"), source="test")
    assert early.end_instant() == datetime(2026, 12, 1, 15, 0, 1, tzinfo=UTC)
