"""The leaver: from the end instant to a revocation that was read back. The map is ``docs/processes/leaver.md``.

Revocation wins. ``block`` runs first and plainly, without Prefect; the flow then shows the same steps and does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from compliance.sla import offboarding
from config.hub import Hub
from flows.case import ACCOUNT, Case
from flows.intake import RECORD
from flows.ownership import close_conflicts
from flows.steps import Conductor, step
from ledger import audit, effect_history, engagements
from provisioning.readback import prove_blocked, prove_groups_gone, read_account
from provisioning.records import prove_record
from workforce.effects import EffectKind
from workforce.errors import NotFound, RetryLater
from workforce.states import EngagementState

MAY_APPEAR_SECONDS = 120.0
"""How long after its call began an account may still appear: a call's deadline and a lagging directory together."""
LOOK_AGAIN_SECONDS = 5.0


def systems_to_leave(hub: Hub, tenant: str, engagement_id: UUID) -> tuple[list[str], list[str]]:
    """(systems with records, directories): those of today's configuration, and those in which the engagement ever got something.

    A directory that was taken out of the configuration is not forgotten: it fails by name until it is there again.
    """
    systems = hub.tenant(tenant).document.systems
    with hub.database.transaction(tenant) as tx:
        lines = effect_history.list_for(tx, engagement_id)
    records = [systems.vms, systems.hris, systems.payroll, *(e.target for e in lines if e.kind is EffectKind.CREATE_RECORD)]
    directories = [*systems.directories, *(e.target for e in lines if e.kind is EffectKind.CREATE_ACCOUNT)]
    return list(dict.fromkeys(records)), list(dict.fromkeys(directories))


def block(run: Conductor, *, directories: Sequence[str]) -> None:
    """The urgent part: block sign-in and sign out everywhere at once, and prove it. One directory never delays another."""
    run.each(block_sign_in, directories)
    run.each(prove_sign_in_blocked, directories)


def leave(run: Conductor, *, records: Sequence[str], directories: Sequence[str]) -> None:
    """Take away everything that the engagement gave, prove it, end the records, and close. Raises what has to be retried."""
    block(run, directories=directories)
    run.each(remove_groups, directories)
    run.each(prove_access_gone, directories)
    run.each(retire_account, directories)
    if not run.failures:
        run.step(confirm_revocation)
    run.each(end_record, records)
    run.each(read_ended_record_back, records)
    run.finish()
    run.step(close_engagement)


@step("Block sign-in", revokes=True)
def block_sign_in(case: Case) -> None:
    """Disable every account that carries the worker's marker, and sign it out."""
    for account_id in _accounts(case):
        case.accounts().block(account_id, signed_out_since=case.engagement.tombstoned_at)


@step("Prove that sign-in is blocked", revokes=True)
def prove_sign_in_blocked(case: Case) -> None:
    """Ask the directory, and try to sign in where that is possible: it has to be refused."""
    for account_id in _accounts(case):
        since = case.engagement.tombstoned_at
        proof = prove_blocked(case.directory, account_id, signed_out_since=since, clock=case.hub.clock)
        case.audit("access.blocked", account_id=account_id, sign_in=proof.sign_in)


@step("Remove the groups", revokes=True)
def remove_groups(case: Case) -> None:
    """Record the groups, so that a rescinded ending can restore exactly these; then remove those of the access package."""
    marker, entitled = case.engagement.worker.marker, case.granted_groups()
    for account_id in _accounts(case):
        held = sorted(read_account(case.directory, account_id).groups)
        case.audit("access.recorded", account_id=account_id, groups=held)
        case.accounts().remove_groups(account_id, marker=marker, entitled=entitled)


@step("Prove that the access is gone", revokes=True)
def prove_access_gone(case: Case) -> None:
    """Ask the directory: no membership of the engagement may be left."""
    for account_id in _accounts(case):
        prove_groups_gone(case.directory, account_id, case.granted_groups(), clock=case.hub.clock)
        case.audit("access.revoked", account_id=account_id)


@step("Retire the account", revokes=True)
def retire_account(case: Case) -> None:
    """Move the account to the place for disabled ones. Nothing is deleted."""
    for account_id in _accounts(case):
        case.accounts().retire(account_id)


@step("Confirm the revocation")
def confirm_revocation(case: Case) -> None:
    """Everything was read back: the offboarding figures are known."""
    engagement, now = case.engagement, case.hub.clock.now()
    if engagement.revoked_verified_at is not None:
        return
    figure = offboarding(engagement.end_at, now, case.config.document.calendar, now=now)
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagements.mark_revoked_verified(tx, case.engagement_id, now)
        audit.record(tx, case.event("sla.offboarding", **asdict(figure)))


@step("End the record")
def end_record(case: Case) -> None:
    """End the record in the VMS, HRIS or payroll as of the last day at the work location."""
    record_id = case.external_id(RECORD)
    if record_id is not None:
        system = case.config.instance(case.system).ending()
        case.records().end(system, record_id, ended_at=case.engagement.end_at, ends_on=case.engagement.last_day().isoformat())


@step("Read the ended record back")
def read_ended_record_back(case: Case) -> None:
    """Ask the system: the record may no longer be active."""
    record_id = case.external_id(RECORD)
    if record_id is not None:
        prove_record(case.config.instance(case.system).ending(), record_id, active=False)
        case.audit("record.end_verified", record_id=record_id)


@step("Close the engagement")
def close_engagement(case: Case) -> None:
    """Write the closure record: the engagement has ended, with nothing left behind and nothing contested any more."""
    if case.engagement.state is EngagementState.ENDED:
        return
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagements.transition(tx, case.engagement_id, EngagementState.ENDED)
        close_conflicts(tx, case.engagement_id)
        audit.record(tx, case.event("engagement.closed", end_at=case.engagement.end_at))


def _accounts(case: Case) -> list[str]:
    """Every account of the worker in the step's directory: those that carry the marker, and those that we ever made.

    A joiner that was cut off may have made an account that does not show yet. Absence counts only once it is older than the time
    that a call and a lagging directory may take. Raises ``RetryLater`` (cause ``visibility_window``) until then.
    """
    made, rest = _ever_made(case)
    found = {account.account_id for account in case.directory.find(case.engagement.worker.marker)}
    shown = found | {account_id for account_id in made - found if _exists(case, account_id)}
    if rest > 0 and (not shown or made - shown):
        message = "an account that may have been made does not show yet; it is looked for again"
        raise RetryLater(message, cause="visibility_window", after_seconds=min(rest, LOOK_AGAIN_SECONDS))
    return sorted(shown)


def _ever_made(case: Case) -> tuple[set[str], float]:
    """The ids of accounts that were made, and for how many seconds more one may still appear (by the database's clock)."""
    remembered = case.external_id(ACCOUNT)
    with case.hub.database.transaction(case.ref.tenant) as tx:
        lines = effect_history.list_for(tx, case.engagement_id)
        now = tx.began_at
    creations = [e for e in lines if e.kind is EffectKind.CREATE_ACCOUNT and e.target == case.system]
    made = {e.vendor_id for e in creations if e.vendor_id} | ({remembered} if remembered else set())
    begun = [e.started_at for e in creations if e.started_at]
    return made, max((MAY_APPEAR_SECONDS - (now - at).total_seconds() for at in begun), default=0.0)


def _exists(case: Case, account_id: str) -> bool:
    try:
        case.directory.read(account_id)
    except NotFound:
        return False
    return True
