"""Mending what reconciliation found, as far as the policy allows. Whoever is tombstoned and enabled is blocked at once and always.

The rest goes through the brake: all that would be taken is counted before the first of it is taken, and so is all that would be given, for
a directory that seems to have lost everybody was most likely not read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from config.hub import Hub
from config.tenant import TenantConfig
from flows.alarms import raise_alarm
from flows.ending.sweeper import tell_enabled
from flows.feeds.feed_brake import settle, tell
from ledger import engagements, failures
from ledger.queueing.jobs import defer_joiner, defer_leaver
from ledger.reconciliation import findings, held_changes, reconciliations
from ledger.reconciliation.findings import Finding
from ledger.reconciliation.held_changes import Decision, HeldChange, WantedChange
from provisioning.accounts import AccountApplier
from provisioning.brake import TAKING, BrakedKind, judge
from provisioning.policies import Drift
from provisioning.reconcile import Found, Mend, mend_of
from workforce.access import Entitlement, EntitlementKind
from workforce.effects import Effect, EffectKind
from workforce.errors import Fenced, HubError, OutcomeUnknown, RetryLater
from workforce.urgency import revoking

log = structlog.get_logger(__name__)

JUST_NOW = timedelta(minutes=5)
"""What was seen less long ago than this is not looked at again before somebody is blocked."""
_AT_A_TIME = 500
_KINDS = {Mend.REMOVE: BrakedKind.REVOKE, Mend.BLOCK: BrakedKind.BLOCK, Mend.JOIN: BrakedKind.GIVE}
GIVING = frozenset({BrakedKind.GIVE})


@dataclass
class Mending:
    """The mending of one run. ``look`` reads an account again and lists what it shows."""

    hub: Hub
    tenant: str
    directory: str
    run: str
    look: Callable[[str, UUID | None], Sequence[Found]]

    def mend(self) -> tuple[int, bool]:
        """Mend every open finding that may be; how many were, and whether something waits for a person."""
        mended = self._block_the_tombstoned()
        self._drop_what_is_gone()
        for repair in self._mendable():
            if repair.note is None:
                self._ask(repair)
        for kinds in (TAKING, GIVING):
            self._judge(kinds)
        mended += sum(self._done(repair) for repair in self._mendable() if repair.may)
        with self.hub.database.transaction(self.tenant) as tx:
            settle(tx, self.directory)
            return mended, bool(held_changes.waiting(tx, self.directory, limit=1))

    def _block_the_tombstoned(self) -> int:
        """Their ending was decided before, so no brake is asked: the leaver has to run again. Who was proven blocked before, somebody opened."""
        count = 0
        for some in self._pages(Drift.TOMBSTONED_ENABLED):
            for finding in some:
                if finding.engagement_id is not None and (self._was_just_seen(finding) or self._still_found(finding)):
                    with self.hub.database.transaction(self.tenant) as tx:
                        defer_leaver(tx, finding.engagement_id)
                        if engagements.get(tx, finding.engagement_id).revoked_verified_at is not None:
                            tell_enabled(tx, self.directory, finding.account_id, finding.engagement_id)
                    count += 1
        return count

    def _was_just_seen(self, finding: Finding) -> bool:
        with self.hub.database.transaction(self.tenant) as tx:
            return tx.began_at - finding.last_at < JUST_NOW

    def _drop_what_is_gone(self) -> None:
        """What was held and is found no more waits for nobody."""
        with self.hub.database.transaction(self.tenant) as tx:
            held = held_changes.waiting(tx, self.directory) + held_changes.waiting(tx, self.directory, pending=True)
            for change in held:
                if findings.get(tx, UUID(change.subject)).closed_at is not None:
                    held_changes.decide(tx, change.id, Decision.DISCARDED, reason="it is found no more")

    def _mendable(self) -> Iterator[_Repair]:
        """What the policy lets mend of the open findings."""
        policy = self._config().document.access.reconciliation
        for some in self._pages(None):
            with self.hub.database.transaction(self.tenant) as tx:
                notes = held_changes.noted(tx, self.directory, [str(finding.id) for finding in some])
            for finding in some:
                mend = mend_of(Drift(finding.drift), policy)
                if mend in _KINDS and finding.engagement_id is not None:
                    yield _Repair(finding, finding.engagement_id, mend, notes.get(str(finding.id)))

    def _pages(self, drift: Drift | None) -> Iterator[list[Finding]]:
        after: UUID | None = None
        while True:
            with self.hub.database.transaction(self.tenant) as tx:
                some = findings.list_open(tx, self.directory, drift=drift, after=after, limit=_AT_A_TIME)
            if not some:
                return
            yield some
            after = some[-1].id

    def _ask(self, repair: _Repair) -> None:
        finding = repair.finding
        about = {
            "account_id": finding.account_id,
            "worker_id": str(finding.worker_id),
            "drift": finding.drift,
            "subject": finding.subject,
        }
        wanted = WantedChange(_KINDS[repair.mend], str(finding.id), repair.engagement_id, about)
        with self.hub.database.transaction(self.tenant) as tx:
            held_changes.hold(tx, self.directory, wanted, pending=True)

    def _judge(self, kinds: Collection[BrakedKind]) -> None:
        """Let all pass that was asked for, or hold all of it. People count, not entitlements."""
        with self.hub.database.transaction(self.tenant) as tx:
            pending = [each for each in held_changes.waiting(tx, self.directory, pending=True) if each.kind in kinds]
            verdict = judge(
                self._config().document.access.brake,
                active=reconciliations.with_access(tx, self.directory),
                already=held_changes.within_the_hour(tx, self.directory, kinds),
                asked=len({change.details["worker_id"] for change in pending}),
            )
            if verdict.is_held:
                held_changes.keep_back(tx, pending)
                tell(tx, self.directory, verdict)
                log.warning("mending.held", tenant=self.tenant, directory=self.directory, asked=verdict.asked)
                return
            for change in pending:
                held_changes.let_through(tx, change.id)

    def _done(self, repair: _Repair) -> bool:
        """Mend one finding; whether that was possible. What cannot be mended keeps nothing else from being mended."""
        finding = repair.finding
        try:
            return self._rejoin(repair.engagement_id) if repair.mend is Mend.JOIN else self._take(repair)
        except (RetryLater, OutcomeUnknown, Fenced) as error:
            log.info("mending.later", tenant=self.tenant, finding=str(finding.id), cause=error.cause)
        except HubError as error:
            with self.hub.database.transaction(self.tenant) as tx:
                subject = f"mend:{self.directory}:{finding.account_id}"
                parked = failures.park(tx, cause=error.cause, message=str(error), subject=subject, field=error.field)
                raise_alarm(tx, parked)
        return False

    def _rejoin(self, engagement_id: UUID) -> bool:
        """Have the joiner run, which writes the difference; not while a person has to mend something of the engagement first."""
        with self.hub.database.transaction(self.tenant) as tx:
            engagement = engagements.get(tx, engagement_id)
            if engagement.tombstoned_at is not None or failures.has_open(tx, engagement.id):
                return False
            defer_joiner(tx, engagement.id)
            return True

    def _take(self, repair: _Repair) -> bool:
        """Take something from an account by an effect of the engagement, if it still has to be, and read that back."""
        finding = repair.finding
        if not self._still_found(finding):
            return False
        with self.hub.database.transaction(self.tenant) as tx:
            engagement = engagements.get(tx, repair.engagement_id)
        effect = Effect(self.tenant, engagement.id, self.directory, EffectKind.REMOVE_MEMBER, engagement.epoch)
        log_of_effects = self.hub.effect_log(self.tenant, runner=f"reconcile-{self.run}", correlation_id=self.run)
        applier = AccountApplier(self._config().instance(self.directory).directory(), effect, log_of_effects)
        with revoking():
            if repair.mend is Mend.BLOCK:
                applier.block(finding.account_id, signed_out_since=None)
            else:
                entitlement = Entitlement(EntitlementKind(finding.details["kind"]), finding.details["id"])
                applier.remove(finding.account_id, marker=engagement.worker.marker, gone=[entitlement])
        return not self._still_found(finding)

    def _still_found(self, finding: Finding) -> bool:
        found = self.look(finding.account_id, finding.worker_id)
        return any((each.drift, each.subject) == (finding.drift, finding.subject) for each in found)

    def _config(self) -> TenantConfig:
        return self.hub.tenant(self.tenant)


@dataclass(frozen=True, slots=True)
class _Repair:
    """A finding that may be mended, by an effect of its engagement or by its joiner. ``note``: what the brake has made of it."""

    finding: Finding
    engagement_id: UUID
    mend: Mend
    note: HeldChange | None

    @property
    def may(self) -> bool:
        """Whether it passed the brake, or was released by a person."""
        return self.note is not None and (not self.note.held or self.note.decision == Decision.RELEASED)
