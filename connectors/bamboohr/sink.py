"""Keep the contractor's record in BambooHR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from connectors.bamboohr.client import MARKER_FIELD, BambooHrClient
from connectors.bamboohr.history import StatusHistory
from connectors.bamboohr.records import Employee, ListedEmployee
from connectors.records.nulls import refuse_nulls, without_nulls
from connectors.records.words import folded
from workforce.errors import NotFound, Refused, RetryLater
from workforce.ports import StoredRecord

NO_DAY: frozenset[object] = frozenset({None, "", "0000-00-00"})
"""How an employee without a date shows; not verified against the vendor."""


class BambooHrSink:
    """Employees of one company; our marker is their ``employeeNumber``.

    ``create`` makes the employee and nothing else, so that it is one call with one outcome. The row of the employmentStatus table
    that makes the employee a contractor is written by ``update``, the row that ends the stint by ``end``, and the one after that by
    ``rehire``; all read the table first and write only the difference, so they may be repeated. Call ``update`` after ``create``.
    """

    def __init__(self, client: BambooHrClient) -> None:
        self._client = client

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """The employees whose ``employeeNumber`` is ``marker``, and the holder of ``values["workEmail"]`` whoever it is.

        BambooHR can neither filter nor list by ``employeeNumber``. So all employees are listed, and those with the same work
        e-mail or the same names are read one by one; without these keys in ``values``, all are. A record of ours whose names
        *and* work e-mail were changed by hand is not found. Raises ``Refused`` when the API user may not see those fields.
        """
        keys = {name: folded(values[name]) for name in ("workEmail", "firstName", "lastName") if values.get(name)}
        candidates = [listed.employeeId for listed in self._client.employees() if _may_match(listed, keys)]
        records = [self._listed(employee_id) for employee_id in candidates]
        return [record for record in records if record.marker == marker or _holds(record, keys.get("workEmail"))]

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Create the employee with ``marker`` as ``employeeNumber``; its id. ``None`` values are left out."""
        return self._client.create_employee({**without_nulls(values), MARKER_FIELD: marker})

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Set ``values`` except the marker, and see that the stint starts in the status table on ``hireDate``.

        ``None`` empties a field that takes null, and is refused of another (cause ``cannot_be_emptied``). Raises ``RetryLater`` while the
        employee does not show: an update follows a creation, which BambooHR may show late.
        """
        refuse_nulls("bamboohr", values)
        fields = {name: value for name, value in values.items() if name != MARKER_FIELD}
        try:
            if fields:
                self._client.update_employee(external_id, fields)
            self._start(external_id, fields.get("hireDate") or self._client.employee(external_id).fields.get("hireDate"))
        except NotFound:
            raise RetryLater(f"bamboohr: employee {external_id} does not show yet", cause="lagging") from None

    def _start(self, external_id: str, starts_on: object) -> None:
        change = self._history(external_id).start(str(starts_on)) if starts_on not in NO_DAY else None
        if change:
            self._client.write_status_row(external_id, change.row_id, change.columns)

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """See that the status table ends the stint on ``ends_on``. BambooHR knows days, so ``ended_at`` is not used."""
        del ended_at
        for change in self._history(external_id).end(ends_on, self._client.settings.termination_columns):
            self._client.write_status_row(external_id, change.row_id, change.columns)

    def rehire(self, external_id: str, *, starts_on: str) -> None:
        """See that the status table goes on behind the row that ended the last stint, which stays. Raises ``NotFound``."""
        change = self._history(external_id).again(starts_on)
        if change:
            self._client.write_status_row(external_id, change.row_id, change.columns)

    def read(self, external_id: str) -> StoredRecord:
        """The employee as it is now. ``active`` means that the status table does not end the stint, today or later.

        The vendor's own ``status`` is in the values; it also calls future hires inactive. Raises ``NotFound``.
        """
        employee = self._client.employee(external_id)
        ends_on = self._history(external_id).ended_on
        return StoredRecord(employee.id, _marker(employee), ends_on is None, employee.fields, ends_on)

    def _history(self, external_id: str) -> StatusHistory:
        settings = self._client.settings
        rows = self._client.status_rows(external_id)
        return StatusHistory.of(rows, contractor=settings.contractor_status, terminated=settings.terminated_status)

    def _listed(self, employee_id: str) -> StoredRecord:
        try:
            return self.read(employee_id)
        except NotFound:
            raise RetryLater(f"bamboohr: employee {employee_id} is listed but cannot be read yet", cause="lagging") from None


def _may_match(listed: ListedEmployee, keys: Mapping[str, str]) -> bool:
    hidden = sorted(listed.restricted & keys.keys())
    if hidden:
        raise _not_visible(hidden[0])
    held = {name: folded(getattr(listed, name)) for name in keys}
    names = keys.keys() - {"workEmail"}
    same_address = "workEmail" in keys and held["workEmail"] == keys["workEmail"]
    same_names = bool(names) and all(held[name] == keys[name] for name in names)
    return not keys or same_address or same_names


def _marker(employee: Employee) -> str | None:
    if MARKER_FIELD not in employee.fields:  # left out: not visible, which must not be taken for "somebody else's"
        raise _not_visible(MARKER_FIELD)
    number = employee.fields[MARKER_FIELD]
    return str(number) if number else None


def _holds(record: StoredRecord, work_email: str | None) -> bool:
    return work_email is not None and folded(record.values.get("workEmail")) == work_email


def _not_visible(field: str) -> Refused:
    return Refused(
        f"bamboohr: the API user cannot see {field} of every employee; grant access to it", cause="forbidden", field=field
    )
