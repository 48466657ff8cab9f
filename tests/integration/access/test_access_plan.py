"""A plan is held against what the joiner then does, and leaves nothing behind itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
import yaml

from cli.access.packages import migrate
from cli.access.plan import change_rows, plan_json, remarks
from flows.access.plan import AccessPlan, plan_engagement
from ledger import engagements
from ledger.access import approvals, grants
from ledger.access.approvals import Decision
from ledger.database import Database
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from ledger.rehearsal import rehearsal
from ledger.trail import audit
from tests.integration.installed import TENANT, Installed
from tests.integration.ledger_cases import stored_engagement
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.effects import EffectKind
from workforce.engagement import Engagement
from workforce.errors import Refused
from workforce.events import HUB
from workforce.ports import Directory

pytestmark = pytest.mark.integration

APPROVER = "grace@acme.example"


def planned(installed: Installed, engagement: Engagement) -> AccessPlan:
    return plan_engagement(installed.hub, TENANT, engagement.id)


def changes(plan: AccessPlan) -> dict[str, list[str]]:
    return {each.system: [f"{change.kind} {change.detail}".strip() for change in each.changes] for each in plan.directories}


def done_by_the_joiner(installed: Installed, engagement: Engagement) -> dict[str, list[str]]:
    """What one run of the joiner changed, in each directory."""
    with installed.hub.database.transaction(TENANT) as tx:
        before = len(audit.entries(tx, engagement_id=engagement.id, action="access.granted"))
    installed.join(engagement)
    with installed.hub.database.transaction(TENANT) as tx:
        lines = audit.entries(tx, engagement_id=engagement.id, action="access.granted")[before:]
    return {line.event["target"]["system"]: line.event["details"]["changes"] for line in lines}


def directory_of(installed: Installed, system: str) -> Directory:
    return installed.hub.tenant(TENANT).instance(system).directory()


def account_of(installed: Installed, engagement: Engagement, system: str) -> str:
    with installed.hub.database.transaction(TENANT) as tx:
        found = identities.external_id(tx, system, ACCOUNT, engagement.worker.id)
    assert found is not None
    return found


def package(installed: Installed, **difference: Any) -> dict[str, Any]:
    path = installed.world.documents / "access" / "software-engineer.yaml"
    return {**yaml.safe_load(path.read_text()), **difference}


def everything_stored(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with psycopg.connect(dsn, autocommit=True) as owner:
        names = [row[0] for row in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        return {name: sorted(owner.execute(f"SELECT t::text FROM {name} AS t").fetchall()) for name in names}  # noqa: S608 - our own tables


# The plan and the joiner


def test_the_first_plan_is_what_the_joiner_then_does(installed: Installed) -> None:
    engagement = installed.signed()
    plan = planned(installed, engagement)
    assert {each.system: each.creates for each in plan.directories} == {"entra": True, "ldap": True}
    assert all(change.kind is EffectKind.ADD_MEMBER for each in plan.directories for change in each.changes)
    assert plan.packages == {"software-engineer": 1}
    assert done_by_the_joiner(installed, engagement) == changes(plan)
    after = planned(installed, engagement)
    assert changes(after) == {"entra": [], "ldap": []}
    assert change_rows(after) == []


def test_a_plan_writes_nothing_anywhere(installed: Installed, dsn: str) -> None:
    engagement = installed.signed()
    stored, called = everything_stored(dsn), installed.calls()
    for _ in range(2):
        planned(installed, engagement)
    assert installed.calls() == called
    assert everything_stored(dsn) == stored


def _disabled_by_hand(installed: Installed, engagement: Engagement) -> None:
    for system in ("entra", "ldap"):
        directory_of(installed, system).disable(account_of(installed, engagement, system))


def _out_of_a_group_by_hand(installed: Installed, engagement: Engagement) -> None:
    for system, groups in installed.world.groups.items():
        directory_of(installed, system).remove_member(groups[0], account_of(installed, engagement, system))


def _extended(installed: Installed, engagement: Engagement) -> None:
    later = engagement.terms.ends_on + timedelta(days=30)
    installed.change(engagement, **{"End Date": later.isoformat()})


def _narrower_package(installed: Installed, _: Engagement) -> None:
    fewer = {name: {"groups": groups[1:]} for name, groups in installed.world.groups.items()}
    installed.apply_files({"access/software-engineer/v0002.yaml": package(installed, version=2, directories=fewer)})
    migrate(installed.hub, TENANT, "software-engineer", 2, reason="a test")


def _without_one_directory(installed: Installed, _: Engagement) -> None:
    entra = {"entra": {"groups": installed.world.groups["entra"]}}
    installed.apply_files({"access/software-engineer/v0002.yaml": package(installed, version=2, directories=entra)})
    migrate(installed.hub, TENANT, "software-engineer", 2, reason="a test")


@pytest.mark.parametrize(
    "happens", [_disabled_by_hand, _out_of_a_group_by_hand, _extended, _narrower_package, _without_one_directory]
)
def test_whatever_happened_the_joiner_does_what_was_planned(
    installed: Installed, happens: Callable[[Installed, Engagement], None]
) -> None:
    engagement = installed.joined()
    happens(installed, engagement)
    plan = planned(installed, engagement)
    assert any(changes(plan).values())
    assert done_by_the_joiner(installed, engagement) == changes(plan)
    assert not any(changes(planned(installed, engagement)).values())


# What a plan says


def test_each_change_says_which_package_and_whose_approval_is_behind_it(installed: Installed) -> None:
    installed.apply_files({"access/software-engineer.yaml": package(installed, approvers=[APPROVER])})
    engagement = installed.signed()
    waiting = planned(installed, engagement)
    assert [(each.package, each.version) for each in waiting.waiting] == [("software-engineer", 1)]
    assert change_rows(waiting) == []
    assert "waits for an approver" in next(remarks(waiting))
    with installed.hub.database.transaction(TENANT) as tx:
        assert approvals.state(tx, engagement.id) == [], "whoever looks asks nobody"
    installed.join(engagement)
    with installed.hub.database.transaction(TENANT) as tx:
        decision = Decision(engagement.id, "software-engineer", 1, approved=True, by=APPROVER)
        approvals.decide(tx, decision, approvers=[APPROVER], email_domain="acme.example", actor=HUB)
    plan = planned(installed, engagement)
    reasons = {why for _, what, _, why in change_rows(plan) if what == "add member"}
    assert reasons == {f"software-engineer v1, approved by {APPROVER}"}
    assert done_by_the_joiner(installed, engagement) == changes(plan)


def test_what_another_engagement_supports_is_kept_and_the_plan_says_for_whom(installed: Installed) -> None:
    engagement = installed.joined()
    group = Entitlement(EntitlementKind.GROUP, installed.world.groups["entra"][0])
    second = installed.signed()
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute(
            "UPDATE engagements SET worker_id = %(worker)s, state = 'cleared' WHERE id = %(id)s",
            worker=engagement.worker.id,
            id=second.id,
        )
        grants.want(tx, engagements.get(tx, second.id), "entra", {group: {"package": "other", "version": 1}})
    _narrower_package(installed, engagement)
    entra = next(each for each in planned(installed, engagement).directories if each.system == "entra")
    assert entra.kept == {group}
    assert entra.why is not None
    assert entra.why.of(group) == f"supported by {second.terms.vms_id}"
    assert ("entra", "keep", str(group), f"supported by {second.terms.vms_id}") in change_rows(planned(installed, engagement))


@pytest.mark.parametrize("ends", [True, False])
def test_a_licence_that_may_not_be_reclaimed_is_kept_and_the_plan_says_why(installed: Installed, ends: bool) -> None:
    licence = Entitlement(EntitlementKind.LICENCE, installed.world.graph.add_licence("E3"))
    groups = {name: {"groups": list(groups)} for name, groups in installed.world.groups.items()}
    licensed = {**groups, "entra": {**groups["entra"], "licences": [licence.id]}}
    installed.apply(access={"endings": {"reclaim_licences": False}})
    installed.apply_files({"access/software-engineer.yaml": package(installed, directories=licensed)})
    engagement = installed.joined()
    if ends:
        with installed.hub.database.transaction(TENANT) as tx:
            engagements.begin_ending(tx, engagement.id, "test")
            grants.unwant_all(tx, engagement.id, because="ending:1")
    else:
        installed.apply_files({"access/software-engineer/v0002.yaml": package(installed, version=2, directories=groups)})
        migrate(installed.hub, TENANT, "software-engineer", 2, reason="a test")
    plan = planned(installed, engagement)
    assert EffectKind.RECLAIM_LICENCE not in {change.kind for each in plan.directories for change in each.changes}
    assert [(system, what, which) for system, what, which, _ in change_rows(plan) if what == "keep"] == [
        ("entra", "keep", str(licence))
    ]
    assert "reclaim_licences" in next(why for _, what, _, why in change_rows(plan) if what == "keep")
    if not ends:
        assert done_by_the_joiner(installed, engagement) == changes(plan)


def test_before_the_start_the_account_is_planned_disabled(installed: Installed) -> None:
    start = date.today() + timedelta(days=30)  # noqa: DTZ011 - a day that is still to come anywhere
    engagement = installed.signed(**{"Start Date": start.isoformat()})
    plan = planned(installed, engagement)
    assert {(each.creates, each.enabled) for each in plan.directories} == {(True, False)}
    assert ("entra", "create account", "disabled until the start instant", "") in change_rows(plan)


def test_one_directory_that_cannot_be_asked_keeps_no_other_from_being_planned(installed: Installed) -> None:
    engagement = installed.joined()
    _disabled_by_hand(installed, engagement)
    installed.world.slapd.stop()
    try:
        plans = {each.system: each for each in planned(installed, engagement).directories}
    finally:
        installed.world.slapd.start()
    assert plans["ldap"].fault is not None
    assert [change.kind for change in plans["entra"].changes] == [EffectKind.ENABLE_ACCOUNT]


def test_a_role_without_a_package_is_told_as_the_joiner_would(installed: Installed) -> None:
    engagement = installed.signed(Role="Astronaut")
    with pytest.raises(Refused) as raised:
        planned(installed, engagement)
    assert raised.value.cause == "unknown_role"


def test_once_the_ending_has_begun_the_plan_is_what_there_is_left_to_take_away(installed: Installed) -> None:
    engagement = installed.joined()
    with installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, engagement.id, "test")
    plan = planned(installed, engagement)
    kinds = {(each.system, change.kind) for each in plan.directories for change in each.changes}
    for system in ("entra", "ldap"):
        assert {(system, EffectKind.DISABLE_ACCOUNT), (system, EffectKind.REMOVE_MEMBER)} <= kinds
    assert plan_json(plan)["state"] == "ending"
    assert "ending has begun" in next(remarks(plan))


# Rehearsals


def test_what_is_written_in_a_rehearsal_can_be_read_there_and_is_gone_afterwards(database: Database) -> None:
    engagement = stored_engagement(database)
    with rehearsal(database, "acme") as rehearsed:
        with rehearsed.transaction("acme") as tx:
            approvals.ask(tx, engagement.id, "mail", 1)
        with rehearsed.transaction("acme") as tx:
            assert len(approvals.state(tx, engagement.id)) == 1
    with database.transaction("acme") as tx:
        assert approvals.state(tx, engagement.id) == []
        assert audit.entries(tx, action="approval.asked") == []


def test_a_rehearsal_is_of_one_tenant_and_its_errors_are_seen(database: Database) -> None:
    with (
        rehearsal(database, "acme") as rehearsed,
        pytest.raises(ValueError, match="not of other"),
        rehearsed.transaction("other"),
    ):
        raise AssertionError("this is never reached")
    with pytest.raises(Refused), rehearsal(database, "acme"):
        raise Refused("no")


def test_sign_in_is_told_apart_from_groups(installed: Installed) -> None:
    engagement = installed.joined()
    _disabled_by_hand(installed, engagement)
    entra = next(each for each in planned(installed, engagement).directories if each.system == "entra")
    assert entra.why is not None
    assert entra.why.of(SIGN_IN) == "software-engineer v1"
    assert [entra.reason(change) for change in entra.changes] == ["software-engineer v1"]
