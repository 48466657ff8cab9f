"""Putting another version of a mapping in force, and back: who is touched, what becomes of them, and who decided it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from config.hub import Hub
from config.tenant import TenantConfig
from flows.intake import Intake, guarded, map_order
from flows.versions import Versions, used
from ledger import audit, engagements, promotions, sources
from ledger.database import Tx
from ledger.jobs import defer_joiner, defer_migration
from ledger.promotions import Promotion, PromotionKind, PromotionState
from mappings.engine import CompiledMapping
from mappings.faults import FaultyMapping
from workforce.engagement import Engagement
from workforce.errors import Misconfigured, Refused
from workforce.events import Actor
from workforce.states import EngagementState
from workforce.versions import Running

HAS_RECORDS = frozenset({EngagementState.CLEARED, EngagementState.ACTIVE})
"""States in which other systems hold records that have to follow."""
OVER = frozenset({EngagementState.ENDING, EngagementState.ENDED, EngagementState.DECLINED, EngagementState.CANCELLED})
MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Touched:
    """Whom a version concerns: running engagements by the version they are pinned to, and the systems that it writes to."""

    engagements: Mapping[str, int] = field(default_factory=dict)
    systems: tuple[str, ...] = ()


def touched(hub: Hub, tenant: str, mapping_id: str) -> Touched:
    """What putting another version of the mapping in force would touch. Raises ``Misconfigured`` for a mapping that nothing here uses."""
    config = hub.tenant(tenant)
    pinned = Counter(each.mapping_pins[mapping_id] for each in running(hub, tenant) if mapping_id in each.mapping_pins)
    return Touched(dict(sorted(pinned.items())), tuple(systems_of(config, mapping_id)))


def running(hub: Hub, tenant: str) -> Iterator[Engagement]:
    """Every engagement that is not over, in the order of their ends."""
    with hub.database.transaction(tenant) as tx:
        everything = engagements.list_all(tx, limit=MOST)
    return (each for each in everything if each.state not in OVER and each.tombstoned_at is None)


def systems_of(config: TenantConfig, mapping_id: str) -> Iterator[str]:
    """The instances that a mapping's result is written to: all that keep records for an incoming one, its own for an outgoing one."""
    source, _, target = mapping_id.partition("__")
    systems = config.document.systems
    for name in (systems.hris, systems.payroll, *systems.directories):
        if source != "engagement" or config.instance(name).connector.key == target:
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
        without a reason, for the version that is in force already, and while another proposal waits.
        """
        return self._put_in_force(mapping_id, label, PromotionKind.PROMOTION, reason, running)

    def roll_back(self, mapping_id: str, label: str | None, *, reason: str, running: Running) -> Promotion:
        """Go back to ``label``, or to the version that was in force before this one. Raises as ``promote``."""
        return self._put_in_force(mapping_id, label or self._before(mapping_id), PromotionKind.ROLLBACK, reason, running)

    def approve(self, mapping_id: str) -> Promotion:
        """Decide for the proposal that waits. Raises ``Refused`` for the person who proposed it where a second one is demanded."""
        with self.hub.database.transaction(self.tenant) as tx:
            waiting = self._waiting(tx, mapping_id)
            if self._needs_two and waiting.proposed_by == self.actor.id:
                message = (
                    f"{mapping_id} {waiting.version} was proposed by {waiting.proposed_by}; another person has to approve it"
                )
                raise Refused(message, cause="second_person_needed", field="actor")
            self._require_unchanged(waiting)
            return self._in_force(tx, promotions.approve(tx, waiting.id, self.actor))

    def withdraw(self, mapping_id: str) -> Promotion:
        """Take the proposal back that waits. Raises ``Refused`` where none does."""
        with self.hub.database.transaction(self.tenant) as tx:
            return promotions.withdraw(tx, self._waiting(tx, mapping_id).id, self.actor)

    def migrate(self, mapping_id: str, engagement_id: UUID) -> None:
        """Move one running engagement to the version in force, audited: a pilot before the others follow.

        Raises ``Refused`` for an engagement that is over, or follows that version already.
        """
        with self.hub.database.transaction(self.tenant) as tx:
            engagement = engagements.get(tx, engagement_id)
            now = self._versions.current(tx, mapping_id)
            if engagement.state in OVER:
                raise Refused(
                    f"engagement {engagement_id} is {engagement.state}; it keeps its version", cause="over", field="engagement"
                )
            if engagement.mapping_pins.get(mapping_id) in {None, now.version}:
                message = f"engagement {engagement_id} follows {now.version} already, or has not used {mapping_id} yet"
                raise Refused(message, cause="follows_already", field="engagement")
            defer_migration(tx, engagement_id, mapping_id)
            target = ("engagement", str(engagement_id))
            audit.note(
                tx, "mapping.migration_asked", target=target, actor=self.actor, engagement_id=engagement_id, version=now.version
            )

    @property
    def _needs_two(self) -> bool:
        return self.hub.tenant(self.tenant).document.mappings.second_person

    @property
    def _versions(self) -> Versions:
        return Versions(self.hub, self.tenant)

    def _put_in_force(self, mapping_id: str, label: str, kind: PromotionKind, reason: str, running: Running) -> Promotion:
        if len(reason.strip()) < 3:
            raise Refused("reason: say why, in a few words that an auditor understands", cause="reason_missing", field="reason")
        mapping = self._sound(mapping_id, label)
        with self.hub.database.transaction(self.tenant) as tx:
            self._require_news(tx, mapping)
            if not promotions.history(tx, mapping_id):
                self._versions.current(tx, mapping_id)  # what was used until now is kept, so that it can be gone back to
            proposal = promotions.propose(
                tx,
                used(mapping),
                effective_from=mapping.effective_from,
                kind=kind,
                running=running,
                reason=reason.strip(),
                actor=self.actor,
            )
            return proposal if self._needs_two else self._in_force(tx, promotions.approve(tx, proposal.id, self.actor))

    def _sound(self, mapping_id: str, label: str) -> CompiledMapping:
        """The version, if it has no fault at all and its content is what it was when it was promoted before."""
        registry = self._versions.registry
        if faults := registry.version_faults(mapping_id, label, self.hub.tenant(self.tenant).ends):
            raise FaultyMapping(faults)
        mapping = registry.get(mapping_id, label)
        with self.hub.database.transaction(self.tenant) as tx:
            before = promotions.released(tx).get((mapping_id, label))
        if before is not None and before != mapping.content_sha256:
            message = f"{mapping_id} {label}: its content is not what was promoted before; restore the file and add a new version"
            raise Misconfigured(message, cause="mapping_changed", field="mapping")
        return mapping

    def _require_news(self, tx: Tx, mapping: CompiledMapping) -> None:
        now = promotions.current(tx, mapping.mapping_id, self.hub.clock.now().date())
        if now is not None and now.version == mapping.version:
            message = f"{mapping.mapping_id} {mapping.version} is in force already, since {now.decided_at:%Y-%m-%d}"
            raise Refused(message, cause="in_force_already", field="version")

    def _require_unchanged(self, proposal: Promotion) -> None:
        mapping = self._versions.registry.get(proposal.mapping_id, proposal.version)
        if mapping.content_sha256 != proposal.sha256:
            message = f"{proposal.mapping_id} {proposal.version} changed since it was proposed; withdraw it and propose it again"
            raise Misconfigured(message, cause="mapping_changed", field="mapping")

    def _waiting(self, tx: Tx, mapping_id: str) -> Promotion:
        waiting = promotions.proposed(tx, mapping_id)
        if waiting is None:
            raise Refused(f"no version of {mapping_id} waits for a decision", cause="nothing_proposed", field="mapping")
        return waiting

    def _before(self, mapping_id: str) -> str:
        with self.hub.database.transaction(self.tenant) as tx:
            lines = [line for line in promotions.history(tx, mapping_id) if line.state is PromotionState.PROMOTED]
        for line in lines:
            if line.version != lines[0].version:
                return line.version
        raise Refused(f"{mapping_id} had no other version before; name one", cause="nothing_before", field="version")

    def _in_force(self, tx: Tx, promotion: Promotion) -> Promotion:
        """Running engagements follow at once, unless the version counts only from a later date on."""
        follow_promotions(self.hub, tx)
        return promotion


def follow_promotions(hub: Hub, tx: Tx) -> None:
    """Have running engagements follow every promotion that counts by now: each that shall move gets a job of its own."""
    today = hub.clock.now().date()
    for promotion in promotions.not_followed(tx, today):
        now = promotions.current(tx, promotion.mapping_id, today)
        if promotion.running is Running.MIGRATE and now is not None and now.id == promotion.id:
            for engagement in _to_migrate(tx, promotion):
                defer_migration(tx, engagement.id, promotion.mapping_id)
        promotions.followed(tx, promotion.id)


def _to_migrate(tx: Tx, promotion: Promotion) -> Iterator[Engagement]:
    for engagement in engagements.list_all(tx, limit=MOST):
        pinned = engagement.mapping_pins.get(promotion.mapping_id)
        if engagement.state not in OVER and pinned is not None and pinned != promotion.version:
            yield engagement


def migrate(hub: Hub, tenant: str, engagement_id: UUID, mapping_id: str) -> None:
    """Move one running engagement to the version that is in force: its terms are mapped again, and its records follow.

    Raises ``Refused`` naming the field where the version cannot read the engagement's record; it keeps its version then.
    """
    with hub.database.transaction(tenant) as tx:
        engagement = engagements.get(tx, engagement_id)
        mapping = Versions(hub, tenant).current(tx, mapping_id)
    if engagement.state in OVER:
        return
    intake = Intake(hub, tenant, engagement.vms_system)
    if mapping_id == intake.mapping_id:
        _map_again(intake, engagement, mapping)
    with hub.database.transaction(tenant) as tx:
        engagements.pin_mappings(tx, engagement_id, {mapping_id: mapping.version}, migrate=True)
        if engagement.state in HAS_RECORDS:
            defer_joiner(tx, engagement_id)


def _map_again(intake: Intake, engagement: Engagement, mapping: CompiledMapping) -> None:
    """The engagement's record as it was last read, by ``mapping``."""
    with intake.hub.database.transaction(intake.tenant) as tx:
        known = sources.latest(tx, intake.system, engagement.terms.vms_id)
    if known is None:
        raise Refused(f"work order {engagement.terms.vms_id} was never read", cause="no_source_record", field="vms_id")
    taken = guarded(map_order(mapping, intake.system, known[0]), engagement)
    with intake.hub.database.transaction(intake.tenant) as tx:
        intake.store(tx, known[0], taken)
