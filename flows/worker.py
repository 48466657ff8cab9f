"""The worker process: runs jobs from the queue, fires timers, polls the VMSs and writes audit checkpoints."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from config.hub import Hub
from flows.ending.midnight import ends_reached
from flows.handlers import Handlers
from flows.mapping.following import follow_promotions
from flows.prefect_runs import PrefectRuns, drop_old_results
from flows.reconciliation.reconcile import due_reconciliations
from ledger.database import Tx
from ledger.queueing import timers
from ledger.queueing.jobs import defer_backfill, defer_joiner, defer_poll, defer_reconciliation, defer_review, defer_sweep
from ledger.queueing.queue import Worker, prune
from ledger.queueing.timers import Timer, TimerKind
from ledger.trail import audit, checkpoint
from workforce.errors import HubError, Misconfigured, Refused
from workforce.events import HUB, AuditEvent, Outcome

log = structlog.get_logger(__name__)

TIMER_TICK_SECONDS = 0.25
PRUNE_SECONDS = 3600.0
SWEEP_SECONDS = 600.0
LOOK_SECONDS = 60.0


@dataclass
class WorkerProcess:
    """Everything that runs in one worker, and how it stops."""

    hub: Hub
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Work until ``stop`` is set; every part ends before this returns."""
        settings = self.hub.settings
        loops = [
            threading.Thread(target=self._every, args=(TIMER_TICK_SECONDS, self.fire_timers), name="timers"),
            threading.Thread(target=self._every, args=(settings.poll_seconds, self.poll), name="polls"),
            threading.Thread(target=self._every, args=(SWEEP_SECONDS, self.sweep), name="sweeps"),
            threading.Thread(target=self._every, args=(LOOK_SECONDS, self.look_after), name="looks"),
            threading.Thread(target=self._every, args=(settings.checkpoint_seconds, self.write_checkpoints), name="checkpoints"),
            threading.Thread(target=self._every, args=(PRUNE_SECONDS, self.prune), name="prune"),
        ]
        for loop in loops:
            loop.start()
        try:
            self._queue_worker().run(self.stop)
        finally:
            self.stop.set()
            for loop in loops:
                loop.join()

    def fire_timers(self) -> None:
        """Fire every timer that is due."""
        timers.fire_due(
            self.hub.database,
            {TimerKind.START: self._start_reached, TimerKind.END: self._end_reached, TimerKind.ALERT: self._alert_due},
            together={TimerKind.END: ends_reached},
        )

    def poll(self) -> None:
        """Have every tenant's VMS polled, and every system that pushes events asked for lost ones; one waiting poll for each is enough."""
        for tenant in self.hub.tenant_names():
            try:
                self._poll(tenant)
            except HubError as error:  # that tenant's; the others are polled
                log.warning("poll.not_deferred", tenant=tenant, cause=error.cause)

    def _poll(self, tenant: str) -> None:
        pushing = self._pushing(tenant)
        with self.hub.database.transaction(tenant) as tx:
            defer_poll(tx)
            for instance in pushing:
                defer_backfill(tx, instance)
        with self.hub.database.transaction(tenant) as tx:
            follow_promotions(self.hub, tx)

    def _pushing(self, tenant: str) -> list[str]:
        """The tenant's instances that can be asked for lost events; none while its configuration cannot be read at all."""
        try:
            instances = self.hub.tenant(tenant).instances
        except Misconfigured:
            return []
        return [name for name, instance in instances.items() if instance.connector.can.backfill]

    def sweep(self) -> None:
        """Have every tenant looked through for access that outlives its end."""
        for tenant in self.hub.tenant_names():
            with self.hub.database.transaction(tenant) as tx:
                defer_sweep(tx)

    def look_after(self) -> None:
        """Have what is due reconciled in every tenant, and reviews and approvals followed up."""
        for tenant in self.hub.tenant_names():
            try:
                due = due_reconciliations(self.hub, tenant, self.hub.clock.now())
            except HubError as error:  # that tenant's; the others are looked after
                log.warning("reconciliation.not_deferred", tenant=tenant, cause=error.cause)
                continue
            with self.hub.database.transaction(tenant) as tx:
                defer_review(tx)
                for directory, scope in due:
                    defer_reconciliation(tx, directory, scope)

    def write_checkpoints(self) -> None:
        """Write each tenant's signed tree head outside the database."""
        signer = self.hub.signer()
        for tenant in self.hub.tenant_names():
            try:
                checkpoint.write(self.hub.database, tenant, signer, self.hub.settings.checkpoints)
            except Refused as error:  # that tenant's trail or file is not as it should be; the others' checkpoints go on
                log.exception("checkpoint.refused", tenant=tenant, cause=error.cause)

    def prune(self) -> None:
        """Delete jobs and steps' results that ended long ago; the audit trail keeps what they did."""
        prune(self.hub.database)
        drop_old_results(self.hub.settings.prefect_results)

    def _queue_worker(self) -> Worker:
        settings = self.hub.settings
        handlers = Handlers(self.hub, PrefectRuns(settings.prefect_api))
        return Worker(
            self.hub.database,
            handlers.by_name(),
            on_failed=handlers.failed,
            revoke_slots=settings.revoke_slots,
            sync_slots=settings.sync_slots,
            lease_seconds=settings.lease_seconds,
        )

    def _every(self, seconds: float, action: Callable[[], object]) -> None:
        """Run ``action`` every ``seconds`` until the stop; a fault is logged once, and once more when it is over.

        No fault ends a loop, not even a defect: a worker whose timers have stopped would leave access behind in silence.
        """
        failing = False
        while not self.stop.is_set():
            try:
                action()
            except Exception as error:
                if not failing:
                    log.exception("loop.failing", loop=threading.current_thread().name, cause=getattr(error, "cause", "defect"))
                failing = True
            else:
                if failing:
                    log.info("loop.back", loop=threading.current_thread().name)
                failing = False
            self.stop.wait(seconds)

    def _end_reached(self, tx: Tx, timer: Timer) -> None:
        ends_reached(tx, [timer])

    def _start_reached(self, tx: Tx, timer: Timer) -> None:
        """The start instant has passed: the joiner enables what was prepared."""
        defer_joiner(tx, timer.engagement_id)

    def _alert_due(self, tx: Tx, timer: Timer) -> None:
        audit.record(tx, _alert(timer))


def _alert(timer: Timer) -> AuditEvent:
    return AuditEvent(
        action="alert.due",
        actor=HUB,
        outcome=Outcome.SUCCESS,
        target_type="engagement",
        target_id=str(timer.engagement_id),
        occurred_at=timer.fires_at,
        engagement_id=timer.engagement_id,
        details={"alert": timer.detail},
    )


def work(hub: Hub) -> None:
    """Run a worker in this process until SIGTERM or SIGINT."""
    process = WorkerProcess(hub)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stop.set())
    log.info("worker.started")
    process.run()
    log.info("worker.stopped")
