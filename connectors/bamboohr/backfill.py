"""Ask BambooHR for what no webhook told: the employees that changed since a moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from connectors.bamboohr.client import BambooHrClient
from connectors.bamboohr.records import Change
from connectors.records.instants import instant_in, utc_now
from workforce.errors import Refused
from workforce.events import SourceEvent
from workforce.ports import EventPage

log = structlog.get_logger(__name__)

THE_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
OPEN: Final = timedelta(minutes=2)
OVERLAP: Final = timedelta(minutes=10)
KINDS: Final = {"Inserted": "employee.created", "Deleted": "employee.deleted"}
_ID = re.compile(r"[\x21-\x7e]{1,64}")


class BambooHrBackfill:
    """Changed employees as hints, in one page. The cursor is the instant of the youngest change that was told (ISO, UTC).

    BambooHR counts in seconds, shows only an employee's last change, and does not say whether ``since`` includes its own second. So the
    last minutes are read again each time, and a change that was told before has the same identity and is dropped as a duplicate. But in
    a second that is not over for sure there may be another one: such a change is told under a passing identity, and again under its own
    when the second is ``OPEN`` past. ``now`` is aware.
    """

    def __init__(self, client: BambooHrClient, *, now: Callable[[], datetime] = utc_now) -> None:
        self._client, self._now = client, now

    def missed(self, cursor: str | None) -> EventPage:
        """The last change of every employee that changed since ``cursor``; from the first employee on for ``None``.

        A hint's identity is employee, action and instant: a webhook's is another, so what both tell is read twice. Raises ``Refused``
        for a cursor that is none of ours.
        """
        now = self._now()
        asked = instant_in(cursor) if cursor else THE_BEGINNING
        if asked is None:
            raise Refused("bamboohr: the cursor is no instant; begin anew without one", cause="bad_cursor", field="cursor")
        told_until = min(asked, now)
        changes = self._client.changed(max(told_until, THE_BEGINNING + OVERLAP) - OVERLAP).employees
        events = [_event(employee_id, change, now) for employee_id, change in changes.items() if _ID.fullmatch(employee_id)]
        if len(events) < len(changes):
            log.warning("bamboohr.unusable_changes", count=len(changes) - len(events))
        events.sort(key=lambda event: (event.occurred_at or now, event.subject_id))
        latest = max([told_until, *(event.occurred_at for event in events if event.occurred_at)])
        return EventPage(events, min(latest, now).isoformat())  # a day to come would hide all changes before it


def _event(employee_id: str, change: Change, now: datetime) -> SourceEvent:
    kind, at = KINDS.get(change.action, "employee.updated"), instant_in(change.lastChanged) or now
    passing = "" if now - at >= OPEN else ":passing"
    return SourceEvent(f"{employee_id}:{kind}:{at.isoformat()}{passing}", kind, employee_id, at)
