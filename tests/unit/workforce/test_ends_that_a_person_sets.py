from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from provisioning.closure import RESIDUAL, latest, residual_of
from workforce.engagement import Engagement, EngagementTerms, Worker, WorkerProfile, WorkOrder, canonical
from workforce.states import EngagementState

TENTH = datetime(2026, 6, 10, 12, tzinfo=UTC)
PROFILE = WorkerProfile(given_name="Ada", family_name="Lovelace", personal_email="ada@mail.example", country="DE")


def terms(**difference: Any) -> EngagementTerms:
    values = {
        "vms_id": "WO-1", "role": "Analyst", "client_unit": "Finance", "supplier": "Staffing", "sponsor_email": "boss@acme.example",
        "location": "Berlin", "time_zone": "Europe/Berlin", "starts_on": "2026-01-01", "ends_on": "2026-06-30",
        "rate": {"amount": "95", "currency": "EUR", "unit": "hour"}, **difference,
    }  # fmt: skip
    return canonical(EngagementTerms, values, source="test")


def an_engagement(counts: EngagementTerms, **difference: Any) -> Engagement:
    worker = Worker(id=UUID(int=1), tenant="acme", marker="stint-1", profile=PROFILE)
    fields = {
        "state": EngagementState.ACTIVE,
        "vms_system": "fieldglass",
        "epoch": 1,
        "end_at": counts.end_instant(),
        **difference,
    }
    return Engagement(id=UUID(int=2), tenant="acme", worker=worker, terms=counts, **fields)


def order(said: EngagementTerms) -> WorkOrder:
    return WorkOrder(worker=PROFILE, terms=said)


def test_an_end_that_a_person_set_survives_every_report_that_says_nothing_new_of_it() -> None:
    extended = terms(ends_on="2026-09-30")
    known = an_engagement(extended, reported_terms=terms())
    same = known.with_order(order(terms(role="Architect")))
    assert (same.terms, same.end_at) == (terms(role="Architect", ends_on="2026-09-30"), extended.end_instant())
    assert same.reported_terms == terms(role="Architect")


@pytest.mark.parametrize("ends_on", ["2026-03-31", "2026-09-30", "2026-12-31"])
def test_an_end_that_a_person_set_gives_way_to_what_the_source_newly_says(ends_on: str) -> None:
    known = an_engagement(terms(ends_on="2026-09-30"), reported_terms=terms())
    moved = known.with_order(order(terms(ends_on=ends_on)))
    assert (moved.terms, moved.reported_terms) == (terms(ends_on=ends_on), None)
    assert moved.end_at == moved.terms.end_instant()


def test_once_the_ending_has_begun_the_end_stays_and_what_is_said_is_kept_beside_it() -> None:
    ended = terms(terminates_at=TENTH)
    known = an_engagement(ended, tombstoned_at=TENTH, reported_terms=terms())
    after = known.with_order(order(terms(ends_on="2027-12-31", starts_on="2027-01-01", role="Architect")))
    assert (after.end_at, after.terms.terminates_at, after.terms.ends_on) == (TENTH, TENTH, date(2026, 6, 30))
    assert after.reported_terms == terms(ends_on="2027-12-31", starts_on="2027-01-01", role="Architect")
    assert EngagementTerms.model_validate(after.terms.model_dump()) == after.terms  # what is stored can be read again


def test_a_start_behind_the_end_that_a_person_set_is_news_of_the_end_as_well() -> None:
    known = an_engagement(terms(ends_on="2026-02-28"), reported_terms=terms())
    moved = known.with_order(order(terms(starts_on="2026-04-01")))
    assert (moved.terms, moved.reported_terms) == (terms(starts_on="2026-04-01"), None)


def test_what_outlives_the_block_is_stated_for_every_directory_and_for_one_that_nobody_knows() -> None:
    assert set(RESIDUAL) >= {"msgraph", "okta", "ldap", "activedirectory", "scim", "files"}
    assert residual_of("msgraph").seconds == 3600
    assert residual_of("nobodys").seconds is None
    assert residual_of("nobodys").statement


def test_the_latest_instant_is_among_those_that_are_known() -> None:
    assert latest(None, TENTH, TENTH.replace(day=9)) == TENTH
    assert latest(None) is None
