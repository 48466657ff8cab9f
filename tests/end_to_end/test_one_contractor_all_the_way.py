from __future__ import annotations

import base64
import json
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.demo.world import GROUPS, TENANT
from cli.reading import verify_audit
from config import services
from config.keys import prefect_auth
from connectors.suite.sandbox import Fault, FaultKind
from ledger import engagements, failures
from ledger.queueing.jobs import defer_leaver
from ledger.trail import checkpoint
from ledger.writing import effect_history
from tests.end_to_end.conftest import Stint
from workforce.engagement import Engagement
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

PASSWORD = "the help desk gave it to me 1!"


def is_active(engagement: Engagement) -> bool:
    return engagement.state is EngagementState.ACTIVE


def is_ended(engagement: Engagement) -> bool:
    return engagement.state is EngagementState.ENDED


def counts(stint: Stint, engagement: Engagement) -> dict[str, int]:
    """How many records and accounts the systems really hold of one contractor."""
    marker, family_name = engagement.worker.marker, engagement.worker.profile.family_name
    return {
        "bamboohr": sum(e.get("employeeNumber") == marker for e in stint.world.bamboohr.employees.values()),
        "gusto": sum(c.get("last_name") == family_name for c in stint.world.gusto.contractors.values()),
        "entra": sum(u.get("employeeId") == marker for u in stint.world.graph.users),
        "ldap": len(stint.world.slapd.entries(marker)),
    }


ONE_EACH = {"bamboohr": 1, "gusto": 1, "entra": 1, "ldap": 1}


def graph_user(stint: Stint, engagement: Engagement) -> dict[str, Any]:
    return next(user for user in stint.world.graph.users if user.get("employeeId") == engagement.worker.marker)


def held_ldap_groups(stint: Stint, engagement: Engagement) -> set[str]:
    dns = {entry["dn"] for entry in stint.world.slapd.entries(engagement.worker.marker)}
    return {group for group in stint.world.groups["ldap"] if dns & stint.world.slapd.members(group)}


def test_a_signed_agreement_becomes_access_that_ends_and_leaves_nothing_behind(stint: Stint) -> None:
    order = stint.order()
    assert stint.sign(order) == 200
    active = stint.until(order, is_active)
    login = stint.world.slapd.entries(active.worker.marker)[0]["uid"][0]
    stint.world.slapd.set_password(login, PASSWORD)
    assert stint.world.slapd.bind_as(login, PASSWORD)
    assert len(held_ldap_groups(stint, active)) == len(GROUPS)
    assert set(graph_user(stint, active)["memberOf"]) == set(stint.world.groups["entra"])
    assert counts(stint, active) == ONE_EACH

    instant = stint.end_now(order)
    ended = stint.until(order, is_ended)
    user = graph_user(stint, ended)
    assert ended.end_at == instant
    assert ended.revoked_verified_at is not None
    assert ended.revoked_verified_at >= instant
    assert not stint.world.slapd.bind_as(login, PASSWORD)
    assert not held_ldap_groups(stint, ended)
    assert user["accountEnabled"] is False
    assert not user["memberOf"]
    assert stint.world.graph.effects.count("revoke_sessions", user["id"]) >= 1
    assert stint.world.fieldglass.work_orders[order]["Status"] == "Closed"
    assert counts(stint, ended) == ONE_EACH


def test_lost_replies_and_outages_make_no_duplicate_and_need_no_person(stint: Stint) -> None:
    world = stint.world
    world.bamboohr.faults.plan(Fault(FaultKind.BUSY_BEFORE, "POST", r"/employees$", times=2))
    world.gusto.faults.plan(Fault(FaultKind.TIMEOUT_AFTER, "POST", r"/contractors$"))
    world.graph.faults.plan(Fault(FaultKind.ERROR_AFTER, "POST", r"/users$"))
    order = stint.order()
    stint.sign(order)
    active = stint.until(order, is_active)
    assert counts(stint, active) == ONE_EACH
    with stint.hub.database.transaction(TENANT) as tx:
        assert failures.list_open(tx, engagement_id=active.id) == []
        attempts = {e.target: e.attempt for e in effect_history.list_for(tx, active.id) if e.kind.startswith("create_")}
    assert attempts["bamboohr"] == 3
    assert not world.bamboohr.faults.waiting
    assert not world.gusto.faults.waiting


def test_a_sick_hris_does_not_keep_the_contractor_from_access(stint: Stint) -> None:
    stint.world.bamboohr.faults.plan(Fault(FaultKind.BUSY_BEFORE, "POST", r"/employees$", times=3))
    order = stint.order()
    stint.sign(order)
    stint.until(order, is_active)
    trail = [(e.event["action"], e.event["target"].get("system")) for e in stint.trail(stint.until(order, is_active))]
    assert trail.index(("account.verified", "ldap")) < trail.index(("record.verified", "bamboohr"))


def test_the_same_delivery_many_times_is_one_engagement_and_one_account(stint: Stint) -> None:
    order = stint.order()
    envelope = stint.world.docusign.create_envelope(order, "Ada Lovelace", "ada@mail.example")
    delivery = stint.world.docusign.complete(envelope)
    assert {stint.deliver(delivery.body, dict(delivery.headers)) for _ in range(20)} == {200}
    active = stint.until(order, is_active)
    assert stint.deliver(delivery.body, dict(delivery.headers)) == 200
    assert counts(stint, active) == ONE_EACH


@pytest.mark.parametrize(
    ("columns", "cause", "field"),
    [
        ({"Role": "Astronaut"}, "unknown_role", "role"),
        ({"Start Date": "2026-12-01", "End Date": "2026-11-01"}, "contradicting_dates", "terms.ends_on"),
        ({"Time Zone": "Mars/Olympus"}, "unknown_zone", "time_zone"),
        ({"Rate Unit": "Fortnight"}, "new_value", "Rate Unit"),
    ],
)
def test_bad_records_wait_with_the_fields_name_and_nothing_is_half_written(
    stint: Stint, columns: dict[str, str], cause: str, field: str
) -> None:
    order = stint.order(**columns)
    assert stint.sign(order) == 200
    failure = _open_failure(stint, order, cause)
    assert failure.field == field
    made = [e for e in stint.world.bamboohr.employees.values() if e.get("lastName") == _family_name(stint, order)]
    assert made == []


def _open_failure(stint: Stint, order: str, cause: str) -> failures.Failure:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        engagement = stint.engagement(order)
        with stint.hub.database.transaction(TENANT) as tx:
            for failure in failures.list_open(tx):
                about = engagement is not None and failure.engagement_id == engagement.id
                if failure.cause == cause and (about or order in failure.message or order in failure.subject):
                    return failure
        time.sleep(0.05)
    pytest.fail(f"no open failure {cause}\n{stint.log_tail()}")


def _family_name(stint: Stint, order: str) -> str:
    return stint.world.fieldglass.work_orders[order]["Worker Last Name"]


def test_an_authentic_delivery_that_says_nothing_usable_is_acknowledged_and_parked(stint: Stint) -> None:
    delivery = stint.world.docusign.sign(json.dumps({"event": "envelope-completed", "data": {}}).encode())
    assert stint.deliver(delivery.body, dict(delivery.headers)) == 202
    with stint.hub.database.transaction(TENANT) as tx:
        assert any(failure.cause == "unusable_content" or failure.field for failure in failures.list_open(tx))


def test_a_later_end_is_pushed_into_the_directories_native_expiry(stint: Stint) -> None:
    order = stint.order()
    stint.sign(order)
    stint.until(order, is_active)
    later = (datetime.now(UTC) + timedelta(days=200)).date()
    stint.world.fieldglass.change(order, **{"End Date": later.isoformat()})

    def is_pushed(engagement: Engagement) -> bool:
        end = engagement.end_at
        with stint.hub.database.transaction(TENANT) as tx:
            effects = effect_history.list_for(tx, engagement.id)
        in_ldap = any(e.kind == "set_expiry" and e.target == "ldap" and e.detail == end.isoformat() for e in effects)
        in_entra = graph_user(stint, engagement).get("employeeLeaveDateTime") == end.strftime("%Y-%m-%dT%H:%M:%SZ")
        return engagement.terms.ends_on == later and in_entra and in_ldap

    stint.until(order, is_pushed)


def test_an_account_that_is_being_made_while_the_ending_begins_does_not_survive_it(stint: Stint) -> None:
    graph = stint.world.graph
    order = stint.order()
    graph.app.latency_seconds, graph.lag_seconds = 0.5, 3.0  # the call takes a while, and what it made shows later still
    try:
        stint.sign(order)
        engagement = stint.until(order, lambda e: ("account.created", "entra", "pending") in lines(stint, e))
        with stint.hub.database.transaction(TENANT) as tx:
            engagements.begin_ending(tx, engagement.id, "test")
            defer_leaver(tx, engagement.id)
        ended = stint.until(order, is_ended)
    finally:
        graph.app.latency_seconds = graph.lag_seconds = 0.0
    assert [user["accountEnabled"] for user in graph.users if user.get("employeeId") == ended.worker.marker] == [False]
    assert not held_ldap_groups(stint, ended)


def lines(stint: Stint, engagement: Engagement) -> set[tuple[str, str | None, str]]:
    return {(e.event["action"], e.event["target"].get("system"), e.event["outcome"]) for e in stint.trail(engagement)}


def prefect_names(stint: Stint, kind: str, **about: object) -> list[dict[str, Any]]:
    """What Prefect's dashboard shows: its own API's answer to a filter."""
    token = base64.b64encode(prefect_auth(stint.settings).encode()).decode()
    request = urllib.request.Request(
        f"{stint.settings.prefect_api}/{kind}/filter",
        json.dumps(about).encode(),
        {"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def test_the_dashboard_reads_like_the_process(stint: Stint) -> None:
    order = stint.order()
    stint.sign(order)
    active = stint.until(order, is_active)
    tag = {"tags": {"all_": [f"engagement:{active.id}"]}}

    def all_recorded() -> bool:  # Prefect's server writes task runs in batches
        runs = prefect_names(stint, "flow_runs", flow_runs=tag)
        names = {
            task["name"] for run in runs for task in prefect_names(stint, "task_runs", flow_runs={"id": {"any_": [run["id"]]}})
        }
        wanted = {"Read the signed agreement", "Create the record · bamboohr", "Create the account · entra", "Confirm the access"}
        return [run["name"] for run in runs] == [f"joiner · {TENANT} · {order}"] and wanted <= names

    deadline = time.monotonic() + 30
    while not all_recorded():
        assert time.monotonic() < deadline, "the dashboard does not show the steps"
        time.sleep(0.2)


def test_a_contractor_loses_access_while_prefect_is_down(stint: Stint) -> None:
    order = stint.order()
    stint.sign(order)
    stint.until(order, is_active)
    waiting = stint.order()
    stint.supervisor.kill("prefect")
    try:
        assert stint.sign(waiting) == 200, "the receiver does not need Prefect"
        stint.end_now(order)
        ended = stint.until(order, is_ended)
        assert graph_user(stint, ended)["accountEnabled"] is False
        assert not held_ldap_groups(stint, ended)
    finally:
        stint.supervisor.start(services.prefect_server(stint.settings))
        stint.supervisor.wait_ready("prefect", 120)
    assert counts(stint, stint.until(waiting, is_active)) == ONE_EACH


def test_the_audit_trail_of_everything_so_far_verifies(stint: Stint) -> None:
    checkpoint.write(stint.hub.database, TENANT, stint.hub.signer(), stint.settings.checkpoints)
    report = verify_audit(stint.hub, TENANT)
    assert report["ok"], report["faults"]
    assert report["events"] > 0
