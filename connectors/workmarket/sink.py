"""Creating, changing and ending assignments.

The API takes an ``external_work_id`` (a number) and shows it nowhere, so our marker travels where lists show it: at the end of the title.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors.workmarket.client import WorkMarketClient
from connectors.workmarket.records import SYSTEM, Assignment
from connectors.workmarket.source import every_item
from workforce.errors import NotFound, Refused
from workforce.ports import StoredRecord

_MARKED = re.compile(r"\s*\[([0-9A-Za-z]{1,40})\]\s*$")
_SCHEDULE = ("scheduled_start", "scheduled_end")


class WorkMarketSink:
    """The ``RecordSink`` capability. ``values`` are parameters of the API by name; times are in its own unit."""

    def __init__(self, client: WorkMarketClient) -> None:
        self._client, self._settings = client, client.settings

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """Every assignment whose title carries ``marker``. Reads the whole list: the API looks nothing up."""
        del values
        ids = dict.fromkeys(item.id for item in every_item(self._client) if _marker(item.title) == marker)
        found = []
        for assignment_id in ids:
            try:
                found.append(self.read(assignment_id))
            except NotFound:  # listed and not shown yet: it is there, and that is what was asked
                found.append(StoredRecord(assignment_id, marker, active=True))
        return found

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Create an assignment whose title carries ``marker``; its id. Raises ``Refused``, ``OutcomeUnknown``."""
        return self._client.create(_params({**values, "title": f"{values.get('title') or 'Assignment'} [{marker}]"}))

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Set parameters of ``edit``, and of ``reschedule`` once somebody is assigned. Idempotent. Raises ``NotFound``."""
        assignment, _ = self._client.assignment(external_id)
        marker = _marker(assignment.title)
        fields = {**values, "title": f"{values['title']} [{marker}]"} if values.get("title") and marker else dict(values)
        schedule = {name: fields.pop(name) for name in _SCHEDULE if name in fields} if self._is_assigned(assignment) else {}
        if fields:
            self._client.change(f"{quote(external_id, safe='')}/edit", _params(fields))
        if schedule:
            self._reschedule(assignment, schedule)

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """End the assignment. Idempotent: one that is over is left alone. Raises ``NotFound``.

        Without a worker it is voided. With one, ``end_assigned_with`` decides: reschedule sets the scheduled end to ``ended_at`` and leaves
        pay to people; where WorkMarket asks the worker to agree, it shows as ended once they have.
        """
        del ends_on
        assignment, _ = self._client.assignment(external_id)
        end = self._client.ticks(ended_at)
        if self._is_over(assignment, at=end):
            return
        settings = self._settings
        action = settings.end_assigned_with if self._is_assigned(assignment) else "void"
        match action:
            case "reschedule":
                start = min(assignment.scheduled_start or end, end)
                self._reschedule(assignment, {"scheduled_start": start, "scheduled_end": end})
            case "complete":
                self._client.change(f"{quote(external_id, safe='')}/complete", {"resolution": settings.note})
            case "cancel":
                self._client.change(
                    "cancel", _params({"id": external_id, "note": settings.note, "reason": settings.cancellation_reason})
                )
            case _:
                self._client.change("void", {"id": external_id, "note": settings.note})

    def read(self, external_id: str) -> StoredRecord:
        """The assignment as it is now, its title without the marker. Not active once its scheduled end has passed. Raises ``NotFound``."""
        assignment, values = self._client.assignment(external_id)
        active = not self._is_over(assignment, at=self._client.ticks(self._client.now()))
        shown: dict[str, Any] = {**values, "title": _MARKED.sub("", assignment.title or "")}
        return StoredRecord(assignment.id, _marker(assignment.title), active, shown, self._ends_on(assignment))

    def _is_assigned(self, assignment: Assignment) -> bool:
        return assignment.status not in self._settings.unassigned_statuses

    def _is_over(self, assignment: Assignment, *, at: int) -> bool:
        has_passed = assignment.scheduled_end is not None and assignment.scheduled_end <= at and self._is_assigned(assignment)
        return assignment.status in self._settings.ended_statuses or has_passed

    def _reschedule(self, assignment: Assignment, schedule: Mapping[str, object]) -> None:
        now = {"scheduled_start": assignment.scheduled_start, "scheduled_end": assignment.scheduled_end}
        self._client.change("reschedule", _params({"id": assignment.id, **now, **schedule}))

    def _ends_on(self, assignment: Assignment) -> str | None:
        """The day of the scheduled end at the place of work."""
        if assignment.scheduled_end is None:
            return None
        try:
            moment = self._client.moment(assignment.scheduled_end)
        except (ValueError, OverflowError, OSError):
            return None  # beyond any calendar: no end
        try:
            return moment.astimezone(ZoneInfo(assignment.time_zone or "UTC")).date().isoformat()
        except (ValueError, KeyError, OSError, OverflowError):
            return moment.date().isoformat()


def _marker(title: str | None) -> str | None:
    match = _MARKED.search(title or "")
    return match[1] if match else None


def _params(values: Mapping[str, object]) -> dict[str, str]:
    return {name: _param(name, value) for name, value in values.items() if value is not None}


def _param(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        raise Refused(f"{SYSTEM}: {name} is no single value; map it to one", cause="not_a_parameter", field=name)
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
