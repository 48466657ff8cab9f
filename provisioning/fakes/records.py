"""A record sink in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from provisioning.fakes.targets import Target, merged
from workforce.errors import AlreadyTaken
from workforce.ports import StoredRecord


@dataclass
class InMemorySink(Target[StoredRecord]):
    """The ``RecordSink`` of ``workforce.ports``. ``unique_field`` is the sink's own unique key.

    Where ``key_is_enforced`` is false, a second record with the same key, or the same marker, is simply made.
    """

    key_is_enforced: bool = True
    unique_field: str = "email"

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """Every record that shows ``marker`` or the unique key in ``values``."""
        return [record for record in self._all_shown() if self._collides(record, marker, values)]

    def read(self, external_id: str) -> StoredRecord:
        """The record as it shows."""
        return self._one_shown(external_id)

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Create an active record."""
        return self._write(lambda: self._create(marker, values))

    def _create(self, marker: str, values: Mapping[str, object]) -> str:
        if self.key_is_enforced and any(self._collides(record, marker, values) for record in self.entries.values()):
            raise AlreadyTaken(f"{self.unique_field} is in use", field=self.unique_field)
        external_id = f"record-{len(self.entries) + 1}"
        self._store("create", external_id, StoredRecord(external_id, marker, active=True, values=dict(values)))
        return external_id

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Set values; of a nested one, the parts that are not named stay."""
        self._change("update", external_id, lambda record: replace(record, values=merged(record.values, values)))

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """End the record as of ``ends_on``."""
        del ended_at
        self._change("end", external_id, lambda record: replace(record, active=False, ends_on=ends_on))

    def _collides(self, record: StoredRecord, marker: str, values: Mapping[str, object]) -> bool:
        key = values.get(self.unique_field)
        return record.marker == marker or (key is not None and record.values.get(self.unique_field) == key)

    def _change(self, operation: str, external_id: str, change: Callable[[StoredRecord], StoredRecord]) -> None:
        self._write(lambda: self._store(operation, external_id, change(self._truth(external_id))))
