"""The commands about persons as they are typed: what they say, refuse and change."""

from __future__ import annotations

import json

import pytest
import typer

from cli.access.worker_commands import mount
from ledger import engagements, failures
from ledger.queueing.jobs import JobName
from tests.integration.installed import TENANT, Installed
from tests.integration.typing_commands import Stint, told, typed_at
from workforce.engagement import Engagement
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

WHY = ("--reason", "asked the supplier")


@pytest.fixture
def stint(installed: Installed) -> Stint:
    """Runs a command; its exit code and what it printed."""
    app = typer.Typer()
    app.callback()(lambda: None)
    mount(app)

    return typed_at(installed, app, "workers")


def namesakes(installed: Installed) -> tuple[Engagement, Engagement]:
    """Somebody, and somebody new with the same name in the same country."""
    first = installed.signed()
    name = first.worker.profile.family_name
    return first, installed.signed(**{"Worker Last Name": name})


def now(installed: Installed, engagement: Engagement) -> Engagement:
    with installed.hub.database.transaction(TENANT) as tx:
        return engagements.get(tx, engagement.id)


def test_a_case_is_listed_by_ids_and_decided_once(installed: Installed, stint: Stint) -> None:
    first, second = namesakes(installed)
    (case,) = told(stint("cases", "--json"))
    assert (case["engagement"], case["looks_like"]) == (second.terms.vms_id, first.worker.marker)
    assert case["their_work_orders"] == [first.terms.vms_id]
    table = stint("cases").stdout
    assert case["case"] in table
    assert first.worker.profile.family_name not in table + json.dumps(case)
    installed.waiting(JobName.JOINER)
    assert told(stint("same", case["case"], *WHY, "--json"))["marker"] == first.worker.marker
    assert now(installed, second).state is EngagementState.APPROVED
    assert installed.waiting(JobName.JOINER) == [{"engagement_id": str(second.id)}]
    again = stint("different", case["case"], *WHY, "--json")
    assert (again.exit_code, json.loads(again.stdout)["cause"]) == (1, "decided")
    assert told(stint("cases", "--json")) == []
    assert [each["decision"] for each in told(stint("cases", "--decided", "--json"))] == ["same"]


def test_different_says_whose_it_is(installed: Installed, stint: Stint) -> None:
    _, second = namesakes(installed)
    (case,) = told(stint("cases", "--json"))
    assert second.worker.marker in stint("different", case["case"], *WHY).stdout


def test_an_answer_needs_a_reason(installed: Installed, stint: Stint) -> None:
    namesakes(installed)
    (case,) = told(stint("cases", "--json"))
    assert stint("same", case["case"]).exit_code == 2


def test_do_not_rehire_is_set_shown_passed_by_for_one_engagement_and_lifted(installed: Installed, stint: Stint) -> None:
    first = installed.signed(**{"Worker ID": "W-REHIRE"})
    marker = first.worker.marker
    assert told(stint("do-not-rehire", marker.lower(), "--reason", "left with the badge", "--json"))["do_not_rehire"] is True
    again = [
        installed.signed(**{"Worker ID": "W-REHIRE", "Worker Last Name": first.worker.profile.family_name}) for _ in range(2)
    ]
    assert {each.state for each in again} == {EngagementState.IN_REVIEW}
    shown = told(stint("show", marker, "--json"))
    assert (shown["do_not_rehire"], len(shown["engagements"])) == ("left with the badge", 3)
    assert told(stint("accept", again[0].terms.vms_id, *WHY, "--json"))["state"] == "approved"
    assert told(stint("do-not-rehire", marker, "--lift", *WHY, "--json"))["goes_on"] == [again[1].terms.vms_id]
    assert "do not rehire: no" in stint("show", marker).stdout
    assert json.loads(stint("show", "ST000", "--json").stdout)["cause"] == "not_found"


def test_what_a_manager_who_left_answered_for_is_previewed_and_then_answered_for(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined(**{"Work Order Owner Email": "leaver@acme.example"})
    preview = told(stint("sponsor-left", "Leaver@acme.example", "--preview", "--json"))
    assert [(row["vms_id"], row["successor"]) for row in preview] == [(engagement.terms.vms_id, None)]
    assert "NOBODY" in stint("sponsor-left", "leaver@acme.example", "--preview").stdout
    assert "is no address" in stint("sponsor-left", "").stderr
    assert causes(installed, engagement) == []
    told(stint("sponsor-left", "leaver@acme.example", "--json"))
    assert causes(installed, engagement) == ["sponsor_without_successor"]
    installed.apply(access={"sponsors": {"successors": {"leaver@acme.example": "next@acme.example"}}})
    installed.waiting(JobName.JOINER)
    (row,) = told(stint("sponsor-left", "leaver@acme.example", "--json"))
    assert (row["successor"], causes(installed, engagement)) == ("next@acme.example", [])
    assert installed.waiting(JobName.JOINER) == [{"engagement_id": str(engagement.id)}]


def causes(installed: Installed, engagement: Engagement) -> list[str]:
    with installed.hub.database.transaction(TENANT) as tx:
        return [failure.cause for failure in failures.list_open(tx, engagement_id=engagement.id)]


def test_a_link_is_printed_for_who_has_access_and_for_nobody_else(installed: Installed, stint: Stint) -> None:
    installed.apply(access={"credentials": {"page_address": "https://stint.acme.example/in/"}})
    engagement = installed.joined()
    rows = told(stint("credential-link", engagement.terms.vms_id, "--json"))
    assert {row["directory"] for row in rows} == {"entra", "ldap"}
    assert all(row["link"].startswith("https://stint.acme.example/in/v1/credentials/acme/") for row in rows)
    assert "entra  https://" in stint("credential-link", engagement.terms.vms_id).stdout
    waiting = stint("credential-link", installed.signed().terms.vms_id, "--json")
    assert (waiting.exit_code, json.loads(waiting.stdout)["cause"]) == (1, "no_access_yet")
