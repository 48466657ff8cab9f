"""The jobs that the hub's processes consist of: their names, lanes, locks and keys, in one place.

Whoever causes a job defers it here, in the transaction of the row that causes it; ``flows`` runs them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ledger.database import Tx
from ledger.ids import uuid7
from ledger.queueing.queue import Job, Lane, defer
from workforce.errors import NotFound


class JobName(StrEnum):
    """What a worker can do."""

    PROJECT = "project"
    JOINER = "joiner"
    LEAVER = "leaver"
    LEAVERS = "leavers"
    BLOCK_TOGETHER = "block_together"
    POLL = "poll"
    BACKFILL = "backfill"
    TAKE = "take"
    ALARM = "alarm"
    FOLLOW = "follow"
    MIGRATE = "migrate"
    RECONCILE = "reconcile"
    SWEEP = "sweep"
    REVIEW = "review"


def defer_projection(tx: Tx, *, source: str, subject_id: str, event_id: UUID) -> None:
    """Have a received event projected. Events about one subject are projected one at a time, in order."""
    defer(tx, tx.tenant, Job(JobName.PROJECT, {"event_id": str(event_id)}, Lane.SYNC, f"{source}:{subject_id}"))


def defer_joiner(tx: Tx, engagement_id: UUID, *, not_before: datetime | None = None) -> None:
    """Have the joiner run for the engagement; one that waits already is enough, and is pulled forward without ``not_before``.

    The jobs of one person run one at a time: several engagements may share an account.
    """
    key = f"joiner:{engagement_id}"
    job = Job(JobName.JOINER, {"engagement_id": str(engagement_id)}, Lane.SYNC, _person(tx, engagement_id), key, not_before)
    defer(tx, tx.tenant, job, pull_forward=not_before is None)


def defer_leaver(tx: Tx, engagement_id: UUID) -> None:
    """Have the leaver run: in its own lane and under its own lock, so that it overtakes whatever runs or waits.

    One that waits for another try is pulled forward: it reads everything again.
    """
    lock, key = f"revoke:{engagement_id}", f"leaver:{engagement_id}"
    job = Job(JobName.LEAVER, {"engagement_id": str(engagement_id)}, Lane.REVOKE, lock, key)
    defer(tx, tx.tenant, job, pull_forward=True)


def defer_block_together(tx: Tx, directory: str) -> None:
    """Have the sign-ins of all endings of the tenant blocked in a directory together; one waiting run for each directory is enough."""
    key = f"block_together:{directory}"
    defer(tx, tx.tenant, Job(JobName.BLOCK_TOGETHER, {"directory": directory}, Lane.REVOKE, key, key), pull_forward=True)


def defer_leavers(tx: Tx, engagement_ids: Iterable[UUID], *, turn: int = 1, not_before: datetime | None = None) -> None:
    """Have the leavers of several engagements run as one job, for the ``turn``-th time. Epochs keep it and a leaver of one's own apart.

    Their sign-ins are blocked by then: a termination of just now, which has a leaver of its own, does not wait behind them.
    """
    args = {"engagement_ids": " ".join(map(str, engagement_ids)), "turn": str(turn)}
    defer(tx, tx.tenant, Job(JobName.LEAVERS, args, Lane.REVOKE, f"leavers:{uuid7()}", not_before=not_before, yields=True))


def defer_poll(tx: Tx) -> None:
    """Have the tenant's VMS asked for changes; one waiting poll is enough."""
    defer(tx, tx.tenant, Job(JobName.POLL, {}, Lane.BULK, "poll", key="poll"))


def defer_backfill(tx: Tx, instance: str) -> None:
    """Have a connector instance asked for events that no webhook brought; one waiting request is enough."""
    key = f"backfill:{instance}"
    defer(tx, tx.tenant, Job(JobName.BACKFILL, {"instance": instance}, Lane.BULK, key, key=key))


def defer_take(tx: Tx, external_id: str) -> None:
    """Have one record of the tenant's VMS read again and taken; one waiting request is enough."""
    key = f"take:{external_id}"
    defer(tx, tx.tenant, Job(JobName.TAKE, {"external_id": external_id}, Lane.BULK, key, key=key))


def defer_reconciliation(tx: Tx, directory: str, scope: str) -> None:
    """Have a directory held against what is desired. One run a directory at a time; one waiting run of a scope is enough."""
    key = f"reconcile:{directory}:{scope}"
    defer(
        tx,
        tx.tenant,
        Job(JobName.RECONCILE, {"directory": directory, "scope": scope}, Lane.BULK, f"reconcile:{directory}", key=key),
    )


def defer_sweep(tx: Tx) -> None:
    """Have everybody looked at whose ending has begun lately; one waiting look is enough. It belongs to the revocations."""
    defer(tx, tx.tenant, Job(JobName.SWEEP, {}, Lane.REVOKE, "sweep", key="sweep"))


def defer_review(tx: Tx) -> None:
    """Have access reviews and approvals asked for and followed up; one waiting request is enough."""
    defer(tx, tx.tenant, Job(JobName.REVIEW, {}, Lane.BULK, "review", key="review"))


def defer_alarm(tx: Tx, failure_id: UUID) -> None:
    """Have people told that a failure waits for them."""
    key = f"alarm:{failure_id}"
    defer(tx, tx.tenant, Job(JobName.ALARM, {"failure_id": str(failure_id)}, Lane.SYNC, key, key=key))


def defer_follow(tx: Tx, promotion_id: UUID, *, after: UUID | None = None) -> None:
    """Have the next running engagements follow a promotion, those with ids behind ``after``: the rest comes when these are through."""
    args = {"promotion_id": str(promotion_id), **({"after": str(after)} if after else {})}
    key = f"follow:{promotion_id}"
    defer(tx, tx.tenant, Job(JobName.FOLLOW, args, Lane.BULK, key, key))


def defer_migration(tx: Tx, engagement_id: UUID, promotion_id: UUID) -> None:
    """Have a running engagement moved to the version that was promoted, in its turn among the engagement's jobs."""
    key = f"migrate:{engagement_id}:{promotion_id}"
    args = {"engagement_id": str(engagement_id), "promotion_id": str(promotion_id)}
    defer(tx, tx.tenant, Job(JobName.MIGRATE, args, Lane.BULK, _person(tx, engagement_id), key))


def _person(tx: Tx, engagement_id: UUID) -> str:
    """The lock of the engagement's worker. Raises ``NotFound``."""
    row = tx.one("SELECT worker_id FROM engagements WHERE id = %(id)s", id=engagement_id)
    if row is None:
        raise NotFound(f"engagement {engagement_id} does not exist", field="engagement_id")
    return str(row["worker_id"])
