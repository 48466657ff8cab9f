"""Many stints that end at the same instant: one batched revocation for each directory, then leavers that share a flow run.

The end timers that are due together are tombstoned in a few transactions. ``block_together`` blocks sign-in in one directory, some
accounts at a time; ``leavers`` does everything else for some engagements in one job and one Prefect run. An engagement that fails there
goes on alone, as every single leaver does. Nothing here waits for Prefect, and no directory for another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog

from config.hub import Hub
from flows.case import Case, CaseRef
from flows.ending.leaver_groups import LeaverGroup
from flows.prefect_runs import PrefectRuns
from ledger import engagements
from ledger.database import Tx
from ledger.ending.unblocked import Unblocked, directories_of, note_blocked, still_being_blocked, unblocked
from ledger.queueing.jobs import JobName, defer_block_together, defer_leaver, defer_leavers
from ledger.queueing.queue import RunningJob
from ledger.queueing.timers import Timer
from ledger.trail import audit
from ledger.writing.bulk_effects import BulkEffects
from provisioning.blocking import Blocking, Outcomes, ToBlock
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, RetryLater
from workforce.events import HUB, Actor, ActorType
from workforce.urgency import revoking

log = structlog.get_logger(__name__)

TIMER_ACTOR = Actor(ActorType.SERVICE, "stint", auth="timer")
MANY = 10
"""From so many on that end together they are blocked together; fewer are not worth another job."""
GROUP = 25
"""How many leavers share a job and a flow run."""
SLICE = 100
"""How many accounts are blocked with one transaction before the calls and two after them."""
SLICES_AT_ONCE = 2
ATTEMPTS = 5
"""How often a directory is tried again as a whole; then the leavers go on, which never give up."""
BLOCKED_FIRST_SECONDS = 60.0
"""For so long after the tombstone the leavers leave a directory to ``block_together``."""
LOOK_AGAIN_SECONDS = 1.0
TURNS = 8
LONGEST_PAUSE_SECONDS = 160.0
"""A little longer than the longest span for which a directory counts its writes."""


def ends_reached(tx: Tx, timers: Sequence[Timer]) -> None:
    """The end instants have passed: every tombstone first, then what takes the access away. One transaction."""
    ended = [timer.engagement_id for timer in timers]
    for engagement_id in ended:
        engagements.begin_ending(tx, engagement_id, cause="end_reached", actor=TIMER_ACTOR)
    if len(ended) < MANY:
        for engagement_id in ended:
            defer_leaver(tx, engagement_id)
        return
    for directory in directories_of(tx, ended):
        defer_block_together(tx, directory)
    for start in range(0, len(ended), GROUP):
        defer_leavers(tx, ended[start : start + GROUP])


@dataclass(frozen=True)
class Midnight:
    """The handlers of what is done together. ``after`` is told (tenant, engagement) when a leaver is through."""

    hub: Hub
    prefect: PrefectRuns
    after: Callable[[str, UUID], None]

    def by_name(self) -> Mapping[str, Callable[[RunningJob], None]]:
        """Job name → handler."""
        return {JobName.BLOCK_TOGETHER: self.block_together, JobName.LEAVERS: self.leavers}

    def block_together(self, job: RunningJob) -> None:
        """Block every sign-in of the directory that an ending has left open. Tried a few times as a whole; the leavers never give up."""
        directory = job.args["directory"]
        try:
            errors = _Blockade(self.hub, job, directory).run()
        except (RetryLater, OutcomeUnknown) as error:
            errors = [error]
        except Misconfigured as error:
            log.warning("blockade.misconfigured", tenant=job.tenant, directory=directory, cause=error.cause)
            return
        again = [error for error in errors if isinstance(error, RetryLater | OutcomeUnknown)]
        if again and job.attempt < ATTEMPTS:
            raise RetryLater(
                f"{directory}: {len(again)} sign-ins are not proven to be blocked yet",
                cause=again[0].cause,
                after_seconds=_pause(again),
            )

    def leavers(self, job: RunningJob) -> None:
        """The leavers of several engagements. Those that must wait come again together, the others go on alone."""
        ids = [UUID(text) for text in job.args["engagement_ids"].split()]
        self._let_be_blocked(job, ids)
        failed = LeaverGroup(self.hub, self.prefect, job).leave(ids)
        for engagement_id in ids:
            if engagement_id not in failed:
                self.after(job.tenant, engagement_id)
        if failed:
            self._hand_on(job, failed)

    def _let_be_blocked(self, job: RunningJob, ids: Sequence[UUID]) -> None:
        with self.hub.database.transaction(job.tenant) as tx:
            waiting = still_being_blocked(tx, ids, since_seconds=BLOCKED_FIRST_SECONDS)
        if waiting:
            message = f"{waiting} sign-ins are being blocked together with others"
            raise RetryLater(message, cause="being_blocked", after_seconds=LOOK_AGAIN_SECONDS)

    def _hand_on(self, job: RunningJob, failed: Mapping[UUID, HubError]) -> None:
        turn = int(job.args["turn"])
        again = {one: e for one, e in failed.items() if isinstance(e, RetryLater | OutcomeUnknown) and turn < TURNS}
        with self.hub.database.transaction(job.tenant) as tx:
            if again:
                not_before = tx.began_at + timedelta(seconds=_pause(again.values()))
                defer_leavers(tx, again, turn=turn + 1, not_before=not_before)
            for engagement_id in failed:
                if engagement_id not in again:
                    defer_leaver(tx, engagement_id)
        log.info("leavers.handed_on", tenant=job.tenant, again=len(again), alone=len(failed) - len(again))


@dataclass
class _Blockade:
    """One run of ``block_together``: slices of what is open, taken in turn by a few threads until nothing new is open."""

    hub: Hub
    job: RunningJob
    system: str
    _tried: set[UUID] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> list[HubError]:
        """The errors of those that are not proven to be blocked. Raises what stops the run as a whole."""
        directory = self.hub.tenant(self.job.tenant).instance(self.system).directory()
        blocking = Blocking(self.job.tenant, self.system, directory, self._effects())
        with ThreadPoolExecutor(SLICES_AT_ONCE, thread_name_prefix="block") as pool:
            futures = [pool.submit(self._work, blocking) for _ in range(SLICES_AT_ONCE)]
        return [error for future in futures for error in future.result()]

    def _work(self, blocking: Blocking) -> list[HubError]:
        errors: list[HubError] = []
        with revoking():
            while some := self._next():
                outcomes = blocking.block([account for each in some for account in _accounts_of(each)])
                self._note(outcomes)
                errors += [error for error in outcomes.values() if error is not None]
        return errors

    def _next(self) -> list[Unblocked]:
        """The next slice, without those that another engagement of the person supports."""
        with self._lock:
            with self.hub.database.transaction(self.job.tenant) as tx:
                found = unblocked(tx, self.system, but=self._tried, limit=SLICE)
            self._tried |= {each.engagement_id for each in found}
        kept = [each for each in found if not (each.is_supported and self._is_supported(each))]
        return kept or (self._next() if found else [])

    def _is_supported(self, each: Unblocked) -> bool:
        ref = CaseRef(self.job.tenant, str(each.engagement_id), self.job.run, each.epoch)
        return Case(self.hub, ref, self.system).supported_elsewhere().enabled

    def _note(self, outcomes: Outcomes) -> None:
        """Audit what was read back; an engagement all of whose accounts are blocked has no sign-in left to revoke."""
        open_still = {account.engagement_id for account, error in outcomes.items() if error is not None}
        with self.hub.database.transaction(self.job.tenant) as tx:
            for account in (account for account, error in outcomes.items() if error is None):
                self._audit(tx, account)
            note_blocked(tx, self.system, {a.engagement_id: a.epoch for a in outcomes if a.engagement_id not in open_still})
        for error in {type(e): e for e in outcomes.values() if e is not None}.values():
            log.warning(
                "blockade.left_open", tenant=self.job.tenant, directory=self.system, left=len(open_still), cause=error.cause
            )

    def _audit(self, tx: Tx, account: ToBlock) -> None:
        audit.note(
            tx,
            "access.blocked",
            engagement_id=account.engagement_id,
            system=self.system,
            account_id=account.account_id,
            together=True,
        )

    def _effects(self) -> BulkEffects:
        return BulkEffects(
            self.hub.database,
            self.job.tenant,
            HUB,
            runner=self.job.run,
            correlation_id=self.job.run,
            lease_seconds=self.hub.settings.lease_seconds,
        )


def _accounts_of(each: Unblocked) -> list[ToBlock]:
    return [ToBlock(each.engagement_id, each.epoch, account_id, each.tombstoned_at) for account_id in each.account_ids]


def _pause(errors: Iterable[HubError]) -> float:
    """Until the last of what is waited for may be there, as far as anybody said when; not for ever."""
    asked = [getattr(error, "after_seconds", None) or 2.0 for error in errors]
    return min(max(asked), LONGEST_PAUSE_SECONDS)
