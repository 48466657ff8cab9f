"""The webhook of a Teams workflow: what its answers mean, and that the secret in its address is told to nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Instance
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind
from connectors.suite.trial import Opened
from connectors.teams import CONNECTOR
from connectors.teams.sandbox import SIGNATURE, TeamsSandbox
from connectors.teams.trial import TRIAL
from tests.contract.specs import OPENED
from tests.contract.specs import opened as closed_at_the_end
from workforce.errors import Misconfigured, OutcomeUnknown, RetryLater

pytestmark = pytest.mark.integration


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[TeamsSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        yield opened
        while OPENED:  # before the server, which waits for its clients
            OPENED.pop().close()


def instance(opened: Opened[TeamsSandbox], **changed: Any) -> Instance:
    one = Instance("teams", CONNECTOR, CONNECTOR.settings.model_validate({**opened.settings, **changed}), ON_LOOPBACK)
    closed_at_the_end(one.client)
    return one


def send(one: Instance) -> None:
    one.notifier().send(to=["hr@acme.example"], subject="A document expires", text="On Friday.", dedup_key="lease-7")


def test_a_card_is_posted_to_the_whole_address(opened: Opened[TeamsSandbox], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    send(instance(opened))
    (card,) = opened.sandbox.cards
    assert card["body"][0]["inlines"][0]["text"] == "A document expires"
    assert opened.exchanges[-1].query["sig"] == SIGNATURE
    assert SIGNATURE not in caplog.text


def test_another_signature_is_the_administrators_matter(opened: Opened[TeamsSandbox]) -> None:
    wrong = instance(opened, webhook_url=f"{opened.settings['webhook_url']}x")
    result = wrong.client.check()
    assert (result.ok, SIGNATURE in result.detail) == (False, False)
    with pytest.raises(Misconfigured) as caught:
        send(wrong)
    assert SIGNATURE not in f"{caught.value!r} {caught.value}"


def test_a_workflow_that_is_gone_is_the_administrators_matter(opened: Opened[TeamsSandbox]) -> None:
    opened.sandbox.is_deleted = True
    assert not instance(opened).client.check().ok
    with pytest.raises(Misconfigured):
        send(instance(opened))


def test_a_check_posts_nothing(opened: Opened[TeamsSandbox]) -> None:
    assert instance(opened).client.check().ok
    assert opened.sandbox.cards == []


def test_a_lost_answer_stays_unknown_and_a_repeat_has_the_same_id(opened: Opened[TeamsSandbox]) -> None:
    opened.sandbox.faults.plan(Fault(FaultKind.TIMEOUT_AFTER, "POST", "/invoke$"))
    one = instance(opened, timeout_seconds=0.3)
    with pytest.raises(OutcomeUnknown):
        send(one)
    send(one)
    first, again = (entry.subject for entry in opened.sandbox.effects.entries)
    assert first == again


def test_a_web_page_is_no_acceptance(opened: Opened[TeamsSandbox]) -> None:
    opened.sandbox.faults.plan(Fault(FaultKind.HTML_AFTER, "POST", "/invoke$"))
    with pytest.raises(OutcomeUnknown):
        send(instance(opened))


def test_a_throttled_card_was_not_posted(opened: Opened[TeamsSandbox]) -> None:
    opened.sandbox.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "POST", "/invoke$"))
    with pytest.raises(RetryLater) as caught:
        send(instance(opened))
    assert (caught.value.cause, opened.sandbox.cards) == ("throttled", [])


def test_a_burst_keeps_below_four_a_second(opened: Opened[TeamsSandbox]) -> None:
    opened.sandbox.is_strict = True
    one = instance(opened)
    for _ in range(6):
        send(one)
    assert len(opened.sandbox.cards) == 6
