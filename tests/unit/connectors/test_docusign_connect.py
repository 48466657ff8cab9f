"""DocuSign Connect messages: who may send them, and what they say."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.docusign.sandbox import ConnectDelivery, DocuSignSandbox
from connectors.docusign.settings import DocuSignSettings
from connectors.docusign.webhooks import DocuSignConnect
from workforce.errors import BadSignature, UnusableContent


@pytest.fixture(scope="module")
def sandbox() -> DocuSignSandbox:
    return DocuSignSandbox()


@pytest.fixture(scope="module")
def connect(sandbox: DocuSignSandbox) -> DocuSignConnect:
    return DocuSignConnect(DocuSignSettings.model_validate(sandbox.settings("https://localhost", Path("ca.pem"))))


@pytest.fixture(scope="module")
def delivery(sandbox: DocuSignSandbox) -> ConnectDelivery:
    return sandbox.complete(sandbox.create_envelope("WO-1", "Ada Lovelace", "ada@mail.example"))


def lower(delivery: ConnectDelivery) -> dict[str, str]:
    return {name.lower(): value for name, value in delivery.headers.items()}


def changed(delivery: ConnectDelivery, **changes: Any) -> bytes:
    """The body with fields replaced, or taken away with ``None``; ``data__envelopeId`` reaches into ``data``."""
    message = json.loads(delivery.body)
    for path, value in changes.items():
        *outer, name = path.split("__")
        place = message["data"] if outer else message
        if value is None:
            place.pop(name, None)
        else:
            place[name] = value
    return json.dumps(message).encode()


def test_a_completed_envelope_is_one_event_about_the_envelope(connect: DocuSignConnect, delivery: ConnectDelivery) -> None:
    connect.verify(lower(delivery), delivery.body)
    (event,) = connect.events(delivery.body)
    message = json.loads(delivery.body)
    assert event.kind == "envelope-completed"
    assert event.subject_id == message["data"]["envelopeId"]
    assert event.external_id == f"{event.subject_id}:envelope-completed:{message['generatedDateTime']}"
    assert event.occurred_at is not None
    assert event.occurred_at.tzinfo is UTC


def test_a_delivery_that_is_repeated_has_the_same_identity(connect: DocuSignConnect, delivery: ConnectDelivery) -> None:
    again = changed(delivery, retryCount=3)
    assert connect.events(again)[0].external_id == connect.events(delivery.body)[0].external_id


def test_two_parties_of_one_moment_are_told_apart(connect: DocuSignConnect, delivery: ConnectDelivery) -> None:
    bodies = [changed(delivery, event="recipient-completed", data__recipientId=party) for party in ("1", "2", 3, None)]
    assert len({connect.events(body)[0].external_id for body in bodies}) == 4


@pytest.mark.parametrize("odd", ["\ud800", "e\x00", "../users", "e" * 65])
def test_an_envelope_id_that_nothing_could_keep_is_unusable(
    connect: DocuSignConnect, delivery: ConnectDelivery, odd: str
) -> None:
    with pytest.raises(UnusableContent):
        connect.events(changed(delivery, data__envelopeId=odd))


def test_either_active_key_is_enough(connect: DocuSignConnect, delivery: ConnectDelivery) -> None:
    for name, value in lower(delivery).items():
        if name.startswith("x-docusign-signature-"):
            connect.verify({name: value}, delivery.body)


def test_a_body_that_was_changed_on_the_way_is_rejected(connect: DocuSignConnect, delivery: ConnectDelivery) -> None:
    with pytest.raises(BadSignature):
        connect.verify(lower(delivery), changed(delivery, event="envelope-voided"))


def test_another_accounts_keys_are_rejected(connect: DocuSignConnect, delivery: ConnectDelivery) -> None:
    with pytest.raises(BadSignature):
        connect.verify(lower(DocuSignSandbox().sign(delivery.body)), delivery.body)


@given(
    signature=st.text(st.characters(exclude_categories=()), max_size=60)
    | st.binary(max_size=40).map(base64.b64encode).map(bytes.decode)
)
@example(signature="\ud800")
def test_a_made_up_signature_is_rejected(connect: DocuSignConnect, delivery: ConnectDelivery, signature: str) -> None:
    with pytest.raises(BadSignature):
        connect.verify({"x-docusign-signature-1": signature}, delivery.body)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event": None}, "event"),
        ({"event": ""}, "event"),
        ({"event": 7}, "event"),
        ({"generatedDateTime": None}, "generatedDateTime"),
        ({"generatedDateTime": "yesterday"}, "generatedDateTime"),
        ({"generatedDateTime": "2026-03-01T12:00:00"}, "generatedDateTime"),
        ({"data": None}, "data"),
        ({"data": "canary"}, "data"),
        ({"data__envelopeId": None}, "data.envelopeId"),
        ({"data__accountId": None}, "data.accountId"),
        ({"data__accountId": "canary"}, "data.accountId"),
    ],
)
def test_a_message_that_lacks_something_names_the_field(
    connect: DocuSignConnect, delivery: ConnectDelivery, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(UnusableContent) as raised:
        connect.events(changed(delivery, **changes))
    assert raised.value.field == field
    assert field in str(raised.value)
    assert "canary" not in str(raised.value)


@given(body=st.binary(max_size=200))
@example(body=b"[" * 100_000)
@example(body=b"[]")
@example(body=b"null")
@example(body=b"<DocuSignEnvelopeInformation/>")
def test_a_body_that_is_no_message_is_unusable_and_never_a_crash(connect: DocuSignConnect, body: bytes) -> None:
    with pytest.raises(UnusableContent):
        connect.events(body)


def test_the_account_id_is_compared_without_regard_to_case(connect: DocuSignConnect, delivery: ConnectDelivery) -> None:
    account = json.loads(delivery.body)["data"]["accountId"].upper()
    assert connect.events(changed(delivery, data__accountId=account))


def test_seven_fractional_digits_are_read(connect: DocuSignConnect, delivery: ConnectDelivery) -> None:
    (event,) = connect.events(changed(delivery, generatedDateTime="2026-03-01T12:00:00.1234567Z"))
    assert event.occurred_at == datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
