"""Many accounts blocked together: each is an effect of its own, and one account's trouble is its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.blocking import Blocking, ToBlock, read_together
from provisioning.fakes import FakeFault, InMemoryDirectory, InMemoryEffectLog, SettableClock
from workforce.access import AccountState
from workforce.effects import Effect, EffectKind, EffectRecord
from workforce.errors import Fenced, HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.states import EffectState

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DISABLE, SIGN_OUT = EffectKind.DISABLE_ACCOUNT, EffectKind.REVOKE_SESSIONS


@dataclass
class InMemoryBulkLog:
    """The bulk log on the log in memory. Effects of ``fenced`` engagements are told to be; those in ``in_flight`` are another's."""

    one: InMemoryEffectLog
    fenced: set[UUID] = field(default_factory=set)
    in_flight: set[EffectKind] = field(default_factory=set)
    fenced_at_the_end: set[UUID] = field(default_factory=set)

    def begin_all(self, effects: Collection[Effect]) -> Mapping[Effect, EffectRecord | HubError]:
        return {effect: self._begin(effect) for effect in effects}

    def _begin(self, effect: Effect) -> EffectRecord | HubError:
        if effect.engagement_id in self.fenced:
            return Fenced("taken over")
        if effect.kind in self.in_flight:
            return RetryLater("another runner's call may still be under way", cause="effect_in_flight", after_seconds=9.0)
        return self.one.begin(effect)

    def conclude_all(self, results: Mapping[Effect, tuple[EffectState, str | None]]) -> Mapping[Effect, HubError]:
        lost = {effect: Fenced("taken over") for effect in results if effect.engagement_id in self.fenced_at_the_end}
        for effect, (state, cause) in results.items():
            if effect not in lost:
                self._conclude(effect, state, cause)
        return lost

    def _conclude(self, effect: Effect, state: EffectState, cause: str | None) -> None:
        if state is EffectState.DONE:
            self.one.done(effect, None, {})
        elif state is EffectState.UNKNOWN:
            self.one.unknown(effect, str(cause))
        else:
            self.one.not_done(effect, str(cause))


@dataclass
class Place:
    """A directory with accounts, a log, and what blocks the one by the other."""

    clock: SettableClock
    directory: InMemoryDirectory
    log: InMemoryBulkLog

    def blocking(self) -> Blocking:
        return Blocking("acme", "ldap", self.directory, self.log)

    def account(self, number: int, **difference: object) -> ToBlock:
        """An enabled account of an engagement of its own, whose ending has begun."""
        state = AccountState(f"account-{number}", f"login-{number}", f"ST{number:013}", enabled=True)
        self.directory.plant(f"account-{number}", replace(state, **difference))  # type: ignore[arg-type]  # fields of the account
        return ToBlock(UUID(int=number), 1, f"account-{number}", self.clock.now())

    def states(self, account: ToBlock, kind: EffectKind = DISABLE, life: int = 1) -> list[EffectState]:
        return self.log.one.states(Effect("acme", account.engagement_id, "ldap", kind, 1, life, account.account_id))

    def is_enabled(self, account: ToBlock) -> bool:
        return self.directory.entries[account.account_id].enabled


def a_place() -> Place:
    clock = SettableClock(NOON)
    return Place(clock, InMemoryDirectory(clock=clock), InMemoryBulkLog(InMemoryEffectLog(clock)))


@pytest.fixture
def place() -> Place:
    return a_place()


def test_all_are_blocked_and_signed_out_and_each_is_two_effects_that_are_done(place: Place) -> None:
    accounts = [place.account(number) for number in range(1, 6)]
    assert place.blocking().block(accounts) == dict.fromkeys(accounts)
    assert not any(place.is_enabled(account) for account in accounts)
    done = [EffectState.STARTED, EffectState.DONE]
    assert all(place.states(account, kind) == done for account in accounts for kind in (DISABLE, SIGN_OUT))


def test_what_was_done_before_is_only_looked_at(place: Place) -> None:
    accounts = [place.account(1), place.account(2)]
    place.blocking().block(accounts)
    writes = list(place.directory.writes)
    assert place.blocking().block(accounts) == dict.fromkeys(accounts)
    assert place.directory.writes == writes


def test_an_account_that_was_enabled_again_is_blocked_again_as_another_life(place: Place) -> None:
    account = place.account(1)
    place.blocking().block([account])
    place.directory.enable(account.account_id)
    assert place.blocking().block([account]) == {account: None}
    assert place.states(account, life=2) == [EffectState.STARTED, EffectState.DONE]
    assert not place.is_enabled(account)


def test_one_that_is_refused_keeps_no_other_from_being_blocked_and_is_not_called_done(place: Place) -> None:
    good, protected, last = place.account(1), place.account(2, protected=True), place.account(3)
    outcomes = place.blocking().block([good, protected, last])
    assert (outcomes[good], outcomes[last]) == (None, None)
    assert isinstance(outcomes[protected], Refused)
    assert place.states(protected)[-1] is EffectState.INTENDED
    assert place.is_enabled(protected)


def test_a_lost_reply_is_looked_up_and_not_guessed(place: Place) -> None:
    lost, good = place.account(1), place.account(2)
    place.directory.faults.append(FakeFault.LOST_AFTER)
    outcomes = place.blocking().block([lost, good])
    assert isinstance(outcomes[lost], OutcomeUnknown)
    assert place.states(lost) == [EffectState.STARTED, EffectState.UNKNOWN, EffectState.DONE]
    assert place.states(lost, SIGN_OUT)[-1] is EffectState.UNKNOWN
    assert place.blocking().block([lost]) == {lost: None}
    assert place.states(lost, SIGN_OUT)[-4:] == [
        EffectState.UNKNOWN, EffectState.INTENDED, EffectState.STARTED, EffectState.DONE,
    ]  # fmt: skip
    assert outcomes[good] is None


def test_a_reply_that_was_lost_before_anything_was_done_leaves_it_unknown_until_it_is_asked_for_again(place: Place) -> None:
    account = place.account(1)
    place.directory.faults.append(FakeFault.LOST_BEFORE)
    assert isinstance(place.blocking().block([account])[account], OutcomeUnknown)
    assert place.states(account)[-1] is EffectState.UNKNOWN
    assert place.blocking().block([account]) == {account: None}


def test_one_that_was_throttled_was_not_done_and_is_told_so(place: Place) -> None:
    account = place.account(1)
    place.directory.faults.append(FakeFault.THROTTLED)
    error = place.blocking().block([account])[account]
    assert isinstance(error, RetryLater)
    assert error.after_seconds == 1.0
    assert place.states(account)[-1] is EffectState.INTENDED


def test_an_engagement_that_somebody_else_took_over_is_left_to_them(place: Place) -> None:
    ours, theirs = place.account(1), place.account(2)
    place.log.fenced.add(theirs.engagement_id)
    outcomes = place.blocking().block([ours, theirs])
    assert outcomes[ours] is None
    assert isinstance(outcomes[theirs], Fenced)
    assert place.is_enabled(theirs)


def test_one_that_was_taken_over_during_the_call_is_told_and_nothing_is_noted_of_it(place: Place) -> None:
    account = place.account(1)
    place.log.fenced_at_the_end.add(account.engagement_id)
    assert isinstance(place.blocking().block([account])[account], Fenced)
    assert place.states(account) == [EffectState.STARTED]


def test_an_account_of_which_one_effect_is_under_way_elsewhere_is_not_called_and_the_other_effect_is_given_back(
    place: Place,
) -> None:
    account = place.account(1)
    place.log.in_flight.add(DISABLE)
    error = place.blocking().block([account])[account]
    assert (getattr(error, "cause", ""), place.directory.writes) == ("effect_in_flight", [])
    assert place.states(account, SIGN_OUT) == [EffectState.STARTED, EffectState.INTENDED]


def test_two_engagements_of_one_account_are_two_effects_and_one_call(place: Place) -> None:
    first = place.account(1)
    second = replace(first, engagement_id=UUID(int=2))
    assert place.blocking().block([first, second]) == {first: None, second: None}
    assert place.directory.count("disable") == 1
    assert place.states(second) == [EffectState.STARTED, EffectState.DONE]


def test_what_a_slow_directory_does_not_show_yet_is_not_proven(place: Place) -> None:
    account = place.account(1)
    place.directory.lag_reads = 2
    error = place.blocking().block([account])[account]
    assert getattr(error, "cause", "") == "read_back_mismatch"
    assert place.states(account)[-1] is EffectState.DONE


def test_sessions_that_are_older_than_the_ending_are_not_signed_out(place: Place) -> None:
    account = replace(place.account(1), signed_out_since=NOON + timedelta(hours=1))
    error = place.blocking().block([account])[account]
    assert "older sessions" in str(error)


def test_an_account_that_is_gone_is_left_to_its_leaver_which_searches(place: Place) -> None:
    account = place.account(1)
    del place.directory.entries[account.account_id]
    place.directory._versions.clear()
    error = place.blocking().block([account])[account]
    assert isinstance(error, RetryLater)
    assert place.states(account)[-1] is EffectState.DONE


def test_a_directory_that_cannot_be_reached_at_all_fails_every_account_by_the_same_error(place: Place) -> None:
    class Away(InMemoryDirectory):
        def block_all(self, account_ids: Sequence[str]) -> Mapping[str, HubError | None]:
            raise Misconfigured(f"no way to reach {len(account_ids)} accounts", cause="ca_file")

    accounts = [place.account(1), place.account(2)]
    place.directory.__class__ = Away
    outcomes = place.blocking().block(accounts)
    assert [getattr(error, "cause", "") for error in outcomes.values()] == ["ca_file", "ca_file"]
    assert all(place.states(account)[-1] is EffectState.INTENDED for account in accounts)


def test_many_accounts_are_read_with_few_requests_where_the_directory_can() -> None:
    class Batching(InMemoryDirectory):
        asked = 0

        def read_all(self, account_ids: Sequence[str]) -> Mapping[str, AccountState | HubError]:
            self.asked += 1
            return {one: self.entries.get(one) or NotFound(one) for one in account_ids}

    directory = Batching(clock=SettableClock(NOON))
    directory.plant("a", AccountState("a", "a", None, enabled=True))
    found = read_together(directory, ["a", "b"])
    assert directory.asked == 1
    assert isinstance(found["a"], AccountState)
    assert isinstance(found["b"], NotFound)


@given(st.lists(st.sampled_from([None, *FakeFault]), max_size=24), st.integers(1, 6))
def test_whatever_goes_wrong_repeating_it_ends_with_everybody_blocked_and_proven(
    faults: list[FakeFault | None], count: int
) -> None:
    place = a_place()
    accounts = [place.account(number) for number in range(1, count + 1)]
    place.directory.faults.extend(faults)
    for _ in range(len(faults) + 1):
        outcomes = place.blocking().block(accounts)
        assert all(not place.is_enabled(account) for account, error in outcomes.items() if error is None)
    assert outcomes == dict.fromkeys(accounts)
