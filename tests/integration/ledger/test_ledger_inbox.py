from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger import failures
from ledger.database import Database
from ledger.ids import uuid7
from ledger.intake import inbox
from ledger.queueing import runs
from ledger.queueing.queue import Job, Lane, defer, depth
from workforce.errors import NotFound, Refused
from workforce.events import HUB, SourceEvent
from workforce.states import EventState

pytestmark = pytest.mark.integration

EVENT = SourceEvent("delivery-1", "envelope-completed", "env-1")


def deliver(database: Database) -> bool:
    with database.transaction("acme") as tx:
        received = inbox.receive(tx, source="docusign", event=EVENT, body=b"{}")
        if not received.duplicate:
            defer(tx, "acme", Job("project", {"event_id": str(received.event_id)}, Lane.SYNC, "docusign:env-1"))
        return received.duplicate


def test_fifty_deliveries_at_once_are_stored_once_with_one_job(database: Database) -> None:
    with ThreadPoolExecutor(12) as pool:
        duplicates = list(pool.map(lambda _: deliver(database), range(50)))
    assert duplicates.count(False) == 1
    assert depth(database) == {Lane.REVOKE: 0, Lane.SYNC: 1, Lane.BULK: 0}
    with database.transaction("acme") as tx:
        assert tx.the("SELECT count(*) AS number FROM inbox")["number"] == 1


def test_the_same_delivery_id_of_another_source_is_another_event(database: Database) -> None:
    with database.transaction("acme") as tx:
        first = inbox.receive(tx, source="docusign", event=EVENT, body=b"{}")
        second = inbox.receive(tx, source="bamboohr", event=EVENT, body=b"{}")
        assert not second.duplicate
        assert inbox.receive(tx, source="docusign", event=EVENT, body=b"other") == inbox.Received(first.event_id, duplicate=True)


def test_an_event_goes_through_its_states_and_no_others(database: Database) -> None:
    with database.transaction("acme") as tx:
        event_id = inbox.receive(tx, source="docusign", event=EVENT, body=b"{}").event_id
        inbox.project(tx, event_id)
        inbox.settle(tx, event_id)
        inbox.settle(tx, event_id)
        stored = inbox.get(tx, event_id)
        assert (stored.state, stored.kind, stored.subject_id, stored.body) == (EventState.SETTLED, EVENT.kind, "env-1", b"{}")
    with pytest.raises(Refused, match="EventState"), database.transaction("acme") as tx:
        inbox.park(tx, event_id, cause="late", message="too late")
    with pytest.raises(NotFound), database.transaction("acme") as tx:
        inbox.settle(tx, uuid7())


def test_a_parked_event_waits_in_the_failure_list_until_it_is_replayed(database: Database) -> None:
    with database.transaction("acme") as tx:
        event_id = inbox.receive(tx, source="docusign", event=EVENT, body=b"{}").event_id
        inbox.park(tx, event_id, cause="unknown_role", message="role: no package", field="role")
        inbox.park(tx, event_id, cause="unknown_role", message="role: still no package", field="role")
    with database.transaction("acme") as tx:
        (failure,) = failures.list_open(tx)
        assert (failure.count, failure.cause, failure.field, failure.event_id) == (2, "unknown_role", "role", event_id)
        failures.close(tx, failure.id, HUB)
        inbox.replay(tx, event_id, HUB)
        assert failures.list_open(tx) == []
        assert inbox.get(tx, event_id).state is EventState.RECEIVED


def test_an_unusable_body_is_stored_once_and_parked(database: Database) -> None:
    with database.transaction("acme") as tx:
        first = inbox.receive_unusable(tx, "docusign", b"<html>", "unusable_content", "not JSON", field="body")
        again = inbox.receive_unusable(tx, "docusign", b"<html>", "unusable_content", "not JSON")
        assert again == inbox.Received(first.event_id, duplicate=True)
        assert inbox.get(tx, first.event_id).state is EventState.PARKED
        assert [failure.count for failure in failures.list_open(tx)] == [1]


def test_a_crashed_job_goes_on_with_its_run_and_a_finished_one_gets_another(database: Database) -> None:
    first, second = uuid7(), uuid7()
    with database.transaction("acme") as tx:
        assert (runs.number(tx, 7), runs.flow_run_of(tx, 7)) == (1, None)
        runs.remember(tx, 7, 1, first, process="joiner", engagement_ids=[])
        runs.remember(tx, 7, 1, second, process="joiner", engagement_ids=[])
        assert (runs.number(tx, 7), runs.flow_run_of(tx, 7)) == (1, first)
        runs.finish(tx, 7, 1, "throttled")
        runs.remember(tx, 7, runs.number(tx, 7), second, process="joiner", engagement_ids=[])
        assert runs.flow_run_of(tx, 7) == second
