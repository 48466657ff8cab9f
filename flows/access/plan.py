"""What the joiner would do to an engagement's accounts now, and why: by its own code, in a rehearsal of the ledger that leaves nothing.

Directories are only read, and only once the rehearsal is over: whoever looks at a plan holds up nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from config.hub import Hub
from flows.access.accounts import withheld_licences
from flows.case import GIVEN_BY, Case, CaseRef
from flows.joiner import decide_access, directories_concerned
from ledger import engagements
from ledger.access import approvals, grants
from ledger.access.approvals import Approval, ApprovalState
from ledger.identity.identities import ACCOUNT
from ledger.rehearsal import rehearsal
from provisioning.plan import Change, plan_access, plan_removal
from provisioning.writing import DesiredRecord
from workforce.access import SIGN_IN, AccountState, DesiredAccount, Entitlement, EntitlementKind
from workforce.effects import EffectKind
from workforce.engagement import Engagement
from workforce.errors import HubError, Refused
from workforce.ports import Directory

RUNNER = "plan"
_ABOUT = {
    **GIVEN_BY,
    EffectKind.REMOVE_MEMBER: EntitlementKind.GROUP,
    EffectKind.RECLAIM_LICENCE: EntitlementKind.LICENCE,
    EffectKind.REMOVE_APP_ROLE: EntitlementKind.APP_ROLE,
    EffectKind.ENABLE_ACCOUNT: EntitlementKind.SIGN_IN,
    EffectKind.DISABLE_ACCOUNT: EntitlementKind.SIGN_IN,
    EffectKind.REVOKE_SESSIONS: EntitlementKind.SIGN_IN,
}


@dataclass(frozen=True, slots=True)
class Why:
    """What stands behind the entitlements of one directory: this engagement's reasons, others' support, and why something goes."""

    reasons: Mapping[Entitlement, Mapping[str, object]]
    elsewhere: Mapping[Entitlement, tuple[str, ...]]
    """Work orders of the person's other engagements that support it."""
    gone_because: Mapping[Entitlement, str]
    withheld: Mapping[Entitlement, str]
    """Licences that nothing supports any more and that may not be reclaimed yet, each with what keeps it."""

    def of(self, entitlement: Entitlement) -> str:
        """In words: ``engineer v2, approved by …``; ``supported by WO-2``; ``not in package``; or what keeps a licence from going."""
        if entitlement in self.withheld:
            return self.withheld[entitlement]
        told = []
        if reason := self.reasons.get(entitlement):
            approver = reason.get("approved_by")
            told.append(f"{reason.get('package')} v{reason.get('version')}" + (f", approved by {approver}" if approver else ""))
        if others := self.elsewhere.get(entitlement):
            told.append(f"supported by {', '.join(others)}")
        return "; ".join(told) or self.gone_because.get(entitlement, "nothing supports it").replace("_", " ")


@dataclass(frozen=True, slots=True)
class DirectoryPlan:
    """What would be done in one directory. ``creates``: there is no account yet. ``fault``: what a person has to mend first.

    ``kept`` is what this engagement no longer supports and another one does, and the licences that may not be reclaimed yet.
    """

    system: str
    account_id: str | None = None
    creates: bool = False
    enabled: bool = False
    changes: tuple[Change, ...] = ()
    kept: frozenset[Entitlement] = frozenset()
    fields: tuple[str, ...] = ()
    why: Why | None = None
    fault: HubError | None = None

    def reason(self, change: Change) -> str:
        """Why the change is needed."""
        about = _ABOUT.get(change.kind)
        if about is None or self.why is None:
            return "the latest end of the person's engagements" if change.kind is EffectKind.SET_EXPIRY else ""
        return self.why.of(SIGN_IN if about is EntitlementKind.SIGN_IN else Entitlement(about, change.detail))


@dataclass(frozen=True, slots=True)
class AccessPlan:
    """The plan of one engagement, and the approvals without which it is no more than this."""

    engagement: Engagement
    packages: Mapping[str, int]
    waiting: tuple[Approval, ...]
    directories: tuple[DirectoryPlan, ...]


@dataclass(frozen=True, slots=True)
class _Intent:
    """What the ledger wants in one directory, before the directory is asked."""

    system: str
    known: str | None
    given: frozenset[Entitlement]
    elsewhere: frozenset[Entitlement]
    why: Why
    desired: DesiredAccount | None = None
    record: DesiredRecord | None = None
    fault: HubError | None = None


def plan_engagement(hub: Hub, tenant: str, engagement_id: UUID) -> AccessPlan:
    """The plan of an engagement on its terms as they were last read. Nothing is written, in the ledger or in any directory.

    Of an engagement whose ending has begun, it is what there is left to take away. Raises what deciding the access raises (such as
    ``Refused``, cause ``unknown_role``), ``NotFound``; what concerns one directory alone is in its plan.
    """
    with rehearsal(hub.database, tenant) as database:
        rehearsed = replace(hub, database=database)
        with database.transaction(tenant) as tx:
            engagement = engagements.get(tx, engagement_id)
        ref = CaseRef(tenant, str(engagement_id), RUNNER, engagement.epoch)
        ending = engagement.tombstoned_at is not None
        if not ending:
            decide_access.run(Case(rehearsed, ref))
        concerned = directories_concerned(rehearsed, tenant, engagement_id)
        intents = [_intent(Case(rehearsed, ref, system)) for system in concerned]
        with database.transaction(tenant) as tx:
            decided = engagements.get(tx, engagement_id)
            asked = approvals.state(tx, engagement_id)
    waiting = tuple(each for each in asked if each.state is ApprovalState.WAITING and not ending)
    plans = tuple(_directory_plan(hub, tenant, decided, intent) for intent in intents)
    return AccessPlan(engagement, decided.access_pins, waiting, plans)


def _intent(case: Case) -> _Intent:
    elsewhere = case.supported_elsewhere().entitlements
    unsupported = case.given() - elsewhere - case.desired_access().entitlements
    intent = _Intent(case.system, case.external_id(ACCOUNT), case.given(), elsewhere, _why(case, unsupported))
    if case.engagement.tombstoned_at is not None:
        return intent
    try:
        outgoing = case.outgoing()
        return replace(intent, desired=case.desired_account(outgoing.values), record=outgoing.desired)
    except HubError as error:
        return replace(intent, fault=error)


def _why(case: Case, unsupported: Collection[Entitlement]) -> Why:
    with case.hub.database.transaction(case.ref.tenant) as tx:
        rows = [grant for grant in grants.history_of(tx, case.engagement_id) if grant.directory == case.system]
        supports = grants.supports(tx, case.engagement.worker.id, case.system)
        others = [(engagements.get(tx, each).terms.vms_id, what) for each, what in supports if each != case.engagement_id]
    return Why(
        reasons={row.entitlement: row.reason for row in rows if row.unwanted_at is None},
        elsewhere={each: tuple(order for order, what in others if each in what) for _, held in others for each in held},
        gone_because={row.entitlement: row.unwanted_because for row in rows if row.unwanted_because},
        withheld={each: verdict.why for each, verdict in withheld_licences(case, unsupported).items()},
    )


def _directory_plan(hub: Hub, tenant: str, engagement: Engagement, intent: _Intent) -> DirectoryPlan:
    """The plan once the directory was asked. What keeps it from being carried out is a fault of this directory alone."""
    empty = DirectoryPlan(intent.system, intent.known, why=intent.why, fault=intent.fault)
    if intent.fault:
        return empty
    try:
        directory = hub.tenant(tenant).instance(intent.system).directory()
        if engagement.tombstoned_at is not None:
            return _leaving(directory, engagement, intent, empty)
        return _joining(directory, intent, empty)
    except HubError as error:
        return replace(empty, fault=error)


def _joining(directory: Directory, intent: _Intent, empty: DirectoryPlan) -> DirectoryPlan:
    """What the joiner would do, as its steps plan it: an account that is to be made comes with its expiry and its sign-in."""
    desired, record = intent.desired, intent.record
    if desired is None or record is None or (intent.known is None and not desired.entitlements):
        return empty
    actual = _account(directory, intent.known, desired)
    made = AccountState("", desired.login, desired.marker, desired.enabled, expires_at=desired.expires_at)
    written = record.plan(actual.attributes or {}) if actual else record.whole()
    return replace(
        empty,
        account_id=actual.account_id if actual else None,
        creates=actual is None,
        enabled=desired.enabled,
        changes=tuple(plan_access(desired, actual or made, given=intent.given - intent.why.withheld.keys())),
        kept=(intent.given & (intent.elsewhere - intent.why.reasons.keys())) | intent.why.withheld.keys(),
        fields=tuple(written.changed),
    )


def _leaving(directory: Directory, engagement: Engagement, intent: _Intent, empty: DirectoryPlan) -> DirectoryPlan:
    """What the leaver has left to do: sign-in and what this engagement alone gave."""
    changes: list[Change] = []
    held = list(directory.find(engagement.worker.marker))
    for actual in held:
        if actual.enabled and SIGN_IN not in intent.elsewhere:
            changes += [Change(EffectKind.DISABLE_ACCOUNT), Change(EffectKind.REVOKE_SESSIONS)]
        gone = intent.given - intent.elsewhere - intent.why.withheld.keys() - {SIGN_IN}
        changes += plan_removal(actual, marker=engagement.worker.marker, gone=gone)
    enabled = any(actual.enabled for actual in held)
    return replace(
        empty, enabled=enabled, changes=tuple(changes), kept=(intent.given & intent.elsewhere) | intent.why.withheld.keys()
    )


def _account(directory: Directory, known: str | None, desired: DesiredAccount) -> AccountState | None:
    """The worker's account, known or to be adopted; ``None``: it is to be made. Raises ``Refused`` where that is a person's decision."""
    if known is not None:
        return directory.read(known)
    ours = list(directory.find(desired.marker))
    if len(ours) > 1:
        raise Refused(f"{len(ours)} accounts carry the worker's marker: decide which one is theirs", cause="several_accounts")
    taken = None if ours else directory.find_by_login(desired.login)
    if taken:
        message = f"{desired.login} is the login of account {taken.account_id}, which does not carry the worker's marker"
        raise Refused(message, cause="namesake", field="login")
    return ours[0] if ours else None
