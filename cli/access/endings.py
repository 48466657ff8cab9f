"""``stint engagements end|extend|restore|closure``, ``stint holds`` and ``stint evidence``: what people do to endings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from cli.actor import person, stated
from cli.reading import find_engagement
from config.hub import Hub
from flows.ending import endings as doing
from ledger.database import Tx
from ledger.ending import endings, evidence, holds
from ledger.ending.evidence import Evidence
from ledger.ending.holds import Hold
from ledger.identity import workers
from workforce.engagement import Engagement
from workforce.errors import NotFound


def end_now(hub: Hub, tenant: str, key: str, reason: str, *, converted: bool = False) -> dict[str, Any]:
    """End a stint now; ``had_begun``: when its ending had begun before, if it had. Raises ``NotFound``, ``Refused``."""
    why = stated(reason, "reason")
    with hub.database.transaction(tenant) as tx:
        known = find_engagement(tx, key)
        told = _told(tx, doing.end_now(tx, known.id, person(), reason=why, converted=converted))
    return {**told, "had_begun": known.tombstoned_at, "revoked_verified_at": known.revoked_verified_at}


def extend(hub: Hub, tenant: str, key: str, until: date, reason: str) -> dict[str, Any]:
    """Let a stint run until the end of ``until``. Raises ``NotFound``, ``Refused``."""
    why = stated(reason, "reason")
    with hub.database.transaction(tenant) as tx:
        return _told(tx, doing.extend(tx, hub, find_engagement(tx, key).id, until, person(), reason=why))


def ask_restore(hub: Hub, tenant: str, key: str, reason: str) -> dict[str, Any]:
    """Ask for an ending to be taken back. Raises ``NotFound``, ``Refused``."""
    why = stated(reason, "reason")
    _hear_again(hub, tenant, key)
    with hub.database.transaction(tenant) as tx:
        return _told(tx, doing.ask_restore(tx, hub, find_engagement(tx, key).id, person(), reason=why))


def confirm_restore(hub: Hub, tenant: str, key: str) -> dict[str, Any]:
    """Take an ending back as somebody asked. Raises ``NotFound``, ``Refused``."""
    _hear_again(hub, tenant, key)
    with hub.database.transaction(tenant) as tx:
        return _told(tx, doing.confirm_restore(tx, hub, find_engagement(tx, key).id, person()))


def closure(hub: Hub, tenant: str, key: str, number: int | None) -> tuple[Mapping[str, Any], list[Evidence]]:
    """The closure record of an ending, and what was stated after it was written. Raises ``NotFound``."""
    with hub.database.transaction(tenant) as tx:
        engagement = find_engagement(tx, key)
        closed = [each.number for each in endings.history(tx, engagement.id) if each.closure]
        if not closed or number not in {None, *closed}:
            raise NotFound(_not_closed(engagement, number, closed), field="ending")
        record = endings.closed_record(tx, engagement.id, number)
        known = {each["evidence_id"] for each in record["evidence"]}
        return record, [each for each in evidence.of(tx, engagement.id) if str(each.id) not in known]


def place_hold(hub: Hub, tenant: str, *, key: str, matter: str, scope: str) -> dict[str, Any]:
    """Place a hold on a worker, by an engagement of theirs or by the worker's id. Raises ``NotFound``."""
    what, covers = stated(matter, "matter"), stated(scope, "scope")
    with hub.database.transaction(tenant) as tx:
        return _hold(tx, holds.place(tx, _worker_of(tx, key), matter=what, scope=covers, actor=person()))


def release_hold(hub: Hub, tenant: str, hold_id: UUID, reason: str) -> dict[str, Any]:
    """Release a hold. Raises ``NotFound``, ``Refused``."""
    why = stated(reason, "reason")
    with hub.database.transaction(tenant) as tx:
        return _hold(tx, doing.release_hold(tx, hold_id, person(), reason=why))


def hold_rows(hub: Hub, tenant: str, *, released: bool) -> list[dict[str, Any]]:
    """The holds that stand; with ``released`` also the others."""
    with hub.database.transaction(tenant) as tx:
        return [_hold(tx, hold) for hold in holds.list_all(tx, released=released)]


def give_evidence(hub: Hub, tenant: str, key: str, *, subject: str, statement: str) -> dict[str, Any]:
    """Keep a statement about an engagement. Raises ``NotFound``."""
    about, said = stated(subject, "subject"), stated(statement, "statement")
    with hub.database.transaction(tenant) as tx:
        engagement = find_engagement(tx, key)
        return _given(doing.give_evidence(tx, engagement.id, person(), subject=about, statement=said))


def evidence_rows(hub: Hub, tenant: str, key: str) -> list[dict[str, Any]]:
    """Everything that was stated about an engagement, oldest first. Raises ``NotFound``."""
    with hub.database.transaction(tenant) as tx:
        return [_given(each) for each in evidence.of(tx, find_engagement(tx, key).id)]


def _hear_again(hub: Hub, tenant: str, key: str) -> None:
    """The work order as it is in the VMS now; an ending that is complete has closed it there."""
    with hub.database.transaction(tenant) as tx:
        vms_id = find_engagement(tx, key).terms.vms_id
    doing.hear_again(hub, tenant, vms_id)


def _worker_of(tx: Tx, key: str) -> UUID:
    """The worker of an engagement, or the worker with that id itself."""
    try:
        return workers.get(tx, UUID(key)).id
    except (ValueError, NotFound):
        return find_engagement(tx, key).worker.id


def _not_closed(engagement: Engagement, number: int | None, closed: list[int]) -> str:
    about = engagement.terms.vms_id
    if closed:
        return f"{about} has no closure record of ending {number}; closed: {', '.join(map(str, closed))}"
    return f"{about} is {engagement.state}; no ending of it has been closed, so there is no closure record yet"


def _told(tx: Tx, engagement: Engagement) -> dict[str, Any]:
    """What has become of the engagement, for people and programs."""
    ending = endings.current(tx, engagement.id)
    asked = ending.undo_asked_by if ending else None
    return {
        "engagement_id": str(engagement.id),
        "vms_id": engagement.terms.vms_id,
        "state": engagement.state.value,
        "last_day": None if engagement.terms.terminates_at else engagement.terms.ends_on,
        "end_at": engagement.end_at,
        "end_has_passed": _has_passed(tx, engagement),
        "ending": None if ending is None else ending.number,
        "restore_asked_by": asked,
    }


def _has_passed(tx: Tx, engagement: Engagement) -> bool:
    """Whether every end has passed of which an ending that is taken back could go on: the one that counts, and the one the VMS says."""
    said = engagement.reported_terms or engagement.terms
    return max(said.end_instant(), engagement.terms.end_instant()) <= tx.began_at


def _hold(tx: Tx, hold: Hold) -> dict[str, Any]:
    return {**{name: getattr(hold, name) for name in Hold.__slots__}, "marker": workers.get(tx, hold.worker_id).marker}


def _given(stated_by: Evidence) -> dict[str, Any]:
    return {name: getattr(stated_by, name) for name in Evidence.__slots__}
