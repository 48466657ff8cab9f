"""Greenhouse's signature and payloads."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.greenhouse.sandbox import WEBHOOK_SECRET, GreenhouseSandbox
from connectors.greenhouse.settings import GreenhouseSettings
from connectors.greenhouse.webhooks import SIGNATURE, GreenhouseWebhooks
from workforce.errors import BadSignature, UnusableContent


def webhooks(*webhook_secrets: str) -> GreenhouseWebhooks:
    form = {"client_id": "client", "client_secret": "client-secret", "webhook_secrets": webhook_secrets}
    return GreenhouseWebhooks(GreenhouseSettings.model_validate(form))


SANDBOX = GreenhouseSandbox()
HIRED = SANDBOX.hire(1)
HOOKS = webhooks(WEBHOOK_SECRET)
HEADERS, BODY = SANDBOX.webhook("hire_candidate", HIRED)
SIGNED = HEADERS[SIGNATURE]


def test_a_signed_delivery_is_accepted_under_any_active_secret() -> None:
    webhooks("the next secret", WEBHOOK_SECRET).verify(HEADERS, BODY)


@pytest.mark.parametrize(
    "value",
    [
        "",
        SIGNED.replace(" ", "="),
        SIGNED.replace(" ", "  "),
        SIGNED.removeprefix("sha256 "),
        SIGNED.upper(),
        SIGNED + " ",
        "Grüße",
    ],
    ids=[
        "empty",
        "equals",
        "two blanks",
        "no scheme",
        "upper case",
        "blank behind",
        "no ASCII",
    ],  # the signature differs with each run
)
def test_only_the_documented_form_of_the_header_is_accepted(value: str) -> None:
    with pytest.raises(BadSignature):
        HOOKS.verify({SIGNATURE: value}, BODY)


def test_without_a_configured_secret_nothing_is_accepted() -> None:
    with pytest.raises(BadSignature, match="webhook_secrets"):
        webhooks().verify(HEADERS, BODY)


def test_escapes_are_part_of_what_is_signed() -> None:
    assert b"\\u003cp\\u003e" in BODY
    with pytest.raises(BadSignature):
        HOOKS.verify(HEADERS, json.dumps(json.loads(BODY)).encode())


def test_the_ping_and_what_is_about_no_application_give_no_events() -> None:
    headers, body = SANDBOX.webhook("ping", HIRED)
    HOOKS.verify(headers, body)
    assert HOOKS.events(body) == []
    assert HOOKS.events(b'{"action": "job_created", "payload": {"job": {"id": 1}}}') == []
    assert HOOKS.events(b'{"action": "delete_candidate", "payload": {"person": {"id": 1, "deleted_application_ids": []}}}') == []


@pytest.mark.parametrize(
    "action", ["hire_candidate", "unhire_candidate", "candidate_stage_change", "offer_updated", "offer_deleted"]
)
def test_an_event_names_the_application_wherever_the_action_has_it(action: str) -> None:
    (event,) = HOOKS.events(SANDBOX.webhook(action, HIRED)[1])
    assert (event.kind, event.subject_id) == (action, HIRED)


def test_a_deleted_candidate_is_an_event_for_each_application() -> None:
    body = b'{"action": "delete_candidate", "payload": {"person": {"id": 1, "deleted_application_ids": [46196263, 46196258]}}}'
    events = HOOKS.events(body)
    assert [event.subject_id for event in events] == ["46196263", "46196258"]
    assert len({event.external_id for event in events}) == 2


@given(st.randoms(use_true_random=False))
def test_redeliveries_in_any_order_have_the_identity_of_the_first_and_changes_have_another(chance: random.Random) -> None:
    sandbox = GreenhouseSandbox()
    application_id = sandbox.hire(1)
    sandbox.webhook("offer_created", application_id)
    sandbox.revise_offer(application_id, starts_on="2026-03-09")
    sandbox.webhook("offer_updated", application_id)
    sandbox.revise_offer(application_id, starts_on="2026-03-16")
    sandbox.webhook("offer_updated", application_id)
    arrived = [HOOKS.events(body)[0].external_id for _, body in sandbox.deliveries(chance)]
    assert len(arrived) >= len(set(arrived)) == 3


@pytest.mark.parametrize("application_id", [10**30, 0, -1, True, 7.0, "7", None, [7]])
def test_what_is_no_id_of_an_application_is_none(application_id: object) -> None:
    body = json.dumps({"action": "hire_candidate", "payload": {"application": {"id": application_id}}}).encode()
    with pytest.raises(UnusableContent):
        HOOKS.events(body)


@given(st.binary(max_size=200))
def test_no_body_makes_it_crash(body: bytes) -> None:
    with pytest.raises(UnusableContent):
        HOOKS.events(body)


@given(st.sampled_from(["hire_candidate", "offer_deleted", "delete_application"]), st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(max_value=0),
    lambda inner: st.dictionaries(st.sampled_from(["application", "offer", "person", "id", "application_id"]), inner, max_size=3),
    max_leaves=6,
))  # fmt: skip
def test_a_payload_without_an_application_is_said_to_be_unusable(action: str, payload: object) -> None:
    with pytest.raises(UnusableContent):
        HOOKS.events(json.dumps({"action": action, "payload": payload}).encode())
