"""Sending, finding, voiding and catching up with DocuSign: what is particular to it, against its sandbox over TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Instance
from connectors.docusign import CONNECTOR
from connectors.docusign.sandbox import DocuSignSandbox
from connectors.docusign.signing import transaction_id
from connectors.docusign.trial import TRIAL
from connectors.suite.sandbox import Fault, FaultKind
from connectors.suite.scenes import every_event
from connectors.suite.trial import Opened, an_instance
from workforce.errors import NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.ports import MissedEvents, Signing
from workforce.signing import SigningParty, SigningRequest

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[Opened[DocuSignSandbox]]:
    with TRIAL.open(tmp_path) as vendor:
        yield vendor


@pytest.fixture
def sandbox(vendor: Opened[DocuSignSandbox]) -> DocuSignSandbox:
    return vendor.sandbox


@pytest.fixture
def instance(vendor: Opened[DocuSignSandbox]) -> Iterator[Instance]:
    with an_instance(CONNECTOR, vendor.settings, work_order_field="PO number") as instance:
        yield instance


@pytest.fixture
def signing(instance: Instance) -> Signing:
    return instance.signing()


@pytest.fixture
def backfill(instance: Instance) -> MissedEvents:
    return instance.backfill()


def sent(vendor: Opened[Any], method: str, path: str) -> Any:
    return json.loads(next(e for e in vendor.exchanges if e.method == method and e.path.endswith(path)).request_body)


def test_an_agreement_carries_marker_and_fields_as_json_strings(vendor: Opened[DocuSignSandbox], signing: Signing) -> None:
    envelope_id = signing.send(TRIAL.agreement(MARKER))
    definition = sent(vendor, "POST", "/envelopes")
    assert definition["status"] == "sent"
    assert definition["transactionId"] == transaction_id(MARKER)
    assert definition["customFields"]["textCustomFields"] == [
        {"name": "stint_marker", "value": MARKER, "show": "false", "required": "false"},
        {"name": "PO number", "value": "MSGXWO00001234", "show": "false", "required": "false"},
    ]
    fields: Any = signing.status(envelope_id).values["customFields"]
    assert {field["name"]: field["value"] for field in fields["textCustomFields"]}["stint_work_order"] == "MSGXWO00001234"


def test_a_field_that_is_too_long_for_the_vendor_is_named_before_anything_is_sent(
    vendor: Opened[DocuSignSandbox], signing: Signing
) -> None:
    request = TRIAL.agreement(MARKER)
    with pytest.raises(Refused) as raised:
        signing.send(SigningRequest(MARKER, request.template_id, "Agreement", request.parties, {"stint_work_order": "x" * 101}))
    assert "value" in str(raised.value.field)
    assert vendor.exchanges == []


def test_a_template_that_does_not_exist_or_has_other_roles_is_refused(sandbox: DocuSignSandbox, signing: Signing) -> None:
    request = TRIAL.agreement(MARKER)
    stranger = SigningParty("Supplier", "Ada Lovelace", "ada@mail.example")
    for wrong in (
        SigningRequest(MARKER, "no-such-template", "Agreement", request.parties),
        SigningRequest(MARKER, request.template_id, "Agreement", [stranger]),
    ):
        with pytest.raises(Refused) as raised:
            signing.send(wrong)
        assert "ada" not in str(raised.value)
    assert sandbox.effects.count("create_envelope") == 0


def test_a_lost_envelope_is_found_when_its_transaction_id_has_lapsed(sandbox: DocuSignSandbox, signing: Signing) -> None:
    sandbox.faults.plan(Fault(FaultKind.ERROR_AFTER, "POST", "/envelopes$"))
    with pytest.raises(OutcomeUnknown):
        signing.send(TRIAL.agreement(MARKER))
    (envelope,) = sandbox.envelopes.values()
    assert list(signing.find(MARKER)) == [envelope["envelopeId"]]
    envelope["transactionId"] = ""  # as after 7 days
    assert list(signing.find(MARKER)) == [envelope["envelopeId"]]


def test_a_lost_envelope_is_found_by_its_transaction_id_where_its_field_was_edited(
    sandbox: DocuSignSandbox, signing: Signing
) -> None:
    envelope_id = signing.send(TRIAL.agreement(MARKER))
    sandbox.envelopes[envelope_id]["customFields"]["textCustomFields"] = []
    assert list(signing.find(MARKER)) == [envelope_id]


def test_every_envelope_with_the_marker_is_found_page_by_page_and_no_other(sandbox: DocuSignSandbox, signing: Signing) -> None:
    sandbox.largest_page = 1
    mine = [signing.send(TRIAL.agreement(MARKER)) for _ in range(3)]
    signing.send(TRIAL.agreement("ST0123456789ABD"))
    signing.void(mine[0], "withdrawn")
    assert sorted(signing.find(MARKER)) == sorted(mine)


def test_an_envelope_is_not_seen_just_after_it_was_sent(sandbox: DocuSignSandbox, signing: Signing) -> None:
    sandbox.lag_seconds = 60
    envelope_id = signing.send(TRIAL.agreement(MARKER))
    assert list(signing.find(MARKER)) == []
    with pytest.raises(NotFound):
        signing.status(envelope_id)
    sandbox.lag_seconds = 0
    assert list(signing.find(MARKER)) == [envelope_id]


def test_a_voided_envelope_may_be_voided_again(sandbox: DocuSignSandbox, signing: Signing) -> None:
    envelope_id = signing.send(TRIAL.agreement(MARKER))
    signing.void(envelope_id, "withdrawn")
    signing.void(envelope_id, "withdrawn")
    assert sandbox.effects.count("void_envelope", envelope_id) == 1


def test_a_void_that_is_refused_for_another_reason_is_told_as_that(sandbox: DocuSignSandbox, signing: Signing) -> None:
    envelope_id = signing.send(TRIAL.agreement(MARKER))
    with pytest.raises(Refused) as raised:
        signing.void(envelope_id, "")
    assert raised.value.cause == "http_400"
    assert sandbox.effects.count("void_envelope") == 0


def test_a_document_that_was_cut_off_is_not_taken_for_the_agreement(sandbox: DocuSignSandbox, signing: Signing) -> None:
    envelope_id = signing.send(TRIAL.agreement(MARKER))
    sandbox.complete(envelope_id)
    sandbox.faults.plan(Fault(FaultKind.TRUNCATED_AFTER, "GET", "/combined$", times=4))
    with pytest.raises(RetryLater):
        signing.documents(envelope_id)


def test_an_outage_longer_than_the_retries_loses_no_envelope(sandbox: DocuSignSandbox, backfill: MissedEvents) -> None:
    before, cursor = every_event(backfill)
    assert before == []
    sandbox.largest_page = 2
    signed = [sandbox.create_envelope(f"WO-{n}", "Ada Lovelace", "ada@mail.example") for n in range(5)]
    for envelope_id in signed:
        sandbox.complete(envelope_id)
    events, cursor = every_event(backfill, cursor)
    assert {event.subject_id for event in events if event.kind == "envelope-completed"} == set(signed)
    again, _ = every_event(backfill, cursor)
    assert {event.external_id for event in again} <= {event.external_id for event in events}


def test_an_envelope_that_is_signed_between_two_pages_is_told_by_the_next_look(
    sandbox: DocuSignSandbox, backfill: MissedEvents
) -> None:
    sandbox.largest_page = 2
    envelopes = [sandbox.create_envelope(f"WO-{n}", "Ada Lovelace", "ada@mail.example") for n in range(6)]
    page = backfill.missed(None)
    sandbox.complete(envelopes[0])  # it stood on the last page and jumps to the first
    rest, cursor = every_event(backfill, page.cursor)
    told = {event.subject_id for event in [*page.events, *rest]}
    assert told >= set(envelopes) - {envelopes[0]}
    events, _ = every_event(backfill, cursor)
    assert (envelopes[0], "envelope-completed") in {(event.subject_id, event.kind) for event in events}


def test_messages_that_come_late_and_in_another_order_keep_their_names(sandbox: DocuSignSandbox, instance: Instance) -> None:
    deliveries = [sandbox.complete(sandbox.create_envelope(f"WO-{n}", "Ada Lovelace", "ada@mail.example")) for n in range(4)]
    late = sandbox.redeliveries(deliveries)
    webhooks = instance.webhooks()
    for delivery in late:
        webhooks.verify({name.lower(): value for name, value in delivery.headers.items()}, delivery.body)
    names = [{event.external_id for each in some for event in webhooks.events(each.body)} for some in (deliveries, late)]
    assert names[0] == names[1]
    assert [json.loads(each.body)["retryCount"] for each in late] == [1] * 4
    assert json.loads(late[0].body)["data"] == json.loads(deliveries[-1].body)["data"]


def test_a_page_that_is_missing_is_no_empty_success(sandbox: DocuSignSandbox, backfill: MissedEvents) -> None:
    sandbox.create_envelope("WO-1", "Ada Lovelace", "ada@mail.example")
    sandbox.largest_page = 0
    with pytest.raises(RetryLater):
        backfill.missed(None)


@pytest.mark.parametrize(
    "cursor", ["", "not a cursor", "{}x", '[1, {"since": "yesterday"}]', '[1, {"position": -1}]', '[1, {"since": 1e400}]']
)
def test_a_cursor_that_is_none_of_ours_is_refused(backfill: MissedEvents, cursor: str) -> None:
    with pytest.raises(Refused) as raised:
        backfill.missed(cursor)
    assert raised.value.cause == "bad_cursor"


def test_only_what_the_transaction_id_names_is_found_whatever_else_the_answer_holds(
    sandbox: DocuSignSandbox, signing: Signing
) -> None:
    signing.send(TRIAL.agreement("ST0123456789ABD"))
    sandbox.heeds_transaction_ids = False
    assert list(signing.find(MARKER)) == []
    envelope_id = signing.send(TRIAL.agreement(MARKER))
    assert list(signing.find(MARKER)) == [envelope_id]


def test_a_transaction_id_that_docusign_answers_with_an_error_names_no_envelope(
    sandbox: DocuSignSandbox, signing: Signing
) -> None:
    sandbox.tells_unknown_transactions = True
    assert list(signing.find(MARKER)) == []


def test_an_envelope_that_may_not_be_read_yet_keeps_no_other_from_being_voided(
    sandbox: DocuSignSandbox, signing: Signing
) -> None:
    polled, other = (signing.send(TRIAL.agreement(marker)) for marker in (MARKER, "ST0123456789ABD"))
    sandbox.polling_limit = 1
    signing.status(polled)
    with pytest.raises(RetryLater) as raised:
        signing.status(polled)
    assert raised.value.after_seconds == 900
    signing.void(other, "withdrawn")
    assert sandbox.effects.count("void_envelope", other) == 1


def test_documents_that_nobody_has_signed_are_not_given_as_the_agreement(sandbox: DocuSignSandbox, signing: Signing) -> None:
    envelope_id = signing.send(TRIAL.agreement(MARKER))
    with pytest.raises(Refused) as raised:
        signing.documents(envelope_id)
    assert raised.value.cause == "not_completed"
    sandbox.complete(envelope_id)
    assert signing.documents(envelope_id).startswith(b"%PDF-")


def test_a_declined_envelope_needs_no_void(sandbox: DocuSignSandbox, signing: Signing) -> None:
    envelope_id = signing.send(TRIAL.agreement(MARKER))
    sandbox.envelopes[envelope_id]["status"] = "declined"
    signing.void(envelope_id, "withdrawn")
    assert sandbox.effects.count("void_envelope") == 0


def test_the_next_look_never_begins_earlier_when_envelopes_are_gone(sandbox: DocuSignSandbox, backfill: MissedEvents) -> None:
    first, last = (sandbox.create_envelope(name, "Ada Lovelace", "ada@mail.example") for name in ("WO-1", "WO-2"))
    for envelope_id, hour in ((first, 12), (last, 13)):
        instant = f"2026-11-22T{hour}:30:00.0000000Z"
        sandbox.envelopes[envelope_id].update(statusChangedDateTime=instant, lastModifiedDateTime=instant)
    _, cursor = every_event(backfill)
    del sandbox.envelopes[last]
    _, later = every_event(backfill, cursor)
    assert json.loads(later) == json.loads(cursor) == [1, {"since": "2026-11-22T12:30:00Z"}]


def test_an_oddity_in_one_envelope_keeps_none_from_being_told(sandbox: DocuSignSandbox, backfill: MissedEvents) -> None:
    envelopes = {sandbox.create_envelope(f"WO-{n}", "Ada Lovelace", "ada@mail.example") for n in range(3)}
    sandbox.envelopes[min(envelopes)].update(emailSubject=7, completedDateTime="not yet", voidedReason=[])
    events, _ = every_event(backfill)
    assert {event.subject_id for event in events} == envelopes


@pytest.mark.parametrize("odd", ["..", ".", "a/b", "\ud800", "", "e" * 65])
def test_what_is_no_envelope_id_is_not_put_into_an_address(vendor: Opened[DocuSignSandbox], signing: Signing, odd: str) -> None:
    for call in (signing.status, signing.documents, lambda one: signing.void(one, "withdrawn")):
        with pytest.raises(NotFound):
            call(odd)
    assert not any(e.path.startswith("/restapi") for e in vendor.exchanges)


@pytest.mark.parametrize("base_uri", ["https://[", "https://", "http://na4.docusign.net", "na4.docusign.net", "https://a b"])
def test_a_regional_server_that_is_no_address_is_an_unreadable_answer(
    sandbox: DocuSignSandbox, signing: Signing, base_uri: str
) -> None:
    sandbox.base_uri = base_uri
    with pytest.raises(RetryLater) as raised:
        signing.find(MARKER)
    assert raised.value.cause == "unreadable_answer"
