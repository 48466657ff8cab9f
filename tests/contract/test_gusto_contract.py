"""What the Gusto connector sends, and what its sandbox answers, against the vendor's own description."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.contract import Instance
from connectors.gusto import CONNECTOR
from connectors.gusto.sandbox import GustoSandbox
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.wire.rotation import InProcessCredentials
from connectors.wire.tls import make_loopback_tls
from tests.contract.specs import Exchange, RecordingApp, VendorSpec
from workforce.errors import NotFound, Refused

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"
ADA = {
    "type": "Individual", "wage_type": "Hourly", "hourly_rate": "95.00", "first_name": "Ada", "last_name": "Lovelace",
    "email": "ada.lovelace@acme.example", "start_date": "2026-02-01", "self_onboarding": False, "file_new_hire_report": False,
}  # fmt: skip
ENDED_AT = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def spec() -> VendorSpec:
    return VendorSpec.load("gusto/gusto-app-integrations.v2025-06-15.pruned.json")


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[tuple[GustoSandbox, RecordingApp, Instance]]:
    sandbox = GustoSandbox()
    app, tls = RecordingApp(sandbox.app), make_loopback_tls(tmp_path)
    with serve(app, tls) as url:
        settings = CONNECTOR.settings.model_validate(sandbox.refreshing_settings(url, tls.ca))
        instance = Instance("gusto", CONNECTOR, settings, replace(ON_LOOPBACK, credentials=InProcessCredentials()))
        with closing(instance.client):
            yield sandbox, app, instance


def _check(spec: VendorSpec, exchange: Exchange) -> None:
    """The answer of /oauth/token is excepted: the description asks for one of two shapes, and every renewed token fits both."""
    if exchange.path == "/oauth/token":
        spec._check_request_body(exchange, spec.operation(exchange))
    else:
        spec.check(exchange)


def _operation(spec: VendorSpec, exchange: Exchange) -> tuple[str, int]:
    return f"{exchange.method} {spec.operation(exchange)['summary']}", exchange.status


def test_every_exchange_is_as_described(spec: VendorSpec, recorded: tuple[GustoSandbox, RecordingApp, Instance]) -> None:
    sandbox, app, instance = recorded
    sandbox.per_limit = 1  # smaller than asked for, so that pages are used
    sink = instance.sink()
    assert instance.client.check().ok
    first = sink.create(MARKER, ADA)
    sink.create(MARKER, {**ADA, "email": "ada.lovelace2@acme.example", "work_state": None})
    with pytest.raises(Refused) as caught:
        sink.create(MARKER, {**ADA, "first_name": None})
    assert caught.value.field == "first_name"
    sink.update(first, {"hourly_rate": "96.00"})
    sink.end(first, ended_at=ENDED_AT, ends_on="2026-03-31")
    assert [record.external_id for record in sink.find(MARKER, ADA)] == [first]
    with pytest.raises(NotFound):
        sink.read("c9fc1ad3-c107-4e7b-aa21-2dd4b00a7a07")
    for exchange in app.exchanges:
        _check(spec, exchange)
        assert exchange.headers["x-gusto-api-version"] == "2025-06-15"
    assert {_operation(spec, exchange) for exchange in app.exchanges} == {
        ("POST Create a System Access Token or Refresh an Access Token", 200),
        ("GET Get info about the current access token", 200),
        ("POST Create a contractor", 201),
        ("POST Create a contractor", 422),
        ("GET Get contractors of a company", 200),
        ("GET Get a contractor", 200),
        ("GET Get a contractor", 404),
        ("PUT Update a contractor", 200),
    }


def test_a_stale_version_is_refused_as_described_and_then_read_again(
    spec: VendorSpec, recorded: tuple[GustoSandbox, RecordingApp, Instance]
) -> None:
    sandbox, app, instance = recorded
    uuid = instance.sink().create(MARKER, ADA)
    sandbox.changes_behind_our_back = 1
    instance.sink().update(uuid, {"hourly_rate": "96.00"})
    puts = [exchange.status for exchange in app.exchanges if exchange.method == "PUT"]
    assert puts == [409, 200]
    assert sandbox.effects.count("update_contractor", uuid) == 1
    for exchange in app.exchanges:
        _check(spec, exchange)
