"""The brake on feeds: ends that a poll brings forward wait until the whole poll was seen, and are held where they are too many at once.

What waits is noted before the feed's cursor moves, so that no crash loses an end. A held order waits as a whole, until a person releases or
discards it; the others of the poll go on. Once the source itself takes an earlier end back, nothing waits any more. Ends that are stored,
and terminations that a person asks for here, never come this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import structlog

from flows.alarms import raise_alarm
from flows.feeds.intake import Intake
from flows.feeds.quarantine import terms_with_its_end
from ledger import engagements, failures
from ledger.database import Tx
from ledger.queueing.jobs import defer_follow, defer_reconciliation, defer_take
from ledger.reconciliation import held_changes
from ledger.reconciliation.held_changes import Decision, HeldChange, StandingEnd, WantedChange
from ledger.reconciliation.reconciliations import Scope
from provisioning.brake import BrakedKind, EarlierEnd, Verdict, judge
from workforce.engagement import Engagement, EngagementTerms
from workforce.errors import HubError, Misconfigured, RetryLater
from workforce.events import Actor
from workforce.ports import SourceRecord

log = structlog.get_logger(__name__)

ENDS = (BrakedKind.END_BROUGHT_FORWARD,)


@dataclass
class FeedBrake:
    """One poll of one feed. ``bring`` are the records of this poll that would let a stint stop earlier, by order."""

    intake: Intake
    bring: dict[str, SourceRecord] = field(default_factory=dict)

    def sift(self, records: Sequence[SourceRecord]) -> list[SourceRecord]:
        """The records of a page that may be taken at once. The rest is noted and waits for ``decide``.

        Raises ``RetryLater`` and ``Misconfigured`` where records cannot be read now; nothing has been noted then.
        """
        orders = {order.subject: order for order in _orders(self.intake, records)}
        with self.intake.hub.database.transaction(self.intake.tenant) as tx:
            waiting = {subject for subject, order in orders.items() if self._has_to_wait(tx, order)}
        return [record for record in records if not _waits(record, orders.get(record.external_id), waiting)]

    def decide(self, take: Callable[[SourceRecord], None]) -> None:
        """Now that the whole poll was seen: ``take`` what waits for that, or hold all of it and tell people."""
        with self.intake.hub.database.transaction(self.intake.tenant) as tx:
            pending = held_changes.waiting(tx, self.intake.system, pending=True)
            verdict = self._verdict(tx, pending)
            if verdict.is_held:
                held_changes.keep_back(tx, pending)
                tell(tx, self.intake.system, verdict)
                log.warning("feed.held", tenant=self.intake.tenant, source=self.intake.system, asked=verdict.asked)
                return
        for change in pending:
            if record := self.bring.get(change.subject):
                take(record)
            with self.intake.hub.database.transaction(self.intake.tenant) as tx:
                held_changes.let_through(tx, change.id)
                if record is None:  # an earlier poll brought it and was cut off
                    defer_take(tx, change.subject)

    def _has_to_wait(self, tx: Tx, order: _Order) -> bool:
        """Note an order that would end earlier; one that would not any more waits no longer."""
        before = held_changes.newest_of(tx, self.intake.system, ENDS, order.subject)
        self.bring.pop(order.subject, None)
        if order.asks is None:
            if before is not None and before.decision is None:
                held_changes.decide(tx, before.id, Decision.DISCARDED, reason="the source took it back")
                settle(tx, self.intake.system)
            return False
        same = before is not None and before.details["version"] == order.asks.version
        if before is not None and before.decision is not None and same:
            return before.decision == Decision.DISCARDED
        held_changes.hold(tx, self.intake.system, _wanted(order.asks), pending=before is None or _may_pass(before, order.asks))
        self.bring[order.subject] = order.records[-1]
        return True

    def _verdict(self, tx: Tx, pending: Sequence[HeldChange]) -> Verdict:
        source, policy = self.intake.system, self.intake.hub.tenant(self.intake.tenant).document.access.brake
        explicit = all(change.details["terminates"] for change in pending)
        active, already = held_changes.running(tx, source), held_changes.within_the_hour(tx, source, ENDS)
        return judge(policy, active=active, already=already, asked=len(pending), explicit=explicit)


def is_held(tx: Tx, system: str, record: SourceRecord) -> bool:
    """Whether ``record`` is not to be taken, whoever reads it: its order waits for a person, or a person threw this version away."""
    change = held_changes.newest_of(tx, system, ENDS, record.external_id)
    if change is None or change.decision == Decision.RELEASED:
        return False
    return change.decision is None or change.details["version"] == record.version


def release(tx: Tx, changes: Iterable[HeldChange], *, vms: str, reason: str, actor: Actor) -> int:
    """Let held changes happen: an order is read again and taken, a directory is reconciled again. How many.

    Part of the caller's transaction. ``vms`` is the instance whose orders they may be.
    """
    return _close(tx, changes, Decision.RELEASED, vms=vms, reason=reason, actor=actor)


def discard(tx: Tx, changes: Iterable[HeldChange], *, vms: str, reason: str, actor: Actor) -> int:
    """Throw held changes away: this version of an order is never taken, this finding is not mended. How many."""
    return _close(tx, changes, Decision.DISCARDED, vms=vms, reason=reason, actor=actor)


def tell(tx: Tx, source: str, verdict: Verdict) -> None:
    """Put the brake of a source on the failure list and have people told, once while it is on."""
    message = f"{source}: {verdict}. Nothing of it was done. See: stint reconcile held; then: stint reconcile release, or discard"
    raise_alarm(tx, failures.park(tx, cause="mass_change", message=message, subject=_subject(source)))


def settle(tx: Tx, source: str) -> None:
    """Take the brake of a source off the failure list once nothing of it waits."""
    if not held_changes.waiting(tx, source, limit=1):
        failures.resolve(tx, _subject(source))


def _subject(source: str) -> str:
    return f"brake:{source}"


def _close(tx: Tx, changes: Iterable[HeldChange], decision: Decision, *, vms: str, reason: str, actor: Actor) -> int:
    done = [held_changes.decide(tx, change.id, decision, reason=reason, actor=actor) for change in changes]
    for change in done if decision is Decision.RELEASED else ():
        kind, _, named = change.subject.partition(":")
        if kind == "promotion":
            defer_follow(tx, UUID(named))
        elif change.source == vms:
            defer_take(tx, change.subject)
        else:
            defer_reconciliation(tx, change.source, Scope.RECENTLY_ENDED)
    for source in {change.source for change in done}:
        settle(tx, source)
    return len(done)


@dataclass(frozen=True, slots=True)
class _Order:
    """One work order on a page: its records, oldest first, and the earlier ends that they say, by version."""

    records: tuple[SourceRecord, ...]
    ends: Mapping[str, EarlierEnd]

    @property
    def subject(self) -> str:
        return self.records[0].external_id

    @property
    def asks(self) -> EarlierEnd | None:
        """The end that its last record says."""
        return self.ends.get(self.records[-1].version)


def _waits(record: SourceRecord, order: _Order | None, waiting: set[str]) -> bool:
    """Whether a record is not to be taken: its order waits, or a later record of the same page takes back what it says."""
    return order is not None and (order.subject in waiting or (order.asks is None and record.version in order.ends))


def _may_pass(before: HeldChange, end: EarlierEnd) -> bool:
    """Whether an order that was held may be judged anew: because it was decided then, or is terminated explicitly by now."""
    return (
        before.decision is not None
        or bool(before.details.get("pending"))
        or (end.terminates and not before.details["terminates"])
    )


def _orders(intake: Intake, records: Sequence[SourceRecord]) -> Iterator[_Order]:
    """The orders of a page whose stints run, with what they say of the end."""
    looking = replace(intake, looks_only=True)
    by_order: dict[str, list[SourceRecord]] = {}
    for record in records:
        by_order.setdefault(record.external_id, []).append(record)
    with intake.hub.database.transaction(intake.tenant) as tx:
        running = held_changes.running_ends(tx, intake.system, [external_id for external_id in by_order if _is_kept(external_id)])
    for subject, known in running.items():
        versions = sorted(by_order[subject], key=lambda record: record.version)
        ends = [end for record in versions if (end := _earlier_end(looking, record, known))]
        yield _Order(tuple(versions), {end.version: end for end in ends})


def _is_kept(external_id: str) -> bool:
    """Whether a database can keep the id at all: the ledger knows no other."""
    return external_id == external_id.encode(errors="ignore").decode().replace("\0", "")


def _earlier_end(intake: Intake, record: SourceRecord, known: StandingEnd) -> EarlierEnd | None:
    """What ``record`` says, if that would let a stint stop earlier than ``known``."""
    if record.version < known.source_version:
        return None
    with intake.hub.database.transaction(intake.tenant) as tx:
        engagement = engagements.get(tx, known.engagement_id)
    terms = _terms(intake, record, engagement)
    if terms is None or terms.end_instant() >= known.end_at:
        return None
    terminates = terms.terminates_at is not None and terms.terminates_at != engagement.terms.terminates_at
    return EarlierEnd(record.external_id, record.version, engagement.id, known.end_at, terms.end_instant(), terminates)


def _terms(intake: Intake, record: SourceRecord, engagement: Engagement) -> EngagementTerms | None:
    """The terms that taking ``record`` would leave: where the rest of it cannot be used, those with its end."""
    try:
        return intake.take(record).order.terms
    except (RetryLater, Misconfigured):
        raise
    except HubError:
        return terms_with_its_end(intake, record, engagement)
    except Exception:  # a defect stops this record when it is taken, and is told there
        log.exception("feed.not_looked_at", tenant=intake.tenant, system=intake.system)
        return terms_with_its_end(intake, record, engagement)


def _wanted(end: EarlierEnd) -> WantedChange:
    details = {
        "version": end.version,
        "was": end.known.isoformat(),
        "ends_at": end.ends_at.isoformat(),
        "terminates": end.terminates,
    }
    return WantedChange(BrakedKind.END_BROUGHT_FORWARD, end.subject, end.engagement_id, details)
