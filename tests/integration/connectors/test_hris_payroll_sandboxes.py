"""BambooHR and Gusto when things go wrong: the real clients against the stateful sandboxes, over TLS on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.bamboohr import CONNECTOR as BAMBOOHR
from connectors.bamboohr.sandbox import BambooHrSandbox
from connectors.contract import Instance
from connectors.gusto import CONNECTOR as GUSTO
from connectors.gusto.sandbox import GustoSandbox
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind, serve
from connectors.wire.tls import TlsFiles
from workforce.errors import AlreadyTaken, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.ports import RecordSink

pytestmark = pytest.mark.integration

MARKER, OTHER = "ST0123456789ABC", "STZYXWVTSRQPNMK"
ENDED_AT = datetime(2026, 4, 1, tzinfo=UTC)
EMPLOYEE = {"firstName": "Ada", "lastName": "Lovelace", "workEmail": "ada.lovelace@acme.example", "hireDate": "2026-02-01"}
CONTRACTOR = {
    "type": "Individual", "wage_type": "Hourly", "hourly_rate": "95.00", "first_name": "Ada", "last_name": "Lovelace",
    "email": "ada.lovelace@acme.example", "start_date": "2026-02-01",
}  # fmt: skip
DONE_BUT_LOST = [FaultKind.TIMEOUT_AFTER, FaultKind.ERROR_AFTER, FaultKind.HTML_AFTER]
NOT_DONE_AND_LOST = [FaultKind.TIMEOUT_BEFORE, FaultKind.UNAVAILABLE_BEFORE]


@dataclass(frozen=True)
class Vendor:
    """One vendor behind its real client. ``lists`` is the path of creation, ``created`` the effect's name."""

    instance: Instance
    sandbox: Any
    values: dict[str, Any]
    created: str
    lists: str

    @property
    def sink(self) -> RecordSink:
        return self.instance.sink()

    def fail(self, kind: FaultKind, method: str, path: str, times: int = 1) -> None:
        self.sandbox.faults.plan(Fault(kind, method, path, times))

    def recovered(self) -> str:
        """What the hub does about an unknown creation: look it up, adopt the one that is ours, else issue it again."""
        ours = [record for record in self.sink.find(MARKER, self.values) if record.marker == MARKER]
        assert len(ours) <= 1
        return ours[0].external_id if ours else self.sink.create(MARKER, self.values)


@contextmanager
def bamboohr(tls: TlsFiles, **changed: Any) -> Iterator[Vendor]:
    sandbox = BambooHrSandbox()
    with serve(sandbox.app, tls) as url:
        form = {**sandbox.settings(url, tls.ca), "timeout_seconds": 0.5, **changed}
        instance = Instance("bamboohr", BAMBOOHR, BAMBOOHR.settings.model_validate(form), ON_LOOPBACK)
        with closing(instance.client):
            yield Vendor(instance, sandbox, EMPLOYEE, "create_employee", r"/employees$")


@contextmanager
def gusto(tls: TlsFiles, **changed: Any) -> Iterator[Vendor]:
    sandbox = GustoSandbox()
    with serve(sandbox.app, tls) as url:
        form = {**sandbox.settings(url, tls.ca), "timeout_seconds": 0.5, **changed}
        instance = Instance("gusto", GUSTO, GUSTO.settings.model_validate(form), ON_LOOPBACK)
        with closing(instance.client):
            yield Vendor(instance, sandbox, CONTRACTOR, "create_contractor", r"/contractors$")


@pytest.fixture(params=[bamboohr, gusto], ids=["bamboohr", "gusto"])
def vendor(request: pytest.FixtureRequest, tls: TlsFiles) -> Iterator[Vendor]:
    start: Callable[[TlsFiles], AbstractContextManager[Vendor]] = request.param
    with start(tls) as started:
        yield started


@pytest.fixture
def hris(tls: TlsFiles) -> Iterator[Vendor]:
    with bamboohr(tls) as started:
        yield started


@pytest.fixture
def payroll(tls: TlsFiles) -> Iterator[Vendor]:
    with gusto(tls) as started:
        yield started


# both vendors


@pytest.mark.parametrize("kind", DONE_BUT_LOST)
def test_a_lost_reply_is_looked_up_and_never_repeated(vendor: Vendor, kind: FaultKind) -> None:
    vendor.fail(kind, "POST", vendor.lists)
    with pytest.raises(OutcomeUnknown):
        vendor.sink.create(MARKER, vendor.values)
    assert vendor.recovered()
    assert vendor.sandbox.effects.count(vendor.created) == 1


@pytest.mark.parametrize("kind", NOT_DONE_AND_LOST)
def test_a_creation_that_never_arrived_is_proven_absent_and_issued_again(vendor: Vendor, kind: FaultKind) -> None:
    vendor.fail(kind, "POST", vendor.lists)
    with pytest.raises(OutcomeUnknown):
        vendor.sink.create(MARKER, vendor.values)
    assert vendor.recovered()
    assert vendor.sandbox.effects.count(vendor.created) == 1


def test_a_throttled_creation_was_not_done_and_says_when_to_come_back(vendor: Vendor) -> None:
    vendor.fail(FaultKind.THROTTLED_BEFORE, "POST", vendor.lists)
    with pytest.raises(RetryLater) as caught:
        vendor.sink.create(MARKER, vendor.values)
    assert (caught.value.cause, caught.value.after_seconds) == ("throttled", 0.0)
    assert vendor.sandbox.effects.count(vendor.created) == 0


@pytest.mark.parametrize("kind", [FaultKind.UNAVAILABLE_BEFORE, FaultKind.THROTTLED_BEFORE, FaultKind.TIMEOUT_BEFORE])
def test_reads_come_through_a_short_disturbance(vendor: Vendor, kind: FaultKind) -> None:
    record = vendor.sink.create(MARKER, vendor.values)
    vendor.fail(kind, "GET", record)
    assert vendor.sink.read(record).external_id == record


def test_a_web_page_instead_of_a_record_is_read_again_later(vendor: Vendor) -> None:
    record = vendor.sink.create(MARKER, vendor.values)
    vendor.fail(FaultKind.HTML_AFTER, "GET", record)
    with pytest.raises(RetryLater) as caught:
        vendor.sink.read(record)
    assert caught.value.cause == "unreadable_answer"


@pytest.mark.parametrize("kind", DONE_BUT_LOST)
def test_a_lost_update_is_unknown_and_may_be_repeated(vendor: Vendor, kind: FaultKind) -> None:
    record = vendor.sink.create(MARKER, vendor.values)
    vendor.fail(kind, "PUT" if vendor.created == "create_contractor" else "POST", record)
    with pytest.raises(OutcomeUnknown):
        vendor.sink.update(record, vendor.values)
    vendor.sink.update(record, vendor.values)
    assert vendor.sink.read(record).active


def test_a_lagging_record_is_not_found_yet_and_appears_later(vendor: Vendor) -> None:
    vendor.sandbox.lag_seconds = 0.4
    record = vendor.sink.create(MARKER, vendor.values)
    assert vendor.sink.find(MARKER, vendor.values) == []
    with pytest.raises(NotFound):
        vendor.sink.read(record)
    with pytest.raises(RetryLater):
        vendor.sink.update(record, vendor.values)
    deadline = time.monotonic() + 5
    while not vendor.sink.find(MARKER, vendor.values) and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    assert [found.external_id for found in vendor.sink.find(MARKER, vendor.values)] == [record]


def test_a_record_is_found_on_the_last_page(vendor: Vendor) -> None:
    vendor.sandbox.page_limit = vendor.sandbox.per_limit = 2
    email = "email" if "email" in vendor.values else "workEmail"
    for number in range(5):
        vendor.sink.create(OTHER, {**vendor.values, email: f"somebody{number}@acme.example"})
    record = vendor.sink.create(MARKER, vendor.values)
    assert [found.external_id for found in vendor.sink.find(MARKER, vendor.values)] == [record]


def test_an_ending_is_read_back_and_ending_again_does_nothing(vendor: Vendor) -> None:
    record = vendor.sink.create(MARKER, vendor.values)
    vendor.sink.update(record, vendor.values)
    assert vendor.sink.read(record).active
    for _ in range(2):
        vendor.sink.end(record, ended_at=ENDED_AT, ends_on="2026-03-31")
    ended = vendor.sink.read(record)
    assert (ended.active, ended.ends_on is None) == (False, False)
    written = vendor.sandbox.effects.count("end_contractor") + vendor.sandbox.effects.count("add_table_row")
    assert written == (1 if vendor.created == "create_contractor" else 2)


def test_repeated_and_overtaken_deliveries_end_in_what_the_vendor_holds(vendor: Vendor) -> None:
    field = "last_name" if "last_name" in vendor.values else "lastName"
    records = [vendor.sink.create(f"ST{n:013d}", {**vendor.values, **values_of(n)}) for n in range(3)]
    changes = [(kind_of(vendor, "updated"), record) for _ in range(3) for record in records]
    for seed in range(5):
        for n, record in enumerate(records):
            held = vendor.sandbox.contractors if vendor.created == "create_contractor" else vendor.sandbox.employees
            held[record][field] = f"Name {seed} {n}"
        told, picture = set[str](), dict[str, object]()
        deliveries = vendor.sandbox.deliveries(changes, seed=seed)
        for headers, body in deliveries:
            vendor.instance.webhooks().verify(headers, body)
            (event,) = vendor.instance.webhooks().events(body)
            if event.external_id not in told:
                told.add(event.external_id)
                picture[event.subject_id] = vendor.sink.read(event.subject_id).values[field]
        assert len(deliveries) > len(told) == len(changes)
        assert picture == {record: f"Name {seed} {n}" for n, record in enumerate(records)}


def values_of(n: int) -> dict[str, str]:
    return {"email": f"ada{n}@acme.example", "workEmail": f"ada{n}@acme.example"}


def kind_of(vendor: Vendor, what: str) -> str:
    return f"{'contractor' if vendor.created == 'create_contractor' else 'employee'}.{what}"


def test_wrong_credentials_are_the_administrators_matter(tls: TlsFiles) -> None:
    for start, wrong in ((bamboohr, {"api_key": "wrong"}), (gusto, {"access_token": "wrong"})):
        with start(tls, **wrong) as vendor:
            assert not vendor.instance.client.check().ok
            with pytest.raises(Misconfigured):
                vendor.sink.create(MARKER, vendor.values)


def test_a_vendor_that_is_down_did_nothing(tls: TlsFiles) -> None:
    for start in (bamboohr, gusto):
        with start(tls) as vendor:
            pass
        again = Instance(vendor.instance.name, vendor.instance.connector, vendor.instance.settings, ON_LOOPBACK)
        with pytest.raises(RetryLater) as caught:
            again.sink().create(MARKER, vendor.values)
        assert caught.value.cause == "cannot_connect"
        assert not again.client.check().ok


# BambooHR


def test_the_holder_of_the_address_is_shown_with_his_own_marker(hris: Vendor) -> None:
    namesake = hris.sink.create(OTHER, EMPLOYEE)
    with pytest.raises(AlreadyTaken) as caught:
        hris.sink.create(MARKER, EMPLOYEE)
    assert caught.value.field == "workEmail"
    assert [(found.external_id, found.marker) for found in hris.sink.find(MARKER, EMPLOYEE)] == [(namesake, OTHER)]


def test_an_address_that_is_taken_later_is_refused_because_nothing_can_be_adopted(hris: Vendor) -> None:
    hris.sink.create(OTHER, EMPLOYEE)
    record = hris.sink.create(MARKER, {**EMPLOYEE, "workEmail": "ada@acme.example"})
    with pytest.raises(Refused) as caught:
        hris.sink.update(record, EMPLOYEE)
    assert not isinstance(caught.value, AlreadyTaken)
    assert caught.value.field == "workEmail"


def test_an_employee_entered_by_hand_has_no_marker(hris: Vendor) -> None:
    hris.sandbox.employees["50"] = {**EMPLOYEE, "workEmail": EMPLOYEE["workEmail"].upper()}
    assert [found.marker for found in hris.sink.find(MARKER, EMPLOYEE)] == [None]


def test_our_record_is_found_however_the_vendor_trims_and_encodes_the_name(hris: Vendor) -> None:
    named = {"firstName": "Ada ", "lastName": "Łodz\u0301 Lovelace", "hireDate": "2026-02-01"}
    record = hris.sink.create(MARKER, named)
    hris.sandbox.employees[record] |= {"firstName": "Ada", "lastName": "Łodź  Lovelace"}
    assert [found.external_id for found in hris.sink.find(MARKER, named)] == [record]


def test_an_employee_without_a_hire_date_gets_no_row(hris: Vendor) -> None:
    record = hris.sink.create(MARKER, {**EMPLOYEE, "hireDate": "0000-00-00"})
    hris.sink.update(record, {"jobTitle": "Analyst"})
    assert hris.sandbox.effects.count("add_table_row", record) == 0


def test_the_status_may_be_spelled_with_other_capitals(tls: TlsFiles) -> None:
    with bamboohr(tls, terminated_status="terminated", contractor_status="CONTRACTOR") as hris:
        hris.sandbox.statuses = ["Contractor", "Terminated", "CONTRACTOR", "terminated"]
        record = hris.sink.create(MARKER, EMPLOYEE)
        hris.sandbox.tables[record, "employmentStatus"] = [
            {"id": "1", "date": "2026-02-01", "employmentStatus": "Contractor"},
            {"id": "2", "date": "2026-03-31", "employmentStatus": "Terminated"},
        ]
        hris.sink.end(record, ended_at=ENDED_AT, ends_on="2026-03-31")
        assert hris.sandbox.effects.count("add_table_row", record) == 0
        assert not hris.sink.read(record).active


def test_somebody_of_the_same_name_is_nobodys_business(hris: Vendor) -> None:
    hris.sandbox.employees["50"] = {**EMPLOYEE, "workEmail": "another@acme.example", "employeeNumber": "0042"}
    assert hris.sink.find(MARKER, EMPLOYEE) == []


def test_the_marker_is_found_after_the_address_was_changed_by_hand(hris: Vendor) -> None:
    record = hris.sink.create(MARKER, EMPLOYEE)
    hris.sandbox.employees[record]["workEmail"] = "ada@acme.example"
    assert [found.external_id for found in hris.sink.find(MARKER, EMPLOYEE)] == [record]


def test_updating_twice_starts_the_stint_once(hris: Vendor) -> None:
    record = hris.sink.create(MARKER, EMPLOYEE)
    for _ in range(2):
        hris.sink.update(record, {**EMPLOYEE, "employeeNumber": "never taken over"})
    assert hris.sandbox.effects.count("add_table_row", record) == 1
    assert hris.sandbox.employees[record]["employeeNumber"] == MARKER


@pytest.mark.parametrize("kind", DONE_BUT_LOST)
def test_a_lost_status_row_is_seen_in_the_table_and_not_written_again(hris: Vendor, kind: FaultKind) -> None:
    record = hris.sink.create(MARKER, EMPLOYEE)
    hris.sink.update(record, EMPLOYEE)
    hris.fail(kind, "POST", "employmentStatus")
    with pytest.raises(OutcomeUnknown):
        hris.sink.end(record, ended_at=ENDED_AT, ends_on="2026-03-31")
    hris.sink.end(record, ended_at=ENDED_AT, ends_on="2026-03-31")
    assert hris.sandbox.effects.count("add_table_row", record) == 2
    assert hris.sink.read(record).ends_on == "2026-03-31"


@pytest.mark.parametrize("lacking", ["employeeNumber", "employmentStatus", "employmentStatus.date"])
def test_the_check_fails_closed_without_what_the_hub_relies_on(hris: Vendor, lacking: str) -> None:
    match lacking:
        case "employeeNumber":
            hris.sandbox.fields.remove("employeeNumber")
        case "employmentStatus":
            del hris.sandbox.table_columns["employmentStatus"]
        case _:
            hris.sandbox.table_columns["employmentStatus"].remove("date")
    result = hris.instance.client.check()
    assert not result.ok
    assert lacking in result.detail


# Gusto


def test_the_same_address_with_another_start_is_a_namesake(payroll: Vendor) -> None:
    earlier = payroll.sink.create(OTHER, {**CONTRACTOR, "start_date": "2025-02-01"})
    assert [(found.external_id, found.marker) for found in payroll.sink.find(MARKER, CONTRACTOR)] == [(earlier, None)]


def test_a_scheduled_dismissal_after_the_end_needs_a_person(payroll: Vendor) -> None:
    record = payroll.sink.create(MARKER, CONTRACTOR)
    payroll.sandbox.contractors[record]["dismissal_date"] = "2031-05-31"
    with pytest.raises(Refused, match="is_active: A dismissal is already scheduled"):
        payroll.sink.end(record, ended_at=ENDED_AT, ends_on="2031-03-31")
    payroll.sandbox.contractors[record]["dismissal_date"] = "2031-03-31"
    payroll.sink.end(record, ended_at=ENDED_AT, ends_on="2031-03-31")
    assert payroll.sink.read(record).ends_on == "2031-03-31"


def test_the_dismissal_of_an_earlier_stint_is_no_end_of_this_one(payroll: Vendor) -> None:
    record = payroll.sink.create(MARKER, CONTRACTOR)
    payroll.sandbox.contractors[record]["dismissal_date"] = "2020-12-31"
    assert payroll.sink.read(record).active
    payroll.sink.end(record, ended_at=ENDED_AT, ends_on="2026-03-31")
    assert payroll.sandbox.effects.count("end_contractor", record) == 1
    assert not payroll.sink.read(record).active


def test_above_the_rate_limit_nothing_is_done_until_the_vendor_says(payroll: Vendor) -> None:
    payroll.sandbox.requests_per_minute = 2
    payroll.sink.create(MARKER, CONTRACTOR)
    payroll.sink.create(OTHER, {**CONTRACTOR, "email": "grace.hopper@acme.example"})
    with pytest.raises(RetryLater) as caught:
        payroll.sink.create(OTHER, {**CONTRACTOR, "email": "annie.easley@acme.example"})
    assert caught.value.cause == "throttled"
    assert 50 <= (caught.value.after_seconds or 0) <= 60
    assert payroll.sandbox.effects.count("create_contractor") == 2


def test_many_calls_that_find_the_token_expired_renew_it_once(tls: TlsFiles) -> None:
    sandbox = GustoSandbox()
    with serve(sandbox.app, tls) as url, ExitStack() as stack:
        settings = GUSTO.settings.model_validate(sandbox.refreshing_settings(url, tls.ca))
        instance = Instance("gusto", GUSTO, settings, ON_LOOPBACK)
        stack.enter_context(closing(instance.client))
        sink = instance.sink()
        record = sink.create(MARKER, CONTRACTOR)
        sandbox.access_tokens.clear()
        readers = [threading.Thread(target=sink.read, args=(record,)) for _ in range(8)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert sink.read(record).external_id == record
    assert sandbox.effects.count("rotate_refresh_token") == 2
