"""Many stints that end at one instant, on the real ledger, a real slapd and Entra's sandbox: blocked together, then left in groups."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect import Flow
from prefect.client.schemas.objects import FlowRun

from bench.offboarding import Contractor, end_at, hired
from cli.demo.world import TENANT
from connectors.suite.sandbox import Fault, FaultKind
from flows.ending import midnight
from flows.ending.midnight import GROUP, MANY, TURNS, Midnight, ends_reached
from flows.prefect_runs import PrefectRuns
from ledger import engagements
from ledger.access import grants
from ledger.queueing import timers
from ledger.queueing.jobs import JobName, defer_leaver
from ledger.queueing.queue import JobState, Lane, RunningJob
from ledger.queueing.timers import TimerKind
from ledger.trail import audit
from ledger.writing import effect_history
from tests.integration.company import NOBODY
from tests.integration.installed import Installed
from workforce.access import SIGN_IN
from workforce.effects import EffectKind
from workforce.errors import RetryLater
from workforce.states import EffectState, EngagementState

pytestmark = pytest.mark.integration

PEOPLE = itertools.count(1)
SOON = timedelta(minutes=1)


class PrefectThatFails(PrefectRuns):
    """Says that it is up, and cannot make a run."""

    asked = 0

    def is_up(self) -> bool:
        return True

    def create(self, flow: Flow[..., Any], **_: Any) -> FlowRun:
        self.asked += 1
        raise RetryLater(f"{flow.name}: no answer", cause="prefect_failed")


@pytest.fixture(autouse=True)
def _sandboxes_as_they_were(installed: Installed) -> Iterator[None]:
    yield
    installed.world.graph.faults.waiting.clear()
    installed.world.bamboohr.faults.waiting.clear()


def some(installed: Installed, count: int) -> list[Contractor]:
    """Active contractors with accounts in both directories, each of them a person of their own."""
    return hired(installed.hub, installed.world, list(itertools.islice(PEOPLE, count)))


def end_together(installed: Installed, contractors: Sequence[Contractor]) -> None:
    """Let their end timers fire, all at once."""
    instant = datetime.now(UTC).replace(microsecond=0) + SOON
    end_at(installed.hub, contractors, instant)
    fired = timers.fire_due(installed.hub.database, {}, together={TimerKind.END: ends_reached}, now=instant)
    assert fired == len(contractors)


def a_job(name: JobName, attempt: int = 1, **args: str) -> RunningJob:
    return RunningJob(7 if name is JobName.LEAVERS else 8, name, TENANT, Lane.REVOKE, attempt, args)


def handlers(installed: Installed, prefect: PrefectRuns | None = None) -> Midnight:
    return Midnight(installed.hub, prefect or PrefectRuns(NOBODY), lambda *_: None)


def block(installed: Installed, *directories: str, attempt: int = 1) -> None:
    for directory in directories or ("entra", "ldap"):
        handlers(installed).block_together(a_job(JobName.BLOCK_TOGETHER, attempt, directory=directory))


def leave(installed: Installed, contractors: Sequence[Contractor], turn: int = 1, prefect: PrefectRuns | None = None) -> None:
    ids = " ".join(str(each.engagement.id) for each in contractors)
    handlers(installed, prefect).leavers(a_job(JobName.LEAVERS, engagement_ids=ids, turn=str(turn)))


def waiting(installed: Installed) -> list[tuple[str, dict[str, str]]]:
    with installed.hub.database.system() as tx:
        rows = tx.all("SELECT args FROM procrastinate_jobs WHERE status = %(state)s ORDER BY id", state=JobState.WAITING)
    return [(row["args"]["name"], row["args"]["args"]) for row in rows]


def is_signed_in(installed: Installed, contractor: Contractor) -> tuple[bool, bool]:
    """Whether sign-in works in Entra and in slapd, as they really are."""
    user = next(user for user in installed.world.graph.users if user["id"] == contractor.accounts["entra"])
    (entry,) = installed.world.slapd.entries(contractor.engagement.worker.marker)
    return user["accountEnabled"], "pwdAccountLockedTime" not in entry


def is_proven(installed: Installed, contractor: Contractor) -> dict[str, bool]:
    with installed.hub.database.transaction(TENANT) as tx:
        rows = grants.history_of(tx, contractor.engagement.id)
    return {row.directory: row.revoked_at is not None for row in rows if row.entitlement == SIGN_IN}


def states(installed: Installed, contractors: Sequence[Contractor]) -> set[EngagementState]:
    with installed.hub.database.transaction(TENANT) as tx:
        return {engagements.get(tx, each.engagement.id).state for each in contractors}


def began_long_ago(installed: Installed) -> None:
    """Let the endings have begun before the leavers stop waiting for the blockade."""
    seconds = 2 * midnight.BLOCKED_FIRST_SECONDS
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE engagements SET tombstoned_at = tombstoned_at - make_interval(secs => %(seconds)s)", seconds=seconds)


# The tombstones


def test_many_ends_are_one_job_for_each_directory_and_one_for_each_group_of_leavers(installed: Installed) -> None:
    contractors = some(installed, GROUP + MANY)
    end_together(installed, contractors)
    jobs = waiting(installed)
    assert [args["directory"] for name, args in jobs if name == "block_together"] == ["entra", "ldap"]
    groups = [args["engagement_ids"].split() for name, args in jobs if name == "leavers"]
    assert sorted(len(group) for group in groups) == [MANY, GROUP]
    assert sorted(itertools.chain(*groups)) == sorted(str(each.engagement.id) for each in contractors)
    assert not [name for name, _ in jobs if name == "leaver"]


def test_a_few_ends_are_leavers_of_their_own_as_ever(installed: Installed) -> None:
    contractors = some(installed, 3)
    end_together(installed, contractors)
    assert sorted(waiting(installed), key=str) == sorted(
        (("leaver", {"engagement_id": str(each.engagement.id)}) for each in contractors), key=str
    )


def test_a_termination_of_just_now_does_not_wait_behind_them(installed: Installed) -> None:
    end_together(installed, some(installed, MANY))
    alone = some(installed, 1)[0].engagement.id
    with installed.hub.database.transaction(TENANT) as tx:
        defer_leaver(tx, alone)
    with installed.hub.database.system() as tx:
        rows = tx.all("SELECT args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY priority DESC, id")
    assert [row["args"]["name"] for row in rows] == ["block_together", "block_together", "leaver", "leavers"]


# Blocking


def test_everybody_is_blocked_in_both_directories_read_back_and_proven(installed: Installed) -> None:
    contractors = some(installed, MANY)
    end_together(installed, contractors)
    block(installed)
    assert {is_signed_in(installed, each) for each in contractors} == {(False, False)}
    assert all(is_proven(installed, each) == {"entra": True, "ldap": True} for each in contractors)
    with installed.hub.database.transaction(TENANT) as tx:
        for each in contractors:
            lines = effect_history.list_for(tx, each.engagement.id)
            assert {(e.target, e.kind, e.state) for e in lines} == {
                (system, kind, EffectState.DONE)
                for system in ("entra", "ldap")
                for kind in (EffectKind.DISABLE_ACCOUNT, EffectKind.REVOKE_SESSIONS)
            }
            told = audit.entries(tx, engagement_id=each.engagement.id, action="access.blocked")
            assert [entry.event["target"]["system"] for entry in told] == ["entra", "ldap"]


def test_a_second_run_finds_nothing_to_do(installed: Installed) -> None:
    contractors = some(installed, MANY)
    end_together(installed, contractors)
    block(installed)
    done = len(installed.world.graph.effects.entries)
    block(installed, attempt=2)
    assert len(installed.world.graph.effects.entries) == done


def test_one_account_that_cannot_be_blocked_keeps_nobody_else_waiting_and_is_left_to_its_leaver(installed: Installed) -> None:
    contractors = some(installed, MANY)
    installed.world.graph.give_admin_role(contractors[3].accounts["entra"])
    end_together(installed, contractors)
    block(installed)
    assert [is_signed_in(installed, each)[0] for each in contractors] == [each is contractors[3] for each in contractors]
    assert is_proven(installed, contractors[3]) == {"entra": False, "ldap": True}


def test_a_throttled_account_is_tried_again_by_the_same_job_and_a_directory_that_stays_away_is_left_to_the_leavers(
    installed: Installed,
) -> None:
    contractors = some(installed, MANY)
    end_together(installed, contractors)
    installed.world.graph.throttle_seconds = 40
    try:
        with pytest.raises(RetryLater) as raised:
            block(installed, "entra")
        assert raised.value.after_seconds == pytest.approx(40, abs=2)
        block(installed, "entra", attempt=midnight.ATTEMPTS)
    finally:
        installed.world.graph.throttle_seconds = None
    assert not is_proven(installed, contractors[0])["entra"]


def test_a_lost_reply_is_looked_up_by_the_next_attempt(installed: Installed) -> None:
    contractors = some(installed, MANY)
    end_together(installed, contractors)
    installed.world.graph.faults.plan(Fault(FaultKind.ERROR_AFTER, "PATCH", rf"/users/{contractors[0].accounts['entra']}$"))
    with pytest.raises(RetryLater):
        block(installed, "entra")
    block(installed, "entra", attempt=2)
    assert all(is_proven(installed, each)["entra"] for each in contractors)
    assert not is_signed_in(installed, contractors[0])[0]


def test_a_directory_that_is_not_configured_any_more_is_left_to_the_leavers_who_say_so(installed: Installed) -> None:
    block(installed, "gone")
    assert waiting(installed) == []


# The leavers


def test_a_group_leaves_completely_without_prefect_and_the_blocks_are_not_done_again(installed: Installed) -> None:
    contractors = some(installed, MANY)
    end_together(installed, contractors)
    block(installed)
    disabled = installed.world.graph.effects.count("disable_user")
    leave(installed, contractors)
    assert states(installed, contractors) == {EngagementState.ENDED}
    assert installed.world.graph.effects.count("disable_user") == disabled
    for each in contractors:
        user = next(user for user in installed.world.graph.users if user["id"] == each.accounts["entra"])
        assert not user["memberOf"]
        assert installed.world.fieldglass.work_orders[each.engagement.terms.vms_id]["Status"] == "Closed"


def test_leavers_wait_for_the_blockade_at_first_and_not_for_ever(installed: Installed) -> None:
    contractors = some(installed, MANY)
    end_together(installed, contractors)
    with pytest.raises(RetryLater) as raised:
        leave(installed, contractors)
    assert raised.value.cause == "being_blocked"
    began_long_ago(installed)
    leave(installed, contractors)
    assert states(installed, contractors) == {EngagementState.ENDED}
    assert {is_signed_in(installed, each) for each in contractors} == {(False, False)}


def test_a_prefect_that_cannot_go_on_does_not_hold_the_leavers_back(installed: Installed) -> None:
    contractors = some(installed, MANY)
    end_together(installed, contractors)
    block(installed)
    prefect = PrefectThatFails(NOBODY)
    leave(installed, contractors, prefect=prefect)
    assert prefect.asked == 1
    assert states(installed, contractors) == {EngagementState.ENDED}


def test_one_that_must_wait_comes_again_with_its_like_and_the_others_are_through(installed: Installed) -> None:
    contractors = some(installed, MANY)
    end_together(installed, contractors)
    block(installed)
    installed.waiting("leavers"), installed.waiting("block_together")
    group = installed.world.groups["entra"][0]
    path = rf"/groups/{group}/members/{contractors[2].accounts['entra']}/\$ref$"
    installed.world.graph.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "DELETE", path))
    leave(installed, contractors)
    assert states(installed, [each for each in contractors if each is not contractors[2]]) == {EngagementState.ENDED}
    alone = str(contractors[2].engagement.id)
    assert waiting(installed) == [("leavers", {"engagement_ids": alone, "turn": "2"})]
    leave(installed, [contractors[2]], turn=2)
    assert states(installed, contractors) == {EngagementState.ENDED}


def test_one_that_needs_a_person_goes_on_alone_where_it_is_shown_and_alarmed(installed: Installed) -> None:
    contractors = some(installed, MANY)
    installed.world.graph.give_admin_role(contractors[1].accounts["entra"])
    end_together(installed, contractors)
    block(installed)
    installed.waiting("leavers"), installed.waiting("block_together")
    began_long_ago(installed)
    leave(installed, contractors)
    assert waiting(installed) == [("leaver", {"engagement_id": str(contractors[1].engagement.id)})]
    assert states(installed, [contractors[0], *contractors[2:]]) == {EngagementState.ENDED}


def test_one_that_has_come_again_too_often_goes_on_alone(installed: Installed) -> None:
    contractors = some(installed, 2)
    end_together(installed, contractors)
    installed.waiting("leaver")
    block(installed)
    installed.world.graph.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "DELETE", r"/members/", times=9))
    leave(installed, contractors, turn=TURNS)
    assert [name for name, _ in waiting(installed)] == ["leaver", "leaver"]


def test_an_engagement_that_was_left_or_taken_back_meanwhile_is_no_member_any_more(installed: Installed) -> None:
    contractors = some(installed, 2)
    end_together(installed, contractors)
    block(installed)
    leave(installed, contractors)
    with installed.hub.database.transaction(TENANT) as tx:
        epochs = [engagements.get(tx, each.engagement.id).epoch for each in contractors]
    told: list[UUID] = []
    ids = " ".join(str(each.engagement.id) for each in contractors)
    again = Midnight(installed.hub, PrefectRuns(NOBODY), lambda _, one: told.append(one))
    again.leavers(a_job(JobName.LEAVERS, 2, engagement_ids=ids, turn="1"))
    with installed.hub.database.transaction(TENANT) as tx:
        assert [engagements.get(tx, each.engagement.id).epoch for each in contractors] == epochs
    assert told == [each.engagement.id for each in contractors]
