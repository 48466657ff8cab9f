"""Dropbox Sign's callbacks: who may send them, what they prove, and what they say."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.dropboxsign.sandbox import CallbackDelivery, DropboxSignSandbox
from connectors.dropboxsign.settings import DropboxSignSettings
from connectors.dropboxsign.webhooks import DropboxSignCallbacks
from connectors.webhooks import form_field
from workforce.errors import BadSignature, UnusableContent

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def sandbox() -> DropboxSignSandbox:
    return DropboxSignSandbox()


@pytest.fixture(scope="module")
def callbacks(sandbox: DropboxSignSandbox) -> DropboxSignCallbacks:
    return DropboxSignCallbacks(DropboxSignSettings.model_validate(sandbox.settings("https://localhost", Path("ca.pem"))))


@pytest.fixture(scope="module")
def delivery(sandbox: DropboxSignSandbox) -> CallbackDelivery:
    return sandbox.complete(sandbox.create_request("WO-1", "Ada Lovelace", "ada@mail.example"))


def changed(sandbox: DropboxSignSandbox, delivery: CallbackDelivery, **event: Any) -> bytes:
    """The body with fields of ``event`` replaced, or taken away with ``None``."""
    content = json.loads(form_field(delivery.body, "json"))
    content["event"] = {name: value for name, value in {**content["event"], **event}.items() if value is not None}
    return sandbox.wrap(content).body


def test_the_vendors_own_example_is_believed() -> None:
    key = "324e3b0840f065eb51f3fd63231d0d33daa35d4ed10d27718839e81737065782"  # of the SDKs' example, in no use
    event_hash = "ff8b03439122f9160500c3fb855bdee5a9ccba5fff27d3b258745d8f3074832f"
    event = {"event_type": "account_confirmed", "event_time": "1669926463", "event_hash": event_hash}
    delivery = DropboxSignSandbox().wrap({"event": event})
    callbacks = DropboxSignCallbacks(DropboxSignSettings.model_validate({"api_key": key}))
    callbacks.verify({}, delivery.body)
    assert list(callbacks.events(delivery.body)) == []


def test_a_completed_request_is_one_event_about_it(
    callbacks: DropboxSignCallbacks, sandbox: DropboxSignSandbox, delivery: CallbackDelivery
) -> None:
    callbacks.verify(delivery.headers, delivery.body)
    (event,) = callbacks.events(delivery.body)
    (request_id,) = sandbox.requests
    assert (event.kind, event.subject_id) == ("signature_request_all_signed", request_id)
    assert event.occurred_at is not None
    assert event.external_id == f"{request_id}:{event.kind}:{int(event.occurred_at.timestamp())}"


def test_the_reply_is_the_text_that_the_vendor_waits_for() -> None:
    assert DropboxSignCallbacks.reply == b"Hello API Event Received"


def test_a_callback_signed_with_the_key_before_this_one_is_believed_and_with_no_other(
    callbacks: DropboxSignCallbacks, sandbox: DropboxSignSandbox
) -> None:
    request_id = sandbox.create_request("WO-1", "Ada Lovelace", "ada@mail.example")
    callbacks.verify({}, sandbox.callback(request_id, "signature_request_viewed", key=sandbox.earlier_api_key).body)
    with pytest.raises(BadSignature):
        callbacks.verify({}, sandbox.callback(request_id, "signature_request_viewed", key="0" * 64).body)


def test_requests_signers_and_kinds_of_one_second_are_told_apart(
    callbacks: DropboxSignCallbacks, sandbox: DropboxSignSandbox
) -> None:
    requests = [sandbox.create_request(f"WO-{n}", "Ada Lovelace", "ada@mail.example") for n in range(2)]
    deliveries = [
        sandbox.callback(request_id, kind, related=related, at=NOON)
        for request_id in requests
        for kind, related in (
            ("signature_request_signed", "s-1"),
            ("signature_request_signed", "s-2"),
            ("signature_request_sent", None),
        )
    ]
    assert (
        len({json.loads(form_field(each.body, "json"))["event"]["event_hash"] for each in deliveries}) == 2
    )  # the hash tells nothing apart
    assert len({event.external_id for each in deliveries for event in callbacks.events(each.body)}) == 6


def test_a_callback_that_comes_again_late_and_in_another_order_keeps_its_name(
    callbacks: DropboxSignCallbacks, sandbox: DropboxSignSandbox
) -> None:
    requests = [sandbox.create_request(f"WO-{n}", "Ada Lovelace", "ada@mail.example") for n in range(3)]
    first = [sandbox.complete(request_id) for request_id in requests]
    late = sandbox.redeliveries(first)
    for each in late:
        callbacks.verify(each.headers, each.body)
    names = [[event.external_id for each in some for event in callbacks.events(each.body)] for some in (first, late)]
    assert names[1] == list(reversed(names[0]))


def test_digits_cannot_wander_from_the_time_into_the_type(
    callbacks: DropboxSignCallbacks, sandbox: DropboxSignSandbox, delivery: CallbackDelivery
) -> None:
    event = json.loads(form_field(delivery.body, "json"))["event"]
    time_, kind = event["event_time"], event["event_type"]
    forged = changed(sandbox, delivery, event_time=time_[:-1], event_type=time_[-1] + kind)
    with pytest.raises(BadSignature):
        callbacks.verify({}, forged)


@pytest.mark.parametrize(
    "event",
    [
        {"event_time": "1"},
        {"event_time": 1},
        {"event_time": None},
        {"event_time": "9" * 40},
        {"event_time": "\uff11\uff12"},
        {"event_type": "signature_request_declined"},
        {"event_type": ["signature_request_all_signed"]},
        {"event_type": "signature_request_all_signed\n"},
        {"event_hash": None},
        {"event_hash": ""},
        {"event_hash": "\ud83d\ude00"},
        {"event_hash": 7},
    ],
)
def test_an_event_that_was_changed_is_not_believed(
    callbacks: DropboxSignCallbacks, sandbox: DropboxSignSandbox, delivery: CallbackDelivery, event: dict[str, Any]
) -> None:
    with pytest.raises(BadSignature):
        callbacks.verify({}, changed(sandbox, delivery, **event))


def multipart(*parts: bytes, boundary: bytes = b"x", end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + end


FIELD = b'Content-Disposition: form-data; name="json"\r\n\r\n'


@pytest.mark.parametrize(
    "body",
    [
        multipart(FIELD + b"{}"),
        multipart(b"Content-Length: 2\r\ncontent-disposition:form-data;name=json\r\n\r\n{}"),
        multipart(b'Content-Disposition: form-data; name="other"\r\n\r\n1', FIELD + b"{}"),
    ],
)
def test_the_field_json_is_found_among_others(body: bytes) -> None:
    assert form_field(body, "json") == b"{}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"--\r\n",
        b"--x",
        multipart(),
        multipart(FIELD + b"{}", end=b""),
        multipart(FIELD + b"{}", end=b"--x\r\n"),
        multipart(FIELD + b"{}", FIELD + b"{}"),
        multipart(FIELD + b"{}", boundary=b"x" * 71, end=b"--" + b"x" * 71 + b"--"),
        multipart(b'Content-Disposition: form-data; name="json"; name="other"\r\n\r\n{}'),
        multipart(b'Content-Disposition: form-data; name="json"\n\n{}'),
        multipart(b'X: Content-Disposition: form-data; name="json"\r\n\r\n{}'),
    ],
)
def test_a_body_that_is_not_plainly_one_field_json_is_rejected(callbacks: DropboxSignCallbacks, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no boundary|not one field json"):
        form_field(body, "json")
    with pytest.raises(BadSignature):
        callbacks.verify({"content-type": "multipart/form-data; boundary=x"}, body)
    with pytest.raises(UnusableContent):
        callbacks.events(body)


def test_parts_within_parts_are_read_once_and_not_descended_into(callbacks: DropboxSignCallbacks) -> None:
    nested = b"".join(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(20_000))
    with pytest.raises(BadSignature):
        callbacks.verify({}, nested + b"x\r\n" * 10_000)


@given(content=st.binary(max_size=300))
@example(content=b"[" * 100_000)
@example(content=b'{"event": {"event_time": "\xff"}}')
@example(content=b'{"event": {"event_time": "1", "event_type": "\\ud800", "event_hash": ""}}')
def test_whatever_the_field_holds_it_is_a_bad_signature_and_never_a_crash(
    callbacks: DropboxSignCallbacks, content: bytes
) -> None:
    for body in (content, multipart(FIELD + content)):
        with pytest.raises(BadSignature):
            callbacks.verify({}, body)


def test_no_mutation_changes_what_is_signed(
    callbacks: DropboxSignCallbacks, sandbox: DropboxSignSandbox, delivery: CallbackDelivery
) -> None:
    source, signed = random.Random(20_261_122), ("event_time", "event_type", "event_hash")  # noqa: S311 - repeatable, not secret
    original = json.loads(form_field(delivery.body, "json"))["event"]
    for _ in range(3_000):
        at = source.randrange(len(delivery.body))
        forged = delivery.body[:at] + bytes([source.randrange(256)]) + delivery.body[at + source.randrange(2) :]
        try:
            callbacks.verify({}, forged)
        except BadSignature:
            continue
        event = json.loads(form_field(forged, "json"))["event"]
        assert [event[name] for name in signed] == [original[name] for name in signed]


def test_tests_and_news_of_the_account_are_no_events(callbacks: DropboxSignCallbacks, sandbox: DropboxSignSandbox) -> None:
    for kind in ("callback_test", "account_confirmed", "template_created"):
        body = sandbox.wrap({"event": sandbox.event(kind)}).body
        callbacks.verify({}, body)
        assert list(callbacks.events(body)) == []


@pytest.mark.parametrize("subject", [{}, {"signature_request_id": ""}, {"signature_request_id": 7}, "canary"])
def test_a_callback_that_does_not_name_its_request_is_stored_and_parked(
    callbacks: DropboxSignCallbacks, sandbox: DropboxSignSandbox, subject: object
) -> None:
    body = sandbox.wrap({"event": sandbox.event("signature_request_sent"), "signature_request": subject}).body
    callbacks.verify({}, body)
    with pytest.raises(UnusableContent) as raised:
        callbacks.events(body)
    assert str(raised.value.field).startswith("signature_request")
    assert "canary" not in str(raised.value)
