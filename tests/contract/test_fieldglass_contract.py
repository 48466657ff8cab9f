"""The Fieldglass client against its sandbox over TLS.

The vendor describes none of its named connectors. What can be checked against the descriptions of its other interfaces is: the form of
the token request, the two headers of every call, and the OAuth flow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.fieldglass.client import FieldglassClient
from connectors.fieldglass.sandbox import FieldglassSandbox
from connectors.fieldglass.settings import FieldglassSettings
from connectors.fieldglass.sink import FieldglassSink
from connectors.fieldglass.source import FieldglassSource
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind, serve
from connectors.wire.tls import TlsFiles, make_loopback_tls
from tests.contract.specs import SPECS, RecordingApp, opened
from workforce.errors import Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

pytestmark = pytest.mark.integration

ENDED_AT = datetime(2026, 3, 31, 22, 0, tzinfo=UTC)
TROUBLE = {FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER, FaultKind.DRIP_AFTER}
UNCLEAR_BEFORE = {FaultKind.TIMEOUT_BEFORE, FaultKind.UNAVAILABLE_BEFORE}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_loopback_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def sandbox() -> FieldglassSandbox:
    return FieldglassSandbox()


@pytest.fixture
def recording(sandbox: FieldglassSandbox) -> RecordingApp:
    return RecordingApp(sandbox.app)


@pytest.fixture
def form(sandbox: FieldglassSandbox, recording: RecordingApp, tls: TlsFiles) -> Iterator[dict[str, Any]]:
    with serve(recording, tls) as base_url:
        yield {**sandbox.settings(base_url, tls.ca), "timeout_seconds": 2.0}


@pytest.fixture
def client(form: dict[str, Any]) -> Iterator[FieldglassClient]:
    client = opened(FieldglassClient(FieldglassSettings.model_validate(form), ON_LOOPBACK))
    yield client
    client.close()


def descriptions() -> list[dict[str, Any]]:
    files = sorted((SPECS / "interface-only/sap-fieldglass").glob("*.json"))
    if not files:
        pytest.skip("the vendor's API descriptions are not here: shared/vendor-specs/interface-only/sap-fieldglass")
    return [json.loads(file.read_text()) for file in files]


def described_flows() -> Iterator[tuple[str, str]]:
    """Flow name and token URL of every description's security definitions."""
    for document in descriptions():
        schemes = document.get("securityDefinitions") or document["components"]["securitySchemes"]
        for scheme in schemes.values():
            flows = scheme.get("flows") or {scheme["flow"]: scheme}
            yield from ((name, flow["tokenUrl"]) for name, flow in flows.items())


def described_headers() -> set[str]:
    found = set()
    for document in descriptions():
        shared = document.get("parameters", {}).values()
        operations = [operation for path in document["paths"].values() for operation in path.values()]
        parameters = [*shared, *(p for operation in operations for p in operation.get("parameters", []))]
        found |= {p["name"].lower() for p in parameters if p.get("in") == "header"}
    return found


def test_the_token_is_asked_for_as_the_vendors_descriptions_say(recording: RecordingApp, client: FieldglassClient) -> None:
    assert client.check().ok
    token = recording.exchanges[0]
    flows = list(described_flows())
    assert {name for name, _ in flows} <= {"application", "clientCredentials"}
    urls = [urlsplit(url) for _, url in flows if url.strip()]
    assert urls
    for url in urls:
        assert token.path == url.path
        assert dict(parse_qsl(url.query)).items() <= token.query.items()
    assert token.method == "POST"
    assert token.headers["authorization"].startswith("Basic ")


def test_every_call_carries_the_headers_of_the_vendors_descriptions(
    sandbox: FieldglassSandbox, recording: RecordingApp, client: FieldglassClient
) -> None:
    work_order = sandbox.add_work_order()
    FieldglassSource(client).changes(None)
    FieldglassSink(client).end(work_order, ended_at=ENDED_AT, ends_on="2026-03-31")
    FieldglassSink(client).read(work_order)
    assert {"authorization", "x-applicationkey"} <= described_headers()
    assert [e.method for e in recording.exchanges] == ["POST", "GET", "POST", "GET"]
    for exchange in recording.exchanges:
        assert exchange.headers["x-applicationkey"] == sandbox.application_key
        assert exchange.headers["authorization"].startswith(("Basic ", "Bearer "))
    assert {e.path for e in recording.exchanges[1:]} == {
        "/api/vc/connector/Work Order Download",
        "/api/vc/connector/Work Order Close Upload",
    }


def test_changes_are_read_to_the_end_and_then_only_what_changed(sandbox: FieldglassSandbox, form: dict[str, Any]) -> None:
    client = opened(FieldglassClient(FieldglassSettings.model_validate({**form, "page_size": 3}), ON_LOOPBACK))
    source = FieldglassSource(client)
    added = [sandbox.add_work_order(Role=f"Role {number}") for number in range(8)]
    cursor, read = None, []
    while True:
        page = source.changes(cursor)
        cursor = page.cursor
        read += [record.external_id for record in page.records]
        if page.complete:
            break
    assert sorted(read) == sorted(added)
    sandbox.change(added[2], **{"End Date": "2026-12-31"})
    page = source.changes(cursor)
    assert [(r.external_id, r.values["End Date"]) for r in page.records] == [(added[2], "2026-12-31")]
    client.close()


def test_a_changed_work_order_has_a_later_version(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    source = FieldglassSource(client)
    work_order = sandbox.add_work_order()
    before = source.read(work_order)
    sandbox.change(work_order, Status="Activated")
    after = source.read(work_order)
    assert after.version > before.version
    assert after.values["Status"] == "Activated"


def test_an_unknown_work_order_is_not_found(client: FieldglassClient) -> None:
    with pytest.raises(NotFound):
        FieldglassSource(client).read("WO-?&limit=0")


def test_a_work_order_is_closed_once_however_often_it_is_said(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    sink, work_order = FieldglassSink(client), sandbox.add_work_order()
    assert sink.read(work_order).active
    for _ in range(2):
        sink.end(work_order, ended_at=ENDED_AT, ends_on="2026-03-31")
    stored = sink.read(work_order)
    assert (stored.active, stored.ends_on, stored.marker) == (False, "2026-03-31", None)
    assert sandbox.work_orders[work_order]["Closed At"] == "2026-03-31T22:00:00+00:00"
    assert sandbox.effects.count("close_work_order", work_order) == 1


def test_closing_as_of_another_day_is_another_change(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    sink, work_order = FieldglassSink(client), sandbox.add_work_order()
    for day in ("2026-03-31", "2026-03-30"):
        sink.end(work_order, ended_at=ENDED_AT, ends_on=day)
    assert sink.read(work_order).ends_on == "2026-03-30"
    assert sandbox.effects.count("close_work_order", work_order) == 2


def test_a_rejected_row_is_refused_although_the_answer_is_200(client: FieldglassClient) -> None:
    with pytest.raises(Refused) as raised:
        FieldglassSink(client).end("WO-unknown", ended_at=ENDED_AT, ends_on="2026-03-31")
    assert raised.value.cause == "return_code_106"


@pytest.mark.parametrize("kind", [k for k in FaultKind if k.is_after or k in UNCLEAR_BEFORE])
def test_a_closing_without_a_clear_answer_is_unknown_sent_once_and_found_by_reading(
    sandbox: FieldglassSandbox, recording: RecordingApp, form: dict[str, Any], kind: FaultKind
) -> None:
    client = opened(
        FieldglassClient(
            FieldglassSettings.model_validate({**form, "timeout_seconds": 0.5 if kind in TROUBLE else 5}), ON_LOOPBACK
        )
    )
    sink, work_order = FieldglassSink(client), sandbox.add_work_order()
    sandbox.faults.plan(Fault(kind, "POST", "Close Upload"))
    with pytest.raises(OutcomeUnknown):
        sink.end(work_order, ended_at=ENDED_AT, ends_on="2026-03-31")
    done = kind.name.endswith("AFTER")
    assert sum(1 for e in recording.exchanges if e.path.endswith("Close Upload")) == 1
    assert sink.read(work_order).active is not done
    sink.end(work_order, ended_at=ENDED_AT, ends_on="2026-03-31")
    assert sandbox.effects.count("close_work_order", work_order) == 1
    client.close()


def test_a_throttled_closing_was_not_done(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    work_order = sandbox.add_work_order()
    sandbox.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "POST", "Close Upload"))
    with pytest.raises(RetryLater):
        FieldglassSink(client).end(work_order, ended_at=ENDED_AT, ends_on="2026-03-31")
    assert sandbox.effects.count("close_work_order") == 0


def test_a_download_survives_a_vendor_that_stumbles(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    work_order = sandbox.add_work_order()
    for kind in (FaultKind.UNAVAILABLE_BEFORE, FaultKind.THROTTLED_BEFORE, FaultKind.ERROR_AFTER):
        sandbox.faults.plan(Fault(kind, "GET", "Download"))
    assert FieldglassSource(client).read(work_order).external_id == work_order


def test_a_download_answered_with_html_is_tried_later(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    sandbox.faults.plan(Fault(FaultKind.HTML_AFTER, "GET", "Download"))
    with pytest.raises(RetryLater):
        FieldglassSource(client).changes(None)


def test_many_threads_get_and_renew_one_token(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    source, work_order = FieldglassSource(client), sandbox.add_work_order()
    for tokens in (1, 2):
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: source.read(work_order), range(16)))
        assert sandbox.tokens_issued == tokens
        sandbox.expire_tokens()


@pytest.mark.parametrize(("field", "value"), [("client_secret", "wrong"), ("client_id", "wrong"), ("application_key", "wrong")])
def test_wrong_credentials_are_a_fault_of_the_settings(form: dict[str, Any], field: str, value: str) -> None:
    client = opened(FieldglassClient(FieldglassSettings.model_validate({**form, field: value}), ON_LOOPBACK))
    with pytest.raises(Misconfigured):
        FieldglassSource(client).changes(None)
    assert not client.check().ok
    client.close()


def test_a_rows_field_that_is_not_there_is_named(form: dict[str, Any]) -> None:
    client = opened(FieldglassClient(FieldglassSettings.model_validate({**form, "rows_field": "Records"}), ON_LOOPBACK))
    with pytest.raises(Misconfigured) as raised:
        FieldglassSource(client).changes(None)
    assert raised.value.field == "rows_field"
    client.close()


def test_a_connector_that_the_company_does_not_have_is_not_found(form: dict[str, Any]) -> None:
    client = opened(
        FieldglassClient(FieldglassSettings.model_validate({**form, "download_connector": "../../oauth2"}), ON_LOOPBACK)
    )
    with pytest.raises(NotFound):
        FieldglassSource(client).changes(None)
    client.close()


MARKER = "ST0123456789ABC"
ADA = {"Worker First Name": "Ada", "Worker Last Name": "Lovelace", "Role": "Engineer", "End Date": "2027-02-26"}


@pytest.mark.parametrize("parameter", ["externalReference", None])
def test_what_is_created_is_found_by_its_marker_with_or_without_a_parameter_for_it(
    sandbox: FieldglassSandbox, form: dict[str, Any], parameter: str | None
) -> None:
    for _ in range(7):
        sandbox.add_work_order()
    sandbox.add_work_order(**{"External Reference": f"{MARKER}X"})
    client = opened(
        FieldglassClient(
            FieldglassSettings.model_validate({**form, "page_size": 3, "parameters": {"marker": parameter}}), ON_LOOPBACK
        )
    )
    sink = FieldglassSink(client)
    assert sink.find(MARKER, ADA) == []
    created = sink.create(MARKER, ADA)
    (found,) = sink.find(MARKER, ADA)
    assert (found.external_id, found.marker, found.active, found.ends_on) == (created, MARKER, True, "2027-02-26")
    assert sink.read(created) == found


def test_a_creation_that_does_not_show_yet_is_unknown_and_found_later(
    sandbox: FieldglassSandbox, client: FieldglassClient
) -> None:
    sandbox.lag_seconds = 3600
    sink = FieldglassSink(client)
    with pytest.raises(OutcomeUnknown) as raised:
        sink.create(MARKER, ADA)
    assert raised.value.cause == "id_not_shown"
    assert sandbox.effects.count("create_work_order") == 1
    assert sink.find(MARKER, ADA) == []
    sandbox.show_all()
    assert len(sink.find(MARKER, ADA)) == 1


def test_a_creation_whose_marker_several_carry_is_unknown_and_all_are_found(
    sandbox: FieldglassSandbox, client: FieldglassClient
) -> None:
    sandbox.add_work_order(**{"External Reference": MARKER})
    with pytest.raises(OutcomeUnknown):
        FieldglassSink(client).create(MARKER, ADA)
    assert len(FieldglassSink(client).find(MARKER, ADA)) == 2


def test_a_parameter_that_the_download_does_not_heed_is_never_an_answer(sandbox: FieldglassSandbox, form: dict[str, Any]) -> None:
    sandbox.add_work_order()
    wrong = {**form, "parameters": {"marker": "noSuchParameter", "id": "norThisOne"}}
    sink = FieldglassSink(opened(FieldglassClient(FieldglassSettings.model_validate(wrong), ON_LOOPBACK)))
    for look in (lambda: sink.find(MARKER, ADA), lambda: sink.read("WO-9")):
        with pytest.raises(Misconfigured) as raised:
            look()
        assert raised.value.cause == "parameter_not_heeded"


def test_a_creation_is_never_retryable_once_the_upload_was_accepted(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    sandbox.faults.plan(Fault(FaultKind.FORBIDDEN_BEFORE, "GET", "Download"))
    with pytest.raises(OutcomeUnknown):
        FieldglassSink(client).create(MARKER, ADA)
    assert len(FieldglassSink(client).find(MARKER, ADA)) == 1


def test_an_end_date_is_moved_and_saying_it_again_changes_nothing(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    sink, work_order = FieldglassSink(client), sandbox.add_work_order()
    for _ in range(2):
        sink.update(work_order, {"End Date": "2027-03-31", "Worker Phone": None})
    assert sink.read(work_order).ends_on == "2027-03-31"
    assert sandbox.effects.count("revise_work_order", work_order) == 1


def test_a_cell_holds_one_value(client: FieldglassClient) -> None:
    with pytest.raises(Refused) as raised:
        FieldglassSink(client).update("WO-1", {"Skills": ["python"]})
    assert raised.value.field == "Skills"


@pytest.mark.parametrize("missing", ["creation_connector", "revision_connector", "marker_column"])
def test_a_company_that_only_closes_is_told_what_else_needs(
    sandbox: FieldglassSandbox, form: dict[str, Any], missing: str
) -> None:
    without = {**form, "layout": {}} if missing == "marker_column" else {**form, missing: None}
    sink = FieldglassSink(opened(FieldglassClient(FieldglassSettings.model_validate(without), ON_LOOPBACK)))
    with pytest.raises(Misconfigured) as raised:
        _ = sink.update("WO-1", ADA) if missing == "revision_connector" else sink.create(MARKER, ADA)
    assert raised.value.field == missing
    work_order = sandbox.add_work_order()
    sink.end(work_order, ended_at=ENDED_AT, ends_on="2026-03-31")
    assert not sink.read(work_order).active


def test_a_row_without_its_id_keeps_no_other_from_being_read(sandbox: FieldglassSandbox, client: FieldglassClient) -> None:
    before = sandbox.add_work_order()
    sandbox.work_orders["nameless"] = {**sandbox.work_orders[before], "Work Order ID": " "}
    after = sandbox.add_work_order()
    page = FieldglassSource(client).changes(None)
    nameless = [record for record in page.records if record.external_id.startswith("row:")]
    assert {record.external_id for record in page.records} - {nameless[0].external_id} == {before, after}
    assert FieldglassSource(client).changes(page.cursor).records == []
