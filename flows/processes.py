"""The Prefect flows: a process map each, run with ids alone."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from prefect import flow

from config.hub import process_hub
from flows.case import CaseRef
from flows.joiner import directories_concerned, join
from flows.leaver import leave, systems_to_leave
from flows.steps import PrefectConductor


@flow(name="joiner", persist_result=True, validate_parameters=False)
def joiner(tenant: str, engagement_id: str, run: str, epoch: int) -> None:
    """Signed agreement → records and access, read back."""
    hub = process_hub()
    systems = hub.tenant(tenant).document.systems
    conductor = PrefectConductor(CaseRef(tenant, engagement_id, run, epoch))
    directories = partial(directories_concerned, hub, tenant, UUID(engagement_id))
    join(conductor, sinks=(systems.hris, systems.payroll), directories=directories)


@flow(name="leaver", persist_result=True, validate_parameters=False)
def leaver(tenant: str, engagement_id: str, run: str, epoch: int) -> None:
    """End instant → access gone and records ended, read back.

    Its steps are not retried here: the queue does that for ever, and a sick system must not hold a slot of the revoke lane.
    """
    records, directories = systems_to_leave(process_hub(), tenant, UUID(engagement_id))
    conductor = PrefectConductor(CaseRef(tenant, engagement_id, run, epoch), retries=False)
    leave(conductor, records=records, directories=directories)
