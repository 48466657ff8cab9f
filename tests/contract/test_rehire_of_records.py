"""A person comes back: their ended record is taken up again, in requests and answers that the vendors' own descriptions allow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import catalogue
from connectors.bamboohr.sandbox import BambooHrSandbox
from connectors.contract import Instance, RecordsOf
from connectors.files.sandbox import FilesSandbox
from connectors.gusto.sandbox import GustoSandbox
from connectors.salesforce.sandbox import SINK, SalesforceSandbox
from connectors.suite.sandbox import ON_LOOPBACK
from connectors.suite.trial import Opened
from connectors.testing import trial_of
from tests.contract.specs import VendorSpec
from workforce.errors import NotFound, Refused
from workforce.ports import RecordSink, Rehiring, StoredRecord

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"
TODAY = datetime.now(UTC).date()
YESTERDAY, BEFORE, SOON = ((TODAY + timedelta(days=days)).isoformat() for days in (-1, -30, 9))
ENDED_AT = datetime.now(UTC) - timedelta(days=1)
SINKS = [key for key in catalogue.known_keys() if catalogue.load(key).can.sink]


@contextmanager
def opened(key: str, folder: Path, **form: Any) -> Iterator[tuple[Opened[Any], Any]]:
    connector = catalogue.load(key)
    with trial_of(key).open(folder) as opened:
        settings = connector.settings.model_validate({**opened.settings, **form})
        with closing(Instance(key, connector, settings, ON_LOOPBACK)) as instance:
            yield opened, instance.sink()


def ended(key: str, sink: RecordSink, ends_on: str = YESTERDAY) -> str:
    """A record of an ended stint; its id."""
    record_id = sink.create(MARKER, trial_of(key).record(1))
    sink.end(record_id, ended_at=ENDED_AT, ends_on=ends_on)
    assert not sink.read(record_id).active
    return record_id


def rehired(sink: Any, record_id: str, starts_on: str) -> StoredRecord:
    sink.rehire(record_id, starts_on=starts_on)
    record: StoredRecord = sink.read(record_id)
    return record


@pytest.mark.parametrize("key", SINKS)
def test_whoever_keeps_records_of_people_can_take_them_up_again_and_nobody_else_needs_to(key: str) -> None:
    connector = catalogue.load(key)
    assert isinstance(connector.can.sink, type)
    assert issubclass(connector.can.sink, Rehiring) == (connector.records_of is RecordsOf.PEOPLE)


@pytest.mark.parametrize("key", ["bamboohr", "gusto", "salesforce", "files"])
def test_a_record_is_taken_up_once_and_ends_again(key: str, tmp_path: Path) -> None:
    with opened(key, tmp_path) as (vendor, sink):
        record_id = ended(key, sink)
        before = len(vendor.sandbox.effects.entries)
        for _ in range(2):
            again = rehired(sink, record_id, TODAY.isoformat())
            assert (again.external_id, again.active, again.ends_on) == (record_id, True, None)
        assert len(vendor.sandbox.effects.entries) == before + 1
        sink.end(record_id, ended_at=datetime.now(UTC), ends_on=TODAY.isoformat())
        assert not sink.read(record_id).active


@pytest.mark.parametrize(
    ("key", "unknown"),
    [
        ("bamboohr", "999"),
        ("gusto", "c9fc1ad3-c107-4e7b-aa21-2dd4b00a7a07"),
        ("salesforce", "003000000000999AAA"),
        ("files", "W000999"),
    ],
)
def test_a_record_that_is_not_there_is_not_taken_up(key: str, unknown: str, tmp_path: Path) -> None:
    with opened(key, tmp_path) as (_, sink), pytest.raises(NotFound):
        sink.rehire(unknown, starts_on=TODAY.isoformat())


@pytest.mark.parametrize(
    ("key", "spec"),
    [
        ("bamboohr", "bamboohr/bamboohr-public.pruned.json"),
        ("gusto", "gusto/gusto-app-integrations.v2025-06-15.pruned.json"),
    ],
)
def test_every_exchange_of_a_rehire_is_as_described(key: str, spec: str, tmp_path: Path) -> None:
    description = VendorSpec.load(spec)
    with opened(key, tmp_path) as (vendor, sink):
        record_id = ended(key, sink)
        seen = len(vendor.exchanges)
        rehired(sink, record_id, TODAY.isoformat())
    for exchange in vendor.exchanges[seen:]:
        description.check(exchange)
    assert {description.operation(exchange)["operationId"] for exchange in vendor.exchanges[seen:]} == {
        "bamboohr": {"get-employee", "get-employee-table-data", "create-table-row"},
        "gusto": {"get-v1-contractors-contractor_uuid", "put-v1-contractors-contractor_uuid"},
    }[key]


def statuses(sandbox: BambooHrSandbox, employee_id: str) -> list[tuple[str, str]]:
    rows = sandbox.tables[employee_id, "employmentStatus"]
    return [(row["date"], row["employmentStatus"]) for row in rows]


@pytest.mark.parametrize(("starts_on", "row"), [(SOON, SOON), (YESTERDAY, YESTERDAY), (BEFORE, YESTERDAY)])
def test_bamboohr_keeps_the_rows_of_both_stints_and_none_reaches_into_the_other(starts_on: str, row: str, tmp_path: Path) -> None:
    with opened("bamboohr", tmp_path) as (vendor, sink):
        employee = sink.create(MARKER, trial_of("bamboohr").record(1))
        sink.update(employee, {"hireDate": "2026-01-15"})
        sink.end(employee, ended_at=ENDED_AT, ends_on=YESTERDAY)
        assert rehired(sink, employee, starts_on).active
        sink.update(employee, {"hireDate": starts_on, "jobTitle": "Designer"})
    told = [("2026-01-15", "Contractor"), (YESTERDAY, "Terminated"), (row, "Contractor")]
    assert statuses(vendor.sandbox, employee) == told


def test_gusto_shows_the_new_start_and_no_dismissal(tmp_path: Path) -> None:
    with opened("gusto", tmp_path) as (vendor, sink):
        sandbox: GustoSandbox = vendor.sandbox
        contractor = ended("gusto", sink)
        assert rehired(sink, contractor, TODAY.isoformat()).values["start_date"] == TODAY.isoformat()
        assert sandbox.effects.count("rehire_contractor", contractor) == 1
        assert sandbox.events[-1]["event_type"] == "contractor.reactivated"


def test_a_dismissal_that_somebody_scheduled_in_gusto_is_theirs_to_cancel(tmp_path: Path) -> None:
    with opened("gusto", tmp_path) as (vendor, sink):
        contractor = ended("gusto", sink)
        vendor.sandbox.contractors[contractor].update(is_active=True, dismissal_date=SOON)
        with pytest.raises(Refused) as caught:
            sink.rehire(contractor, starts_on=TODAY.isoformat())
    assert (caught.value.cause, caught.value.field) == ("dismissal_scheduled", "dismissal_date")


def test_a_rehire_that_somebody_scheduled_in_gusto_is_theirs_to_cancel(tmp_path: Path) -> None:
    with opened("gusto", tmp_path) as (vendor, sink):
        contractor = ended("gusto", sink)
        vendor.sandbox.contractors[contractor].update(upcoming_employment={"start_date": SOON})
        assert sink.read(contractor).active
        with pytest.raises(Refused) as caught:
            sink.end(contractor, ended_at=ENDED_AT, ends_on=YESTERDAY)
    assert (caught.value.cause, caught.value.field) == ("rehire_scheduled", "upcoming_employment")


def test_the_day_of_an_earlier_dismissal_that_gusto_still_shows_ends_no_later_stint(tmp_path: Path) -> None:
    with opened("gusto", tmp_path) as (vendor, sink):
        contractor = ended("gusto", sink)
        rehired(sink, contractor, TODAY.isoformat())
        vendor.sandbox.contractors[contractor]["dismissal_date"] = YESTERDAY
        assert sink.read(contractor).active


@pytest.mark.parametrize(("status", "shown"), [({}, None), ({"active_status": "Active"}, "Active")])
def test_salesforce_takes_the_end_back_with_the_status_that_told_it(
    status: dict[str, str], shown: str | None, tmp_path: Path
) -> None:
    with trial_of("salesforce").open(tmp_path / "form") as form:
        told = {**form.settings["sink"], **status}
    with opened("salesforce", tmp_path, sink=told) as (vendor, sink):
        sandbox: SalesforceSandbox = vendor.sandbox
        contact = ended("salesforce", sink)
        assert rehired(sink, contact, SOON).values["Status__c"] == shown
        held = sandbox.objects[SINK].records[contact]
        assert (held["Stint_Ends_On__c"], held["Title"]) == (None, "Engineer")


def test_salesforce_that_takes_no_empty_status_needs_a_setting(tmp_path: Path) -> None:
    with opened("salesforce", tmp_path) as (vendor, sink):
        contact = ended("salesforce", sink)
        vendor.sandbox.objects[SINK].fields["Status__c"].nillable = False
        with pytest.raises(Refused) as caught:
            sink.rehire(contact, starts_on=SOON)
    assert caught.value.field == "Status__c"


def test_files_ask_for_an_open_record_without_an_end(tmp_path: Path) -> None:
    with opened("files", tmp_path) as (vendor, sink):
        sandbox: FilesSandbox = vendor.sandbox
        ended("files", sink)
        rehired(sink, MARKER, SOON)
        (record,) = sandbox.records.values()
        assert (record["status"], record["end_date"], record["ended_at"]) == ("active", "", "")
        assert record["role"] == "Engineer"
