"""How an end moves: the source says another one, or a person does. Later is followed everywhere; earlier counts at once.

What began because the end was reached goes on when the source says a later end. What was terminated, by a person or by an instant that the
source gave, is never taken up again by a feed: a person decides.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from ledger import engagement_rows, failures
from ledger.database import Tx
from ledger.ending import endings
from ledger.ending.endings import EndingCause
from ledger.queueing import timers
from ledger.queueing.jobs import defer_alarm, defer_joiner, defer_leaver
from ledger.queueing.timers import TimerKind
from workforce.engagement import Engagement, EngagementTerms, canonical
from workforce.errors import Refused
from workforce.events import HUB, Actor
from workforce.states import STANDING, WITHDRAWN, EngagementState


def follow(tx: Tx, known: Engagement, stored: Engagement, actor: Actor = HUB) -> Engagement:
    """See to what the source says of the end, once its terms are stored: ``known`` before and ``stored`` after.

    An end that has passed begins the ending at once, with the leaver. Part of the caller's transaction, which holds the engagement's lock.
    """
    if stored.tombstoned_at is not None:
        return _hear_after_the_end(tx, known, stored, actor)
    return stored if stored.end_at == known.end_at else _heed(tx, stored, actor)


def bring_end_forward(tx: Tx, engagement_id: UUID, terms: EngagementTerms, actor: Actor = HUB) -> Engagement:
    """Let the stint stop as ``terms`` say, if that is earlier than known and news, audited. Nothing else of the engagement changes.

    The version of the source's record stays the known one, so that the whole record is still taken later. Raises ``NotFound``,
    ``Refused`` for an unknown zone.
    """
    known = engagement_rows.lock(tx, engagement_id)
    reported = known.reported_terms
    if known.tombstoned_at is not None or terms.end_instant() >= known.end_at or (reported and terms.ends_as(reported)):
        return known
    moved = _set_end(tx, known, terms, reported=None)
    engagement_rows.note(tx, "engagement.end_brought_forward", known, actor, was=known.end_at, end_at=moved.end_at)
    return _heed(tx, moved, actor)


def terminate(
    tx: Tx, engagement_id: UUID, actor: Actor, *, reason: str, cause: EndingCause = EndingCause.TERMINATED
) -> Engagement:
    """End the stint now, by a person's word: tombstone and leaver in this transaction, whatever state it is in and whoever still has to approve.

    The end is this instant, or the known one if that has passed. From then on no feed takes the ending back. An ending that has begun
    already is a termination now too. With the cause ``converted`` the person goes on as an employee. Raises ``Refused`` (cause ``illegal_transition``) where there is nothing to end, ``NotFound``.
    """
    known = engagement_rows.lock(tx, engagement_id)
    if known.tombstoned_at is None or known.terms.terminates_at is None:
        at = min(known.end_at, tx.began_at.replace(microsecond=0)) if known.tombstoned_at is None else known.end_at
        ended = known.terms.model_copy(update={"terminates_at": at})
        _set_end(tx, known, ended, reported=known.reported_terms or known.terms)
    begun = endings.begin(tx, engagement_id, cause, actor, reason=reason)
    if known.tombstoned_at is not None:
        _confirm(tx, begun, actor, reason)
    defer_leaver(tx, engagement_id)
    return begun


def extend(tx: Tx, engagement_id: UUID, until: date, actor: Actor, *, reason: str) -> Engagement:
    """Let the stint run until the end of ``until``, its last day, by a person's word, audited. It stays so until the source says something new.

    An ending that began because the end was reached is taken back. Raises ``Refused`` (causes ``not_an_extension``, ``was_terminated``,
    ``illegal_transition``), ``NotFound``.
    """
    known = engagement_rows.lock(tx, engagement_id)
    if until < known.terms.starts_on:
        message = f"until: the stint begins on {known.terms.starts_on}, and an extension ends later than it does; say another day"
        raise Refused(message, cause="not_an_extension", field="until")
    terms = canonical(
        EngagementTerms,
        {**known.terms.model_dump(), "ends_on": until, "terminates_at": None},
        source=f"until {until.isoformat()}",
    )
    _require_extension(tx, known, terms)
    said = known.reported_terms or known.terms
    if known.tombstoned_at is None:
        moved = _set_end(tx, known, terms, reported=said)
    else:
        _require_run_out(tx, known)
        moved = endings.rescind(tx, engagement_id, terms, actor, reason=reason, reported=said)
    engagement_rows.note(tx, "engagement.extended", moved, actor, was=known.end_at, end_at=moved.end_at, reason=reason)
    if known.state in STANDING:
        defer_joiner(tx, engagement_id)  # the native expiry follows
    return moved


def _heed(tx: Tx, engagement: Engagement, actor: Actor) -> Engagement:
    """The end has moved: arm its timer, or begin the ending where it has passed."""
    if engagement.state in WITHDRAWN:
        return engagement
    timers.arm(tx, engagement.id, TimerKind.END, engagement.end_at)
    if engagement.end_at > tx.began_at:
        return engagement
    begun = endings.begin(tx, engagement.id, EndingCause.END_REACHED, actor)
    defer_leaver(tx, engagement.id)
    return begun


def _hear_after_the_end(tx: Tx, known: Engagement, stored: Engagement, actor: Actor) -> Engagement:
    """The source speaks of the end although the ending has begun: a later end takes it back, or is for a person to decide."""
    said, before = stored.reported_terms, known.reported_terms or known.terms
    if said is None or said.ends_as(before) or said.end_instant() <= tx.began_at:
        return stored
    if _ran_out(tx, stored):
        return endings.rescind(tx, stored.id, said, actor, reason="the source says a later end")
    message = (
        f"terms.ends_on: the ending has begun, and {stored.vms_system} says a later end; access stays away. If the stint shall go on:"
        f" stint engagements restore {stored.id} --reason …, else correct it there"
    )
    subject = endings.contradicted_subject(stored.id)
    failure = failures.park(
        tx, cause="ending_contradicted", message=message, field="ends_on", engagement_id=stored.id, subject=subject
    )
    if failure.count == 1:
        defer_alarm(tx, failure.id)
    return stored


def _ran_out(tx: Tx, engagement: Engagement) -> bool:
    """Whether the ending began because the contract ran out, and nobody terminated it. What was never cleared is for a person."""
    ending = endings.current(tx, engagement.id)
    ran_out = ending is not None and ending.cause == EndingCause.END_REACHED and engagement.terms.terminates_at is None
    return ran_out and ending is not None and ending.goes_back_to is EngagementState.CLEARED


def _require_extension(tx: Tx, known: Engagement, terms: EngagementTerms) -> None:
    if known.state in WITHDRAWN:
        raise Refused(
            f"{known.terms.vms_id} is {known.state}: there is nothing to extend", cause="illegal_transition", field="state"
        )
    end_at = terms.end_instant()
    if end_at <= max(known.end_at, tx.began_at):
        message = (
            f"until: the stint would end at {end_at:%Y-%m-%d %H:%M} UTC, which is no later end; to end it: stint engagements end"
        )
        raise Refused(message, cause="not_an_extension", field="until")


def _require_run_out(tx: Tx, known: Engagement) -> None:
    if not _ran_out(tx, known):
        order = known.terms.vms_id
        message = f"{order} was terminated; take that back first: stint engagements restore {order} --reason …"
        raise Refused(message, cause="was_terminated", field="state")


def _confirm(tx: Tx, engagement: Engagement, actor: Actor, reason: str) -> None:
    """A person says of an ending that has begun that it shall stay."""
    ending = endings.current(tx, engagement.id)
    if ending is not None:
        endings.drop_undo(tx, ending)
    engagement_rows.note(tx, "engagement.termination_confirmed", engagement, actor, reason=reason)


def _set_end(tx: Tx, known: Engagement, terms: EngagementTerms, *, reported: EngagementTerms | None) -> Engagement:
    """Store terms that differ in the end alone, and arm its timer; once the ending has begun its instant stays."""
    end_at = terms.end_instant() if known.tombstoned_at is None else known.end_at
    tx.execute(
        """
        UPDATE engagements
        SET terms = %(terms)s, reported_terms = %(reported)s, end_at = %(end_at)s, updated_at = clock_timestamp()
        WHERE id = %(id)s
        """,
        terms=terms.model_dump(mode="json"),
        reported=None if reported is None else reported.model_dump(mode="json"),
        end_at=end_at,
        id=known.id,
    )
    if known.tombstoned_at is None and known.state not in WITHDRAWN:
        timers.arm(tx, known.id, TimerKind.END, end_at)
    return engagement_rows.get(tx, known.id)
