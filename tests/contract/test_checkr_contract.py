"""Checkr's traps: an order in two posts, idempotency keys, invitations that hide, events without their object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from connectors.checkr import CONNECTOR
from connectors.checkr.backfill import CheckrBackfill
from connectors.checkr.client import CheckrClient
from connectors.checkr.sandbox import CheckrSandbox
from connectors.checkr.trial import TRIAL
from connectors.contract import Instance
from connectors.records.instants import instant_text
from connectors.suite.sandbox import Fault, FaultKind
from connectors.suite.scenes import every_event
from connectors.suite.trial import Opened, an_instance
from tests.contract.specs import VendorSpec
from workforce.errors import NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.screening import ScreeningVerdict

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"
ORDER = TRIAL.screening(MARKER)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[CheckrSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def instance(opened: Opened[CheckrSandbox]) -> Iterator[Instance]:
    with an_instance(CONNECTOR, opened.settings) as instance:
        yield instance


def a_backfill(instance: Instance, now: Callable[[], datetime]) -> CheckrBackfill:
    assert isinstance(instance.client, CheckrClient)
    return CheckrBackfill(instance.client, now=now)


def test_every_exchange_of_an_orders_life_is_as_described(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    spec = VendorSpec.load("interface-only/checkr/checkr.v1.interface.json", prefix="/v1")
    screening = instance.screening()
    order_id = screening.order(ORDER)
    assert screening.status(order_id).verdict is ScreeningVerdict.PENDING
    report_id = opened.sandbox.fill_in(order_id)
    assert screening.status(order_id).verdict is ScreeningVerdict.PENDING
    opened.sandbox.finish(report_id, "consider")
    found = screening.status(order_id)
    assert (found.verdict, found.status, found.result) == (ScreeningVerdict.REVIEW, "report.complete", "consider")
    opened.sandbox.adjudicate(report_id, "engaged")
    state = screening.status(order_id)
    assert (state.verdict, state.result, state.report_id) == (ScreeningVerdict.CLEAR, "engaged", report_id)
    assert state.completed_at is not None
    assert state.completed_at.utcoffset() is not None
    with pytest.raises(Refused):
        screening.order(replace(TRIAL.screening("ST0123456789ABD"), email="no address"))
    assert {event.subject_id for event in every_event(instance.backfill())[0]} == {order_id}
    for exchange in opened.exchanges:
        spec.check(exchange)


def test_the_same_order_is_one_candidate_and_one_invitation_also_after_a_day(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    order_id = instance.screening().order(ORDER)
    opened.sandbox.forget_idempotency_keys()
    assert instance.screening().order(ORDER) == order_id
    assert [len(opened.sandbox.candidates), len(opened.sandbox.invitations)] == [1, 1]


def test_an_order_that_got_no_further_than_its_candidate_is_no_order_and_is_taken_up_again(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    screening = instance.screening()
    opened.sandbox.faults.plan(Fault(FaultKind.ERROR_AFTER, "POST", "/v1/candidates$"))
    with pytest.raises(OutcomeUnknown):
        screening.order(ORDER)
    assert screening.find(MARKER) == []
    opened.sandbox.forget_idempotency_keys()
    order_id = screening.order(ORDER)
    assert list(opened.sandbox.candidates) == [order_id]
    assert screening.find(MARKER) == [order_id]


def test_a_post_that_lists_show_late_is_still_not_doubled(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    opened.sandbox.lag_seconds = 3600.0
    for _ in range(3):  # the invitation cannot be made while the candidate does not show
        with pytest.raises(RetryLater) as caught:
            instance.screening().order(ORDER)
        assert caught.value.cause == "lagging"
    assert len(opened.sandbox.candidates) == 1


def test_a_first_call_that_is_still_worked_on_leaves_the_outcome_unknown(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    opened.sandbox.in_flight.add(f"{MARKER}-invitation")
    with pytest.raises(OutcomeUnknown) as caught:
        instance.screening().order(ORDER)
    assert caught.value.cause == "in_flight"


def test_a_duplicate_an_unknown_package_and_a_missing_region_are_refused_by_name(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    screening = instance.screening()
    for n in range(2):
        screening.order(replace(ORDER, marker=f"{MARKER}{n}"))
    with pytest.raises(Refused) as caught:
        screening.order(replace(ORDER, marker=f"{MARKER}2"))
    assert caught.value.cause == "duplicate_candidate"
    with pytest.raises(Refused) as caught:
        screening.order(replace(TRIAL.screening("ST0123456789ABD"), package="platinum"))
    assert (caught.value.cause, caught.value.field) == ("unknown_package", "package")
    with pytest.raises(Refused) as caught:
        screening.order(replace(TRIAL.screening("ST0123456789ABE"), region=None))
    assert (caught.value.cause, caught.value.field) == ("missing_region", "region")
    assert len(opened.sandbox.invitations) == 2


def test_a_name_that_checkr_cannot_write_is_left_to_the_candidate(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    order_id = instance.screening().order(replace(ORDER, given_name="Zoë", family_name="Šimić"))
    assert opened.sandbox.candidates[order_id]["first_name"] == "Zoë"
    assert "last_name" not in opened.sandbox.candidates[order_id]


def test_an_order_is_made_for_the_configured_node(opened: Opened[CheckrSandbox]) -> None:
    with an_instance(CONNECTOR, opened.settings, node="east") as instance:
        instance.screening().order(ORDER)
    sent = json.loads(opened.exchanges[-1].request_body)
    assert sent["node"] == "east"
    assert sent["work_locations"] == [{"country": "US", "state": "NY", "city": "New York"}]
    assert opened.exchanges[-1].headers["idempotency-key"] == f"{MARKER}-invitation"


def test_an_invitation_that_expired_or_was_taken_back_is_for_a_person_to_look_at(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    screening = instance.screening()
    order_id = screening.order(ORDER)
    opened.sandbox.cancel_invitation(order_id)
    assert screening.status(order_id).verdict is ScreeningVerdict.PENDING  # just made: it may show late
    opened.sandbox.candidates[order_id]["created_at"] = "2026-01-01T00:00:00Z"
    state = screening.status(order_id)
    assert (state.verdict, state.status) == (ScreeningVerdict.REVIEW, "invitation.none")
    other = screening.order(TRIAL.screening("ST0123456789ABD"))
    opened.sandbox.expire(other)
    assert screening.status(other).verdict is ScreeningVerdict.REVIEW


def test_the_newest_of_several_reports_counts(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    order_id = instance.screening().order(ORDER)
    first = opened.sandbox.fill_in(order_id)
    opened.sandbox.finish(first)
    second = opened.sandbox.fill_in(order_id)
    opened.sandbox.reports[first]["created_at"] = "2026-01-01T00:00:00Z"
    state = instance.screening().status(order_id)
    assert (state.verdict, state.report_id) == (ScreeningVerdict.PENDING, second)


def test_a_later_reading_has_the_greater_version_and_in_one_second_the_more_careful_one(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    order_id = instance.screening().order(ORDER)
    report_id = opened.sandbox.fill_in(order_id)
    pending = instance.screening().status(order_id)
    opened.sandbox.change_report(report_id, "report.suspended", status="suspended")
    assert instance.screening().status(order_id).version > pending.version


def test_an_event_without_its_object_still_leads_to_the_order(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    opened.sandbox.include_object = False
    order_id = instance.screening().order(ORDER)
    opened.sandbox.finish(opened.sandbox.fill_in(order_id))
    webhooks, screening = instance.webhooks(), instance.screening()
    subjects = [event.subject_id for _, body in opened.sandbox.outbox for event in webhooks.events(body)]
    assert {subject.partition("/")[0] for subject in subjects} == {"invitations", "reports"}
    assert {screening.status(subject).order_id for subject in subjects} == {order_id}


@pytest.mark.parametrize(
    "order_id",
    [
        "unknown",
        "",
        "..",
        "reports/",
        "reports/unknown",
        "reports/..",
        "invitations/unknown",
        "accounts/1",
        "../account",
        "a\x00b",
    ],
)
def test_an_order_that_is_not_there_is_not_found(opened: Opened[CheckrSandbox], instance: Instance, order_id: str) -> None:
    with pytest.raises(NotFound):
        instance.screening().status(order_id)
    assert {exchange.path.rpartition("/")[2] for exchange in opened.exchanges} <= {"unknown"}


def test_what_no_webhook_told_is_told_once_and_again_when_it_changed(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    opened.sandbox.per_page_limit = 2
    screening, backfill = instance.screening(), instance.backfill()
    orders = [screening.order(TRIAL.screening(f"{MARKER}{n}")) for n in range(5)]
    events, cursor = every_event(backfill)
    assert sorted(event.subject_id for event in events) == sorted(orders)
    assert len({event.external_id for event in events}) == 5
    again, cursor = every_event(backfill, cursor)
    assert again == []
    opened.sandbox.finish(opened.sandbox.fill_in(orders[0]))
    (changed,), _ = every_event(backfill, cursor)
    assert changed.subject_id == orders[0]
    assert changed.external_id not in {event.external_id for event in events}


def test_an_order_that_looks_again_as_it_did_once_is_told_again_under_another_identity(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    report_id = opened.sandbox.fill_in(instance.screening().order(ORDER))
    events, cursor = every_event(instance.backfill())
    for n, status in enumerate(("suspended", "pending", "suspended", "pending")):
        opened.sandbox.change_report(report_id, "report.updated", status=status)
        backfill = a_backfill(instance, partial(datetime, 2027, 1, 1, n, tzinfo=UTC))
        same_page = backfill.missed(cursor).events
        told, cursor = every_event(backfill, cursor)
        assert list(same_page) == told, "the same page told again is the same hint"
        events += told
    assert [event.kind for event in events] == ["report.pending", *["report.suspended", "report.pending"] * 2]
    assert len({event.external_id for event in events}) == 5


def test_an_invitation_that_was_taken_back_is_told_once_it_can_no_longer_be_just_late(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    order_id = instance.screening().order(ORDER)
    opened.sandbox.cancel_invitation(order_id)
    events, cursor = every_event(instance.backfill())
    assert events == []
    opened.sandbox.candidates[order_id]["created_at"] = instant_text(datetime.now(UTC) - timedelta(minutes=11))
    events, cursor = every_event(instance.backfill(), cursor)
    assert [(event.kind, event.subject_id) for event in events] == [("invitation.none", order_id)]
    assert every_event(instance.backfill(), cursor)[0] == []


def test_a_clock_that_is_more_than_an_hour_fast_loses_no_revision(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    order_id = instance.screening().order(ORDER)
    report_id = opened.sandbox.fill_in(order_id)
    opened.sandbox.finish(report_id, "consider")
    opened.sandbox.candidates[order_id]["created_at"] = "2025-01-01T00:00:00Z"
    fast = a_backfill(instance, lambda: datetime.now(UTC) + timedelta(hours=1, minutes=30))
    _, cursor = every_event(fast)
    opened.sandbox.adjudicate(report_id, "pre_adverse_action")
    assert [event.subject_id for event in every_event(fast, cursor)[0]] == [order_id]


def test_the_lists_have_no_upper_bound_that_an_order_could_cross_while_they_are_paged(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    every_event(instance.backfill())
    asked = [set(exchange.query) for exchange in opened.exchanges if exchange.path == "/v1/candidates"]
    assert asked == [{f"{name}_after", "page", "per_page"} for name in ("created", "report_revised", "report_adjudicated")]


def test_an_old_order_is_told_when_its_report_is_revised_or_adjudicated(
    opened: Opened[CheckrSandbox], instance: Instance
) -> None:
    order_id = instance.screening().order(ORDER)
    report_id = opened.sandbox.fill_in(order_id)
    opened.sandbox.finish(report_id, "consider")
    opened.sandbox.candidates[order_id]["created_at"] = "2025-01-01T00:00:00Z"
    events, cursor = every_event(instance.backfill())
    assert events == []
    opened.sandbox.adjudicate(report_id, "pre_adverse_action")
    events, _ = every_event(instance.backfill(), cursor)
    assert [(event.kind, event.subject_id) for event in events] == [("report.complete", order_id)]


def test_a_report_that_cannot_be_seen_does_not_hold_up_the_others(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    first, second = (instance.screening().order(TRIAL.screening(f"{MARKER}{n}")) for n in range(2))
    del opened.sandbox.reports[opened.sandbox.fill_in(first)]
    assert [event.subject_id for event in every_event(instance.backfill())[0]] == [second]


def test_a_cursor_of_somebody_else_is_refused(instance: Instance) -> None:
    for cursor in ("x", '[1, {"page": 0}]', '[1, {"listing": 3}]', "[]"):
        with pytest.raises(Refused) as caught:
            instance.backfill().missed(cursor)
        assert caught.value.cause == "bad_cursor"


def test_too_many_calls_wait_until_the_reset(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    opened.sandbox.requests_per_minute = 0
    with pytest.raises(RetryLater) as caught:
        instance.screening().find(MARKER)
    assert caught.value.cause == "throttled"
    assert caught.value.after_seconds is not None
    assert 55 <= caught.value.after_seconds <= 61


def test_an_account_that_is_not_credentialed_is_told(opened: Opened[CheckrSandbox], instance: Instance) -> None:
    opened.sandbox.authorized = False
    result = instance.client.check()
    assert not result.ok
    assert "credentialing" in result.detail
