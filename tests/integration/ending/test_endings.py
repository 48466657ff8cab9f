"""Endings begin, are taken back and are closed: what stays, what comes back, and who may do it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from ledger import engagements, failures
from ledger.access import grants
from ledger.database import Database, Tx
from ledger.ending import endings, ends
from ledger.ending.endings import EndingCause
from ledger.queueing import timers
from ledger.queueing.jobs import JobName
from ledger.queueing.timers import TimerKind
from ledger.trail import audit
from tests.integration.ledger_cases import a_work_order, an_engagement
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.engagement import Engagement
from workforce.errors import Fenced, NotFound, Refused
from workforce.events import Actor, ActorType
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

ADA, BEN = Actor(ActorType.HUMAN, "ada", auth="cli"), Actor(ActorType.HUMAN, "ben", auth="cli")
GROUP = Entitlement(EntitlementKind.GROUP, "g-1")
LICENCE = Entitlement(EntitlementKind.LICENCE, "sku-1")
PAST, LATER = "2026-01-31", "2099-12-31"


def a_running_one(tx: Tx, vms_id: str = "WO-1") -> Engagement:
    """Active since January, until 2098, signed, with a sign-in and a group."""
    order = a_work_order(vms_id, starts_on="2026-01-01", ends_on="2098-12-31")
    engagement, _ = engagements.upsert_work_order(tx, "fieldglass", order, "1")
    engagements.set_agreement(tx, engagement.id, "env-1", datetime(2026, 1, 1, tzinfo=UTC))
    for state in (EngagementState.CLEARED, EngagementState.ACTIVE):
        engagement = engagements.transition(tx, engagement.id, state)
    grants.want(tx, engagement, "entra", {SIGN_IN: {"package": "p"}, GROUP: {"package": "p"}})
    return engagement


def said(tx: Tx, version: str, vms_id: str = "WO-1", **terms: object) -> Engagement:
    """What the VMS says now."""
    order = a_work_order(vms_id, **{"starts_on": "2026-01-01", "ends_on": "2098-12-31", **terms})
    return engagements.upsert_work_order(tx, "fieldglass", order, version)[0]


def wanted(tx: Tx, engagement: Engagement) -> set[Entitlement]:
    return {grant.entitlement for grant in grants.wanted_of(tx, engagement.id)}


def jobs(database: Database, engagement_id: UUID) -> set[str]:
    with database.system() as tx:
        rows = tx.all("SELECT args FROM procrastinate_jobs WHERE status = 'todo'")
    return {row["args"]["name"] for row in rows if row["args"]["args"].get("engagement_id") == str(engagement_id)}


def forget_jobs(tx: Tx) -> None:
    tx.execute("DELETE FROM procrastinate_jobs")


def test_the_tombstone_and_what_is_no_longer_wanted_are_one_transaction(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        begun = engagements.begin_ending(tx, known.id, EndingCause.END_REACHED, reason="its day came")
        again = engagements.begin_ending(tx, known.id, EndingCause.TERMINATED)
        assert again == begun
        assert wanted(tx, known) == set()
        assert {grant.unwanted_because for grant in grants.history_of(tx, known.id)} == {"ending:1"}
        (ending,) = endings.history(tx, known.id)
    assert (ending.number, ending.cause, ending.reason, ending.end_at) == (1, "end_reached", "its day came", known.end_at)


def test_a_later_end_from_the_vms_takes_back_what_ran_out_and_restores_exactly_what_was_recorded(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        ended = said(tx, "2", ends_on=PAST)
        assert (ended.state, ended.end_at < tx.began_at) == (EngagementState.ENDING, True)
        engagements.transition(tx, known.id, EngagementState.ENDED)
        engagements.mark_revoked_verified(tx, known.id, tx.began_at)
        forget_jobs(tx)
        back = said(tx, "3", ends_on=LATER)
        assert (back.state, back.tombstoned_at, back.revoked_verified_at) == (EngagementState.CLEARED, None, None)
        assert back.epoch > ended.epoch
        assert (back.terms.ends_on.isoformat(), back.end_at, back.reported_terms) == (LATER, back.terms.end_instant(), None)
        assert wanted(tx, known) == {SIGN_IN, GROUP}
        assert {(timer.kind, timer.fires_at) for timer in timers.armed(tx, known.id)} == {(TimerKind.END, back.end_at)}
        (ending,) = endings.history(tx, known.id)
        assert (ending.end_at, ending.undone_by) == (ended.end_at, "stint")
    assert jobs(database, known.id) == {JobName.JOINER}
    with database.transaction("acme") as tx:
        (entry,) = audit.entries(tx, engagement_id=known.id, action="engagement.ending_rescinded")
        assert entry.event["details"]["grants"] == 2


def test_a_leaver_that_was_at_work_is_fenced_when_the_ending_is_taken_back(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        said(tx, "2", ends_on=PAST)
        leaver = engagements.claim(tx, known.id, runner="leaver-1.1", grants=False)
        said(tx, "3", ends_on=LATER)
        with pytest.raises(Fenced):
            engagements.require_epoch(tx, known.id, leaver.epoch)
        engagements.mark_revoked_verified(tx, known.id, tx.began_at)
        assert engagements.get(tx, known.id).revoked_verified_at is None


def test_what_a_package_gives_today_is_not_given_by_taking_an_ending_back(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        grants.want(tx, known, "entra", {SIGN_IN: {"package": "p"}, LICENCE: {"package": "q"}})
        said(tx, "2", ends_on=PAST)
        said(tx, "3", ends_on=LATER)
        assert wanted(tx, known) == {SIGN_IN, LICENCE}
        reasons = {grant.entitlement: grant.reason for grant in grants.wanted_of(tx, known.id)}
        assert reasons == {SIGN_IN: {"package": "p"}, LICENCE: {"package": "q"}}


def test_each_ending_restores_what_it_took_itself(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        said(tx, "2", ends_on=PAST)
        grants.want(tx, said(tx, "3", ends_on=LATER), "entra", {SIGN_IN: {"package": "p"}, LICENCE: {"package": "p"}})
        said(tx, "4", ends_on=PAST)
        said(tx, "5", ends_on=LATER)
        assert wanted(tx, known) == {SIGN_IN, LICENCE}


def test_a_stint_that_was_taken_back_before_its_start_waits_for_its_start_again(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = an_engagement(tx, active=True)
        tx.execute('UPDATE engagements SET terms = terms || \'{"starts_on": "2090-01-01", "ends_on": "2090-12-31"}\'')
        ends.terminate(tx, known.id, ADA, reason="a mistake")
        assert TimerKind.START not in {timer.kind for timer in timers.armed(tx, known.id)}
        endings.ask_undo(tx, known.id, ADA, reason="the wrong one")
        back = endings.confirm_undo(tx, known.id, BEN, needs_two=True)
        armed = {timer.kind: timer.fires_at for timer in timers.armed(tx, known.id)}
        assert armed == {TimerKind.START: back.terms.start_instant(), TimerKind.END: back.end_at}


TERMINATED: dict[str, Callable[[Tx, Engagement], object]] = {
    "a person": lambda tx, known: ends.terminate(tx, known.id, ADA, reason="misconduct"),
    "reconciliation": lambda tx, known: engagements.begin_ending(tx, known.id, "reconciliation"),
    "an instant that the VMS gave": lambda tx, known: said(tx, "2", terminates_at="2026-02-01T12:00:00+00:00"),
    "a person after it ran out": lambda tx, known: (
        said(tx, "2", ends_on=PAST),
        ends.terminate(tx, known.id, ADA, reason="and it stays so"),
    ),
}


@pytest.mark.parametrize("by", TERMINATED)
def test_an_ending_that_was_not_just_run_out_is_lifted_by_no_feed_but_shown(database: Database, by: str) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        TERMINATED[by](tx, known)
        before = engagements.get(tx, known.id)
        for version, end in (("3", LATER), ("4", LATER)):
            after = said(tx, version, ends_on=end)
        assert (after.tombstoned_at, after.end_at, after.epoch) == (before.tombstoned_at, before.end_at, before.epoch)
        assert wanted(tx, known) == set()
        (failure,) = failures.list_open(tx, engagement_id=known.id)
        assert (failure.cause, failure.field, failure.count) == ("ending_contradicted", "ends_on", 1)


def test_after_a_termination_the_old_end_brings_nothing_back_and_troubles_nobody(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        ended = ends.terminate(tx, known.id, ADA, reason="misconduct")
        assert ended.end_at <= tx.began_at
        assert ended.terms.terminates_at == ended.end_at
        for version, role in (("2", "Analyst"), ("3", "Architect")):
            after = said(tx, version, role=role)
        assert (after.tombstoned_at, after.end_at, after.terms.role) == (ended.tombstoned_at, ended.end_at, "Architect")
        assert failures.list_open(tx) == []
    assert jobs(database, known.id) == {JobName.LEAVER}


@pytest.mark.parametrize("state", ["requested", "in_review", "approved", "collecting", "cleared", "active"])
def test_a_termination_waits_for_no_approval(database: Database, state: str) -> None:
    with database.transaction("acme") as tx:
        known = an_engagement(tx)
        tx.execute("UPDATE engagements SET state = %(state)s", state=state)
        ended = ends.terminate(tx, known.id, ADA, reason="misconduct")
        assert (ended.state, ended.tombstoned_at is None) == (EngagementState.ENDING, False)
        ending = endings.current(tx, known.id)
        assert ending is not None
        assert (ending.cause, ending.began_by, ending.reason, ending.end_at) == ("terminated", "ada", "misconduct", ended.end_at)
    assert JobName.LEAVER in jobs(database, known.id)


@pytest.mark.parametrize("state", ["requested", "in_review", "approved", "collecting"])
def test_what_was_never_cleared_passes_no_review_by_being_ended_and_taken_back(database: Database, state: str) -> None:
    with database.transaction("acme") as tx:
        known = an_engagement(tx)
        tx.execute("UPDATE engagements SET state = %(state)s", state=state)
        engagements.begin_ending(tx, known.id, EndingCause.END_REACHED)
        after = said(tx, "2026-11-21", ends_on=LATER)
        assert (after.state, len(failures.list_open(tx, engagement_id=known.id))) == (EngagementState.ENDING, 1)
        ending = endings.current(tx, known.id)
        assert ending is not None
        assert ending.goes_back_to == state


@pytest.mark.parametrize("state", ["declined", "cancelled"])
def test_what_never_began_cannot_be_terminated_or_extended(database: Database, state: str) -> None:
    with database.transaction("acme") as tx:
        known = an_engagement(tx)
        tx.execute("UPDATE engagements SET state = %(state)s", state=state)
    for act in (
        lambda tx: ends.terminate(tx, known.id, ADA, reason="r"),
        lambda tx: ends.extend(tx, known.id, datetime(2099, 1, 1, tzinfo=UTC).date(), ADA, reason="r"),
    ):
        with pytest.raises(Refused) as refusal, database.transaction("acme") as tx:
            act(tx)
        assert refusal.value.cause == "illegal_transition"


def test_whoever_asks_for_a_termination_to_be_undone_cannot_confirm_it(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        ends.terminate(tx, known.id, ADA, reason="misconduct")
        with pytest.raises(Refused, match="nobody has asked"):
            endings.confirm_undo(tx, known.id, BEN, needs_two=True)
        endings.ask_undo(tx, known.id, ADA, reason="the wrong person")
        with pytest.raises(Refused) as refusal:
            endings.confirm_undo(tx, known.id, ADA, needs_two=True)
        assert refusal.value.cause == "needs_second_person"
        with pytest.raises(Refused) as refusal:
            endings.ask_undo(tx, known.id, BEN, reason="me too")
        assert refusal.value.cause == "undo_asked"
        back = endings.confirm_undo(tx, known.id, BEN, needs_two=True)
        assert (back.state, back.end_at, back.terms) == (EngagementState.CLEARED, known.end_at, known.terms)
        assert wanted(tx, known) == {SIGN_IN, GROUP}
        (ending,) = endings.history(tx, known.id)
        assert (ending.undo_asked_by, ending.undone_by, ending.undo_reason) == ("ada", "ben", "the wrong person")
        with pytest.raises(Refused, match="no ending"):
            endings.confirm_undo(tx, known.id, BEN, needs_two=True)
    with database.transaction("acme") as tx:
        told = [entry.event["action"] for entry in audit.entries(tx, engagement_id=known.id)]
    assert told[-3:] == ["engagement.ending", "engagement.undo_asked", "engagement.ending_rescinded"]


def test_one_person_is_enough_where_the_policy_says_so(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        ends.terminate(tx, known.id, ADA, reason="misconduct")
        endings.ask_undo(tx, known.id, ADA, reason="the wrong person")
        assert endings.confirm_undo(tx, known.id, ADA, needs_two=False).tombstoned_at is None


def test_what_the_vms_said_meanwhile_counts_when_a_termination_is_taken_back(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        ends.terminate(tx, known.id, ADA, reason="misconduct")
        said(tx, "2", ends_on=LATER, role="Architect")
        endings.ask_undo(tx, known.id, ADA, reason="the wrong person")
        back = endings.confirm_undo(tx, known.id, BEN, needs_two=True)
        assert (back.terms.ends_on.isoformat(), back.terms.role, back.terms.terminates_at) == (LATER, "Architect", None)
        assert failures.list_open(tx) == []


def test_a_stint_whose_end_has_passed_is_extended_and_not_restored(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        said(tx, "2", ends_on=PAST)
        endings.ask_undo(tx, known.id, ADA, reason="it goes on")
        with pytest.raises(Refused, match="stint engagements extend"):
            endings.confirm_undo(tx, known.id, BEN, needs_two=True)
        until = datetime(2097, 6, 30, tzinfo=UTC).date()
        back = ends.extend(tx, known.id, until, ADA, reason="it goes on")
        assert (back.state, back.terms.ends_on, wanted(tx, known)) == (EngagementState.CLEARED, until, {SIGN_IN, GROUP})
        assert said(tx, "3", ends_on=PAST, role="Analyst").end_at == back.end_at  # the VMS says nothing new
        assert said(tx, "4", ends_on="2096-12-31").terms.ends_on.isoformat() == "2096-12-31"


def test_an_end_that_a_person_set_stays_until_the_vms_says_something_new(database: Database) -> None:
    until = datetime(2099, 6, 30, tzinfo=UTC).date()
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        moved = ends.extend(tx, known.id, until, ADA, reason="the project goes on")
        assert [timer.fires_at for timer in timers.armed(tx, known.id)] == [moved.end_at]
        same = said(tx, "2", role="Analyst")
        assert (same.terms.role, same.terms.ends_on, same.end_at) == ("Analyst", until, moved.end_at)
        assert ends.bring_end_forward(tx, known.id, known.terms).end_at == moved.end_at
        shorter = said(tx, "3", ends_on="2097-12-31")
        assert (shorter.terms.ends_on.isoformat(), shorter.reported_terms) == ("2097-12-31", None)
    assert JobName.JOINER in jobs(database, known.id)


@pytest.mark.parametrize("until", ["2098-12-31", "2097-01-01", "2001-01-01"])
def test_an_extension_is_later(database: Database, until: str) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        with pytest.raises(Refused) as refusal:
            ends.extend(tx, known.id, datetime.fromisoformat(until).date(), ADA, reason="r")
        assert (refusal.value.cause, refusal.value.field) == ("not_an_extension", "until")


def test_a_termination_is_not_undone_by_an_extension(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        ends.terminate(tx, known.id, ADA, reason="misconduct")
        with pytest.raises(Refused, match="stint engagements restore"):
            ends.extend(tx, known.id, datetime(2099, 6, 30, tzinfo=UTC).date(), BEN, reason="r")
        assert engagements.get(tx, known.id).tombstoned_at is not None


def test_a_shortening_into_the_past_begins_the_ending_and_one_into_the_future_moves_the_timer(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        moved = said(tx, "2", ends_on="2090-12-31")
        assert (moved.tombstoned_at, [timer.fires_at for timer in timers.armed(tx, known.id)]) == (None, [moved.end_at])
        terms = known.terms.model_copy(update={"terminates_at": datetime(2026, 3, 1, tzinfo=UTC)})
        over = ends.bring_end_forward(tx, known.id, terms)
        assert (over.state, over.end_at) == (EngagementState.ENDING, terms.terminates_at)
    assert JobName.LEAVER in jobs(database, known.id)


def test_a_stint_that_was_declined_is_ended_by_no_feed(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = an_engagement(tx)
        engagements.transition(tx, known.id, EngagementState.DECLINED)
        after, _ = engagements.upsert_work_order(
            tx, "fieldglass", a_work_order(starts_on="2026-01-01", ends_on=PAST), "2026-11-21"
        )
        assert (after.state, timers.armed(tx, known.id)) == (EngagementState.DECLINED, [])


def test_an_ending_that_is_over_is_closed_and_a_second_one_is_counted_anew(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = a_running_one(tx)
        with pytest.raises(NotFound):
            endings.closed_record(tx, known.id)
        said(tx, "2", ends_on=PAST)
        endings.close(tx, known.id, {"n": 1}, sha256="00")
        said(tx, "3", ends_on=LATER)
        with pytest.raises(Refused):
            endings.close(tx, known.id, {"n": 9}, sha256="00")
        said(tx, "4", ends_on="2026-02-27")
        endings.close(tx, known.id, {"n": 2}, sha256="00")
        assert (endings.closed_record(tx, known.id), endings.closed_record(tx, known.id, 1)) == ({"n": 2}, {"n": 1})
        first, second = endings.history(tx, known.id)
        assert second.end_at - first.end_at == timedelta(days=27)
        assert {grant.unwanted_because for grant in grants.history_of(tx, known.id)} == {"ending:1", "ending:2"}
