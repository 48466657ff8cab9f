"""The leaver: from the end instant to a revocation that was read back. The map is ``docs/processes/leaver.md``.

Revocation wins. ``block`` runs first and plainly, without Prefect; the flow then shows the same steps and does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from uuid import UUID

from compliance.sla import offboarding
from config.hub import Hub
from flows.access.accounts import accounts_of, accounts_shown, ever_made, kept_licences
from flows.case import GIVEN_BY, Case
from flows.ending.endings import close_ending
from flows.mapping.ownership import close_conflicts
from flows.records import end_record, read_ended_record_back
from flows.steps import Conductor, step
from ledger import engagements
from ledger.access import grants
from ledger.queueing.jobs import defer_joiner
from ledger.trail import audit
from ledger.writing import effect_history
from provisioning.licences import require_subject
from provisioning.readback import prove_blocked, prove_gone, read_account
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.effects import EffectKind
from workforce.errors import Fenced, HubError, error_unless_fenced, raise_first
from workforce.states import EngagementState

_GAVE = frozenset({EffectKind.CREATE_ACCOUNT, EffectKind.ENABLE_ACCOUNT, *GIVEN_BY})


def systems_to_leave(hub: Hub, tenant: str, engagement_id: UUID) -> tuple[list[str], list[str]]:
    """(systems with records, directories): those of today's configuration, and those in which the engagement ever got something.

    A directory that was taken out of the configuration is not forgotten: it fails by name until it is there again. The records of an
    engagement that has ended were proven to be ended: a leaver that runs once more sees to access alone, and an order that its owner has
    opened again since is the owner's.
    """
    systems = hub.tenant(tenant).document.systems
    with hub.database.transaction(tenant) as tx:
        has_ended = engagements.get(tx, engagement_id).state is EngagementState.ENDED
        lines = effect_history.list_for(tx, engagement_id)
        rows = grants.history_of(tx, engagement_id)
    records = [systems.vms, systems.hris, systems.payroll, *(e.target for e in lines if e.kind is EffectKind.CREATE_RECORD)]
    had = [*(e.target for e in lines if e.kind in _GAVE), *(row.directory for row in rows if row.revoked_at is None)]
    directories = [*systems.directories, *had]
    return [] if has_ended else list(dict.fromkeys(records)), list(dict.fromkeys(directories))


def block(run: Conductor, *, directories: Sequence[str]) -> None:
    """The urgent part: block sign-in and sign out everywhere at once, and prove it. One directory never delays another."""
    run.each(block_sign_in, directories)
    run.each(prove_sign_in_blocked, directories)


def leave(run: Conductor, *, records: Sequence[str], directories: Sequence[str]) -> None:
    """Take away everything that the engagement gave, prove it, end the records, and close. Raises what has to be retried."""
    block(run, directories=directories)
    run.each(remove_access, directories)
    run.each(reclaim_licences, directories)
    run.each(prove_access_gone, directories)
    run.each(retire_account, directories)
    if not run.failures:
        run.step(confirm_revocation)
    run.each(end_record, records)
    run.each(read_ended_record_back, records)
    run.finish()
    run.step(close_engagement)


def _unless_taken_back(run: Callable[[Case], None]) -> Callable[[Case], None]:
    """Where the ending was taken back meanwhile, a call of this step may take something away after the joiner has looked: it looks again."""

    def fenced(case: Case) -> None:
        try:
            run(case)
        except Fenced:
            with case.hub.database.transaction(case.ref.tenant) as tx:
                engagement = engagements.get(tx, case.engagement_id)
                if engagement.goes_on:
                    defer_joiner(tx, case.engagement_id)
            raise

    return fenced


@step("Block sign-in", revokes=True)
@_unless_taken_back
def block_sign_in(case: Case) -> None:
    """Disable every account that carries the worker's marker, and sign it out; unless another engagement that has started needs it.

    One that cannot be blocked keeps no other from being blocked. Raises what failed, first what may be tried again.
    """
    if case.supported_elsewhere().enabled:
        return
    shown, missing = accounts_shown(case)
    errors = [error for account_id in shown for error in _block(case, account_id)]
    raise_first(errors + ([missing] if missing else []))


@step("Prove that sign-in is blocked", revokes=True)
def prove_sign_in_blocked(case: Case) -> None:
    """Ask the directory, and try to sign in where that is possible: it has to be refused."""
    looked_for = case.to_revoke()
    if case.supported_elsewhere().enabled:
        case.audit("access.kept", because="another engagement of the person supports it")
    else:
        for account_id in accounts_of(case):
            since = case.engagement.tombstoned_at
            proof = prove_blocked(case.directory, account_id, signed_out_since=since, clock=case.hub.clock)
            case.audit("access.blocked", account_id=account_id, sign_in=proof.sign_in)
    case.note_gone(looked_for, {SIGN_IN})


@step("Remove the access", revokes=True)
@_unless_taken_back
def remove_access(case: Case) -> None:
    """Record what the account holds, so that a rescinded ending can restore exactly this; then remove the groups and roles.

    Only what this engagement alone gave is removed.
    """
    marker, gone = case.engagement.worker.marker, _to_go(case)
    for account_id in accounts_of(case):
        held = sorted(map(str, read_account(case.directory, account_id).entitlements))
        case.audit("access.recorded", account_id=account_id, held=held)
        case.accounts().remove(account_id, marker=marker, gone=gone, asked=gone & case.asked_for())


@step("Reclaim the licences", revokes=True)
@_unless_taken_back
def reclaim_licences(case: Case) -> None:
    """Take back the licences that were assigned directly, unless a hold or missing evidence forbids it. What stays is told in the closure."""
    wanted = frozenset(each for each in _alone(case) if each.kind is EntitlementKind.LICENCE)
    gone = wanted - kept_licences(case, wanted)
    for account_id in accounts_of(case) if gone else []:
        account, signs_in = read_account(case.directory, account_id), case.supported_elsewhere().enabled
        require_subject(account, marker=case.engagement.worker.marker, known_ids=ever_made(case), signs_in=signs_in)
        case.accounts().remove(account_id, marker=case.engagement.worker.marker, gone=gone)


@step("Prove that the access is gone", revokes=True)
def prove_access_gone(case: Case) -> None:
    """Ask the directory: nothing that this engagement alone supported may be left, but licences that are kept on purpose."""
    looked_for, alone = case.to_revoke(), _alone(case)
    kept = kept_licences(case, alone)
    for account_id in accounts_of(case):
        proof = prove_gone(case.directory, account_id, alone - kept, clock=case.hub.clock)
        with case.hub.database.transaction(case.ref.tenant) as tx:
            case.note_proven(tx, proof.account)
            audit.record(tx, case.event("access.revoked", account_id=account_id))
    case.note_gone(looked_for, case.given() - kept - {SIGN_IN})


@step("Retire the account", revokes=True)
@_unless_taken_back
def retire_account(case: Case) -> None:
    """Move the account to the place for disabled ones, unless another engagement of the person needs it. Nothing is deleted."""
    if case.supported_elsewhere().entitlements:
        return
    for account_id in accounts_of(case):
        case.accounts().retire(account_id)


@step("Confirm the revocation")
def confirm_revocation(case: Case) -> None:
    """Everything was read back: the offboarding figures are known."""
    engagement, now = case.engagement, case.hub.clock.now()
    if engagement.revoked_verified_at is not None:
        return
    figure = offboarding(engagement.end_at, now, case.config.document.calendar, now=now)
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagements.require_epoch(tx, case.engagement_id, case.ref.epoch)
        engagements.mark_revoked_verified(tx, case.engagement_id, now)
        audit.record(tx, case.event("sla.offboarding", **asdict(figure)))


@step("Close the engagement")
def close_engagement(case: Case) -> None:
    """Write the closure record: the engagement has ended, with what is left behind and why, and nothing is contested any more.

    It is written again when something that was left behind for a hold has gone since.
    """
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagement = engagements.require_epoch(tx, case.engagement_id, case.ref.epoch)
        if engagement.state is not EngagementState.ENDED:
            engagements.transition(tx, case.engagement_id, EngagementState.ENDED)
            close_conflicts(tx, case.engagement_id)
            audit.record(tx, case.event("engagement.closed", end_at=engagement.end_at))
        close_ending(tx, case.config, case.engagement_id, now=case.hub.clock.now())


def _block(case: Case, account_id: str) -> list[HubError]:
    """Block one account. A guest's sessions belong to another company: what they reach goes at once, blocked or not. What failed."""
    blocked = error_unless_fenced(lambda: case.accounts().block(account_id, signed_out_since=case.engagement.tombstoned_at))
    emptied = error_unless_fenced(lambda: _empty_if_guest(case, account_id))
    return [error for error in (blocked, emptied) if error]


def _empty_if_guest(case: Case, account_id: str) -> None:
    if read_account(case.directory, account_id).guest:
        case.accounts().remove(account_id, marker=case.engagement.worker.marker, gone=_to_go(case))


def _alone(case: Case) -> frozenset[Entitlement]:
    """What was given for this engagement and no other one of the person supports."""
    return case.given() - case.supported_elsewhere().entitlements - {SIGN_IN}


def _to_go(case: Case) -> frozenset[Entitlement]:
    """Groups and roles of it."""
    return frozenset(each for each in _alone(case) if each.kind is not EntitlementKind.LICENCE)
