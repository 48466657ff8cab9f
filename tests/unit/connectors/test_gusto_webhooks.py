"""Gusto's signature and payloads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gusto.sandbox import COMPANY_UUID, VERIFICATION_TOKEN, GustoSandbox
from connectors.gusto.settings import GustoSettings
from connectors.gusto.webhooks import SIGNATURE, GustoWebhooks
from workforce.errors import BadSignature, UnusableContent


def webhooks(*tokens: str) -> GustoWebhooks:
    form = {"base_url": "https://gusto.example", "company_uuid": COMPANY_UUID, "access_token": "token"}
    return GustoWebhooks(GustoSettings.model_validate({**form, "webhook_verification_tokens": tokens}))


HOOKS = webhooks(VERIFICATION_TOKEN)
HEADERS, BODY = GustoSandbox().webhook("contractor.updated", "c9fc1ad3", uuid="f7397a24")


def test_a_signed_delivery_is_accepted_under_any_active_token() -> None:
    webhooks("the next token", VERIFICATION_TOKEN).verify(HEADERS, BODY)


@pytest.mark.parametrize("headers", [{}, {SIGNATURE: ""}, {SIGNATURE: "sha256=00"}, {SIGNATURE: "Grüße"}])
def test_a_missing_or_malformed_signature_is_rejected(headers: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        HOOKS.verify(headers, BODY)


def test_without_a_configured_token_nothing_is_accepted() -> None:
    with pytest.raises(BadSignature, match="webhook_verification_tokens"):
        webhooks().verify(HEADERS, BODY)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_rejected(index: int, flip: int) -> None:
    with pytest.raises(BadSignature):
        HOOKS.verify(HEADERS, BODY[:index] + bytes([BODY[index] ^ flip]) + BODY[index + 1 :])


def test_an_event_is_identified_by_its_uuid_and_names_the_entity() -> None:
    (event,) = HOOKS.events(BODY)
    assert (event.external_id, event.kind, event.subject_id) == ("f7397a24", "contractor.updated", "c9fc1ad3")
    assert event.occurred_at is not None
    assert event.occurred_at.utcoffset() is not None


def test_an_event_of_another_company_of_the_application_is_none_of_ours() -> None:
    other = json.dumps({**json.loads(BODY), "resource_uuid": "92a20431-9489-4bde-ad27-6feb20b969d5"}).encode()
    assert HOOKS.events(other) == []
    assert len(HOOKS.events(json.dumps({**json.loads(BODY), "resource_uuid": COMPANY_UUID.upper()}).encode())) == 1


@given(
    st.binary(max_size=200)
    | st.fixed_dictionaries({"uuid": st.just("u"), "event_type": st.just("e"), "timestamp": st.integers()}).map(
        lambda event: json.dumps(event).encode()
    )
)
def test_no_body_makes_it_crash(body: bytes) -> None:
    with pytest.raises(UnusableContent):
        HOOKS.events(body)
