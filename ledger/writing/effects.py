"""The record of outside writes: the ``EffectLog`` of ``workforce.ports`` on PostgreSQL.

Each call is one committed transaction that also writes the audit trail. Two fences guard it: the engagement's epoch (the engagement
moved on) and the runner (somebody else took the effect up).
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from ledger.database import Database, Row, Tx
from ledger.ids import uuid7
from ledger.trail import audit
from ledger.writing.effect_history import EffectLine, list_for, reopen, retries
from workforce.effects import REVOKING, Effect, EffectKind, EffectRecord
from workforce.errors import Fenced, HubError, NotFound, RetryLater
from workforce.events import Actor, AuditEvent, Outcome
from workforce.ports import Clock
from workforce.states import EFFECT_TRANSITIONS, EffectState, require_transition

__all__ = ["EffectLine", "LedgerEffects", "list_for", "reopen", "retries"]

_ACTIONS = {
    EffectKind.CREATE_RECORD: "record.created",
    EffectKind.UPDATE_RECORD: "record.updated",
    EffectKind.END_RECORD: "record.ended",
    EffectKind.CREATE_ACCOUNT: "account.created",
    EffectKind.UPDATE_ACCOUNT: "account.updated",
    EffectKind.ENABLE_ACCOUNT: "account.enabled",
    EffectKind.SET_EXPIRY: "account.expiry_set",
    EffectKind.ADD_MEMBER: "member.added",
    EffectKind.DISABLE_ACCOUNT: "account.disabled",
    EffectKind.REVOKE_SESSIONS: "sessions.revoked",
    EffectKind.REMOVE_MEMBER: "member.removed",
    EffectKind.MOVE_TO_DISABLED: "account.moved_to_disabled",
    EffectKind.ASSIGN_LICENCE: "licence.assigned",
    EffectKind.RECLAIM_LICENCE: "licence.reclaimed",
    EffectKind.ASSIGN_APP_ROLE: "app_role.assigned",
    EffectKind.REMOVE_APP_ROLE: "app_role.removed",
    EffectKind.SET_MANAGER: "account.manager_set",
    EffectKind.RENAME_ACCOUNT: "account.renamed",
    EffectKind.RESTORE_ACCOUNT: "account.restored",
    EffectKind.ISSUE_CREDENTIAL: "credential.issued",
    EffectKind.REHIRE_RECORD: "record.rehired",
}
"""The audit trail's word for each kind. Its outcome says how far it came: pending, success, failure or unknown."""

_OUTCOMES = {
    EffectState.INTENDED: Outcome.FAILURE,
    EffectState.STARTED: Outcome.PENDING,
    EffectState.DONE: Outcome.SUCCESS,
    EffectState.REFUSED: Outcome.FAILURE,
    EffectState.UNKNOWN: Outcome.UNKNOWN,
    EffectState.PARKED: Outcome.UNKNOWN,
}


class LedgerEffects:
    """The effects of one tenant as seen by one runner.

    ``runner`` names one attempt of one job: two attempts must never share it. ``lease_seconds`` is how long a started call is protected
    against being taken up by another runner; a vendor call's deadline is shorter than half of it. ``clock`` is only for the time that
    the audit trail calls ``occurred_at`` (the transaction's begin by default); leases go by the database's clock.
    """

    def __init__(
        self,
        database: Database,
        tenant: str,
        actor: Actor,
        *,
        runner: str,
        correlation_id: str | None = None,
        clock: Clock | None = None,
        lease_seconds: float = 60.0,
    ) -> None:
        self._database = database
        self._tenant = tenant
        self._actor = actor
        self._runner = runner
        self._correlation_id = correlation_id
        self._clock = clock
        self._lease_seconds = lease_seconds

    def begin(self, effect: Effect) -> EffectRecord:
        """Record the intent and mark the call as started, or say what else to do; see ``EffectLog.begin``.

        Raises ``Fenced``; ``RetryLater`` (cause ``effect_in_flight``) while another runner's call may still be under way.
        """
        with self._database.transaction(self._tenant) as tx:
            self._check_fence(tx, effect, starting=True)
            row = self._intended(tx, effect)
            state = EffectState(row["state"])
            if state is EffectState.INTENDED:
                return self._start(tx, effect, row)
            if state is EffectState.STARTED:
                self._wait_for_lease(row)
                return self._change(tx, effect, row, EffectState.UNKNOWN, "left_unfinished")
            if state is EffectState.UNKNOWN:
                self._own(tx, effect, row)
            return _record(row)

    def done(self, effect: Effect, vendor_id: str | None, details: Mapping[str, object]) -> None:
        """The call took effect. Raises ``Fenced``; the target's id is kept even then, so that whoever takes away knows of it."""
        fenced: Fenced | None = None
        with self._database.transaction(self._tenant) as tx:
            try:
                self._conclude(tx, effect, EffectState.DONE, None, vendor_id=vendor_id, details=details)
            except Fenced as error:
                fenced = error
                if vendor_id is not None:
                    self._keep_vendor_id(tx, effect, vendor_id, error.cause)
        if fenced is not None:
            raise fenced  # after the commit

    def refused(self, effect: Effect, cause: str, message: str) -> None:
        """The target said no. Raises ``Fenced``."""
        with self._database.transaction(self._tenant) as tx:
            self._conclude(tx, effect, EffectState.REFUSED, cause, message=message)

    def unknown(self, effect: Effect, cause: str) -> None:
        """The call may have taken effect. Raises ``Fenced``."""
        with self._database.transaction(self._tenant) as tx:
            self._conclude(tx, effect, EffectState.UNKNOWN, cause)

    def not_done(self, effect: Effect, cause: str) -> None:
        """Nothing was done: back to intended. Raises ``Fenced``."""
        with self._database.transaction(self._tenant) as tx:
            self._conclude(tx, effect, EffectState.INTENDED, cause)

    def parked(self, effect: Effect, cause: str, message: str) -> None:
        """A person has to decide. A started call passes through unknown first. Raises ``Fenced``."""
        with self._database.transaction(self._tenant) as tx:
            row = self._held(tx, effect)
            if EffectState(row["state"]) is EffectState.STARTED:
                self._change(tx, effect, row, EffectState.UNKNOWN, cause)
            self._conclude(tx, effect, EffectState.PARKED, cause, message=message)

    def _check_fence(self, tx: Tx, effect: Effect, *, starting: bool = False) -> None:
        """FOR SHARE: whoever ends the engagement waits for us, or we see the tombstone."""
        row = tx.one("SELECT epoch, tombstoned_at FROM engagements WHERE id = %(id)s FOR SHARE", id=effect.engagement_id)
        if error := fence(effect, row, starting=starting):
            raise error

    def _intended(self, tx: Tx, effect: Effect) -> Row:
        """The effect's row, made if it is new, locked until the commit."""
        tx.execute(
            """
            INSERT INTO effects (tenant, effect_id, key, engagement_id, target, kind, lifecycle, detail, epoch, state)
            VALUES (%(tenant)s, %(effect_id)s, %(key)s, %(engagement_id)s, %(target)s, %(kind)s, %(lifecycle)s, %(detail)s,
                    %(epoch)s, 'intended')
            ON CONFLICT (tenant, key) DO NOTHING
            """,
            tenant=self._tenant,
            effect_id=uuid7(),
            key=effect.key,
            engagement_id=effect.engagement_id,
            target=effect.target,
            kind=effect.kind,
            lifecycle=effect.lifecycle,
            detail=effect.detail,
            epoch=effect.epoch,
        )
        return self._row(tx, effect)

    def _row(self, tx: Tx, effect: Effect) -> Row:
        row = tx.one(
            """
            SELECT effect_id, state, attempt, vendor_id, started_at, lost, runner,
                   extract(epoch FROM clock_timestamp() - started_at)::float AS age_seconds,
                   extract(epoch FROM lease_until - clock_timestamp())::float AS lease_left
            FROM effects WHERE key = %(key)s
            FOR UPDATE
            """,
            key=effect.key,
        )
        if row is None:
            raise NotFound(f"{effect.kind} at {effect.target} was never begun", cause="effect_not_begun")
        return row

    def _start(self, tx: Tx, effect: Effect, row: Row) -> EffectRecord:
        self._audit(tx, effect, row["effect_id"], EffectState.STARTED, attempt=row["attempt"] + 1)
        tx.execute(
            """
            UPDATE effects
            SET state = 'started', attempt = attempt + 1, runner = %(runner)s, epoch = %(epoch)s, cause = NULL, message = NULL,
                started_at = clock_timestamp(), changed_at = clock_timestamp(),
                lease_until = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
            WHERE effect_id = %(effect_id)s
            """,
            runner=self._runner,
            epoch=effect.epoch,
            lease_seconds=self._lease_seconds,
            effect_id=row["effect_id"],
        )
        return _record(self._row(tx, effect))

    def _wait_for_lease(self, row: Row) -> None:
        left = row["lease_left"]
        if row["runner"] != self._runner and left is not None and left > 0:
            raise RetryLater("another runner's call may still be under way", cause="effect_in_flight", after_seconds=left)

    def _own(self, tx: Tx, effect: Effect, row: Row) -> None:
        tx.execute(
            "UPDATE effects SET runner = %(runner)s, epoch = %(epoch)s WHERE effect_id = %(effect_id)s",
            runner=self._runner,
            epoch=effect.epoch,
            effect_id=row["effect_id"],
        )

    def _held(self, tx: Tx, effect: Effect) -> Row:
        """The effect's row, if this runner still holds it."""
        self._check_fence(tx, effect)
        row = self._row(tx, effect)
        if row["runner"] != self._runner:
            raise taken_up(effect)
        return row

    def _conclude(
        self,
        tx: Tx,
        effect: Effect,
        target: EffectState,
        cause: str | None,
        *,
        message: str | None = None,
        vendor_id: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        row = self._held(tx, effect)
        if EffectState(row["state"]) is target:
            return  # the reply to the same commit was lost
        self._change(tx, effect, row, target, cause, message=message, vendor_id=vendor_id, details=details)

    def _keep_vendor_id(self, tx: Tx, effect: Effect, vendor_id: str, cause: str) -> None:
        """Our own started call ends unknown; where another runner is further, its state and its id stand."""
        row = self._row(tx, effect)
        if EffectState(row["state"]) is EffectState.STARTED and row["runner"] == self._runner:
            self._change(tx, effect, row, EffectState.UNKNOWN, cause, vendor_id=vendor_id)
        else:
            tx.execute(
                "UPDATE effects SET vendor_id = coalesce(vendor_id, %(vendor_id)s) WHERE effect_id = %(effect_id)s",
                vendor_id=vendor_id,
                effect_id=row["effect_id"],
            )

    def _change(
        self,
        tx: Tx,
        effect: Effect,
        row: Row,
        target: EffectState,
        cause: str | None,
        *,
        message: str | None = None,
        vendor_id: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> EffectRecord:
        """One transition, audited. The call is over, so the lease ends with it."""
        require_transition(EFFECT_TRANSITIONS, EffectState(row["state"]), target)
        self._audit(tx, effect, row["effect_id"], target, attempt=row["attempt"], cause=cause, details=details)
        tx.execute(
            """
            UPDATE effects
            SET state = %(state)s, cause = %(cause)s, message = %(message)s, runner = %(runner)s, epoch = %(epoch)s,
                vendor_id = coalesce(%(vendor_id)s, vendor_id), lost = lost + %(lost)s, lease_until = NULL,
                changed_at = clock_timestamp()
            WHERE effect_id = %(effect_id)s
            """,
            state=target,
            cause=cause,
            message=message,
            runner=self._runner,
            epoch=effect.epoch,
            vendor_id=vendor_id,
            lost=int(target is EffectState.UNKNOWN),
            effect_id=row["effect_id"],
        )
        return _record(self._row(tx, effect))

    def _audit(
        self,
        tx: Tx,
        effect: Effect,
        effect_id: UUID,
        state: EffectState,
        *,
        attempt: int,
        cause: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        facts = {
            **(details or {}),
            "effect_id": effect_id,
            "state": state,
            "attempt": attempt,
            "lifecycle": effect.lifecycle,
            "epoch": effect.epoch,
            "detail": effect.detail,
        }
        event = AuditEvent(
            action=_ACTIONS[effect.kind],
            actor=self._actor,
            outcome=_OUTCOMES[state],
            target_type=_ACTIONS[effect.kind].partition(".")[0],
            target_id=effect.key,
            occurred_at=self._clock.now() if self._clock else tx.began_at,
            system=effect.target,
            engagement_id=effect.engagement_id,
            correlation_id=self._correlation_id,
            reason_code=cause,
            details=facts,
        )
        audit.record(tx, event)


def fence(effect: Effect, row: Row | None, *, starting: bool) -> HubError | None:
    """What keeps a runner from its effect, by the engagement's ``row`` (``epoch``, ``tombstoned_at``): it moved on, or is ending."""
    if row is None:
        return NotFound(f"engagement {effect.engagement_id} does not exist", field="engagement_id")
    if row["epoch"] != effect.epoch:
        return Fenced(f"engagement {effect.engagement_id} is at epoch {row['epoch']}, this runner holds {effect.epoch}")
    if starting and row["tombstoned_at"] is not None and effect.kind not in REVOKING:
        return Fenced(f"engagement {effect.engagement_id} is ending: {effect.kind} is not begun any more", cause="tombstoned")
    return None


def taken_up(effect: Effect) -> Fenced:
    """Somebody else owns the effect now."""
    return Fenced(f"{effect.kind} at {effect.target} was taken up by another runner")


def _record(row: Row) -> EffectRecord:
    return EffectRecord(
        row["effect_id"],
        EffectState(row["state"]),
        row["attempt"],
        row["vendor_id"],
        row["started_at"],
        lost=row["lost"],
        age_seconds=row["age_seconds"],
    )
