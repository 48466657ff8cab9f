"""``stint failures replay``: what waited for a person is tried again, by the processes that it belongs to."""

from __future__ import annotations

import getpass
from uuid import UUID

from cli.reading import vms_of
from config.hub import Hub
from ledger import effect_history, engagements, failures, inbox, sources
from ledger.database import Tx
from ledger.failures import Failure
from ledger.jobs import JobName, defer_backfill, defer_joiner, defer_leaver, defer_poll, defer_projection
from workforce.errors import NotFound, Refused
from workforce.events import Actor, ActorType


def replay(hub: Hub, tenant: str, failure_id: UUID) -> str:
    """Close the failure and queue its work again, in one transaction; what it was about. Raises ``NotFound``."""
    actor = Actor(ActorType.HUMAN, getpass.getuser(), auth="cli")
    with hub.database.transaction(tenant) as tx:
        failure = _find(tx, failure_id)
        failures.close(tx, failure_id, actor)
        if failure.event_id is not None:
            return _replay_event(tx, failure.event_id, actor)
        if failure.engagement_id is not None:
            return _replay_engagement(tx, failure.engagement_id, actor)
        return _replay_feed(tx, failure)


def _find(tx: Tx, failure_id: UUID) -> Failure:
    try:
        return failures.get(tx, failure_id)
    except NotFound:
        raise NotFound(f"no failure {failure_id}; see: stint failures list", field="failure") from None


def _replay_event(tx: Tx, event_id: UUID, actor: Actor) -> str:
    event = inbox.get(tx, event_id)
    if event.kind == inbox.UNUSABLE:
        message = "a delivery that could not be understood cannot be replayed; have its sender send it again"
        raise Refused(message, cause="unusable_delivery", field="failure")
    inbox.replay(tx, event_id, actor)
    defer_projection(tx, source=event.source, subject_id=event.subject_id, event_id=event_id)
    return f"event {event_id}"


def _replay_engagement(tx: Tx, engagement_id: UUID, actor: Actor) -> str:
    effect_history.reopen(tx, engagement_id, actor)
    if engagements.get(tx, engagement_id).tombstoned_at is not None:
        defer_leaver(tx, engagement_id)
    else:
        defer_joiner(tx, engagement_id)
    return f"engagement {engagement_id}"


def _replay_feed(tx: Tx, failure: Failure) -> str:
    """What was asked for and could not be told, or a record of the VMS that could not be used.

    The VMS's feed is read from its beginning; what is known changes nothing.
    """
    job, _, instance = failure.subject.partition(":")
    if job == JobName.BACKFILL:
        defer_backfill(tx, instance)
        return failure.subject
    sources.forget_cursor(tx, vms_of(tx))
    defer_poll(tx)
    return failure.subject
