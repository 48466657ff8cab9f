"""What the BambooHR connector sends, and what its sandbox answers, against the vendor's own description."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.bamboohr import CONNECTOR
from connectors.bamboohr.sandbox import BambooHrSandbox
from connectors.contract import Instance
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.wire.tls import make_loopback_tls
from tests.contract.specs import RecordingApp, VendorSpec
from workforce.errors import AlreadyTaken, NotFound, Refused

pytestmark = pytest.mark.integration

MARKER, OTHER = "ST0123456789ABC", "STZYXWVTSRQPNMK"
ADA = {"firstName": "Ada", "lastName": "Lovelace", "workEmail": "ada.lovelace@acme.example", "hireDate": "2026-02-01"}
ENDED_AT = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def spec() -> VendorSpec:
    return VendorSpec.load("bamboohr/bamboohr-public.pruned.json")


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[tuple[BambooHrSandbox, RecordingApp, Instance]]:
    sandbox = BambooHrSandbox()
    app, tls = RecordingApp(sandbox.app), make_loopback_tls(tmp_path)
    with serve(app, tls) as url:
        settings = CONNECTOR.settings.model_validate(sandbox.settings(url, tls.ca))
        instance = Instance("bamboohr", CONNECTOR, settings, ON_LOOPBACK)
        with closing(instance.client):
            yield sandbox, app, instance


def test_every_exchange_is_as_described(spec: VendorSpec, recorded: tuple[BambooHrSandbox, RecordingApp, Instance]) -> None:
    sandbox, app, instance = recorded
    sandbox.page_limit = 1  # so that cursors are used
    sink = instance.sink()
    assert instance.client.check().ok
    first = sink.create(MARKER, ADA)
    sink.create(OTHER, {**ADA, "workEmail": "ada.lovelace2@acme.example", "jobTitle": "Analyst", "homePhone": None})
    with pytest.raises(AlreadyTaken):
        sink.create(OTHER, ADA)
    sink.update(first, {**ADA, "jobTitle": "Engineer"})
    sink.update(first, {"hireDate": "2026-02-02"})
    sink.end(first, ended_at=ENDED_AT, ends_on="2026-03-31")
    sink.end(first, ended_at=ENDED_AT, ends_on="2026-03-30")
    assert [record.external_id for record in sink.find(MARKER, ADA)] == [first]
    with pytest.raises(NotFound):
        sink.read("999")
    seen = {(exchange.method, spec.operation(exchange)["operationId"], exchange.status) for exchange in app.exchanges}
    for exchange in app.exchanges:
        spec.check(exchange)
    assert {operation for _, operation, _ in seen} == {
        "list-fields", "list-tabular-fields", "list-employees", "create-employee", "get-employee", "update-employee",
        "get-employee-table-data", "create-table-row", "update-table-row",
    }  # fmt: skip
    assert {status for _, operation, status in seen if operation == "create-employee"} == {201, 409}


def test_a_refused_table_row_and_a_refused_cursor_are_as_described(
    spec: VendorSpec, recorded: tuple[BambooHrSandbox, RecordingApp, Instance]
) -> None:
    sandbox, app, instance = recorded
    sandbox.statuses = ["Full-Time"]
    employee = instance.sink().create(MARKER, ADA)
    with pytest.raises(Refused) as caught:
        instance.sink().update(employee, ADA)
    assert caught.value.field == "employmentStatus"
    for exchange in app.exchanges:
        spec.check(exchange)


def test_webhooks_of_the_sandbox_are_as_described(recorded: tuple[BambooHrSandbox, RecordingApp, Instance]) -> None:
    sandbox, _, instance = recorded
    headers, body = sandbox.webhook("employee.created", "101")
    instance.webhooks().verify(headers, body)
    assert [event.subject_id for event in instance.webhooks().events(body)] == ["101"]
