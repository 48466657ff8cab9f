"""BambooHR's changes and the registration of a webhook, on the wire and against the vendor's own description."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.bamboohr import CONNECTOR
from connectors.bamboohr.client import BambooHrClient
from connectors.bamboohr.sandbox import BambooHrSandbox
from connectors.bamboohr.trial import TRIAL
from connectors.contract import Instance
from connectors.suite.sandbox import Fault, FaultKind
from connectors.suite.trial import Opened, an_instance
from tests.contract.specs import VendorSpec
from workforce.errors import AlreadyTaken, OutcomeUnknown, Refused

pytestmark = pytest.mark.integration

HOOK = "https://hub.acme.example/hooks/bamboohr"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[BambooHrSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def instance(opened: Opened[BambooHrSandbox]) -> Iterator[Instance]:
    with an_instance(CONNECTOR, opened.settings) as instance:
        yield instance


@pytest.fixture
def client(instance: Instance) -> BambooHrClient:
    assert isinstance(instance.client, BambooHrClient)
    return instance.client


def as_described(opened: Opened[BambooHrSandbox]) -> None:
    """Concrete paths are matched before templated ones (OpenAPI 3.1, 4.8.8.2)."""
    document = VendorSpec.load("bamboohr/bamboohr-public.pruned.json")._document
    spec = VendorSpec({**document, "paths": dict(sorted(document["paths"].items(), key=lambda path: path[0].count("{")))})
    for exchange in opened.exchanges:
        spec.check(exchange)


def test_every_change_is_told_once_or_again_under_the_same_identity(opened: Opened[BambooHrSandbox], instance: Instance) -> None:
    sandbox, backfill = opened.sandbox, instance.backfill()
    for number in range(5):
        sandbox.change_by_hand(str(number), firstName="Ada")
    sandbox.delete_by_hand("4")
    first = backfill.missed(None)
    assert first.complete
    assert {event.subject_id: event.kind for event in first.events} == {
        **{str(n): "employee.created" for n in range(4)}, "4": "employee.deleted",
    }  # fmt: skip
    again = backfill.missed(first.cursor)
    assert {event.external_id for event in again.events} == {event.external_id for event in first.events}
    as_described(opened)


def test_a_change_of_the_same_second_as_the_cursor_is_not_lost(opened: Opened[BambooHrSandbox], instance: Instance) -> None:
    sandbox, backfill = opened.sandbox, instance.backfill()
    now = datetime.now(UTC).replace(microsecond=0)
    sandbox.changes["1"] = "Updated", now
    sandbox.employees["1"] = {}
    cursor = backfill.missed(None).cursor
    sandbox.changes["2"] = "Updated", now
    sandbox.employees["2"] = {}
    assert "2" in {event.subject_id for event in backfill.missed(cursor).events}


def test_an_idle_company_keeps_the_cursor_and_tells_nothing(opened: Opened[BambooHrSandbox], instance: Instance) -> None:
    backfill = instance.backfill()
    start = backfill.missed(None)
    assert (start.events, backfill.missed(start.cursor).cursor) == ([], start.cursor)
    opened.sandbox.changes["1"] = "Updated", datetime.now(UTC) - timedelta(hours=2)
    opened.sandbox.employees["1"] = {}
    cursor = backfill.missed(None).cursor
    assert backfill.missed(cursor).cursor == cursor
    as_described(opened)


def test_a_cursor_that_is_no_instant_is_refused(instance: Instance) -> None:
    with pytest.raises(Refused) as caught:
        instance.backfill().missed("page 2")
    assert caught.value.cause == "bad_cursor"


def test_a_registered_webhook_gives_its_key_once_and_the_key_verifies(
    opened: Opened[BambooHrSandbox], client: BambooHrClient
) -> None:
    opened.sandbox.fields.remove("mobilePhone")  # a company need not have every field
    made = client.register_webhook(HOOK)
    key = made.privateKey.get_secret_value()
    assert key not in repr(made)
    form = CONNECTOR.settings.model_validate({**opened.settings, "webhook_private_keys": [key]})
    headers, body = opened.sandbox.webhook("employee.created", "101", key=key)
    Instance("bamboohr", CONNECTOR, form).webhooks().verify(headers, body)
    as_described(opened)


def test_a_second_registration_is_refused_because_the_key_of_the_first_is_gone(
    opened: Opened[BambooHrSandbox], client: BambooHrClient
) -> None:
    made = client.register_webhook(HOOK)
    with pytest.raises(AlreadyTaken, match=f"webhook {made.id}"):
        client.register_webhook(HOOK)
    assert opened.sandbox.effects.count("create_webhook") == 1
    as_described(opened)


def test_a_lost_reply_to_a_registration_is_unknown_and_then_seen(opened: Opened[BambooHrSandbox], client: BambooHrClient) -> None:
    opened.sandbox.faults.plan(Fault(FaultKind.ERROR_AFTER, "POST", r"/webhooks$"))
    with pytest.raises(OutcomeUnknown):
        client.register_webhook(HOOK)
    with pytest.raises(AlreadyTaken):
        client.register_webhook(HOOK)
    assert opened.sandbox.effects.count("create_webhook") == 1


def test_a_webhook_to_a_plain_address_is_refused_by_the_vendor(opened: Opened[BambooHrSandbox], client: BambooHrClient) -> None:
    with pytest.raises(Refused) as caught:
        client.register_webhook("http://hub.acme.example/hooks")
    assert caught.value.cause == "http_400"
    as_described(opened)
