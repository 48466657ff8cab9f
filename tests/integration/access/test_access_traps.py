"""Moments at which access could outlive what supports it, or be lost: a lost reply, a late call, a deleted account, a wish that has passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from cli.demo.world import TENANT
from connectors.suite.sandbox import Fault, FaultKind
from flows import joiner, leaver
from flows.case import Case
from flows.feeds.intake import Intake
from flows.joiner import directories_concerned, join
from flows.leaver import systems_to_leave
from flows.reconciliation.reconcile import reconcile
from flows.steps import PlainConductor, Step
from ledger import documents, engagements
from ledger.access import approvals, grants
from ledger.ending import endings, ends, holds
from ledger.queueing import timers
from ledger.reconciliation.reconciliations import Scope
from ledger.writing import effect_history
from tests.integration.access_looks import a_person, account, account_id_of, case_of, held_now, rows, time_passes, with_packages
from tests.integration.installed import Installed
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.effects import Effect, EffectKind
from workforce.engagement import Engagement
from workforce.errors import Fenced, HubError, Refused, RetryLater
from workforce.events import HUB, Actor, ActorType
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

LEAD, HEDY = (Actor(ActorType.HUMAN, name, auth="cli") for name in ("grace", "hedy"))


# What an approval waits for


def approve(installed: Installed, engagement: Engagement, package: str) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        decision = approvals.Decision(engagement.id, package, 1, approved=True, by="owner@acme.example")
        approvals.decide(tx, decision, approvers=["owner@acme.example"], email_domain="acme.example", actor=LEAD)


@pytest.fixture
def trusted(installed: Installed) -> Engagement:
    """An engineer with an approved package, of which another version waits for its approval."""
    vault = {"sensitive": True, "approvers": ["owner@acme.example"]}
    first = {name: {"groups": groups[:1]} for name, groups in installed.world.groups.items()}
    engineer = {"version": 2, "directories": first}
    with_packages(
        installed, **{"software-engineer": engineer, "vault": vault, "designer": {"role": "Designer", "directories": first}}
    )
    engagement = installed.joined()
    approve(installed, engagement, "vault")
    installed.join(engagement)
    assert account(installed, engagement, "ldap").groups == set(installed.world.groups["ldap"])
    with installed.hub.database.transaction(TENANT) as tx:
        approvals.ask(tx, engagement.id, "vault", 2)
    return engagement


def test_a_package_that_waits_for_another_version_is_taken_away_with_its_role(installed: Installed, trusted: Engagement) -> None:
    installed.change(trusted, Role="Designer")
    installed.join(trusted)
    assert account(installed, trusted, "ldap").groups == {installed.world.groups["ldap"][0]}


def test_nothing_of_a_suspended_engagement_is_said_to_be_held_while_an_approval_waits(
    installed: Installed, trusted: Engagement
) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE engagements SET suspended_at = clock_timestamp() WHERE id = %(id)s", id=trusted.id)
    installed.join(trusted)
    assert account(installed, trusted, "ldap").entitlements == frozenset()
    assert held_now(installed, trusted, "ldap") == set()


# Directories that left the configuration


def test_the_end_of_one_of_two_engagements_fails_by_name_where_their_directory_was_taken_away(installed: Installed) -> None:
    person = a_person()
    first, second = installed.joined(**person), installed.joined(**person)
    installed.end(first)
    without_entra(installed)
    with installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, second.id, "terminated")
    _, directories = systems_to_leave(installed.hub, TENANT, second.id)
    assert "entra" in directories
    installed.leave(second)
    installed.apply()
    assert account(installed, second, "entra").entitlements == frozenset()


def without_entra(installed: Installed) -> None:
    """Nobody gets anything in Entra any more; it can still be reached."""
    systems = {"esign": "docusign", "vms": "fieldglass", "hris": "bamboohr", "payroll": "gusto", "directories": ["ldap"]}
    installed.apply(systems=systems)
    with installed.hub.database.transaction(TENANT) as tx:
        files = {path: text for path, text in documents.current(tx).files.items() if not path.startswith("access/")}
        documents.apply(tx, files, HUB)


# Accounts that keep others from being blocked


def test_an_account_that_cannot_be_blocked_keeps_no_other_from_being_blocked(installed: Installed) -> None:
    engagement = installed.joined()
    graph = installed.world.graph
    others = [graph.add_user(userPrincipalName=f"{uuid4().hex}@acme.example", employeeId=engagement.worker.marker) for _ in "ab"]
    mine = account_id_of(installed, engagement, "entra")
    graph.give_admin_role(min(*others, mine))  # accounts are taken in the order of their ids
    with installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, engagement.id, "terminated")
    with pytest.raises(Refused, match=r"protected|admin"):
        installed.leave(engagement)
    state = {user["id"]: user["accountEnabled"] for user in graph.users if user["id"] in {*others, mine}}
    assert list(state.values()).count(True) == 1


# Runs that are overtaken


class Meddled(PlainConductor):
    """Something happens just before the step with a given title."""

    def __init__(self, *args: Any, before: str, happens: Any) -> None:
        super().__init__(*args)
        self._before, self._happens = before, happens

    def _run(self, step: Step, system: str) -> None:
        if step.title == self._before:
            self._happens()
        super()._run(step, system)


def test_a_start_that_comes_while_the_joiner_runs_is_not_missed(installed: Installed) -> None:
    today = datetime.now(UTC).date()
    engagement = installed.signed(**{"Start Date": (today + timedelta(days=9)).isoformat()})

    def starts() -> None:
        installed.change(engagement, **{"Start Date": (today - timedelta(days=1)).isoformat()})
        installed.waiting("joiner")

    hub = installed.hub
    run = Meddled(installed.run(engagement), hub, before="Confirm the access", happens=starts)
    join(run, sinks=(), directories=lambda: directories_concerned(hub, TENANT, engagement.id))
    assert installed.engagement(engagement).state is EngagementState.CLEARED
    assert not account(installed, engagement, "ldap").enabled
    assert installed.waiting("joiner") == [{"engagement_id": str(engagement.id)}]
    installed.join(engagement)
    assert installed.engagement(engagement).state is EngagementState.ACTIVE
    assert account(installed, engagement, "ldap").enabled


def test_a_resumed_run_does_not_confirm_what_was_taken_back_meanwhile(installed: Installed) -> None:
    engagement = installed.joined()
    with installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, engagement.id, "terminated")
    with installed.hub.database.transaction(TENANT) as tx:
        endings.ask_undo(tx, engagement.id, LEAD, reason="a mistake")
    with installed.hub.database.transaction(TENANT) as tx:
        endings.confirm_undo(tx, engagement.id, HEDY, needs_two=True)
    installed.waiting("joiner")
    joiner.confirm_access.run(case_of(installed, engagement, ""))  # every other step was finished before the crash
    assert installed.engagement(engagement).state is EngagementState.CLEARED
    assert installed.waiting("joiner") == [{"engagement_id": str(engagement.id)}]
    installed.join(engagement)
    assert installed.engagement(engagement).state is EngagementState.ACTIVE
    assert SIGN_IN in held_now(installed, engagement, "ldap")


@pytest.mark.parametrize("directory", ["entra", "ldap"])
def test_an_account_whose_creation_was_never_confirmed_is_closed_when_its_role_goes(installed: Installed, directory: str) -> None:
    elsewhere = next(name for name in ("entra", "ldap") if name != directory)
    there = {elsewhere: {"groups": installed.world.groups[elsewhere][:1]}}
    with_packages(installed, designer={"role": "Designer", "directories": there})
    engagement = installed.signed()
    ref = installed.run(engagement)
    case = Case(installed.hub, ref, directory)
    joiner.decide_access.run(Case(installed.hub, ref))
    made = made_without_reply(case)
    time_passes(installed, engagement)
    installed.change(engagement, Role="Designer")
    installed.join(engagement)
    assert not case.directory.read(made).enabled
    assert all(grant.revoked_at for grant in rows(installed, engagement, directory))
    assert installed.engagement(engagement).state is EngagementState.ACTIVE


def made_without_reply(case: Case) -> str:
    """The account was made, and the process died before it heard of it."""
    case.effects.begin(_effect(case, EffectKind.CREATE_ACCOUNT))
    return case.directory.create(case.desired_account(case.outgoing().values))


def _effect(case: Case, kind: EffectKind, detail: str = "") -> Effect:
    return Effect(TENANT, case.engagement_id, case.system, kind, case.ref.epoch, detail=detail)


def test_what_no_account_was_ever_made_for_is_not_left_open(installed: Installed) -> None:
    there = {"ldap": {"groups": installed.world.groups["ldap"][:1]}}
    with_packages(installed, designer={"role": "Designer", "directories": there})
    engagement = installed.signed()
    joiner.decide_access.run(Case(installed.hub, installed.run(engagement)))
    installed.change(engagement, Role="Designer")
    installed.join(engagement)
    assert rows(installed, engagement, "entra")
    assert all(grant.revoked_at for grant in rows(installed, engagement, "entra"))


def test_a_call_that_lands_after_the_proof_is_undone_by_the_next_look(installed: Installed) -> None:
    late = installed.world.groups["ldap"][1]
    first = {name: {"groups": groups[:1]} for name, groups in installed.world.groups.items()}
    with_packages(installed, **{"software-engineer": {"version": 2, "directories": first}, "more": {"locations": ["Away"]}})
    engagement = installed.joined()
    case = case_of(installed, engagement, "ldap")
    case.effects.begin(_effect(case, EffectKind.ADD_MEMBER, late))  # the call is on its way
    with installed.hub.database.transaction(TENANT) as tx:
        known = {grant.entitlement: grant.reason for grant in grants.wanted_of(tx, engagement.id, "ldap")}
        grants.want(
            tx, engagement, "ldap", {**known, Entitlement(EntitlementKind.GROUP, late): {"package": "more", "version": 1}}
        )
    installed.end(engagement)
    assert all(grant.revoked_at for grant in rows(installed, engagement, "ldap"))
    case.directory.add_member(late, account_id_of(installed, engagement, "ldap"))  # and arrives
    installed.leave(engagement)
    assert account(installed, engagement, "ldap").entitlements == frozenset()


def test_a_group_that_was_refused_keeps_no_ending_open(installed: Installed) -> None:
    dynamic = installed.world.graph.add_group("everybody", rule='user.department -eq "x"')
    with_packages(installed, everybody={"directories": {"entra": {"groups": [dynamic]}}})
    engagement = installed.signed()
    with pytest.raises(Refused):
        installed.join(engagement)
    installed.end(engagement)
    assert installed.engagement(engagement).state is EngagementState.ENDED


def test_a_leaver_that_runs_once_more_sees_to_access_and_leaves_an_order_to_its_owner(installed: Installed) -> None:
    engagement = installed.joined()
    installed.end(engagement)
    installed.change(engagement, **{"Status": "Accepted", "Closed At": "", "Terminate At": ""})  # opened again, by its owner
    directory = Case(installed.hub, installed.run(engagement, grants=False), "ldap").directory
    directory.enable(account_id_of(installed, engagement, "ldap"))
    installed.leave(engagement)
    assert not account(installed, engagement, "ldap").enabled
    assert installed.engagement(engagement).state is EngagementState.ENDED


# Licences


def test_a_licence_under_a_hold_stays_when_the_role_changes_and_goes_once_it_is_released(installed: Installed) -> None:
    licence = installed.world.graph.add_licence("E3")
    first = {name: {"groups": groups[:1]} for name, groups in installed.world.groups.items()}
    with_packages(
        installed,
        mail={"directories": {"entra": {"licences": [licence]}}},
        designer={"role": "Designer", "directories": first},
    )
    engagement = installed.joined()
    assert account(installed, engagement, "entra").licences == {licence}
    with installed.hub.database.transaction(TENANT) as tx:
        hold = holds.place(tx, engagement.worker.id, matter="a lawsuit", scope="mail", actor=LEAD)
    installed.change(engagement, Role="Designer")
    installed.join(engagement)
    assert account(installed, engagement, "entra").licences == {licence}
    assert Entitlement(EntitlementKind.LICENCE, licence) in held_now(installed, engagement, "entra")
    assert installed.engagement(engagement).state is EngagementState.ACTIVE
    with installed.hub.database.transaction(TENANT) as tx:
        holds.release(tx, hold.id, reason="it is over", actor=LEAD)
    installed.join(engagement)
    assert account(installed, engagement, "entra").licences == frozenset()
    assert Entitlement(EntitlementKind.LICENCE, licence) not in held_now(installed, engagement, "entra")


# Accounts that somebody deleted


def test_an_account_that_was_deleted_by_hand_is_brought_back_as_it_was(installed: Installed) -> None:
    engagement = installed.joined()
    before = account(installed, engagement, "entra")
    installed.world.graph.delete_user(before.account_id)
    with pytest.raises(RetryLater):  # it was made a moment ago, so it may only be hidden
        joiner.find_account.run(case_of(installed, engagement, "entra"))
    time_passes(installed, engagement)
    installed.join(engagement)
    after = account(installed, engagement, "entra")
    assert (after.account_id, after.entitlements) == (before.account_id, before.entitlements)
    assert installed.done(engagement, EffectKind.RESTORE_ACCOUNT) == [("entra", "done")]


def deleted_for_good(installed: Installed, engagement: Engagement) -> str:
    """Somebody deletes the account in LDAP, which keeps none that was deleted."""
    account_id = account_id_of(installed, engagement, "ldap")
    slapd = installed.world.slapd
    dn = slapd.dn_of(account(installed, engagement, "ldap").login)
    with slapd.administrator() as connection:
        connection.delete_s(dn)
    time_passes(installed, engagement)
    return account_id


def test_an_account_in_use_that_is_gone_for_good_waits_for_a_person_whose_replay_makes_another(installed: Installed) -> None:
    engagement = installed.joined()
    gone = deleted_for_good(installed, engagement)
    for _ in range(2):
        with pytest.raises(Refused, match="Restore it there") as refused:
            installed.join(engagement)
        assert refused.value.cause == "account_deleted"
    with installed.hub.database.transaction(TENANT) as tx:
        effect_history.reopen(tx, engagement.id, LEAD)
    installed.join(engagement)
    another = account(installed, engagement, "ldap")
    assert another.account_id != gone
    assert another.groups == set(installed.world.groups["ldap"])
    installed.end(engagement)
    assert account(installed, engagement, "ldap").entitlements == frozenset()
    assert held_now(installed, engagement, "ldap") == set()


def test_an_account_that_was_made_again_by_hand_with_the_marker_takes_its_place(installed: Installed) -> None:
    engagement = installed.joined()
    case = case_of(installed, engagement, "ldap")
    again = replace(case.desired_account(case.outgoing().values), login=f"x{uuid4().hex[:12]}")
    deleted_for_good(installed, engagement)
    made = case.directory.create(again)
    installed.join(engagement)
    assert account_id_of(installed, engagement, "ldap") == made
    assert account(installed, engagement, "ldap").groups == set(installed.world.groups["ldap"])


def test_who_comes_back_after_their_account_was_cleaned_up_gets_a_new_one(installed: Installed) -> None:
    person = a_person()
    engagement = installed.joined(**person)
    installed.end(engagement)
    gone = deleted_for_good(installed, engagement)
    again = installed.joined(**person)
    assert again.worker.id == engagement.worker.id
    assert account(installed, again, "ldap").account_id != gone
    assert account(installed, again, "ldap").enabled


def test_an_ending_that_is_taken_back_after_the_account_was_cleaned_up_makes_a_new_one(installed: Installed) -> None:
    engagement = installed.joined()
    installed.end(engagement)
    gone = deleted_for_good(installed, engagement)
    with installed.hub.database.transaction(TENANT) as tx:
        endings.ask_undo(tx, engagement.id, LEAD, reason="a mistake")
        endings.confirm_undo(tx, engagement.id, HEDY, needs_two=True)
    installed.join(engagement)
    assert account(installed, engagement, "ldap").account_id != gone
    assert account(installed, engagement, "ldap").enabled
    assert len(created(installed, engagement)) == 2


def created(installed: Installed, engagement: Engagement) -> Sequence[str]:
    with installed.hub.database.transaction(TENANT) as tx:
        lines = effect_history.list_for(tx, engagement.id)
    return [e.vendor_id for e in lines if (e.kind, e.target) == (EffectKind.CREATE_ACCOUNT, "ldap") and e.vendor_id]


def test_an_account_of_which_nothing_is_wanted_any_more_is_not_made_again(installed: Installed) -> None:
    there = {"entra": {"groups": installed.world.groups["entra"][:1]}}
    with_packages(installed, designer={"role": "Designer", "directories": there})
    engagement = installed.joined()
    deleted_for_good(installed, engagement)
    installed.change(engagement, Role="Designer")
    installed.join(engagement)
    assert installed.world.slapd.entries(engagement.worker.marker) == []
    assert held_now(installed, engagement, "ldap") == set()
    assert installed.engagement(engagement).state is EngagementState.ACTIVE


# Starts, and what is each engagement's own


SOON = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
BEGUN = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()


def test_the_sign_in_of_one_engagement_is_no_proof_of_another_that_has_not_started(installed: Installed) -> None:
    person = a_person()
    now, later = installed.joined(**person), installed.joined(**person, **{"Start Date": SOON})
    assert SIGN_IN in held_now(installed, now, "ldap")
    assert SIGN_IN not in held_now(installed, later, "ldap")
    installed.end(now)
    assert not account(installed, later, "ldap").enabled
    assert account(installed, later, "ldap").groups == set(installed.world.groups["ldap"])
    assert SIGN_IN not in held_now(installed, later, "ldap")


def test_a_start_that_moves_into_the_future_closes_the_account_and_the_history_says_so(installed: Installed) -> None:
    engagement = installed.joined()
    installed.change(engagement, **{"Start Date": SOON})
    installed.join(engagement)
    assert not account(installed, engagement, "ldap").enabled
    assert SIGN_IN not in held_now(installed, engagement, "ldap")
    assert next(g for g in rows(installed, engagement, "ldap") if g.entitlement == SIGN_IN).unwanted_because == "not_started"
    installed.change(engagement, **{"Start Date": BEGUN})
    installed.join(engagement)
    assert account(installed, engagement, "ldap").enabled
    assert SIGN_IN in held_now(installed, engagement, "ldap")


def test_of_a_stint_that_ends_before_it_starts_nothing_stays(installed: Installed) -> None:
    engagement = installed.joined(**{"Start Date": SOON})
    installed.end(engagement)
    with installed.hub.database.transaction(TENANT) as tx:
        assert timers.armed(tx, engagement.id) == []
    for directory in ("entra", "ldap"):
        assert account(installed, engagement, directory).entitlements == frozenset()
        assert all(grant.revoked_at for grant in rows(installed, engagement, directory))


def test_of_a_stint_that_ends_before_it_is_cleared_nothing_is_ever_given(installed: Installed) -> None:
    engagement = installed.signed()
    installed.end(engagement)
    assert installed.engagement(engagement).state is EngagementState.ENDED
    assert installed.done(engagement, EffectKind.CREATE_ACCOUNT) == []
    assert [grant for name in ("entra", "ldap") for grant in rows(installed, engagement, name)] == []


# Endings


def test_a_stint_that_is_ended_before_its_start_is_told_with_no_end_before_it(installed: Installed) -> None:
    engagement = installed.joined(**{"Start Date": SOON})
    with installed.hub.database.transaction(TENANT) as tx:
        ends.terminate(tx, engagement.id, LEAD, reason="a test says so")
    installed.leave(engagement)
    order = Intake(installed.hub, TENANT, "fieldglass")
    taken = order.take(order.source().read(engagement.terms.vms_id))
    assert taken.order.terms.ends_on == taken.order.terms.starts_on
    assert taken.order.terms.end_instant() < taken.order.terms.start_instant()


def test_a_leaver_that_is_overtaken_by_the_undoing_has_the_joiner_look_again(installed: Installed) -> None:
    engagement = installed.joined()
    with installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, engagement.id, "terminated")
    stale = Case(installed.hub, installed.run(engagement, grants=False), "ldap")
    with installed.hub.database.transaction(TENANT) as tx:
        endings.ask_undo(tx, engagement.id, LEAD, reason="a mistake")
        endings.confirm_undo(tx, engagement.id, HEDY, needs_two=True)
    installed.waiting("joiner")
    installed.join(engagement)
    with pytest.raises(Fenced):
        leaver.block_sign_in.run(stale)
    assert installed.waiting("joiner") == [{"engagement_id": str(engagement.id)}]


def test_what_a_guest_reaches_is_taken_away_although_the_sign_in_cannot_be_blocked_yet(installed: Installed) -> None:
    graph, groups = installed.world.graph, installed.world.groups
    as_guest = {"entra": {"groups": groups["entra"], "guest": True}}
    with_packages(installed, **{"software-engineer": {"version": 2, "directories": as_guest}})
    engagement = installed.joined()
    assert account(installed, engagement, "entra").guest
    assert account(installed, engagement, "entra").groups == set(groups["entra"])
    with installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, engagement.id, "terminated")
    graph.faults.plan(Fault(FaultKind.FORBIDDEN_BEFORE, "PATCH", f"{account_id_of(installed, engagement, 'entra')}$"))
    with pytest.raises(HubError):
        leaver.block_sign_in.run(Case(installed.hub, installed.run(engagement, grants=False), "entra"))
    assert account(installed, engagement, "entra").groups == frozenset()
    installed.leave(engagement)
    assert account(installed, engagement, "entra").entitlements == frozenset()


def test_what_a_hand_took_is_given_back_for_the_engagement_that_supports_it_there(installed: Installed) -> None:
    there = {"ldap": {"groups": installed.world.groups["ldap"][:1]}}
    with_packages(installed, designer={"role": "Designer", "directories": there})
    person = a_person()
    engineer = installed.joined(**person)
    installed.joined(**person, Role="Designer")
    installed.world.graph.take_from_group(installed.world.groups["entra"][0], account_id_of(installed, engineer, "entra"))
    installed.waiting("joiner")
    reconcile(installed.hub, TENANT, "entra", Scope.FULL)
    assert installed.waiting("joiner") == [{"engagement_id": str(engineer.id)}]
