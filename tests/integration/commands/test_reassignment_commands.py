"""The questions about work orders that name another person, as they are typed and answered."""

from __future__ import annotations

import json

import pytest
import typer

from cli.access.worker_commands import mount
from ledger import failures
from ledger.queueing.jobs import JobName
from tests.integration.installed import TENANT, Installed
from tests.integration.typing_commands import Stint, told, typed_at
from workforce.engagement import Engagement

pytestmark = pytest.mark.integration

WHY = ("--reason", "asked the supplier")


@pytest.fixture
def stint(installed: Installed) -> Stint:
    """Runs a command; its exit code and what it printed."""
    app = typer.Typer()
    app.callback()(lambda: None)
    mount(app)

    return typed_at(installed, app, "workers")


@pytest.fixture
def engagement(installed: Installed) -> Engagement:
    """One whose work order names another person since the last poll."""
    known = installed.signed(**{"Worker ID": "P-A"})
    installed.change(known, **{"Worker ID": "P-B", "Worker Last Name": "Gompertz", "Worker Email": "gompertz@mail.example"})
    return known


def test_it_is_listed_by_ids_and_read_again_as_the_same_humans(
    installed: Installed, stint: Stint, engagement: Engagement
) -> None:
    (case,) = told(stint("cases", "--json"))
    assert (case["question"], case["engagement"]) == ("another_person", engagement.terms.vms_id)
    assert (case["looks_like"], case["their_work_orders"]) == (engagement.worker.marker, [engagement.terms.vms_id])
    table = stint("cases").stdout
    assert "is whom it names now" in table
    assert not any(text in table + json.dumps(case) for text in ("Gompertz", "gompertz", "P-A", "P-B", "Lovelace"))
    installed.waiting(JobName.TAKE)
    assert told(stint("same", case["case"], *WHY, "--json"))["next"] is None
    assert installed.waiting(JobName.TAKE) == [{"external_id": engagement.terms.vms_id}]
    assert told(stint("cases", "--json")) == []


def test_another_human_is_answered_with_what_is_left_to_do(installed: Installed, stint: Stint, engagement: Engagement) -> None:
    (case,) = told(stint("cases", "--json"))
    answer = stint("different", case["case"], *WHY)
    assert f"Next: end this engagement: stint engagements end {engagement.terms.vms_id} --now" in answer.stdout
    assert "have the VMS make a new work order" in answer.stdout
    assert installed.waiting(JobName.TAKE) == []
    assert [each["decision"] for each in told(stint("cases", "--decided", "--json"))] == ["different"]
    with installed.hub.database.transaction(TENANT) as tx:
        (line,) = failures.list_open(tx, engagement_id=engagement.id)
    assert line.cause == "other_persons_order"
