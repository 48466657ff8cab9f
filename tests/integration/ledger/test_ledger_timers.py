from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from ledger import engagements
from ledger.database import Database, Tx
from ledger.queueing import timers
from ledger.queueing.queue import Job, Lane, defer, depth
from ledger.queueing.timers import Timer, TimerKind
from ledger.trail import audit
from tests.integration.ledger_cases import NOON, stored_engagement

pytestmark = pytest.mark.integration


def ignore(tx: Tx, timer: Timer) -> None:
    pass


def test_each_timer_fires_once_however_many_fire_at_the_same_time(database: Database) -> None:
    engagement = stored_engagement(database)
    with database.transaction("acme") as tx:
        for number in range(40):
            timers.arm(tx, engagement.id, TimerKind.ALERT, NOON - timedelta(days=365), detail=str(number))
    fired: Counter[str] = Counter()
    gate = threading.Barrier(4)

    def fire() -> None:
        gate.wait()
        timers.fire_due(database, {TimerKind.ALERT: lambda _, timer: fired.update([timer.detail])})

    threads = [threading.Thread(target=fire) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timers.fire_due(database, {TimerKind.ALERT: lambda _, timer: fired.update([timer.detail])})
    assert fired == Counter({str(number): 1 for number in range(40)})


def test_a_timer_is_fired_together_with_what_its_handler_does(database: Database) -> None:
    engagement = stored_engagement(database, active=True)
    faults = iter([RuntimeError("first try")])

    def end(tx: Tx, timer: Timer) -> None:
        engagements.begin_ending(tx, timer.engagement_id, "end_reached")
        defer(tx, timer.tenant, Job("leaver", {"engagement_id": str(timer.engagement_id)}, Lane.REVOKE, "revoke:1"))
        for fault in faults:
            raise fault

    after = engagement.end_at
    assert timers.fire_due(database, {TimerKind.END: end}, now=after - timedelta(microseconds=1)) == 0
    assert timers.fire_due(database, {TimerKind.END: end}, now=after) == 0
    assert depth(database)[Lane.REVOKE] == 0
    with database.transaction("acme") as tx:
        assert engagements.get(tx, engagement.id).tombstoned_at is None
    assert timers.fire_due(database, {TimerKind.END: end}, now=after) == 1
    assert depth(database)[Lane.REVOKE] == 1
    assert timers.fire_due(database, {TimerKind.END: end}, now=after) == 0


def test_a_timer_that_fails_again_and_again_does_not_keep_the_others_from_firing(database: Database) -> None:
    engagement = stored_engagement(database)
    with database.transaction("acme") as tx:
        timers.arm(tx, engagement.id, TimerKind.ALERT, NOON - timedelta(days=2), detail="poison")
        timers.arm(tx, engagement.id, TimerKind.ALERT, NOON - timedelta(days=1), detail="good")

    def handle(tx: Tx, timer: Timer) -> None:
        if timer.detail == "poison":
            raise RuntimeError(timer.detail)

    assert timers.fire_due(database, {TimerKind.ALERT: handle}, limit=1, now=NOON) == 0
    assert timers.fire_due(database, {TimerKind.ALERT: handle}, limit=1, now=NOON) == 1


def test_a_timer_can_be_moved_cancelled_and_armed_again(database: Database) -> None:
    engagement = stored_engagement(database)
    with database.transaction("acme") as tx:
        assert timers.cancel(tx, engagement.id, TimerKind.END) == 1
    assert timers.next_due(database) is None
    with database.transaction("acme") as tx:
        timers.arm(tx, engagement.id, TimerKind.END, NOON)
        timers.arm(tx, engagement.id, TimerKind.END, NOON + timedelta(days=1))
    assert timers.next_due(database) == NOON + timedelta(days=1)
    handlers = {TimerKind.END: ignore}
    assert timers.fire_due(database, handlers, now=NOON) == 0
    assert timers.fire_due(database, handlers, now=NOON + timedelta(days=1)) == 1
    with database.transaction("acme") as tx:
        timers.arm(tx, engagement.id, TimerKind.END, NOON)
    assert timers.fire_due(database, handlers, now=NOON) == 1


def armed_ends(database: Database, count: int) -> list[UUID]:
    """Engagements whose ends are due at noon."""
    ids = [stored_engagement(database, f"WO-{number}", active=True).id for number in range(count)]
    with database.transaction("acme") as tx:
        for engagement_id in ids:
            timers.arm(tx, engagement_id, TimerKind.END, NOON)
    return ids


def test_timers_that_are_due_together_share_transactions_in_the_order_of_their_engagements(database: Database) -> None:
    ids = armed_ends(database, 60)
    slices: list[list[UUID]] = []

    def end(tx: Tx, due: Sequence[Timer]) -> None:
        slices.append([timer.engagement_id for timer in due])
        for timer in due:
            engagements.begin_ending(tx, timer.engagement_id, "end_reached")

    assert timers.fire_due(database, {}, together={TimerKind.END: end}, now=NOON) == 60
    assert [len(some) for some in slices] == [50, 10]
    assert all(some == sorted(some) for some in slices)
    assert sorted(ids) == sorted(slices[0] + slices[1])
    with database.transaction("acme") as tx:
        assert [engagements.get(tx, each).epoch for each in ids] == [2] * 60
        told = [entry.event["engagement_id"] for entry in audit.entries(tx, action="engagement.ending")]
    assert sorted(told) == sorted(map(str, ids))
    assert timers.fire_due(database, {}, together={TimerKind.END: end}, now=NOON) == 0


def test_where_they_fail_together_each_is_fired_by_itself_and_one_poison_is_alone(database: Database) -> None:
    ids = armed_ends(database, 5)
    fired: list[UUID] = []

    def one(tx: Tx, timer: Timer) -> None:
        if timer.engagement_id == ids[2]:
            raise RuntimeError("poison")
        engagements.begin_ending(tx, timer.engagement_id, "end_reached")
        fired.append(timer.engagement_id)

    def all_of_them(tx: Tx, due: Sequence[Timer]) -> None:
        for timer in due:
            one(tx, timer)

    handlers = {TimerKind.END: one}
    assert timers.fire_due(database, handlers, together={TimerKind.END: all_of_them}, now=NOON) == 4
    with database.transaction("acme") as tx:
        assert [engagements.get(tx, each).tombstoned_at is not None for each in ids] == [True, True, False, True, True]
        assert [timer.engagement_id for timer in timers.armed(tx, ids[2])] == [ids[2]]


def test_of_timers_that_are_due_only_those_of_a_kind_that_goes_together_do(database: Database) -> None:
    ids = armed_ends(database, 3)
    alerts: list[str] = []
    with database.transaction("acme") as tx:
        timers.arm(tx, ids[0], TimerKind.ALERT, NOON, detail="soon")
    handlers = {TimerKind.ALERT: lambda _, timer: alerts.append(timer.detail)}
    seen: list[int] = []
    together = {TimerKind.END: lambda _, due: seen.append(len(due))}
    assert timers.fire_due(database, handlers, together=together, now=NOON) == 4
    assert (alerts, seen) == (["soon"], [3])


def test_each_fires_once_however_many_fire_together_at_the_same_time(database: Database) -> None:
    ids = armed_ends(database, 30)
    fired: Counter[UUID] = Counter()
    gate = threading.Barrier(3)

    def fire() -> None:
        gate.wait()
        together = {TimerKind.END: lambda _, due: fired.update(timer.engagement_id for timer in due)}
        timers.fire_due(database, {TimerKind.END: ignore}, together=together, now=NOON)

    threads = [threading.Thread(target=fire) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fired == Counter(dict.fromkeys(ids, 1))
