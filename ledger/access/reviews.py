"""Access reviews: sponsors say that an engagement still needs its access; what nobody answers is escalated, then withheld.

Withholding keeps what is wanted: the grants become unwanted under the review's own word, and exactly these are wanted again once the
review is answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ledger import engagement_rows
from ledger.access import grants
from ledger.database import Row, Tx
from ledger.identity.people import address_digest
from ledger.ids import uuid7
from ledger.trail import audit
from workforce.attestation import Answer
from workforce.engagement import Engagement
from workforce.errors import NotFound
from workforce.events import HUB, Actor, Outcome


@dataclass(frozen=True, slots=True)
class Review:
    """One question to one sponsor (an address). ``due_at`` counts from ``told_at``, when whoever has to answer now was told.

    ``reminded_at``: when they were told once more, if they were.
    """

    id: UUID
    engagement_id: UUID
    sponsor: str
    asked_at: datetime
    due_at: datetime
    told_at: datetime | None
    reminded_at: datetime | None
    escalated_at: datetime | None
    escalated_to: str | None
    answer: Answer | None
    answered_at: datetime | None
    answered_by: str | None
    reason: str | None
    suspended_at: datetime | None

    @property
    def suspension(self) -> str:
        """Under which word the grants are withheld."""
        return f"suspended:{self.id}"


@dataclass(frozen=True, slots=True)
class Attested:
    """An engagement, its access packages (package → version), and when its access was last attested, else first given."""

    engagement_id: UUID
    access_pins: Mapping[str, int]
    attested_at: datetime


def attested(tx: Tx) -> list[Attested]:
    """Every engagement that holds access and has no open review."""
    rows = tx.all(
        """
        SELECT engagements.id, engagements.access_pins, coalesce(
            (SELECT max(answered_at) FROM access_reviews WHERE engagement_id = engagements.id AND answer = 'keep'), min(granted_at)
        ) AS attested_at
        FROM engagements JOIN grants ON grants.tenant = engagements.tenant AND grants.engagement_id = engagements.id
        WHERE tombstoned_at IS NULL AND granted_at IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM access_reviews WHERE engagement_id = engagements.id AND answered_at IS NULL)
        GROUP BY engagements.id, engagements.access_pins
        HAVING bool_or(unwanted_at IS NULL)
        ORDER BY engagements.id
        """
    )
    return [Attested(row["id"], row["access_pins"], row["attested_at"]) for row in rows]


def ask(tx: Tx, engagement_id: UUID, sponsor: str, *, within: timedelta) -> bool:
    """Open a review, audited. While one is open nothing changes, and the answer is false."""
    asked = tx.one(
        """
        INSERT INTO access_reviews (tenant, id, engagement_id, sponsor, due_at)
        VALUES (%(tenant)s, %(id)s, %(engagement_id)s, %(sponsor)s, clock_timestamp() + %(within)s)
        ON CONFLICT DO NOTHING
        RETURNING *
        """,
        tenant=tx.tenant,
        id=uuid7(),
        engagement_id=engagement_id,
        sponsor=sponsor,
        within=within,
    )
    if asked is not None:
        _note(tx, "review.asked", _review(asked), HUB, Outcome.PENDING, sponsor_sha256=address_digest(sponsor))
    return asked is not None


def told(tx: Tx, review: Review, *, within: timedelta) -> None:
    """Note that whoever has to answer was told just now: the time to answer runs from here."""
    tx.execute(
        """
        UPDATE access_reviews SET told_at = clock_timestamp(), due_at = clock_timestamp() + %(within)s
        WHERE id = %(id)s AND told_at IS NULL AND answered_at IS NULL
        """,
        id=review.id,
        within=within,
    )


def reminded(tx: Tx, review: Review, asked: Iterable[str]) -> None:
    """Note that ``asked`` (addresses) were told once more, audited. The time to answer stays.

    Nothing changes where it was escalated meanwhile: whoever is asked then has a reminder of their own.
    """
    noted = tx.execute(
        """
        UPDATE access_reviews SET reminded_at = clock_timestamp()
        WHERE id = %(id)s AND told_at = %(told_at)s AND reminded_at IS NULL
        """,
        id=review.id,
        told_at=review.told_at,
    )
    if noted:
        _note(tx, "review.reminded", review, HUB, Outcome.PENDING, asked_sha256=[address_digest(each) for each in asked])


def escalate(tx: Tx, review: Review, to: str | None, *, within: timedelta) -> None:
    """Ask ``to`` (an address) as well, since the sponsor did not answer; audited. They are told next, and have ``within`` from then on."""
    escalated = tx.execute(
        """
        UPDATE access_reviews
        SET escalated_at = clock_timestamp(), escalated_to = %(to)s, told_at = NULL, reminded_at = NULL,
            due_at = clock_timestamp() + %(within)s
        WHERE id = %(id)s AND escalated_at IS NULL AND answered_at IS NULL
        """,
        to=to,
        within=within,
        id=review.id,
    )
    if escalated:
        _note(tx, "review.escalated", review, HUB, Outcome.PENDING, escalated_to_sha256=to and address_digest(to))


def suspend(tx: Tx, review: Review) -> bool:
    """Withhold the engagement's access until the review is answered, audited. What is withheld, or over, already stays so: false."""
    engagement = engagement_rows.lock(tx, review.engagement_id)
    if engagement.suspended_at is not None or engagement.tombstoned_at is not None:
        return False
    tx.execute(
        """
        UPDATE engagements SET suspended_at = clock_timestamp(), suspended_because = %(because)s, updated_at = clock_timestamp()
        WHERE id = %(id)s
        """,
        because=review.suspension,
        id=engagement.id,
    )
    tx.execute("UPDATE access_reviews SET suspended_at = clock_timestamp() WHERE id = %(id)s", id=review.id)
    withheld = grants.unwant_all(tx, engagement.id, because=review.suspension)
    engagement_rows.note(tx, "engagement.suspended", engagement, HUB, reason_code="review_unanswered", grants=withheld)
    return True


def answer(tx: Tx, review: Review, said: Answer, *, by: str, reason: str | None, actor: Actor) -> Engagement:
    """Close the review with what the person at ``by`` says, audited, and withhold nothing any more; the engagement.

    ``remove`` ends the engagement, which is the caller's to begin in the same transaction: what was withheld then is part of that ending.
    """
    engagement_rows.lock(tx, review.engagement_id)
    tx.execute(
        """
        UPDATE access_reviews
        SET answer = %(answer)s, answered_at = clock_timestamp(), answered_by = %(by)s, reason = %(reason)s
        WHERE id = %(id)s AND answered_at IS NULL
        """,
        answer=said,
        by=by,
        reason=reason,
        id=review.id,
    )
    _note(tx, "review.answered", review, actor, Outcome.SUCCESS, answer=said, answered_by_sha256=address_digest(by))
    return _resume(tx, review, actor)


def get_open(tx: Tx, engagement_id: UUID) -> Review:
    """The engagement's review that waits for an answer, locked until the commit. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM access_reviews WHERE engagement_id = %(id)s AND answered_at IS NULL FOR UPDATE", id=engagement_id)
    if row is None:
        raise NotFound(
            f"no review of it waits for an answer; what was asked: stint reviews list --engagement {engagement_id}",
            field="engagement",
        )
    return _review(row)


def open_reviews(tx: Tx) -> list[Review]:
    """What waits for an answer, the longest due first. Reviews of engagements that are over wait for nobody."""
    rows = tx.all(
        """
        SELECT access_reviews.* FROM access_reviews
        JOIN engagements ON engagements.tenant = access_reviews.tenant AND engagements.id = engagement_id
        WHERE answered_at IS NULL AND tombstoned_at IS NULL ORDER BY due_at, access_reviews.id
        """
    )
    return [_review(row) for row in rows]


def history_of(tx: Tx, engagement_id: UUID) -> list[Review]:
    """Every review of the engagement, the oldest first."""
    rows = tx.all("SELECT * FROM access_reviews WHERE engagement_id = %(id)s ORDER BY asked_at, id", id=engagement_id)
    return [_review(row) for row in rows]


def _resume(tx: Tx, review: Review, actor: Actor) -> Engagement:
    engagement = engagement_rows.get(tx, review.engagement_id)
    if engagement.suspended_at is None or engagement.tombstoned_at is not None:
        return engagement
    tx.execute(
        """
        UPDATE engagements SET suspended_at = NULL, suspended_because = NULL, updated_at = clock_timestamp() WHERE id = %(id)s
        """,
        id=engagement.id,
    )
    resumed = engagement_rows.get(tx, engagement.id)
    grants.restore(tx, resumed, because=review.suspension)
    engagement_rows.note(tx, "engagement.resumed", resumed, actor, reason_code="review_answered")
    return resumed


def _note(tx: Tx, action: str, review: Review, actor: Actor, outcome: Outcome, **details: object) -> None:
    audit.note(
        tx,
        action,
        target=None,
        actor=actor,
        outcome=outcome,
        engagement_id=review.engagement_id,
        system=None,
        reason_code=None,
        review_id=review.id,
        **details,
    )


def _review(row: Row) -> Review:
    names = ("id", "engagement_id", "sponsor", "asked_at", "due_at", "told_at", "reminded_at", "escalated_at", "escalated_to",
             "answered_at", "answered_by", "reason", "suspended_at")  # fmt: skip
    return Review(answer=Answer(row["answer"]) if row["answer"] else None, **{name: row[name] for name in names})
