"""Who had access at an instant: against a model that keeps everything in its head, on the real ledger."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import engagements
from ledger.access import grants
from ledger.access import history as access_history
from ledger.access.history import Question
from ledger.database import Database, Tx
from ledger.trail import audit
from tests.integration.ledger_cases import NOON, a_work_order, stored_engagement
from workforce.access import SIGN_IN, Entitlement, EntitlementKind
from workforce.engagement import Engagement
from workforce.events import Actor, ActorType

pytestmark = pytest.mark.integration

AUDITOR = Actor(ActorType.HUMAN, "ines", auth="cli")
A_GROUP = Entitlement(EntitlementKind.GROUP, "engineers")
A_LICENCE = Entitlement(EntitlementKind.LICENCE, "e5")
EVERYTHING = (SIGN_IN, A_GROUP, A_LICENCE)
REASON = {"package": "engineer", "version": 1}
_DIRECTORIES = (f"directory-{number}" for number in itertools.count())

on_the_real_ledger = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def held(tx: Tx, directory: str, at: datetime) -> set[tuple[str, Entitlement]]:
    """(work order, entitlement) of everything that was held."""
    return {(each.vms_id, each.entitlement) for each in access_history.held_at(tx, Question(directory, at))}


def a_past_grant(
    tx: Tx, engagement: Engagement, directory: str, entitlement: Entitlement, given_at: datetime | None, gone_at: datetime | None
) -> None:
    """A row of the past: read back at ``given_at`` and read back as gone at ``gone_at``."""
    grants.want(tx, engagement, directory, {entitlement: REASON})
    (row,) = grants.wanted_of(tx, engagement.id, directory)
    grants.unwant(tx, engagement.id, [row.id], because="test")
    tx.execute(
        "UPDATE grants SET granted_at = %(given)s, revoked_at = %(gone)s WHERE id = %(id)s",
        given=given_at,
        gone=gone_at,
        id=row.id,
    )


MINUTES = st.integers(0, 6).map(lambda number: NOON + timedelta(minutes=number))


@on_the_real_ledger
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(EVERYTHING), st.none() | MINUTES, st.none() | MINUTES), max_size=8
    ),
)
def test_whoever_had_access_is_named_from_the_very_instant_until_the_very_instant(
    database: Database, rows: list[tuple[int, Entitlement, datetime | None, datetime | None]]
) -> None:
    directory = next(_DIRECTORIES)
    with database.transaction("acme") as tx:
        people = [engagements.upsert_work_order(tx, "fieldglass", a_work_order(f"WO-{n}"), "1")[0] for n in (0, 1)]
        lives = [
            (people[who], what, given, gone) for who, what, given, gone in rows if given is None or gone is None or given <= gone
        ]
        for engagement, what, given, gone in lives:
            a_past_grant(tx, engagement, directory, what, given, gone)
        for at in (NOON + timedelta(seconds=30 * step) for step in range(-1, 14)):
            expected = {
                (engagement.terms.vms_id, what)
                for engagement, what, given, gone in lives
                if given is not None and given <= at and (gone is None or at < gone)
            }
            assert held(tx, directory, at) == expected


@dataclass
class Naive:
    """What every engagement holds now, kept by hand, and a photograph of it after every step."""

    directory: str
    now: set[tuple[str, Entitlement]] = field(default_factory=set)
    photographs: list[tuple[datetime, frozenset[tuple[str, Entitlement]]]] = field(default_factory=list)

    def photograph(self, tx: Tx) -> None:
        at = tx.the("SELECT clock_timestamp() AS at")["at"]
        self.photographs.append((at, frozenset(self.now)))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["want", "prove", "unwant", "restore", "revoke"]), st.integers(0, 1), st.sets(st.sampled_from(EVERYTHING))
    ),
    max_size=12,
)


@on_the_real_ledger
@given(steps=STEPS)
def test_after_any_life_of_grants_each_past_instant_is_told_as_it_was(
    database: Database, steps: list[tuple[str, int, set[Entitlement]]]
) -> None:
    naive = Naive(next(_DIRECTORIES))
    people = [stored_engagement(database, f"WO-{number}") for number in (0, 1)]
    for number, (step, who, what) in enumerate(steps):
        with database.transaction("acme") as tx:
            _do(tx, naive, people[who], step, what, f"pause {number}")
        with database.transaction("acme") as tx:
            naive.photograph(tx)
    with database.transaction("acme") as tx:
        for at, expected in naive.photographs:
            assert held(tx, naive.directory, at) == expected


def _do(tx: Tx, naive: Naive, engagement: Engagement, step: str, what: set[Entitlement], because: str) -> None:
    """One step in the ledger and in the model. What is wanted no more is still held until it is read back as gone."""
    order, directory = engagement.terms.vms_id, naive.directory
    wanted = {grant.entitlement for grant in grants.wanted_of(tx, engagement.id, directory)}
    leaving = {grant.entitlement for grant in grants.to_revoke(tx, engagement.id, directory)}
    if step == "want" and not wanted & leaving:
        grants.want(tx, engagement, directory, dict.fromkeys(what - leaving, REASON))
    elif step == "prove":
        grants.proven(tx, engagement.id, directory, "account-1", what)
        naive.now |= {(order, each) for each in what & wanted}
    elif step in {"unwant", "restore"}:
        grants.unwant(tx, engagement.id, [each.id for each in grants.wanted_of(tx, engagement.id, directory)], because=because)
        if step == "restore":
            grants.revoked(tx, grants.to_revoke(tx, engagement.id, directory), wanted)
            naive.now -= {(order, each) for each in wanted}
            grants.restore(tx, engagement, because=because)
    else:
        grants.revoked(tx, grants.to_revoke(tx, engagement.id, directory), what)
        naive.now -= {(order, each) for each in what & leaving}


@pytest.fixture
def two_people(database: Database) -> list[Engagement]:
    """Two engagements that have held a group since noon."""
    people = [stored_engagement(database, f"WO-{number}") for number in (1, 2)]
    with database.transaction("acme") as tx:
        for engagement in people:
            a_past_grant(tx, engagement, "entra", A_GROUP, NOON, None)
    return people


def test_one_engagement_or_one_person_can_be_asked_for_alone(database: Database, two_people: list[Engagement]) -> None:
    first, second = two_people
    with database.transaction("acme") as tx:
        of_one = access_history.held_at(tx, Question("entra", NOON, engagement_id=first.id))
        of_person = access_history.held_at(tx, Question("entra", NOON, worker_id=second.worker.id))
        elsewhere = access_history.held_at(tx, Question("ldap", NOON))
    assert [each.engagement_id for each in of_one] == [first.id]
    assert [(each.worker_id, each.marker) for each in of_person] == [(second.worker.id, second.worker.marker)]
    assert elsewhere == []


def test_whoever_asks_is_in_the_audit_trail_with_what_they_asked_and_how_much_they_saw(
    database: Database, two_people: list[Engagement]
) -> None:
    with database.transaction("acme") as tx:
        access_history.who_had_access(tx, Question("entra", NOON, worker_id=two_people[0].worker.id), AUDITOR)
    with database.transaction("acme") as tx:
        (line,) = audit.entries(tx, action="access_history.read")
    details = line.event["details"]
    assert (line.event["actor"]["id"], line.event["target"]["id"]) == ("ines", "entra")
    assert (details["rows"], details["worker_id"]) == (1, str(two_people[0].worker.id))
    assert datetime.fromisoformat(details["at"]) == NOON


def test_the_ledger_says_since_when_it_knows(database: Database, two_people: list[Engagement]) -> None:
    with database.transaction("acme") as tx:
        since = access_history.recorded_since(tx)
    assert set(since) == {"entra"}
    assert since["entra"] > datetime(2026, 1, 1, tzinfo=UTC)
    assert len(two_people) == 2
