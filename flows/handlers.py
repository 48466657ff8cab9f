"""What the worker does with each kind of job. Jobs carry ids; everything else is read when the job runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from prefect import Flow

from config.hub import Hub
from flows import processes
from flows.access.credentials import credential_handlers, shred_left_lying
from flows.access.reviews import review_due
from flows.alarms import raise_alarm, send_alarm
from flows.case import CaseRef
from flows.ending.midnight import Midnight
from flows.ending.sweeper import sweep
from flows.feeds.polling import poll_events, poll_vms, take_again
from flows.feeds.projection import project
from flows.feeds.quarantine import group_of
from flows.job_runs import run_job
from flows.leaver import block, leave, systems_to_leave
from flows.mapping.following import follow, migrate
from flows.prefect_runs import PREFECTS_FAULTS, PrefectRuns
from flows.reconciliation.reconcile import reconcile
from flows.steps import Conductor, PlainConductor
from ledger import engagements, failures
from ledger.database import Tx
from ledger.failures import Failure
from ledger.identity import cases as identity_cases
from ledger.intake import inbox
from ledger.queueing.jobs import JobName, defer_joiner, defer_leaver
from ledger.queueing.queue import RunningJob
from ledger.reconciliation.reconciliations import Scope
from workforce.engagement import Engagement
from workforce.errors import Fenced, HubError, OutcomeUnknown, RetryLater
from workforce.states import EngagementState

log = structlog.get_logger(__name__)

PREFECT_RETRY_SECONDS = 5.0
PARKED_REVOCATION_SECONDS = 60.0
_ABOUT = ("engagement_id", "instance", "external_id", "failure_id", "promotion_id", "directory")
"""What a job may be about, by the argument that says it."""


@dataclass(frozen=True)
class Handlers:
    """The handlers of one worker process."""

    hub: Hub
    prefect: PrefectRuns

    def by_name(self) -> Mapping[str, Callable[[RunningJob], None]]:
        """Job name → handler."""
        return {
            JobName.PROJECT: self.project,
            JobName.JOINER: self.joiner,
            JobName.LEAVER: self.leaver,
            JobName.POLL: self.poll,
            JobName.BACKFILL: self.backfill,
            JobName.TAKE: self.take,
            JobName.ALARM: self.alarm,
            JobName.FOLLOW: self.follow,
            JobName.MIGRATE: self.migrate,
            JobName.RECONCILE: self.reconcile,
            JobName.SWEEP: self.sweep,
            JobName.REVIEW: self.review,
            **credential_handlers(self.hub),
            **Midnight(self.hub, self.prefect, self._look_after_others).by_name(),
        }

    def project(self, job: RunningJob) -> None:
        """A received event becomes an engagement."""
        project(self.hub, job.tenant, UUID(job.args["event_id"]))

    def poll(self, job: RunningJob) -> None:
        """A VMS is asked for changes."""
        seen = poll_vms(self.hub, job.tenant)
        log.debug("vms.polled", tenant=job.tenant, records=seen)
        self._mended(job)

    def backfill(self, job: RunningJob) -> None:
        """A system is asked for events that no webhook brought."""
        fresh = poll_events(self.hub, job.tenant, job.args["instance"])
        if fresh:
            log.info("events.backfilled", tenant=job.tenant, instance=job.args["instance"], events=fresh)
        self._mended(job)

    def take(self, job: RunningJob) -> None:
        """One record of the VMS is read again, because what was wrong with it was mended."""
        take_again(self.hub, job.tenant, job.args["external_id"])
        self._mended(job)

    def alarm(self, job: RunningJob) -> None:
        """People are told that something waits for them."""
        send_alarm(self.hub, job.tenant, UUID(job.args["failure_id"]))
        self._mended(job)

    def follow(self, job: RunningJob) -> None:
        """The next running engagements follow what was promoted."""
        after = job.args.get("after")
        follow(self.hub, job.tenant, UUID(job.args["promotion_id"]), UUID(after) if after else None)
        self._mended(job)

    def migrate(self, job: RunningJob) -> None:
        """A running engagement moves to the version of a mapping that was promoted."""
        migrate(self.hub, job.tenant, UUID(job.args["engagement_id"]), UUID(job.args["promotion_id"]))
        self._mended(job)

    def reconcile(self, job: RunningJob) -> None:
        """A directory is held against what should be there."""
        reconcile(self.hub, job.tenant, job.args["directory"], Scope(job.args["scope"]))
        self._mended(job)

    def sweep(self, job: RunningJob) -> None:
        """Whoever can sign in although the ending has begun is looked for; credentials that nobody collected are forgotten."""
        shred_left_lying(self.hub, job.tenant)
        sweep(self.hub, job.tenant)
        self._mended(job)

    def review(self, job: RunningJob) -> None:
        """Sponsors and approvers are asked, and asked again."""
        review_due(self.hub, job.tenant)
        self._mended(job)

    def joiner(self, job: RunningJob) -> None:
        """Records and access, through Prefect. One that the ending fenced makes sure that nothing of it survives."""
        engagement_id = UUID(job.args["engagement_id"])
        if self._is_in_review(job.tenant, engagement_id):
            log.info("joiner.in_review", tenant=job.tenant, engagement_id=str(engagement_id))
            return
        if not self.prefect.is_up():
            self._wait_for_prefect(job, engagement_id)
            return
        try:
            self._run_flow(processes.joiner, job, self._claim(job, engagement_id, grants=True))
        except Fenced:
            self._sweep_up(job.tenant, engagement_id)
            raise
        self._mended(job)

    def leaver(self, job: RunningJob) -> None:
        """Take the access away, for as long as it takes. What a person has to mend is shown, and tried again all the same."""
        try:
            self._leave(job, UUID(job.args["engagement_id"]))
            self._look_after_others(job.tenant, UUID(job.args["engagement_id"]))
            self._mended(job)
        except (RetryLater, OutcomeUnknown, Fenced):
            raise
        except Exception as error:
            self.failed(job, error)
            log.exception("revocation.parked_and_retried", job_id=job.job_id, tenant=job.tenant)
            raise RetryLater(
                "the revocation waits for a person and is tried again meanwhile",
                cause=getattr(error, "cause", "defect"),
                after_seconds=PARKED_REVOCATION_SECONDS,
            ) from error

    def failed(self, job: RunningJob, error: Exception) -> None:
        """Park what cannot go on: it waits, with its cause, for a person."""
        known = error if isinstance(error, HubError) else None
        cause = known.cause if known else "defect"
        defect = f"a defect stopped the job ({type(error).__name__}); see the worker's log for job {job.job_id}"
        message, field = (str(known), known.field) if known else (defect, None)
        log.warning("job.parked", job_id=job.job_id, job=job.name, tenant=job.tenant, cause=cause)
        told = {"cause": cause, "message": message, "field": field, "group_key": group_of(error)}
        with self.hub.database.transaction(job.tenant) as tx:
            failure = self._parked(tx, job, **told)
            if job.name != JobName.ALARM:
                raise_alarm(tx, failure)

    def _parked(self, tx: Tx, job: RunningJob, **told: Any) -> Failure:
        if event_id := job.args.get("event_id"):
            return inbox.park(tx, UUID(event_id), **told)
        engagement_id = job.args.get("engagement_id")
        about = UUID(engagement_id) if engagement_id else None
        return failures.park(tx, engagement_id=about, subject=_subject(job), **told)

    def _mended(self, job: RunningJob) -> None:
        """The job is done: what it had parked on the way waits for nobody any more."""
        with self.hub.database.transaction(job.tenant) as tx:
            failures.resolve(tx, _subject(job))

    def _leave(self, job: RunningJob, engagement_id: UUID) -> None:
        """Block first, plainly. Then the whole process: through Prefect where it is up, plainly where it is not."""
        if not self._is_ending(job.tenant, engagement_id):  # asked before the claim, which would fence a joiner at work
            log.warning("leaver.not_ending", job_id=job.job_id, tenant=job.tenant, engagement_id=str(engagement_id))
            return
        engagement = self._claim(job, engagement_id, grants=False)
        ref = _ref(job, engagement)
        records, directories = systems_to_leave(self.hub, job.tenant, engagement_id)
        urgent = PlainConductor(ref, self.hub, attempts=1)
        block(urgent, directories=directories)
        self._show_what_is_hidden(job, urgent)
        if not (self.prefect.is_up() and self._left_through_prefect(job, engagement)):
            leave(PlainConductor(ref, self.hub, attempts=1), records=records, directories=directories)

    def _show_what_is_hidden(self, job: RunningJob, run: Conductor) -> None:
        """Park what a person has to mend although the run will end with what may be tried again, which hides it."""
        again = [error for error in run.failures.values() if isinstance(error, RetryLater | OutcomeUnknown)]
        for error in run.failures.values():
            if again and error not in again:
                self.failed(job, error)

    def _left_through_prefect(self, job: RunningJob, engagement: Engagement) -> bool:
        """Run the leaver's flow; false when Prefect itself could not go on, which must not hold the rest back."""
        try:
            self._run_flow(processes.leaver, job, engagement)
        except RetryLater as error:
            if error.cause not in PREFECTS_FAULTS:
                raise
            log.warning("leaver.without_prefect", job_id=job.job_id, tenant=job.tenant, cause=error.cause)
            return False
        return True

    def _sweep_up(self, tenant: str, engagement_id: UUID) -> None:
        """After a joiner was fenced by the ending: its last call may have granted something after the leaver had looked."""
        if self._is_ending(tenant, engagement_id):
            with self.hub.database.transaction(tenant) as tx:
                defer_leaver(tx, engagement_id)

    def _is_in_review(self, tenant: str, engagement_id: UUID) -> bool:
        """Whether a person has to decide first; the decision starts the joiner again."""
        with self.hub.database.transaction(tenant) as tx:
            return identity_cases.wait(tx, engagements.get(tx, engagement_id)).state is EngagementState.IN_REVIEW

    def _look_after_others(self, tenant: str, engagement_id: UUID) -> None:
        """What the person's other engagements need is looked at once more: one may have begun while this one was taken apart."""
        with self.hub.database.transaction(tenant) as tx:
            ended = engagements.get(tx, engagement_id)
            for other in engagements.going_on(tx, ended.worker.id):
                if other.id != engagement_id:
                    defer_joiner(tx, other.id)

    def _is_ending(self, tenant: str, engagement_id: UUID) -> bool:
        """Whether the ending has begun and was not taken back."""
        with self.hub.database.transaction(tenant) as tx:
            return engagements.get(tx, engagement_id).tombstoned_at is not None

    def _wait_for_prefect(self, job: RunningJob, engagement_id: UUID) -> None:
        """Put a fresh job in the place of this one: an outage of Prefect, however long, uses up nobody's attempts."""
        log.info("job.waits_for_prefect", job_id=job.job_id, tenant=job.tenant)
        not_before = self.hub.clock.now() + timedelta(seconds=PREFECT_RETRY_SECONDS)
        with self.hub.database.transaction(job.tenant) as tx:
            defer_joiner(tx, engagement_id, not_before=not_before)

    def _claim(self, job: RunningJob, engagement_id: UUID, *, grants: bool) -> Engagement:
        with self.hub.database.transaction(job.tenant) as tx:
            return engagements.claim(tx, engagement_id, runner=job.run, grants=grants)

    def _run_flow(self, flow: Flow[..., Any], job: RunningJob, engagement: Engagement) -> None:
        parameters, label = asdict(_ref(job, engagement)), engagement.terms.vms_id
        run_job(self.hub.database, self.prefect, job, flow, label=label, engagement_ids=[engagement.id], parameters=parameters)


def _subject(job: RunningJob) -> str:
    """What the failure list calls the job."""
    named = ("engagement_id", "promotion_id") if job.name == JobName.MIGRATE else _ABOUT
    about = [job.args[name] for name in named if name in job.args]
    return ":".join([job.name, *(about if job.name == JobName.MIGRATE else about[:1])])


def _ref(job: RunningJob, engagement: Engagement) -> CaseRef:
    return CaseRef(job.tenant, str(engagement.id), job.run, engagement.epoch)
