"""The Dropbox Sign client against its sandbox over TLS: what is particular to the vendor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Instance
from connectors.dropboxsign import CONNECTOR
from connectors.dropboxsign.backfill import DropboxSignBackfill
from connectors.dropboxsign.client import DropboxSignClient
from connectors.dropboxsign.sandbox import DropboxSignSandbox, deliver
from connectors.dropboxsign.settings import DropboxSignSettings
from connectors.dropboxsign.trial import TRIAL
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind, serve
from connectors.suite.scenes import every_event
from connectors.suite.trial import Opened, an_instance
from connectors.webhooks import form_field
from tests.contract.specs import VendorSpec, opened
from workforce.errors import NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.ports import Signing
from workforce.signing import SigningParty, SigningRequest

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[Opened[DropboxSignSandbox]]:
    with TRIAL.open(tmp_path) as vendor:
        yield vendor


@pytest.fixture
def sandbox(vendor: Opened[DropboxSignSandbox]) -> DropboxSignSandbox:
    return vendor.sandbox


@pytest.fixture
def form(vendor: Opened[DropboxSignSandbox]) -> dict[str, Any]:
    return {**vendor.settings, "work_order_field": "PO number", "client_id": "app-1"}


@pytest.fixture
def instance(form: dict[str, Any]) -> Iterator[Instance]:
    with an_instance(CONNECTOR, form) as instance:
        yield instance


@pytest.fixture
def signing(instance: Instance) -> Signing:
    return instance.signing()


def a_request(sandbox: DropboxSignSandbox, n: int = 1) -> str:
    return sandbox.create_request(f"WO-{n}", "Ada Lovelace", "ada@mail.example", work_order_field="PO number")


def test_an_agreement_carries_marker_and_fields_in_its_metadata(
    vendor: Opened[DropboxSignSandbox], signing: Signing, sandbox: DropboxSignSandbox
) -> None:
    request_id = signing.send(TRIAL.agreement(MARKER))
    content = json.loads(vendor.exchanges[0].request_body)
    assert content["metadata"] == {"stint_marker": MARKER, "PO number": "MSGXWO00001234"}
    assert (content["test_mode"], content["client_id"]) == (True, "app-1")
    values: Any = signing.status(request_id).values
    assert values["metadata"] == {"stint_marker": MARKER, "stint_work_order": "MSGXWO00001234"}
    assert "stint_completed_at" not in values
    sandbox.complete(request_id)
    completed: Any = signing.status(request_id).values
    assert completed["stint_status"] == "completed"
    signed_at = datetime.fromisoformat(completed["stint_completed_at"])
    assert signed_at == datetime.fromtimestamp(completed["signatures"][0]["signed_at"], UTC)


@pytest.mark.parametrize(
    "fields",
    [{f"field {n}": "x" for n in range(10)}, {"x" * 41: "x"}, {"note": "x" * 1001}],
    ids=["many", "long key", "long value"],
)
def test_more_metadata_than_the_vendor_keeps_is_refused_before_anything_is_sent(
    vendor: Opened[DropboxSignSandbox], signing: Signing, fields: dict[str, str]
) -> None:
    request = TRIAL.agreement(MARKER)
    with pytest.raises(Refused) as raised:
        signing.send(SigningRequest(MARKER, request.template_id, request.subject, request.parties, fields))
    assert str(raised.value.field).startswith("metadata")
    assert vendor.exchanges == []


def test_a_template_that_does_not_exist_or_has_other_roles_is_refused(sandbox: DropboxSignSandbox, signing: Signing) -> None:
    request = TRIAL.agreement(MARKER)
    stranger = SigningParty("Supplier", "Ada Lovelace", "ada@mail.example")
    for wrong in (
        SigningRequest(MARKER, "no-such-template", "Agreement", request.parties),
        SigningRequest(MARKER, request.template_id, "Agreement", [stranger]),
    ):
        with pytest.raises(Refused) as raised:
            signing.send(wrong)
        assert "bad_request" in str(raised.value)
        assert "ada" not in str(raised.value)
    assert sandbox.effects.count("send_request") == 0


def test_a_lost_request_is_found_once_the_search_shows_it(sandbox: DropboxSignSandbox, signing: Signing) -> None:
    sandbox.lag_seconds = 60
    sandbox.faults.plan(Fault(FaultKind.ERROR_AFTER, "POST", "/send_with_template$"))
    with pytest.raises(OutcomeUnknown):
        signing.send(TRIAL.agreement(MARKER))
    (request_id,) = sandbox.requests
    assert list(signing.find(MARKER)) == []
    with pytest.raises(NotFound):
        signing.status(request_id)
    sandbox.lag_seconds = 0
    assert list(signing.find(MARKER)) == [request_id]


def test_every_request_with_the_marker_is_found_page_by_page_and_no_namesake(
    sandbox: DropboxSignSandbox, signing: Signing
) -> None:
    sandbox.largest_page = 1
    mine = [signing.send(TRIAL.agreement(MARKER)) for _ in range(3)]
    sandbox.requests[a_request(sandbox)]["metadata"] = {"note": MARKER}  # found by the search, and not ours
    sandbox.complete(mine[1])
    assert sorted(signing.find(MARKER)) == sorted(mine)


def test_a_canceled_request_may_be_canceled_again_and_is_shown_as_deleted(sandbox: DropboxSignSandbox, signing: Signing) -> None:
    sandbox.cancel_seconds = 60
    request_id = signing.send(TRIAL.agreement(MARKER))
    signing.void(request_id, "withdrawn")
    before = signing.status(request_id)
    assert before.values["stint_status"] == "sent"  # the vendor takes its time
    signing.void(request_id, "withdrawn")
    sandbox.cancel_seconds = 0
    signing.void(request_id, "withdrawn")
    after = signing.status(request_id)
    assert after.values["stint_status"] == "deleted"
    assert after.version > before.version
    assert sandbox.effects.count("cancel_request", request_id) == 1


def test_a_request_that_is_signed_before_its_end_takes_effect_stays_completed(
    sandbox: DropboxSignSandbox, signing: Signing
) -> None:
    sandbox.cancel_seconds = 60
    request_id = signing.send(TRIAL.agreement(MARKER))
    signing.void(request_id, "withdrawn")
    sandbox.complete(request_id)
    sandbox.cancel_seconds = 0
    with pytest.raises(Refused) as raised:
        signing.void(request_id, "withdrawn")
    assert raised.value.cause == "completed"


def test_a_cancel_that_is_not_ours_to_make_is_told_as_that(sandbox: DropboxSignSandbox, signing: Signing) -> None:
    request_id = signing.send(TRIAL.agreement(MARKER))
    with pytest.raises(NotFound):
        signing.void("0" * 40, "withdrawn")
    sandbox.faults.plan(Fault(FaultKind.FORBIDDEN_BEFORE, "POST", "/cancel/"))
    with pytest.raises(Refused) as raised:
        signing.void(request_id, "withdrawn")
    assert raised.value.cause == "forbidden"


def test_documents_that_are_still_made_are_asked_for_later(sandbox: DropboxSignSandbox, signing: Signing) -> None:
    request_id, other = a_request(sandbox), a_request(sandbox, 2)
    sandbox.complete(request_id)
    sandbox.preparing.add(request_id)
    with pytest.raises(RetryLater) as raised:
        signing.documents(request_id)
    assert raised.value.cause == "not_ready"
    sandbox.preparing.clear()
    assert signing.documents(request_id).startswith(b"%PDF-")
    signing.void(other, "withdrawn")
    with pytest.raises(NotFound):
        signing.documents(other)


def test_documents_that_nobody_has_signed_are_not_given_as_the_agreement(sandbox: DropboxSignSandbox, signing: Signing) -> None:
    with pytest.raises(Refused) as raised:
        signing.documents(a_request(sandbox))
    assert raised.value.cause == "not_completed"


def test_a_declined_request_whose_cancel_is_refused_is_no_failure(sandbox: DropboxSignSandbox, signing: Signing) -> None:
    request_id = a_request(sandbox)
    sandbox.decline(request_id)
    sandbox.cancels_declined = False
    signing.void(request_id, "withdrawn")
    assert sandbox.effects.count("cancel_request") == 0


def test_odd_metadata_of_one_request_keeps_none_from_being_found_or_told(
    sandbox: DropboxSignSandbox, signing: Signing, instance: Instance
) -> None:
    mine, other = signing.send(TRIAL.agreement(MARKER)), a_request(sandbox)
    for odd in ([], None, MARKER, [[MARKER]]):
        sandbox.requests[other]["metadata"] = odd
        assert {event.subject_id for event in every_event(instance.backfill())[0]} == {mine, other}
        assert signing.status(other).values["metadata"] == {}


def test_a_last_page_that_comes_back_empty_is_no_end(sandbox: DropboxSignSandbox, instance: Instance) -> None:
    sandbox.largest_page = 2
    for n in range(3):
        a_request(sandbox, n)
    page = instance.backfill().missed(None)
    sandbox.empty_page = 2
    with pytest.raises(RetryLater):
        instance.backfill().missed(page.cursor)


def test_another_page_than_was_asked_for_is_not_read_for_ever(
    vendor: Opened[DropboxSignSandbox], sandbox: DropboxSignSandbox, signing: Signing
) -> None:
    sandbox.largest_page = 1
    for _ in range(2):
        signing.send(TRIAL.agreement(MARKER))
    sandbox.heeds_page = False
    with pytest.raises(RetryLater):
        signing.find(MARKER)
    assert len(vendor.exchanges) == 4


def test_what_a_weekly_listing_passed_over_is_told_by_the_next(sandbox: DropboxSignSandbox, form: dict[str, Any]) -> None:
    client = opened(DropboxSignClient(DropboxSignSettings.model_validate({**form, "backfill_hours": 168}), ON_LOOPBACK))
    sandbox.largest_page = 2
    start = datetime.now(UTC)
    _, cursor = every_event(DropboxSignBackfill(client, now=lambda: start))
    requests = [a_request(sandbox, n) for n in range(4)]
    for request_id in requests:
        sandbox.requests[request_id]["created_at"] = int((start + timedelta(days=1)).timestamp())
    second = DropboxSignBackfill(client, now=lambda: start + timedelta(days=7))
    page = second.missed(cursor)
    signing = CONNECTOR.can.signing
    assert signing is not None
    signing(client).void(requests[3], "withdrawn")  # it was on the first page: the second begins one further
    rest, cursor = every_event(second, page.cursor)
    passed_over = set(requests) - {event.subject_id for event in [*page.events, *rest]}
    third, _ = every_event(DropboxSignBackfill(client, now=lambda: start + timedelta(days=14)), cursor)
    assert passed_over
    assert passed_over <= {event.subject_id for event in third}


def test_the_hourly_limit_is_waited_out(vendor: Opened[DropboxSignSandbox], signing: Signing) -> None:
    vendor.sandbox.hourly_limit = 1
    request_id = signing.send(TRIAL.agreement(MARKER))
    for _ in range(2):
        with pytest.raises(RetryLater) as raised:
            signing.status(request_id)
        assert raised.value.cause == "throttled"
        assert raised.value.after_seconds == pytest.approx(1800, abs=10)
    assert len(vendor.exchanges) == 2


def test_a_request_id_cannot_reach_another_resource(vendor: Opened[DropboxSignSandbox], signing: Signing) -> None:
    for odd in ("../list?page=1", "..", ".", "", "\ud800", "a" * 101):
        for call in (signing.status, signing.documents, lambda one: signing.void(one, "withdrawn")):
            with pytest.raises(NotFound):
                call(odd)
    assert vendor.exchanges == []


def test_an_outage_longer_than_the_retries_loses_no_request(sandbox: DropboxSignSandbox, instance: Instance) -> None:
    backfill = instance.backfill()
    signed, declined = [a_request(sandbox, n) for n in range(4)], a_request(sandbox, 4)
    _, cursor = every_event(backfill)
    sandbox.largest_page = 2
    deliveries = [sandbox.complete(request_id) for request_id in signed]
    sandbox.decline(declined)
    events, cursor = every_event(backfill, cursor)
    told = {(event.subject_id, event.kind) for event in events}
    assert told == {(one, "signature_request_all_signed") for one in signed} | {(declined, "signature_request_declined")}
    again, _ = every_event(backfill, cursor)
    assert {event.external_id for event in again} <= {event.external_id for event in events}
    pushed = [event for each in deliveries for event in instance.webhooks().events(each.body)]
    assert {(event.subject_id, event.kind) for event in pushed} <= told


def test_old_requests_are_listed_at_first_and_told_later_only_where_they_may_have_moved(
    sandbox: DropboxSignSandbox, form: dict[str, Any], vendor: Opened[DropboxSignSandbox]
) -> None:
    settings = DropboxSignSettings.model_validate({**form, "backfill_days": 30, "backfill_hours": 24})
    now = datetime.now(UTC)
    client = opened(DropboxSignClient(settings, ON_LOOPBACK))
    ages = {age: a_request(sandbox, age) for age in (0, 10, 300)}
    for age, request_id in ages.items():
        sandbox.requests[request_id]["created_at"] = int((now - timedelta(days=age)).timestamp())
    events, cursor = every_event(DropboxSignBackfill(client, now=lambda: now))
    assert {event.subject_id for event in events} == set(ages.values())
    calls = len(vendor.exchanges)
    assert every_event(DropboxSignBackfill(client, now=lambda: now + timedelta(hours=23)), cursor) == ([], cursor)
    assert len(vendor.exchanges) == calls
    sandbox.complete(ages[10])
    events, _ = every_event(DropboxSignBackfill(client, now=lambda: now + timedelta(hours=25)), cursor)
    assert {event.subject_id for event in events} == {ages[0], ages[10]}


def test_a_request_made_while_pages_are_read_pushes_none_out(sandbox: DropboxSignSandbox, instance: Instance) -> None:
    sandbox.largest_page = 2
    before = {a_request(sandbox, n) for n in range(5)}
    page = instance.backfill().missed(None)
    a_request(sandbox, 9)
    rest, _ = every_event(instance.backfill(), page.cursor)
    assert {event.subject_id for event in [*page.events, *rest]} >= before


def test_a_page_that_is_missing_is_no_empty_success(sandbox: DropboxSignSandbox, instance: Instance) -> None:
    a_request(sandbox)
    sandbox.largest_page = 0
    with pytest.raises(RetryLater):
        instance.backfill().missed(None)


@pytest.mark.parametrize(
    "cursor", ["", "not a cursor", '[1, {"since": "yesterday"}]', '[1, {"page": 0}]', '[1, {"since": "0001-01-01T00:00:00Z"}]']
)
def test_a_cursor_that_is_none_of_ours_is_refused(instance: Instance, cursor: str) -> None:
    with pytest.raises(Refused) as raised:
        instance.backfill().missed(cursor)
    assert raised.value.cause == "bad_cursor"


def test_refusals_are_as_the_vendor_describes_them(
    vendor: Opened[DropboxSignSandbox], sandbox: DropboxSignSandbox, signing: Signing
) -> None:
    request_id = a_request(sandbox)
    sandbox.complete(request_id)
    sandbox.preparing.add(request_id)
    with pytest.raises(RetryLater):
        signing.documents(request_id)
    with pytest.raises(NotFound):
        signing.status("0" * 40)
    with pytest.raises(Refused):
        signing.void(request_id, "too late")
    signing.void(other := a_request(sandbox, 2), "withdrawn")
    signing.status(other)
    spec = VendorSpec.load("dropbox-sign/dropbox-sign.pruned.json", prefix="/v3")
    assert {exchange.status for exchange in vendor.exchanges} == {200, 400, 404, 409, 410}
    for exchange in vendor.exchanges:
        spec.check(exchange)


def test_a_callback_is_as_the_vendor_describes_it(sandbox: DropboxSignSandbox) -> None:
    spec = VendorSpec.load("dropbox-sign/dropbox-sign.pruned.json")
    for delivery in (sandbox.complete(a_request(sandbox)), sandbox.decline(a_request(sandbox))):
        content = json.loads(form_field(delivery.body, "json"))
        assert set(content) == {"event", "signature_request"}
        spec._validate(content, {"$ref": "#/components/schemas/EventCallbackRequest"}, "callback")


@pytest.mark.parametrize(("reply", "is_received"), [(b"Hello API Event Received", True), (b'{"outcome":"accepted"}', False)])
def test_only_the_exact_reply_counts_as_received(sandbox: DropboxSignSandbox, reply: bytes, is_received: bool) -> None:
    delivery = sandbox.complete(a_request(sandbox))
    arrived: list[bytes] = []

    async def receiver(scope: Any, receive: Any, send: Any) -> None:
        arrived.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(reply))]})
        await send({"type": "http.response.body", "body": reply})

    with serve(receiver) as url:
        assert deliver(delivery, url) is is_received
    assert arrived == [delivery.body]
