"""``kill -9`` of the worker inside a transaction of each step of the joiner: afterwards there is exactly one account per system.

A trigger in the test's database makes the worker wait inside the transaction that writes a chosen audit line, so that it is killed
there and nowhere else: before the commit of an intent, or after the call and before the commit of its result.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from cli.demo.world import TENANT
from config.hub import ledger_dsn
from ledger.queueing import runs
from tests.end_to_end.conftest import Stint
from tests.end_to_end.test_one_contractor_all_the_way import ONE_EACH, counts, is_active

pytestmark = pytest.mark.integration

LOCK = 4242

CRASH_POINTS = [
    ("Read the signed agreement", "agreement.read", None, "success"),
    ("Read the work order", "work_order.read", None, "success"),
    ("Decide the access", "access.decided", None, "success"),
    ("Create the record, before the call", "record.created", "bamboohr", "pending"),
    ("Create the record, after the call", "record.created", "bamboohr", "success"),
    ("Create the record, after the call", "record.created", "gusto", "success"),
    ("Create the account, before the call", "account.created", "entra", "pending"),
    ("Create the account, after the call", "account.created", "entra", "success"),
    ("Create the account, after the call", "account.created", "ldap", "success"),
    ("Grant the access package, after the call", "member.added", "ldap", "success"),
    ("Read the access back", "account.verified", "entra", "success"),
    ("Read the record back", "record.verified", "gusto", "success"),
    ("Confirm the access", "sla.time_to_productive", None, "success"),
]


@contextmanager
def held_at(connection: psycopg.Connection, action: str, system: str | None, outcome: str) -> Iterator[None]:
    """Make whoever writes this audit line wait inside its transaction, until the block ends."""
    connection.execute(
        """
        CREATE OR REPLACE FUNCTION hold_here() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.event::jsonb->>'action' = TG_ARGV[0] AND coalesce(NEW.event::jsonb->'target'->>'system', '') = TG_ARGV[1]
               AND NEW.event::jsonb->>'outcome' = TG_ARGV[2] THEN
                PERFORM pg_advisory_xact_lock(4242);
            END IF;
            RETURN NEW;
        END $$
        """
    )
    connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    arguments = ", ".join(f"'{text}'" for text in (action, system or "", outcome))
    connection.execute(
        f"CREATE TRIGGER hold_here BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION hold_here({arguments})"  # type: ignore[arg-type]
    )
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
        connection.execute("DROP TRIGGER hold_here ON audit_events")


def wait_until_somebody_is_held(connection: psycopg.Connection, stint: Stint) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        waiting = connection.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted", (LOCK,))
        if waiting.fetchone():
            return
        time.sleep(0.02)
    pytest.fail(f"nobody came to the crash point\n{stint.log_tail()}")


@pytest.mark.parametrize(("step", "action", "system", "outcome"), CRASH_POINTS)
def test_a_killed_worker_leaves_exactly_one_account_per_system(
    stint: Stint, step: str, action: str, system: str | None, outcome: str
) -> None:
    order = stint.order()
    with psycopg.connect(ledger_dsn(stint.settings), autocommit=True) as connection:
        with held_at(connection, action, system, outcome):
            stint.sign(order)
            wait_until_somebody_is_held(connection, stint)
            stint.supervisor.kill("worker")
        stint.restart_worker()
    active = stint.until(order, is_active)
    assert counts(stint, active) == ONE_EACH, step
    with stint.hub.database.transaction(TENANT) as tx:
        flow_runs = runs.list_for(tx, active.id)
    assert len({run.flow_run_id for run in flow_runs if run.process == "joiner"}) == 1, "the same run was resumed"
