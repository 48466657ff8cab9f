"""A case: one engagement in one run, with what its steps need. Built from ids inside each step, because Prefect stores arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from config.hub import Hub
from config.tenant import TenantConfig
from ledger import audit, effect_history, engagements, identities
from ledger.effects import LedgerEffects
from provisioning.accounts import AccountApplier
from provisioning.logins import login_candidates
from provisioning.packages import AccessPackage
from provisioning.records import RecordApplier
from workforce.access import DesiredAccount
from workforce.effects import Effect, EffectKind
from workforce.engagement import Engagement
from workforce.events import HUB, AuditEvent, Outcome
from workforce.ports import Directory

ACCOUNT = "account"
"""The kind under which a directory's id for a worker's account is kept."""


@dataclass(frozen=True, slots=True)
class CaseRef:
    """The ids of a case; all that Prefect ever sees. ``run`` is the job that runs it and ``epoch`` the ownership it holds."""

    tenant: str
    engagement_id: str
    run: str
    epoch: int


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
    def package(self) -> AccessPackage:
        """The access package of the engagement's role. Raises ``Refused`` (cause ``unknown_role``)."""
        return self.config.access.for_role(self.engagement.terms.role)

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

    def remember(self, kind: str, external_id: str) -> None:
        """Keep the step's system's id for this case's record or account."""
        with self.hub.database.transaction(self.ref.tenant) as tx:
            identities.link(tx, self.system, kind, self._internal_id(kind), external_id)

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

    def mapped(self, target: str) -> tuple[dict[str, object], dict[str, object], str]:
        """The engagement mapped to ``target``'s fields by the pinned version: values, lineage for the audit trail, content hash."""
        mapping_id = f"engagement__{target}"
        pinned = self.engagement.mapping_pins.get(mapping_id)
        mapping = self.hub.mappings.get(mapping_id, pinned, on=self.hub.clock.now().date())
        mapped = mapping.apply(self.document())
        lineage = {"mapping": mapping_id, "version": mapped.version, "sha256": mapped.content_sha256}
        return mapped.values, lineage, mapped.content_sha256

    def document(self) -> dict[str, object]:
        """The engagement as the source of outgoing mappings."""
        engagement = self.engagement
        login = self.login
        terms = engagement.terms.model_dump(mode="json", exclude={"cutoff", "close_of_business", "terminates_at"})
        return {
            "worker": {"marker": engagement.worker.marker, **engagement.worker.profile.model_dump(mode="json")},
            "terms": terms,
            "engagement": {"id": str(engagement.id), "end_at": engagement.end_at.isoformat()},
            "account": {"login": login, "email": f"{login}@{self.config.document.email_domain}"},
        }

    @cached_property
    def login(self) -> str:
        """The worker's login, asked for once a step."""
        return self.reserve_login()

    def reserve_login(self) -> str:
        """The worker's login, reserved for ever on first use."""
        worker, profile = self.engagement.worker, self.engagement.worker.profile
        with self.hub.database.transaction(self.ref.tenant) as tx:
            return identities.reserve_login(
                tx, worker.id, login_candidates(profile.given_name, profile.family_name, worker.marker)
            )

    def granted_groups(self) -> frozenset[str]:
        """The groups of the step's directory that were ever granted, or may have been, for this engagement.

        What was granted counts, not what the package says today: a package that has shrunk must not leave a group behind.
        """
        with self.hub.database.transaction(self.ref.tenant) as tx:
            lines = effect_history.list_for(tx, self.engagement_id)
        return frozenset(e.detail for e in lines if e.target == self.system and e.kind is EffectKind.ADD_MEMBER)

    def desired_account(self) -> tuple[DesiredAccount, dict[str, object]]:
        """The account as it should be in the step's directory, and the lineage of its attributes."""
        connector = self.config.instance(self.system).connector.key
        values, lineage, _ = self.mapped(connector)
        login = str(values.get("userPrincipalName") or self.login)
        desired = DesiredAccount(
            marker=self.engagement.worker.marker,
            login=login,
            attributes=values,
            groups=self.package.entitlement(self.system).groups,
            expires_at=self.engagement.end_at,
        )
        return desired, lineage

    def _base_effect(self) -> Effect:
        """Tenant, engagement, target and epoch; the applier fills in the kind."""
        return Effect(self.ref.tenant, self.engagement_id, self.system, EffectKind.CREATE_RECORD, self.ref.epoch)

    def _internal_id(self, kind: str) -> UUID:
        return self.engagement.worker.id if kind == ACCOUNT else self.engagement_id
