"""Greenhouse's traps: flat objects, cursors that come alone, changes that do not touch the application, and a list that is silently empty."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Instance
from connectors.greenhouse import CONNECTOR
from connectors.greenhouse.sandbox import GreenhouseSandbox
from connectors.greenhouse.settings import GreenhouseSettings
from connectors.greenhouse.trial import TRIAL
from connectors.greenhouse.webhooks import ABOUT_APPLICATIONS, GreenhouseWebhooks
from connectors.suite.operations import every_change
from connectors.suite.scenes import every_record
from connectors.suite.trial import Exchange, Opened, an_instance
from tests.contract.specs import SPECS, VendorSpec
from workforce.errors import NotFound, RetryLater
from workforce.ports import SourceRecord

pytestmark = pytest.mark.integration


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[GreenhouseSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def instance(opened: Opened[GreenhouseSandbox]) -> Iterator[Instance]:
    with an_instance(CONNECTOR, opened.settings) as instance:
        yield instance


def ids(records: list[SourceRecord]) -> list[str]:
    return sorted(record.external_id for record in records)


def part(record: SourceRecord, name: str) -> Mapping[str, Any]:
    value = record.values[name]
    assert isinstance(value, dict)
    return value


def requests(opened: Opened[GreenhouseSandbox], path: str) -> list[Exchange]:
    return [exchange for exchange in opened.exchanges if exchange.path == path]


def test_a_hire_is_one_record_put_together_from_five_lists(opened: Opened[GreenhouseSandbox], instance: Instance) -> None:
    application_id = opened.sandbox.hire(1)
    record = instance.source().read(application_id)
    assert part(record, "application")["status"] == "hired"
    assert part(record, "candidate")["email_addresses"] == [{"value": "ada1@home.example", "type": "personal"}]
    assert part(record, "offer")["starts_on"] == "2026-03-02"
    assert part(record, "job")["requisition_id"] == "REQ-7"
    assert part(record, "opening")["opening_id"] == "POS-12"
    assert record.version == max(str(part(record, name)["updated_at"]) for name in record.values).replace("Z", "000Z")


def test_offers_are_answered_as_described(opened: Opened[GreenhouseSandbox], instance: Instance) -> None:
    spec = VendorSpec.load("greenhouse/harvest-v3.hub-subset.openapi.json")
    instance.source().read(opened.sandbox.hire(1))
    (exchange,) = requests(opened, "/v3/offers")
    assert set(exchange.query) == {"application_ids", "current_only", "per_page"}
    spec._check_response(exchange, spec.operation(exchange))


@pytest.mark.parametrize("sample", sorted((SPECS / "greenhouse" / "webhooks").glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_of_the_vendor_is_understood(sample: Path) -> None:
    settings = GreenhouseSettings.model_validate({"client_id": "client", "client_secret": "client-secret"})
    events = GreenhouseWebhooks(settings).events(sample.read_bytes())
    assert bool(events) == (json.loads(sample.read_text())["action"] in ABOUT_APPLICATIONS)
    assert all(event.subject_id.isdigit() for event in events)


def test_pages_are_followed_by_the_cursor_alone_at_our_own_address(opened: Opened[GreenhouseSandbox], instance: Instance) -> None:
    opened.sandbox.page_limit, opened.sandbox.link_origin = 2, "https://elsewhere.example"
    hired = sorted(opened.sandbox.hire(n) for n in range(7))
    assert ids(every_change(instance.source())) == hired
    paged = [exchange for exchange in opened.exchanges if "cursor" in exchange.query]
    assert {tuple(exchange.query) for exchange in paged} == {("cursor",)}
    assert {exchange.path for exchange in paged} >= {"/v3/applications"}
    assert {exchange.status for exchange in opened.exchanges} == {200}


def test_no_request_asks_for_more_than_fifty_ids(opened: Opened[GreenhouseSandbox], instance: Instance) -> None:
    hired = sorted(opened.sandbox.hire(n) for n in range(60))
    assert ids(every_change(instance.source())) == hired
    asked = [len(exchange.query["ids"].split(",")) for exchange in requests(opened, "/v3/candidates")]
    assert asked == [50, 10]


def test_an_expired_page_cursor_starts_the_list_again_and_loses_nothing(
    opened: Opened[GreenhouseSandbox], instance: Instance
) -> None:
    opened.sandbox.page_limit = 3
    hired = sorted(opened.sandbox.hire(n) for n in range(5))
    source = instance.source()
    page = source.changes(None)
    opened.sandbox.expire_cursors()
    again = source.changes(page.cursor)
    assert [exchange.status for exchange in requests(opened, "/v3/applications")][-2:] == [422, 200]
    rest, _ = every_record(source, again.cursor)
    assert ids([*page.records, *again.records, *rest]) == hired


def test_only_hires_are_told_and_then_that_one_was_taken_back(opened: Opened[GreenhouseSandbox], instance: Instance) -> None:
    source, sandbox = instance.source(), opened.sandbox
    sandbox.apply(1)
    hired = sandbox.hire(2)
    records, cursor = every_record(source)
    assert ids(records) == [hired]
    sandbox.apply(3)
    sandbox.unhire(hired)
    records, cursor = every_record(source, cursor)
    assert [(one.external_id, part(one, "application")["status"]) for one in records] == [(hired, "in_process")]
    sandbox.change("applications", int(hired), location_address="Utica")
    records, _ = every_record(source, cursor)
    assert records == []


def test_a_moved_start_and_a_corrected_name_are_told_though_the_application_stays(
    opened: Opened[GreenhouseSandbox], instance: Instance
) -> None:
    source, sandbox = instance.source(), opened.sandbox
    first, second, _ = (sandbox.hire(n) for n in (1, 2, 3))
    records, cursor = every_record(source)
    versions = {record.external_id: record.version for record in records}
    sandbox.revise_offer(first, starts_on="2026-03-16")
    sandbox.change("candidates", 1002, last_name="King")
    records, cursor = every_record(source, cursor)
    assert ids(records) == [first, second]
    told = {record.external_id: record for record in records}
    assert part(told[first], "offer")["starts_on"] == "2026-03-16"
    assert part(told[second], "candidate")["last_name"] == "King"
    assert all(record.version > versions[record.external_id] for record in records)
    assert every_record(source, cursor)[0] == []


def test_a_change_that_shows_late_is_told_by_the_overlap(opened: Opened[GreenhouseSandbox], instance: Instance) -> None:
    source, sandbox = instance.source(), opened.sandbox
    application_id = sandbox.hire(1)
    _, cursor = every_record(source)
    sandbox.lag_seconds = 3600.0
    sandbox.revise_offer(application_id, starts_on="2026-03-16")
    records, cursor = every_record(source, cursor)
    assert records == []
    sandbox.show_everything()
    records, _ = every_record(source, cursor)
    assert ids(records) == [application_id]


def test_the_hire_of_an_employee_is_left_alone(opened: Opened[GreenhouseSandbox]) -> None:
    contractor = opened.sandbox.hire(1)
    employee = opened.sandbox.hire(2, employment_type="Full-time")
    form = {"contractor_field": "employment_type", "contractor_values": ["Contractor", "Freelancer"]}
    with an_instance(CONNECTOR, opened.settings, **form) as instance:
        source = instance.source()
        assert ids(every_change(source)) == [contractor]
        with pytest.raises(NotFound) as caught:
            source.read(employee)
        assert caught.value.cause == "not_a_contractor"
        opened.sandbox.unhire(employee)
        assert source.read(employee).external_id == employee


def test_what_did_not_change_since_a_given_day_is_left_out_at_first(opened: Opened[GreenhouseSandbox]) -> None:
    opened.sandbox.hire(1)
    with an_instance(CONNECTOR, opened.settings, changed_since="2099-01-01T00:00:00Z") as instance:
        assert every_change(instance.source()) == []


@pytest.mark.parametrize("external_id", ["7", "", "abc", "١٢", "1" * 30, "../users"])
def test_an_application_that_is_not_there_is_not_found(instance: Instance, external_id: str) -> None:
    with pytest.raises(NotFound):
        instance.source().read(external_id)


def test_a_part_that_cannot_be_seen_does_not_hold_up_the_record(opened: Opened[GreenhouseSandbox], instance: Instance) -> None:
    application_id = opened.sandbox.hire(1)
    opened.sandbox.delete("candidates", 1001)
    (record,) = every_change(instance.source())
    assert (record.external_id, record.values["candidate"]) == (application_id, None)


@pytest.mark.parametrize("told_as", ["expires_in", "expires_at", "expires"])
def test_a_token_is_used_as_long_as_it_lives_and_renewed_once_it_is_refused(
    opened: Opened[GreenhouseSandbox], instance: Instance, told_as: str
) -> None:
    opened.sandbox.token_answer = told_as
    application_id = opened.sandbox.hire(1)
    instance.source().read(application_id)
    assert len(opened.sandbox.tokens) == 1
    opened.sandbox.tokens.clear()
    assert instance.source().read(application_id).external_id == application_id
    assert len(opened.sandbox.tokens) == 1
    (grant, *_) = requests(opened, "/token")
    assert grant.request_body == b"grant_type=client_credentials&sub=4001"


def test_an_administrator_learns_that_offers_are_hidden_from_the_user(
    opened: Opened[GreenhouseSandbox], instance: Instance
) -> None:
    opened.sandbox.hire(1)
    assert "offer" not in instance.client.check().detail
    opened.sandbox.user_may_see_offers = False
    result = instance.client.check()
    assert result.ok
    assert "permission to manage offers" in result.detail


def test_an_administrator_learns_which_scope_is_missing(opened: Opened[GreenhouseSandbox], instance: Instance) -> None:
    opened.sandbox.scopes.remove("openings")
    result = instance.client.check()
    assert not result.ok
    assert "/v3/openings" in result.detail


def test_too_many_calls_wait_as_long_as_greenhouse_asks(opened: Opened[GreenhouseSandbox], instance: Instance) -> None:
    opened.sandbox.requests_per_window = 0
    with pytest.raises(RetryLater) as caught:
        instance.source().changes(None)
    assert (caught.value.cause, caught.value.after_seconds) == ("throttled", 30.0)
    assert len(requests(opened, "/v3/applications")) == 1
