"""An engagement's record in an HRIS or payroll: one, with the newest values, and ended once."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.fakes import FakeFault, InMemoryEffectLog, InMemorySink, SettableClock
from provisioning.records import RecordApplier, prove_record
from provisioning.writing import DesiredRecord, WritePlan
from workforce.effects import Effect, EffectKind
from workforce.errors import Fenced, Refused, RetryLater
from workforce.lineage import MappedField, MappingUsed, RecordWrite
from workforce.ports import StoredRecord
from workforce.states import EffectState

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MARKER = "ST0123456789ABC"
ADA = {"email": "ada.lovelace@acme.example", "title": "Engineer"}
MAPPING = MappingUsed(mapping_id="engagement__gusto", version="v0001", sha256="a" * 64)
BASE = Effect("acme", UUID(int=1), "gusto", EffectKind.CREATE_RECORD, epoch=1)


def desired(*, standing: RecordWrite | None = None, **values: str) -> DesiredRecord:
    """The e-mail is strong, the rest normal."""
    strengths = {"email": "strong"}
    fields = {name: MappedField(value=value, strength=strengths.get(name, "normal")) for name, value in {**ADA, **values}.items()}
    return DesiredRecord(fields, standing=standing, version="v1")


def stood(plan: WritePlan) -> RecordWrite:
    return RecordWrite(system="gusto", mapping=MAPPING, fields=plan.result, changed=plan.changed)


def created(records: RecordApplier, sink: InMemorySink) -> str:
    record_id, _ = records.create(sink, MARKER, desired(), {})
    return record_id


@dataclass
class WatchedSink(InMemorySink):
    """Keeps what each update was asked to write."""

    updates: list[Mapping[str, object]] = field(default_factory=list)

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        super().update(external_id, values)
        self.updates.append(values)


class WordySink(InMemorySink):
    """Shows a title in its own way of writing."""

    def read(self, external_id: str) -> StoredRecord:
        record = super().read(external_id)
        return replace(record, values={**record.values, "title": f"{record.values['title']} (m/f/d)"})


class RehiringSink(InMemorySink):
    """Takes ended records up again."""

    def rehire(self, external_id: str, *, starts_on: str) -> None:
        del starts_on
        self._change("rehire", external_id, lambda record: replace(record, active=True, ends_on=None))


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


def test_what_the_system_writes_in_its_own_way_is_learnt_and_not_written_again(records: RecordApplier) -> None:
    sink = WordySink()
    record_id, first = records.create(sink, MARKER, desired(), {})
    assert first.result["title"].shown == "Engineer (m/f/d)"
    again = records.update(sink, record_id, desired(standing=stood(first)), {})
    assert (again.changes, again.conflicts, again.result) == ((), (), first.result)
    promoted = records.update(sink, record_id, desired(standing=stood(again), title="Lead"), {})
    assert (promoted.changed, promoted.result["title"].shown) == (("title",), "Lead (m/f/d)")


def test_a_record_that_does_not_show_what_was_written_yet_teaches_nothing(records: RecordApplier) -> None:
    sink = WordySink(lag_reads=9)
    _, first = records.create(sink, MARKER, desired(), {})
    assert first.result["title"].shown is None


def test_a_record_is_created_whole_and_then_finished(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = WatchedSink()
    record_id, plan = records.create(sink, MARKER, desired(), {"mapping": "m"})
    assert (record_id, plan.changed) == ("record-1", ("email", "title"))
    assert sink.writes == [("create", "record-1"), ("update", "record-1")]
    assert sink.updates == [{}]
    details = [line.details for line in log.logged if line.state is EffectState.DONE]
    assert details == [{"mapping": "m"}, {"mapping": "m", "fields": ()}]


def test_a_creation_that_was_not_remembered_is_finished_once(records: RecordApplier) -> None:
    sink = InMemorySink()
    for _ in range(3):
        created(records, sink)
    assert len(sink.writes) == 2


def test_only_what_differs_is_written_and_nothing_where_nothing_does(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = WatchedSink()
    standing = stood(records.create(sink, MARKER, desired(), {})[1])
    told = len(log.logged)
    assert records.update(sink, "record-1", desired(standing=standing), {}).is_empty
    assert (len(sink.writes), len(log.logged)) == (2, told)
    plan = records.update(sink, "record-1", desired(title="Lead", standing=standing), {"mapping": "m"})
    assert plan.changed == ("title",)
    assert sink.updates == [{}, {"title": "Lead"}]
    assert log.logged[-1].details == {"mapping": "m", "fields": ("title",)}


def test_values_that_come_back_are_written_each_time(records: RecordApplier) -> None:
    sink = WatchedSink()
    standing = stood(records.create(sink, MARKER, desired(), {})[1])
    for title in ("Lead", "Engineer", "Lead", "Engineer"):
        standing = stood(records.update(sink, "record-1", desired(title=title, standing=standing), {}))
    assert [values.get("title") for values in sink.updates] == [None, "Lead", "Engineer", "Lead", "Engineer"]


def test_a_strong_field_that_somebody_keeps_changing_is_put_right_each_time(
    records: RecordApplier, log: InMemoryEffectLog
) -> None:
    sink = InMemorySink()
    standing = stood(records.create(sink, MARKER, desired(), {})[1])
    for _ in range(3):
        sink.update("record-1", {"email": "other@acme.example"})
        records.update(sink, "record-1", desired(standing=standing), {})
        assert sink.entries["record-1"].values["email"] == ADA["email"]
    assert {line.effect.lifecycle for line in log.logged} == {1, 2, 3}


def test_what_is_cleared_arrives_as_none(records: RecordApplier) -> None:
    sink = WatchedSink()
    standing = stood(records.create(sink, MARKER, desired(phone="1"), {})[1])
    cleared = DesiredRecord(desired().fields, cleared=("phone",), standing=standing, version="v2")
    records.update(sink, "record-1", cleared, {})
    assert sink.updates[-1] == {"phone": None}
    assert sink.entries["record-1"].values["phone"] is None


def test_an_adopted_record_keeps_what_is_weak_and_gets_what_differs(records: RecordApplier) -> None:
    sink = WatchedSink()
    sink.plant("record-9", replace(a_record(), values={**ADA, "title": "Lead", "phone": "9"}))
    fields = {**desired().fields, "phone": MappedField(value="1", strength="weak")}
    log = InMemoryEffectLog(SettableClock(NOON), epoch=1)
    record_id, plan = RecordApplier(BASE, log).create(sink, MARKER, DesiredRecord(fields), {})
    assert (record_id, plan.changed, sink.updates) == ("record-9", ("title",), [{"title": "Engineer"}])
    assert "phone" not in plan.result


def test_a_lost_update_that_arrived_is_concluded_by_looking(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = InMemorySink()
    standing = stood(records.create(sink, MARKER, desired(), {})[1])
    sink.faults.append(FakeFault.LOST_AFTER)
    with pytest.raises(RetryLater):
        records.update(sink, "record-1", desired(title="Lead", standing=standing), {})
    lost = log.logged[-1].effect
    plan = records.update(sink, "record-1", desired(title="Lead", standing=standing), {})
    records.conclude("record-1", [lost])
    assert (plan.is_empty, sink.count("update")) == (True, 2)
    assert log.states(lost)[-2:] == [EffectState.UNKNOWN, EffectState.DONE]


def test_a_record_whose_reply_was_lost_is_adopted_and_updated(records: RecordApplier) -> None:
    sink = InMemorySink(key_is_enforced=False, faults=deque([FakeFault.LOST_AFTER]))
    assert created(records, sink) == "record-1"
    assert sink.writes == [("create", "record-1"), ("update", "record-1")]


@pytest.mark.parametrize("key_is_enforced", [True, False])
def test_an_own_record_of_an_earlier_life_of_the_hub_is_adopted_after_the_loss(
    key_is_enforced: bool, records: RecordApplier
) -> None:
    sink = InMemorySink(key_is_enforced=key_is_enforced, faults=deque([FakeFault.LOST_BEFORE]))
    sink.plant("record-9", a_record())
    assert created(records, sink) == "record-9"
    assert sink.count("create") == 0


def test_a_namesake_with_the_same_address_is_parked(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = InMemorySink()
    sink.plant("record-9", a_record(marker=None))
    with pytest.raises(Refused) as raised:
        created(records, sink)
    assert (raised.value.cause, sink.writes, log.logged[-1].state) == ("namesake", [], EffectState.PARKED)


def test_a_loss_that_does_not_show_waits_out_the_window_before_it_is_repeated(
    records: RecordApplier, clock: SettableClock
) -> None:
    sink = InMemorySink(key_is_enforced=False, lag_reads=1, faults=deque([FakeFault.LOST_AFTER]))
    with pytest.raises(RetryLater):
        created(records, sink)
    clock.advance(1)
    assert created(records, sink) == "record-1"
    assert sink.count("create") == 1


def test_a_lost_update_is_simply_repeated(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = InMemorySink(faults=deque([None, FakeFault.LOST_AFTER]))
    with pytest.raises(RetryLater):
        created(records, sink)
    created(records, sink)
    assert (sink.count("create"), sink.count("update")) == (1, 2)
    assert {record.state for record in log.records.values()} == {EffectState.DONE}


def test_a_record_is_ended_once_for_each_last_day(records: RecordApplier) -> None:
    sink = InMemorySink()
    record_id = created(records, sink)
    for ends_on in ("2026-11-30", "2026-11-30", "2026-12-31"):
        records.end(sink, record_id, ended_at=NOON, ends_on=ends_on)
    assert sink.count("end") == 2
    assert (sink.entries[record_id].active, sink.entries[record_id].ends_on) == (False, "2026-12-31")


def ended(records: RecordApplier, sink: InMemorySink) -> str:
    record_id = created(records, sink)
    records.end(sink, record_id, ended_at=NOON, ends_on="2026-11-30")
    return record_id


def test_an_ended_record_is_taken_up_again_as_often_as_the_person_comes_back(
    records: RecordApplier, log: InMemoryEffectLog
) -> None:
    sink = RehiringSink()
    record_id = created(records, sink)
    assert not records.rehire(sink, record_id, starts_on="2026-11-20")
    for ends_on in ("2026-11-30", "2026-12-31"):
        records.end(sink, record_id, ended_at=NOON, ends_on=ends_on)
        assert records.rehire(sink, record_id, starts_on="2027-01-04")
        assert not records.rehire(sink, record_id, starts_on="2027-01-04")
    assert (sink.count("create"), sink.count("rehire"), sink.entries[record_id].active) == (1, 2, True)
    rehires = [line.effect for line in log.logged if line.effect.kind is EffectKind.REHIRE_RECORD]
    assert {(effect.detail, effect.lifecycle) for effect in rehires} == {("2027-01-04", 1), ("2027-01-04", 2)}


def test_where_a_system_cannot_take_a_record_up_a_person_is_told_which(records: RecordApplier) -> None:
    sink = InMemorySink()
    record_id = ended(records, sink)
    with pytest.raises(Refused, match="record-1 has ended, and gusto cannot take it up again") as raised:
        records.rehire(sink, record_id, starts_on="2027-01-04")
    assert raised.value.cause == "cannot_rehire"


def test_a_record_that_was_taken_up_and_still_counts_as_ended_is_not_written_to(records: RecordApplier) -> None:
    class Slow(InMemorySink):
        def rehire(self, external_id: str, *, starts_on: str) -> None:
            self.writes.append(("rehire", external_id))

    sink = Slow()
    record_id = ended(records, sink)
    for _ in range(2):
        with pytest.raises(RetryLater, match="not active"):
            records.rehire(sink, record_id, starts_on="2027-01-04")
    assert sink.count("rehire") == 2


def test_a_rehire_whose_reply_was_lost_is_seen_and_concluded(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = RehiringSink()
    record_id = ended(records, sink)
    sink.faults.append(FakeFault.LOST_AFTER)
    with pytest.raises(RetryLater):
        records.rehire(sink, record_id, starts_on="2027-01-04")
    lost = log.logged[-1].effect
    assert not records.rehire(sink, record_id, starts_on="2027-01-04")
    records.conclude(record_id, [lost])
    assert (sink.count("rehire"), log.states(lost)[-2:]) == (1, [EffectState.UNKNOWN, EffectState.DONE])


def test_after_the_tombstone_a_record_is_ended_and_none_is_created(records: RecordApplier, log: InMemoryEffectLog) -> None:
    sink = InMemorySink()
    sink.plant("record-9", a_record())
    log.tombstoned = True
    with pytest.raises(Fenced):
        created(records, sink)
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
        record_id = created(records, sink)
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
