"""What is particular to WorkMarket: refusals inside HTTP 200, parameters in the query, lists by offset, ends that touch no pay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.contract import Instance
from connectors.suite.operations import every_change
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind, serve
from connectors.suite.trial import Opened, an_instance
from connectors.wire.tls import make_loopback_tls
from connectors.workmarket import CONNECTOR
from connectors.workmarket.sandbox import WorkMarketSandbox
from connectors.workmarket.trial import TRIAL
from tests.contract.specs import VendorSpec
from workforce.errors import Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.ports import RecordSource

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"
ADA = {"title": "Data Engineer", "description": "Builds pipelines"}
TODAY = datetime.now(UTC)
SPEC = "interface-only/workmarket/employer-api.v1.interface.json"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[WorkMarketSandbox]]:
    with TRIAL.open(tmp_path) as running:
        yield running


@pytest.fixture
def instance(opened: Opened[WorkMarketSandbox]) -> Iterator[Instance]:
    with an_instance(CONNECTOR, opened.settings) as one:
        yield one


def test_the_parameters_of_a_post_travel_in_the_query_as_described(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    created = instance.sink().create(MARKER, {**ADA, "resource_id": [7, 8], "private_instructions": True, "client_id": None})
    spec = VendorSpec.load(SPEC)
    for exchange in opened.exchanges:
        spec.check(exchange)
        assert not exchange.request_body
    sent = opened.exchanges[-1]
    assert sent.query["title"] == f"Data Engineer [{MARKER}]"
    assert (sent.query["resource_id"], sent.query["private_instructions"], "client_id" in sent.query) == ("7,8", "true", False)
    assert created in opened.sandbox.assignments


def test_the_secrets_are_in_the_token_s_request_alone(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    instance.sink().create(MARKER, ADA)
    for exchange in opened.exchanges[1:]:
        assert opened.sandbox.secret not in f"{exchange.path} {exchange.query} {exchange.headers}"


def test_a_token_that_expired_inside_http_200_is_renewed_once(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    assignment = opened.sandbox.add_assignment()
    instance.source().read(assignment)
    opened.sandbox.expire_tokens()
    instance.sink().update(assignment, {"description": "new"})
    assert opened.sandbox.tokens_issued == 2
    assert opened.sandbox.effects.count("edit_assignment") == 1


def test_a_refusal_inside_http_200_is_a_refusal_and_quotes_nothing(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    assignment = opened.sandbox.add_assignment(status="sent")
    with an_instance(CONNECTOR, opened.settings, unassigned_statuses=[]) as wrong, pytest.raises(Refused) as raised:
        wrong.sink().end(assignment, ended_at=TODAY, ends_on=TODAY.date().isoformat())
    assert "assignment.invalid" in str(raised.value)
    assert "cannot be rescheduled" not in str(raised.value)
    with pytest.raises(NotFound):
        instance.source().read("999")


def test_wrong_secrets_are_a_fault_of_the_settings(opened: Opened[WorkMarketSandbox]) -> None:
    with an_instance(CONNECTOR, opened.settings, api_secret="canary") as wrong, pytest.raises(Misconfigured) as raised:
        wrong.source().changes(None)
    assert raised.value.field == "api_secret"
    assert "canary" not in str(raised.value)


def test_times_in_another_unit_stop_the_reading(opened: Opened[WorkMarketSandbox]) -> None:
    assignment = opened.sandbox.add_assignment()
    with an_instance(CONNECTOR, opened.settings, time_unit="seconds") as wrong:
        for read in (lambda: wrong.source().changes(None), lambda: wrong.sink().read(assignment)):
            with pytest.raises(Misconfigured) as raised:
                read()
            assert raised.value.field == "time_unit"


# Ends


def end(instance: Instance, assignment: str, at: datetime = TODAY) -> None:
    instance.sink().end(assignment, ended_at=at, ends_on=at.date().isoformat())


@pytest.mark.parametrize(
    ("status", "how", "effect"),
    [
        ("draft", "reschedule", "void_assignment"),
        ("sent", "cancel", "void_assignment"),
        ("active", "reschedule", "reschedule_assignment"),
        ("inprogress", "cancel", "cancel_assignment"),
        ("active", "complete", "complete_assignment"),
    ],
)
def test_the_status_decides_how_an_assignment_ends_and_only_once(
    opened: Opened[WorkMarketSandbox], status: str, how: str, effect: str
) -> None:
    assignment = opened.sandbox.add_assignment(status=status)
    with an_instance(CONNECTOR, opened.settings, end_assigned_with=how, cancellation_reason="buyer_cancelled") as instance:
        assert instance.sink().read(assignment).active
        for _ in range(2):
            end(instance, assignment)
        assert not instance.sink().read(assignment).active
    assert [entry.operation for entry in opened.sandbox.effects.entries] == [effect]


@pytest.mark.parametrize("status", ["paid", "void", "cancelled", "complete"])
def test_an_assignment_that_is_over_is_left_alone(opened: Opened[WorkMarketSandbox], instance: Instance, status: str) -> None:
    end(instance, opened.sandbox.add_assignment(status=status))
    assert opened.sandbox.effects.entries == []


def test_an_end_that_a_worker_has_to_agree_to_is_no_end_yet(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    opened.sandbox.worker_has_to_agree = True
    assignment = opened.sandbox.add_assignment()
    end(instance, assignment)
    assert instance.sink().read(assignment).active
    spec = VendorSpec.load(SPEC)
    for exchange in opened.exchanges:
        spec.check(exchange)


def test_an_end_before_the_start_moves_the_start_as_well(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    assignment = opened.sandbox.add_assignment()
    end(instance, assignment, TODAY - timedelta(days=30))
    fields = opened.sandbox.assignments[assignment]
    assert fields["scheduled_start"] == fields["scheduled_end"]


def test_the_end_is_a_day_at_the_place_of_work(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    at = int(datetime(2031, 4, 1, 3, 0, tzinfo=UTC).timestamp() * 1000)
    assignment = opened.sandbox.add_assignment(scheduled_end=at)
    assert instance.sink().read(assignment).ends_on == "2031-03-31"
    opened.sandbox.change(assignment, time_zone="Mars/Olympus")
    assert instance.sink().read(assignment).ends_on == "2031-04-01"


@pytest.mark.parametrize(
    ("name", "value"), [("resource_id", ["eve@acme.example"]), ("external_work_id", 7), ("template_id", "T1")]
)
def test_what_only_a_creation_takes_is_refused_by_name_and_nothing_is_sent(
    opened: Opened[WorkMarketSandbox], instance: Instance, name: str, value: object
) -> None:
    assignment = instance.sink().create(MARKER, {**ADA, "resource_id": ["ada@acme.example"]})
    with pytest.raises(Refused) as raised:
        instance.sink().update(assignment, {"description": "new", name: value})
    assert (raised.value.cause, raised.value.field) == ("not_amendable", name)
    assert [entry.operation for entry in opened.sandbox.effects.entries] == ["create_assignment"]


def test_the_worker_who_is_assigned_already_is_no_change(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    assignment = opened.sandbox.add_assignment(active_resource={"id": "4001", "email": "ada@acme.example"})
    for worker in ("ada@acme.example", "4001"):
        instance.sink().update(assignment, {"resource_id": [worker]})
    assert [exchange.method for exchange in opened.exchanges if exchange.path.endswith(("/edit", "/reschedule"))] == []


def test_the_days_of_a_mapping_move_the_schedule_of_an_assigned_one_in_its_own_zone(
    opened: Opened[WorkMarketSandbox], instance: Instance
) -> None:
    assignment = opened.sandbox.add_assignment()
    for _ in range(2):
        instance.sink().update(assignment, {"scheduled_end_date": "2039/03/31 11:59 PM"})
    held = opened.sandbox.assignments[assignment]["scheduled_end"]
    assert datetime.fromtimestamp(held / 1000, UTC) == datetime(2039, 4, 1, 3, 59, tzinfo=UTC)  # in New York's summer time
    instance.sink().update(assignment, {"scheduled_end_date": "2039/03/31 11:59 PM Asia/Tokyo"})
    held = opened.sandbox.assignments[assignment]["scheduled_end"]
    assert datetime.fromtimestamp(held / 1000, UTC) == datetime(2039, 3, 31, 14, 59, tzinfo=UTC)
    assert [entry.operation for entry in opened.sandbox.effects.entries] == ["reschedule_assignment"] * 2
    assert len([exchange for exchange in opened.exchanges if exchange.path.endswith("/reschedule")]) == 2
    spec = VendorSpec.load(SPEC)
    for exchange in opened.exchanges:
        spec.check(exchange)


@pytest.mark.parametrize("text", ["2039-03-31", "2039/13/31 11:59 PM", "2039/03/31 11:59 PM Nowhere/Land"])
def test_a_day_that_is_no_instant_is_refused_by_name(opened: Opened[WorkMarketSandbox], instance: Instance, text: str) -> None:
    assignment = opened.sandbox.add_assignment()
    with pytest.raises(Refused) as raised:
        instance.sink().update(assignment, {"scheduled_end_date": text})
    assert (raised.value.cause, raised.value.field) == ("no_instant", "scheduled_end_date")
    assert opened.sandbox.effects.entries == []


def test_a_new_end_is_a_reschedule_once_somebody_is_assigned(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    later = int((TODAY + timedelta(days=200)).timestamp() * 1000)
    for status, operations in (("draft", ["edit_assignment"]), ("active", ["edit_assignment", "reschedule_assignment"])):
        assignment = opened.sandbox.add_assignment(status=status)
        instance.sink().update(assignment, {"scheduled_end": later, "description": status})
        assert opened.sandbox.assignments[assignment]["scheduled_end"] == later
        done = [entry.operation for entry in opened.sandbox.effects.entries if entry.subject == assignment]
        assert done == operations


# Markers


def test_a_new_title_keeps_the_marker(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    sink = instance.sink()
    created = sink.create(MARKER, ADA)
    sink.update(created, {"title": "Architect"})
    assert opened.sandbox.assignments[created]["title"] == f"Architect [{MARKER}]"
    (found,) = sink.find(MARKER, ADA)
    assert (found.external_id, found.marker, found.values["title"]) == (created, MARKER, "Architect")


def test_only_the_very_marker_is_found_however_many_assignments_there_are(
    opened: Opened[WorkMarketSandbox], instance: Instance
) -> None:
    for number in range(70):
        opened.sandbox.add_assignment(title=f"Engineer [{MARKER}{number}]")
    opened.sandbox.add_assignment(title=f"About [{MARKER}] and more")
    assert instance.sink().find(MARKER, ADA) == []
    created = instance.sink().create(MARKER, ADA)
    assert [record.external_id for record in instance.sink().find(MARKER, ADA)] == [created]


def test_a_creation_that_shows_late_is_found_when_it_does(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    opened.sandbox.lag_seconds = 3600
    opened.sandbox.faults.plan(Fault(FaultKind.TIMEOUT_AFTER, "POST", "/create$"))
    with an_instance(CONNECTOR, opened.settings, timeout_seconds=0.5) as impatient, pytest.raises(OutcomeUnknown):
        impatient.sink().create(MARKER, ADA)
    assert instance.sink().find(MARKER, ADA) == []
    opened.sandbox.show_all()
    assert len(instance.sink().find(MARKER, ADA)) == 1


def test_a_creation_without_success_is_refused(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    with pytest.raises(Refused) as raised:
        instance.sink().create(MARKER, {"title": "x", "location": {"city": "Bonn"}})
    assert raised.value.field == "location"
    assert opened.sandbox.effects.entries == []


# Lists


def test_a_list_that_shrinks_while_it_is_read_loses_nothing(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    sandbox, source = opened.sandbox, instance.source()
    ids = [sandbox.add_assignment() for _ in range(60)]
    seen: set[str] = set()
    page = source.changes(None)
    seen |= {record.external_id for record in page.records}
    for gone in ids[-30:]:
        del sandbox.assignments[gone]
    page = source.changes(page.cursor)
    assert (list(page.records), page.complete) == ([], True)  # a part that is not trusted ends the poll
    assert set(ids[:30]) <= seen | every_id(source, page.cursor)


def test_a_page_that_the_vendor_cuts_is_not_the_end(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    opened.sandbox.page_limit = 12
    ids = {opened.sandbox.add_assignment() for _ in range(40)}
    page = instance.source().changes(None)
    seen = {record.external_id for record in page.records}
    while not page.complete:
        page = instance.source().changes(page.cursor)
        seen |= {record.external_id for record in page.records}
    assert seen == ids


def test_an_assignment_that_is_listed_and_not_shown_is_told_once_it_is(
    opened: Opened[WorkMarketSandbox], instance: Instance
) -> None:
    shown, hidden = opened.sandbox.add_assignment(), opened.sandbox.add_assignment(title=f"Engineer [{MARKER}]")
    opened.sandbox.unreadable.add(hidden)
    page = instance.source().changes(None)
    assert [record.external_id for record in page.records] == [shown]
    assert [(found.external_id, found.marker) for found in instance.sink().find(MARKER, ADA)] == [(hidden, MARKER)]
    opened.sandbox.unreadable.clear()
    assert [record.external_id for record in instance.source().changes(page.cursor).records] == [hidden]


def every_id(source: RecordSource, cursor: str | None = None) -> set[str]:
    return {record.external_id for record in every_change(source, cursor)}


def test_assignments_of_one_time_are_all_told_in_whatever_order_a_part_shows_them(
    opened: Opened[WorkMarketSandbox], instance: Instance
) -> None:
    ids = {opened.sandbox.add_assignment() for _ in range(60)}
    moment = int(TODAY.timestamp() * 1000) - 60_000
    for n, assignment in enumerate(sorted(ids)):
        opened.sandbox.assignments[assignment]["last_modified_on"] = moment - 1000 * ((n + 15) // 20)
    opened.sandbox.shuffles_ties = True
    for _ in range(5):
        assert every_id(instance.source()) == ids


@pytest.mark.parametrize("count", [0, 1, 2, 9, 20, 21, 35, 50])
def test_a_list_that_does_not_tell_its_length_is_read_to_its_end_once(
    opened: Opened[WorkMarketSandbox], instance: Instance, count: int
) -> None:
    opened.sandbox.tells_totals = False
    ids = [opened.sandbox.add_assignment() for _ in range(count)]
    changes = every_change(instance.source())
    assert sorted(record.external_id for record in changes) == sorted(ids)
    assert instance.sink().find(MARKER, ADA) == []


def test_an_assignment_that_is_not_as_described_keeps_no_other_from_being_told(
    opened: Opened[WorkMarketSandbox], instance: Instance
) -> None:
    ids = [opened.sandbox.add_assignment() for _ in range(3)]
    opened.sandbox.assignments[ids[1]].update(title=None, time_zone=7, scheduled_start="soon")
    assert every_id(instance.source()) == set(ids)
    with pytest.raises(Refused) as raised:
        instance.sink().read(ids[1])
    assert (raised.value.cause, raised.value.field) == ("unexpected_answer", "scheduled_start")


def test_an_end_beyond_any_calendar_is_none(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    assignment = opened.sandbox.add_assignment(scheduled_end=10**18)
    assert instance.sink().read(assignment).ends_on is None


def test_a_poll_does_not_trust_our_clock_nor_a_time_to_come(opened: Opened[WorkMarketSandbox], instance: Instance) -> None:
    ahead, usual = opened.sandbox.add_assignment(), opened.sandbox.add_assignment()
    opened.sandbox.assignments[ahead]["last_modified_on"] += 10**10
    page = instance.source().changes(None)
    assert [record.external_id for record in page.records] == [usual]
    later = opened.sandbox.add_assignment()
    assert later in every_id(instance.source(), page.cursor)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"successful": False}, Refused),
        ({"id": "7", "successful": False}, OutcomeUnknown),
        ({"successful": True}, OutcomeUnknown),
        (None, OutcomeUnknown),
    ],
)
def test_a_creation_of_which_a_half_is_told_is_unknown(
    tmp_path: Path, answer: dict[str, object] | None, error: type[Exception]
) -> None:
    response = {"access_token": "t", **answer} if answer else None

    def answers(request: Request) -> Response:
        return JSONResponse({"meta": {}, "response": {"access_token": "t"} if "authorization" in request.url.path else response})

    with served(tmp_path, answers) as instance, pytest.raises(error):
        instance.sink().create(MARKER, ADA)


@pytest.mark.parametrize(
    ("status", "body"), [(401, {"error": "unauthorized"}), (200, {"meta": {"errors": ["no"]}, "response": None})]
)
def test_a_sign_in_that_is_refused_in_other_words_is_a_fault_of_the_settings(
    tmp_path: Path, status: int, body: dict[str, Any]
) -> None:
    with served(tmp_path, lambda request: JSONResponse(body, status)) as instance, pytest.raises(Misconfigured) as raised:
        instance.source().changes(None)
    assert raised.value.field == "api_secret"


@contextmanager
def served(folder: Path, answer: Callable[[Request], Response]) -> Iterator[Instance]:
    """An instance whose WorkMarket gives one answer to everything."""
    tls = make_loopback_tls(folder / "tls")
    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    with serve(app, tls) as base_url:
        settings = CONNECTOR.settings.model_validate(WorkMarketSandbox().settings(base_url, tls.ca))
        with closing(Instance("workmarket", CONNECTOR, settings, ON_LOOPBACK)) as instance:
            yield instance


def test_a_list_that_never_stands_still_is_read_later(opened: Opened[WorkMarketSandbox]) -> None:
    for _ in range(60):
        opened.sandbox.add_assignment()
    opened.sandbox.touches_all_on_list = True
    with an_instance(CONNECTOR, opened.settings) as instance, pytest.raises(RetryLater) as raised:
        instance.sink().find(MARKER, ADA)
    assert raised.value.cause == "moving_list"
