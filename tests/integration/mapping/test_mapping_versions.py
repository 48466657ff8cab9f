"""Versions of mappings in life: rehearsed, put in force, followed by running engagements or not, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.feeds.polling import poll_vms
from flows.mapping.following import follow_promotions
from flows.mapping.promotion import Promoting, touched
from flows.mapping.rehearsal import CANONICAL, Rehearsing
from flows.mapping.versions import Versions
from ledger import engagements
from ledger.intake import sources
from ledger.mapping import promotions
from ledger.mapping.promotions import PromotionKind, PromotionState
from ledger.trail import audit
from ledger.writing import writes
from mappings.faults import FaultyMapping
from provisioning.fakes import SettableClock
from tests.integration.installed import TENANT, Installed
from tests.integration.promoting import (
    BOB,
    HRIS,
    PAYROLL,
    SOURCE,
    UNIT_IS_SITE,
    migrations,
    pin,
    role,
    run,
    run_migrations,
    shown_writes,
    with_version,
)
from workforce.engagement import Engagement
from workforce.errors import Misconfigured, Refused
from workforce.versions import Running

pytestmark = pytest.mark.integration


def real_writes(
    installed: Installed, joined: list[Engagement], before: dict[tuple[UUID, str], int]
) -> set[tuple[str, str, str, str]]:
    """Every field that was written since ``before``, as the ledger's lineage tells."""
    found = set()
    for engagement in joined:
        for system in ("bamboohr", "gusto", "entra", "ldap"):
            history = installed.written(engagement, system)
            for write in history[: len(history) - before[engagement.id, system]]:
                found |= {(system, engagement.terms.vms_id, target, str(write.fields[target].value)) for target in write.changed}
    return found


def counts(installed: Installed, joined: list[Engagement]) -> dict[tuple[UUID, str], int]:
    return {(e.id, s): len(installed.written(e, s)) for e in joined for s in ("bamboohr", "gusto", "entra", "ldap")}


def test_one_engagement_migrates_and_one_that_started_later_stays_pinned(installed: Installed) -> None:
    first = installed.joined()
    lead = with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    shown = Rehearsing(installed.hub, TENANT, HRIS, "t0001").run()
    assert shown_writes(shown) == {("bamboohr", first.terms.vms_id, "jobTitle", "Contractor")}
    promotion = lead.promote(HRIS, "t0001", reason="one title for all", running=Running.MIGRATE)
    assert (promotion.state, promotion.decided_by) == (PromotionState.PROMOTED, "ada")
    assert run_migrations(installed) == [str(first.id)]
    assert installed.employee(first)["jobTitle"] == "Contractor"
    lead.roll_back(HRIS, None, reason="people want their titles back", running=Running.PIN)
    second = installed.joined()
    assert (pin(installed, first, HRIS), pin(installed, second, HRIS)) == ("t0001", "v0001")
    installed.join(first)
    assert (installed.employee(first)["jobTitle"], installed.employee(second)["jobTitle"]) == ("Contractor", "Software Engineer")


def test_going_back_moves_everybody_back_and_writes_what_a_dry_run_shows(installed: Installed) -> None:
    joined = [installed.joined(), installed.joined()]
    lead = with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    lead.promote(HRIS, "t0001", reason="one title", running=Running.MIGRATE)
    run_migrations(installed)
    shown = Rehearsing(installed.hub, TENANT, HRIS, "v0001").run()
    before = counts(installed, joined)
    lead.roll_back(HRIS, None, reason="a mistake", running=Running.MIGRATE)
    run_migrations(installed)
    assert (
        shown_writes(shown)
        == real_writes(installed, joined, before)
        == {("bamboohr", e.terms.vms_id, "jobTitle", "Software Engineer") for e in joined}
    )
    assert {pin(installed, e, HRIS) for e in joined} == {"v0001"}


def test_another_reading_of_the_source_reaches_every_system_that_it_concerns(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    shown = Rehearsing(installed.hub, TENANT, SOURCE, "t0001").run()
    assert [(c.system, c.target) for c in shown.changes if c.subject == engagement.terms.vms_id] == [
        (CANONICAL, "terms.client_unit")
    ]
    systems = {change.system for change in shown.writes}
    assert {"bamboohr", "entra", "ldap"} <= systems
    before = counts(installed, [engagement])
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.MIGRATE)
    run_migrations(installed)
    assert real_writes(installed, [engagement], before) == {w for w in shown_writes(shown) if w[1] == engagement.terms.vms_id}


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "jobTitle": st.sampled_from(
        [{"value": "Contractor"}, {"from": "terms.client_unit"}, {"from": "terms.role", "apply": ["upper"]}]
    ),
    "department": st.sampled_from(
        [{"from": "terms.location"}, {"value": "External", "strength": "weak"}, {"from": "terms.supplier"}]
    ),
    "mobilePhone": st.sampled_from(
        [{"value": "+1 555 0100"}, {"from": "worker.phone", "apply": ["absent_if_empty"], "strength": "strong"}]
    ),
    "workEmail": st.sampled_from([{"from": "account.email", "apply": ["lower"], "strength": "strong"}]),
}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edit=st.fixed_dictionaries({}, optional=FIELDS).filter(bool))
def test_what_a_dry_run_shows_is_exactly_what_is_written_then(installed: Installed, edit: dict[str, Any]) -> None:
    joined = [installed.joined(), installed.joined(**{"Worker Phone": "+1 555 0199"})]
    number = installed.next_version(HRIS)
    lead = with_version(installed, HRIS, edit, version=number)
    mine = {e.terms.vms_id for e in joined}
    shown = {w for w in shown_writes(Rehearsing(installed.hub, TENANT, HRIS, f"t{number:04}").run()) if w[1] in mine}
    before = counts(installed, joined)
    lead.promote(HRIS, f"t{number:04}", reason="a property", running=Running.MIGRATE)
    run_migrations(installed)
    assert real_writes(installed, joined, before) == shown
    again = Rehearsing(installed.hub, TENANT, HRIS, f"t{number:04}").run()
    assert not {w for w in shown_writes(again) if w[1] in mine}
    lead.roll_back(HRIS, "v0001", reason="the next example starts afresh", running=Running.PIN)
    with installed.hub.database.transaction(TENANT) as tx:  # nobody of this one is migrated with the next
        over = "UPDATE engagements SET state = 'ended', tombstoned_at = clock_timestamp() WHERE id = ANY(%(ids)s)"
        tx.execute(over, ids=[each.id for each in joined])


def test_a_dry_run_writes_nothing_anywhere(installed: Installed) -> None:
    engagement = installed.joined()
    with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    calls, before = installed.calls(), counts(installed, [engagement])
    Rehearsing(installed.hub, TENANT, HRIS, "t0001").run()
    Rehearsing(installed.hub, TENANT, SOURCE, "v0001").run()
    assert (installed.calls(), counts(installed, [engagement])) == (calls, before)
    assert pin(installed, engagement, HRIS) == "v0001"


def test_draining_engagements_move_with_their_next_change_at_the_source(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.DRAIN)
    assert run_migrations(installed) == []
    poll_vms(installed.hub, TENANT)
    assert pin(installed, engagement, SOURCE) == "v0001"
    installed.change(engagement, Site="Berlin")
    assert pin(installed, engagement, SOURCE) == "t0001"
    with installed.hub.database.transaction(TENANT) as tx:
        assert engagements.get(tx, engagement.id).terms.client_unit == "Berlin"


def test_pinned_engagements_keep_their_version_whatever_changes_at_the_source(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.PIN)
    installed.change(engagement, Site="Berlin")
    assert pin(installed, engagement, SOURCE) == "v0001"
    assert pin(installed, installed.joined(), SOURCE) == "t0001"


def test_a_second_person_decides_where_the_tenant_demands_one(installed: Installed) -> None:
    installed.apply(mappings={"second_person": True})
    engagement = installed.joined()
    lead = with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    assert lead.promote(HRIS, "t0001", reason="one title", running=Running.MIGRATE).state is PromotionState.PROPOSED
    assert run_migrations(installed) == []
    with pytest.raises(Refused, match="another person") as refusal:
        lead.approve(HRIS)
    assert refusal.value.cause == "second_person_needed"
    with pytest.raises(Refused, match="waits for a decision"):
        lead.promote(HRIS, "t0001", reason="once more", running=Running.PIN)
    approved = replace(lead, actor=BOB).approve(HRIS)
    assert (approved.proposed_by, approved.decided_by) == ("ada", "bob")
    assert run_migrations(installed) == [str(engagement.id)]
    with installed.hub.database.transaction(TENANT) as tx:
        assert [line.event["outcome"] for line in audit.entries(tx, action="mapping.proposed")] == ["pending"]
        (told,) = audit.entries(tx, action="mapping.promoted")
    assert told.event["details"]["reason"] == "one title"


def test_a_proposal_can_be_withdrawn_and_leaves_nothing_behind(installed: Installed) -> None:
    installed.apply(mappings={"second_person": True})
    lead = with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    lead.promote(HRIS, "t0001", reason="one title", running=Running.PIN)
    assert lead.withdraw(HRIS).state is PromotionState.WITHDRAWN
    with pytest.raises(Refused, match="no version"):
        lead.withdraw(HRIS)
    assert pin(installed, installed.joined(), HRIS) == "v0001"


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda lead: lead.promote(HRIS, "t0001", reason=" ", running=Running.PIN), "reason"),
        (lambda lead: lead.promote(HRIS, "t0009", reason="because", running=Running.PIN), "no version 't0009'"),
        (lambda lead: lead.promote(HRIS, "v0001", reason="because", running=Running.PIN), "in force already"),
        (lambda lead: lead.roll_back(HRIS, None, reason="because", running=Running.PIN), "no other version before"),
    ],
)
def test_what_cannot_be_put_in_force_is_refused_with_the_reason(
    installed: Installed, spoil: Callable[[Promoting], object], expected: str
) -> None:
    installed.joined()
    lead = with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    with pytest.raises((Refused, Misconfigured), match=expected):
        spoil(lead)
    with installed.hub.database.transaction(TENANT) as tx:
        assert {line.kind for line in promotions.history(tx, HRIS)} <= {PromotionKind.FIRST_USE}


def test_a_version_with_a_fault_is_never_put_in_force(installed: Installed) -> None:
    lead = with_version(installed, HRIS, {"jobTitel": {"from": "terms.rolle"}})
    with pytest.raises(FaultyMapping) as refusal:
        lead.promote(HRIS, "t0001", reason="because", running=Running.PIN)
    told = str(refusal.value)
    assert "jobTitel" in told
    assert "rolle" in told


def test_a_promoted_file_that_changed_is_neither_used_nor_promoted_again(installed: Installed) -> None:
    lead = with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    lead.promote(HRIS, "t0001", reason="one title", running=Running.PIN)
    with_version(installed, HRIS, {"jobTitle": {"value": "Consultant"}})
    with pytest.raises(Misconfigured, match="not what was promoted"):
        installed.joined()
    lead.roll_back(HRIS, "v0001", reason="until the file is restored", running=Running.PIN)
    with pytest.raises(Misconfigured, match="promoted before"):
        lead.promote(HRIS, "t0001", reason="again", running=Running.PIN)


def test_a_version_with_a_later_date_counts_from_that_date_on_and_is_followed_then(installed: Installed) -> None:
    engagement = installed.joined()
    tomorrow = Versions(installed.hub, TENANT).today + timedelta(days=1)
    lead = with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}}, effective_from=tomorrow)
    lead.promote(HRIS, "t0001", reason="from tomorrow", running=Running.MIGRATE)
    assert run_migrations(installed) == []
    installed.hub.clock = SettableClock(datetime.now(UTC) + timedelta(days=1, minutes=1))
    for _ in range(2):
        with installed.hub.database.transaction(TENANT) as tx:
            follow_promotions(installed.hub, tx)
    assert run_migrations(installed) == [str(engagement.id)]
    assert pin(installed, engagement, HRIS) == "t0001"


def test_what_a_version_touches_is_told_by_engagements_and_systems(installed: Installed) -> None:
    installed.joined()
    assert touched(installed.hub, TENANT, PAYROLL).systems == ("gusto",)
    assert touched(installed.hub, TENANT, SOURCE).systems == ("bamboohr", "gusto", "entra", "ldap")
    assert touched(installed.hub, TENANT, PAYROLL).engagements == {"v0001": 1}


def test_records_that_a_version_would_set_aside_are_told_before_it_is_in_force(installed: Installed) -> None:
    engagement = installed.joined()
    table = {"from": "Role", "lookup": {"table": {"Tester": "QA"}}, "required": True}
    lead = with_version(installed, SOURCE, {"terms.role": table})
    shown = Rehearsing(installed.hub, TENANT, SOURCE, "t0001").run()
    (held,) = [each for each in shown.held if each.subject == engagement.terms.vms_id]
    assert held.is_new
    assert "terms.role (from Role)" in held.message
    lead.promote(SOURCE, "t0001", reason="because", running=Running.MIGRATE)
    (args,) = migrations(installed)
    with pytest.raises(Refused):
        run(installed, args)
    assert pin(installed, engagement, SOURCE) == "v0001"
    assert role(installed, engagement) == "Software Engineer"


def test_a_mapping_that_mends_what_is_set_aside_says_so_in_its_dry_run(installed: Installed) -> None:
    order = installed.world.order(**{"Rate Unit": "Week", "Worker Last Name": "Hopper"})
    with installed.hub.database.transaction(TENANT) as tx:
        sources.forget_cursor(tx, "fieldglass")
    poll_vms(installed.hub, TENANT)
    units = {"Hour": "hour", "Day": "day", "Month": "month", "Fixed": "fixed", "Week": "month"}
    with_version(installed, SOURCE, {"terms.rate.unit": {"from": '"Rate Unit"', "lookup": {"table": units}, "required": True}})
    assert Rehearsing(installed.hub, TENANT, SOURCE, "t0001").run().mended == [order]


def test_every_write_keeps_the_version_that_made_it(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    lead.promote(HRIS, "t0001", reason="one title", running=Running.MIGRATE)
    run_migrations(installed)
    with installed.hub.database.transaction(TENANT) as tx:
        found = [line.write for line in writes.history(tx, engagement.id) if line.write.system == "bamboohr"]
    assert next((write.mapping.version, write.changed) for write in found) == ("t0001", ("jobTitle",))
    assert found[-1].mapping.version == "v0001"
    assert found[0].source is not None
    assert found[0].source.mapping.mapping_id == SOURCE
