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

from connectors.records.nulls import refuse_nulls, without_nulls
from connectors.workmarket.client import WorkMarketClient
from connectors.workmarket.records import SYSTEM, Assignment
from connectors.workmarket.source import every_item
from workforce.errors import NotFound, Refused
from workforce.ports import StoredRecord

_MARKED = re.compile(r"\s*\[([0-9A-Za-z]{1,40})\]\s*$")
_SCHEDULE = ("scheduled_start", "scheduled_end")
_DATED = re.compile(r"(\d{4}/\d{2}/\d{2} \d{2}:\d{2} [AP]M)(?: (\S+))?")
ONLY_AT_CREATION = frozenset({
    "assign_to_first_to_accept", "auto_invite", "deliverables_due_date", "deliverables_instructions", "disable_address_correction",
    "external_work_id", "payment_terms_days", "private_instructions", "resource_id", "send_radius", "show_in_work_feed", "template_id",
})  # fmt: skip
"""Parameters that the description has for ``create`` and not for ``edit``."""


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
        """Create an assignment whose title carries ``marker``; its id. ``None`` values are left out. Raises ``Refused``, ``OutcomeUnknown``."""
        return self._client.create(
            _params({**without_nulls(values), "title": f"{values.get('title') or 'Assignment'} [{marker}]"})
        )

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Set parameters of ``edit``, and of ``reschedule`` once somebody is assigned. Idempotent. Raises ``NotFound``.

        Before anything is sent, raises ``Refused`` naming the parameter: the API empties none (cause ``cannot_be_emptied``), and some only
        a creation takes (``not_amendable``; the worker who is assigned already is passed over).
        """
        refuse_nulls("workmarket", values)
        assignment, shown = self._client.assignment(external_id)
        _refuse_what_only_a_creation_takes(values, shown)
        marker = _marker(assignment.title)
        fields = {name: value for name, value in values.items() if name not in ONLY_AT_CREATION}
        if fields.get("title") and marker:
            fields["title"] = f"{fields['title']} [{marker}]"
        schedule = self._taken_out(assignment, fields) if self._is_assigned(assignment) else {}
        if fields:
            self._client.change(f"{quote(external_id, safe='')}/edit", _params(fields))
        if any(getattr(assignment, name) != value for name, value in schedule.items()):
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

    def _taken_out(self, assignment: Assignment, fields: dict[str, object]) -> dict[str, object]:
        """The times among ``fields``, which lose them, in the API's unit: ``reschedule`` knows no dates."""
        dated = {name: fields.pop(f"{name}_date") for name in _SCHEDULE if f"{name}_date" in fields}
        plain = {name: fields.pop(name) for name in _SCHEDULE if name in fields}
        return {name: self._client.ticks(_instant(assignment, f"{name}_date", text)) for name, text in dated.items()} | plain

    def _reschedule(self, assignment: Assignment, schedule: Mapping[str, object]) -> None:
        now = {"scheduled_start": assignment.scheduled_start, "scheduled_end": assignment.scheduled_end}
        self._client.change("reschedule", _params(without_nulls({"id": assignment.id, **now, **schedule})))

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


def _refuse_what_only_a_creation_takes(values: Mapping[str, object], shown: Mapping[str, Any]) -> None:
    held = shown.get("active_resource") or {}
    assigned = {str(held[name]) for name in ("id", "email") if held.get(name)}
    for name in sorted(values.keys() & ONLY_AT_CREATION):
        told = values[name]
        if name == "resource_id" and assigned.intersection(map(str, told if isinstance(told, list | tuple) else [told])):
            continue
        message = f"{SYSTEM}: {name} is taken only while an assignment is made; change it in WorkMarket and make its rule weak"
        raise Refused(message, cause="not_amendable", field=name)


def _instant(assignment: Assignment, name: str, text: object) -> datetime:
    """The instant that a date of the API's names (``yyyy/MM/dd hh:mm a``), in its own zone or that of the place of work."""
    written = _DATED.fullmatch(str(text))
    try:
        zone = ZoneInfo((written[2] if written else None) or assignment.time_zone or "")
        return datetime.strptime(written[1] if written else "", "%Y/%m/%d %I:%M %p").replace(tzinfo=zone)
    except (ValueError, KeyError, OSError):
        message = (
            f"{SYSTEM}: {name} is no instant; write yyyy/MM/dd hh:mm a with an IANA zone, or none where the assignment has one"
        )
        raise Refused(message, cause="no_instant", field=name) from None


def _params(values: Mapping[str, object]) -> dict[str, str]:
    return {name: _param(name, value) for name, value in values.items()}


def _param(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        raise Refused(f"{SYSTEM}: {name} is no single value; map it to one", cause="not_a_parameter", field=name)
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
