"""The joiner: from a signed agreement to access that was read back. One line a step; the map is ``docs/processes/joiner.md``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

from compliance.sla import time_to_productive
from config.hub import Hub
from flows.access.accounts import LOOK_AGAIN_SECONDS, adopt_leftover, bring_back, kept_licences, life_of_account
from flows.access.identity import is_handed_over, rename_account, set_manager
from flows.access.logins import WorkersLogin
from flows.case import Case
from flows.feeds.feed_brake import is_held
from flows.feeds.intake import Intake, read_agreement_of
from flows.mapping.versions import Versions
from flows.records import create_record, leads, read_record_back
from flows.steps import Conductor, step
from ledger import engagements
from ledger.access import approvals, credential_links, grants
from ledger.access.approvals import ApprovalState
from ledger.database import Tx
from ledger.identity.identities import ACCOUNT
from ledger.intake import sources
from ledger.queueing import timers
from ledger.queueing.jobs import defer_joiner
from ledger.queueing.timers import TimerKind
from ledger.trail import audit
from provisioning.packages import AccessPackage
from provisioning.readback import is_there, prove_access, prove_gone
from workforce.access import SIGN_IN, EntitlementKind
from workforce.effects import EffectKind
from workforce.engagement import Engagement
from workforce.errors import Refused
from workforce.states import STANDING, EngagementState

TIME_TO_PRODUCTIVE = "sla.time_to_productive"


def join(run: Conductor, *, sinks: Sequence[str], directories: Callable[[], Sequence[str]]) -> None:
    """Give the contractor of one engagement records and access, and prove the access. Raises what has to be mended.

    ``directories`` are asked for once the access is decided: those that it concerns.
    """
    run.step(read_agreement)
    run.step(read_work_order)
    run.step(decide_access)
    concerned = directories()
    run.each(create_record, sinks)
    run.each(find_account, concerned)
    run.each(rename_account, concerned)
    run.each(create_account, concerned)
    run.each(set_manager, concerned)
    run.each(grant_access, concerned)
    run.each(read_access_back, concerned)
    run.each(read_record_back, sinks)
    run.finish()
    run.step(confirm_access)


def directories_concerned(hub: Hub, tenant: str, engagement_id: UUID) -> list[str]:
    """The directories in which the engagement wants access, or had some that is not proven to be gone."""
    with hub.database.transaction(tenant) as tx:
        rows = grants.history_of(tx, engagement_id)
    open_ones = [grant.directory for grant in rows if grant.unwanted_at is None or grant.revoked_at is None]
    return list(dict.fromkeys(sorted(open_ones)))


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
    """Read the work order again in the VMS, map it, and advance the engagement if the source is newer.

    One that the brake on mass change holds waits for a person; until then the terms that are known hold.
    """
    system = case.config.document.systems.vms
    intake = Intake(case.hub, case.ref.tenant, system)
    record = intake.source().read(case.engagement.terms.vms_id)
    with case.hub.database.transaction(case.ref.tenant) as tx:
        if is_held(tx, system, record):
            audit.record(tx, case.event("work_order.read", vms_id=record.external_id, version=record.version, change="held"))
            return
    taken = intake.take(record)
    with case.hub.database.transaction(case.ref.tenant) as tx:
        _, change = intake.store(tx, record, taken)
        audit.record(tx, case.event("work_order.read", vms_id=record.external_id, version=record.version, change=change))


@step("Decide the access")
def decide_access(case: Case) -> None:
    """Find the access packages, in the versions that hold for the engagement, and write down what it shall have; pin mappings and login.

    Run again when the terms have changed: what no package gives any more is no longer wanted, and the next steps take it away.
    """
    WorkersLogin(case.hub, case.ref.tenant, case.engagement.worker).follow_the_name()
    systems = case.config.document.systems
    keys = {case.config.instance(name).connector.key for name in (systems.hris, systems.payroll, *systems.directories)}
    versions = Versions(case.hub, case.ref.tenant)
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagement = engagements.require_epoch(tx, case.engagement_id, case.ref.epoch)
        packages = case.config.access.for_terms(engagement.terms, engagement.access_pins)
        pins = {f"engagement__{key}": versions.of(tx, f"engagement__{key}", case.engagement).version for key in sorted(keys)}
        engagements.pin_mappings(tx, case.engagement_id, pins)
        engagements.pin_access(tx, case.engagement_id, {package.package: package.version for package in packages})
        if engagement.state in {EngagementState.REQUESTED, EngagementState.APPROVED}:
            engagements.transition(tx, case.engagement_id, EngagementState.CLEARED)
        given = [] if engagement.suspended_at else approvals.granted(tx, case.engagement_id, packages)
        waiting = [] if engagement.suspended_at else _waiting(tx, case.engagement_id, packages)
        _want(tx, engagement, given, waiting=waiting, directories=systems.directories)
        told = {package.package: package.version for package in given}
        audit.record(tx, case.event("access.decided", packages=told, wanted=_wanted_texts(tx, case.engagement_id)))


@step("Find the account")
def find_account(case: Case) -> None:
    """See that the worker's account is there: one that somebody deleted is brought back, or is a person's case; a leftover is adopted."""
    known = case.external_id(ACCOUNT)
    if known is None:
        if not case.desired_access().entitlements:
            adopt_leftover(case)
    elif not is_there(case.directory, known):
        bring_back(case, known)


@step("Create the account")
def create_account(case: Case) -> None:
    """Create the account with our marker and its native expiry, or adopt the one that a lost reply left, with its attributes.

    Of several engagements of a person, the one that started last says what the attributes are.
    """
    outgoing, applier = case.outgoing(), case.accounts()
    desired = case.desired_account(outgoing.values)
    known = case.external_id(ACCOUNT)
    if known is None and not desired.entitlements:
        return
    if known is not None and not leads(case):
        applier.conclude(known, case.unfinished(EffectKind.UPDATE_ACCOUNT))
        return
    life = 1 if known else life_of_account(case)
    account_id, plan = applier.provide(desired, outgoing.desired, outgoing.details, known=known, life=life)
    case.remember(ACCOUNT, account_id, outgoing, plan)
    applier.conclude(account_id, case.unfinished(EffectKind.UPDATE_ACCOUNT))


@step("Grant the access package")
def grant_access(case: Case) -> None:
    """Bring the account to what the packages say: expiry, sign-in, groups, licences, roles. Only the difference is written.

    A licence that a hold, the policy or missing evidence keeps stays, as it does when the stint ends.
    """
    account_id = case.external_id(ACCOUNT)
    if account_id is None:
        return
    desired = case.desired_account(case.outgoing().values)
    given = case.given()
    gone = given - kept_licences(case, given - desired.entitlements)
    changes = case.accounts().grant(account_id, desired, given=gone, asked=case.asked_for() & gone)
    case.audit("access.granted", changes=[f"{change.kind} {change.detail}".strip() for change in changes])


@step("Read the access back")
def read_access_back(case: Case) -> None:
    """Ask the directory what it shows: what the account holds, that it expires on time and is able to sign in, or not before the start.

    The trial sign-in replaces the password, so it is made only before the account is handed over.
    """
    looked_for, account_id = case.to_revoke(), case.external_id(ACCOUNT)
    if account_id is None:
        case.note_gone(looked_for, case.given())  # there is no account, and none is made any more: what is not wanted is gone
        return
    desired = case.desired_account(case.outgoing().values)
    try_sign_in = not is_handed_over(case)
    proof = prove_access(case.directory, account_id, desired, clock=case.hub.clock, try_sign_in=try_sign_in)
    unwanted = case.given() - desired.entitlements
    gone = unwanted - kept_licences(case, unwanted)
    prove_gone(case.directory, account_id, gone, clock=case.hub.clock)
    held = sorted(map(str, proof.account.entitlements))
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagements.require_epoch(tx, case.engagement_id, case.ref.epoch)
        case.note_proven(tx, proof.account)
        grants.revoked(tx, looked_for, gone | desired.entitlements)
        audit.record(tx, case.event("account.verified", account_id=account_id, held=held, sign_in=proof.sign_in))


@step("Confirm the access")
def confirm_access(case: Case) -> None:
    """Everything was read back: from the start instant on the engagement is active.

    The time to productive is known once nobody has to approve any more of what the role asks for. Where the ledger knows of something that was not, it came up meanwhile: the start instant passed, or an ending was taken back while this
    run was cut off. The joiner runs again then.
    """
    with case.hub.database.transaction(case.ref.tenant) as tx:
        engagement = engagements.require_epoch(tx, case.engagement_id, case.ref.epoch)
        starts_at = engagement.terms.start_instant()
        if _is_behind(tx, engagement, has_started=starts_at <= tx.began_at):
            defer_joiner(tx, case.engagement_id, not_before=tx.began_at + timedelta(seconds=LOOK_AGAIN_SECONDS))
            audit.record(tx, case.event("access.changed_meanwhile"))
            return
        if starts_at > tx.began_at:
            timers.arm(tx, case.engagement_id, TimerKind.START, starts_at)
            audit.record(tx, case.event("access.prepared", starts_at=starts_at))
            return
        timers.cancel(tx, case.engagement_id, TimerKind.START)
        waits = _waits_for_approval(tx, engagement)
        if engagement.access_verified_at is None and (grants.wanted_of(tx, engagement.id) or not waits):
            engagements.mark_access_verified(tx, case.engagement_id, case.hub.clock.now())
            credential_links.defer_hand_over(tx, case.engagement_id)
        if engagement.signed_at is not None and not waits:
            _measure_once(tx, case, engagement.signed_at)
        if engagement.state is EngagementState.CLEARED:
            engagements.transition(tx, case.engagement_id, EngagementState.ACTIVE)


def _is_behind(tx: Tx, engagement: Engagement, *, has_started: bool) -> bool:
    """Whether something that is wanted now was not read back as given, or something that is not was not read back as gone.

    Before the start nobody signs in; a licence may be kept on purpose; and what has ended is the leaver's.
    """
    if engagement.state not in STANDING or engagement.end_at <= tx.began_at:
        return False
    wanted = [grant for grant in grants.wanted_of(tx, engagement.id) if grant.granted_at is None]
    missing = [grant for grant in wanted if has_started or grant.entitlement != SIGN_IN]
    left = [g for g in grants.to_revoke(tx, engagement.id) if g.entitlement.kind is not EntitlementKind.LICENCE]
    return bool(missing or left)


def _waits_for_approval(tx: Tx, engagement: Engagement) -> bool:
    """Whether somebody still has to say whether the person gets everything that the role asks for."""
    pinned = set(engagement.access_pins.items())
    asked = approvals.state(tx, engagement.id)
    return any(each.state is ApprovalState.WAITING and (each.package, each.version) in pinned for each in asked)


def _measure_once(tx: Tx, case: Case, signed_at: datetime) -> None:
    """The time to productive, measured when everything that the role asks for was proven, or declined, for the first time."""
    if audit.entries(tx, engagement_id=case.engagement_id, action=TIME_TO_PRODUCTIVE, limit=1):
        return
    now = case.hub.clock.now()
    figure = time_to_productive(signed_at, now, case.engagement.terms.starts_on, case.config.document.calendar, now=now)
    audit.record(tx, case.event(TIME_TO_PRODUCTIVE, **asdict(figure)))


def _want(
    tx: Tx, engagement: Engagement, packages: Sequence[AccessPackage], *, waiting: Collection[str], directories: Sequence[str]
) -> None:
    """Write down what the engagement shall have in each directory, with the package that says so.

    Of a package that waits for an approval, what an earlier version gave stays until the answer.
    """
    had = grants.wanted_of(tx, engagement.id)
    for directory in sorted({*directories, *(grant.directory for grant in had)}):
        kept = {g.entitlement: g.reason for g in had if g.directory == directory and g.reason.get("package") in waiting}
        wanted = {
            entitlement: approvals.reason(tx, engagement.id, package)
            for package in packages
            for entitlement in package.entitlements(directory)
        }
        grants.want(tx, engagement, directory, {**kept, **wanted})


def _waiting(tx: Tx, engagement_id: UUID, packages: Sequence[AccessPackage]) -> set[str]:
    """Those of the engagement's own packages of which a version waits for an approval; what waits for another role gives nothing."""
    waiting = {each.package for each in approvals.state(tx, engagement_id) if each.state is ApprovalState.WAITING}
    return waiting & {package.package for package in packages}


def _wanted_texts(tx: Tx, engagement_id: UUID) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for grant in grants.wanted_of(tx, engagement_id):
        told.setdefault(grant.directory, []).append(str(grant.entitlement))
    return told
