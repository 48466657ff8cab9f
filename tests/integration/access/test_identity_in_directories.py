"""Whose account it is, in real directories: renamed with its person, managed by who answers now, one account for all of a person's stints."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from flows.access.identity import rename_account, set_manager
from flows.access.logins import WorkersLogin
from flows.steps import PlainConductor
from ledger import engagements, failures
from ledger.access import grants
from ledger.database import Database, Tx
from ledger.identity import cases as identity_cases
from ledger.identity import identities
from ledger.trail import audit
from provisioning.logins import fingerprint
from tests.integration.installed import TENANT, Installed
from tests.integration.ledger_cases import a_work_order
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.engagement import Engagement
from workforce.events import HUB
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

FOLLOWS = {"logins": {"rename": "on_name_change"}}
GROUP = Entitlement(EntitlementKind.GROUP, "g-1")
WHY = {"package": "software-engineer", "version": 1}


def letters(digits: str) -> str:
    """Names have no digits."""
    return digits[:12].translate(str.maketrans("0123456789", "ghijklmnop"))


def login_of(installed: Installed, engagement: Engagement) -> WorkersLogin:
    with installed.hub.database.transaction(TENANT) as tx:
        return WorkersLogin(installed.hub, TENANT, engagements.get(tx, engagement.id).worker)


def name_changed(installed: Installed, **access: Any) -> tuple[Engagement, str, str]:
    """Somebody with accounts who is called otherwise now; their login before and after."""
    installed.apply(access=access)
    engagement = installed.joined()
    before = login_of(installed, engagement).follow_the_name()
    installed.change(engagement, **{"Worker Last Name": f"King-{letters(uuid4().hex)}"})
    return engagement, before, login_of(installed, engagement).follow_the_name()


def step_in(installed: Installed, engagement: Engagement, step: Any, *systems: str) -> None:
    run = PlainConductor(installed.run(engagement), installed.hub, attempts=1)
    run.each(step, systems)
    run.finish()


def entry_of(installed: Installed, engagement: Engagement) -> dict[str, Any]:
    (entry,) = installed.world.slapd.entries(engagement.worker.marker)
    return entry


def user_of(installed: Installed, engagement: Engagement) -> dict[str, Any]:
    (user,) = [user for user in installed.world.graph.users if user.get("employeeId") == engagement.worker.marker]
    return user


def actions(installed: Installed, engagement: Engagement) -> list[str]:
    with installed.hub.database.transaction(TENANT) as tx:
        return [line.event["action"] for line in audit.entries(tx, engagement_id=engagement.id)]


def test_accounts_follow_the_name_and_stay_the_same_accounts(installed: Installed) -> None:
    engagement, before, after = name_changed(installed, **FOLLOWS)
    account_ids = entry_of(installed, engagement)["dn"], user_of(installed, engagement)["id"]
    step_in(installed, engagement, rename_account, "ldap", "entra")
    assert (before.startswith("ada.lovelace"), after.startswith("ada.king")) == (True, True)
    assert after in entry_of(installed, engagement)["uid"]
    assert user_of(installed, engagement)["userPrincipalName"] == f"{after}@acme.example"
    assert (entry_of(installed, engagement)["dn"], user_of(installed, engagement)["id"]) == account_ids
    assert actions(installed, engagement).count("account.rename_verified") == 2
    with installed.hub.database.transaction(TENANT) as tx:
        assert identities.aliases_of(tx, engagement.worker.id) == [before]


def test_a_second_run_renames_nothing_and_the_joiner_finds_everything_as_it_should_be(installed: Installed) -> None:
    engagement, _, _ = name_changed(installed, **FOLLOWS)
    for _ in range(2):
        step_in(installed, engagement, rename_account, "ldap", "entra")
    assert actions(installed, engagement).count("account.rename_verified") == 2
    installed.join(engagement)
    assert user_of(installed, engagement)["accountEnabled"] is True


def test_without_the_policy_a_login_outlives_the_name(installed: Installed) -> None:
    engagement, before, after = name_changed(installed)
    step_in(installed, engagement, rename_account, "ldap", "entra")
    assert after == before
    assert "account.rename_verified" not in actions(installed, engagement)


def test_another_way_of_making_logins_renames_nobody(installed: Installed) -> None:
    installed.apply(access=FOLLOWS)
    engagement = installed.joined()
    before = login_of(installed, engagement).follow_the_name()
    installed.apply(access={"logins": {"rename": "on_name_change", "pattern": "{f}{given}"}})
    assert login_of(installed, engagement).follow_the_name() == before


def test_a_login_from_before_names_were_kept_is_not_renamed_for_that(installed: Installed) -> None:
    installed.apply(access=FOLLOWS)
    engagement = installed.joined()
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE logins SET login = 'somebody', made_for = NULL")
    assert login_of(installed, engagement).follow_the_name() == "somebody"
    with installed.hub.database.transaction(TENANT) as tx:
        standing = identities.login_in_use(tx, engagement.worker.id)
    profile = engagement.worker.profile
    assert standing is not None
    assert standing.made_for == fingerprint(profile.given_name, profile.family_name)


def test_only_asking_for_the_login_changes_nothing(installed: Installed) -> None:
    installed.apply(access=FOLLOWS)
    engagement = installed.joined()
    before = login_of(installed, engagement).follow_the_name()
    installed.change(engagement, **{"Worker Last Name": "King"})
    assert login_of(installed, engagement).reserve() == before


def test_a_former_login_that_a_directory_still_holds_is_not_given_to_somebody_else(installed: Installed) -> None:
    installed.apply(access={"logins": {"reuse_after_days": 180}})
    gone = installed.joined(**{"Worker First Name": "Grace", "Worker Last Name": "Hopper"})
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE engagements SET state = 'ended', end_at = now() - interval '400 days' WHERE id = %(id)s", id=gone.id)
        owner = identities.login_of(tx, gone.worker.id)
    reserved_long_ago(installed)
    columns = {"Worker First Name": "Grace", "Worker Last Name": "Hopper", "Country": "GB"}
    namesake = installed.signed(**columns)
    assert (owner, login_of(installed, namesake).reserve()) == ("grace.hopper", "grace.hopper2")


def reserved_long_ago(installed: Installed) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE logins SET reserved_at = now() - interval '900 days'")


def test_the_manager_is_who_answers_now_and_changes_when_that_does(installed: Installed) -> None:
    graph = installed.world.graph
    boss, successor = (
        graph.add_user(userPrincipalName=f"{name}@acme.example", mail=f"{name}@acme.example") for name in ("boss", "next")
    )
    engagement = installed.joined(**{"Work Order Owner Email": "boss@acme.example"})
    step_in(installed, engagement, set_manager, "entra")
    assert manager_of(installed, engagement) == boss
    installed.apply(access={"sponsors": {"successors": {"boss@acme.example": "next@acme.example"}}})
    step_in(installed, engagement, set_manager, "entra")
    assert manager_of(installed, engagement) == successor
    done = len(graph.effects.entries)
    step_in(installed, engagement, set_manager, "entra")
    assert len(graph.effects.entries) == done


def test_a_manager_whom_no_directory_knows_is_noted_and_holds_nothing_up(installed: Installed) -> None:
    engagement = installed.joined(**{"Work Order Owner Email": "nobody@acme.example"})
    step_in(installed, engagement, set_manager, "entra", "ldap")
    assert "account.manager_not_found" in actions(installed, engagement)
    with installed.hub.database.transaction(TENANT) as tx:
        assert failures.list_open(tx, engagement_id=engagement.id) == []


def manager_of(installed: Installed, engagement: Engagement) -> str | None:
    graph = installed.world.graph
    return graph.find(user_of(installed, engagement)["id"]).manager_id


def stint(tx: Tx, vms_id: str) -> Engagement:
    """A stint of Ada's, cleared."""
    order = a_work_order(vms_id, worker={"family_name": "Lovelace", "personal_email": "ada@mail.example"})
    engagement, _ = engagements.upsert_work_order(tx, "fieldglass", order, "1", person_id="P-1")
    return engagements.transition(tx, engagement.id, EngagementState.CLEARED)


def supported(tx: Tx, worker_id: UUID) -> frozenset[Entitlement]:
    return frozenset().union(*(held for _, held in grants.supports(tx, worker_id, "entra")))


def test_a_rehired_person_has_the_same_account_and_inherits_nothing(database: Database) -> None:
    with database.transaction("acme") as tx:
        old = stint(tx, "WO-1")
        identities.link(tx, "entra", "account", old.worker.id, "guid-1")
        grants.want(tx, old, "entra", {SIGN_IN: WHY, GROUP: WHY})
        grants.proven(tx, old.id, "entra", "guid-1", [SIGN_IN, GROUP])
        engagements.begin_ending(tx, old.id, "end_reached")
        grants.revoked(tx, grants.to_revoke(tx, old.id, "entra"), [SIGN_IN, GROUP])
        engagements.transition(tx, old.id, EngagementState.ENDED)
        new = stint(tx, "WO-2")
        assert new.worker.id == old.worker.id
        assert identities.external_id(tx, "entra", "account", new.worker.id) == "guid-1"
        assert (grants.wanted_of(tx, new.id), supported(tx, new.worker.id)) == ([], frozenset())
        grants.want(tx, new, "entra", {SIGN_IN: WHY})
        assert supported(tx, new.worker.id) == {SIGN_IN}
        assert all(grant.revoked_at is not None for grant in grants.history_of(tx, old.id))


def test_of_two_stints_at_once_each_supports_its_own_and_the_one_that_goes_on_keeps_what_it_supports(database: Database) -> None:
    other = Entitlement(EntitlementKind.GROUP, "g-2")
    with database.transaction("acme") as tx:
        first, second = stint(tx, "WO-1"), stint(tx, "WO-2")
        assert second.worker.id == first.worker.id
        grants.want(tx, first, "entra", {SIGN_IN: WHY, GROUP: WHY})
        grants.want(tx, second, "entra", {SIGN_IN: WHY, other: WHY})
        assert supported(tx, first.worker.id) == {SIGN_IN, GROUP, other}
        engagements.begin_ending(tx, first.id, "end_reached")
        assert supported(tx, first.worker.id) == {SIGN_IN, other}


def test_who_is_engaged_through_another_source_keeps_the_account_once_a_person_says_who_it_is(database: Database) -> None:
    with database.transaction("acme") as tx:
        old = stint(tx, "WO-1")
        order = a_work_order("WM-1", worker={"family_name": "Lovelace", "personal_email": "ada@mail.example"})
        new, _ = engagements.upsert_work_order(tx, "workmarket", order, "1", person_id="W-9")
        assert (new.state, new.worker.id == old.worker.id) == (EngagementState.IN_REVIEW, False)
        (case,) = identity_cases.list_cases(tx, engagement_id=new.id)
        assert identity_cases.same(tx, case.id, HUB, "converted").worker.id == old.worker.id
        assert grants.wanted_of(tx, new.id) == []
