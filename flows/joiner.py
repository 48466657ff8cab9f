"""The joiner: from a signed agreement to access that was read back. One line a step; the map is ``docs/processes/joiner.md``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from compliance.sla import time_to_productive
from flows.case import ACCOUNT, Case
from flows.intake import RECORD, Intake, read_agreement_of
from flows.steps import Conductor, step
from flows.versions import Versions
from ledger import audit, engagements, sources
from provisioning.readback import prove_access
from provisioning.records import prove_record
from workforce.effects import EffectKind
from workforce.errors import Refused, RetryLater
from workforce.states import EngagementState


def join(run: Conductor, *, sinks: Sequence[str], directories: Sequence[str]) -> None:
    """Give the contractor of one engagement records and access, and prove the access. Raises what has to be mended."""
    run.step(read_agreement)
    run.step(read_work_order)
    run.step(decide_access)
    run.each(create_record, sinks)
    run.each(create_account, directories)
    run.each(grant_access, directories)
    run.each(read_access_back, directories)
    run.each(read_record_back, sinks)
    run.finish()
    run.step(confirm_access)


@step("Read the signed agreement")
def read_agreement(case: Case) -> None:
    """Read the envelope again at its source; go on only if every party has signed."""
    envelope_id = case.engagement.envelope_id
    if envelope_id is None:
        raise Refused("envelope_id: no agreement is known for this engagement", cause="no_agreement", field="envelope_id")
    agreement, record = read_agreement_of(case.hub, case.ref.tenant, envelope_id)
    signed_at = agreement.executed_at()
    with case.hub.database.transaction(case.ref.tenant) as tx:
        sources.remember(tx, case.config.document.systems.esign, record)
        engagements.set_agreement(tx, case.engagement_id, envelope_id, signed_at)
        audit.record(tx, case.event("agreement.read", envelope_id=envelope_id, signed_at=signed_at))


@step("Read the work order")
def read_work_order(case: Case) -> None:
    """Read the work order again in the VMS, map it, and advance the engagement if the source is newer."""
    system = case.config.document.systems.vms
    intake = Intake(case.hub, case.ref.tenant, system)
    record = intake.source().read(case.engagement.terms.vms_id)
    taken = intake.take(record)
    with case.hub.database.transaction(case.ref.tenant) as tx:
        _, change = intake.store(tx, record, taken)
        audit.record(tx, case.event("work_order.read", vms_id=record.external_id, version=record.version, change=change))


@step("Decide the access")
def decide_access(case: Case) -> None:
    """Find the access package of the role, reserve the login, and pin the mapping versions for the life of the engagement."""
    package = case.package
    case.reserve_login()
    systems = case.config.document.systems
    keys = {case.config.instance(name).connector.key for name in (systems.hris, systems.payroll, *systems.directories)}
    versions = Versions(case.hub, case.ref.tenant)
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagements.require_epoch(tx, case.engagement_id, case.ref.epoch)
        pins = {f"engagement__{key}": versions.of(tx, f"engagement__{key}", case.engagement).version for key in sorted(keys)}
        engagements.pin_mappings(tx, case.engagement_id, pins)
        if case.engagement.state is EngagementState.REQUESTED:
            engagements.transition(tx, case.engagement_id, EngagementState.CLEARED)
        groups = {name: sorted(grant.groups) for name, grant in package.directories.items()}
        audit.record(tx, case.event("access.decided", package=package.package, version=package.version, groups=groups))


@step("Create the record")
def create_record(case: Case) -> None:
    """Create the contractor's record, or adopt the one that a lost reply left; of one that is known, write only what differs."""
    sink, outgoing, applier = case.config.instance(case.system).sink(), case.outgoing(), case.records()
    record_id = case.external_id(RECORD)
    if record_id is None:
        marker = case.engagement.worker.marker
        record_id, plan = applier.create(sink, marker, outgoing.desired, outgoing.details)
    else:
        plan = applier.update(sink, record_id, outgoing.desired, outgoing.details)
    case.remember(RECORD, record_id, outgoing, plan)
    applier.conclude(record_id, case.unfinished(EffectKind.UPDATE_RECORD))


@step("Create the account")
def create_account(case: Case) -> None:
    """Create the account with our marker and its native expiry, or adopt the one that a lost reply left, with its attributes."""
    outgoing, applier = case.outgoing(), case.accounts()
    desired = case.desired_account(outgoing.values)
    account_id, plan = applier.provide(desired, outgoing.desired, outgoing.details)
    case.remember(ACCOUNT, account_id, outgoing, plan)
    applier.conclude(account_id, case.unfinished(EffectKind.UPDATE_ACCOUNT))


@step("Grant the access package")
def grant_access(case: Case) -> None:
    """Bring the account to what the package says: expiry, sign-in, groups. Only the difference is written."""
    desired = case.desired_account(case.outgoing().values)
    changes = case.accounts().grant(known(case, ACCOUNT), desired)
    case.audit("access.granted", changes=[f"{change.kind} {change.detail}".strip() for change in changes])


@step("Read the access back")
def read_access_back(case: Case) -> None:
    """Ask the directory what it shows: enabled, in the groups, expiring on time, and able to sign in.

    The trial sign-in replaces the password, so it is made only before the account is handed over.
    """
    desired = case.desired_account(case.outgoing().values)
    handed_over = case.engagement.access_verified_at is not None
    account_id = known(case, ACCOUNT)
    proof = prove_access(case.directory, account_id, desired, clock=case.hub.clock, try_sign_in=not handed_over)
    case.audit("account.verified", account_id=account_id, groups=sorted(proof.account.groups), sign_in=proof.sign_in)


@step("Read the record back")
def read_record_back(case: Case) -> None:
    """Ask the system for the record; it has to be there and active."""
    record = prove_record(case.config.instance(case.system).sink(), known(case, RECORD), active=True)
    case.audit("record.verified", record_id=record.external_id)


@step("Confirm the access")
def confirm_access(case: Case) -> None:
    """Everything was read back: the engagement is active, and the time to productive is known."""
    engagement, now = case.engagement, case.hub.clock.now()
    if engagement.access_verified_at is not None or engagement.signed_at is None:
        return
    calendar = case.config.document.calendar
    figure = time_to_productive(engagement.signed_at, now, engagement.terms.starts_on, calendar, now=now)
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagements.require_epoch(tx, case.engagement_id, case.ref.epoch)
        engagements.mark_access_verified(tx, case.engagement_id, now)
        engagements.transition(tx, case.engagement_id, EngagementState.ACTIVE)
        audit.record(tx, case.event("sla.time_to_productive", **asdict(figure)))


def known(case: Case, kind: str) -> str:
    """The system's id of what an earlier step created. Raises ``RetryLater``: without it there is nothing to work on."""
    external_id = case.external_id(kind)
    if external_id is None:
        raise RetryLater(f"{case.system}: no {kind} is known yet", cause="not_created")
    return external_id
