from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from ledger import engagements, failures
from ledger.database import Database
from ledger.engagements import Change
from ledger.failures import About
from ledger.identity import identities, workers
from ledger.ids import uuid7
from ledger.intake import inbox, sources
from ledger.queueing import timers
from ledger.queueing.timers import TimerKind
from ledger.trail import audit
from ledger.vault.keys import TaxIdVault
from tests.integration.ledger_cases import NOON, a_work_order, an_engagement, stored_engagement, wait_until_somebody_waits
from workforce.engagement import Engagement
from workforce.errors import AlreadyTaken, Fenced, Misconfigured, NotFound, Refused
from workforce.events import HUB, SourceEvent
from workforce.ports import SourceRecord
from workforce.states import EngagementState

pytestmark = pytest.mark.integration


def test_a_new_work_order_makes_a_worker_an_engagement_and_arms_its_end(database: Database) -> None:
    with database.transaction("acme") as tx:
        engagement, change = engagements.upsert_work_order(tx, "fieldglass", a_work_order(), "2026-11-20")
        assert change is Change.CREATED
        assert engagements.get(tx, engagement.id) == engagement
        assert engagements.by_vms_id(tx, "fieldglass", "WO-1") == engagement
        assert engagements.list_all(tx, state=EngagementState.REQUESTED) == engagements.newest(tx) == [engagement]
        assert [(timer.kind, timer.fires_at) for timer in timers.armed(tx, engagement.id)] == [(TimerKind.END, engagement.end_at)]
        assert workers.by_marker(tx, engagement.worker.marker) == workers.get(tx, engagement.worker.id) == engagement.worker
    assert engagement.end_at == datetime(2027, 2, 26, 23, tzinfo=UTC)


def test_the_desired_state_advances_only_to_a_newer_version(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = an_engagement(tx)
        later = a_work_order(ends_on="2027-03-31")
        assert engagements.upsert_work_order(tx, "fieldglass", later, "2026-11-20") == (known, Change.STALE)
        assert engagements.upsert_work_order(tx, "fieldglass", later, "2026-11-19") == (known, Change.STALE)
        assert engagements.upsert_work_order(tx, "fieldglass", a_work_order(), "2026-11-21")[1] is Change.UNCHANGED
        moved, change = engagements.upsert_work_order(tx, "fieldglass", later, "2026-11-22")
        assert change is Change.UPDATED
        assert moved.end_at == datetime(2027, 3, 31, 22, tzinfo=UTC)
        assert [timer.fires_at for timer in timers.armed(tx, known.id)] == [moved.end_at]


def test_an_engagement_tells_the_version_of_the_record_that_it_was_last_compared_with(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = an_engagement(tx)
        assert known.source_version == "2026-11-20"
        for version, told in (("2026-11-21", "2026-11-21"), ("2026-11-19", "2026-11-21"), ("2026-11-22", "2026-11-22")):
            again, _ = engagements.upsert_work_order(tx, "fieldglass", a_work_order(), version)
            assert again.source_version == engagements.get(tx, known.id).source_version == told
        moved, _ = engagements.upsert_work_order(tx, "fieldglass", a_work_order(role="Analyst"), "2026-11-23")
        assert moved.source_version == "2026-11-23"


def test_the_stored_end_stays_when_nothing_that_decides_it_changes_and_once_the_ending_has_begun(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = an_engagement(tx, active=True)
        tx.execute("UPDATE engagements SET end_at = %(at)s", at=NOON)
        renamed = a_work_order(worker={"given_name": "Augusta"}, role="Analyst")
        changed, _ = engagements.upsert_work_order(tx, "fieldglass", renamed, "2026-11-21")
        assert (changed.worker.profile.given_name, changed.terms.role, changed.end_at) == ("Augusta", "Analyst", NOON)
        engagements.begin_ending(tx, known.id, "test")
        extended, _ = engagements.upsert_work_order(tx, "fieldglass", a_work_order(ends_on="2028-01-31"), "2026-11-22")
        assert extended.end_at == NOON


def test_an_extension_that_waited_for_the_ending_no_longer_moves_the_end(dsn: str, database: Database) -> None:
    known = stored_engagement(database, active=True)

    def extend() -> Engagement:
        with database.transaction("acme") as tx:
            return engagements.upsert_work_order(tx, "fieldglass", a_work_order(ends_on="2028-01-31"), "2026-11-21")[0]

    with ThreadPoolExecutor(1) as pool:
        with database.transaction("acme") as tx:
            engagements.begin_ending(tx, known.id, "test")
            extended = pool.submit(extend)
            wait_until_somebody_waits(dsn)
        assert extended.result().end_at == known.end_at
    with database.transaction("acme") as tx:
        assert [timer.fires_at for timer in timers.armed(tx, known.id)] == [known.end_at]


def test_one_work_order_seen_by_many_at_once_is_one_engagement(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: stored_engagement(database).id, range(16)))
    assert len(set(seen)) == 1


def test_namesakes_are_two_workers_and_a_known_person_is_one(database: Database) -> None:
    with database.transaction("acme") as tx:
        first, _ = engagements.upsert_work_order(tx, "fieldglass", a_work_order("WO-1"), "1", person_id="FG-1")
        namesake, _ = engagements.upsert_work_order(tx, "fieldglass", a_work_order("WO-2"), "1")
        again, _ = engagements.upsert_work_order(tx, "fieldglass", a_work_order("WO-3"), "1", person_id="FG-1")
    assert namesake.worker.id != first.worker.id
    assert again.worker.id == first.worker.id


def test_begin_ending_tombstones_once_and_makes_every_runner_stale(database: Database) -> None:
    with database.transaction("acme") as tx:
        engagement = an_engagement(tx, active=True)
        claimed = engagements.claim(tx, engagement.id, runner="joiner-1.1", grants=True)
        assert claimed.epoch == engagement.epoch + 1
        assert engagements.claim(tx, engagement.id, runner="joiner-1.1", grants=True).epoch == claimed.epoch
        ending = engagements.begin_ending(tx, engagement.id, "end_reached")
        assert (ending.state, ending.epoch) == (EngagementState.ENDING, claimed.epoch + 1)
        assert engagements.begin_ending(tx, engagement.id, "again") == ending
        with pytest.raises(Fenced):
            engagements.claim(tx, engagement.id, runner="joiner-1.2", grants=True)
        assert engagements.claim(tx, engagement.id, runner="leaver-2.1", grants=False).epoch == ending.epoch + 1
    with database.transaction("acme") as tx:
        (entry,) = audit.entries(tx, engagement_id=engagement.id, action="engagement.ending")
        assert (entry.event["reason_code"], entry.event["details"]["was"]) == ("end_reached", "active")


def test_states_change_through_the_one_table_and_closing_unsets_the_timers(database: Database) -> None:
    with database.transaction("acme") as tx:
        engagement = an_engagement(tx)
        with pytest.raises(Refused, match="requested to active"):
            engagements.transition(tx, engagement.id, EngagementState.ACTIVE)
        engagements.transition(tx, engagement.id, EngagementState.CANCELLED)
        assert timers.armed(tx, engagement.id) == []
        with pytest.raises(NotFound):
            engagements.transition(tx, uuid7(), EngagementState.ACTIVE)


def test_agreement_pins_and_proofs_are_kept_as_first_told(database: Database) -> None:
    with database.transaction("acme") as tx:
        engagement = an_engagement(tx)
        assert engagements.set_agreement(tx, engagement.id, "env-1", NOON).signed_at == NOON
        assert engagements.pin_mappings(tx, engagement.id, {"a__b": "v0001"}).mapping_pins == {"a__b": "v0001"}
        assert engagements.pin_mappings(tx, engagement.id, {"a__b": "v0002", "c__d": "v0004"}).mapping_pins == {
            "a__b": "v0001",
            "c__d": "v0004",
        }
        assert engagements.pin_mappings(tx, engagement.id, {"a__b": "v0002"}, migrate=True).mapping_pins == {
            "a__b": "v0002",
            "c__d": "v0004",
        }
        engagements.begin_ending(tx, engagement.id, "test")
        later = NOON.replace(hour=13)
        for at in (NOON, later):
            engagements.mark_access_verified(tx, engagement.id, at)
            engagements.mark_revoked_verified(tx, engagement.id, at)
        proven = engagements.get(tx, engagement.id)
        assert (proven.access_verified_at, proven.revoked_verified_at) == (NOON, NOON)


def test_a_login_is_reserved_for_ever_whatever_its_case(database: Database) -> None:
    with database.transaction("acme") as tx:
        ada = an_engagement(tx, "WO-1").worker.id
        namesake = an_engagement(tx, "WO-2").worker.id
        assert identities.reserve_login(tx, ada, ["ada.lovelace"]) == "ada.lovelace"
        assert identities.reserve_login(tx, ada, ["another"]) == "ada.lovelace"
        assert identities.reserve_login(tx, namesake, ["Ada.Lovelace", "ada.lovelace2"]) == "ada.lovelace2"
        with pytest.raises(Refused, match="taken"):
            identities.reserve_login(tx, an_engagement(tx, "WO-3").worker.id, ["ada.lovelace"])


def test_a_link_is_one_to_one(database: Database) -> None:
    ours, other = uuid7(), uuid7()
    with database.transaction("acme") as tx:
        identities.link(tx, "entra", "account", ours, "e-1")
        identities.link(tx, "entra", "account", ours, "e-1")
        assert identities.external_id(tx, "entra", "account", ours) == "e-1"
        assert identities.by_external(tx, "entra", "account", "e-1") == ours
        for internal_id, external_id in ((ours, "e-2"), (other, "e-1")):
            with pytest.raises(AlreadyTaken):
                identities.link(tx, "entra", "account", internal_id, external_id)


def test_a_source_record_and_a_cursor_keep_the_newest(database: Database) -> None:
    with database.transaction("acme") as tx:
        assert sources.remember(tx, "fieldglass", SourceRecord("WO-1", "2", {"Status": "Activated"}))
        assert not sources.remember(tx, "fieldglass", SourceRecord("WO-1", "1", {"Status": "Accepted"}))
        latest = sources.latest(tx, "fieldglass", "WO-1")
        assert latest is not None
        assert latest[0] == SourceRecord("WO-1", "2", {"Status": "Activated"})
        assert sources.list_latest(tx, "fieldglass") == [latest[0]]
        assert sources.cursor(tx, "fieldglass") is None
        sources.set_cursor(tx, "fieldglass", "a")
        sources.set_cursor(tx, "fieldglass", "b")
        assert sources.cursor(tx, "fieldglass") == "b"


def test_failures_are_one_open_line_per_subject_and_cause(database: Database) -> None:
    with database.transaction("acme") as tx:
        engagement = an_engagement(tx)
        first = failures.park(tx, cause="unknown_role", message="role: none", engagement_id=engagement.id)
        assert failures.park(tx, cause="unknown_role", message="role: none yet", engagement_id=engagement.id).count == 2
        failures.park(tx, cause="throttled", message="later", engagement_id=engagement.id)
        assert failures.has_open(tx, engagement.id)
        assert failures.close(tx, first.id, HUB).closed_by == HUB.id
        assert failures.close_all(tx, engagement.id, HUB) == 1
        assert not failures.has_open(tx, engagement.id)
        assert failures.park(tx, cause="unknown_role", message="again", engagement_id=engagement.id).id != first.id


def test_a_subject_that_is_fine_now_leaves_the_list_and_no_other_does(database: Database) -> None:
    with database.transaction("acme") as tx:
        for cause in ("invalid_record", "unknown_zone"):
            failures.park(tx, cause=cause, message="rate: missing", subject="fieldglass:WO-1")
        other = failures.park(tx, cause="invalid_record", message="rate: missing", subject="fieldglass:WO-10")
        assert failures.resolve(tx, "fieldglass:WO-1") == 2
        assert failures.resolve(tx, "fieldglass:WO-1") == 0
        assert failures.list_open(tx) == [other]
    with database.transaction("acme") as tx:
        closed = [entry.event["actor"]["id"] for entry in audit.entries(tx, action="failure.closed")]
        assert closed == [HUB.id, HUB.id]


def test_a_failure_tells_whether_it_is_about_an_event_an_engagement_or_only_a_subject(database: Database) -> None:
    with database.transaction("acme") as tx:
        engagement = an_engagement(tx)
        delivery = SourceEvent(external_id="evt-1", kind="envelope-completed", subject_id="env-1")
        event_id = inbox.receive(tx, source="docusign", event=delivery, body=b"{}").event_id
        parked = [
            failures.park(tx, cause="test", message="x", event_id=event_id, engagement_id=engagement.id),
            failures.park(tx, cause="test", message="x", engagement_id=engagement.id, subject=f"joiner:{engagement.id}"),
            failures.park(tx, cause="test", message="x", subject="fieldglass:WO-1"),
        ]
        assert [failures.get(tx, failure.id).about for failure in parked] == [About.EVENT, About.ENGAGEMENT, About.SUBJECT]


def test_a_failure_whose_engagement_becomes_known_later_is_about_it(database: Database) -> None:
    with database.transaction("acme") as tx:
        engagement = an_engagement(tx)
        failures.park(tx, cause="test", message="x", subject="fieldglass:WO-1")
        failures.park(tx, cause="test", message="x", subject="fieldglass:WO-1", engagement_id=engagement.id)
        again = failures.park(tx, cause="test", message="x", subject="fieldglass:WO-1")
        assert (again.count, again.about, again.engagement_id) == (3, About.ENGAGEMENT, engagement.id)


def test_a_tax_id_opens_for_its_worker_is_found_by_its_hash_and_is_gone_once_shredded(database: Database) -> None:
    vault = TaxIdVault(b"m" * 32, b"l" * 32)
    with database.transaction("acme") as tx:
        ada, namesake = an_engagement(tx, "WO-1").worker.id, an_engagement(tx, "WO-2").worker.id
        vault.seal(tx, ada, "123-45-6789")
        vault.seal(tx, namesake, "987-65-4321")
        assert vault.open(tx, ada) == "123-45-6789"
        assert vault.find(tx, "123456789") == ada
        assert vault.find(tx, "000000000") is None
        with pytest.raises(Misconfigured, match="key file"):
            TaxIdVault(b"x" * 32, b"l" * 32).open(tx, ada)
        swapped = (
            "UPDATE tax_ids SET ciphertext = (SELECT ciphertext FROM tax_ids WHERE worker_id = %(a)s) WHERE worker_id = %(b)s"
        )
        tx.execute(swapped, a=ada, b=namesake)
        with pytest.raises(Misconfigured):
            vault.open(tx, namesake)
        assert vault.shred(tx, ada)
        assert not vault.shred(tx, ada)
        assert vault.find(tx, "123-45-6789") is None
        with pytest.raises(NotFound):
            vault.open(tx, ada)


def test_no_table_holds_a_sealed_tax_id_in_the_clear(dsn: str, database: Database) -> None:
    with database.transaction("acme") as tx:
        TaxIdVault(b"m" * 32, b"l" * 32).seal(tx, an_engagement(tx).worker.id, "555-44-3333")
    clear = re.compile("555.?44.?3333|" + b"555-44-3333".hex())
    with psycopg.connect(dsn) as owner:
        tables = owner.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            rows = owner.execute(sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table))).fetchall()
            assert not [row for row in rows if clear.search(str(row))], table
