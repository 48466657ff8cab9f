"""One effect, carried out: every way in which a write can end, and that no sequence of faults makes two of anything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.effects import Holder, Performed, Write, gone_is_done, perform
from provisioning.fakes import FakeFault, InMemoryDirectory, InMemoryEffectLog, InMemorySink, SettableClock
from workforce.access import DesiredAccount
from workforce.effects import Effect, EffectKind, EffectRecord
from workforce.errors import AlreadyTaken, Fenced, HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.states import EffectState

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CREATE = Effect("acme", UUID(int=1), "gusto", EffectKind.CREATE_RECORD, epoch=1)
OURS, NAMESAKE = Holder("r-1", ours=True), Holder("r-9", ours=False)

S = EffectState
LOST = OutcomeUnknown("no reply")


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOON)


@pytest.fixture
def log(clock: SettableClock) -> InMemoryEffectLog:
    return InMemoryEffectLog(clock)


@dataclass
class Target:
    """Answers calls with ``outcomes`` in turn, and look-ups with ``holders``."""

    outcomes: list[str | HubError]
    holders: list[Holder] = field(default_factory=list)
    calls: int = 0
    look_ups: int = 0

    def call(self) -> str:
        outcome = self.outcomes[self.calls]
        self.calls += 1
        if isinstance(outcome, HubError):
            raise outcome
        return outcome

    def look_up(self) -> Sequence[Holder]:
        self.look_ups += 1
        return self.holders

    def write(self, *, key_is_enforced: bool = True) -> Write:
        return Write(CREATE, self.call, self.look_up, key_is_enforced=key_is_enforced, details={"mapping": "m"})


def test_a_write_that_succeeds_is_logged_with_its_id_and_lineage(log: InMemoryEffectLog) -> None:
    assert perform(Target(["r-1"]).write(), log=log) == Performed("r-1", now=True)
    assert log.states(CREATE) == [S.STARTED, S.DONE]
    assert (log.logged[-1].vendor_id, log.logged[-1].details) == ("r-1", {"mapping": "m"})


def test_the_intent_is_logged_before_the_call(log: InMemoryEffectLog) -> None:
    seen: list[EffectState] = []

    def call() -> str:
        seen.extend(log.states(CREATE))
        return "r-1"

    perform(Write(CREATE, call), log=log)
    assert seen == [S.STARTED]


def test_what_is_done_is_not_done_again(log: InMemoryEffectLog) -> None:
    target = Target(["r-1"])
    perform(target.write(), log=log)
    assert perform(target.write(), log=log) == Performed("r-1", now=False)
    assert target.calls == 1


def test_a_lost_reply_that_can_be_seen_is_adopted_at_once(log: InMemoryEffectLog) -> None:
    target = Target([LOST], holders=[OURS])
    assert perform(target.write(), log=log) == Performed("r-1", now=True)
    assert target.calls == 1
    assert log.states(CREATE) == [S.STARTED, S.UNKNOWN, S.DONE]
    assert log.logged[-1].details == {"mapping": "m", "adopted": True}


def test_a_lost_reply_that_cannot_be_seen_yet_is_not_repeated_in_the_same_run(log: InMemoryEffectLog) -> None:
    target = Target([LOST])
    with pytest.raises(RetryLater, match="looked up before anything is repeated"):
        perform(target.write(), log=log)
    assert (target.calls, log.states(CREATE)[-1]) == (1, S.UNKNOWN)


def test_a_lost_reply_that_shows_later_is_adopted(log: InMemoryEffectLog) -> None:
    target = Target([LOST])
    with pytest.raises(RetryLater):
        perform(target.write(key_is_enforced=False), log=log)
    target.holders = [OURS]
    assert perform(target.write(key_is_enforced=False), log=log).vendor_id == "r-1"
    assert target.calls == 1


def test_where_the_key_is_enforced_an_absent_one_is_issued_again_at_once_under_the_same_key(log: InMemoryEffectLog) -> None:
    target = Target([LOST, "r-1"])
    with pytest.raises(RetryLater):
        perform(target.write(), log=log)
    assert perform(target.write(), log=log).vendor_id == "r-1"
    assert log.states(CREATE) == [S.STARTED, S.UNKNOWN, S.INTENDED, S.STARTED, S.DONE]
    assert log.records[CREATE.key].attempt == 2


def test_where_no_key_is_enforced_an_absent_one_waits_out_the_window(log: InMemoryEffectLog, clock: SettableClock) -> None:
    target = Target([LOST, "r-1"])
    with pytest.raises(RetryLater):
        perform(target.write(key_is_enforced=False), log=log)
    clock.advance(20)
    with pytest.raises(RetryLater) as raised:
        perform(target.write(key_is_enforced=False), log=log)
    assert (raised.value.cause, raised.value.after_seconds) == ("visibility_window", 40.0)
    clock.advance(40)
    assert perform(target.write(key_is_enforced=False), log=log).vendor_id == "r-1"
    assert target.calls == 2


def test_where_no_key_is_enforced_the_second_loss_is_parked(log: InMemoryEffectLog, clock: SettableClock) -> None:
    target = Target([LOST, LOST])
    for _ in range(2):
        with pytest.raises(RetryLater):
            perform(target.write(key_is_enforced=False), log=log)
        clock.advance(60)
    with pytest.raises(Refused) as raised:
        perform(target.write(key_is_enforced=False), log=log)
    assert (raised.value.cause, log.states(CREATE)[-1], target.calls) == ("lost_twice", S.PARKED, 2)


def test_where_no_key_is_enforced_throttled_attempts_do_not_count_as_lost(log: InMemoryEffectLog, clock: SettableClock) -> None:
    throttled = RetryLater("too many requests", cause="throttled")
    target = Target([throttled, throttled, LOST, throttled, "r-1"])
    for _ in target.outcomes[:-1]:
        with pytest.raises(RetryLater):
            perform(target.write(key_is_enforced=False), log=log)
        clock.advance(60)
    assert perform(target.write(key_is_enforced=False), log=log).vendor_id == "r-1"
    assert (log.records[CREATE.key].attempt, log.records[CREATE.key].lost) == (5, 1)


def test_what_a_crash_left_unfinished_twice_is_parked_where_no_key_is_enforced(
    log: InMemoryEffectLog, clock: SettableClock
) -> None:
    target = Target([LOST])
    log.begin(CREATE)
    clock.advance(60)
    with pytest.raises(RetryLater):
        perform(target.write(key_is_enforced=False), log=log)
    clock.advance(60)
    with pytest.raises(Refused) as raised:
        perform(target.write(key_is_enforced=False), log=log)
    assert (raised.value.cause, target.calls) == ("lost_twice", 1)


@dataclass
class AgelessLog(InMemoryEffectLog):
    """Does not say how old its calls are."""

    def begin(self, effect: Effect) -> EffectRecord:
        return replace(super().begin(effect), age_seconds=None)


def test_a_call_of_unknown_age_counts_as_just_made(clock: SettableClock) -> None:
    log, target = AgelessLog(clock), Target([LOST])
    for _ in range(2):
        with pytest.raises(RetryLater) as raised:
            perform(target.write(key_is_enforced=False), log=log)
        clock.advance(3600)
    assert (raised.value.cause, raised.value.after_seconds, target.calls) == ("visibility_window", 60.0, 1)


def test_a_look_up_that_began_inside_the_window_proves_nothing(log: InMemoryEffectLog, clock: SettableClock) -> None:
    target = Target([LOST])

    def slow_look_up() -> Sequence[Holder]:
        clock.advance(5)
        return []

    write = Write(CREATE, target.call, slow_look_up, key_is_enforced=False)
    with pytest.raises(RetryLater):
        perform(write, log=log)
    clock.instant = NOON.replace(second=58)
    with pytest.raises(RetryLater) as raised:
        perform(write, log=log)
    assert (raised.value.cause, target.calls) == ("visibility_window", 1)


def test_a_namesake_is_parked_and_never_adopted(log: InMemoryEffectLog) -> None:
    target = Target([AlreadyTaken("in use")], holders=[NAMESAKE])
    with pytest.raises(Refused) as raised:
        perform(target.write(), log=log)
    assert (raised.value.cause, raised.value.field) == ("namesake", "gusto")
    assert log.states(CREATE)[-1] is S.PARKED


def test_several_holders_of_our_marker_are_parked(log: InMemoryEffectLog) -> None:
    target = Target([LOST], holders=[OURS, Holder("r-2", ours=True)])
    with pytest.raises(Refused) as raised:
        perform(target.write(), log=log)
    assert (raised.value.cause, log.states(CREATE)[-1]) == ("several_holders", S.PARKED)


def test_ours_is_adopted_even_beside_a_namesake(log: InMemoryEffectLog) -> None:
    assert perform(Target([LOST], holders=[NAMESAKE, OURS]).write(), log=log).vendor_id == "r-1"


def test_a_key_that_we_took_ourselves_is_adopted(log: InMemoryEffectLog) -> None:
    target = Target([AlreadyTaken("in use")], holders=[OURS])
    assert perform(target.write(), log=log).vendor_id == "r-1"
    assert log.states(CREATE) == [S.STARTED, S.UNKNOWN, S.DONE]


def test_a_taken_key_whose_holder_cannot_be_seen_waits(log: InMemoryEffectLog) -> None:
    target = Target([AlreadyTaken("in use")])
    with pytest.raises(RetryLater, match="cannot be seen yet"):
        perform(target.write(), log=log)
    assert log.states(CREATE)[-1] is S.UNKNOWN


def test_a_taken_key_is_a_plain_refusal_where_nothing_can_be_adopted(log: InMemoryEffectLog) -> None:
    with pytest.raises(AlreadyTaken):
        perform(Write(CREATE, Target([AlreadyTaken("in use")]).call), log=log)
    assert log.states(CREATE) == [S.STARTED, S.REFUSED]


def test_a_refusal_is_recorded_and_waits_for_a_person(log: InMemoryEffectLog) -> None:
    target = Target([Refused("no", cause="forbidden"), "r-1"])
    with pytest.raises(Refused, match="no"):
        perform(target.write(), log=log)
    with pytest.raises(Refused, match="mend the cause and replay it"):
        perform(target.write(), log=log)
    assert (target.calls, log.logged[-1].state, log.logged[-1].cause) == (1, S.REFUSED, "forbidden")


def test_what_a_person_mended_is_issued_again(log: InMemoryEffectLog) -> None:
    target = Target([Refused("no"), "r-1"])
    with pytest.raises(Refused):
        perform(target.write(), log=log)
    log.reopen(CREATE)
    assert perform(target.write(), log=log) == Performed("r-1", now=True)


@pytest.mark.parametrize("error", [RetryLater("later", cause="throttled"), Misconfigured("wrong token", cause="token")])
def test_what_was_surely_not_done_goes_back_to_intended(error: HubError, log: InMemoryEffectLog) -> None:
    target = Target([error, "r-1"])
    with pytest.raises(type(error)):
        perform(target.write(), log=log)
    assert (log.states(CREATE), log.logged[-1].cause) == ([S.STARTED, S.INTENDED], error.cause)
    assert perform(target.write(), log=log).vendor_id == "r-1"
    assert target.look_ups == 0


def test_what_a_crash_left_started_is_looked_up_before_anything_else(log: InMemoryEffectLog) -> None:
    log.begin(CREATE)
    target = Target([], holders=[OURS])
    assert perform(target.write(), log=log).vendor_id == "r-1"
    assert log.states(CREATE) == [S.STARTED, S.UNKNOWN, S.DONE]


def test_an_idempotent_write_of_unknown_outcome_is_simply_issued_again(log: InMemoryEffectLog) -> None:
    target = Target([LOST, "r-1"])
    with pytest.raises(RetryLater):
        perform(Write(CREATE, target.call), log=log)
    assert perform(Write(CREATE, target.call), log=log).now
    assert target.calls == 2


def test_a_stale_runner_makes_no_call(clock: SettableClock) -> None:
    target = Target(["r-1"])
    with pytest.raises(Fenced):
        perform(target.write(), log=InMemoryEffectLog(clock, epoch=2))
    assert target.calls == 0


def test_nothing_is_granted_once_the_ending_has_begun(clock: SettableClock) -> None:
    target = Target(["r-1"])
    with pytest.raises(Fenced) as raised:
        perform(target.write(), log=InMemoryEffectLog(clock, epoch=1, tombstoned=True))
    assert (raised.value.cause, target.calls) == ("tombstoned", 0)


def test_taking_away_goes_on_once_the_ending_has_begun(clock: SettableClock) -> None:
    ending = Effect("acme", UUID(int=1), "gusto", EffectKind.END_RECORD, epoch=1)
    log = InMemoryEffectLog(clock, epoch=1, tombstoned=True)
    assert perform(Write(ending, lambda: None), log=log).now


def test_what_is_gone_needs_no_taking_away() -> None:
    def call() -> None:
        raise NotFound("gone")

    gone_is_done(call)()


class Crash(Exception):
    """The process is killed between the call and the commit of its result."""


@dataclass
class CrashingLog(InMemoryEffectLog):
    """Forgets to conclude when a crash waits: the effect stays started."""

    crashes: deque[bool] = field(default_factory=deque)

    def done(self, effect: Effect, vendor_id: str | None, details: Mapping[str, object]) -> None:
        if self.crashes and self.crashes.popleft():
            raise Crash
        super().done(effect, vendor_id, details)


WINDOW_SECONDS = 60.0
STEP_SECONDS = 10.0
FAULTS = st.lists(st.sampled_from([None, FakeFault.LOST_BEFORE, FakeFault.LOST_AFTER, FakeFault.THROTTLED]), max_size=8)
CRASHES = st.lists(st.booleans(), max_size=8)
LAG = st.integers(min_value=0, max_value=5)  # fewer looks than a window holds: longer lag is the vendor breaking its word


def until_quiet(attempt: Callable[[], object], clock: SettableClock) -> None:
    """Try again after each failure that may pass, as the queue does."""
    for _ in range(200):
        try:
            attempt()
        except (RetryLater, Crash):
            clock.advance(STEP_SECONDS)
        else:
            return
    raise AssertionError("it never came to rest")


@given(faults=FAULTS, crashes=CRASHES, lag=LAG)
def test_no_sequence_of_faults_makes_two_accounts_or_none(faults: list[FakeFault | None], crashes: list[bool], lag: int) -> None:
    clock = SettableClock(NOON)
    log = CrashingLog(clock, crashes=deque(crashes))
    directory = InMemoryDirectory(clock=clock, faults=deque(faults), lag_reads=lag)
    desired = DesiredAccount("ST0", "ada.lovelace", {}, frozenset(), NOON)

    def look_up() -> list[Holder]:
        return [Holder(account.account_id, ours=True) for account in directory.find(desired.marker)]

    until_quiet(lambda: perform(Write(CREATE, lambda: directory.create(desired), look_up), log=log), clock)
    assert list(directory.entries) == ["account-1"]
    assert (log.records[CREATE.key].state, log.records[CREATE.key].vendor_id) == (S.DONE, "account-1")


@given(faults=FAULTS, crashes=CRASHES, lag=LAG, key_is_enforced=st.booleans())
def test_no_sequence_of_faults_makes_two_records_and_what_is_not_made_is_parked(
    faults: list[FakeFault | None], crashes: list[bool], lag: int, key_is_enforced: bool
) -> None:
    clock = SettableClock(NOON)
    log = CrashingLog(clock, crashes=deque(crashes))
    sink = InMemorySink(faults=deque(faults), lag_reads=lag, key_is_enforced=key_is_enforced)

    def look_up() -> list[Holder]:
        return [Holder(record.external_id, ours=record.marker == "ST0") for record in sink.find("ST0", {"email": "a@b.c"})]

    write = Write(
        CREATE,
        lambda: sink.create("ST0", {"email": "a@b.c"}),
        look_up,
        key_is_enforced=key_is_enforced,
        visibility_seconds=WINDOW_SECONDS,
    )
    causes = []
    try:
        until_quiet(lambda: perform(write, log=log), clock)
    except Refused as error:
        causes.append(error.cause)
    came_to = (log.records[CREATE.key].state, sink.count("create"), causes)
    parked = (S.PARKED, 0, ["lost_twice"])
    twice_lost = not key_is_enforced and faults.count(FakeFault.LOST_BEFORE) > 1
    assert came_to == (S.DONE, 1, []) or (came_to == parked and twice_lost)
