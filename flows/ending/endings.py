"""Endings in life: what people do to them, and the record that closes one. Everything here is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from compliance.sla import offboarding
from config.hub import Hub
from config.tenant import TenantConfig
from flows.feeds.intake import Intake
from flows.feeds.polling import take_again
from ledger import engagements
from ledger.access import grants
from ledger.access.grants import Grant
from ledger.database import Tx
from ledger.ending import ended, endings, ends, evidence, holds
from ledger.ending.endings import Ending, EndingCause
from ledger.ending.holds import Hold
from ledger.queueing.jobs import defer_joiner, defer_leaver
from ledger.trail import audit
from ledger.trail.audit import AuditEntry
from provisioning.closure import (
    AuditHead,
    Closure,
    Exposure,
    GivenEvidence,
    Left,
    RecordClosure,
    Removed,
    StandingHold,
    SystemClosure,
    Trigger,
    latest,
    residual_of,
)
from provisioning.licences import Reclaiming, may_reclaim
from workforce.access import SIGN_IN, EntitlementKind
from workforce.engagement import Engagement
from workforce.errors import Misconfigured, Refused
from workforce.events import HUB, Actor

_BLOCKED, _KEPT, _RECORDED, _GONE = "access.blocked", "access.kept", "access.recorded", "access.revoked"
_RECORD_ENDED = "record.end_verified"
_PROOFS = (_BLOCKED, _KEPT, _RECORDED, _GONE, _RECORD_ENDED)


def end_now(tx: Tx, engagement_id: UUID, actor: Actor, *, reason: str, converted: bool = False) -> Engagement:
    """End the stint now, whoever still has to approve anything; ``converted``: the person goes on as an employee.

    Raises ``Refused`` where there is nothing to end.
    """
    cause = EndingCause.CONVERTED if converted else EndingCause.TERMINATED
    return ends.terminate(tx, engagement_id, actor, reason=reason, cause=cause)


def extend(tx: Tx, hub: Hub, engagement_id: UUID, until: date, actor: Actor, *, reason: str) -> Engagement:
    """Let the stint run until the end of ``until``. Raises ``Refused`` as ``ledger.ending.ends.extend`` does."""
    return _with_alerts(tx, hub, ends.extend(tx, engagement_id, until, actor, reason=reason))


def ask_restore(tx: Tx, hub: Hub, engagement_id: UUID, actor: Actor, *, reason: str) -> Engagement:
    """Ask for an ending to be taken back; where one person is enough, it is. Raises ``Refused``."""
    endings.ask_undo(tx, engagement_id, actor, reason=reason)
    if hub.tenant(tx.tenant).document.access.endings.undo_needs_two:
        return engagements.get(tx, engagement_id)
    return confirm_restore(tx, hub, engagement_id, actor)


def confirm_restore(tx: Tx, hub: Hub, engagement_id: UUID, actor: Actor) -> Engagement:
    """Take an ending back as somebody asked. Raises ``Refused``, also where whoever asked confirms and two are needed."""
    needs_two = hub.tenant(tx.tenant).document.access.endings.undo_needs_two
    return _with_alerts(tx, hub, endings.confirm_undo(tx, engagement_id, actor, needs_two=needs_two))


def hear_again(hub: Hub, tenant: str, vms_id: str) -> None:
    """Read the work order again before an ending is taken back: Stint itself closes it there once an ending is complete.

    What it says counts; what is wrong with it goes to the failure list. Raises ``RetryLater``, ``Misconfigured``, ``NotFound``.
    """
    take_again(hub, tenant, vms_id)


def release_hold(tx: Tx, hold_id: UUID, actor: Actor, *, reason: str) -> Hold:
    """Release a hold; where none stands any more, the leaver takes the licences that it kept. Raises ``Refused``, ``NotFound``."""
    released = holds.release(tx, hold_id, reason=reason, actor=actor)
    if not holds.standing(tx, released.worker_id):
        _leave_again(tx, released.worker_id)
    return released


def give_evidence(tx: Tx, engagement_id: UUID, actor: Actor, *, subject: str, statement: str) -> evidence.Evidence:
    """Keep what a person states; the leaver takes the licences that waited for it. Raises ``NotFound``."""
    worker_id = engagements.get(tx, engagement_id).worker.id
    given = evidence.give(tx, engagement_id, subject=subject, statement=statement, actor=actor)
    _leave_again(tx, worker_id)
    return given


def licence_verdict(tx: Tx, config: TenantConfig, engagement: Engagement, licence: str) -> Reclaiming:
    """Whether the leaver may take a licence of the engagement's account now, or why not."""
    return may_reclaim(
        licence,
        policy=config.document.access.endings,
        on_hold=bool(holds.standing(tx, engagement.worker.id)),
        evidence={each.subject for each in evidence.of(tx, engagement.id)},
    )


def close_ending(tx: Tx, config: TenantConfig, engagement_id: UUID, *, now: datetime, actor: Actor = HUB) -> Closure:
    """Write the closure record of the ending that has begun, from what was read back, and audit its digest.

    It may be written again, when something that was left has gone. Raises ``Refused`` (cause ``nothing_to_undo``) where none has begun.
    """
    engagement, ending = engagements.get(tx, engagement_id), endings.current(tx, engagement_id)
    if ending is None:
        raise Refused(f"engagement {engagement_id}: no ending is known to have begun", cause="nothing_to_undo", field="state")
    proofs = _Proofs.of(tx, ending)
    seq, digest = ended.trail_head(tx)
    closure = Closure(
        engagement_id=engagement_id,
        vms_id=engagement.terms.vms_id,
        end_at=ending.end_at,
        trigger=_trigger(ending),
        systems=_systems(tx, config, engagement, ending, proofs),
        records=proofs.records(),
        exposure=_exposure(config, engagement, ending, now),
        holds=_holds(tx, engagement),
        evidence=_evidence(tx, engagement_id),
        audit=AuditHead(seq=seq, sha256=digest),
        closed_at=now,
    )
    endings.close(tx, engagement_id, closure.values(), sha256=closure.sha256(), actor=actor)
    return closure


@dataclass(frozen=True, slots=True)
class _Proofs:
    """What the leaver told the audit trail since the ending began."""

    entries: Sequence[AuditEntry]

    @classmethod
    def of(cls, tx: Tx, ending: Ending) -> _Proofs:
        found = [entry for action in _PROOFS for entry in audit.entries(tx, engagement_id=ending.engagement_id, action=action)]
        return cls([entry for entry in found if _at(entry) >= ending.began_at])

    def systems(self) -> set[str]:
        """The directories that it tells of."""
        return {_system(entry) for entry in self.entries if entry.event["action"] != _RECORD_ENDED}

    def told(self, action: str, system: str) -> list[AuditEntry]:
        """The events of one kind in one system, oldest first."""
        return [entry for entry in self.entries if entry.event["action"] == action and _system(entry) == system]

    def first(self, action: str, system: str) -> dict[str, datetime]:
        """Account id → when it was told of it first."""
        found: dict[str, datetime] = {}
        for entry in self.told(action, system):
            found.setdefault(str(entry.event["details"].get("account_id", "")), _at(entry))
        return found

    def recorded(self, system: str) -> dict[str, tuple[str, ...]]:
        """Account id → what it held when the removal began."""
        found: dict[str, tuple[str, ...]] = {}
        for entry in self.told(_RECORDED, system):
            details = entry.event["details"]
            found.setdefault(str(details.get("account_id", "")), tuple(details.get("held", ())))
        return found

    def records(self) -> tuple[RecordClosure, ...]:
        """The records that were read back as ended, each for the first time."""
        found: dict[tuple[str, str], datetime] = {}
        for entry in self.entries:
            if entry.event["action"] == _RECORD_ENDED:
                found.setdefault((_system(entry), str(entry.event["details"].get("record_id", ""))), _at(entry))
        return tuple(RecordClosure(system=s, record_id=r, verified_at=at) for (s, r), at in sorted(found.items()))


def _systems(tx: Tx, config: TenantConfig, engagement: Engagement, ending: Ending, proofs: _Proofs) -> tuple[SystemClosure, ...]:
    by_directory: dict[str, list[Grant]] = {system: [] for system in proofs.systems()}
    for grant in grants.history_of(tx, engagement.id):
        if grant.unwanted_at is not None and (grant.revoked_at is None or grant.revoked_at >= ending.began_at):
            by_directory.setdefault(grant.directory, []).append(grant)
    return tuple(
        _system_closure(system, _connector(config, system), rows, proofs, _why_left(tx, config, engagement, rows))
        for system, rows in sorted(by_directory.items())
    )


def _system_closure(
    system: str, connector: str, rows: Sequence[Grant], proofs: _Proofs, why: Mapping[UUID, str]
) -> SystemClosure:
    blocked, recorded = proofs.first(_BLOCKED, system), proofs.recorded(system)
    kept = bool(proofs.told(_KEPT, system)) and not blocked
    accounts = {*blocked, *recorded, *proofs.first(_GONE, system), *(row.account_id for row in rows if row.account_id)}
    by_grant = latest(*(row.revoked_at for row in rows if row.entitlement == SIGN_IN))
    return SystemClosure(
        system=system,
        connector=connector,
        accounts=tuple(sorted(accounts)),
        sign_in_blocked_at=None if kept else latest(*blocked.values()) or by_grant,
        kept_for_another=kept,
        revoked_at=None if why else latest(*(row.revoked_at for row in rows)),
        recorded=recorded,
        removed=tuple(Removed(entitlement=str(r.entitlement), revoked_at=r.revoked_at) for r in rows if r.revoked_at),
        left=tuple(Left(entitlement=str(row.entitlement), why=why[row.id]) for row in rows if row.id in why),
        residual=residual_of(connector),
    )


def _why_left(tx: Tx, config: TenantConfig, engagement: Engagement, rows: Sequence[Grant]) -> dict[UUID, str]:
    """Grant → why it is not proven to be gone."""
    why: dict[UUID, str] = {}
    for row in rows:
        if row.revoked_at is None:
            is_licence = row.entitlement.kind is EntitlementKind.LICENCE
            verdict = licence_verdict(tx, config, engagement, row.entitlement.id) if is_licence else Reclaiming(True)
            why[row.id] = verdict.why or "it is not proven to be gone"
    return why


def _exposure(config: TenantConfig, engagement: Engagement, ending: Ending, now: datetime) -> Exposure:
    proven = engagement.revoked_verified_at
    figure = offboarding(ending.end_at, proven, config.document.calendar, now=now)
    return Exposure(
        revoked_at=proven,
        seconds=figure.exposure_seconds or 0.0,
        business_hours=figure.value,
        state=figure.state.value,
        due_at=figure.due_at,
        calendar_id=figure.calendar_id,
        calendar_version=figure.calendar_version,
    )


def _trigger(ending: Ending) -> Trigger:
    return Trigger(
        number=ending.number, cause=ending.cause, reason=ending.reason, began_at=ending.began_at, began_by=ending.began_by
    )


def _holds(tx: Tx, engagement: Engagement) -> tuple[StandingHold, ...]:
    found = holds.standing(tx, engagement.worker.id)
    return tuple(StandingHold(hold_id=hold.id, placed_at=hold.placed_at, placed_by=hold.placed_by) for hold in found)


def _evidence(tx: Tx, engagement_id: UUID) -> tuple[GivenEvidence, ...]:
    return tuple(
        GivenEvidence(
            evidence_id=each.id, subject=each.subject, statement=each.statement, given_at=each.given_at, given_by=each.given_by
        )
        for each in evidence.of(tx, engagement_id)
    )


def _connector(config: TenantConfig, system: str) -> str:
    try:
        return config.instance(system).connector.key
    except Misconfigured:
        return "unknown"  # it was taken out of the configuration since


def _with_alerts(tx: Tx, hub: Hub, engagement: Engagement) -> Engagement:
    Intake(hub, tx.tenant, engagement.vms_system).arm_alerts(tx, engagement)
    return engagement


def _leave_again(tx: Tx, worker_id: UUID) -> None:
    """What was kept is looked at again: by the leavers of what has ended, and by the joiners of what goes on (a licence kept by a move)."""
    for engagement_id in ended.with_licences_left(tx, worker_id):
        defer_leaver(tx, engagement_id)
    for engagement in engagements.going_on(tx, worker_id):
        defer_joiner(tx, engagement.id)


def _at(entry: AuditEntry) -> datetime:
    return datetime.fromisoformat(entry.event["recorded_at"])


def _system(entry: AuditEntry) -> str:
    return str(entry.event["target"].get("system") or "")
