"""``kill -9`` of the worker while it takes the access of many away at once: the next one goes on, and in the end nothing is left open."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from bench.offboarding import Contractor, end_at, hired
from cli.demo.world import TENANT
from config.hub import ledger_dsn
from ledger import engagements, failures
from ledger.access import grants
from ledger.queueing import runs
from ledger.writing import effect_history
from tests.end_to_end.conftest import PATIENCE_SECONDS, Stint
from tests.end_to_end.test_killed_worker import held_at, wait_until_somebody_is_held
from workforce.access import SIGN_IN
from workforce.effects import EffectKind
from workforce.errors import RetryLater
from workforce.states import EffectState, EngagementState

pytestmark = pytest.mark.integration

PEOPLE = itertools.count(1)
MANY = 12
SOON = timedelta(seconds=3)

CRASH_POINTS = [
    ("The tombstones, before their commit", "engagement.ending", None, "success"),
    ("The intents of a slice, before the call", "account.disabled", "entra", "pending"),
    ("The results of a slice, after the call", "account.disabled", "entra", "success"),
    ("The results of a slice, after the call", "sessions.revoked", "ldap", "success"),
    ("The proofs of a slice", "access.blocked", "ldap", "success"),
    ("The leavers, amid their groups", "member.removed", "entra", "success"),
    ("The leavers, as one of them closes", "engagement.closed", None, "success"),
]


def all_closed(stint: Stint, contractors: list[Contractor]) -> bool:
    with stint.hub.database.transaction(TENANT) as tx:
        return all(engagements.get(tx, each.engagement.id).state is EngagementState.ENDED for each in contractors)


def end_soon(stint: Stint, contractors: list[Contractor]) -> None:
    """Give all of them one end. The feed may be reading the same work orders just now: then once more."""
    retrying = Retrying(retry=retry_if_exception_type(RetryLater), stop=stop_after_attempt(5), reraise=True)
    retrying(end_at, stint.hub, contractors, datetime.now(UTC).replace(microsecond=0) + SOON)


@pytest.mark.parametrize(("step", "action", "system", "outcome"), CRASH_POINTS)
def test_a_worker_that_is_killed_at_midnight_is_followed_by_one_that_leaves_nothing_open(
    stint: Stint, step: str, action: str, system: str | None, outcome: str
) -> None:
    contractors = hired(stint.hub, stint.world, list(itertools.islice(PEOPLE, MANY)))
    with psycopg.connect(ledger_dsn(stint.settings), autocommit=True) as connection:
        with held_at(connection, action, system, outcome):
            end_soon(stint, contractors)
            wait_until_somebody_is_held(connection, stint)
            stint.supervisor.kill("worker")
        stint.restart_worker()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not all_closed(stint, contractors) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert all_closed(stint, contractors), f"{step}\n{stint.log_tail()}"
    users = {user["id"]: user for user in stint.world.graph.users}
    for each in contractors:
        user = users[each.accounts["entra"]]
        (entry,) = stint.world.slapd.entries(each.engagement.worker.marker)
        assert (user["accountEnabled"], user["memberOf"], "pwdAccountLockedTime" in entry) == (False, [], True), step
        assert stint.world.graph.effects.count("disable_user", user["id"]) == 1
        _is_told_completely(stint, each)


def _is_told_completely(stint: Stint, contractor: Contractor) -> None:
    """Each block is an effect that is done, each sign-in is proven, and nobody has to look at anything."""
    with stint.hub.database.transaction(TENANT) as tx:
        lines = effect_history.list_for(tx, contractor.engagement.id)
        rows = grants.history_of(tx, contractor.engagement.id)
        assert failures.list_open(tx, engagement_id=contractor.engagement.id) == []
        assert {run.process for run in runs.list_for(tx, contractor.engagement.id)} <= {"leavers", "leaver"}
        assert runs.list_for(tx, contractor.engagement.id), "the run that it shared is shown for it"
    blocks = [line for line in lines if line.kind is EffectKind.DISABLE_ACCOUNT]
    assert sorted((line.target, line.state) for line in blocks) == [("entra", EffectState.DONE), ("ldap", EffectState.DONE)]
    assert all(row.revoked_at is not None for row in rows if row.entitlement == SIGN_IN)
