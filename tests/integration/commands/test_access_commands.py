"""The commands about access as they are typed, on a company whose systems answer: what they say, refuse and leave in the audit trail."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
import yaml

from cli.access.commands import access_app, reviews_app, who_had_access
from flows.access.reviews import review_due
from ledger import engagements
from ledger.access import approvals
from ledger.access.approvals import ApprovalState
from ledger.queueing.jobs import JobName
from ledger.trail import audit
from tests.integration.installed import TENANT, Installed
from tests.integration.typing_commands import Stint, told, typed_at
from workforce.engagement import Engagement
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

APPROVER = "grace@acme.example"


@pytest.fixture
def stint(installed: Installed) -> Stint:
    """Runs a command; its exit code and what it printed."""
    app, audit_app = typer.Typer(), typer.Typer()
    audit_app.command("who-had-access")(who_had_access)
    audit_app.callback()(lambda: None)
    for name, part in (("access", access_app), ("reviews", reviews_app), ("audit", audit_app)):
        app.add_typer(part, name=name)

    return typed_at(installed, app)


def refused(answer: Any) -> str:
    """The cause of a command that failed."""
    assert answer.exit_code > 0
    return str(json.loads(answer.stdout)["cause"])


def apply_package(installed: Installed, version: int = 1, **difference: Any) -> None:
    place = "access/software-engineer.yaml" if version == 1 else f"access/software-engineer/v{version:04}.yaml"
    shipped = yaml.safe_load((installed.world.documents / "access" / "software-engineer.yaml").read_text())
    installed.apply_files({place: {**shipped, "version": version, **difference}})


def now(installed: Installed, engagement: Engagement) -> Engagement:
    with installed.hub.database.transaction(TENANT) as tx:
        return engagements.get(tx, engagement.id)


def test_who_had_access_tells_whom_why_and_since_when_and_is_audited(installed: Installed, stint: Stint) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    engagement = installed.joined()
    answer = told(stint("audit", "who-had-access", "--system", "entra", "--json"))
    assert {(row["person"], row["work_order"]) for row in answer["held"]} == {(engagement.worker.marker, engagement.terms.vms_id)}
    assert {row["kind"] for row in answer["held"]} == {"sign_in", "group"}
    assert all(row["reason"] == {"package": "software-engineer", "version": 1} and row["until"] is None for row in answer["held"])
    table = stint("audit", "who-had-access", "--system", "entra", "--person", engagement.worker.marker).stdout
    assert engagement.terms.vms_id in table
    assert "software-engineer v1" in table
    early = stint("audit", "who-had-access", "--system", "ldap", "--at", before.isoformat(), "--engagement", str(engagement.id))
    assert "nobody had access" in early.stdout
    assert "has been recorded since" in early.stdout
    with installed.hub.database.transaction(TENANT) as tx:
        assert len(audit.entries(tx, action="access_history.read")) == 3


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("--system", "entar"), "not_found"),
        (("--system", "entra", "--at", "yesterday"), "bad_instant"),
        (("--system", "entra", "--at", "2026-09-30T12:00"), "bad_instant"),
        (("--system", "entra", "--at", "2999-01-01T00:00Z"), "bad_instant"),
        (("--system", "entra", "--person", "Ada Lovelace"), "not_found"),
        (("--system", "entra", "--engagement", "WO-none"), "not_found"),
    ],
)
def test_a_question_that_makes_no_sense_is_not_answered_with_nobody(stint: Stint, arguments: tuple[str, ...], cause: str) -> None:
    assert refused(stint("audit", "who-had-access", *arguments, "--json")) == cause


def test_an_approval_is_asked_for_given_and_taken_back_from_the_command_line(installed: Installed, stint: Stint) -> None:
    apply_package(installed, approvers=[APPROVER])
    engagement = installed.joined()
    order = engagement.terms.vms_id
    (row,) = told(stint("access", "approvals", "--json"))
    assert (row["work_order"], row["state"], row["approvers"]) == (order, "waiting", [APPROVER])
    assert "waits for an approver" in stint("access", "plan", order).stdout
    about = (order, "--package", "software-engineer")
    assert refused(stint("access", "approve", *about, "--as", "mallory@acme.example", "--json")) == "not_an_approver"
    installed.waiting(JobName.JOINER)
    assert told(stint("access", "approve", *about, "--as", APPROVER, "--json"))["state"] == "approved"
    assert len(installed.waiting(JobName.JOINER)) == 1
    installed.join(engagement)
    (held,) = {
        row["reason"]["approved_by"] for row in told(stint("audit", "who-had-access", "--system", "entra", "--json"))["held"]
    }
    assert held == APPROVER
    assert refused(stint("access", "decline", *about, "--as", APPROVER, "--json")) == "no_reason"
    assert stint("access", "decline", *about, "--as", APPROVER, "--reason", "left the team").exit_code == 0
    installed.join(engagement)
    assert told(stint("audit", "who-had-access", "--system", "entra", "--json"))["held"] == []
    assert "nothing waits" in stint("access", "approvals").stdout
    assert "declined" in stint("access", "approvals", "--engagement", order).stdout


def test_packages_are_listed_with_whom_they_are_for(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    apply_package(installed, 2, client_units=["Nowhere"], sensitive=True, approvers=[APPROVER])
    first, second = told(stint("access", "packages", "--json"))
    assert (first["fits"], first["pinned"]) == (1, 1)
    assert (second["version"], second["fits"], second["pinned"]) == (2, 0, 0)
    assert any(text.startswith("ldap: group ") for text in first["gives"])
    (of_one,) = told(stint("access", "packages", "--engagement", engagement.terms.vms_id, "--json"))
    assert of_one["version"] == 1
    assert "(sensitive)" in stint("access", "packages").stdout


def test_a_migration_is_previewed_and_then_moves_whom_it_showed(installed: Installed, stint: Stint) -> None:
    engagement, other = installed.joined(), installed.joined()
    groups = installed.world.groups["entra"]
    apply_package(installed, 2, directories={"entra": {"groups": groups[1:]}})
    shown = told(stint("access", "migrate", "software-engineer", "2", "--preview", "--json"))
    assert {row["work_order"] for row in shown["moved"]} == {engagement.terms.vms_id, other.terms.vms_id}
    assert all(f"entra: group {groups[0]}" in row["loses"] and row["gains"] == [] for row in shown["moved"])
    assert now(installed, engagement).access_pins == {"software-engineer": 1}
    assert refused(stint("access", "migrate", "software-engineer", "2", "--json")) == "no_reason"
    assert refused(stint("access", "migrate", "software-engineer", "3", "--reason", "why", "--json")) == "unknown_package"
    one = ("--reason", "less is enough", "--engagement", engagement.terms.vms_id)
    installed.waiting(JobName.JOINER)
    moved = told(stint("access", "migrate", "software-engineer", "2", *one, "--json"))
    assert [row["work_order"] for row in moved["moved"]] == [engagement.terms.vms_id]
    assert (now(installed, engagement).access_pins, now(installed, other).access_pins) == (
        {"software-engineer": 2},
        {"software-engineer": 1},
    )
    assert installed.waiting(JobName.JOINER) == [{"engagement_id": str(engagement.id)}]
    installed.join(engagement)
    held = told(stint("audit", "who-had-access", "--system", "entra", "--engagement", engagement.terms.vms_id, "--json"))["held"]
    assert {row["entitlement"] for row in held if row["kind"] == "group"} == set(groups[1:])


def test_a_version_that_needs_approval_is_moved_to_only_when_it_is_approved(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    apply_package(installed, 2, approvers=[APPROVER])
    moved = told(stint("access", "migrate", "software-engineer", "2", "--reason", "a test", "--json"))
    assert moved["moved"][0]["waits_for_approval"] is True
    installed.join(engagement)
    assert now(installed, engagement).access_pins == {"software-engineer": 1}
    assert told(stint("audit", "who-had-access", "--system", "entra", "--json"))["held"], "what it has stays until the answer"
    arguments = (engagement.terms.vms_id, "--package", "software-engineer", "--as", APPROVER)
    assert told(stint("access", "approve", *arguments, "--json"))["version"] == 2
    assert now(installed, engagement).access_pins == {"software-engineer": 2}


def test_a_later_wish_for_another_version_leaves_one_question_open(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    for version in (2, 3):
        apply_package(installed, version, approvers=[APPROVER])
        told(stint("access", "migrate", "software-engineer", str(version), "--reason", "a test", "--json"))
    with installed.hub.database.transaction(TENANT) as tx:
        asked = {each.version: each.state for each in approvals.state(tx, engagement.id)}
    assert asked == {2: ApprovalState.DECLINED, 3: ApprovalState.WAITING}


def test_what_nobody_attested_is_taken_away_and_given_back_with_the_answer(installed: Installed, stint: Stint) -> None:
    installed.apply(access={"reviews": {"every_days": 30, "answer_within_days": 7, "unanswered": "suspend"}})
    engagement = installed.joined()
    order, sponsor = engagement.terms.vms_id, engagement.terms.sponsor_email
    for days in (30, 7, 7):
        _time_passes(installed, days)
        review_due(installed.hub, TENANT)
    (row,) = told(stint("reviews", "list", "--json"))
    assert (row["work_order"], row["asked"], row["suspended_at"] is not None) == (order, [sponsor], True)
    installed.join(engagement)
    assert told(stint("audit", "who-had-access", "--system", "entra", "--json"))["held"] == []
    assert not _is_enabled(installed, engagement)
    assert "withheld" in stint("access", "plan", order).stdout
    assert refused(stint("reviews", "answer", order, "keep", "--as", "mallory@acme.example", "--json")) == "not_asked"
    assert told(stint("reviews", "answer", order, "keep", "--as", sponsor, "--json"))["follows"] == "given_back"
    installed.join(engagement)
    assert _is_enabled(installed, engagement)
    groups = {row["entitlement"] for row in told(stint("audit", "who-had-access", "--system", "entra", "--json"))["held"]}
    assert set(installed.world.groups["entra"]) <= groups
    assert "no review waits" in stint("reviews", "list").stdout
    assert f"keep, by {sponsor}" in stint("reviews", "list", "--engagement", order).stdout


def test_a_sponsor_ends_what_is_no_longer_needed(installed: Installed, stint: Stint) -> None:
    installed.apply(access={"reviews": {"every_days": 30}})
    engagement = installed.joined()
    _time_passes(installed, 30)
    review_due(installed.hub, TENANT)
    arguments = ("answer", engagement.terms.vms_id, "remove", "--as", engagement.terms.sponsor_email)
    assert refused(stint("reviews", *arguments, "--json")) == "no_reason"
    assert "its ending has begun" in stint("reviews", *arguments, "--reason", "the project is over").stdout
    assert now(installed, engagement).state is EngagementState.ENDING
    assert installed.waiting(JobName.LEAVER) == [{"engagement_id": str(engagement.id)}]


def _time_passes(installed: Installed, days: int) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE grants SET granted_at = granted_at - %(days)s", days=timedelta(days=days))
        tx.execute(
            "UPDATE access_reviews SET due_at = due_at - %(days)s, told_at = told_at - %(days)s", days=timedelta(days=days)
        )


def _is_enabled(installed: Installed, engagement: Engagement) -> bool:
    directory = installed.hub.tenant(TENANT).instance("entra").directory()
    return any(account.enabled for account in directory.find(engagement.worker.marker))
