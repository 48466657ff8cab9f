"""What the pages in ``docs/access`` have people type, typed: on a company whose systems answer, and read as a person reads it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from cli.actor import person
from cli.app import app
from flows.ending import endings as doing
from ledger import engagements, failures
from ledger.trail import audit
from tests.integration.installed import TENANT, Installed
from tests.integration.typing_commands import Stint, typed_at
from workforce.engagement import Engagement
from workforce.events import Actor, ActorType
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

APPROVER = "grace@acme.example"
BEN = Actor(ActorType.HUMAN, "ben", auth="cli")
LATER = (datetime.now(UTC).date() + timedelta(days=300)).isoformat()


@pytest.fixture
def stint(installed: Installed) -> Stint:
    """Runs a command in a terminal of 110 columns; its exit code and what it printed."""
    return typed_at(installed, app, columns=110)


def said(answer: Any) -> str:
    """What a command that succeeded printed."""
    assert answer.exit_code == 0, answer.stdout + answer.stderr
    return str(answer.stdout)


def refused(answer: Any) -> tuple[str, str]:
    """The cause and the sentence of a command that was not carried out."""
    assert answer.exit_code == 1, answer.stdout
    told = json.loads(answer.stdout)
    return str(told["cause"]), str(told["error"])


def second_version(installed: Installed, **difference: Any) -> None:
    shipped = yaml.safe_load((installed.world.documents / "access" / "software-engineer.yaml").read_text())
    installed.apply_files({"access/software-engineer/v0002.yaml": {**shipped, "version": 2, **difference}})


def order_of(engagement: Engagement) -> str:
    return engagement.terms.vms_id


def test_a_package_is_shown_whole_with_whom_it_is_for_and_who_approves_it(installed: Installed, stint: Stint) -> None:
    second_version(installed, client_units=["Platform"], effective_from="2026-10-01", approvers=[APPROVER], sensitive=True)
    told = said(stint("access", "packages"))
    assert "software-engineer v2 (sensitive)" in told
    assert "for          Software Engineer; Platform" in told
    assert "counts       for engagements that start on 2026-10-01 or later" in told
    assert f"approved by  {APPROVER}" in told
    for groups in installed.world.groups.values():
        assert all(f"group {group}\n" in told + "\n" for group in groups)


def test_a_question_about_the_past_names_whole_ids_and_the_zone_of_its_instants(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    told = said(stint("audit", "who-had-access", "--system", "ldap", "--person", engagement.worker.marker))
    assert "all instants in UTC" in told
    assert "…" not in told
    assert told.count("still") == 3
    early = said(stint("audit", "who-had-access", "--system", "entra", "--at", "2020-01-01T00:00Z"))
    assert "nobody had access" in early
    assert "and not before" in early


def test_a_migration_that_waits_is_not_told_as_done_and_the_plan_names_who_declined(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    order = order_of(engagement)
    second_version(installed, approvers=[APPROVER])
    moved = said(stint("access", "migrate", "software-engineer", "2", "--reason", "the group was split"))
    assert "once approved" in moved
    assert "stint access approvals" in moved
    assert "stint access approve|decline" in said(stint("access", "approvals"))
    about = ("--package", "software-engineer", "--as", APPROVER)
    assert "is being given" in said(stint("access", "approve", order, *about))
    assert "is being taken away" in said(stint("access", "decline", order, *about, "--reason", "not on call"))
    assert f"declined by {APPROVER}: not on call" in said(stint("access", "plan", order))
    (declined,) = json.loads(said(stint("access", "plan", order, "--json")))["declined"]
    assert (declined["version"], declined["reason"]) == (2, "not on call")


def test_a_termination_is_taken_back_by_two_once_the_vms_says_a_later_end(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    order = order_of(engagement)
    assert "the ending has begun" in said(stint("engagements", "end", order, "--now", "--reason", "misconduct, case 17"))
    installed.leave(engagement)
    assert "its ending had begun at" in said(stint("engagements", "end", order, "--now", "--reason", "once more"))
    assert "First have the VMS say a later end" in said(stint("engagements", "restore", order, "--reason", "the wrong Ada"))
    cause, sentence = refused(stint("engagements", "restore", order, "--confirm", "--json"))
    assert cause == "needs_second_person"
    assert "somebody else has to confirm it" in sentence
    installed.world.fieldglass.change(order, **{"Status": "Accepted", "End Date": LATER, "Closed At": ""})
    with installed.hub.database.transaction(TENANT) as tx:
        doing.end_now(tx, engagement.id, BEN, reason="asked anew by another person")
        doing.ask_restore(tx, installed.hub, engagement.id, BEN, reason="the wrong Ada")
    told = said(stint("engagements", "restore", order, "--confirm"))
    assert f"until the end of {LATER} at the work location" in told
    assert installed.engagement(engagement).state is EngagementState.CLEARED


def test_an_extension_tells_the_last_day_and_its_instant(installed: Installed, stint: Stint) -> None:
    order = order_of(installed.joined())
    told = said(stint("engagements", "extend", order, "--until", LATER, "--reason", "the project goes on"))
    assert f"active, until the end of {LATER} at the work location" in told
    cause, sentence = refused(stint("engagements", "restore", order, "--reason", "why", "--json"))
    assert (cause, order in sentence) == ("nothing_to_undo", True)
    assert refused(stint("engagements", "closure", order, "--json"))[0] == "not_found"


@pytest.mark.parametrize(
    "typed",
    [
        ("engagements", "end", "{order}", "--now", "--reason", " "),
        ("engagements", "extend", "{order}", "--until", LATER, "--reason", ""),
        ("engagements", "restore", "{order}", "--reason", ""),
        ("holds", "place", "{order}", "--matter", ""),
        ("evidence", "give", "{order}", "--subject", "badge", "--statement", ""),
        ("workers", "do-not-rehire", "{marker}", "--reason", " "),
        ("workers", "accept", "{order}", "--reason", ""),
        ("access", "migrate", "software-engineer", "1"),
        ("reconcile", "release", "--source", "fieldglass", "--reason", ""),
    ],
    ids=" ".join,
)
def test_nothing_is_done_for_no_reason(installed: Installed, stint: Stint, typed: tuple[str, ...]) -> None:
    engagement = installed.signed()
    known = {"order": order_of(engagement), "marker": engagement.worker.marker}
    cause, _ = refused(stint(*(part.format(**known) for part in typed), "--json"))
    assert cause in {"no_reason", "no_matter", "no_statement"}
    assert installed.engagement(engagement).tombstoned_at is None


def test_what_was_stated_after_the_closure_is_shown_beside_it(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    order = order_of(engagement)
    assert engagement.worker.marker in said(stint("holds", "place", order, "--matter", "Doe v. Acme"))
    installed.end(engagement)
    statement = "returned at the front desk, log 4711"
    assert "kept: badge" in said(stint("evidence", "give", order, "--subject", "badge", "--statement", statement))
    told = said(stint("engagements", "closure", order))
    assert "within the time allowed" in told
    assert "added later" in told
    assert statement in told
    assert json.loads(said(stint("engagements", "closure", order, "--json")))["evidence"] == []
    assert statement in said(stint("evidence", "list", order))
    (hold,) = json.loads(said(stint("holds", "list", "--json")))
    assert engagement.worker.marker in said(stint("holds", "list"))
    assert "is released" in said(stint("holds", "release", hold["id"], "--reason", "settled"))
    assert "no holds" in said(stint("holds", "list"))
    assert "settled" in said(stint("holds", "list", "--released", "--json"))


def test_findings_say_since_when_directories_are_read_and_what_to_type_next(installed: Installed, stint: Stint) -> None:
    assert "NEVER; next: stint reconcile run" in said(stint("reconcile", "findings"))
    engagement = installed.joined()
    installed.end(engagement)
    directory = installed.hub.tenant(TENANT).instance("ldap").directory()
    (account,) = directory.find(engagement.worker.marker)
    group = installed.world.groups["ldap"][0]
    directory.add_member(group, account.account_id)
    with installed.hub.database.transaction(TENANT) as tx:  # an hour has passed: nothing of it is the leaver's any more
        tx.execute(
            "UPDATE grants SET unwanted_at = unwanted_at - interval '2 hours', revoked_at = revoked_at - interval '2 hours'"
        )
    assert "Next: stint reconcile findings" in said(stint("reconcile", "run", "--directory", "ldap"))
    told = said(stint("reconcile", "findings", "--directory", "ldap"))
    assert "extra" in told
    assert order_of(engagement) in told
    (finding,) = json.loads(said(stint("reconcile", "findings", "--drift", "extra", "--json")))
    assert (finding["subject"], finding["work_order"]) == (f"group {group}", order_of(engagement))
    assert "ldap: read whole at" in told
    assert stint("reconcile", "findings", "--drift", "extras").exit_code == 2
    assert refused(stint("reconcile", "findings", "--directory", "ldp", "--json"))[0] == "not_found"


def test_a_link_that_opens_on_this_machine_alone_says_so(installed: Installed, stint: Stint) -> None:
    order = order_of(installed.joined())
    told = said(stint("workers", "credential-link", order))
    assert "within 48 hours" in told
    assert "access.credentials.page_address" in told
    installed.apply(access={"credentials": {"page_address": "https://stint.acme.example"}})
    told = said(stint("workers", "credential-link", order))
    assert "https://stint.acme.example/v1/credentials/acme/" in told
    assert "page_address" not in told


def test_the_marker_that_other_commands_ask_for_is_shown_with_the_engagement(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    assert engagement.worker.marker in said(stint("engagements", "show", order_of(engagement)))
    shown = json.loads(said(stint("engagements", "show", order_of(engagement), "--json")))["engagement"]
    assert json.loads(said(stint("workers", "show", shown["marker"], "--json")))["worker"] == str(engagement.worker.id)


def test_a_plan_tells_who_will_be_asked_from_who_was(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    order = order_of(engagement)
    extra = yaml.safe_load((installed.world.documents / "access" / "software-engineer.yaml").read_text())
    installed.apply_files({"access/oncall.yaml": {**extra, "package": "oncall", "approvers": [APPROVER], "sensitive": True}})
    assert "oncall v1 needs an approver, who is asked with the next run" in said(stint("access", "plan", order))
    assert json.loads(said(stint("access", "plan", order, "--json")))["waiting"][0]["asked_at"] is None
    assert "nothing waits for an approver" in said(stint("access", "approvals"))
    installed.join(engagement)
    assert "oncall v1 waits for an approver" in said(stint("access", "plan", order))
    assert json.loads(said(stint("access", "plan", order, "--json")))["waiting"][0]["asked_at"]
    assert "grace@acme.example" in said(stint("access", "approvals"))


def test_the_plan_of_who_is_gone_says_that_nothing_is_left(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    installed.end(engagement)
    assert "Its ending has begun: nothing of what it gave is left to take away." in said(
        stint("access", "plan", order_of(engagement))
    )


def test_a_closure_record_that_is_not_there_is_told_from_those_that_are(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    order = order_of(engagement)
    assert f"{order} is active; no ending of it" in refused(stint("engagements", "closure", order, "--json"))[1]
    installed.end(engagement)
    sentence = refused(stint("engagements", "closure", order, "--ending", "4", "--json"))[1]
    assert sentence == f"{order} has no closure record of ending 4; closed: 1"


def test_a_misspelt_source_or_mapping_is_not_answered_with_nothing(installed: Installed, stint: Stint) -> None:
    assert "nothing of 'ldap' is held" in said(stint("reconcile", "held", "--source", "ldap"))
    assert "entra, fieldglass, ldap" in refused(stint("reconcile", "held", "--source", "ldp", "--json"))[1]
    assert "fieldglass__engagement" in refused(stint("mappings", "history", "nope", "--json"))[1]
    assert "no version was used yet" in said(stint("mappings", "history", "engagement__deel"))


def test_whoever_decides_says_who_they_are(installed: Installed, stint: Stint) -> None:
    order = order_of(installed.joined())
    for typed in (("access", "approve", order, "--package", "p"), ("reviews", "answer", order, "keep")):
        cause, sentence = refused(stint(*typed, "--as", " ", "--json"))
        assert (cause, sentence.startswith("--as: give your address")) == ("no_as", True)


def test_what_waits_is_listed_with_its_whole_sentence_and_shown_with_its_work_order(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    message = "ldap: there is no such group; name one that is there in the access package, or have it made"
    with installed.hub.database.transaction(TENANT) as tx:
        failures.park(tx, cause="not_found", message=message, field="groups", engagement_id=engagement.id, subject="joiner:7")
    told = said(stint("failures", "list"))
    (line,) = json.loads(said(stint("failures", "list", "--json")))
    assert all(part in told for part in (line["id"], "not_found, groups", "joiner:7", "Next: stint failures show ID"))
    assert message in " ".join(told.split())
    assert order_of(engagement) in said(stint("failures", "show", line["id"]))
    assert "see: stint failures list" in refused(stint("failures", "show", str(engagement.id), "--json"))[1]


def test_who_typed_stands_in_the_audit_trail(installed: Installed, stint: Stint) -> None:
    engagement = installed.joined()
    said(stint("engagements", "end", order_of(engagement), "--now", "--reason", "case 17"))
    with installed.hub.database.transaction(TENANT) as tx:
        (event,) = audit.entries(tx, engagement_id=engagement.id, action="engagement.ending")
        assert engagements.get(tx, engagement.id).tombstoned_at is not None
    assert event.event["actor"]["id"] == person().id
