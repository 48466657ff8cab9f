"""Keeping an engagement's record in an HRIS or payroll, and ending it there and in the VMS, as effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from provisioning.effects import Holder, Write, perform
from workforce.effects import Effect, EffectKind
from workforce.errors import NotFound, RetryLater
from workforce.ports import EffectLog, RecordEnding, RecordSink, StoredRecord


@dataclass(frozen=True)
class RecordApplier:
    """Writes one engagement's record in one system. ``base`` carries tenant, engagement, target, epoch."""

    base: Effect
    log: EffectLog

    def create(
        self, sink: RecordSink, marker: str, values: Mapping[str, object], details: Mapping[str, object], *, version: str
    ) -> str:
        """Create the record, or adopt the one that an earlier attempt left, and bring its values up to date; its id.

        ``version`` tells one set of values from the next (a hash): an update is an effect of its own.
        """

        def look_up() -> list[Holder]:
            return [Holder(found.external_id, ours=found.marker == marker) for found in sink.find(marker, values)]

        create = Write(
            replace(self.base, kind=EffectKind.CREATE_RECORD),
            lambda: sink.create(marker, values),
            look_up,
            key_is_enforced=False,
            details=details,
        )
        record_id = perform(create, log=self.log).vendor_id
        assert record_id is not None, "a created record has an id"  # noqa: S101 - the port says so

        def update() -> None:
            sink.update(record_id, values)

        effect = replace(self.base, kind=EffectKind.UPDATE_RECORD, detail=version)
        perform(Write(effect, update, details=details), log=self.log)
        return record_id

    def end(self, system: RecordEnding, record_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """End the record as of ``ends_on`` (ISO date)."""

        def end() -> None:
            system.end(record_id, ended_at=ended_at, ends_on=ends_on)

        effect = replace(self.base, kind=EffectKind.END_RECORD, detail=ends_on)
        perform(Write(effect, end), log=self.log)


def prove_record(system: RecordEnding, record_id: str, *, active: bool) -> StoredRecord:
    """Prove that the record exists and is (not) active. Raises ``RetryLater`` while it does not show."""
    try:
        record = system.read(record_id)
    except NotFound:
        raise RetryLater(f"record {record_id} cannot be read yet", cause="read_back_mismatch") from None
    if record.active is not active:
        raise RetryLater(f"record {record_id} is {'not ' if active else 'still '}active", cause="read_back_mismatch")
    return record
