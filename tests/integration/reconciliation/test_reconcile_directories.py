"""Every kind of drift, in a real slapd and in Graph's sandbox: found, named, closed when it is gone, mended only as far as it may be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from flows.feeds.feed_brake import discard, release
from ledger import engagements, failures
from ledger.queueing.jobs import JobName
from ledger.reconciliation import held_changes
from ledger.reconciliation.held_changes import HeldChange
from ledger.reconciliation.reconciliations import Scope
from ledger.trail import audit
from tests.integration.installed import TENANT, Installed
from tests.integration.reconciling import LATER, Premises, found_kinds
from workforce.errors import NotFound
from workforce.events import HUB
from workforce.markers import new_marker
from workforce.states import EngagementState

pytestmark = pytest.mark.integration


@pytest.fixture(params=["ldap", "entra"])
def premises(installed: Installed, request: pytest.FixtureRequest) -> Premises:
    return Premises(installed, request.param)


def with_policy(premises: Premises, **access: Any) -> None:
    premises.installed.apply(access=access)


def held(premises: Premises) -> list[HeldChange]:
    with premises.installed.hub.database.transaction(TENANT) as tx:
        return held_changes.waiting(tx, premises.name)


def open_failures(premises: Premises) -> Mapping[str, str]:
    """Subject → cause."""
    with premises.installed.hub.database.transaction(TENANT) as tx:
        return {failure.subject: failure.cause for failure in failures.list_open(tx)}


def test_an_account_as_it_should_be_is_no_finding(premises: Premises) -> None:
    employed = premises.employ(groups=premises.groups)
    run = premises.run()
    assert premises.found(employed.account_id) == []
    assert run.accounts_read >= 1
    assert run.finished_at is not None


def test_a_group_that_was_taken_by_hand_is_missing_and_the_joiner_runs_again(premises: Premises) -> None:
    employed = premises.employ(groups=premises.groups)
    premises.port.remove_member(premises.groups[0], employed.account_id)
    premises.run()
    assert premises.found(employed.account_id) == [("missing", f"group {premises.groups[0]}")]
    assert premises.waiting(JobName.JOINER) == [str(employed.engagement.id)]
    premises.port.add_member(premises.groups[0], employed.account_id)
    premises.run()
    assert premises.found(employed.account_id) == []


def test_a_group_that_nobody_gave_is_listed_and_left_alone_unless_the_policy_says_otherwise(premises: Premises) -> None:
    employed = premises.employ(groups=premises.groups[:1])
    premises.port.add_member(premises.groups[1], employed.account_id)
    premises.run()
    assert premises.found(employed.account_id) == [("extra", f"group {premises.groups[1]}")]
    assert premises.port.read(employed.account_id).groups == frozenset(premises.groups)
    with_policy(premises, reconciliation={"mend": ["extra"]})
    premises.run()
    assert premises.port.read(employed.account_id).groups == frozenset(premises.groups[:1])
    assert premises.found(employed.account_id) == []


def test_what_a_hand_does_again_is_mended_again(premises: Premises) -> None:
    employed = premises.employ(groups=premises.groups[:1])
    with_policy(premises, reconciliation={"mend": ["extra"]})
    for _ in range(3):
        premises.port.add_member(premises.groups[1], employed.account_id)
        premises.run()
        assert premises.port.read(employed.account_id).groups == frozenset(premises.groups[:1])


def test_a_sign_in_that_was_blocked_by_hand_is_not_opened_again(premises: Premises) -> None:
    employed = premises.employ()
    premises.port.disable(employed.account_id)
    premises.run()
    assert premises.found(employed.account_id) == [("changed_by_hand", "sign_in")]
    assert premises.waiting(JobName.JOINER) == []
    (finding,) = [each for each in premises.findings() if each.account_id == employed.account_id]
    assert "by" in finding.details


def test_an_expiry_that_was_moved_by_hand_is_told_with_both_instants(premises: Premises) -> None:
    employed = premises.employ()
    premises.port.set_expiry(employed.account_id, LATER)
    premises.run()
    (finding,) = [each for each in premises.findings() if each.account_id == employed.account_id]
    assert (finding.drift, finding.subject) == ("changed_by_hand", "expiry")
    assert str(LATER.year) in finding.details["shown"]
    assert finding.details["wanted"] == str(employed.engagement.end_at)


def test_an_expiry_that_our_own_write_left_behind_is_changed_but_by_nobodys_hand(premises: Premises) -> None:
    employed = premises.employ()
    with premises.installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE engagements SET end_at = end_at + interval '30 days' WHERE id = %(id)s", id=employed.engagement.id)
        tx.execute(
            """
            INSERT INTO effects (tenant, effect_id, key, engagement_id, target, kind, lifecycle, detail, epoch, state)
            VALUES (%(tenant)s, gen_random_uuid(), 'k', %(id)s, %(target)s, 'set_expiry', 1, %(detail)s, 1, 'done')
            """,
            tenant=TENANT,
            id=employed.engagement.id,
            target=premises.name,
            detail=employed.engagement.end_at.isoformat(),
        )
    premises.run()
    assert premises.found(employed.account_id) == [("changed", "expiry")]


def test_an_account_whose_ending_is_over_and_that_is_enabled_is_blocked_whatever_the_policy_says(premises: Premises) -> None:
    employed = premises.employ()
    premises.end(employed)
    with_policy(premises, reconciliation={"mend": []})
    for scope in (Scope.RECENTLY_ENDED, Scope.FULL):
        premises.run(scope)
        assert found_kinds(premises, employed.account_id) == ["tombstoned_enabled"]
        assert premises.waiting(JobName.LEAVER) == [str(employed.engagement.id)]


def test_people_are_told_of_an_account_that_was_opened_after_its_end_was_proven(premises: Premises) -> None:
    employed = premises.employ()
    premises.end(employed)
    premises.run()
    told = f"enabled:{premises.name}:{employed.account_id}"
    assert told not in open_failures(premises), "its leaver was late, and nobody's hand was at it"
    with premises.installed.hub.database.transaction(TENANT) as tx:
        engagements.mark_revoked_verified(tx, employed.engagement.id, tx.began_at)
    premises.run()
    assert open_failures(premises)[told] == "enabled_after_the_end"
    premises.port.disable(employed.account_id)
    premises.run()
    assert told not in open_failures(premises)


def test_many_who_are_tombstoned_and_enabled_are_blocked_at_once_and_never_held(premises: Premises) -> None:
    people = [premises.employ() for _ in range(8)]
    for employed in people:
        premises.end(employed)
    run = premises.run(Scope.RECENTLY_ENDED)
    assert sorted(premises.waiting(JobName.LEAVER)) == sorted(str(employed.engagement.id) for employed in people)
    assert not run.held


def test_an_ending_that_began_just_now_is_the_leavers_business(premises: Premises) -> None:
    employed = premises.employ()
    premises.end(employed, seconds_ago=0)
    premises.run(Scope.RECENTLY_ENDED)
    assert premises.found(employed.account_id) == []


def test_an_account_that_is_enabled_before_its_start_is_unexpected(premises: Premises) -> None:
    employed = premises.employ(starts_on="2029-01-08")
    premises.run()
    assert premises.found(employed.account_id) == [("unexpected_enabled", "sign_in")]
    with_policy(premises, reconciliation={"mend": ["unexpected_enabled"]})
    premises.run()
    assert not premises.port.read(employed.account_id).enabled
    assert premises.found(employed.account_id) == []


def test_an_account_with_a_marker_that_nobody_has_waits_for_a_person_and_is_left_alone(premises: Premises) -> None:
    stranger = premises.engage()
    account_id = premises.account(stranger, marker=(marker := new_marker()))
    premises.run()
    assert premises.found(account_id) == [("orphan", "account")]
    assert open_failures(premises)[f"orphan:{premises.name}:{account_id}"] == "orphan_account"
    (finding,) = [each for each in premises.findings() if each.account_id == account_id]
    assert finding.details["likely"] == "no start event was seen"
    (account,) = premises.port.find(marker)
    assert account.enabled


def a_stranger(premises: Premises, unit: str) -> str:
    """Somebody without our marker, made by an administrator; the account's id."""
    slapd, name = premises.installed.world.slapd, f"staff{new_marker().lower()}"
    entry = {"objectClass": ["inetOrgPerson"], "cn": [name], "sn": [name], "uid": [name]}
    return slapd.plant(f"uid={name},{slapd.base(unit)}", entry)


def test_an_account_without_our_marker_in_our_place_waits_for_a_person_and_is_left_alone(installed: Installed) -> None:
    premises, slapd = Premises(installed, "ldap"), installed.world.slapd
    account_id = a_stranger(premises, "people")
    before = premises.port.read(account_id)
    with_policy(premises, reconciliation={"mend": ["missing", "extra", "changed", "changed_by_hand", "unexpected_enabled"]})
    for scope in (Scope.FULL, Scope.CHANGED, Scope.FULL):
        premises.run(scope)
        assert premises.found(account_id) == [("orphan", "account")]
    assert open_failures(premises)[f"orphan:ldap:{account_id}"] == "orphan_account"
    (finding,) = [each for each in premises.findings() if each.account_id == account_id]
    assert finding.details["likely"] == "somebody else made it"
    assert premises.port.read(account_id) == before
    with slapd.administrator() as root:
        root.delete_s(slapd.dn_of(before.login))
    premises.run()
    assert premises.found(account_id) == []
    assert f"orphan:ldap:{account_id}" not in open_failures(premises)


def test_who_changed_an_account_by_hand_is_named_with_the_instant_and_we_ourselves_are_not(installed: Installed) -> None:
    premises, slapd = Premises(installed, "ldap"), installed.world.slapd
    ours, theirs = premises.employ(), premises.employ()
    premises.port.set_expiry(ours.account_id, LATER)
    slapd.set_attribute(slapd.dn_of(premises.port.read(theirs.account_id).login), slapd.dialect.expiry, "20300601000000Z")
    premises.run()
    details = {each.account_id: each.details for each in premises.findings() if each.drift == "changed_by_hand"}
    assert (details[theirs.account_id]["by"], details[ours.account_id]["by"]) == (slapd.root_dn, None)
    assert datetime.fromisoformat(details[theirs.account_id]["at"]).tzinfo is not None
    assert "at" not in details[ours.account_id]


def test_an_account_whose_work_order_was_withdrawn_says_so(premises: Premises) -> None:
    engagement = premises.engage(state=EngagementState.CANCELLED)
    account_id = premises.account(engagement)
    premises.run()
    (finding,) = [each for each in premises.findings() if each.account_id == account_id]
    assert (finding.drift, finding.details["likely"]) == ("orphan", "the work order was withdrawn or deleted at its source")


def test_somebody_whose_account_is_gone_is_missing_it(premises: Premises) -> None:
    employed = premises.employ(has_account=False)
    for _ in range(2):
        premises.run()
    (finding,) = [each for each in premises.findings() if each.worker_id == employed.engagement.worker.id]
    assert (finding.drift, finding.subject, finding.account_id, finding.times) == ("missing", "account", "", 2)
    assert premises.waiting(JobName.JOINER) == [str(employed.engagement.id)]


def test_a_second_account_with_the_same_marker_is_an_orphan(premises: Premises) -> None:
    if premises.name == "ldap":
        pytest.skip("its markers are unique: slapd refuses the second account")
    employed = premises.employ()
    second = premises.account(employed.engagement, login=f"second.{new_marker().lower()}@acme.example")
    premises.run()
    assert premises.found(second) == [("orphan", "second account")]
    assert premises.found(employed.account_id) == []


def test_what_the_joiner_is_still_about_to_give_is_no_drift(premises: Premises) -> None:
    employed = premises.employ()
    with premises.installed.hub.database.transaction(TENANT) as tx:
        tx.execute(
            "UPDATE grants SET granted_at = NULL, wanted_at = clock_timestamp() WHERE engagement_id = %(id)s",
            id=employed.engagement.id,
        )
    premises.port.disable(employed.account_id)
    premises.run()
    assert premises.found(employed.account_id) == []


def test_what_stands_is_one_line_that_is_counted_and_audited_once(premises: Premises) -> None:
    employed = premises.employ(groups=premises.groups[:1])
    premises.port.add_member(premises.groups[1], employed.account_id)
    for _ in range(3):
        premises.run()
    (finding,) = [each for each in premises.findings() if each.account_id == employed.account_id]
    assert finding.times == 3
    with premises.installed.hub.database.transaction(TENANT) as tx:
        told = [line.event["target"]["id"] for line in audit.entries(tx, action="drift.found")]
    assert told.count(str(finding.id)) == 1


def test_what_the_directory_says_has_changed_is_all_that_the_next_run_reads(premises: Premises) -> None:
    people = [premises.employ() for _ in range(4)]
    full = premises.run()
    premises.port.disable(people[0].account_id)
    run = premises.run(Scope.CHANGED)
    assert run.accounts_read <= full.accounts_read
    assert premises.found(people[0].account_id) == [("changed_by_hand", "sign_in")]
    assert [premises.found(employed.account_id) for employed in people[1:]] == [[], [], []]


def test_too_many_removals_at_once_are_all_held_before_the_first_and_released_by_a_person(premises: Premises) -> None:
    people = [premises.employ(groups=premises.groups[:1]) for _ in range(6)]
    for employed in people:
        premises.port.add_member(premises.groups[1], employed.account_id)
    with_policy(premises, reconciliation={"mend": ["extra"]})
    run = premises.run()
    assert run.held
    assert len(held(premises)) == 6
    assert all(premises.port.read(employed.account_id).groups == frozenset(premises.groups) for employed in people)
    assert open_failures(premises)[f"brake:{premises.name}"] == "mass_change"
    premises.run()
    assert len(held(premises)) == 6


def test_what_a_person_released_is_done_and_what_they_discarded_never_is(premises: Premises) -> None:
    people = [premises.employ(groups=premises.groups[:1]) for _ in range(6)]
    for employed in people:
        premises.port.add_member(premises.groups[1], employed.account_id)
    with_policy(premises, reconciliation={"mend": ["extra"]})
    premises.run()
    of_account = {change.details["account_id"]: change for change in held(premises)}
    kept, *rest = of_account.values()
    with premises.installed.hub.database.transaction(TENANT) as tx:
        discard(tx, [kept], vms="fieldglass", reason="she needs it", actor=HUB)
        release(tx, rest, vms="fieldglass", reason="a clean-up", actor=HUB)
    assert premises.installed.waiting(JobName.RECONCILE) == [{"directory": premises.name, "scope": Scope.RECENTLY_ENDED}]
    premises.run(Scope.RECENTLY_ENDED)
    held_now = {account_id: premises.port.read(account_id).groups for account_id in of_account}
    assert held_now.pop(kept.details["account_id"]) == frozenset(premises.groups)
    assert set(held_now.values()) == {frozenset(premises.groups[:1])}
    assert open_failures(premises).get(f"brake:{premises.name}") is None


def test_a_directory_that_seems_to_have_lost_everybody_has_nobody_made_anew(premises: Premises) -> None:
    people = [premises.employ(has_account=False) for _ in range(7)]
    run = premises.run()
    assert run.held
    assert premises.waiting(JobName.JOINER) == []
    assert len(held(premises)) == len(people)


def test_an_account_that_nobody_of_ours_has_and_that_lies_elsewhere_is_not_looked_at(premises: Premises) -> None:
    if premises.name == "entra":
        account_id = premises.installed.world.graph.add_user(userPrincipalName=f"staff.{new_marker().lower()}@acme.example")
    else:
        account_id = a_stranger(premises, "services")
    premises.run()
    assert premises.found(account_id) == []
    with pytest.raises(NotFound):
        premises.port.read("00000000-0000-4000-8000-000000000000")
