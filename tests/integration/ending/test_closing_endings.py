"""Holds, evidence, the closure record, and the commands as they are typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
import typer

from cli.access.ending_commands import mount
from flows.ending import endings as doing
from ledger import engagements
from ledger.access import grants
from ledger.database import Tx
from ledger.ending import endings, evidence, holds
from ledger.queueing.jobs import JobName
from ledger.trail import audit
from provisioning.closure import Closure
from tests.integration.installed import TENANT, Installed
from tests.integration.ledger_cases import a_work_order
from tests.integration.typing_commands import Stint, typed_at
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.engagement import Engagement
from workforce.errors import NotFound, Refused
from workforce.events import Actor, ActorType
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

ADA = Actor(ActorType.HUMAN, "ada", auth="cli")
GROUP, LICENCE = Entitlement(EntitlementKind.GROUP, "g-1"), Entitlement(EntitlementKind.LICENCE, "sku-1")


@pytest.fixture
def stint(installed: Installed) -> Stint:
    """Runs a command; its exit code and what it printed."""
    app, engagements_app = typer.Typer(), typer.Typer()
    app.add_typer(engagements_app, name="engagements")
    mount(app, engagements_app)

    return typed_at(installed, app)


def working(tx: Tx, vms_id: str) -> Engagement:
    order = a_work_order(vms_id, starts_on="2026-01-01", ends_on="2098-12-31")
    engagement, _ = engagements.upsert_work_order(tx, "fieldglass", order, "1")
    engagements.set_agreement(tx, engagement.id, f"env-{vms_id}", datetime(2026, 1, 1, tzinfo=UTC))
    for state in (EngagementState.CLEARED, EngagementState.ACTIVE):
        engagement = engagements.transition(tx, engagement.id, state)
    grants.want(tx, engagement, "entra", {each: {"package": "p"} for each in (SIGN_IN, GROUP, LICENCE)})
    return engagement


def told(tx: Tx, engagement: Engagement, action: str, system: str, **details: object) -> None:
    target = ("engagement", str(engagement.id))
    audit.note(tx, action, target=target, engagement_id=engagement.id, system=system, **details)


def left(installed: Installed, engagement: Engagement, *gone: Entitlement) -> None:
    """The leaver was there: blocked, removed what ``gone`` says, ended the record, proved it."""
    with installed.hub.database.transaction(TENANT) as tx:
        told(tx, engagement, "access.blocked", "entra", account_id="a-1", sign_in=None)
        told(tx, engagement, "access.recorded", "entra", account_id="a-1", held=[str(SIGN_IN), str(GROUP), "group other"])
        told(tx, engagement, "access.revoked", "entra", account_id="a-1")
        told(tx, engagement, "record.end_verified", "bamboohr", record_id="r-1")
        grants.revoked(tx, grants.to_revoke(tx, engagement.id, "entra"), gone)
        engagements.mark_revoked_verified(tx, engagement.id, tx.began_at)


def closed(installed: Installed, engagement: Engagement) -> Closure:
    config = installed.hub.tenant(TENANT)
    with installed.hub.database.transaction(TENANT) as tx:
        return doing.close_ending(tx, config, engagement.id, now=tx.began_at)


def leavers(installed: Installed) -> list[str]:
    return [args["engagement_id"] for args in installed.waiting(JobName.LEAVER)]


def test_the_closure_record_tells_what_is_gone_since_when_what_was_left_and_what_is_still_possible(installed: Installed) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, "WO-C1")
        hold = holds.place(tx, engagement.worker.id, matter="A v. B", scope="mail", actor=ADA)
        ended = doing.end_now(tx, engagement.id, ADA, reason="misconduct")
    with installed.hub.database.transaction(TENANT) as tx:
        doing.give_evidence(tx, engagement.id, ADA, subject="badge", statement="returned to the desk")
    left(installed, engagement, SIGN_IN, GROUP)
    closure = closed(installed, engagement)
    (system,) = closure.systems
    assert (system.system, system.connector, system.accounts, system.kept_for_another) == ("entra", "msgraph", ("a-1",), False)
    assert system.sign_in_blocked_at is not None
    assert system.sign_in_blocked_at >= ended.end_at
    assert system.revoked_at is None  # something is left
    assert {each.entitlement for each in system.removed} == {str(SIGN_IN), str(GROUP)}
    ((licence, why),) = [(each.entitlement, each.why) for each in system.left]
    assert licence == str(LICENCE)
    assert "legal hold" in why
    assert system.recorded == {"a-1": (str(SIGN_IN), str(GROUP), "group other")}
    assert (system.residual.seconds, [each.record_id for each in closure.records]) == (3600, ["r-1"])
    assert (closure.trigger.cause, closure.trigger.began_by, closure.trigger.reason) == ("terminated", "ada", "misconduct")
    assert ([each.hold_id for each in closure.holds], [each.subject for each in closure.evidence]) == ([hold.id], ["badge"])
    assert closure.exposure.seconds >= 0
    with installed.hub.database.transaction(TENANT) as tx:
        assert Closure.model_validate(endings.closed_record(tx, engagement.id)) == closure
        (entry,) = audit.entries(tx, engagement_id=engagement.id, action="engagement.closure_recorded")
    assert entry.event["details"]["sha256"] == closure.sha256()
    assert closure.audit.seq < entry.seq


def test_an_end_that_was_proven_before_its_instant_left_nobody_exposed(installed: Installed) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, "WO-C2")
        engagements.begin_ending(tx, engagement.id, "reconciliation")  # its end is far off
    left(installed, engagement, SIGN_IN, GROUP, LICENCE)
    closure = closed(installed, engagement)
    assert (closure.exposure.seconds, closure.exposure.business_hours, closure.exposure.state) == (0.0, 0.0, "met")
    assert (closure.systems[0].left, closure.systems[0].revoked_at is None) == ((), False)


def test_sign_in_that_goes_on_for_another_engagement_is_told_so(installed: Installed) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, "WO-C3")
        doing.end_now(tx, engagement.id, ADA, reason="r")
    with installed.hub.database.transaction(TENANT) as tx:
        told(tx, engagement, "access.kept", "entra", because="another engagement of the person supports it")
        grants.revoked(tx, grants.to_revoke(tx, engagement.id, "entra"), [SIGN_IN, GROUP, LICENCE])
    (system,) = closed(installed, engagement).systems
    assert (system.kept_for_another, system.sign_in_blocked_at) == (True, None)


def test_nothing_is_closed_that_goes_on(installed: Installed) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, "WO-C4")
    with pytest.raises(Refused):
        closed(installed, engagement)


def test_a_hold_that_was_released_has_engagements_that_go_on_looked_at_too(installed: Installed) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, "WO-C6")
        hold = holds.place(tx, engagement.worker.id, matter="m", scope="s", actor=ADA)
    installed.waiting("joiner")
    with installed.hub.database.transaction(TENANT) as tx:
        doing.release_hold(tx, hold.id, ADA, reason="settled")
    assert installed.waiting("joiner") == [{"engagement_id": str(engagement.id)}]


def test_a_hold_that_was_released_lets_the_licences_go_once_no_other_stands(installed: Installed) -> None:
    config = installed.hub.tenant(TENANT)
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, "WO-C5")
        first, second = (holds.place(tx, engagement.worker.id, matter="m", scope="s", actor=ADA) for _ in range(2))
        engagements.begin_ending(tx, engagement.id, "end_reached")
        assert doing.licence_verdict(tx, config, engagement, "sku-1").cause == "legal_hold"
        doing.release_hold(tx, first.id, ADA, reason="settled")
    assert leavers(installed) == []
    with installed.hub.database.transaction(TENANT) as tx:
        released = doing.release_hold(tx, second.id, ADA, reason="settled")
        assert (released.released_by, holds.standing(tx, engagement.worker.id)) == ("ada", [])
        assert doing.licence_verdict(tx, config, engagement, "sku-1").may
        with pytest.raises(Refused, match="released"):
            doing.release_hold(tx, first.id, ADA, reason="again")
        with pytest.raises(NotFound):
            holds.get(tx, uuid4())
        assert [hold.id for hold in holds.list_all(tx, released=True)] == [first.id, second.id]
    assert leavers(installed) == [str(engagement.id)]


def test_evidence_lets_the_licences_go_where_the_policy_asks_for_it(installed: Installed) -> None:
    installed.apply(access={"endings": {"reclaim_needs_evidence": True}})
    config = installed.hub.tenant(TENANT)
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, "WO-C6")
        engagements.begin_ending(tx, engagement.id, "end_reached")
        assert doing.licence_verdict(tx, config, engagement, "sku-1").cause == "no_evidence"
        doing.give_evidence(tx, engagement.id, ADA, subject="licences", statement="the mailbox is a shared one now")
        assert doing.licence_verdict(tx, config, engagement, "sku-1").may
        assert [each.given_by for each in evidence.of(tx, engagement.id)] == ["ada"]
    assert leavers(installed) == [str(engagement.id)]


def test_evidence_and_holds_are_audited_without_their_words(installed: Installed) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, "WO-C7")
        hold = holds.place(tx, engagement.worker.id, matter="Lovelace v. Acme", scope="everything", actor=ADA)
        holds.release(tx, hold.id, reason="Lovelace won", actor=ADA)
        doing.give_evidence(tx, engagement.id, ADA, subject="badge", statement="Lovelace gave it back")
    with installed.hub.database.transaction(TENANT) as tx:
        found = [audit.entries(tx, action=action)[-1].event for action in ("hold.placed", "hold.released", "evidence.given")]
    assert [event["actor"]["id"] for event in found] == ["ada"] * 3
    assert "Lovelace" not in json.dumps(found)


def one(installed: Installed) -> str:
    """One that runs, and that the VMS knows as well; its work order."""
    engagement = installed.signed(**{"Time Zone": "Europe/Berlin"})
    with installed.hub.database.transaction(TENANT) as tx:
        for state in (EngagementState.CLEARED, EngagementState.ACTIVE):
            engagement = engagements.transition(tx, engagement.id, state)
        grants.want(tx, engagement, "entra", {each: {"package": "p"} for each in (SIGN_IN, GROUP, LICENCE)})
    return engagement.terms.vms_id


def asked_by_somebody(installed: Installed, vms_id: str) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = engagements.by_vms_id(tx, "fieldglass", vms_id)
        assert engagement is not None
        endings.ask_undo(tx, engagement.id, ADA, reason="the wrong one")


def test_a_stint_is_ended_and_brought_back_by_two_people_at_the_command_line(installed: Installed, stint: Stint) -> None:
    order = one(installed)
    assert stint("engagements", "end", order, "--reason", "misconduct").exit_code == 2  # --now has to be said
    ended = json.loads(stint("engagements", "end", order, "--now", "--reason", "misconduct", "--json").stdout)
    assert (ended["ok"], ended["state"], ended["ending"]) == (True, "ending", 1)
    assert stint("engagements", "restore", order).exit_code == 2
    mine = stint("engagements", "restore", order, "--reason", "a mistake")
    assert (mine.exit_code, "somebody else confirms it" in mine.stdout) == (0, True)
    own = stint("engagements", "restore", order, "--confirm", "--json")
    assert (own.exit_code, json.loads(own.stdout)["cause"]) == (1, "needs_second_person")
    other = one(installed)
    assert stint("engagements", "end", other, "--now", "--reason", "misconduct").exit_code == 0
    asked_by_somebody(installed, other)
    done = stint("engagements", "restore", other, "--confirm")
    assert (done.exit_code, "its access is being given back" in done.stdout) == (0, True)


def test_one_person_takes_an_ending_back_where_the_company_says_so(installed: Installed, stint: Stint) -> None:
    installed.apply(access={"endings": {"undo_needs_two": False}})
    order = one(installed)
    stint("engagements", "end", order, "--now", "--reason", "misconduct")
    done = stint("engagements", "restore", order, "--reason", "a mistake", "--json")
    assert (json.loads(done.stdout)["state"], json.loads(done.stdout)["ending"]) == ("cleared", None)


def test_a_stint_is_extended_at_the_command_line(installed: Installed, stint: Stint) -> None:
    order = one(installed)
    done = stint("engagements", "extend", order, "--until", "2099-06-30", "--reason", "goes on", "--json")
    assert json.loads(done.stdout)["end_at"].startswith("2099-06-30T22:00")
    assert stint("engagements", "extend", order, "--until", "2099-01-31", "--reason", "goes on").exit_code == 1


def test_the_closure_record_is_shown(installed: Installed, stint: Stint) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, "WO-C12")
        holds.place(tx, engagement.worker.id, matter="m", scope="s", actor=ADA)
        doing.end_now(tx, engagement.id, ADA, reason="misconduct")
    assert stint("engagements", "closure", "WO-C12").exit_code == 1
    left(installed, engagement, SIGN_IN, GROUP)
    record = closed(installed, engagement)
    shown = stint("engagements", "closure", "WO-C12").stdout
    assert f"LEFT        {LICENCE}: a legal hold stands" in shown
    assert "up to about an hour" in shown
    assert json.loads(stint("engagements", "closure", "WO-C12", "--json").stdout) == record.values()
    assert stint("engagements", "closure", "WO-C12", "--ending", "2").exit_code == 1


def test_holds_and_evidence_at_the_command_line(installed: Installed, stint: Stint) -> None:
    order = one(installed)
    placed = json.loads(stint("holds", "place", order, "--matter", "A v. B", "--json").stdout)
    assert UUID(placed["worker_id"])
    again = json.loads(stint("holds", "place", placed["worker_id"], "--matter", "A v. C", "--json").stdout)
    assert again["worker_id"] == placed["worker_id"]
    assert "A v. B" in stint("holds", "list").stdout
    assert stint("holds", "release", placed["id"], "--reason", "settled").exit_code == 0
    assert [each["id"] for each in json.loads(stint("holds", "list", "--json").stdout)] == [again["id"]]
    assert len(json.loads(stint("holds", "list", "--released", "--json").stdout)) == 2
    given = stint("evidence", "give", order, "--subject", "badge", "--statement", "returned", "--json")
    assert json.loads(given.stdout)["subject"] == "badge"
    assert stint("holds", "place", str(uuid4()), "--matter", "m").exit_code == 1
