"""Deel's webhooks: what is signed, and which hints come of it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from connectors.deel.settings import DeelSettings
from connectors.deel.webhooks import SIGNATURE, DeelWebhooks
from workforce.errors import BadSignature, UnusableContent

OLD, NEW = "the-old-signing-key", "the-new-signing-key"


@pytest.fixture
def webhooks() -> DeelWebhooks:
    return DeelWebhooks(DeelSettings.model_validate({"access_token": "organisation-token", "webhook_signing_keys": [OLD, NEW]}))


def body(resource: object, kind: str = "contract.status.updated", **changes: Any) -> bytes:
    meta = {"event_type": kind, "organization_id": "org"}
    return json.dumps({"data": {"meta": meta, "resource": resource}, "timestamp": "2026-11-22T10:00:00.000Z", **changes}).encode()


def signed(key: str, content: bytes) -> dict[str, str]:
    return {SIGNATURE: hmac.new(key.encode(), content, hashlib.sha256).hexdigest()}


@pytest.mark.parametrize("key", [OLD, NEW])
def test_the_method_and_the_body_are_signed_with_any_active_key(webhooks: DeelWebhooks, key: str) -> None:
    content = body([{"contract_id": "c1"}])
    webhooks.verify(signed(key, b"POST" + content), content)


@pytest.mark.parametrize("prefix", [b"", b"post", b"GET", b"POST "])
def test_a_signature_of_anything_else_is_bad(webhooks: DeelWebhooks, prefix: bytes) -> None:
    content = body([{"contract_id": "c1"}])
    with pytest.raises(BadSignature):
        webhooks.verify(signed(NEW, prefix + content), content)


def test_without_a_key_nothing_is_believed() -> None:
    content = body([{"contract_id": "c1"}])
    with pytest.raises(BadSignature):
        DeelWebhooks(DeelSettings.model_validate({"access_token": "organisation-token"})).verify(signed("", content), content)


@pytest.mark.parametrize(
    ("resource", "kind", "subjects"),
    [
        ([{"contract_id": "c1"}, {"contract_id": "c2"}, {"contract_id": "c1"}], "contract.status.updated", ["c1", "c2"]),
        ({"contract": {"id": "c3"}}, "amendment.signed", ["c3"]),
        ({"contract": {"id": 33}}, "amendment.signed", ["33"]),
        ([{"id": 4}], "contract.created", ["4"]),
        ([{"id": "t1"}], "timesheet.created", []),
        ([], "contract.created", []),
        ([{"contract": "c5"}], "invoice.paid", []),
    ],
)
def test_each_contract_in_a_delivery_gives_one_hint(
    webhooks: DeelWebhooks, resource: object, kind: str, subjects: list[str]
) -> None:
    events = webhooks.events(body(resource, kind))
    assert [event.subject_id for event in events] == subjects
    assert len({event.external_id for event in events}) == len(subjects)


def test_the_same_status_at_another_time_is_another_event(webhooks: DeelWebhooks) -> None:
    first, again = body([{"contract_id": "c1"}]), body([{"contract_id": "c1"}], timestamp="2026-11-23T10:00:00.000Z")
    assert webhooks.events(first)[0].external_id != webhooks.events(again)[0].external_id


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"data": {}}',
        body("c1"),
        body([{"id": {}}]),
        body([{}], kind=""),
        body([{}], timestamp="yesterday"),
        body([{"contract_id": "c1"}], timestamp=None),
        body([{"status": "completed"}]),
        body([{"contract_id": "c1\x00"}]),
        body([{"contract_id": "../people"}], kind="invoice.paid"),
        body([{"contract_id": "c" * 65}]),
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_not_as_described_is_unusable(webhooks: DeelWebhooks, content: bytes) -> None:
    with pytest.raises(UnusableContent):
        webhooks.events(content)
