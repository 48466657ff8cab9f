"""Whom the ledger expects in a directory, in the terms in which reconciliation judges accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger.reconciliation.reconciliations import Person, PersonsEngagement, PersonsGrant
from provisioning.desired import Support
from provisioning.reconcile import UNDER_WAY, Expected, Trigger
from workforce.access import Entitlement
from workforce.period import start_instant
from workforce.states import STANDING, WITHDRAWN


def expected_of(person: Person, *, now: datetime) -> Expected:
    """What one directory should show of a person. Raises ``Refused`` for a time zone that is none."""
    standing = [each for each in person.engagements if each.state in STANDING and each.tombstoned_at is None]
    lasting = [each for each in standing if each.end_at > now]
    endings = [
        each for each in person.engagements if each.tombstoned_at and (each.id in person.had_access or not person.had_access)
    ]
    wanting = {grant.engagement_id for grant in person.grants if grant.unwanted_at is None}
    owners = (
        [each for each in lasting if each.id in wanting]
        or lasting
        or standing
        or [each for each in person.engagements if each.id in person.had_access]
        or person.engagements
    )
    return Expected(
        worker_id=person.worker_id,
        marker=person.marker,
        account_id=person.account_id,
        supports=tuple(_support(each, person.grants) for each in standing if each.suspended_at is None),
        given=frozenset(grant.entitlement for grant in person.grants if grant.granted_at),
        proven=frozenset(grant.entitlement for grant in person.grants if grant.granted_at and not grant.unwanted_at),
        under_way=_under_way(person.grants, now),
        owner=owners[-1].id if owners else None,
        ending=endings[-1].id if endings else None,
        ending_since=endings[-1].tombstoned_at if endings else None,
        has_standing=bool(lasting),
        trigger=_trigger(person.engagements, missed_end=bool(standing)),
    )


def _support(engagement: PersonsEngagement, grants: Sequence[PersonsGrant]) -> Support:
    wanted = (grant for grant in grants if grant.engagement_id == engagement.id and grant.unwanted_at is None)
    starts_at = start_instant(engagement.starts_on, engagement.time_zone)
    return Support(engagement.id, starts_at, engagement.end_at, frozenset(grant.entitlement for grant in wanted))


def _under_way(grants: Sequence[PersonsGrant], now: datetime) -> frozenset[Entitlement]:
    """What is being given or taken just now, as far as nothing else proves it already."""
    proven = {grant.entitlement for grant in grants if grant.granted_at and not grant.unwanted_at}
    begun = {grant.entitlement for grant in grants if now - (grant.unwanted_at or grant.wanted_at) < UNDER_WAY}
    return frozenset(begun - proven)


def _trigger(engagements: Sequence[PersonsEngagement], *, missed_end: bool) -> Trigger:
    """What most likely never came, should nothing stand."""
    if missed_end:
        return Trigger.END_MISSED
    if any(each.state in WITHDRAWN for each in engagements):
        return Trigger.DELETED_AT_SOURCE
    return Trigger.NO_START
