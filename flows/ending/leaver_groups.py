"""Leavers that share a job and a Prefect run: each engagement is a task of its own, and its failure leaves the others alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast
from uuid import UUID

import structlog
from prefect import Flow, Task, flow, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from config.hub import Hub
from config.tenant import TenantConfig
from flows.case import Case, CaseRef
from flows.job_runs import run_job
from flows.leaver import leave, systems_to_leave
from flows.prefect_runs import PREFECTS_FAULTS, PrefectRuns
from flows.steps import PlainConductor, Step
from ledger import engagements
from ledger.queueing.queue import RunningJob
from provisioning.looks import remembering
from workforce.engagement import Engagement
from workforce.errors import HubError, Refused
from workforce.ports import Directory
from workforce.states import EngagementState

log = structlog.get_logger(__name__)

AT_ONCE = 6
"""How many engagements of a group leave at the same time."""


@dataclass
class _Shared:
    """What the steps of one leaver share: the configuration, the engagement as it was claimed, ids, and looks at directories.

    A system's steps run one after the other.
    """

    config: TenantConfig
    engagement: Engagement
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    directories: dict[str, Directory] = field(default_factory=dict)

    def directory(self, system: str) -> Directory:
        if system not in self.directories:
            self.directories[system] = remembering(self.config.instance(system).directory())
        return self.directories[system]


@dataclass(frozen=True)
class _GroupCase(Case):
    """A case whose steps on systems share what does not change while they run. Effects are fenced all the same."""

    shared: _Shared = field(kw_only=True)

    @cached_property
    def config(self) -> TenantConfig:
        return self.shared.config

    @cached_property
    def engagement(self) -> Engagement:
        if self.system:
            return self.shared.engagement
        with self.hub.database.transaction(self.ref.tenant) as tx:
            return engagements.get(tx, self.engagement_id)

    @cached_property
    def directory(self) -> Directory:
        return self.shared.directory(self.system)

    def external_id(self, kind: str) -> str | None:
        key = (self.system, kind)
        found = self.shared.ids.get(key) or super().external_id(kind)
        if found is not None:
            self.shared.ids[key] = found
        return found


class _GroupConductor(PlainConductor):
    """Runs the steps of one leaver of a group, each once."""

    def __init__(self, ref: CaseRef, hub: Hub, shared: _Shared) -> None:
        super().__init__(ref, hub, attempts=1)
        self._shared = shared

    def _run(self, step: Step, system: str) -> None:
        step.run(_GroupCase(self._hub, self.ref, system, shared=self._shared))


@dataclass
class LeaverGroup:
    """The engagements of one ``leavers`` job. Each is left at most once in its life."""

    hub: Hub
    prefect: PrefectRuns
    job: RunningJob
    _begun: set[UUID] = field(default_factory=set)
    _failed: dict[UUID, HubError] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def leave(self, ids: Sequence[UUID]) -> Mapping[UUID, HubError]:
        """Run the leaver of each that is ending: in one flow run where Prefect is up, plainly where it is not. What failed, and why."""
        members = self._claimed(ids)
        if members and self.prefect.is_up():
            self._through_prefect(members)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="leaver") as pool:
            list(pool.map(self._settle, members))
        return self._failed

    def _claimed(self, ids: Sequence[UUID]) -> list[Engagement]:
        """Those whose ending has begun and is not complete, owned by this attempt from now on."""
        members = []
        for engagement_id in ids:
            with self.hub.database.transaction(self.job.tenant) as tx:
                known = engagements.get(tx, engagement_id)
                if known.tombstoned_at is not None and known.state is not EngagementState.ENDED:
                    members.append(engagements.claim(tx, engagement_id, runner=self.job.run, grants=False))
        return members

    def _settle(self, engagement: Engagement) -> HubError | None:
        """Leave, once; what failed is kept. A defect is that engagement's own."""
        with self._lock:
            if engagement.id in self._begun:
                return None
            self._begun.add(engagement.id)
        try:
            self._leave(engagement)
        except HubError as error:
            self._failed[engagement.id] = error
        except Exception as defect:
            log.exception("leaver.defect", tenant=self.job.tenant, engagement_id=str(engagement.id))
            self._failed[engagement.id] = Refused(f"a defect ({type(defect).__name__}); see the worker's log", cause="defect")
        return self._failed.get(engagement.id)

    def _leave(self, engagement: Engagement) -> None:
        records, directories = systems_to_leave(self.hub, self.job.tenant, engagement.id)
        ref = CaseRef(self.job.tenant, str(engagement.id), self.job.run, engagement.epoch)
        shared = _Shared(self.hub.tenant(self.job.tenant), engagement)
        leave(_GroupConductor(ref, self.hub, shared), records=records, directories=directories)

    def _through_prefect(self, members: Sequence[Engagement]) -> None:
        """One flow run for all. Where Prefect itself cannot go on, whoever was not begun yet leaves plainly."""
        parameters = {"tenant": self.job.tenant, "engagement_ids": [str(each.id) for each in members], "run": self.job.run}
        flow, ids = leavers_flow({str(each.id): each for each in members}, self._settle), [each.id for each in members]
        try:
            label = str(len(members))
            run_job(self.hub.database, self.prefect, self.job, flow, label=label, engagement_ids=ids, parameters=parameters)
        except HubError as error:
            if error.cause in PREFECTS_FAULTS:
                log.warning("leavers.without_prefect", tenant=self.job.tenant, job_id=self.job.job_id, cause=error.cause)


def leavers_flow(members: Mapping[str, Engagement], settle: Callable[[Engagement], HubError | None]) -> Flow[..., Any]:
    """The flow of a group: one task an engagement, a few at a time. It fails when one of them does, after all had their turn.

    The run carries the engagements' tags. The tasks carry none: Prefect 3.8.8 keeps a thread of about 1 MB for every set of tags that a task
    ever had (measured 2026-11), and asks its server for a slot for each.
    """
    one = _task(members, settle)

    def body(tenant: str, engagement_ids: Sequence[str], run: str) -> None:
        del tenant, run
        futures = [one.submit(each) for each in engagement_ids if each in members]
        for future in futures:
            future.wait()
        for future in futures:
            future.result()

    runner = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=AT_ONCE))
    return flow(name="leavers", persist_result=True, validate_parameters=False, task_runner=runner)(body)


def _task(members: Mapping[str, Engagement], settle: Callable[[Engagement], HubError | None]) -> Task[..., None]:
    def body(engagement_id: str) -> None:
        error = settle(members[engagement_id])
        if error is not None:
            raise error

    def name() -> str:
        context = TaskRunContext.get()
        engagement = members.get(context.parameters["engagement_id"]) if context else None
        return f"Leave · {engagement.terms.vms_id}" if engagement else "Leave"

    def cache_key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
        return f"{context.task_run.flow_run_id}-leave-{parameters['engagement_id']}"

    policy = CacheKeyFnPolicy(cache_key_fn=cache_key)
    return task(name="Leave", task_run_name=name, persist_result=True, cache_policy=policy)(body)
