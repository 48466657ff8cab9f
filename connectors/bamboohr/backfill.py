"""Ask BambooHR for what no webhook told: the employees that changed since a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from connectors.bamboohr.client import BambooHrClient
from connectors.bamboohr.records import Change
from workforce.errors import Refused
from workforce.events import SourceEvent
from workforce.ports import EventPage

THE_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP: Final = timedelta(minutes=1)
KINDS: Final = {"Inserted": "employee.created", "Updated": "employee.updated", "Deleted": "employee.deleted"}


class BambooHrBackfill:
    """Changed employees as hints, in one page. The cursor is the instant of the youngest change that was told (ISO, UTC).

    BambooHR counts in seconds, and whether ``since`` includes its own second is not said. So a minute is read again each time; a change
    that was told before has the same identity and is dropped as a duplicate.
    """

    def __init__(self, client: BambooHrClient) -> None:
        self._client = client

    def missed(self, cursor: str | None) -> EventPage:
        """The last change of every employee that changed since ``cursor``; from the first employee on for ``None``.

        A hint's identity is employee, action and instant: a webhook's is another, so what both tell is read twice. Raises ``Refused``
        for a cursor that is none of ours.
        """
        told_until = _instant(cursor) if cursor else THE_BEGINNING
        changes = self._client.changed(max(told_until - OVERLAP, THE_BEGINNING))
        events = [_event(employee_id, change, changes.latest) for employee_id, change in changes.employees.items()]
        events.sort(key=lambda event: (event.occurred_at or changes.latest, event.subject_id))
        latest = max([told_until, *(event.occurred_at for event in events if event.occurred_at)])
        return EventPage(events, latest.isoformat())


def _event(employee_id: str, change: Change, latest: datetime) -> SourceEvent:
    at = (change.lastChanged or latest).astimezone(UTC)
    return SourceEvent(f"{employee_id}:{change.action}:{at.isoformat()}", KINDS[change.action], employee_id, at)


def _instant(cursor: str) -> datetime:
    try:
        return datetime.fromisoformat(cursor).astimezone(UTC)
    except ValueError:
        raise Refused("bamboohr: the cursor is no instant; begin anew without one", cause="bad_cursor", field="cursor") from None
