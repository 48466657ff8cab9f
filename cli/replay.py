"""``stint failures replay``: what waited for a person is tried again, by the processes that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from cli.actor import person
from cli.failures import find_failure
from cli.reading import vms_of
from config.hub import Hub
from flows.feeds.intake import Intake, guarded, map_order
from ledger import engagements, failures
from ledger.database import Tx
from ledger.failures import About, Failure
from ledger.intake import inbox, sources
from ledger.queueing.jobs import (
    JobName,
    defer_alarm,
    defer_backfill,
    defer_follow,
    defer_joiner,
    defer_leaver,
    defer_migration,
    defer_poll,
    defer_projection,
    defer_take,
)
from ledger.writing import effect_history
from workforce.errors import HubError, NotFound, Refused
from workforce.events import Actor
from workforce.ports import SourceRecord

MOST = 100_000
"""Lines that one replay takes up at most."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would become of one line of the failure list: ``mended``, or why not yet."""

    failure: Failure
    mended: bool
    outcome: str


def of_cause(hub: Hub, tenant: str, key: str) -> list[Failure]:
    """Every open line that has the cause ``key``. Raises ``NotFound`` naming the causes there are."""
    with hub.database.transaction(tenant) as tx:
        found = failures.list_open(tx, group_key=key, limit=MOST)
        known = [group.key for group in failures.groups(tx)]
    if not found:
        listed = "".join(f"\n  {one}" for one in known) or " none"
        raise NotFound(f"nothing waits for the cause {key!r}; causes:{listed}", field="cause")
    return found


def replay_cause(hub: Hub, tenant: str, key: str) -> list[str]:
    """Have everything that waits for one cause tried again; what that is. Raises ``NotFound``."""
    return [replay(hub, tenant, failure.id) for failure in of_cause(hub, tenant, key)]


def preview(hub: Hub, tenant: str, key: str) -> list[Prospect]:
    """What trying again would do, from the records as they were last read; nothing is changed. Raises ``NotFound``."""
    lines = of_cause(hub, tenant, key)
    with hub.database.transaction(tenant) as tx:
        intake = Intake(hub, tenant, vms_of(tx), looks_only=True)
    return [_prospect(intake, failure) for failure in lines]


def _prospect(intake: Intake, failure: Failure) -> Prospect:
    if failure.about is not About.SUBJECT:
        return Prospect(failure, True, f"{failure.about} is run again, with its records read anew")
    with intake.hub.database.transaction(intake.tenant) as tx:
        known = sources.latest(tx, intake.system, failure.subject.removeprefix(intake.subject("")))
    if known is None:
        return Prospect(failure, True, "the feed is asked again")
    try:
        taken = intake.take(known[0])
    except HubError as error:
        return Prospect(failure, False, f"{error}{_if_it_moved(intake, known[0])}")
    used, terms = taken.lineage.mapping, taken.order.terms
    return Prospect(
        failure, True, f"taken by {used.mapping_id} {used.version}: {terms.role}, {terms.starts_on} to {terms.ends_on}"
    )


def _if_it_moved(intake: Intake, record: SourceRecord) -> str:
    """What would help where only the version that the engagement is pinned to refuses the record, and that in force takes it."""
    with intake.hub.database.transaction(intake.tenant) as tx:
        engagement = engagements.by_vms_id(tx, intake.system, record.external_id)
        pinned = engagement.mapping_pins.get(intake.mapping_id) if engagement else None
        now = intake.versions.current(tx, intake.mapping_id)
    if engagement is None or pinned in {None, now.version}:
        return ""
    try:
        guarded(map_order(now, intake.system, record), engagement)
    except HubError:
        return ""
    id_ = now.mapping_id
    return (
        f". {now.version}, which is in force, takes it, but its engagement is pinned to {pinned}: stint mappings migrate {id_}"
        f" {record.external_id}, or for all of them: stint mappings promote {id_} {now.version} --running drain --reason …"
    )


def replay(hub: Hub, tenant: str, failure_id: UUID) -> str:
    """Close the failure and queue its work again, in one transaction; what it was about. Raises ``NotFound``."""
    actor = person()
    with hub.database.transaction(tenant) as tx:
        failure = find_failure(tx, failure_id)
        failures.close(tx, failure_id, actor)
        if failure.event_id is not None:
            return _replay_event(tx, failure.event_id, actor)
        if failure.engagement_id is not None:
            return _replay_engagement(tx, failure, failure.engagement_id, actor)
        return _replay_feed(tx, failure)


def _replay_event(tx: Tx, event_id: UUID, actor: Actor) -> str:
    event = inbox.get(tx, event_id)
    if event.kind == inbox.UNUSABLE:
        message = "a delivery that could not be understood cannot be replayed; have its sender send it again"
        raise Refused(message, cause="unusable_delivery", field="failure")
    inbox.replay(tx, event_id, actor)
    defer_projection(tx, source=event.source, subject_id=event.subject_id, event_id=event_id)
    return f"event {event_id}"


def _replay_engagement(tx: Tx, failure: Failure, engagement_id: UUID, actor: Actor) -> str:
    effect_history.reopen(tx, engagement_id, actor)
    about, _, rest = failure.subject.partition(":")
    if engagements.get(tx, engagement_id).tombstoned_at is not None:
        defer_leaver(tx, engagement_id)
    elif about == JobName.MIGRATE:
        defer_migration(tx, engagement_id, UUID(rest.rpartition(":")[2]))
    else:
        defer_joiner(tx, engagement_id)
    return f"engagement {engagement_id}"


def _replay_feed(tx: Tx, failure: Failure) -> str:
    """What was asked for and could not be told, or a record of the VMS that could not be used: it is read again, by itself."""
    about, _, name = failure.subject.partition(":")
    if about == JobName.BACKFILL:
        defer_backfill(tx, name)
    elif about == JobName.ALARM:
        defer_alarm(tx, UUID(name))
    elif about == JobName.FOLLOW:
        defer_follow(tx, UUID(name))
    elif name and about in {JobName.TAKE, vms_of(tx)}:
        defer_take(tx, name)
    else:
        sources.forget_cursor(tx, vms_of(tx))  # the whole feed: what is known changes nothing
        defer_poll(tx)
    return failure.subject
