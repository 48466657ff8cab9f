"""The VMS gives a known work order to somebody else: feed, joiner and agreements leave the known person as they are."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest

from config.hub import Hub
from flows.feeds.intake import Intake
from flows.feeds.polling import poll_vms, take_again
from flows.feeds.projection import project
from ledger import engagements
from ledger.identity import person_changes, reassignment
from ledger.identity.cases import ANOTHER_PERSON
from ledger.identity.person_changes import PersonChange
from ledger.intake import sources
from ledger.intake.work_orders import Change, source_lineage
from ledger.queueing.jobs import JobName
from tests.integration.company import Company
from tests.integration.installed import Installed
from workforce.engagement import Engagement
from workforce.errors import Fenced
from workforce.events import Actor, ActorType
from workforce.states import EngagementState, EventState

pytestmark = pytest.mark.integration

ADMIN = Actor(ActorType.HUMAN, "grace", auth="cli")
YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")
ADA = {"Worker ID": "P-A"}
BEN = {
    "Worker ID": "P-B", "Worker First Name": "Benjamin", "Worker Last Name": "Gompertz",
    "Worker Email": "gompertz@mail.example",
    "Role": "Actuary", "Pay Rate": "9500.00", "Currency": "JPY",
}  # fmt: skip
"""With a rate and a currency that the guards would refuse for the engagement that is known."""


def known(company: Company, vms_id: str) -> Engagement:
    with company.database.transaction("acme") as tx:
        found = engagements.by_vms_id(tx, "fieldglass", vms_id)
    assert found is not None
    return found


def polled(hub: Hub, company: Company) -> list[str]:
    """The causes that wait once everything that was changed so far has been read."""
    with company.database.transaction("acme") as tx:
        sources.forget_cursor(tx, "fieldglass")
    poll_vms(hub, "acme")
    return [failure.cause for failure in company.failures()]


def the_change(company: Company) -> PersonChange:
    with company.database.transaction("acme") as tx:
        (change,) = person_changes.list_changes(tx)
    return change


@pytest.fixture
def hub(company: Company) -> Hub:
    return company.hub()


@pytest.fixture
def order(hub: Hub, company: Company) -> str:
    """A work order whose stint runs, of a person whom the VMS knows by an id."""
    vms_id = company.fieldglass.add_work_order(**ADA)
    poll_vms(hub, "acme")
    with company.database.transaction("acme") as tx:
        engagement = engagements.by_vms_id(tx, "fieldglass", vms_id)
        assert engagement is not None
        for state in (EngagementState.CLEARED, EngagementState.ACTIVE):
            engagements.transition(tx, engagement.id, state)
    return vms_id


def test_the_feed_takes_nothing_of_it_and_asks_whatever_the_guards_would_say(hub: Hub, company: Company, order: str) -> None:
    before = known(company, order)
    old = dict(company.fieldglass.work_orders[order])
    company.fieldglass.change(order, **BEN)
    for _ in range(2):
        assert polled(hub, company) == [ANOTHER_PERSON]
        assert known(company, order) == before
    assert len(company.alarms()) == 1
    with company.database.transaction("acme") as tx:
        lineage, latest = source_lineage(tx, before.id), sources.latest(tx, "fieldglass", order)
    assert lineage is not None
    assert latest is not None
    assert "Gompertz" not in f"{lineage} {latest}"
    company.fieldglass.change(order, **old)
    assert polled(hub, company) == []
    assert known(company, order).terms == before.terms


def test_an_earlier_end_of_it_passes_and_the_directories_follow(hub: Hub, company: Company, order: str) -> None:
    before = known(company, order)
    soon = (datetime.now(UTC) + timedelta(days=3)).date()
    company.fieldglass.change(order, **BEN, **{"End Date": soon.isoformat()})
    assert polled(hub, company) == [ANOTHER_PERSON]
    after = known(company, order)
    assert (after.terms.ends_on, after.terms.role, after.worker) == (soon, before.terms.role, before.worker)
    assert (JobName.JOINER, {"engagement_id": str(after.id)}) in company.waiting()


@pytest.mark.parametrize("ending", [{"Status": "Closed", "Closed At": YESTERDAY}, {"Terminate At": YESTERDAY}])
def test_an_order_that_is_closed_or_terminated_with_another_person_has_the_leaver_run(
    hub: Hub, company: Company, order: str, ending: dict[str, str]
) -> None:
    company.fieldglass.change(order, **BEN, **ending)
    assert polled(hub, company) == [ANOTHER_PERSON]
    after = known(company, order)
    assert (after.state, after.worker.profile.given_name) == (EngagementState.ENDING, "Ada")
    assert (JobName.LEAVER, {"engagement_id": str(after.id)}) in company.waiting()


def test_a_joiner_that_reads_it_again_goes_on_with_the_known_terms(hub: Hub, company: Company, order: str) -> None:
    before = known(company, order)
    company.fieldglass.change(order, **BEN)
    intake = Intake(hub, "acme", "fieldglass")
    record = intake.source().read(order)
    taken = intake.take(record)
    with company.database.transaction("acme") as tx:
        assert intake.store(tx, record, taken) == (before, Change.ANOTHER_PERSON)
    assert [failure.cause for failure in company.failures()] == [ANOTHER_PERSON]


def test_the_same_human_is_taken_with_the_next_reading(hub: Hub, company: Company, order: str) -> None:
    company.fieldglass.change(order, **{"Worker ID": "P-NEW", "Role": "Architect"})
    assert polled(hub, company) == [ANOTHER_PERSON]
    with company.database.transaction("acme") as tx:
        reassignment.same(tx, the_change(company).id, ADMIN, "a new badge")
    take_again(hub, "acme", order)
    after = known(company, order)
    assert (after.terms.role, after.external.person_id, company.failures()) == ("Architect", "P-NEW", [])


def test_an_agreement_about_it_waits_until_the_old_person_is_back(hub: Hub, company: Company, order: str) -> None:
    before, old = known(company, order), dict(company.fieldglass.work_orders[order])
    company.fieldglass.change(order, **BEN)
    event_id = company.signed(order)
    project(hub, "acme", event_id)
    assert known(company, order) == before
    assert company.event(event_id).state is EventState.PARKED
    assert polled(hub, company) == [ANOTHER_PERSON, ANOTHER_PERSON]
    company.fieldglass.change(order, **old)
    assert polled(hub, company) == []
    assert company.event(event_id).state is EventState.RECEIVED
    assert [args["event_id"] for name, args in company.waiting() if name == JobName.PROJECT] == [str(event_id)]
    project(hub, "acme", event_id)
    assert known(company, order).envelope_id is not None


def test_accounts_and_records_stay_the_known_persons(installed: Installed) -> None:
    engagement = installed.joined(**ADA)
    before = deepcopy([installed.employee(engagement), installed.contractor(engagement), installed.world.graph.users])
    installed.change(engagement, **BEN)
    installed.join(engagement)
    assert [installed.employee(engagement), installed.contractor(engagement), installed.world.graph.users] == before
    assert [failure.cause for failure in installed.conflicts(engagement)] == [ANOTHER_PERSON]
    assert installed.engagement(engagement).state is EngagementState.ACTIVE


def test_a_joiner_that_finds_another_person_on_the_order_gives_nothing_before_somebody_decided(installed: Installed) -> None:
    engagement, calls = installed.signed(**ADA), installed.calls()
    installed.world.fieldglass.change(engagement.terms.vms_id, **BEN)
    with pytest.raises(Fenced):
        installed.join(engagement)
    assert installed.calls() == calls
    assert installed.engagement(engagement).state is EngagementState.IN_REVIEW
    assert [failure.cause for failure in installed.conflicts(engagement)] == [ANOTHER_PERSON]
