"""``stint audit who-had-access``: who had access to a system at an instant, why, since when and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cli import actor
from cli.reading import find_engagement
from config.hub import Hub
from ledger import documents
from ledger.access import history as access_history
from ledger.access.history import Held, Question
from ledger.database import Tx
from ledger.identity import workers
from workforce.errors import Misconfigured, NotFound


@dataclass(frozen=True, slots=True)
class Answer:
    """What was held in ``system`` at ``at``. Of instants before ``recorded_since`` the ledger knows nothing (``None``: of none)."""

    system: str
    at: datetime
    recorded_since: datetime | None
    held: tuple[Held, ...]

    @property
    def is_before_the_records(self) -> bool:
        """Whether an empty answer only means that nothing was recorded yet."""
        return self.recorded_since is None or self.at < self.recorded_since


def who_had_access(
    hub: Hub, tenant: str, *, system: str, at: str | None = None, engagement: str | None = None, person: str | None = None
) -> Answer:
    """The answer, audited. ``at`` is an instant with its zone (now by the database's clock without one), ``person`` a worker's id or marker.

    Raises ``Misconfigured`` (cause ``bad_instant``); ``NotFound`` for a system, an engagement or a person that is not there.
    """
    with hub.database.transaction(tenant) as tx:
        instant = tx.began_at if at is None else past_instant(at, now=tx.began_at)
        recorded = access_history.recorded_since(tx)
        _require_directory(tx, hub, tenant, system, frozenset(recorded))
        question = Question(
            directory=system,
            at=instant,
            engagement_id=find_engagement(tx, engagement).id if engagement else None,
            worker_id=find_worker(tx, person) if person else None,
        )
        held = access_history.who_had_access(tx, question, actor.person())
    return Answer(system, instant, recorded.get(system), tuple(held))


def past_instant(text: str, *, now: datetime) -> datetime:
    """``2026-09-30T12:00Z`` as an instant. Raises ``Misconfigured`` (cause ``bad_instant``) without a zone, or later than ``now``."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        message = f"--at: {text!r} is no instant with a time zone; write it as 2026-09-30T12:00Z or 2026-09-30T14:00+02:00"
        raise Misconfigured(message, cause="bad_instant", field="at")
    if at > now:
        raise Misconfigured(f"--at: {text} is still to come; the ledger knows what was", cause="bad_instant", field="at")
    return at.astimezone(UTC)


def find_worker(tx: Tx, person: str) -> UUID:
    """The worker by id or marker. Raises ``NotFound``: names and addresses are not asked for, since several people may share one."""
    try:
        return workers.get(tx, UUID(person)).id
    except ValueError:
        found = workers.by_marker(tx, person)
    except NotFound:
        found = None
    if found is None:
        raise NotFound(f"no worker has the id or marker {person!r}; see: stint engagements show ID", field="person")
    return found.id


def rows(answer: Answer) -> list[dict[str, Any]]:
    """The answer as plain values, one row an entitlement."""
    return [
        {
            "person": held.marker,
            "worker_id": str(held.worker_id),
            "engagement_id": str(held.engagement_id),
            "work_order": held.vms_id,
            "account_id": held.account_id,
            "kind": held.entitlement.kind.value,
            "entitlement": held.entitlement.id,
            "reason": dict(held.reason),
            "since": held.since.isoformat(),
            "until": held.until.isoformat() if held.until else None,
        }
        for held in answer.held
    ]


def reason_text(reason: dict[str, Any]) -> str:
    """``software-engineer v2, approved by ines@acme.example``."""
    package = f"{reason.get('package', 'unknown')} v{reason.get('version', '?')}"
    approver = reason.get("approved_by")
    return f"{package}, approved by {approver}" if approver else package


def _require_directory(tx: Tx, hub: Hub, tenant: str, system: str, recorded: frozenset[str]) -> None:
    """A misspelt system must not be answered with nobody."""
    known = recorded | (set(hub.tenant(tenant).document.systems.directories) if documents.version(tx) else set())
    if system not in known:
        raise NotFound(f"{system!r} is no directory of {tenant}; there are: {', '.join(sorted(known))}", field="system")
