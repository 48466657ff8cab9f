"""Checkr's signature and payloads."""

from __future__ import annotations

import hashlib
import hmac
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.checkr.sandbox import API_KEY, CheckrSandbox
from connectors.checkr.settings import CheckrSettings
from connectors.checkr.webhooks import SIGNATURE, CheckrWebhooks
from workforce.errors import BadSignature, UnusableContent


def webhooks(*keys: str) -> CheckrWebhooks:
    return CheckrWebhooks(CheckrSettings.model_validate({"api_key": keys[0], "webhook_keys": keys[1:]}))


def finished(*, include_object: bool = True) -> tuple[CheckrSandbox, str]:
    """An account in which one report was finished, and the candidate."""
    sandbox = CheckrSandbox()
    sandbox.include_object = include_object
    candidate_id = sandbox.ordered_by_hand("ST0123456789ABC")
    sandbox.finish(sandbox.fill_in(candidate_id))
    return sandbox, candidate_id


SANDBOX, CANDIDATE = finished()
HOOKS = webhooks(API_KEY)
HEADERS, BODY = SANDBOX.outbox[-1]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def signature(key: str, message: bytes) -> dict[str, str]:
    return {SIGNATURE: hmac.new(key.encode(), message, hashlib.sha256).hexdigest()}


def test_the_vendors_own_example_is_accepted() -> None:
    headers = {SIGNATURE: "b7412f05e981a473b5ecbdb5393afaea02a679db6d7c8e56803512ec4ba98151"}
    webhooks("test-secret").verify(headers, b'{"monday":"75F","tuesday":"80F"}')
    webhooks("test-secret").verify(headers, b'{"monday": "75F", "tuesday": "80F"}')


def test_a_key_that_is_being_replaced_still_signs() -> None:
    webhooks("the next key", API_KEY).verify(HEADERS, BODY)


@given(json_values)
def test_a_body_in_one_of_the_usual_layouts_is_accepted_by_its_compact_form(content: object) -> None:
    headers = signature(API_KEY, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
    HOOKS.verify(headers, json.dumps(content, ensure_ascii=False).encode())
    HOOKS.verify(headers, json.dumps(content, ensure_ascii=False, indent=2).encode())


@pytest.mark.parametrize(
    "body", [BODY + b" ", b"\n" + BODY, BODY.replace(b",", b" ,", 1), BODY.replace(b":", b": ", 1), BODY[:-1]]
)
def test_a_stray_byte_is_rejected_even_where_json_would_not_mind(body: bytes) -> None:
    with pytest.raises(BadSignature):
        HOOKS.verify(HEADERS, body)


@given(st.binary(max_size=100) | st.sampled_from([b"[" * 100_000, b"\xff", b'"\\ud800"', b"1" * 5000, b"NaN"]))
def test_what_is_not_signed_is_rejected_whatever_it_is(body: bytes) -> None:
    with pytest.raises(BadSignature):
        HOOKS.verify(HEADERS, body)


@pytest.mark.parametrize("headers", [{}, {SIGNATURE: ""}, {SIGNATURE: "sha256=00"}, {SIGNATURE: "Grüße"}])
def test_a_missing_or_malformed_signature_is_rejected(headers: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        HOOKS.verify(headers, BODY)


def test_an_event_is_about_the_order_whatever_object_it_names() -> None:
    events = [event for _, body in SANDBOX.outbox for event in HOOKS.events(body)]
    assert [event.kind for event in events] == [
        "invitation.created",
        "invitation.completed",
        "report.created",
        "report.completed",
    ]
    assert {event.subject_id for event in events} == {CANDIDATE}
    assert all(event.occurred_at is not None for event in events)


def test_an_event_without_its_object_names_the_object() -> None:
    sandbox, _ = finished(include_object=False)
    (report_id,) = sandbox.reports
    events = [event for _, body in sandbox.outbox for event in HOOKS.events(body)]
    assert events[-1].subject_id == f"reports/{report_id}"
    assert events[0].subject_id.startswith("invitations/")


@given(st.randoms(use_true_random=False))
def test_what_comes_twice_and_in_any_order_has_one_identity_each(chance: random.Random) -> None:
    arrived = [HOOKS.events(body)[0].external_id for _, body in SANDBOX.deliveries(chance)]
    assert len(set(arrived)) == len(SANDBOX.outbox)


def test_a_candidate_is_its_own_subject_and_other_objects_are_left_alone() -> None:
    def about(kind: str) -> bytes:
        return json.dumps({"id": "e1", "type": f"{kind}.updated", "data": {"object": {"id": "x1", "object": kind}}}).encode()

    assert [event.subject_id for event in HOOKS.events(about("candidate"))] == ["x1"]
    assert HOOKS.events(about("continuous_check")) == []


def test_an_event_whose_identity_no_index_could_hold_is_unusable() -> None:
    body = {"id": "e" * 5000, "type": "report.completed", "data": {"object": {"id": "r1", "object": "report"}}}
    with pytest.raises(UnusableContent, match="id"):
        HOOKS.events(json.dumps(body).encode())


@given(st.binary(max_size=200) | json_values.map(lambda content: json.dumps(content).encode()))
def test_no_body_makes_it_crash(body: bytes) -> None:
    with pytest.raises(UnusableContent):
        HOOKS.events(body)
