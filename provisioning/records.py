"""Keeping an engagement's record in an HRIS or payroll, and ending it there and in the VMS, as effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from provisioning.effects import Holder, Write, perform
from provisioning.updates import Updates
from provisioning.writing import DesiredRecord, WritePlan
from workforce.effects import Effect, EffectKind
from workforce.errors import NotFound, Refused, RetryLater
from workforce.ports import EffectLog, RecordEnding, RecordSink, Rehiring, StoredRecord


@dataclass(frozen=True)
class RecordApplier:
    """Writes one engagement's record in one system. ``base`` carries tenant, engagement, target, epoch."""

    base: Effect
    log: EffectLog

    def create(
        self, sink: RecordSink, marker: str, desired: DesiredRecord, details: Mapping[str, object]
    ) -> tuple[str, WritePlan]:
        """Create the record, or adopt the one that an earlier attempt or stint left, and finish it; its id and what was written.

        What a sink cannot do in the one call of its create it does in the update that follows every creation, be it without a value. Of
        an adopted record only what differs is written.
        """
        values = desired.whole().values()
        made: list[str] = []

        def create() -> str:
            made.append(sink.create(marker, values))
            return made[0]

        def look_up() -> list[Holder]:
            return [Holder(found.external_id, ours=found.marker == marker) for found in sink.find(marker, values)]

        effect = replace(self.base, kind=EffectKind.CREATE_RECORD)
        record_id = perform(Write(effect, create, look_up, key_is_enforced=False, details=details), log=self.log).vendor_id
        assert record_id is not None, "a created record has an id"  # noqa: S101 - the port says so
        plan = desired.nothing() if made else desired.plan(read_record(sink, record_id).values)
        self._write(sink, record_id, desired, plan, details)
        return record_id, _read_back(sink, record_id, desired.whole() if made else plan)

    def update(self, sink: RecordSink, record_id: str, desired: DesiredRecord, details: Mapping[str, object]) -> WritePlan:
        """Bring the record up to date. Only what differs is written; where nothing does, nothing is called."""
        plan = desired.plan(read_record(sink, record_id).values)
        if not plan.is_empty:
            self._write(sink, record_id, desired, plan, details)
        return _read_back(sink, record_id, plan)

    def rehire(self, sink: RecordSink, record_id: str, *, starts_on: str) -> bool:
        """Take up an ended record again as of ``starts_on`` (ISO date); whether that was needed.

        Raises ``Refused`` (cause ``cannot_rehire``) where the system has no way to do it; ``RetryLater`` while it does not show, because
        what is written to a record that counts as ended may be refused, or told of the stint that is over.
        """
        if read_record(sink, record_id).active:
            return False
        if not isinstance(sink, Rehiring):
            message = (
                f"record {record_id} has ended, and {self.base.target} cannot take it up again; make it active there, and replay"
            )
            raise Refused(message, cause="cannot_rehire", field="record")
        Updates(replace(self.base, kind=EffectKind.REHIRE_RECORD), self.log).needed(
            lambda: sink.rehire(record_id, starts_on=starts_on), starts_on
        )
        prove_record(sink, record_id, active=True)
        return True

    def conclude(self, record_id: str, unfinished: Iterable[Effect]) -> None:
        """Conclude updates and rehires whose replies were lost, now that the record is as it should be."""
        self._updates().conclude(record_id, unfinished)

    def end(self, system: RecordEnding, record_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """End the record as of ``ends_on`` (ISO date)."""

        def end() -> None:
            system.end(record_id, ended_at=ended_at, ends_on=ends_on)

        effect = replace(self.base, kind=EffectKind.END_RECORD, detail=ends_on)
        perform(Write(effect, end), log=self.log)

    def _write(
        self, sink: RecordSink, record_id: str, desired: DesiredRecord, plan: WritePlan, details: Mapping[str, object]
    ) -> None:
        """Write what the plan says; an empty one, which only finishes a creation, at most once."""

        def update() -> None:
            sink.update(record_id, plan.values())

        issue = self._updates().once if plan.is_empty else self._updates().needed
        issue(update, desired.fingerprint(plan), details={**details, "fields": plan.changed})

    def _updates(self) -> Updates:
        return Updates(replace(self.base, kind=EffectKind.UPDATE_RECORD), self.log)


def read_record(system: RecordEnding, record_id: str) -> StoredRecord:
    """The record as it shows. Raises ``RetryLater`` while it does not."""
    try:
        return system.read(record_id)
    except NotFound:
        raise RetryLater(f"record {record_id} cannot be read yet", cause="read_back_mismatch") from None


def _read_back(sink: RecordSink, record_id: str, plan: WritePlan) -> WritePlan:
    """The plan with the target's own way of writing, where it shows one by now. Without it the next run tells what differs."""
    if plan.is_empty:
        return plan
    try:
        return plan.read_back(read_record(sink, record_id).values)
    except RetryLater:
        return plan


def prove_record(system: RecordEnding, record_id: str, *, active: bool) -> StoredRecord:
    """Prove that the record exists and is (not) active. Raises ``RetryLater`` while it does not show."""
    record = read_record(system, record_id)
    if record.active is not active:
        raise RetryLater(f"record {record_id} is {'not ' if active else 'still '}active", cause="read_back_mismatch")
    return record
