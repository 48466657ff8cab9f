"""BambooHR's signature and payloads."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bamboohr.sandbox import PRIVATE_KEY, BambooHrSandbox
from connectors.bamboohr.settings import BambooHrSettings
from connectors.bamboohr.webhooks import SIGNATURE, TIMESTAMP, BambooHrWebhooks
from workforce.errors import BadSignature, UnusableContent

AT = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def webhooks(*keys: str) -> BambooHrWebhooks:
    return BambooHrWebhooks(
        BambooHrSettings(base_url="https://acme.example", api_key="key", webhook_private_keys=keys)  # type: ignore[arg-type]
    )


HOOKS = webhooks(PRIVATE_KEY)
HEADERS, BODY = BambooHrSandbox().webhook("employee.updated", "101", at=AT)


def test_a_signed_delivery_is_accepted_under_any_active_key() -> None:
    webhooks("the next key", PRIVATE_KEY).verify(HEADERS, BODY)


@pytest.mark.parametrize("missing", [SIGNATURE, TIMESTAMP])
def test_a_delivery_without_signature_or_timestamp_is_rejected(missing: str) -> None:
    with pytest.raises(BadSignature):
        HOOKS.verify({name: value for name, value in HEADERS.items() if name != missing}, BODY)


def test_the_timestamp_is_part_of_what_is_signed() -> None:
    with pytest.raises(BadSignature):
        HOOKS.verify({**HEADERS, TIMESTAMP: "2026-03-31T12:00:01Z"}, BODY)


@pytest.mark.parametrize("moved", [-3, -1, 1, 3, 20])
def test_what_is_signed_cannot_be_parted_elsewhere(moved: int) -> None:
    signed = BODY + HEADERS[TIMESTAMP].encode()
    forged, moment = signed[: len(BODY) + moved], signed[len(BODY) + moved :].decode()
    with pytest.raises(BadSignature):
        HOOKS.verify({**HEADERS, TIMESTAMP: moment}, forged)


def test_a_later_attempt_has_another_signature_and_the_same_identity() -> None:
    arrived = BambooHrSandbox().deliveries([("employee.updated", "101"), ("employee.updated", "101")], seed=1)
    for headers, body in arrived:
        HOOKS.verify(headers, body)
    assert len({headers[SIGNATURE] for headers, _ in arrived}) == len(arrived) > 2
    assert len({HOOKS.events(body)[0].external_id for _, body in arrived}) == 2


def test_without_a_configured_key_nothing_is_accepted() -> None:
    with pytest.raises(BadSignature, match="webhook_private_keys"):
        webhooks().verify(HEADERS, BODY)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_rejected(index: int, flip: int) -> None:
    forged = BODY[:index] + bytes([BODY[index] ^ flip]) + BODY[index + 1 :]
    with pytest.raises(BadSignature):
        HOOKS.verify(HEADERS, forged)


@given(st.text(), st.text())
def test_malformed_headers_are_a_bad_signature_and_never_a_crash(signature: str, timestamp: str) -> None:
    with pytest.raises(BadSignature):
        HOOKS.verify({SIGNATURE: signature, TIMESTAMP: timestamp}, BODY)


def test_an_event_names_the_employee_the_kind_and_the_vendors_time() -> None:
    (event,) = HOOKS.events(BODY)
    assert (event.kind, event.subject_id, event.occurred_at) == ("employee.updated", "101", AT)


def test_a_repeated_attempt_has_the_identity_of_the_first() -> None:
    assert HOOKS.events(BODY) == HOOKS.events(BODY)


def test_two_groups_of_fields_changed_in_one_second_are_two_events() -> None:
    other = json.dumps({**json.loads(BODY), "data": {"employeeId": "101", "changedFields": ["customShirt"]}}).encode()
    assert HOOKS.events(other)[0].external_id != HOOKS.events(BODY)[0].external_id


def test_the_older_payload_is_parked_with_what_to_do() -> None:
    with pytest.raises(UnusableContent, match=r"subscribe to employee\.created"):
        HOOKS.events(b'{"employees": [{"id": "101", "action": "Updated"}]}')


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda it: json.dumps(it).encode()))
def test_no_body_makes_it_crash(body: bytes) -> None:
    with pytest.raises(UnusableContent):
        HOOKS.events(body)
