"""Whatever the VMS and people say of an end, in whatever order: the ledger's state is the model's after every step."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import engagements, failures
from ledger.access import grants
from ledger.database import Database, Tx
from ledger.ending import endings, ends
from ledger.queueing import timers
from ledger.queueing.timers import TimerKind
from tests.integration.ledger_cases import a_work_order
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.engagement import Engagement
from workforce.errors import Refused
from workforce.events import Actor, ActorType
from workforce.period import end_instant
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

PEOPLE = {name: Actor(ActorType.HUMAN, name, auth="cli") for name in ("ada", "ben")}
GROUPS = [Entitlement(EntitlementKind.GROUP, f"g-{number}") for number in range(3)]
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class End:
    """What is said of an end: the last day, as days from today, and an explicit instant."""

    days: int
    terminates_at: datetime | None = None

    def day(self, today: date) -> date:
        return today + timedelta(days=self.days)

    def instant(self, today: date) -> datetime:
        return self.terminates_at or end_instant(self.day(today), "Europe/Berlin")


@dataclass
class Model:
    """What should be so."""

    today: date
    now: datetime
    said: End
    counts: End
    end_at: datetime
    wanted: frozenset[Entitlement]
    recorded: frozenset[Entitlement] = frozenset()
    cause: str | None = None
    asked_by: str | None = None
    ends: list[datetime] = field(default_factory=list)

    @property
    def ran_out(self) -> bool:
        return self.cause == "end_reached" and self.counts.terminates_at is None

    def begin(self, cause: str) -> None:
        if self.cause is None:
            self.cause, self.recorded, self.wanted, self.asked_by = cause, self.wanted, frozenset(), None
            self.ends.append(self.end_at)

    def go_on(self, end: End) -> None:
        self.counts, self.end_at, self.cause, self.wanted = end, end.instant(self.today), None, self.recorded

    def feed(self, said: End) -> None:
        is_news, self.said = said != self.said, said
        is_later = said.instant(self.today) > self.now
        if self.cause is not None:
            if is_news and is_later and self.ran_out:
                self.go_on(said)
        elif is_news:
            moved = said != self.counts
            self.counts = said
            self.end_at = said.instant(self.today) if moved else self.end_at
            if not is_later:
                self.begin("end_reached")

    def terminate(self) -> None:
        if self.cause is None:
            self.end_at = min(self.end_at, self.now.replace(microsecond=0))
        if self.cause is None or self.counts.terminates_at is None:
            self.counts = replace(self.counts, terminates_at=self.end_at)
        self.begin("terminated")
        self.asked_by = None

    def extend(self, days: int) -> bool:
        end = End(days)
        if end.instant(self.today) <= max(self.end_at, self.now) or (self.cause is not None and not self.ran_out):
            return False
        if self.cause is None:
            self.counts, self.end_at = end, end.instant(self.today)
        else:
            self.go_on(end)
        return True

    def ask(self, who: str) -> bool:
        if self.cause is None or self.asked_by not in {None, who}:
            return False
        self.asked_by = who
        return True

    def confirm(self, who: str) -> bool:
        found = [end for end in (self.said, self.counts) if end.instant(self.today) > self.now]
        if self.cause is None or self.asked_by in {None, who} or not found:
            return False
        self.go_on(found[0])
        return True


@dataclass
class Both:
    """The ledger and the model of one engagement."""

    tx: Tx
    known: Engagement
    model: Model
    version: int = 1

    def feed(self, end: End) -> None:
        self.version += 1
        order = an_order(self.known.terms.vms_id, self.model.today, end)
        engagements.upsert_work_order(self.tx, "fieldglass", order, f"{self.version:04}")
        self.model.feed(end)

    def again(self) -> None:
        self.feed(self.model.said)

    def reached(self, cause: str) -> None:
        engagements.begin_ending(self.tx, self.known.id, cause)
        self.model.begin(cause)

    def terminate(self) -> None:
        ends.terminate(self.tx, self.known.id, PEOPLE["ada"], reason="r")
        self.model.terminate()

    def extend(self, days: int) -> None:
        until = End(days).day(self.model.today)
        expected = self.model.extend(days)
        assert self.is_done(lambda: ends.extend(self.tx, self.known.id, until, PEOPLE["ada"], reason="r")) == expected

    def ask(self, who: str) -> None:
        expected = self.model.ask(who)
        assert self.is_done(lambda: endings.ask_undo(self.tx, self.known.id, PEOPLE[who], reason="r")) == expected

    def confirm(self, who: str) -> None:
        expected = self.model.confirm(who)
        assert self.is_done(lambda: endings.confirm_undo(self.tx, self.known.id, PEOPLE[who], needs_two=True)) == expected

    def give(self, groups: frozenset[Entitlement]) -> None:
        engagement = engagements.get(self.tx, self.known.id)
        if engagement.tombstoned_at is None:
            grants.want(self.tx, engagement, "entra", {each: {} for each in {SIGN_IN, *groups}})
            self.model.wanted = frozenset({SIGN_IN, *groups})

    def settle(self) -> None:
        """The joiner and the leaver get there."""
        states = {EngagementState.CLEARED: EngagementState.ACTIVE, EngagementState.ENDING: EngagementState.ENDED}
        state = engagements.get(self.tx, self.known.id).state
        engagements.transition(self.tx, self.known.id, states.get(state, state))

    def is_done(self, act: Any) -> bool:
        try:
            with self.tx.savepoint():
                act()
        except Refused:
            return False
        return True

    def agree(self, epoch: int) -> int:
        """The ledger's state is the model's; the epoch, which never falls."""
        engagement, model = engagements.get(self.tx, self.known.id), self.model
        assert (engagement.tombstoned_at is not None) == (model.cause is not None)
        over = {EngagementState.ENDING, EngagementState.ENDED}
        assert (engagement.state in over) == (model.cause is not None)
        assert engagement.end_at == model.end_at
        assert {grant.entitlement for grant in grants.wanted_of(self.tx, engagement.id)} == model.wanted
        assert [ending.end_at for ending in endings.history(self.tx, engagement.id)] == model.ends
        current = endings.current(self.tx, engagement.id)
        assert (current and current.cause, current and current.undo_asked_by) == (
            model.cause,
            model.asked_by if model.cause else None,
        )
        if model.cause is None:
            armed = {timer.kind: timer.fires_at for timer in timers.armed(self.tx, engagement.id)}
            assert armed == {TimerKind.END: model.end_at}
            assert engagement.end_at > model.now
            assert failures.list_open(self.tx, engagement_id=engagement.id) == []
        assert engagement.epoch >= epoch
        return engagement.epoch


def an_order(vms_id: str, today: date, end: End) -> Any:
    start, last = today - timedelta(days=300), end.day(today)
    return a_work_order(vms_id, starts_on=start.isoformat(), ends_on=last.isoformat(), terminates_at=end.terminates_at)


def a_pair(tx: Tx) -> Both:
    today, first = tx.began_at.date(), End(20)
    order = an_order(f"WO-{next(_NUMBERS)}", today, first)
    known, _ = engagements.upsert_work_order(tx, "fieldglass", order, "0001")
    for state in (EngagementState.CLEARED, EngagementState.ACTIVE):
        engagements.transition(tx, known.id, state)
    pair = Both(tx, known, Model(today, tx.began_at, first, first, first.instant(today), frozenset()))
    pair.give(frozenset(GROUPS[:1]))
    return pair


DAYS = st.sampled_from([-40, -10, -3, 5, 20, 60, 200])
STEPS = st.one_of(
    st.tuples(st.just("feed"), st.builds(End, DAYS)),
    st.tuples(st.just("feed_instant"), DAYS, DAYS),
    st.tuples(st.just("again")),
    st.tuples(st.just("reached"), st.sampled_from(["end_reached", "end_reached", "reconciliation"])),
    st.tuples(st.just("terminate")),
    st.tuples(st.just("extend"), DAYS),
    st.tuples(st.just("ask"), st.sampled_from(sorted(PEOPLE))),
    st.tuples(st.just("confirm"), st.sampled_from(sorted(PEOPLE))),
    st.tuples(st.just("give"), st.frozensets(st.sampled_from(GROUPS))),
    st.tuples(st.just("settle")),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=1, max_size=14))
def test_the_ledger_and_the_model_agree_after_every_step(database: Database, steps: list[tuple[Any, ...]]) -> None:
    with database.transaction("acme") as tx:
        pair = a_pair(tx)
        epoch = pair.agree(0)
        for name, *values in steps:
            if name == "feed_instant":
                at = (tx.began_at + timedelta(days=values[1])).replace(microsecond=0)
                pair.feed(End(values[0], at))
            else:
                getattr(pair, name)(*values)
            epoch = pair.agree(epoch)
