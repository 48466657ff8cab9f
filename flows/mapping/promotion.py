"""Putting another version of a mapping in force, and back: who is touched, what becomes of them, and who decided it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from config.hub import Hub
from config.tenant import TenantConfig
from flows.mapping.following import follow_promotions, is_over
from flows.mapping.versions import Versions, used
from ledger import documents, engagements
from ledger.database import Tx
from ledger.mapping import pins, promotions
from ledger.mapping.promotions import Promotion, PromotionKind, PromotionState
from ledger.queueing.jobs import defer_migration
from ledger.trail import audit
from mappings.engine import CompiledMapping
from mappings.faults import FaultyMapping
from mappings.shelf import SHIPPED
from workforce.errors import Misconfigured, Refused
from workforce.events import Actor
from workforce.versions import Running


@dataclass(frozen=True, slots=True)
class Touched:
    """Whom a version concerns: running engagements by the version they are pinned to, and the systems that it writes to."""

    engagements: Mapping[str, int] = field(default_factory=dict)
    systems: tuple[str, ...] = ()


def touched(hub: Hub, tenant: str, mapping_id: str) -> Touched:
    """What putting another version of the mapping in force would touch. Raises ``Misconfigured`` for a mapping that nothing here uses."""
    with hub.database.transaction(tenant) as tx:
        pinned = {label: number for (id_, label), number in pins.counts(tx).items() if id_ == mapping_id}
    return Touched(pinned, tuple(systems_of(hub.tenant(tenant), mapping_id)))


def systems_of(config: TenantConfig, mapping_id: str) -> Iterator[str]:
    """The instances that a mapping's result is written to: all that keep records for the VMS's, its own for an outgoing one, else none.

    An instance that cannot be used now, for want of a secret, is written to by no outgoing mapping that we know.
    """
    source, _, target = mapping_id.partition("__")
    systems = config.document.systems
    keys = {name: instance.connector.key for name, instance in config.instances.items()}
    is_incoming = target == "engagement" and keys.get(systems.vms, source) == source
    for name in (systems.hris, systems.payroll, *systems.directories):
        if is_incoming or (source == "engagement" and keys.get(name) == target):
            yield name


@dataclass(frozen=True, slots=True)
class Promoting:
    """One person's wish to put a version in force."""

    hub: Hub
    tenant: str
    actor: Actor

    def promote(self, mapping_id: str, label: str, *, reason: str, running: Running) -> Promotion:
        """Put ``label`` in force, or propose it where the tenant demands a second person.

        Raises ``Misconfigured`` with every fault of the version, also for one whose content is not what was promoted before; ``Refused``
        without a reason, for the version that is in force already with the same choice for running ones, and while a proposal waits.
        """
        return self._put_in_force(mapping_id, label, PromotionKind.PROMOTION, reason, running)

    def roll_back(self, mapping_id: str, label: str | None, *, reason: str, running: Running) -> Promotion:
        """Go back to ``label``, or to the version that was in force before this one. Raises as ``promote``."""
        return self._put_in_force(mapping_id, label, PromotionKind.ROLLBACK, reason, running)

    def approve(self, mapping_id: str) -> Promotion:
        """Decide for the proposal that waits. Raises ``Refused`` for the person who proposed it where a second one is demanded.

        Raises ``Misconfigured`` where the version changed since, or has faults by now.
        """
        with self._deciding(mapping_id) as tx:
            waiting = self._waiting(tx, mapping_id)
            if self._needs_two and waiting.proposed_by == self.actor.id:
                message = (
                    f"{mapping_id} {waiting.version} was proposed by {waiting.proposed_by}; another person has to approve it"
                )
                raise Refused(message, cause="second_person_needed", field="actor")
            self._require_unchanged(waiting, self._sound(tx, mapping_id, waiting.version))
            return self._in_force(tx, waiting)

    def withdraw(self, mapping_id: str) -> Promotion:
        """Take the proposal back that waits. Raises ``Refused`` where none does."""
        with self._deciding(mapping_id) as tx:
            return promotions.withdraw(tx, self._waiting(tx, mapping_id).id, self.actor)

    def migrate(self, mapping_id: str, engagement_id: UUID) -> None:
        """Move one running engagement to the version in force, audited: a pilot before the others follow.

        Raises ``Refused`` for an engagement that is over, or follows that version already.
        """
        with self._deciding(mapping_id) as tx:
            engagement, now = engagements.get(tx, engagement_id), self._versions.in_force(tx, mapping_id)
            if is_over(engagement):
                message = f"engagement {engagement_id} is {engagement.state}; it keeps its version"
                raise Refused(message, cause="over", field="engagement")
            if now is None or engagement.mapping_pins.get(mapping_id) in {None, now.version}:
                version = now.version if now else "no version yet"
                message = f"engagement {engagement_id} follows {version} already, or has not used {mapping_id} yet"
                raise Refused(message, cause="follows_already", field="engagement")
            defer_migration(tx, engagement_id, now.id)
            audit.note(tx, "mapping.migration_asked", actor=self.actor, engagement_id=engagement_id, version=now.version)

    @property
    def _needs_two(self) -> bool:
        return self.hub.tenant(self.tenant).document.mappings.second_person

    @property
    def _versions(self) -> Versions:
        return Versions(self.hub, self.tenant)

    @contextmanager
    def _deciding(self, mapping_id: str) -> Iterator[Tx]:
        """A transaction in which nobody else decides about the mapping, nobody starts by it, and no documents are applied."""
        with self.hub.database.transaction(self.tenant) as tx:
            documents.lock(tx)
            promotions.lock(tx, mapping_id)
            yield tx

    def _put_in_force(self, mapping_id: str, label: str | None, kind: PromotionKind, reason: str, running: Running) -> Promotion:
        if len(reason.strip()) < 3:
            raise Refused("reason: say why, in a few words that an auditor understands", cause="reason_missing", field="reason")
        with self._deciding(mapping_id) as tx:
            mapping = self._sound(tx, mapping_id, label or self._before(tx, mapping_id))
            self._require_news(tx, mapping, running)
            self._keep_what_was_used(tx, mapping_id)
            proposal = promotions.propose(
                tx,
                used(mapping),
                effective_from=mapping.effective_from,
                kind=kind,
                running=running,
                reason=reason.strip(),
                actor=self.actor,
            )
            return proposal if self._needs_two else self._in_force(tx, proposal)

    def _keep_what_was_used(self, tx: Tx, mapping_id: str) -> None:
        """Before a mapping's first promotion: what was used until now can be gone back to. Of one's own mapping nothing was."""
        is_shipped = any(label.startswith(SHIPPED) for label in self._versions.registry.labels(mapping_id))
        if is_shipped and not promotions.history(tx, mapping_id):
            self._versions.current(tx, mapping_id)

    def _sound(self, tx: Tx, mapping_id: str, label: str) -> CompiledMapping:
        """The version, if it has no fault at all and its content is what it was when it was promoted before."""
        registry = self._versions.registry
        if faults := registry.version_faults(mapping_id, label, self.hub.tenant(self.tenant).ends):
            raise FaultyMapping(faults)
        mapping = registry.get(mapping_id, label)
        before = promotions.fixed(tx, mapping_id, label)
        if before is not None and before != mapping.content_sha256:
            message = f"{mapping_id} {label}: its content is not what was promoted before; restore the file and add a new version"
            raise Misconfigured(message, cause="mapping_changed", field="mapping")
        return mapping

    def _require_news(self, tx: Tx, mapping: CompiledMapping, running: Running) -> None:
        """The version is not in force already, nor about to be, with nothing decided since that it would take back."""
        now = self._versions.in_force(tx, mapping.mapping_id)
        coming = promotions.coming(tx, mapping.mapping_id, self._versions.today)
        last = coming[0] if coming else now
        if last is not None and (last.version, last.running) in {(mapping.version, running), (mapping.version, Running.MIGRATE)}:
            since = f"from {last.effective_from} on" if coming else f"since {last.decided_at:%Y-%m-%d}"
            message = f"{mapping.mapping_id} {mapping.version} is in force already, {since}; running engagements: {last.running}"
            raise Refused(message, cause="in_force_already", field="version")

    def _require_unchanged(self, proposal: Promotion, mapping: CompiledMapping) -> None:
        if mapping.content_sha256 != proposal.sha256:
            message = f"{proposal.mapping_id} {proposal.version} changed since it was proposed; withdraw it and propose it again"
            raise Misconfigured(message, cause="mapping_changed", field="mapping")

    def _waiting(self, tx: Tx, mapping_id: str) -> Promotion:
        waiting = promotions.proposed(tx, mapping_id)
        if waiting is None:
            raise Refused(f"no version of {mapping_id} waits for a decision", cause="nothing_proposed", field="mapping")
        return waiting

    def _before(self, tx: Tx, mapping_id: str) -> str:
        """The version before the one that was decided for last, be it in force already or not."""
        lines = [line for line in promotions.history(tx, mapping_id) if line.state is PromotionState.PROMOTED]
        for line in lines:
            if line.version != lines[0].version:
                return line.version
        raise Refused(f"{mapping_id} had no other version before; name one", cause="nothing_before", field="version")

    def _in_force(self, tx: Tx, proposal: Promotion) -> Promotion:
        """Running engagements follow at once, unless the version counts only from a later date on."""
        promotion = promotions.approve(tx, proposal.id, self.actor)
        follow_promotions(self.hub, tx)
        return promotion
