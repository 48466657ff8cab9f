from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest

from ledger import engagements, timers
from ledger.database import Database, Tx
from ledger.queue import Job, Lane, defer, depth
from ledger.timers import Timer, TimerKind
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
