"""Steps of a process, and the two ways to run them: as Prefect tasks, or plainly when Prefect must not be waited for.

A step is a line of the process map (``docs/processes``); its title is the heading there. Steps are given ids only.
"""

from __future__ import annotations

import contextvars
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import structlog
from prefect import Task, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from config.hub import Hub, process_hub
from flows.case import Case, CaseRef
from flows.prefect_runs import prefect_as_retry_later
from workforce.errors import Fenced, HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater, raise_first
from workforce.urgency import revoking

log = structlog.get_logger(__name__)

RETRY_DELAYS_SECONDS = [1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0]
"""How a step is retried within its run: about two minutes in all; a longer outage sends the job back to the queue."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a process map."""

    title: str
    run: Callable[[Case], None]


def step(title: str, *, revokes: bool = False) -> Callable[[Callable[[Case], None]], Step]:
    """Declare a function of a case as the step called ``title``. One that ``revokes`` may use what is kept back for revocations."""
    return lambda run: Step(title, _urgently(run) if revokes else run)


def _urgently(run: Callable[[Case], None]) -> Callable[[Case], None]:
    def urgent(case: Case) -> None:
        with revoking():
            run(case)

    return urgent


def worth_retrying(error: BaseException, delay_seconds: float) -> bool:
    """Whether to try again within the run after ``delay_seconds``: never earlier than the vendor asked for."""
    if isinstance(error, OutcomeUnknown):
        return True
    return isinstance(error, RetryLater) and (error.after_seconds or 0.0) <= delay_seconds


class Conductor(ABC):
    """Runs the steps of one case. A system that fails is left out of the later steps; the others go on to the end."""

    def __init__(self, ref: CaseRef) -> None:
        self.ref = ref
        self.failures: dict[str, HubError] = {}

    def step(self, step: Step) -> None:
        """Run one step; its error ends the process."""
        self._run(step, "")

    def each(self, step: Step, systems: Iterable[str]) -> None:
        """Run one step for every system that has not failed, at the same time. Failures are kept for ``finish``."""
        waiting = [system for system in systems if system not in self.failures]
        for system, error in self._run_each(step, waiting):
            if isinstance(error, Fenced):
                raise error
            self.failures[system] = error

    def finish(self) -> None:
        """Raise what failed: first what may be tried again, so that one system's refusal never keeps another from its retry.

        A refusal that is not raised now is raised again by the next attempt, which finds its effect refused.
        """
        raise_first(self.failures.values())

    @abstractmethod
    def _run(self, step: Step, system: str) -> None: ...

    @abstractmethod
    def _run_each(self, step: Step, systems: Sequence[str]) -> list[tuple[str, HubError]]: ...


class PlainConductor(Conductor):
    """Runs steps as plain functions in this process. Revocation uses it first, so that it never waits for Prefect."""

    def __init__(self, ref: CaseRef, hub: Hub, *, attempts: int = len(RETRY_DELAYS_SECONDS) + 1) -> None:
        super().__init__(ref)
        self._hub = hub
        self._attempts = attempts

    def _run(self, step: Step, system: str) -> None:
        retrying = Retrying(
            retry=retry_if_exception(lambda error: worth_retrying(error, RETRY_DELAYS_SECONDS[-1])),
            wait=_plain_wait,
            stop=stop_after_attempt(self._attempts),
            reraise=True,
        )
        retrying(lambda: step.run(Case(self._hub, self.ref, system)))

    def _run_each(self, step: Step, systems: Sequence[str]) -> list[tuple[str, HubError]]:
        if not systems:
            return []
        with ThreadPoolExecutor(len(systems), thread_name_prefix="step") as pool:
            futures = [(s, pool.submit(contextvars.copy_context().run, self._run, step, s)) for s in systems]
            return _failures((system, future.exception()) for system, future in futures)


class PrefectConductor(Conductor):
    """Runs steps as Prefect tasks of the current flow run: retried, shown, and not run again when the run is resumed."""

    def __init__(self, ref: CaseRef, *, retries: bool = True) -> None:
        super().__init__(ref)
        self._retries = len(RETRY_DELAYS_SECONDS) if retries else 0

    def _run(self, step: Step, system: str) -> None:
        task_of(step).with_options(retries=self._retries)(**asdict(self.ref), system=system)

    def _run_each(self, step: Step, systems: Sequence[str]) -> list[tuple[str, HubError]]:
        futures = [(system, self._submit(step, system)) for system in systems]
        return _failures((system, _error_of(future)) for system, future in futures)

    def _submit(self, step: Step, system: str) -> PrefectFuture[None]:
        tagged = task_of(step).with_options(retries=self._retries, tags=[f"system:{system}"])
        future: PrefectFuture[None] = tagged.submit(**asdict(self.ref), system=system)
        return future


def _failures(outcomes: Iterable[tuple[str, BaseException | None]]) -> list[tuple[str, HubError]]:
    """The failed systems. A defect in one system's connector is that system's failure and keeps no other from its turn."""
    failed: list[tuple[str, HubError]] = []
    for system, error in outcomes:
        if isinstance(error, HubError):
            failed.append((system, error))
        elif isinstance(error, Exception):
            log.error("step.defect", system=system, error=type(error).__name__, exc_info=error)
            failed.append((system, Refused(f"{system}: a defect ({type(error).__name__}); see the worker's log", cause="defect")))
        elif error is not None:
            raise error
    return failed


def _error_of(future: PrefectFuture[None]) -> BaseException | None:
    future.wait()
    if future.state.is_completed():
        return None
    try:
        with prefect_as_retry_later():
            future.result()
    except BaseException as error:  # noqa: BLE001 - handed on as a value; _failures decides
        return error
    return Misconfigured("the step ended in an unexpected state", cause="prefect_state")


@cache
def task_of(step: Step) -> Task[..., None]:
    """The Prefect task of a step. Arguments are ids; the hub is this process's own."""

    def body(*, tenant: str, engagement_id: str, run: str, epoch: int, system: str) -> None:
        step.run(Case(process_hub(), CaseRef(tenant, engagement_id, run, epoch), system))

    return task(
        name=step.title,
        task_run_name=_task_run_name(step),
        retries=len(RETRY_DELAYS_SECONDS),
        retry_delay_seconds=RETRY_DELAYS_SECONDS,
        retry_condition_fn=_retry_condition,
        persist_result=True,
        cache_policy=CacheKeyFnPolicy(cache_key_fn=_cache_key),
    )(body)


def _task_run_name(step: Step) -> Callable[[], str]:
    def name() -> str:
        context = TaskRunContext.get()
        system = context.parameters.get("system") if context else ""
        return f"{step.title} · {system}" if system else step.title

    return name


def _cache_key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    """A finished step of a resumed run is not run again. The epoch is left out: a take-over continues where the crash was."""
    return f"{context.task_run.flow_run_id}-{context.task.name}-{parameters['system']}"


def _retry_condition(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    del task
    error = state.data
    return isinstance(error, BaseException) and worth_retrying(error, _delay_after(task_run.run_count))


def _plain_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.after_seconds if isinstance(error, RetryLater) else None
    return max(asked or 0.0, _delay_after(state.attempt_number))


def _delay_after(attempt: int) -> float:
    """The pause after the attempt of that number, counted from 1."""
    return RETRY_DELAYS_SECONDS[min(max(attempt - 1, 0), len(RETRY_DELAYS_SECONDS) - 1)]
