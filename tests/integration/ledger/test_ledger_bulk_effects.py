"""Many effects in one transaction are, line for line, what many single ones would be."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from ledger import engagements
from ledger.access import grants
from ledger.database import Database
from ledger.ending.unblocked import directories_of, still_being_blocked, unblocked
from ledger.identity import identities
from ledger.trail import audit
from ledger.writing import effects
from ledger.writing.bulk_effects import BulkEffects
from ledger.writing.effects import LedgerEffects
from tests.integration.ledger_cases import an_effect, stored_engagement, wait_until_somebody_waits
from workforce.access import SIGN_IN
from workforce.effects import Effect, EffectKind, EffectRecord
from workforce.engagement import Engagement
from workforce.errors import Fenced, HubError, NotFound, RetryLater
from workforce.events import HUB
from workforce.states import EffectState

pytestmark = pytest.mark.integration

DONE = (EffectState.DONE, None)


def a_log(database: Database, runner: str = "block_together-1.1", **difference: Any) -> BulkEffects:
    return BulkEffects(database, "acme", HUB, runner=runner, correlation_id="run-1", **difference)


def ending(database: Database, vms_id: str) -> Engagement:
    engagement = stored_engagement(database, vms_id, active=True)
    with database.transaction("acme") as tx:
        return engagements.begin_ending(tx, engagement.id, "end_reached")


def disabling(engagement: Engagement, **difference: Any) -> Effect:
    return an_effect(engagement, EffectKind.DISABLE_ACCOUNT, **difference)


def state_of(answer: EffectRecord | HubError) -> EffectState:
    assert isinstance(answer, EffectRecord), answer
    return answer.state


def test_a_slice_is_begun_and_done_and_the_trail_tells_of_each(database: Database) -> None:
    wanted = [disabling(ending(database, f"WO-{number}")) for number in range(5)]
    log = a_log(database)
    begun = log.begin_all(wanted)
    assert [(state_of(begun[effect]), begun[effect].attempt) for effect in wanted] == [(EffectState.STARTED, 1)] * 5  # type: ignore[union-attr]  # state_of
    assert log.conclude_all(dict.fromkeys(wanted, DONE)) == {}
    assert [state_of(answer) for answer in log.begin_all(wanted).values()] == [EffectState.DONE] * 5
    with database.transaction("acme") as tx:
        told = [entry.event for entry in audit.entries(tx, action="account.disabled")]
    assert [(e["engagement_id"], e["outcome"]) for e in told] == [
        (str(effect.engagement_id), outcome) for outcome in ("pending", "success") for effect in wanted
    ]
    assert {e["target"]["id"] for e in told} == {effect.key for effect in wanted}
    assert {e["correlation_id"] for e in told} == {"run-1"}


def test_what_was_begun_together_is_the_same_effect_to_a_single_leaver(database: Database) -> None:
    effect = disabling(ending(database, "WO-1"))
    log = a_log(database)
    log.begin_all([effect])
    log.conclude_all({effect: DONE})
    assert LedgerEffects(database, "acme", HUB, runner="leaver-2.1").begin(effect).state is EffectState.DONE


def test_an_engagement_that_was_taken_over_is_fenced_and_the_others_go_on(database: Database) -> None:
    ours, theirs = disabling(ending(database, "WO-1")), disabling(ending(database, "WO-2"))
    with database.transaction("acme") as tx:
        engagements.claim(tx, theirs.engagement_id, runner="leaver-9.1", grants=False)
    begun = a_log(database).begin_all([ours, theirs])
    assert state_of(begun[ours]) is EffectState.STARTED
    assert isinstance(begun[theirs], Fenced)
    with database.transaction("acme") as tx:
        assert effects.list_for(tx, theirs.engagement_id) == []


def test_a_result_that_comes_after_a_take_over_is_told_and_not_noted(database: Database) -> None:
    ours, theirs = disabling(ending(database, "WO-1")), disabling(ending(database, "WO-2"))
    log = a_log(database)
    log.begin_all([ours, theirs])
    with database.transaction("acme") as tx:
        engagements.claim(tx, theirs.engagement_id, runner="leaver-9.1", grants=False)
    lost = log.conclude_all(dict.fromkeys([ours, theirs], DONE))
    assert list(lost) == [theirs]
    with database.transaction("acme") as tx:
        states = [effects.list_for(tx, effect.engagement_id)[0].state for effect in (ours, theirs)]
    assert states == [EffectState.DONE, EffectState.STARTED]


def test_a_call_that_another_runner_has_under_way_is_waited_for_until_its_lease_is_over(database: Database) -> None:
    effect, free = disabling(ending(database, "WO-1")), disabling(ending(database, "WO-2"))
    LedgerEffects(database, "acme", HUB, runner="leaver-2.1", lease_seconds=60).begin(effect)
    begun = a_log(database).begin_all([effect, free])
    error = begun[effect]
    assert isinstance(error, RetryLater)
    assert (error.cause, error.after_seconds is not None and 0 < error.after_seconds <= 60) == ("effect_in_flight", True)
    assert state_of(begun[free]) is EffectState.STARTED


def test_what_a_crash_left_unfinished_is_unknown_to_the_next_attempt_which_owns_it(database: Database) -> None:
    effect = disabling(ending(database, "WO-1"))
    a_log(database, lease_seconds=0).begin_all([effect])
    again = a_log(database, "block_together-1.2")
    assert state_of(again.begin_all([effect])[effect]) is EffectState.UNKNOWN
    assert state_of(again.begin_all([effect])[effect]) is EffectState.UNKNOWN
    assert again.conclude_all({effect: (EffectState.INTENDED, "idempotent")}) == {}
    record = again.begin_all([effect])[effect]
    assert isinstance(record, EffectRecord)
    assert (record.state, record.attempt, record.lost) == (EffectState.STARTED, 2, 1)
    stale = a_log(database).conclude_all({effect: DONE})
    assert isinstance(stale[effect], Fenced)


def test_the_same_result_twice_is_one_result(database: Database) -> None:
    effect = disabling(ending(database, "WO-1"))
    log = a_log(database)
    log.begin_all([effect])
    for _ in range(2):
        assert log.conclude_all({effect: DONE}) == {}
    with database.transaction("acme") as tx:
        assert len(audit.entries(tx, action="account.disabled")) == 2


def test_nothing_that_grants_is_begun_for_an_engagement_that_is_ending(database: Database) -> None:
    engagement = ending(database, "WO-1")
    granting = an_effect(engagement, EffectKind.ENABLE_ACCOUNT)
    answer = a_log(database).begin_all([granting])[granting]
    assert (type(answer), getattr(answer, "cause", "")) == (Fenced, "tombstoned")


def test_an_unknown_engagement_and_an_effect_that_was_never_begun_are_not_found(database: Database) -> None:
    engagement = ending(database, "WO-1")
    stray = disabling(engagement.model_copy(update={"id": engagement.worker.id}))
    assert isinstance(a_log(database).begin_all([stray])[stray], NotFound)
    with pytest.raises(NotFound):
        a_log(database).conclude_all({disabling(engagement): DONE})


def test_slices_that_share_engagements_in_another_order_do_not_lock_each_other_out(database: Database) -> None:
    wanted = [disabling(ending(database, f"WO-{number}"), target=target) for number in range(8) for target in ("entra", "ldap")]
    answers: list[dict[Effect, EffectRecord | HubError]] = []
    gate = threading.Barrier(2)

    def begin(some: list[Effect], runner: str) -> None:
        gate.wait()
        answers.append(a_log(database, runner).begin_all(some))

    threads = [
        threading.Thread(target=begin, args=(wanted, "a-1.1")),
        threading.Thread(target=begin, args=(wanted[::-1], "b-1.1")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = [effect for answer in answers for effect, record in answer.items() if isinstance(record, EffectRecord)]
    assert sorted(effect.key for effect in started) == sorted(effect.key for effect in wanted)


def test_whoever_takes_an_engagement_over_waits_for_the_intents_of_the_slice(database: Database, dsn: str) -> None:
    effect = disabling(ending(database, "WO-1"))
    with psycopg.connect(dsn) as holder:
        holder.execute("SELECT 1 FROM engagements WHERE id = %s FOR UPDATE", (effect.engagement_id,))
        answers: list[EffectRecord | HubError] = []
        thread = threading.Thread(target=lambda: answers.append(a_log(database).begin_all([effect])[effect]))
        thread.start()
        wait_until_somebody_waits(dsn)
        holder.execute("UPDATE engagements SET epoch = epoch + 1 WHERE id = %s", (effect.engagement_id,))
        holder.commit()
        thread.join()
    assert isinstance(answers[0], Fenced)


# Whose sign-in is open still


def with_access(database: Database, vms_id: str, *accounts: str, directory: str = "entra", account: bool = True) -> Engagement:
    """An active engagement whose sign-in is wanted, and whose account is known."""
    engagement = stored_engagement(database, vms_id, active=True)
    with database.transaction("acme") as tx:
        grants.want(tx, engagement, directory, {SIGN_IN: {"package": "p"}})
        if account:
            identities.link(tx, directory, "account", engagement.worker.id, accounts[0] if accounts else f"id-{vms_id}")
    return engagement


def end(database: Database, engagement: Engagement) -> Engagement:
    with database.transaction("acme") as tx:
        return engagements.begin_ending(tx, engagement.id, "end_reached")


def test_open_is_what_is_ending_and_was_not_proven_to_be_blocked(database: Database) -> None:
    going_on, open_still, proven = (with_access(database, f"WO-{number}") for number in range(3))
    ended = end(database, open_still)
    end(database, proven)
    with database.transaction("acme") as tx:
        grants.revoked(tx, grants.to_revoke(tx, proven.id, "entra"), {SIGN_IN})
        found = unblocked(tx, "entra")
        assert unblocked(tx, "ldap") == []
        assert unblocked(tx, "entra", but=[open_still.id]) == []
        ids = [going_on.id, open_still.id, proven.id]
        assert directories_of(tx, ids) == ["entra"]
        assert still_being_blocked(tx, ids, since_seconds=60) == 1
        assert still_being_blocked(tx, ids, since_seconds=0) == 0
    assert [(each.engagement_id, each.epoch, each.account_ids) for each in found] == [(ended.id, ended.epoch, ("id-WO-1",))]


def test_accounts_that_were_made_and_not_linked_yet_are_known_and_one_that_may_have_been_made_is_left_out(
    database: Database,
) -> None:
    made, maybe = with_access(database, "WO-1", account=False), with_access(database, "WO-2", account=False)
    effect = an_effect(made)
    log = LedgerEffects(database, "acme", HUB, runner="joiner-1.1")
    log.begin(effect)
    log.done(effect, "made-1", {})
    log.begin(an_effect(maybe))
    for engagement in (made, maybe):
        end(database, engagement)
    with database.transaction("acme") as tx:
        assert [each.account_ids for each in unblocked(tx, "entra")] == [("made-1",)]


def test_it_is_told_where_another_engagement_of_the_person_wants_the_sign_in_too(database: Database) -> None:
    first, second = with_access(database, "WO-1"), with_access(database, "WO-2")
    with psycopg.connect(database.dsn, autocommit=True) as owner:
        for table in ("engagements", "grants"):
            owner.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        owner.execute("UPDATE engagements SET worker_id = %s WHERE id = %s", (first.worker.id, second.id))
        owner.execute("UPDATE grants SET worker_id = %s WHERE engagement_id = %s", (first.worker.id, second.id))
    end(database, first)
    with database.transaction("acme") as tx:
        assert [each.is_supported for each in unblocked(tx, "entra")] == [True]
    end(database, second)
    with database.transaction("acme") as tx:
        assert [each.is_supported for each in unblocked(tx, "entra")] == [False, False]
