"""An engagement's record in an HRIS or payroll: one, with the newest values, and ended once."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.fakes import FakeFault, InMemoryEffectLog, InMemorySink, SettableClock
from provisioning.records import RecordApplier, prove_record
from workforce.effects import Effect, EffectKind
from workforce.errors import Fenced, Refused, RetryLater
from workforce.ports import StoredRecord
from workforce.states import EffectState

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MARKER = "ST0123456789ABC"
ADA = {"email": "ada.lovelace@acme.example", "title": "Engineer"}
BASE = Effect("acme", UUID(int=1), "gusto", EffectKind.CREATE_RECORD, epoch=1)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOON)


@pytest.fixture
def log(clock: SettableClock) -> InMemoryEffectLog:
    return InMemoryEffectLog(clock, epoch=1)


@pytest.fixture
def records(log: InMemoryEffectLog) -> RecordApplier:
    return RecordApplier(BASE, log)


def a_record(**difference: str | None) -> StoredRecord:
    return StoredRecord("record-9", difference.get("marker", MARKER), active=True, values=ADA)


def test_a_record_is_created_and_then_brought_up_to_date(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = InMemorySink()
    assert records.create(sink, MARKER, ADA, {"mapping": "m"}, version="v1") == "record-1"
    assert sink.writes == [("create", "record-1"), ("update", "record-1")]
    assert [line.details for line in log.logged if line.state is EffectState.DONE] == [{"mapping": "m"}, {"mapping": "m"}]


def test_the_same_values_again_write_nothing(records: RecordApplier) -> None:
    sink = InMemorySink()
    for _ in range(2):
        records.create(sink, MARKER, ADA, {}, version="v1")
    assert len(sink.writes) == 2


def test_changed_values_are_an_effect_of_their_own(records: RecordApplier) -> None:
    sink = InMemorySink()
    records.create(sink, MARKER, ADA, {}, version="v1")
    records.create(sink, MARKER, {**ADA, "title": "Lead"}, {}, version="v2")
    assert (sink.count("create"), sink.count("update")) == (1, 2)
    assert sink.entries["record-1"].values["title"] == "Lead"


def test_a_record_whose_reply_was_lost_is_adopted_and_updated(records: RecordApplier) -> None:
    sink = InMemorySink(key_is_enforced=False, faults=deque([FakeFault.LOST_AFTER]))
    assert records.create(sink, MARKER, ADA, {}, version="v1") == "record-1"
    assert sink.writes == [("create", "record-1"), ("update", "record-1")]


@pytest.mark.parametrize("key_is_enforced", [True, False])
def test_an_own_record_of_an_earlier_life_of_the_hub_is_adopted_after_the_loss(
    key_is_enforced: bool, records: RecordApplier
) -> None:
    sink = InMemorySink(key_is_enforced=key_is_enforced, faults=deque([FakeFault.LOST_BEFORE]))
    sink.plant("record-9", a_record())
    assert records.create(sink, MARKER, ADA, {}, version="v1") == "record-9"
    assert sink.count("create") == 0


def test_a_namesake_with_the_same_address_is_parked(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = InMemorySink()
    sink.plant("record-9", a_record(marker=None))
    with pytest.raises(Refused) as raised:
        records.create(sink, MARKER, ADA, {}, version="v1")
    assert (raised.value.cause, sink.writes, log.logged[-1].state) == ("namesake", [], EffectState.PARKED)


def test_a_loss_that_does_not_show_waits_out_the_window_before_it_is_repeated(
    records: RecordApplier, clock: SettableClock
) -> None:
    sink = InMemorySink(key_is_enforced=False, lag_reads=1, faults=deque([FakeFault.LOST_AFTER]))
    with pytest.raises(RetryLater):
        records.create(sink, MARKER, ADA, {}, version="v1")
    clock.advance(1)
    assert records.create(sink, MARKER, ADA, {}, version="v1") == "record-1"
    assert sink.count("create") == 1


def test_a_lost_update_is_simply_repeated(records: RecordApplier) -> None:
    sink = InMemorySink(faults=deque([None, FakeFault.LOST_AFTER]))
    with pytest.raises(RetryLater):
        records.create(sink, MARKER, ADA, {}, version="v1")
    records.create(sink, MARKER, ADA, {}, version="v1")
    assert (sink.count("create"), sink.count("update")) == (1, 2)


def test_a_record_is_ended_once_for_each_last_day(records: RecordApplier) -> None:
    sink = InMemorySink()
    record_id = records.create(sink, MARKER, ADA, {}, version="v1")
    for ends_on in ("2026-11-30", "2026-11-30", "2026-12-31"):
        records.end(sink, record_id, ended_at=NOON, ends_on=ends_on)
    assert sink.count("end") == 2
    assert (sink.entries[record_id].active, sink.entries[record_id].ends_on) == (False, "2026-12-31")


def test_after_the_tombstone_a_record_is_ended_and_none_is_created(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = InMemorySink()
    sink.plant("record-9", a_record())
    log.tombstoned = True
    with pytest.raises(Fenced):
        records.create(sink, MARKER, ADA, {}, version="v1")
    records.end(sink, "record-9", ended_at=NOON, ends_on="2026-11-30")
    assert sink.writes == [("end", "record-9")]


@given(
    faults=st.lists(st.sampled_from([None, FakeFault.LOST_AFTER, FakeFault.THROTTLED]), max_size=10),
    lag=st.integers(min_value=0, max_value=5),
    key_is_enforced=st.booleans(),
)
def test_whatever_gets_lost_on_the_way_back_there_is_one_record_and_it_ends(
    faults: list[FakeFault | None], lag: int, key_is_enforced: bool
) -> None:
    clock = SettableClock(NOON)
    records = RecordApplier(BASE, InMemoryEffectLog(clock, epoch=1))
    sink = InMemorySink(faults=deque(faults), lag_reads=lag, key_is_enforced=key_is_enforced)

    def attempt() -> StoredRecord:
        record_id = records.create(sink, MARKER, ADA, {}, version="v1")
        records.end(sink, record_id, ended_at=NOON, ends_on="2026-11-30")
        return prove_record(sink, record_id, active=False)

    for _ in range(100):
        try:
            ended = attempt()
            break
        except RetryLater:
            clock.advance(10)
    assert ended.ends_on == "2026-11-30"
    assert sink.count("create") == 1


def test_a_record_that_does_not_show_yet_is_asked_for_again() -> None:
    sink = InMemorySink(lag_reads=1)
    record_id = sink.create(MARKER, ADA)
    with pytest.raises(RetryLater, match="cannot be read yet"):
        prove_record(sink, record_id, active=True)
    assert prove_record(sink, record_id, active=True).marker == MARKER


def test_a_record_in_the_wrong_state_is_named() -> None:
    sink = InMemorySink()
    record_id = sink.create(MARKER, ADA)
    with pytest.raises(RetryLater, match="still active"):
        prove_record(sink, record_id, active=False)
    sink.end(record_id, ended_at=NOON, ends_on="2026-11-30")
    with pytest.raises(RetryLater, match="not active"):
        prove_record(sink, record_id, active=True)
