from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger import engagements
from ledger.database import Database, LedgerDefect
from ledger.trail import audit
from ledger.writing import effects
from ledger.writing.effects import LedgerEffects
from provisioning.fakes import SettableClock
from tests.integration.ledger_cases import an_effect, stored_engagement
from workforce.effects import REVOKING, EffectKind
from workforce.errors import Fenced, NotFound, Refused, RetryLater
from workforce.events import HUB
from workforce.states import EffectState

pytestmark = pytest.mark.integration


def a_log(database: Database, runner: str = "job-1.1", **difference: Any) -> LedgerEffects:
    return LedgerEffects(database, "acme", HUB, runner=runner, correlation_id="run-1", **difference)


def test_an_effect_is_recorded_before_the_call_and_done_after_it(database: Database) -> None:
    engagement = stored_engagement(database)
    effect, log = an_effect(engagement), a_log(database)
    begun = log.begin(effect)
    assert (begun.state, begun.attempt) == (EffectState.STARTED, 1)
    log.done(effect, "entra-1", {"mapping": "engagement__msgraph"})
    log.done(effect, "entra-1", {"mapping": "engagement__msgraph"})
    again = log.begin(effect)
    assert (again.state, again.vendor_id, again.effect_id) == (EffectState.DONE, "entra-1", begun.effect_id)
    with database.transaction("acme") as tx:
        told = [entry.event for entry in audit.entries(tx, action="account.created")]
        assert [(event["outcome"], event["details"]["state"]) for event in told] == [("pending", "started"), ("success", "done")]
        assert told[1]["details"]["mapping"] == "engagement__msgraph"
        assert told[1]["correlation_id"] == "run-1"
        assert [line.vendor_id for line in effects.list_for(tx, engagement.id)] == ["entra-1"]


def test_nothing_done_goes_back_to_intended_and_is_counted_as_a_retry(database: Database) -> None:
    engagement = stored_engagement(database)
    effect, log = an_effect(engagement), a_log(database)
    log.begin(effect)
    log.not_done(effect, "throttled")
    assert log.begin(effect).attempt == 2
    with database.transaction("acme") as tx:
        assert effects.retries(tx, engagement.id) == 1


def test_a_lost_reply_is_unknown_until_somebody_looked_it_up(database: Database) -> None:
    engagement = stored_engagement(database)
    effect = an_effect(engagement)
    first, second = a_log(database), a_log(database, "job-1.2")
    first.begin(effect)
    first.unknown(effect, "timeout")
    record = second.begin(effect)
    assert (record.state, record.attempt) == (EffectState.UNKNOWN, 1)
    assert record.started_at is not None
    with pytest.raises(Fenced, match="another runner"):
        first.done(effect, "entra-1", {})
    second.not_done(effect, "looked_up_absent")
    assert second.begin(effect).state is EffectState.STARTED


def test_only_what_ended_unknown_counts_as_lost_and_a_crash_left_over_is_one(database: Database) -> None:
    effect = an_effect(stored_engagement(database), EffectKind.CREATE_RECORD)
    log = a_log(database)
    assert log.begin(effect).lost == 0
    log.not_done(effect, "throttled")
    log.begin(effect)
    log.unknown(effect, "timeout")
    log.unknown(effect, "timeout")
    assert (log.begin(effect).lost, log.begin(effect).attempt) == (1, 2)
    log.not_done(effect, "looked_up_absent")
    assert log.begin(effect).lost == 1
    left_unfinished = log.begin(effect)
    assert (left_unfinished.state, left_unfinished.lost, left_unfinished.attempt) == (EffectState.UNKNOWN, 2, 3)
    log.done(effect, "record-1", {})
    assert log.begin(effect).lost == 2


def test_a_started_call_that_is_parked_ended_unknown_as_well(database: Database) -> None:
    effect, log = an_effect(stored_engagement(database)), a_log(database)
    log.begin(effect)
    log.parked(effect, "namesake", "the key is held by another")
    assert log.begin(effect).lost == 1


def test_the_age_of_a_call_is_told_by_the_database_whatever_the_workers_clock_says(database: Database) -> None:
    effect = an_effect(stored_engagement(database))
    log = a_log(database, clock=SettableClock(datetime(2099, 1, 1, tzinfo=UTC)))
    begun = log.begin(effect)
    log.unknown(effect, "timeout")
    fresh = log.begin(effect)
    with database.transaction("acme") as tx:
        tx.execute("UPDATE effects SET started_at = started_at - interval '1 hour'")
    aged = log.begin(effect)
    ages = (begun.age_seconds, fresh.age_seconds, aged.age_seconds)
    assert None not in ages
    assert [int(age // 3600) for age in ages if age is not None] == [0, 0, 1]


def test_a_call_that_a_crash_left_unfinished_is_unknown_once_its_lease_is_over(database: Database) -> None:
    effect = an_effect(stored_engagement(database))
    a_log(database, lease_seconds=60).begin(effect)
    with pytest.raises(RetryLater) as in_flight:
        a_log(database, "job-1.2").begin(effect)
    assert in_flight.value.after_seconds is not None
    assert 0 < in_flight.value.after_seconds <= 60
    assert a_log(database).begin(effect).state is EffectState.UNKNOWN

    other = an_effect(stored_engagement(database), EffectKind.ADD_MEMBER, detail="group-1")
    a_log(database, lease_seconds=0).begin(other)
    assert a_log(database, "job-1.2").begin(other).state is EffectState.UNKNOWN


def test_a_person_decides_what_is_refused_or_parked_and_it_is_issued_again(database: Database) -> None:
    engagement = stored_engagement(database)
    refused, parked, log = an_effect(engagement), an_effect(engagement, EffectKind.CREATE_RECORD), a_log(database)
    log.begin(refused)
    log.refused(refused, "invalid_record", "role: unknown")
    log.begin(parked)
    log.parked(parked, "namesake", "the key is held by another")
    assert [log.begin(effect).state for effect in (refused, parked)] == [EffectState.REFUSED, EffectState.PARKED]
    with database.transaction("acme") as tx:
        assert [line.cause for line in effects.list_for(tx, engagement.id)] == ["invalid_record", "namesake"]
        assert effects.reopen(tx, engagement.id, HUB) == 2
    assert log.begin(refused).state is EffectState.STARTED


def test_an_illegal_step_and_an_effect_that_was_never_begun_are_refused(database: Database) -> None:
    effect, log = an_effect(stored_engagement(database)), a_log(database)
    with pytest.raises(NotFound):
        log.done(effect, None, {})
    log.begin(effect)
    log.done(effect, None, {})
    with pytest.raises(Refused, match="EffectState"):
        log.unknown(effect, "timeout")


def test_a_stale_epoch_is_fenced_before_and_after_the_call(database: Database) -> None:
    engagement = stored_engagement(database)
    effect, log = an_effect(engagement, EffectKind.DISABLE_ACCOUNT), a_log(database)
    log.begin(effect)
    with database.transaction("acme") as tx:
        engagements.claim(tx, engagement.id, runner="leaver-2.1", grants=False)
    for call in (lambda: log.begin(effect), lambda: log.done(effect, None, {}), lambda: log.parked(effect, "x", "y")):
        with pytest.raises(Fenced, match="epoch"):
            call()
    with database.transaction("acme") as tx:
        assert [line.state for line in effects.list_for(tx, engagement.id)] == [EffectState.STARTED]


def test_the_id_of_an_account_made_while_the_ending_began_is_kept_for_the_leaver(database: Database) -> None:
    engagement = stored_engagement(database, active=True)
    effect, log = an_effect(engagement), a_log(database)
    log.begin(effect)
    with database.transaction("acme") as tx:
        engagements.begin_ending(tx, engagement.id, "test")
    for _ in range(2):
        with pytest.raises(Fenced, match="epoch"):
            log.done(effect, "entra-1", {})
    with database.transaction("acme") as tx:
        (line,) = effects.list_for(tx, engagement.id)
        assert (line.state, line.vendor_id, line.cause) == (EffectState.UNKNOWN, "entra-1", "fenced")
        assert [entry.event["outcome"] for entry in audit.entries(tx, action="account.created")] == ["pending", "unknown"]


def test_a_late_id_does_not_disturb_the_runner_that_took_the_effect_up(database: Database) -> None:
    engagement = stored_engagement(database)
    effect, late, now = an_effect(engagement), a_log(database, lease_seconds=0), a_log(database, "job-1.2")
    late.begin(effect)
    now.begin(effect)
    now.not_done(effect, "looked_up_absent")
    now.begin(effect)

    def after(log: LedgerEffects, vendor_id: str) -> tuple[EffectState, str | None]:
        with contextlib.suppress(Fenced):
            log.done(effect, vendor_id, {})
        with database.transaction("acme") as tx:
            (line,) = effects.list_for(tx, engagement.id)
            return line.state, line.vendor_id

    assert after(late, "entra-1") == (EffectState.STARTED, "entra-1")
    assert after(now, "entra-2") == (EffectState.DONE, "entra-2")
    assert after(late, "entra-1") == (EffectState.DONE, "entra-2")


@pytest.mark.parametrize("kind", EffectKind)
def test_after_the_tombstone_only_what_takes_away_is_begun(database: Database, kind: EffectKind) -> None:
    engagement = stored_engagement(database, active=True)
    with database.transaction("acme") as tx:
        ending = engagements.begin_ending(tx, engagement.id, "test")
    effect, log = an_effect(ending, kind), a_log(database)
    if kind in REVOKING:
        assert log.begin(effect).state is EffectState.STARTED
    else:
        with pytest.raises(Fenced, match="ending"):
            log.begin(effect)


def test_of_many_runners_one_starts_the_call(database: Database) -> None:
    effect = an_effect(stored_engagement(database))
    outcomes: list[str] = []

    def begin(number: int) -> None:
        try:
            outcomes.append(a_log(database, f"job-{number}.1").begin(effect).state)
        except RetryLater as error:
            outcomes.append(error.cause)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["effect_in_flight"] * 11 + ["started"]


def test_no_effect_is_begun_when_it_cannot_be_audited(dsn: str, database: Database) -> None:
    import psycopg

    engagement = stored_engagement(database)
    with psycopg.connect(dsn) as owner:
        owner.execute("REVOKE INSERT ON audit_events FROM stint_app")
    with pytest.raises(LedgerDefect, match="InsufficientPrivilege"):
        a_log(database).begin(an_effect(engagement))
    with database.transaction("acme") as tx:
        assert effects.list_for(tx, engagement.id) == []
