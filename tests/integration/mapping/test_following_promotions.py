"""Promotions while others are at work: two people at once, a poll in between, an ending, a worker that dies, another decision."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from cli.replay import replay
from flows.feeds.intake import Intake
from flows.feeds.polling import poll_vms
from flows.handlers import Handlers
from flows.mapping.following import follow, follow_promotions
from flows.mapping.promotion import Promoting, touched
from flows.mapping.rehearsal import Rehearsing
from flows.mapping.versions import Versions
from flows.prefect_runs import PrefectRuns
from ledger import documents, engagements, failures
from ledger.mapping import promotions
from ledger.queueing.jobs import JobName
from ledger.queueing.queue import Lane, RunningJob
from provisioning.fakes import SettableClock
from tests.integration.company import NOBODY
from tests.integration.installed import TENANT, Installed
from tests.integration.promoting import (
    ADA,
    BOB,
    HRIS,
    PAYROLL,
    SOURCE,
    UNIT_IS_SITE,
    migrations,
    pin,
    run,
    run_migrations,
    with_version,
)
from workforce.engagement import Engagement
from workforce.errors import HubError, Misconfigured, Refused, RetryLater
from workforce.events import HUB
from workforce.versions import Running

pytestmark = pytest.mark.integration

TITLE = {"jobTitle": {"value": "Contractor"}}


def at_once(*acts: Callable[[], object]) -> list[HubError]:
    """Run ``acts`` at the same time; what those that failed raised."""
    gate, raised = threading.Barrier(len(acts)), list[HubError]()

    def go(act: Callable[[], object]) -> None:
        gate.wait()
        try:
            act()
        except HubError as error:
            raised.append(error)

    threads = [threading.Thread(target=go, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def promoted(installed: Installed, mapping_id: str) -> list[str]:
    with installed.hub.database.transaction(TENANT) as tx:
        return [line.version for line in promotions.history(tx, mapping_id)]


def terms_unit(installed: Installed, engagement: Engagement) -> str:
    with installed.hub.database.transaction(TENANT) as tx:
        return engagements.get(tx, engagement.id).terms.client_unit


def test_of_two_people_who_promote_the_same_version_at_once_one_is_told_so(installed: Installed) -> None:
    installed.joined()
    lead = with_version(installed, HRIS, TITLE)
    raised = at_once(
        lambda: lead.promote(HRIS, "t0001", reason="one title", running=Running.PIN),
        lambda: replace(lead, actor=BOB).promote(HRIS, "t0001", reason="one title", running=Running.PIN),
    )
    assert [error.cause for error in raised] == ["in_force_already"]
    assert promoted(installed, HRIS) == ["t0001", "v0001"]


def test_documents_that_are_applied_while_a_version_is_promoted_cannot_change_it(installed: Installed) -> None:
    installed.joined()
    lead = with_version(installed, HRIS, TITLE)
    applied, go_on = threading.Event(), threading.Event()

    def apply() -> None:
        with installed.hub.database.transaction(TENANT) as tx:
            files = dict(documents.current(tx).files)
            documents.lock(tx)
            applied.set()
            go_on.wait(5)
            path = f"mappings/{HRIS}/t0001.yaml"
            documents.apply(tx, {**files, path: files[path].replace("Contractor", "Consultant")}, HUB)

    applying = threading.Thread(target=apply)
    applying.start()
    applied.wait(5)
    promoting = threading.Thread(target=lambda: lead.promote(HRIS, "t0001", reason="one title", running=Running.PIN))
    promoting.start()
    go_on.set()
    applying.join()
    promoting.join()
    with installed.hub.database.transaction(TENANT) as tx:
        now = promotions.current(tx, HRIS, Versions(installed.hub, TENANT).today)
    assert now is not None
    assert now.sha256 == installed.hub.tenant(TENANT).mappings.get(HRIS, "t0001").content_sha256


def test_a_record_that_was_mapped_before_a_promotion_is_mapped_again(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    intake = Intake(installed.hub, TENANT, "fieldglass")
    installed.world.fieldglass.change(engagement.terms.vms_id, Site="Berlin")
    record = intake.source().read(engagement.terms.vms_id)
    fresh = intake.source().read(installed.world.order(**{"Worker Last Name": "Hopper"}))
    taken, taken_fresh = intake.take(record), intake.take(fresh)
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.DRAIN)
    for one, by in ((record, taken), (fresh, taken_fresh)):
        with pytest.raises(RetryLater), installed.hub.database.transaction(TENANT) as tx:
            intake.store(tx, one, by)
    poll_vms(installed.hub, TENANT)
    assert (pin(installed, engagement, SOURCE), terms_unit(installed, engagement)) == ("t0001", "Berlin")


def test_a_record_that_was_mapped_before_its_engagement_moved_takes_nothing_back(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    intake = Intake(installed.hub, TENANT, "fieldglass")
    installed.world.fieldglass.change(engagement.terms.vms_id, Role="Data Scientist")
    record = intake.source().read(engagement.terms.vms_id)
    taken = intake.take(record)
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.MIGRATE)
    for args in migrations(installed):
        run(installed, args)
    with pytest.raises(RetryLater), installed.hub.database.transaction(TENANT) as tx:
        intake.store(tx, record, taken)
    assert pin(installed, engagement, SOURCE) == "t0001"


def test_whoever_starts_while_a_version_is_promoted_is_seen_by_the_promotion_or_sees_it(installed: Installed) -> None:
    first = installed.joined()
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    intake = Intake(installed.hub, TENANT, "fieldglass")
    record = intake.source().read(installed.world.order(**{"Worker Last Name": "Hopper"}))
    taken = intake.take(record)
    stored, go_on = threading.Event(), threading.Event()

    def store() -> None:
        with installed.hub.database.transaction(TENANT) as tx:
            intake.store(tx, record, taken)
            stored.set()
            go_on.wait(5)

    storing = threading.Thread(target=store)
    storing.start()
    stored.wait(5)
    promoting = threading.Thread(target=lambda: lead.promote(SOURCE, "t0001", reason="sites", running=Running.MIGRATE))
    promoting.start()
    promoting.join(0.3)
    assert promoting.is_alive(), "it waits for whoever starts by the version before"
    go_on.set()
    storing.join()
    promoting.join()
    with installed.hub.database.transaction(TENANT) as tx:
        second = engagements.by_vms_id(tx, "fieldglass", record.external_id)
    assert second is not None
    assert {UUID(args["engagement_id"]) for args in migrations(installed)} == {first.id, second.id}


def test_a_migration_that_another_decision_overtook_moves_nobody(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, HRIS, TITLE)
    with_version(installed, HRIS, {"jobTitle": {"value": "Consultant"}}, version=2)
    lead.promote(HRIS, "t0001", reason="one title", running=Running.MIGRATE)
    run_migrations(installed)
    lead.promote(HRIS, "t0002", reason="another title", running=Running.MIGRATE)
    waiting = migrations(installed)
    lead.roll_back(HRIS, "v0001", reason="new ones only", running=Running.PIN)
    for args in waiting:
        run(installed, args)
    assert waiting
    assert pin(installed, engagement, HRIS) == "t0001"


def test_nobody_is_moved_once_the_ending_has_begun(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.MIGRATE)
    (args,) = migrations(installed)
    with installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, engagement.id, "test")
    installed.waiting(JobName.JOINER)
    run(installed, args)
    assert pin(installed, engagement, SOURCE) == "v0001"
    assert installed.waiting(JobName.JOINER) == []
    with pytest.raises(Refused, match="keeps its version"):
        lead.migrate(SOURCE, engagement.id)


def test_a_migration_that_a_dying_worker_left_is_done_again_as_a_whole(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.MIGRATE)
    (args,) = migrations(installed)
    installed.waiting(JobName.JOINER)
    run(installed, args)
    assert [job["engagement_id"] for job in installed.waiting(JobName.JOINER)] == [str(engagement.id)]
    run(installed, args)  # the lease ran out before the first attempt told its end
    assert pin(installed, engagement, SOURCE) == "t0001"
    assert terms_unit(installed, engagement) == engagement.terms.location


def test_two_mappings_that_move_one_engagement_do_not_get_in_each_others_way(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, HRIS, TITLE)
    with_version(installed, PAYROLL, {})
    for mapping_id in (HRIS, PAYROLL):
        lead.promote(mapping_id, "t0001", reason="a test", running=Running.MIGRATE)
    moved = migrations(installed)
    for args in moved:
        run(installed, args)
    assert len(moved) == 2
    assert (pin(installed, engagement, HRIS), pin(installed, engagement, PAYROLL)) == ("t0001", "t0001")


def test_many_workers_begin_to_follow_a_promotion_once(installed: Installed) -> None:
    installed.joined()
    tomorrow = Versions(installed.hub, TENANT).today + timedelta(days=1)
    lead = with_version(installed, HRIS, TITLE, effective_from=tomorrow)
    lead.promote(HRIS, "t0001", reason="from tomorrow", running=Running.MIGRATE)
    installed.hub.clock = SettableClock(datetime.now(UTC) + timedelta(days=1, minutes=1))

    def tick() -> None:
        with installed.hub.database.transaction(TENANT) as tx:
            follow_promotions(installed.hub, tx)

    assert at_once(*[tick] * 4) == []
    assert len(installed.waiting(JobName.FOLLOW)) == 1


def test_engagements_follow_a_few_at_a_time_and_a_poll_comes_in_between(
    installed: Installed,
) -> None:
    joined = [installed.signed() for _ in range(3)]
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.MIGRATE)
    (first,) = installed.waiting(JobName.FOLLOW)
    assert follow(installed.hub, TENANT, UUID(first["promotion_id"]), at_a_time=2) == 2
    (second,) = installed.waiting(JobName.FOLLOW)
    assert follow(installed.hub, TENANT, UUID(second["promotion_id"]), UUID(second["after"]), at_a_time=2) == 1
    assert installed.waiting(JobName.FOLLOW) == []
    assert {args["engagement_id"] for args in installed.waiting(JobName.MIGRATE)} == {str(each.id) for each in joined}


def test_a_pinned_engagement_can_be_moved_later_without_a_new_version(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, HRIS, TITLE)
    lead.promote(HRIS, "t0001", reason="new ones first", running=Running.PIN)
    with pytest.raises(Refused, match="in force already"):
        lead.promote(HRIS, "t0001", reason="again", running=Running.PIN)
    lead.promote(HRIS, "t0001", reason="and now everybody", running=Running.MIGRATE)
    assert run_migrations(installed) == [str(engagement.id)]
    assert pin(installed, engagement, HRIS) == "t0001"


def test_a_promotion_for_a_later_day_can_be_taken_back_before_that_day(installed: Installed) -> None:
    engagement = installed.joined()
    tomorrow = Versions(installed.hub, TENANT).today + timedelta(days=1)
    lead = with_version(installed, HRIS, TITLE, effective_from=tomorrow)
    lead.promote(HRIS, "t0001", reason="from tomorrow", running=Running.MIGRATE)
    with pytest.raises(Refused, match="in force already, from"):
        lead.promote(HRIS, "t0001", reason="again", running=Running.MIGRATE)
    assert lead.roll_back(HRIS, None, reason="not yet", running=Running.PIN).version == "v0001"
    installed.hub.clock = SettableClock(datetime.now(UTC) + timedelta(days=2))
    with installed.hub.database.transaction(TENANT) as tx:
        follow_promotions(installed.hub, tx)
    assert run_migrations(installed) == []
    assert pin(installed, installed.signed(), SOURCE) == "v0001"
    assert pin(installed, engagement, HRIS) == "v0001"


def test_the_last_decision_counts_also_over_one_for_a_later_day(installed: Installed) -> None:
    installed.joined()
    today = Versions(installed.hub, TENANT).today
    lead = with_version(installed, HRIS, TITLE, effective_from=today + timedelta(days=2))
    with_version(installed, HRIS, {"jobTitle": {"value": "Consultant"}}, version=2)
    lead.promote(HRIS, "t0001", reason="the day after tomorrow", running=Running.PIN)
    lead.promote(HRIS, "t0002", reason="sooner", running=Running.PIN)
    with installed.hub.database.transaction(TENANT) as tx:
        for days in (0, 2, 3):
            now = promotions.current(tx, HRIS, today + timedelta(days=days))
            assert now is not None
            assert now.version == "t0002"
        assert promotions.coming(tx, HRIS, today) == []


@pytest.mark.parametrize(("zone", "counts"), [("Pacific/Kiritimati", True), ("Pacific/Pago_Pago", False)])
def test_a_business_date_is_the_tenants_own_day(installed: Installed, zone: str, counts: bool) -> None:
    installed.apply(calendar={"time_zone": zone})
    installed.joined()
    installed.hub.clock = SettableClock(datetime(2026, 12, 31, 12, tzinfo=UTC))  # the new year, where it begins first
    lead = with_version(installed, HRIS, TITLE, effective_from="2027-01-01")
    lead.promote(HRIS, "t0001", reason="from the new year on", running=Running.MIGRATE)
    assert bool(migrations(installed)) is counts


def test_an_outgoing_mapping_drains_with_the_next_change_at_the_source(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, HRIS, TITLE)
    lead.promote(HRIS, "t0001", reason="one title", running=Running.DRAIN)
    installed.join(engagement)
    assert pin(installed, engagement, HRIS) == "v0001"
    installed.change(engagement, Site="Munich")
    assert pin(installed, engagement, HRIS) == "t0001"
    installed.join(engagement)
    assert installed.employee(engagement)["jobTitle"] == "Contractor"


def test_a_mapping_of_ones_own_can_be_put_in_force_although_the_library_has_none(installed: Installed) -> None:
    mapping_id = "homegrown__agreement"
    content = {
        "mapping": mapping_id, "version": 1, "effective_from": "2026-01-01", "because": "a test",
        "fields": {
            "envelope_id": {"from": "id", "required": True},
            "vms_id": {"from": "order", "required": True},
            "status": {"from": "status", "required": True},
        },
    }  # fmt: skip
    examples = {"examples": [{"name": "an empty record", "source": {}, "refuses": ["id"]}]}
    installed.apply_files({f"mappings/{mapping_id}/t0001.yaml": content, f"mappings/{mapping_id}/t0001.examples.yaml": examples})
    lead = Promoting(installed.hub, TENANT, ADA)
    assert lead.promote(mapping_id, "t0001", reason="ours", running=Running.PIN).version == "t0001"
    assert touched(installed.hub, TENANT, mapping_id).systems == ()


def test_approval_looks_at_the_version_again(installed: Installed) -> None:
    installed.apply(mappings={"second_person": True})
    installed.joined()
    lead = with_version(installed, HRIS, TITLE)
    lead.promote(HRIS, "t0001", reason="one title", running=Running.PIN)
    with_version(installed, HRIS, {"jobTitle": {"value": "Consultant"}})
    with pytest.raises(Misconfigured, match="changed since it was proposed"):
        replace(lead, actor=BOB).approve(HRIS)


def test_engagements_from_before_versions_were_kept_are_mapped_again_too(installed: Installed) -> None:
    engagement = installed.joined()
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE engagements SET source_lineage = NULL")
    lead = with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.MIGRATE)
    run_migrations(installed)
    assert terms_unit(installed, engagement) == engagement.terms.location


def test_a_migration_that_waits_for_a_person_is_tried_again_as_a_migration(installed: Installed) -> None:
    engagement = installed.joined()
    table = {"from": "Role", "lookup": {"table": {"Tester": "QA"}}, "required": True}
    lead = with_version(installed, SOURCE, {"terms.role": table})
    lead.promote(SOURCE, "t0001", reason="because", running=Running.MIGRATE)
    (args,) = migrations(installed)
    handlers = Handlers(installed.hub, PrefectRuns(NOBODY))
    job = RunningJob(1, JobName.MIGRATE, TENANT, Lane.BULK, 1, args)
    with pytest.raises(Refused) as refusal:
        handlers.migrate(job)
    handlers.failed(job, refusal.value)
    with installed.hub.database.transaction(TENANT) as tx:
        (line,) = failures.list_open(tx, engagement_id=engagement.id)
    assert line.subject == f"migrate:{engagement.id}:{args['promotion_id']}"
    installed.waiting(JobName.JOINER)
    replay(installed.hub, TENANT, line.id)
    assert installed.waiting(JobName.MIGRATE) == [args]
    assert installed.waiting(JobName.JOINER) == []


def test_looking_keeps_no_version_for_good(installed: Installed) -> None:
    looking = Versions(installed.hub, TENANT, looks_only=True)
    with installed.hub.database.transaction(TENANT) as tx:
        assert looking.current(tx, HRIS).version == "v0001"
    Rehearsing(installed.hub, TENANT, "docusign__agreement", "v0001").run()
    assert promoted(installed, HRIS) == promoted(installed, "docusign__agreement") == []


def test_a_worker_has_the_next_engagements_follow_and_moves_each(installed: Installed) -> None:
    engagement = installed.joined()
    lead = with_version(installed, HRIS, TITLE)
    lead.promote(HRIS, "t0001", reason="one title", running=Running.MIGRATE)
    handlers = Handlers(installed.hub, PrefectRuns(NOBODY)).by_name()
    for name in (JobName.FOLLOW, JobName.MIGRATE):
        (args,) = installed.waiting(name)
        handlers[name](RunningJob(1, name, TENANT, Lane.BULK, 1, args))
    assert pin(installed, engagement, HRIS) == "t0001"
    assert [args["engagement_id"] for args in installed.waiting(JobName.JOINER)] == [str(engagement.id)]


def test_a_pilot_moves_one_engagement_and_leaves_the_others(installed: Installed) -> None:
    first, second = installed.joined(), installed.joined()
    lead = with_version(installed, HRIS, TITLE)
    lead.promote(HRIS, "t0001", reason="new ones", running=Running.PIN)
    lead.migrate(HRIS, first.id)
    assert run_migrations(installed) == [str(first.id)]
    assert (pin(installed, first, HRIS), pin(installed, second, HRIS)) == ("t0001", "v0001")
    with pytest.raises(Refused, match="follows t0001 already"):
        lead.migrate(HRIS, first.id)
