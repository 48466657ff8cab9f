"""``stint engagements end|extend|restore|closure``, ``stint holds`` and ``stint evidence``: what people do to endings."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from cli.reading import find_engagement
from config.hub import Hub
from flows import endings as doing
from ledger import endings, holds, workers
from ledger.database import Tx
from ledger.evidence import Evidence
from ledger.holds import Hold
from workforce.engagement import Engagement
from workforce.errors import NotFound
from workforce.events import Actor, ActorType


def person() -> Actor:
    """Whoever types."""
    return Actor(ActorType.HUMAN, getpass.getuser(), auth="cli")


def end_now(hub: Hub, tenant: str, key: str, reason: str) -> dict[str, Any]:
    """End a stint now. Raises ``NotFound``, ``Refused``."""
    with hub.database.transaction(tenant) as tx:
        return _told(tx, doing.end_now(tx, find_engagement(tx, key).id, person(), reason=reason))


def extend(hub: Hub, tenant: str, key: str, until: date, reason: str) -> dict[str, Any]:
    """Let a stint run until the end of ``until``. Raises ``NotFound``, ``Refused``."""
    with hub.database.transaction(tenant) as tx:
        return _told(tx, doing.extend(tx, hub, find_engagement(tx, key).id, until, person(), reason=reason))


def ask_restore(hub: Hub, tenant: str, key: str, reason: str) -> dict[str, Any]:
    """Ask for an ending to be taken back. Raises ``NotFound``, ``Refused``."""
    _hear_again(hub, tenant, key)
    with hub.database.transaction(tenant) as tx:
        return _told(tx, doing.ask_restore(tx, hub, find_engagement(tx, key).id, person(), reason=reason))


def confirm_restore(hub: Hub, tenant: str, key: str) -> dict[str, Any]:
    """Take an ending back as somebody asked. Raises ``NotFound``, ``Refused``."""
    _hear_again(hub, tenant, key)
    with hub.database.transaction(tenant) as tx:
        return _told(tx, doing.confirm_restore(tx, hub, find_engagement(tx, key).id, person()))


def closure(hub: Hub, tenant: str, key: str, number: int | None) -> Mapping[str, Any]:
    """The closure record of an ending. Raises ``NotFound``."""
    with hub.database.transaction(tenant) as tx:
        return endings.closed_record(tx, find_engagement(tx, key).id, number)


def closure_lines(record: Mapping[str, Any]) -> list[str]:
    """The record for a terminal."""
    exposure, trigger = record["exposure"], record["trigger"]
    lines = [
        f"{record['vms_id']}: ending {trigger['number']} ({trigger['cause']}, by {trigger['began_by']}), end {record['end_at']}",
        (
            f"proven gone {exposure['revoked_at'] or 'NOT YET'}: exposed {exposure['seconds']:.0f} s,"
            f" {exposure['business_hours']:.2f} business hours, {exposure['state']}"
        ),
    ]
    for system in record["systems"]:
        blocked = "goes on for another engagement" if system["kept_for_another"] else system["sign_in_blocked_at"] or "not proven"
        lines.append(f"{system['system']} ({system['connector']}): sign-in blocked {blocked}")
        lines += [f"  gone {each['revoked_at']}  {each['entitlement']}" for each in system["removed"]]
        lines += [f"  LEFT  {each['entitlement']}: {each['why']}" for each in system["left"]]
        lines.append(f"  still possible: {system['residual']['statement']}")
    lines += [f"record ended {each['verified_at']}  {each['system']} {each['record_id']}" for each in record["records"]]
    lines += [f"hold {each['hold_id']} since {each['placed_at']}, by {each['placed_by']}" for each in record["holds"]]
    lines += [f"evidence on {each['subject']}, by {each['given_by']}: {each['statement']}" for each in record["evidence"]]
    return lines


def place_hold(hub: Hub, tenant: str, *, key: str, matter: str, scope: str) -> dict[str, Any]:
    """Place a hold on a worker, by an engagement of theirs or by the worker's id. Raises ``NotFound``."""
    with hub.database.transaction(tenant) as tx:
        return _hold(holds.place(tx, _worker_of(tx, key), matter=matter, scope=scope, actor=person()))


def release_hold(hub: Hub, tenant: str, hold_id: UUID, reason: str) -> dict[str, Any]:
    """Release a hold. Raises ``NotFound``, ``Refused``."""
    with hub.database.transaction(tenant) as tx:
        return _hold(doing.release_hold(tx, hold_id, person(), reason=reason))


def hold_rows(hub: Hub, tenant: str, *, released: bool) -> list[dict[str, Any]]:
    """The holds that stand; with ``released`` also the others."""
    with hub.database.transaction(tenant) as tx:
        return [_hold(hold) for hold in holds.list_all(tx, released=released)]


def give_evidence(hub: Hub, tenant: str, key: str, *, subject: str, statement: str) -> dict[str, Any]:
    """Keep a statement about an engagement. Raises ``NotFound``."""
    with hub.database.transaction(tenant) as tx:
        engagement = find_engagement(tx, key)
        return _given(doing.give_evidence(tx, engagement.id, person(), subject=subject, statement=statement))


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


def _told(tx: Tx, engagement: Engagement) -> dict[str, Any]:
    """What has become of the engagement, for people and programs."""
    ending = endings.current(tx, engagement.id)
    asked = ending.undo_asked_by if ending else None
    return {
        "engagement_id": str(engagement.id),
        "vms_id": engagement.terms.vms_id,
        "state": engagement.state.value,
        "end_at": engagement.end_at.isoformat(),
        "ending": None if ending is None else ending.number,
        "restore_asked_by": asked,
    }


def _hold(hold: Hold) -> dict[str, Any]:
    return {name: getattr(hold, name) for name in Hold.__slots__}


def _given(evidence: Evidence) -> dict[str, Any]:
    return {name: getattr(evidence, name) for name in Evidence.__slots__}
