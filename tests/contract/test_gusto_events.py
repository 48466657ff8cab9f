"""Gusto's events and webhook subscriptions, which want the application's own token, against the vendor's description."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.contract import Instance
from connectors.gusto import CONNECTOR
from connectors.gusto.client import GustoClient
from connectors.gusto.sandbox import VERIFICATION_TOKEN, GustoSandbox
from connectors.gusto.subscriptions import WebhookSubscriptions, verification_in
from connectors.gusto.trial import TRIAL
from connectors.suite.sandbox import Fault, FaultKind
from connectors.suite.scenes import every_event
from connectors.suite.trial import Opened, an_instance
from tests.contract.specs import VendorSpec
from workforce.errors import Misconfigured, OutcomeUnknown, Refused, UnusableContent
from workforce.ports import MissedEvents

pytestmark = pytest.mark.integration

HOOK = "https://hub.acme.example/hooks/gusto"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[GustoSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def instance(opened: Opened[GustoSandbox]) -> Iterator[Instance]:
    with an_instance(CONNECTOR, opened.settings) as instance:
        yield instance


@pytest.fixture
def subscriptions(instance: Instance) -> WebhookSubscriptions:
    assert isinstance(instance.client, GustoClient)
    return WebhookSubscriptions(instance.client)


def as_described(opened: Opened[GustoSandbox]) -> None:
    spec = VendorSpec.load("gusto/gusto-app-integrations.v2025-06-15.pruned.json")
    for exchange in opened.exchanges:
        if exchange.path == "/oauth/token":  # its answer is described as exactly one of two shapes, and fits both
            spec._check_request_body(exchange, spec.operation(exchange))
        else:
            spec.check(exchange)


def everything(backfill: MissedEvents, cursor: str | None = None) -> tuple[list[str], str]:
    events, cursor = every_event(backfill, cursor)
    return [event.external_id for event in events], cursor


def an_hour_apart(sandbox: GustoSandbox) -> None:
    for number, event in enumerate(sandbox.events):
        event["timestamp"] = 1_790_000_000 + 3600 * number


def test_every_event_is_told_once_in_order_across_pages(opened: Opened[GustoSandbox], instance: Instance) -> None:
    opened.sandbox.per_limit = 3
    for number in range(8):
        opened.sandbox.webhook("contractor.updated", f"c-{number}", uuid=f"e-{number}")
    an_hour_apart(opened.sandbox)
    opened.sandbox.webhook("payroll.submitted", "p-1", uuid="of no use to us")
    told, cursor = everything(instance.backfill())
    assert told == [f"e-{number}" for number in range(8)]
    assert everything(instance.backfill(), cursor) == (["e-7"], cursor)  # the youngest again, under the same identity
    opened.sandbox.webhook("contractor.deactivated", "c-1", uuid="e-8")
    assert everything(instance.backfill(), cursor)[0] == ["e-7", "e-8"]
    as_described(opened)


def test_an_event_that_appears_before_one_that_was_told_is_not_lost(opened: Opened[GustoSandbox], instance: Instance) -> None:
    opened.sandbox.per_limit = 2
    for number in range(4):
        opened.sandbox.webhook("contractor.updated", f"c-{number}", uuid=f"e-{number}")
    an_hour_apart(opened.sandbox)
    cursor = everything(instance.backfill())[1]
    opened.sandbox.webhook("contractor.updated", "c-9", uuid="of the same second")
    late = opened.sandbox.events.pop()
    late["uuid"], late["timestamp"] = "late", opened.sandbox.events[-1]["timestamp"]
    opened.sandbox.events.insert(3, late)
    assert "late" in everything(instance.backfill(), cursor)[0]


def test_one_event_that_cannot_be_used_hides_no_other(opened: Opened[GustoSandbox], instance: Instance) -> None:
    for number in range(4):
        opened.sandbox.webhook("contractor.updated", f"c-{number}", uuid=f"e-{number}")
    odd: dict[str, object] = {"entity_uuid": "c\0", "event_type": 7, "timestamp": "yesterday"}
    for event, (name, value) in zip(opened.sandbox.events, odd.items(), strict=False):
        event[name] = value
    opened.sandbox.events[1]["event_type"] = "contractor.Ä"
    told = list(instance.backfill().missed(None).events)
    assert [(event.external_id, event.occurred_at is None) for event in told] == [("e-2", True), ("e-3", False)]


def test_a_cursor_that_is_refused_though_it_is_known_does_not_go_round_for_ever(
    opened: Opened[GustoSandbox], instance: Instance
) -> None:
    opened.sandbox.webhook("contractor.updated", "c-1", uuid="e-1")
    cursor = instance.backfill().missed(None).cursor
    opened.sandbox.faults.plan(Fault(FaultKind.REFUSED_BEFORE, "GET", "/v1/events$"))
    with pytest.raises(Refused):
        instance.backfill().missed(cursor)
    opened.sandbox.refuses_cursors = True
    with pytest.raises(Refused) as caught:
        everything(instance.backfill(), cursor)
    assert caught.value.cause == "http_422"


def test_an_event_that_a_webhook_brought_has_the_same_identity(opened: Opened[GustoSandbox], instance: Instance) -> None:
    _, body = opened.sandbox.webhook("contractor.updated", "c-1")
    assert list(instance.backfill().missed(None).events) == list(instance.webhooks().events(body))


def test_a_cursor_that_gusto_has_forgotten_begins_anew(opened: Opened[GustoSandbox], instance: Instance) -> None:
    opened.sandbox.webhook("contractor.updated", "c-1", uuid="e-1")
    assert everything(instance.backfill(), "forgotten after 30 days")[0] == ["e-1"]
    as_described(opened)


def test_an_event_about_nothing_is_passed_over_and_the_next_is_told(opened: Opened[GustoSandbox], instance: Instance) -> None:
    opened.sandbox.webhook("contractor.updated", "c-1", uuid="e-1")
    del opened.sandbox.events[0]["entity_uuid"]
    opened.sandbox.webhook("contractor.updated", "c-2", uuid="e-2")
    assert everything(instance.backfill())[0] == ["e-2"]


def test_an_idle_company_tells_nothing(instance: Instance) -> None:
    page = instance.backfill().missed(None)
    assert (list(page.events), page.complete) == ([], True)
    assert everything(instance.backfill(), page.cursor) == ([], "")


def test_without_the_applications_own_credentials_the_setting_is_named(opened: Opened[GustoSandbox]) -> None:
    form = {name: value for name, value in opened.settings.items() if not name.startswith("client_")}
    with an_instance(CONNECTOR, form) as instance, pytest.raises(Misconfigured) as caught:
        instance.backfill().missed(None)
    assert caught.value.field == "client_secret"


def test_an_expired_system_token_is_renewed(opened: Opened[GustoSandbox], instance: Instance) -> None:
    instance.backfill().missed(None)
    opened.sandbox.system_tokens.clear()
    assert instance.backfill().missed(None).complete
    assert [exchange.path for exchange in opened.exchanges].count("/oauth/token") == 2


def test_a_subscription_is_made_once_and_verified_with_the_token_that_gusto_posts(
    opened: Opened[GustoSandbox], subscriptions: WebhookSubscriptions
) -> None:
    made = subscriptions.subscribe(HOOK)
    assert (made.status, subscriptions.subscribe(HOOK).uuid) == ("pending", made.uuid)
    subscriptions.request_token(made.uuid)
    posted = verification_in(opened.sandbox.posted[-1])
    assert posted.webhook_subscription_uuid == made.uuid
    assert VERIFICATION_TOKEN not in repr(posted)
    with pytest.raises(Refused) as caught:
        subscriptions.verify(made.uuid, SecretStr("another token"))
    assert caught.value.field == "verification_token"
    assert subscriptions.verify(made.uuid, posted.verification_token).status == "verified"
    assert opened.sandbox.effects.count("subscribe") == 1
    as_described(opened)


def test_a_subscription_whose_reply_was_lost_is_found_again(
    opened: Opened[GustoSandbox], subscriptions: WebhookSubscriptions
) -> None:
    opened.sandbox.faults.plan(Fault(FaultKind.TRUNCATED_AFTER, "POST", "/webhook_subscriptions$"))
    with pytest.raises(OutcomeUnknown):
        subscriptions.subscribe(HOOK)
    assert subscriptions.subscribe(HOOK).url == HOOK
    assert opened.sandbox.effects.count("subscribe") == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"verification_token": ""}', b'{"verification_token": "canary"}'])
def test_what_is_no_verification_is_named_and_not_shown(body: bytes) -> None:
    with pytest.raises(UnusableContent) as caught:
        verification_in(body)
    assert "canary" not in str(caught.value)


def test_the_rate_is_raised_on_the_current_version(opened: Opened[GustoSandbox], instance: Instance) -> None:
    sink = instance.sink()
    uuid = sink.create("ST0123456789ABC", {**TRIAL.record(1), "wage_type": "Fixed"})
    sink.update(uuid, {"wage_type": "Hourly", "hourly_rate": "110.00"})
    assert [sink.read(uuid).values[name] for name in ("wage_type", "hourly_rate")] == ["Hourly", "110.00"]
    as_described(opened)
