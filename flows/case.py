"""A case: one engagement in one run, with what its steps need. Built from ids inside each step, because Prefect stores arguments."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from uuid import UUID

from config.hub import Hub
from config.mapping_ends import require_taken_at
from config.tenant import TenantConfig
from connectors.contract import RecordsOf
from flows.access.logins import WorkersLogin
from flows.mapping.lineage import field_lineage
from flows.mapping.ownership import Place, kept_targets, show_conflicts
from flows.mapping.versions import Versions, used
from ledger import engagements
from ledger.access import grants
from ledger.access.grants import Grant
from ledger.database import Tx
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from ledger.intake.work_orders import source_lineage
from ledger.trail import audit
from ledger.writing import effect_history, writes
from ledger.writing.effect_history import EffectLine
from ledger.writing.effects import LedgerEffects
from provisioning.accounts import AccountApplier
from provisioning.desired import DesiredAccess, Support, desired_access
from provisioning.packages import AccessPackage
from provisioning.readback import MAY_APPEAR_SECONDS
from provisioning.records import RecordApplier
from provisioning.writing import DesiredRecord, WritePlan
from workforce.access import SIGN_IN, AccountState, DesiredAccount, Entitlement, EntitlementKind, ids_of
from workforce.effects import Effect, EffectKind
from workforce.engagement import Engagement
from workforce.events import HUB, AuditEvent, Outcome
from workforce.lineage import MappingUsed, RecordWrite, SourceLineage
from workforce.outgoing import EngagementDocument
from workforce.ports import Directory
from workforce.states import EffectState

GIVEN_BY = {
    EffectKind.ADD_MEMBER: EntitlementKind.GROUP,
    EffectKind.ASSIGN_LICENCE: EntitlementKind.LICENCE,
    EffectKind.ASSIGN_APP_ROLE: EntitlementKind.APP_ROLE,
}
"""Which effects give what."""
_MAY_COME = frozenset({EffectState.STARTED, EffectState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class CaseRef:
    """The ids of a case; all that Prefect ever sees. ``run`` is the job that runs it and ``epoch`` the ownership it holds."""

    tenant: str
    engagement_id: str
    run: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a mapping says of an engagement for one system: its values, nested, and the same field by field with where they came from."""

    values: Mapping[str, object]
    desired: DesiredRecord
    mapping: MappingUsed
    source: SourceLineage | None

    @property
    def details(self) -> dict[str, object]:
        """The version that did it, for the audit trail."""
        return {"mapping": self.mapping.mapping_id, "version": self.mapping.version, "sha256": self.mapping.sha256}

    def written(self, system: str, plan: WritePlan) -> RecordWrite:
        """What stands in ``system`` once the plan was carried out."""
        return RecordWrite(system=system, mapping=self.mapping, fields=plan.result, changed=plan.changed, source=self.source)


@dataclass(frozen=True)
class Case:
    """One engagement in one run. ``system`` is the connector instance that a step works on, where it works on one."""

    hub: Hub
    ref: CaseRef
    system: str = ""

    @property
    def engagement_id(self) -> UUID:
        """The engagement's id."""
        return UUID(self.ref.engagement_id)

    @cached_property
    def config(self) -> TenantConfig:
        """The tenant's current configuration."""
        return self.hub.tenant(self.ref.tenant)

    @cached_property
    def engagement(self) -> Engagement:
        """The engagement as the ledger holds it at the start of the step."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            return engagements.get(tx, self.engagement_id)

    @cached_property
    def effects(self) -> LedgerEffects:
        """The log of outside writes, owned by this run."""
        return self.hub.effect_log(self.ref.tenant, runner=self.ref.run, correlation_id=self.ref.run)

    @cached_property
    def directory(self) -> Directory:
        """The directory that the step works on."""
        return self.config.instance(self.system).directory()

    @cached_property
    def packages(self) -> tuple[AccessPackage, ...]:
        """The engagement's access packages, in the versions it is pinned to. Raises ``Refused`` (cause ``unknown_role``)."""
        return self.config.access.for_terms(self.engagement.terms, self.engagement.access_pins)

    def accounts(self) -> AccountApplier:
        """Changes to the worker's account in the step's directory."""
        return AccountApplier(self.directory, self._base_effect(), self.effects)

    def records(self) -> RecordApplier:
        """Changes to the engagement's record in the step's system."""
        return RecordApplier(self._base_effect(), self.effects)

    def external_id(self, kind: str) -> str | None:
        """The step's system's id for this case's record or account, if it is known."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            return identities.external_id(tx, self.system, kind, self._internal_id(kind))

    def remember(self, kind: str, external_id: str, outgoing: Outgoing, plan: WritePlan) -> None:
        """Keep the step's system's id for this case's record or account, what stands there now and why, and what people have to decide."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            identities.link(tx, self.system, kind, self._internal_id(kind), external_id)
            writes.remember(tx, self.engagement_id, outgoing.written(self.system, plan))
            place = Place(self.system, external_id)
            show_conflicts(tx, self.config.document, self.engagement, place, plan.remaining(), outgoing.desired.fields)

    def audit(self, action: str, *, outcome: Outcome = Outcome.SUCCESS, **details: object) -> None:
        """Add one line to the audit trail."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            audit.record(tx, self.event(action, outcome=outcome, **details))

    def event(self, action: str, *, outcome: Outcome = Outcome.SUCCESS, **details: object) -> AuditEvent:
        """An audit event about this engagement, to be appended in a transaction of the caller's."""
        return AuditEvent(
            action=action,
            actor=HUB,
            outcome=outcome,
            target_type="engagement",
            target_id=self.ref.engagement_id,
            occurred_at=self.hub.clock.now(),
            system=self.system or None,
            engagement_id=self.engagement_id,
            correlation_id=self.ref.run,
            details=details,
        )

    def outgoing(self) -> Outgoing:
        """What the pinned mapping says of the engagement for the step's system. Raises ``Refused`` naming what cannot be mapped."""
        mapping_id = f"engagement__{self.config.instance(self.system).connector.key}"
        with self.hub.database.transaction(self.ref.tenant) as tx:
            mapping = Versions(self.hub, self.ref.tenant).of(tx, mapping_id, self.engagement)
            written_last = writes.newest_of_person if record_is_shared(self) else writes.newest
            standing = written_last(tx, self.engagement_id, self.system)
            source = source_lineage(tx, self.engagement_id)
        document = self.document()
        mapped = mapping.apply(document)
        require_taken_at(self.config.ends, mapped)
        fields = field_lineage(document, mapped)
        tenant, version = self.config.document, self.engagement.source_version
        desired = DesiredRecord(
            fields=fields,
            cleared=mapped.cleared,
            standing=standing,
            kept=kept_targets(tenant, self.system, fields),
            version=f"{mapping.content_sha256}\x1f{version}",
        )
        current = source if source and source.record_version == version else None  # a newer one may have come in since
        return Outgoing(mapped.values, desired, used(mapping), current)

    def unfinished(self, kind: EffectKind) -> list[Effect]:
        """Effects of the step's system of which it is not known whether they were done."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            lines = effect_history.list_for(tx, self.engagement_id)
        base = replace(self._base_effect(), kind=kind)
        return [
            replace(base, detail=line.detail, lifecycle=line.lifecycle)
            for line in lines
            if line.target == self.system and line.kind is kind and line.state in _MAY_COME
        ]

    def document(self) -> dict[str, object]:
        """The engagement as the source of outgoing mappings."""
        domain = self.config.document.email_domain
        return EngagementDocument.of(self.engagement, login=self.login, email_domain=domain).values()

    @cached_property
    def login(self) -> str:
        """The worker's login, asked for once a step."""
        return self.reserve_login()

    def reserve_login(self) -> str:
        """The worker's login, reserved on first use."""
        return WorkersLogin(self.hub, self.ref.tenant, self.engagement.worker).reserve()

    def desired_access(self) -> DesiredAccess:
        """What the worker's account should hold in the step's directory now, for all of their engagements together."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            return desired_access(self._supports(tx), now=tx.began_at)

    def supported_elsewhere(self) -> DesiredAccess:
        """What the worker's other engagements support in the step's directory now."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            others = [support for support in self._supports(tx) if support.engagement_id != self.engagement_id]
            return desired_access(others, now=tx.began_at)

    def given(self) -> frozenset[Entitlement]:
        """What was given, or may have been, for this engagement in the step's directory and is not proven to be gone.

        What was given counts, not what a package says today: one that has shrunk must not leave a group behind. So do effects of which
        the ledger knows no grant. A proof that was taken while a call that gives was still under way proves nothing of what it gives.
        """
        rows, calls = self._grants_and_calls()
        last_proof = {grant.entitlement: grant.revoked_at for grant in rows if grant.revoked_at}
        told = {grant.entitlement for grant in rows}
        late = {
            each
            for each, line in calls
            if line.state in _MAY_COME and line.started_at and each in last_proof
            and (last_proof[each] - line.started_at).total_seconds() < MAY_APPEAR_SECONDS
        }  # fmt: skip
        by_effect = {each for each, _ in calls}
        return frozenset({grant.entitlement for grant in rows if grant.revoked_at is None} | late | (by_effect - told))

    def asked_for(self) -> frozenset[Entitlement]:
        """What was asked for in the step's directory for this engagement and was never seen there: it may still come."""
        rows, calls = self._grants_and_calls()
        unseen = {grant.entitlement for grant in rows if grant.granted_at is None and grant.revoked_at is None}
        return frozenset(unseen & {each for each, line in calls if line.state in {*_MAY_COME, EffectState.DONE}})

    def _grants_and_calls(self) -> tuple[list[Grant], list[tuple[Entitlement, EffectLine]]]:
        """The engagement's grants in the step's directory, oldest first, and the effects by which something was given there."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            rows = [grant for grant in grants.history_of(tx, self.engagement_id) if grant.directory == self.system]
            lines = effect_history.list_for(tx, self.engagement_id)
        calls = [line for line in lines if line.target == self.system and line.kind in GIVEN_BY]
        return rows, [(Entitlement(GIVEN_BY[line.kind], line.detail), line) for line in calls]

    def note_proven(self, tx: Tx, account: AccountState) -> None:
        """Keep what was just read of the worker's account as proof for each of their engagements that supports it now.

        One whose start has moved into the future supports no sign-in any more; what was proven of it ends, until it starts.
        """
        for support in self._supports(tx):
            own = desired_access([support], now=tx.began_at).entitlements
            grants.proven(tx, support.engagement_id, self.system, account.account_id, account.entitlements & own)
            if SIGN_IN in support.entitlements - own:
                grants.not_yet(tx, support.engagement_id, self.system, SIGN_IN)

    def to_revoke(self) -> list[Grant]:
        """What is wanted no more in the step's directory and is not proven to be gone. To be asked for before the directory is read."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            return grants.to_revoke(tx, self.engagement_id, self.system)

    def note_gone(self, looked_for: Iterable[Grant], gone: Collection[Entitlement]) -> None:
        """Keep that of ``looked_for`` nothing of ``gone`` is held for this engagement any more. Raises ``Fenced``: it is another run's by now."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            engagements.require_epoch(tx, self.engagement_id, self.ref.epoch)
            grants.revoked(tx, looked_for, gone)

    def desired_account(self, values: Mapping[str, object]) -> DesiredAccount:
        """The account as it should be in the step's directory, with the attributes ``values``; the login is the mapping's, else the reserved one."""
        mapped = self.config.instance(self.system).connector.login_attribute
        access = self.desired_access()
        is_guest = any(package.makes_guest(self.system) for package in self.packages)
        return DesiredAccount(
            marker=self.engagement.worker.marker,
            login=str((mapped and values.get(mapped)) or self.login),
            attributes=values,
            groups=ids_of(access.entitlements, EntitlementKind.GROUP),
            licences=ids_of(access.entitlements, EntitlementKind.LICENCE),
            app_roles=ids_of(access.entitlements, EntitlementKind.APP_ROLE),
            expires_at=access.expires_at or self.engagement.end_at,
            enabled=access.enabled,
            guest=is_guest,
            invite_to=self.engagement.worker.profile.personal_email if is_guest else None,
        )

    def _supports(self, tx: Tx) -> list[Support]:
        return supports_of(tx, self.engagement.worker.id, self.system)

    def _base_effect(self) -> Effect:
        """Tenant, engagement, target and epoch; the applier fills in the kind."""
        return Effect(self.ref.tenant, self.engagement_id, self.system, EffectKind.CREATE_RECORD, self.ref.epoch)

    def _internal_id(self, kind: str) -> UUID:
        return self.engagement.worker.id if kind == ACCOUNT or record_is_shared(self) else self.engagement_id


def supports_of(tx: Tx, worker_id: UUID, directory: str) -> list[Support]:
    """What each engagement of the worker supports in ``directory``."""
    found = []
    for engagement_id, entitlements in grants.supports(tx, worker_id, directory):
        engagement = engagements.get(tx, engagement_id)
        found.append(Support(engagement_id, engagement.terms.start_instant(), engagement.end_at, entitlements))
    return found


def record_is_shared(case: Case) -> bool:
    """Whether the step's system keeps one record for all engagements of a person. The VMS's own is the work order."""
    if case.system == case.config.document.systems.vms:
        return False
    return case.config.instance(case.system).connector.records_of is RecordsOf.PEOPLE
