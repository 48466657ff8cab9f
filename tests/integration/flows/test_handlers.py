"""What a worker makes of each job on the real ledger, with systems that answer, that are away and that are wrongly set up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import Flow
from prefect.client.schemas.objects import FlowRun

from cli.replay import replay
from config.hub import Hub
from flows.feeds.polling import poll_events
from flows.feeds.projection import project
from flows.handlers import PARKED_REVOCATION_SECONDS
from flows.prefect_runs import PrefectRuns
from ledger import engagements, failures
from ledger.intake import inbox, sources
from ledger.queueing import queue
from ledger.queueing.jobs import JobName, defer_joiner
from ledger.queueing.queue import JobState, Lane, RunningJob, Worker
from ledger.writing import effect_history
from provisioning.fakes import SettableClock
from tests.integration.company import NOBODY, Company
from tests.integration.ledger_cases import a_work_order, stored_engagement
from workforce.engagement import Engagement
from workforce.errors import Fenced, HubError, Misconfigured, NotFound, Refused, RetryLater
from workforce.events import SourceEvent
from workforce.ports import EventPage
from workforce.states import EngagementState, EventState

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 30.0


class PrefectThatIsUp(PrefectRuns):
    """Answers that it is up; when a run is to begin, ``meanwhile`` happens, and the run finds itself fenced."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        super().__init__(NOBODY)
        self._meanwhile = meanwhile

    def is_up(self) -> bool:
        return True

    def create(self, flow: Flow[..., Any], **_: Any) -> FlowRun:
        self._meanwhile()
        raise Fenced(f"{flow.name}: somebody else took over")


def job_of(name: JobName, engagement: Engagement | None = None, **args: str) -> RunningJob:
    about = {"engagement_id": str(engagement.id)} if engagement else {}
    return RunningJob(7, name, "acme", Lane.REVOKE if name is JobName.LEAVER else Lane.SYNC, 1, {**about, **args})


# Joiner


def test_a_joiner_that_waits_for_prefect_makes_room_for_a_fresh_job_and_uses_up_no_attempt(company: Company) -> None:
    engagement, began = stored_engagement(company.database), datetime.now(UTC)
    company.handlers().joiner(job_of(JobName.JOINER, engagement))
    (job,) = company.jobs()
    assert (job["name"], job["args"], job["attempts"]) == ("joiner", {"engagement_id": str(engagement.id)}, 0)
    assert job["not_before"] > began
    assert company.engagement(engagement.id).epoch == engagement.epoch


def test_in_a_worker_the_job_that_waited_is_done_and_the_next_one_waits(company: Company) -> None:
    engagement, handlers, stop = stored_engagement(company.database), company.handlers(), threading.Event()
    with company.database.transaction("acme") as tx:
        defer_joiner(tx, engagement.id)
    thread = threading.Thread(target=Worker(company.database, handlers.by_name(), on_failed=handlers.failed).run, args=(stop,))
    thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not company.jobs(JobState.SUCCEEDED) and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    thread.join(PATIENCE_SECONDS)
    assert company.jobs(JobState.SUCCEEDED)[0]["attempts"] == 1
    assert [(job["name"], job["attempts"]) for job in company.jobs()] == [("joiner", 0)]
    assert company.failures() == []


def test_a_joiner_for_an_engagement_that_is_ending_has_the_leaver_look_once_more(company: Company) -> None:
    engagement = company.ending()
    with pytest.raises(Fenced) as raised:
        company.handlers(PrefectThatIsUp()).joiner(job_of(JobName.JOINER, engagement))
    assert raised.value.cause == "tombstoned"
    assert company.waiting() == [("leaver", {"engagement_id": str(engagement.id)})]
    assert company.jobs()[0]["lane"] == Lane.REVOKE


def test_a_joiner_that_is_overtaken_by_the_ending_has_the_leaver_look_once_more(company: Company) -> None:
    engagement = stored_engagement(company.database)
    with pytest.raises(Fenced):
        company.handlers(PrefectThatIsUp(lambda: _end(company, engagement))).joiner(job_of(JobName.JOINER, engagement))
    assert company.waiting() == [("leaver", {"engagement_id": str(engagement.id)})]


def test_a_joiner_that_is_overtaken_by_another_runner_just_stops(company: Company) -> None:
    engagement = stored_engagement(company.database)
    with pytest.raises(Fenced):
        company.handlers(PrefectThatIsUp(lambda: _take_over(company, engagement))).joiner(job_of(JobName.JOINER, engagement))
    assert company.waiting() == []
    assert company.failures() == []
    assert company.engagement(engagement.id).state is EngagementState.REQUESTED


def _end(company: Company, engagement: Engagement) -> None:
    company.end(engagement.id)


def _take_over(company: Company, engagement: Engagement) -> None:
    with company.database.transaction("acme") as tx:
        engagements.claim(tx, engagement.id, runner="joiner-8.1", grants=True)


# Leaver


def test_a_leaver_for_an_engagement_that_is_not_ending_does_nothing_and_fences_nobody(company: Company) -> None:
    engagement = stored_engagement(company.database, active=True)
    company.handlers().leaver(job_of(JobName.LEAVER, engagement))
    assert company.engagement(engagement.id) == engagement
    assert (company.waiting(), company.failures()) == ([], [])


def test_a_leaver_whose_directories_are_away_comes_again_and_is_never_parked(company: Company) -> None:
    engagement = company.ending()
    with pytest.raises(RetryLater):
        company.handlers().leaver(job_of(JobName.LEAVER, engagement))
    assert company.failures() == []
    after = company.engagement(engagement.id)
    assert (after.state, after.revoked_verified_at) == (EngagementState.ENDING, None)
    with company.database.transaction("acme") as tx:
        assert effect_history.list_for(tx, engagement.id) == []


def misconfigured(company: Company, tmp_path: Path) -> None:
    """One directory only, whose file of authorities is gone."""
    company.content["tenant.yaml"]["systems"]["directories"] = ["entra"]
    company.content["access/software-engineer.yaml"]["directories"] = {"entra": {"groups": ["g"]}}
    company.content["connectors/entra.yaml"]["settings"]["ca_file"] = str(tmp_path / "gone.pem")


def test_a_leaver_that_a_person_has_to_help_is_shown_and_comes_again_all_the_same(company: Company, tmp_path: Path) -> None:
    misconfigured(company, tmp_path)
    engagement, handlers = company.ending(), company.handlers()
    for _ in range(2):
        with pytest.raises(RetryLater) as raised:
            handlers.leaver(job_of(JobName.LEAVER, engagement))
        assert (raised.value.cause, raised.value.after_seconds) == ("misconfigured", PARKED_REVOCATION_SECONDS)
    (failure,) = company.failures()
    assert (failure.cause, failure.field, failure.count) == ("misconfigured", "ca_file", 2)
    assert (failure.subject, failure.engagement_id) == (f"leaver:{engagement.id}", engagement.id)
    assert "gone.pem" in failure.message


def test_a_leaver_whose_companys_documents_are_faulty_is_shown_and_comes_again(company: Company) -> None:
    engagement, handlers = company.ending(), company.handlers()
    (company.folder / "secrets" / "ldap-bind_password").unlink()
    with pytest.raises(RetryLater):
        handlers.leaver(job_of(JobName.LEAVER, engagement))
    (failure,) = company.failures()
    assert (failure.cause, failure.subject) == ("faulty_instance", f"leaver:{engagement.id}")
    assert "settings.bind_password" in failure.message


def test_one_systems_missing_secret_does_not_stop_a_revocation_in_the_others(company: Company) -> None:
    handlers = company.handlers()
    (company.folder / "secrets" / "gusto-access_token").unlink()
    config = handlers.hub.tenant("acme")
    assert config.instance("entra").directory()
    with pytest.raises(Misconfigured, match="gusto-access_token"):
        config.instance("gusto")


# What is parked


@pytest.mark.parametrize(
    ("error", "cause", "text", "about"),
    [
        (Refused("Role: unknown", cause="unknown_role", field="role"), "unknown_role", "Role: unknown", "role"),
        (Misconfigured("mend it", field="ca_file"), "misconfigured", "mend it", "ca_file"),
        (ZeroDivisionError("a secret perhaps"), "defect", "a defect stopped the job (ZeroDivisionError)", None),
    ],
)
def test_a_job_of_an_engagement_is_parked_with_its_cause_and_field(
    company: Company, error: Exception, cause: str, text: str, about: str | None
) -> None:
    engagement = stored_engagement(company.database)
    company.handlers().failed(job_of(JobName.JOINER, engagement), error)
    (failure,) = company.failures()
    assert (failure.cause, failure.field, failure.engagement_id) == (cause, about, engagement.id)
    assert failure.subject == f"joiner:{engagement.id}"
    assert failure.message.startswith(text)
    assert "secret" not in failure.message


def test_a_job_of_an_event_parks_the_event(company: Company) -> None:
    event_id = company.signed("ACMEWO1")
    company.handlers().failed(job_of(JobName.PROJECT, event_id=str(event_id)), Refused("no", cause="bad", field="Role"))
    (failure,) = company.failures()
    assert (failure.subject, failure.event_id, failure.cause, failure.field) == (f"event:{event_id}", event_id, "bad", "Role")
    event = company.event(event_id)
    assert (event.state, event.cause, event.message) == (EventState.PARKED, "bad", "no")


def test_a_poll_that_cannot_go_on_is_parked_as_the_poll(company: Company) -> None:
    company.handlers().failed(job_of(JobName.POLL), Misconfigured("mend it", cause="credentials", field="client_secret"))
    (failure,) = company.failures()
    assert (failure.subject, failure.cause, failure.field) == ("poll", "credentials", "client_secret")
    assert (failure.event_id, failure.engagement_id) == (None, None)


# Projection


def test_a_signed_agreement_becomes_an_engagement_and_has_the_joiner_run(company: Company) -> None:
    order = company.fieldglass.add_work_order(Role="Software Engineer")
    event_id = company.signed(order)
    company.handlers().project(job_of(JobName.PROJECT, event_id=str(event_id)))
    event = company.event(event_id)
    assert event.state is EventState.SETTLED
    assert event.engagement_id is not None
    assert company.engagement(event.engagement_id).terms.vms_id == order
    assert company.waiting() == [("joiner", {"engagement_id": str(event.engagement_id)})]


def test_a_hint_that_tells_nothing_new_starts_nothing(company: Company) -> None:
    order = company.fieldglass.add_work_order(Role="Software Engineer")
    first = company.signed(order)
    company.handlers().project(job_of(JobName.PROJECT, event_id=str(first)))
    with company.database.system() as tx:
        tx.execute("DELETE FROM procrastinate_jobs")
    again = company.received(SourceEvent("the same, told by a poll", "envelope-completed", company.event(first).subject_id))
    company.handlers().project(job_of(JobName.PROJECT, event_id=str(again)))
    assert (company.event(again).state, company.waiting()) == (EventState.SETTLED, [])


def test_an_event_that_starts_no_process_is_settled(company: Company) -> None:
    event_id = company.received(SourceEvent("delivery-1", "envelope-sent", "11111111-2222-3333-4444-555555555555"))
    company.handlers().project(job_of(JobName.PROJECT, event_id=str(event_id)))
    event = company.event(event_id)
    assert (event.state, event.engagement_id, company.waiting()) == (EventState.SETTLED, None, [])


def test_a_work_order_that_cannot_be_seen_yet_is_waited_for(company: Company) -> None:
    event_id = company.signed("ACMEWO99999999")
    with pytest.raises(RetryLater) as raised:
        project(company.hub(), "acme", event_id)
    assert raised.value.cause == "work_order_not_found"
    assert company.event(event_id).state is EventState.RECEIVED
    assert (company.waiting(), _known(company, "ACMEWO99999999")) == ([], None)


@pytest.mark.parametrize(
    ("columns", "about"),
    [
        ({"Time Zone": "Mars/Olympus"}, "time_zone"),
        ({"Start Date": "2027-03-01", "End Date": "2027-02-01"}, "ends_on"),
        ({"End Date": "soon"}, "End Date"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused_with_its_field_and_leaves_nothing_behind(
    company: Company, columns: dict[str, str], about: str
) -> None:
    order = company.fieldglass.add_work_order(Role="Software Engineer", **columns)
    event_id = company.signed(order)
    with pytest.raises(Refused) as raised:
        project(company.hub(), "acme", event_id)
    assert raised.value.field is not None
    assert about in raised.value.field
    assert (company.waiting(), _known(company, order)) == ([], None)
    assert company.event(event_id).state is EventState.RECEIVED


def _known(company: Company, vms_id: str) -> Engagement | None:
    with company.database.transaction("acme") as tx:
        return engagements.by_vms_id(tx, "fieldglass", vms_id)


# Replay


def parked(company: Company, job: RunningJob, error: HubError) -> tuple[Hub, UUID]:
    handlers = company.handlers()
    handlers.failed(job, error)
    (failure,) = company.failures()
    return handlers.hub, failure.id


def test_a_parked_event_is_projected_again(company: Company) -> None:
    event_id = company.signed("ACMEWO1")
    hub, failure_id = parked(company, job_of(JobName.PROJECT, event_id=str(event_id)), Refused("no"))
    assert replay(hub, "acme", failure_id) == f"event {event_id}"
    assert company.event(event_id).state is EventState.RECEIVED
    assert company.waiting() == [("project", {"event_id": str(event_id)})]
    assert company.failures() == []


def test_a_delivery_that_nobody_could_understand_cannot_be_replayed_and_stays_on_the_list(company: Company) -> None:
    with company.database.transaction("acme") as tx:
        inbox.receive_unusable(tx, "docusign", b"?", "unusable_content", "not JSON")
    (failure,) = company.failures()
    with pytest.raises(Refused, match="have its sender send it again"):
        replay(company.hub(), "acme", failure.id)
    assert [line.id for line in company.failures()] == [failure.id]


def test_a_parked_joiner_is_run_again(company: Company) -> None:
    engagement = stored_engagement(company.database)
    hub, failure_id = parked(company, job_of(JobName.JOINER, engagement), Refused("no"))
    assert replay(hub, "acme", failure_id) == f"engagement {engagement.id}"
    assert company.waiting() == [("joiner", {"engagement_id": str(engagement.id)})]
    assert company.failures() == []


@pytest.mark.parametrize("name", [JobName.JOINER, JobName.LEAVER])
def test_whatever_of_an_ending_engagement_was_parked_the_leaver_is_run(company: Company, name: JobName) -> None:
    engagement = company.ending()
    hub, failure_id = parked(company, job_of(name, engagement), Refused("no"))
    replay(hub, "acme", failure_id)
    assert company.waiting() == [("leaver", {"engagement_id": str(engagement.id)})]


def test_a_parked_record_of_the_feed_is_read_again_by_itself(company: Company) -> None:
    with company.database.transaction("acme") as tx:
        sources.set_cursor(tx, "fieldglass", "2026-11-20")
        failures.park(tx, cause="invalid", message="no", field="role", subject="fieldglass:ACMEWO1")
    (failure,) = company.failures()
    assert replay(company.hub(), "acme", failure.id) == "fieldglass:ACMEWO1"
    with company.database.transaction("acme") as tx:
        assert sources.cursor(tx, "fieldglass") == "2026-11-20"
    assert company.waiting() == [("take", {"external_id": "ACMEWO1"})]
    assert queue.depth(company.database)[Lane.BULK] == 1


def test_a_poll_that_was_parked_is_made_again(company: Company) -> None:
    with company.database.transaction("acme") as tx:
        failures.park(tx, cause="invalid", message="no", field="role", subject="poll")
    (failure,) = company.failures()
    assert replay(company.hub(), "acme", failure.id) == "poll"
    assert company.waiting() == [("poll", {})]


def test_a_failure_that_nobody_knows_says_where_to_look(company: Company) -> None:
    with pytest.raises(NotFound, match="see: stint failures list"):
        replay(company.hub(), "acme", UUID(int=7))


def test_a_poll_parks_what_it_cannot_use_and_takes_the_rest(company: Company) -> None:
    good = company.fieldglass.add_work_order(Role="Software Engineer")
    bad = company.fieldglass.add_work_order(Role="Software Engineer", **{"Time Zone": "Mars/Olympus"})
    company.handlers().poll(job_of(JobName.POLL))
    assert _known(company, good) is not None
    assert _known(company, bad) is None
    assert f"fieldglass:{bad}" in {failure.subject for failure in company.failures()}


def test_a_poll_that_brings_new_terms_for_granted_access_has_the_joiner_run(company: Company) -> None:
    order = company.fieldglass.add_work_order(Role="Software Engineer")
    with company.database.transaction("acme") as tx:
        engagement, _ = engagements.upsert_work_order(tx, "fieldglass", a_work_order(order), "2000-01-01")
        engagements.transition(tx, engagement.id, EngagementState.CLEARED)
    company.handlers().poll(job_of(JobName.POLL))
    assert ("joiner", {"engagement_id": str(engagement.id)}) in company.waiting()


# Events that no webhook brought


def backfill(company: Company) -> None:
    company.handlers().backfill(job_of(JobName.BACKFILL, instance="docusign"))


def test_a_signature_whose_webhook_was_lost_is_asked_for_and_told_once(company: Company) -> None:
    envelope = company.docusign.create_envelope("WO-LOST", "Ada Lovelace", "ada@mail.example")
    company.docusign.complete(envelope)
    for _ in range(2):
        backfill(company)
    with company.database.transaction("acme") as tx:
        stored = tx.all("SELECT event_id, kind FROM inbox WHERE subject_id = %(envelope)s", envelope=envelope)
    assert [row["kind"] for row in stored].count("envelope-completed") == 1
    deferred = {args["event_id"] for name, args in company.waiting() if name == "project"}
    assert {str(row["event_id"]) for row in stored} <= deferred


def test_what_was_signed_long_before_our_time_starts_nothing(company: Company) -> None:
    envelope = company.docusign.create_envelope("WO-OLD", "Ada Lovelace", "ada@mail.example")
    company.docusign.complete(envelope)
    handlers = company.handlers()
    company.hubs[-1].clock = SettableClock(datetime.now(UTC) + timedelta(days=2))
    handlers.backfill(job_of(JobName.BACKFILL, instance="docusign"))
    with company.database.transaction("acme") as tx:
        assert tx.all("SELECT 1 FROM inbox WHERE subject_id = %(envelope)s", envelope=envelope) == []
        assert sources.cursor(tx, "docusign") is not None


@dataclass
class Telling:
    """A system that tells these events, in one page."""

    events: list[SourceEvent]

    def missed(self, cursor: str | None) -> EventPage:
        del cursor
        return EventPage(self.events, "1")


def test_an_event_that_cannot_be_stored_waits_for_a_person_and_the_others_go_on(company: Company) -> None:
    hub, now = company.hub(), datetime.now(UTC)
    told = [SourceEvent(f"poll-{name!r}", "envelope-sent", name, now) for name in ("first", "nul\0", "last")]
    hub.tenant("acme").instance("docusign")._built["backfill"] = Telling(told)
    for fresh in (2, 0):
        assert poll_events(hub, "acme", "docusign") == fresh
    (failure,) = company.failures()
    assert failure.cause == "nul_character"


def test_a_backfill_that_cannot_go_on_is_parked_by_its_instance(company: Company) -> None:
    company.handlers().failed(job_of(JobName.BACKFILL, instance="docusign"), Misconfigured("no", cause="credentials"))
    (failure,) = company.failures()
    assert failure.subject == "backfill:docusign"
    assert replay(company.hub(), "acme", failure.id) == "backfill:docusign"
    assert ("backfill", {"instance": "docusign"}) in company.waiting()
    assert company.failures() == []
