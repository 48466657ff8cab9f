"""An end that is told by a record's last change moves with every later change of it; a stint that has ended does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from config.hub import Hub
from connectors.fieldglass.sandbox import FieldglassSandbox
from flows.feeds.polling import poll_vms
from ledger import engagements, failures
from ledger.intake import sources
from ledger.queueing.jobs import JobName
from tests.integration.company import Company
from workforce.engagement import Engagement
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

LATER = {
    "its last change alone": {"Role": "Architect"},
    "a closing that is dated later": {"Closed At": (datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")},
    "a later end and a status that runs": {"Status": "Accepted", "End Date": "2038-12-31"},
    "a termination for later": {"Status": "Accepted", "Terminate At": "2038-12-31T12:00:00+00:00"},
    "a status that nobody knows": {"Status": "Reopened", "End Date": "2038-12-31"},
    "a record that makes no sense": {"Pay Rate": "ninety", "End Date": "2038-12-31"},
}


def polled(hub: Hub, company: Company) -> None:
    """Read everything that was changed so far."""
    with company.database.transaction("acme") as tx:
        sources.forget_cursor(tx, "fieldglass")
    poll_vms(hub, "acme")


def known(company: Company, vms_id: str) -> Engagement:
    with company.database.transaction("acme") as tx:
        engagement = engagements.by_vms_id(tx, "fieldglass", vms_id)
    assert engagement is not None
    return engagement


def an_active_one(hub: Hub, company: Company) -> Engagement:
    vms_id = company.fieldglass.add_work_order()
    polled(hub, company)
    engagement = known(company, vms_id)
    with company.database.transaction("acme") as tx:
        for state in (EngagementState.CLEARED, EngagementState.ACTIVE):
            engagements.transition(tx, engagement.id, state)
    return engagement


def cancelled_at(fieldglass: FieldglassSandbox, vms_id: str) -> datetime:
    return datetime.fromisoformat(fieldglass.work_orders[vms_id]["Last Modified"])


def test_a_cancelled_work_order_ends_its_engagement_by_its_last_change(company: Company) -> None:
    hub = company.hub()
    engagement = an_active_one(hub, company)
    company.fieldglass.change(engagement.terms.vms_id, Status="Cancelled")
    polled(hub, company)
    end_at = known(company, engagement.terms.vms_id).end_at
    told = cancelled_at(company.fieldglass, engagement.terms.vms_id)
    assert told <= end_at < told + timedelta(seconds=1)  # whole seconds
    assert end_at < engagement.end_at


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("is_over", [False, True], ids=["ending", "ended"])
def test_what_the_record_says_after_its_end_moves_no_end_and_raises_nobody(company: Company, later: str, is_over: bool) -> None:
    hub = company.hub()
    engagement = an_active_one(hub, company)
    vms_id = engagement.terms.vms_id
    company.fieldglass.change(vms_id, Status="Cancelled")
    polled(hub, company)
    company.end(engagement.id)
    if is_over:
        with company.database.transaction("acme") as tx:
            engagements.transition(tx, engagement.id, EngagementState.ENDED)
    before, waiting = known(company, vms_id), company.waiting()
    company.fieldglass.change(vms_id, **LATER[later])
    polled(hub, company)
    after = known(company, vms_id)
    assert (after.end_at, after.tombstoned_at, after.state) == (before.end_at, before.tombstoned_at, before.state)
    assert after.tombstoned_at is not None
    assert [job for job in company.waiting() if job not in waiting and job[0] == JobName.JOINER] == []


def test_before_it_has_ended_an_end_that_moves_is_followed_by_the_timer(company: Company) -> None:
    hub = company.hub()
    engagement = an_active_one(hub, company)
    vms_id = engagement.terms.vms_id
    for moment in ("2037-03-01T12:00:00+00:00", "2037-06-01T12:00:00+00:00"):
        company.fieldglass.change(vms_id, **{"Terminate At": moment})
        polled(hub, company)
        assert known(company, vms_id).end_at == datetime.fromisoformat(moment)
    with company.database.transaction("acme") as tx:
        assert failures.list_open(tx) == []
