"""The leaver: from the end instant to a revocation that was read back. The map is ``docs/processes/leaver.md``.

Revocation wins. ``block`` runs first and plainly, without Prefect; the flow then shows the same steps and does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from compliance.sla import offboarding
from flows.case import ACCOUNT, Case
from flows.intake import RECORD
from flows.steps import Conductor, step
from ledger import audit, engagements
from provisioning.readback import prove_blocked, prove_groups_gone
from provisioning.records import prove_record
from workforce.errors import NotFound
from workforce.states import EngagementState


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


@step("Block sign-in")
def block_sign_in(case: Case) -> None:
    """Disable every account that carries the worker's marker, and sign it out."""
    for account_id in _accounts(case):
        case.accounts().block(account_id, signed_out_since=case.engagement.tombstoned_at)


@step("Prove that sign-in is blocked")
def prove_sign_in_blocked(case: Case) -> None:
    """Ask the directory, and try to sign in where that is possible: it has to be refused."""
    for account_id in _accounts(case):
        since = case.engagement.tombstoned_at
        proof = prove_blocked(case.directory, account_id, signed_out_since=since, clock=case.hub.clock)
        case.audit("access.blocked", account_id=account_id, sign_in=proof.sign_in)


@step("Remove the groups")
def remove_groups(case: Case) -> None:
    """Record the groups, so that a rescinded ending can restore exactly these; then remove those of the access package."""
    marker, entitled = case.engagement.worker.marker, case.granted_groups()
    for account_id in _accounts(case):
        held = sorted(case.directory.read(account_id).groups)
        case.audit("access.recorded", account_id=account_id, groups=held)
        case.accounts().remove_groups(account_id, marker=marker, entitled=entitled)


@step("Prove that the access is gone")
def prove_access_gone(case: Case) -> None:
    """Ask the directory: no membership of the engagement may be left."""
    for account_id in _accounts(case):
        prove_groups_gone(case.directory, account_id, case.granted_groups(), clock=case.hub.clock)
        case.audit("access.revoked", account_id=account_id)


@step("Retire the account")
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
    """Write the closure record: the engagement has ended, with nothing left behind."""
    if case.engagement.state is EngagementState.ENDED:
        return
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagements.transition(tx, case.engagement_id, EngagementState.ENDED)
        audit.record(tx, case.event("engagement.closed", end_at=case.engagement.end_at))


def _accounts(case: Case) -> list[str]:
    """Every account of the worker in the step's directory: the one we know, and any that carries the marker.

    A joiner that was cut off may have left an account that nobody wrote down; the marker finds it.
    """
    found = {account.account_id for account in case.directory.find(case.engagement.worker.marker)}
    remembered = case.external_id(ACCOUNT)
    if remembered is not None and remembered not in found and _exists(case, remembered):
        found.add(remembered)
    return sorted(found)


def _exists(case: Case, account_id: str) -> bool:
    try:
        case.directory.read(account_id)
    except NotFound:
        return False
    return True
