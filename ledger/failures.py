"""The failure list: what waits for a person, one open line per subject and cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ledger.database import Tx
from ledger.ids import uuid7
from ledger.trail import audit
from workforce.errors import NotFound
from workforce.events import HUB, Actor, Outcome


class About(StrEnum):
    """What a line is about, and so what is tried again once its cause is mended."""

    EVENT = "event"
    ENGAGEMENT = "engagement"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Failure:
    """A line of the list. ``count`` is how often it happened ``since`` then.

    ``event_id`` is the delivery that could not be used, ``engagement_id`` the engagement that it concerns, as far as they are known;
    ``subject`` (such as ``fieldglass:WO-1``) always is. ``group_key`` names the cause that lines of one kin share: mended for one, it is
    mended for all.
    """

    id: UUID
    subject: str
    cause: str
    message: str
    field: str | None
    engagement_id: UUID | None
    event_id: UUID | None
    count: int
    since: datetime
    last_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    group_key: str | None = None

    @property
    def about(self) -> About:
        """The nearest thing that is known: the event, else the engagement, else only a subject."""
        if self.event_id is not None:
            return About.EVENT
        return About.SUBJECT if self.engagement_id is None else About.ENGAGEMENT


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Open lines that share one cause; ``size`` is how many there are."""

    key: str
    cause: str
    field: str | None
    message: str
    size: int
    since: datetime
    last_at: datetime


def park(
    tx: Tx,
    *,
    cause: str,
    message: str,
    field: str | None = None,
    engagement_id: UUID | None = None,
    event_id: UUID | None = None,
    subject: str | None = None,
    group_key: str | None = None,
) -> Failure:
    """Put something on the list, or count it again. The subject defaults to the engagement, else the event.

    What no terminal should be given (control characters, which a record may hold) is replaced in every text.
    """
    if subject is None:
        subject = f"engagement:{engagement_id}" if engagement_id else f"event:{event_id}" if event_id else "tenant"
    row = tx.the(
        """
        INSERT INTO failures (tenant, id, subject, cause, message, field, engagement_id, event_id, group_key)
        VALUES (%(tenant)s, %(id)s, %(subject)s, %(cause)s, %(message)s, %(field)s, %(engagement_id)s, %(event_id)s, %(group_key)s)
        ON CONFLICT (tenant, subject, cause) WHERE closed_at IS NULL
        DO UPDATE SET count = failures.count + 1, last_at = clock_timestamp(),
            message = excluded.message, field = excluded.field, group_key = excluded.group_key,
            engagement_id = coalesce(excluded.engagement_id, failures.engagement_id),
            event_id = coalesce(excluded.event_id, failures.event_id)
        RETURNING *
        """,
        tenant=tx.tenant,
        id=uuid7(),
        subject=_printable(subject),
        cause=cause,
        message=_printable(message, besides="\n"),
        field=field and _printable(field),
        engagement_id=engagement_id,
        event_id=event_id,
        group_key=group_key and _printable(group_key),
    )
    failure = _from_row(row)
    if failure.count == 1:
        _note(tx, "failure.parked", failure, HUB, Outcome.PENDING)
    return failure


def get(tx: Tx, failure_id: UUID) -> Failure:
    """A line of the list, open or closed. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM failures WHERE id = %(id)s", id=failure_id)
    if row is None:
        raise NotFound(f"failure {failure_id} does not exist", field="failure_id")
    return _from_row(row)


def list_open(tx: Tx, *, engagement_id: UUID | None = None, group_key: str | None = None, limit: int = 1000) -> list[Failure]:
    """The open lines, oldest first."""
    rows = tx.all(
        """
        SELECT * FROM failures
        WHERE closed_at IS NULL AND (%(engagement_id)s::uuid IS NULL OR engagement_id = %(engagement_id)s)
          AND (%(group_key)s::text IS NULL OR group_key = %(group_key)s)
        ORDER BY since, id
        LIMIT %(limit)s
        """,
        engagement_id=engagement_id,
        group_key=group_key,
        limit=limit,
    )
    return [_from_row(row) for row in rows]


def count(tx: Tx, group_key: str) -> int:
    """How many open lines share one cause."""
    row = tx.the("SELECT count(*) AS number FROM failures WHERE closed_at IS NULL AND group_key = %(key)s", key=group_key)
    return int(row["number"])


def has_kin(tx: Tx, failure: Failure) -> bool:
    """Whether another open line shares the cause of this one. To be sure of the answer until the commit, nobody else is let ask."""
    if failure.group_key is None:
        return False
    lock = f"{tx.tenant}:{failure.group_key}"
    tx.one("SELECT pg_advisory_xact_lock(hashtextextended('failures:' || %(lock)s, 0))", lock=lock)
    row = tx.the(
        "SELECT EXISTS (SELECT 1 FROM failures WHERE closed_at IS NULL AND group_key = %(key)s AND id <> %(id)s) AS found",
        key=failure.group_key,
        id=failure.id,
    )
    return bool(row["found"])


def groups(tx: Tx) -> list[FailureGroup]:
    """The open lines by the cause that they share, the largest group first."""
    rows = tx.all(
        """
        SELECT group_key AS key, min(cause) AS cause, min(field) AS field, min(message) AS message, count(*) AS size,
               min(since) AS since, max(last_at) AS last_at
        FROM failures WHERE closed_at IS NULL AND group_key IS NOT NULL
        GROUP BY group_key ORDER BY size DESC, since, group_key
        """
    )
    return [FailureGroup(**row) for row in rows]


def has_open(tx: Tx, engagement_id: UUID) -> bool:
    """Whether something of the engagement waits for a person."""
    return bool(list_open(tx, engagement_id=engagement_id, limit=1))


def close(tx: Tx, failure_id: UUID, actor: Actor) -> Failure:
    """Take a line off the list; a closed one stays as it is. Raises ``NotFound``."""
    changed = tx.execute(
        "UPDATE failures SET closed_at = clock_timestamp(), closed_by = %(actor)s WHERE id = %(id)s AND closed_at IS NULL",
        actor=actor.id,
        id=failure_id,
    )
    failure = get(tx, failure_id)
    if changed:
        _note(tx, "failure.closed", failure, actor, Outcome.SUCCESS)
    return failure


def close_all(tx: Tx, engagement_id: UUID, actor: Actor) -> int:
    """Take every open line of the engagement off the list; how many there were."""
    found = list_open(tx, engagement_id=engagement_id)
    for failure in found:
        close(tx, failure.id, actor)
    return len(found)


def resolve(tx: Tx, subject: str, actor: Actor = HUB) -> int:
    """Take every open line of ``subject`` off the list, because it is fine now; how many there were."""
    found = tx.all(
        "SELECT id FROM failures WHERE subject = %(subject)s AND closed_at IS NULL ORDER BY since, id",
        subject=_printable(subject),
    )
    for row in found:
        close(tx, row["id"], actor)
    return len(found)


def supersede(tx: Tx, subject: str, *, cause: str, group_key: str | None, actor: Actor = HUB) -> None:
    """Take the open lines of ``subject`` off the list that say anything but this cause: it waits for this one now, and for no other."""
    found = tx.all(
        """
        SELECT id FROM failures
        WHERE subject = %(subject)s AND closed_at IS NULL AND (cause <> %(cause)s OR group_key IS DISTINCT FROM %(group_key)s)
        ORDER BY since, id
        """,
        subject=_printable(subject),
        cause=cause,
        group_key=group_key and _printable(group_key),
    )
    for row in found:
        close(tx, row["id"], actor)


def _note(tx: Tx, action: str, failure: Failure, actor: Actor, outcome: Outcome) -> None:
    audit.note(
        tx,
        action,
        target=("failure", str(failure.id)),
        actor=actor,
        outcome=outcome,
        engagement_id=failure.engagement_id,
        reason_code=failure.cause,
        event_id=failure.event_id,
        field=failure.field,
        count=failure.count,
    )


def _printable(text: str, *, besides: str = "") -> str:
    return "".join(each if each.isprintable() or each in besides else "\N{REPLACEMENT CHARACTER}" for each in text)


def _from_row(row: dict[str, object]) -> Failure:
    return Failure(**{name: row[name] for name in Failure.__slots__})  # type: ignore[arg-type]  # the columns' own types
