"""What a poll makes of a row of the download that lost its id, on the real ledger."""

from __future__ import annotations

import pytest

from ledger.queueing.jobs import JobName
from tests.integration.company import Company
from tests.integration.flows.test_handlers import job_of

pytestmark = pytest.mark.integration


def test_a_row_without_its_id_is_parked_alone_and_not_again_at_each_poll(company: Company) -> None:
    good = company.fieldglass.add_work_order(Role="Software Engineer")
    company.fieldglass.work_orders["nameless"] = {**company.fieldglass.work_orders[good], "Work Order ID": " "}
    handlers, seen = company.handlers(), []
    for _ in range(3):
        handlers.poll(job_of(JobName.POLL))
        nameless = [failure for failure in company.failures() if failure.subject.startswith("fieldglass:row:")]
        seen.append([(failure.id, failure.count) for failure in nameless])
    assert len(seen[0]) == 1
    assert seen[0][0][1] == 1
    assert seen == [seen[0]] * 3
    with company.database.transaction("acme") as tx:
        assert tx.one("SELECT 1 FROM source_records WHERE external_id = %(id)s", id=good) is not None
