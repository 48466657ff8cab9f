"""Endings: which one of an engagement began when and why, how it was taken back, and the record that closes it.

Each beginning is a row with a number of its own. What it took away is known by that number, and taken back as exactly that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from ledger import engagement_rows, failures
from ledger.access import grants
from ledger.database import Row, Tx
from ledger.queueing import timers
from ledger.queueing.jobs import defer_joiner
from ledger.queueing.timers import TimerKind
from workforce.engagement import Engagement, EngagementTerms
from workforce.errors import NotFound, Refused
from workforce.events import HUB, Actor
from workforce.states import ENGAGEMENT_TRANSITIONS, STANDING, EngagementState, require_transition


class EndingCause(StrEnum):
    """Why an ending begins. Other words may stand in a row; only these mean something here."""

    END_REACHED = "end_reached"
    TERMINATED = "terminated"
    CONVERTED = "converted"


@dataclass(frozen=True, slots=True)
class Ending:
    """One ending of an engagement. ``end_at`` is the instant that it is measured by, whatever becomes of the engagement later.

    ``was`` is the engagement's state before; ``None`` for endings that began before that was kept.
    ``undo_asked_by`` wants it taken back, ``undone_by`` took it back. ``closure`` is the closure record once it is closed.
    """

    engagement_id: UUID
    number: int
    cause: str
    reason: str | None
    end_at: datetime
    began_at: datetime
    began_by: str
    was: str | None = None
    undo_reason: str | None = None
    undo_asked_at: datetime | None = None
    undo_asked_by: str | None = None
    undone_at: datetime | None = None
    undone_by: str | None = None
    closure: Mapping[str, Any] | None = None

    @property
    def because(self) -> str:
        """What the grants that it took away are known by."""
        return f"ending:{self.number}"

    @property
    def goes_back_to(self) -> EngagementState:
        """The state once it is taken back: cleared, since what was given is looked at again; what was never cleared is where it was."""
        was = EngagementState(self.was) if self.was else EngagementState.CLEARED
        return EngagementState.CLEARED if was in STANDING else was


def begin(tx: Tx, engagement_id: UUID, cause: str, actor: Actor = HUB, *, reason: str | None = None) -> Engagement:
    """Tombstone the engagement, raise its epoch, and want nothing of it any more: from the commit on nothing is granted.

    Every other runner is stale then. Idempotent: an ending that has begun stays as it is. The caller has the leaver run, in the same
    transaction. Raises ``Refused`` (cause ``illegal_transition``) where there is nothing to end, ``NotFound``.
    """
    engagement = engagement_rows.lock(tx, engagement_id)
    if engagement.tombstoned_at is not None:
        return engagement
    require_transition(ENGAGEMENT_TRANSITIONS, engagement.state, EngagementState.ENDING)
    tx.execute(
        """
        UPDATE engagements
        SET state = 'ending', tombstoned_at = clock_timestamp(), epoch = epoch + 1, runner = NULL, updated_at = clock_timestamp()
        WHERE id = %(id)s
        """,
        id=engagement_id,
    )
    ending = _insert(tx, engagement, cause, actor, reason)
    taken = grants.unwant_all(tx, engagement_id, because=ending.because)
    timers.cancel(tx, engagement_id, TimerKind.START)
    begun = engagement_rows.get(tx, engagement_id)
    told = {"number": ending.number, "was": engagement.state, "epoch": begun.epoch, "grants": taken, "reason": reason}
    engagement_rows.note(tx, "engagement.ending", begun, actor, reason_code=cause, **told)
    return begun


def current(tx: Tx, engagement_id: UUID) -> Ending | None:
    """The ending that has begun and was not taken back."""
    found = [ending for ending in history(tx, engagement_id) if ending.undone_at is None]
    return found[-1] if found else None


def history(tx: Tx, engagement_id: UUID) -> list[Ending]:
    """Every ending of the engagement, oldest first."""
    rows = tx.all("SELECT * FROM endings WHERE engagement_id = %(id)s ORDER BY number", id=engagement_id)
    return [_ending(row) for row in rows]


def rescind(
    tx: Tx,
    engagement_id: UUID,
    terms: EngagementTerms,
    actor: Actor = HUB,
    *,
    reason: str,
    reported: EngagementTerms | None = None,
) -> Engagement:
    """Take back the ending that has begun: what it took away is wanted again, exactly that, and the engagement goes on on ``terms``.

    ``reported`` is what the source says of the end, where ``terms`` say otherwise. The leaver is fenced, the timers are armed again, and the
    joiner reads agreement and work order again before it gives anything back. The ending's row stays: an extension that came late does not
    cure what was measured. What was never cleared goes back to where it was, past no review. Raises ``Refused`` (causes
    ``nothing_to_undo``, ``end_has_passed`` where ``terms`` have ended, ``illegal_transition``).
    """
    engagement, ending = _standing(tx, engagement_id)
    end_at = terms.end_instant()
    if end_at <= tx.began_at:
        message = (
            f"ends_on: the stint's end, {end_at:%Y-%m-%d %H:%M} UTC, has passed. If it ran out: stint engagements extend; if it was"
            " terminated, have the VMS say a later end first"
        )
        raise Refused(message, cause="end_has_passed", field="ends_on")
    require_transition(ENGAGEMENT_TRANSITIONS, engagement.state, ending.goes_back_to)
    tx.execute(
        """
        UPDATE engagements
        SET state = %(state)s, tombstoned_at = NULL, revoked_verified_at = NULL, epoch = epoch + 1, runner = NULL,
            terms = %(terms)s, reported_terms = %(reported)s, end_at = %(end_at)s, updated_at = clock_timestamp()
        WHERE id = %(id)s
        """,
        state=ending.goes_back_to,
        terms=terms.model_dump(mode="json"),
        reported=None if reported is None else reported.model_dump(mode="json"),
        end_at=end_at,
        id=engagement_id,
    )
    _mark_undone(tx, ending, actor, reason)
    return _go_on(tx, engagement_rows.get(tx, engagement_id), ending, actor)


def ask_undo(tx: Tx, engagement_id: UUID, actor: Actor, *, reason: str) -> Ending:
    """Ask for the ending to be taken back, audited; a second person confirms it. The same person may ask again with another reason.

    Raises ``Refused`` (cause ``nothing_to_undo``, or ``undo_asked`` where somebody else has asked already).
    """
    engagement, ending = _standing(tx, engagement_id)
    if ending.undo_asked_by not in {None, actor.id}:
        message = (
            f"{ending.undo_asked_by} has asked for it already; confirm it: stint engagements restore"
            f" {engagement.terms.vms_id} --confirm"
        )
        raise Refused(message, cause="undo_asked", field="confirm")
    tx.execute(
        """
        UPDATE endings SET undo_reason = %(reason)s, undo_asked_at = clock_timestamp(), undo_asked_by = %(actor)s
        WHERE engagement_id = %(id)s AND number = %(number)s
        """,
        reason=reason,
        actor=actor.id,
        id=engagement_id,
        number=ending.number,
    )
    engagement_rows.note(tx, "engagement.undo_asked", engagement, actor, number=ending.number, reason=reason)
    return history(tx, engagement_id)[ending.number - 1]


def confirm_undo(tx: Tx, engagement_id: UUID, actor: Actor, *, needs_two: bool) -> Engagement:
    """Take the ending back as somebody asked; where that ``needs_two``, not the same person.

    The stint goes on until the end that the source says or, where that has passed, until the one that counted before.
    Raises ``Refused`` (causes ``nothing_to_undo``, ``undo_not_asked``, ``needs_second_person``, ``end_has_passed``).
    """
    engagement, ending = _standing(tx, engagement_id)
    if ending.undo_asked_by is None or ending.undo_reason is None:
        message = f"nobody has asked for it; ask first: stint engagements restore {engagement.terms.vms_id} --reason …"
        raise Refused(message, cause="undo_not_asked", field="confirm")
    if needs_two and ending.undo_asked_by == actor.id:
        message = f"{actor.id} asked for it, so somebody else has to confirm it (access.endings.undo_needs_two)"
        raise Refused(message, cause="needs_second_person", field="confirm")
    said, counted = engagement.reported_terms, engagement.terms
    if said is not None and (counted.end_instant() <= tx.began_at or said.end_instant() > tx.began_at):
        return rescind(tx, engagement_id, said, actor, reason=ending.undo_reason)
    return rescind(tx, engagement_id, counted, actor, reason=ending.undo_reason, reported=said)


def drop_undo(tx: Tx, ending: Ending) -> None:
    """Nobody's wish to take the ending back counts any more: it was just confirmed by a person."""
    tx.execute(
        """
        UPDATE endings SET undo_reason = NULL, undo_asked_at = NULL, undo_asked_by = NULL
        WHERE engagement_id = %(id)s AND number = %(number)s
        """,
        id=ending.engagement_id,
        number=ending.number,
    )


def close(tx: Tx, engagement_id: UUID, closure: Mapping[str, Any], *, sha256: str, actor: Actor = HUB) -> None:
    """Keep the closure record of the ending that has begun, audited with its digest. One that is written again replaces the one before.

    It is written again when something that a hold kept has gone. Raises ``Refused`` (cause ``nothing_to_undo``) once it was taken back.
    """
    engagement, ending = _standing(tx, engagement_id)
    tx.execute(
        "UPDATE endings SET closure = %(closure)s WHERE engagement_id = %(id)s AND number = %(number)s",
        closure=closure,
        id=engagement_id,
        number=ending.number,
    )
    engagement_rows.note(tx, "engagement.closure_recorded", engagement, actor, number=ending.number, sha256=sha256)


def closed_record(tx: Tx, engagement_id: UUID, number: int | None = None) -> Mapping[str, Any]:
    """The closure record of an ending, of the newest that has one where no ``number`` is given. Raises ``NotFound``."""
    found = [ending.closure for ending in history(tx, engagement_id) if ending.closure and number in {None, ending.number}]
    if not found:
        raise NotFound(
            "no ending of it has been closed, so there is no closure record yet; see: stint engagements list", field="engagement"
        )
    return found[-1]


def contradicted_subject(engagement_id: UUID) -> str:
    """What the failure list calls an ending that the source contradicts."""
    return f"ending:{engagement_id}"


def _standing(tx: Tx, engagement_id: UUID) -> tuple[Engagement, Ending]:
    """The engagement, locked, and the ending that has begun."""
    engagement = engagement_rows.lock(tx, engagement_id)
    ending = current(tx, engagement_id)
    if engagement.tombstoned_at is None or ending is None:
        message = f"{engagement.terms.vms_id} is {engagement.state}: no ending is known to have begun"
        raise Refused(message, cause="nothing_to_undo", field="state")
    return engagement, ending


def _mark_undone(tx: Tx, ending: Ending, actor: Actor, reason: str) -> None:
    tx.execute(
        """
        UPDATE endings SET undone_at = clock_timestamp(), undone_by = %(actor)s, undo_reason = %(reason)s
        WHERE engagement_id = %(id)s AND number = %(number)s
        """,
        actor=actor.id,
        reason=reason,
        id=ending.engagement_id,
        number=ending.number,
    )


def _go_on(tx: Tx, engagement: Engagement, ending: Ending, actor: Actor) -> Engagement:
    """Want again what the ending took away, arm the timers, and have the joiner run."""
    restored = grants.restore(tx, engagement, because=ending.because)
    timers.arm(tx, engagement.id, TimerKind.END, engagement.end_at)
    starts_at = engagement.terms.start_instant()
    if starts_at > tx.began_at:
        timers.arm(tx, engagement.id, TimerKind.START, starts_at)
    if engagement.envelope_id is not None:
        defer_joiner(tx, engagement.id)  # without an agreement there is nothing to join: its signature has the joiner run
    failures.resolve(tx, contradicted_subject(engagement.id), actor)
    told = {"number": ending.number, "ended": ending.end_at, "end_at": engagement.end_at, "grants": len(restored)}
    engagement_rows.note(tx, "engagement.ending_rescinded", engagement, actor, reason_code=ending.cause, **told)
    return engagement


def _insert(tx: Tx, engagement: Engagement, cause: str, actor: Actor, reason: str | None) -> Ending:
    row = tx.the(
        """
        INSERT INTO endings (tenant, engagement_id, number, cause, was, reason, end_at, began_by)
        SELECT %(tenant)s, %(id)s, coalesce(max(number), 0) + 1, %(cause)s, %(was)s, %(reason)s, %(end_at)s, %(actor)s
        FROM endings WHERE engagement_id = %(id)s
        RETURNING *
        """,
        tenant=tx.tenant,
        id=engagement.id,
        cause=cause,
        was=engagement.state,
        reason=reason,
        end_at=engagement.end_at,
        actor=actor.id,
    )
    return _ending(row)


def _ending(row: Row) -> Ending:
    return Ending(**{name: row[name] for name in Ending.__slots__})
