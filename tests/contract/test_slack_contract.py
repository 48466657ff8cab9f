"""Notices in Slack: who is reached, that a repeat is recognised, and every exchange against the vendor's archived description."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Instance
from connectors.slack import CONNECTOR
from connectors.slack.sandbox import BOT_TOKEN, SlackSandbox
from connectors.slack.trial import TRIAL
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind
from connectors.suite.trial import Opened
from tests.contract.specs import OPENED, VendorSpec
from tests.contract.specs import opened as closed_at_the_end
from workforce.errors import HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

pytestmark = pytest.mark.integration

POST = r"/chat\.postMessage$"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[SlackSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        opened.settings["timeout_seconds"] = 0.5
        yield opened
        while OPENED:  # before the server, which waits for its clients
            OPENED.pop().close()


@pytest.fixture
def slack(opened: Opened[SlackSandbox]) -> Instance:
    return instance(opened)


def instance(opened: Opened[SlackSandbox], **changed: Any) -> Instance:
    one = Instance("slack", CONNECTOR, CONNECTOR.settings.model_validate({**opened.settings, **changed}), ON_LOOPBACK)
    closed_at_the_end(one.client)
    return one


def send(one: Instance, *to: str, subject: str = "A document expires", text: str = "On Friday.", key: str = "lease-7") -> None:
    one.notifier().send(to=to or ["#contractors"], subject=subject, text=text, dedup_key=key)


def spec() -> VendorSpec:
    """The archived description, but: Slack takes the token in Authorization, and what is described as "default" comes as 200 as well."""
    document = copy.deepcopy(VendorSpec.load("slack/slack-web.v2.pruned.json", prefix="/api")._document)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["parameters"] = [p for p in operation.get("parameters", []) if p["name"] != "token"]
            shapes = [answer["schema"] for answer in operation["responses"].values() if "schema" in answer]
            operation["responses"] = {"200": {"schema": {"anyOf": shapes}}}
    return VendorSpec(document, prefix="/api")


def test_every_exchange_is_as_described_and_no_query_holds_the_token(opened: Opened[SlackSandbox], slack: Instance) -> None:
    described = spec()
    assert slack.client.check().ok
    send(slack, "#contractors", "hr@acme.example", "U061F7AUR", "C012AB3CD")
    with pytest.raises(NotFound):
        send(slack, "nobody@acme.example")
    opened.sandbox.archived.add("C012AB3CD")
    with pytest.raises(Refused):
        send(slack, "C012AB3CD", key="another")
    for exchange in opened.exchanges:
        assert BOT_TOKEN not in str(exchange.query)
        assert exchange.headers["authorization"] == f"Bearer {BOT_TOKEN}"
        if exchange.path != "/api/conversations.history":  # not in the archived description
            described.check(exchange)
    assert sorted(opened.sandbox.messages) == ["C012AB3CD", "C061EG9T2", "D012A3CDE", "D061F7AUR"]


@pytest.mark.parametrize(
    "kind", [FaultKind.TIMEOUT_AFTER, FaultKind.ERROR_AFTER, FaultKind.RESET_AFTER, FaultKind.MALFORMED_AFTER]
)
def test_a_message_whose_answer_was_lost_is_recognised_and_not_sent_again(
    opened: Opened[SlackSandbox], slack: Instance, kind: FaultKind
) -> None:
    opened.sandbox.faults.plan(Fault(kind, "POST", POST))
    with pytest.raises(OutcomeUnknown):
        send(slack)
    send(instance(opened))  # as a newly started process has it
    assert opened.sandbox.effects.count("post_message") == 1


def test_a_repeat_is_recognised_behind_many_younger_messages(opened: Opened[SlackSandbox], slack: Instance) -> None:
    send(slack)
    said = opened.sandbox.messages["C061EG9T2"]
    said += [{**said[0], "metadata": None, "text": f"chatter {n}"} for n in range(25)]
    opened.sandbox.page_limit = 4
    send(slack)
    assert opened.sandbox.effects.count("post_message") == 1


def test_what_this_process_told_is_not_told_again_while_it_does_not_show_yet(
    opened: Opened[SlackSandbox], slack: Instance
) -> None:
    opened.sandbox.lag_seconds = 60
    send(slack, "C061EG9T2")
    opened.sandbox.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "POST", POST))
    with pytest.raises(RetryLater):
        send(slack, "C061EG9T2", "C012AB3CD")
    send(slack, "C061EG9T2", "C012AB3CD")
    assert {channel: len(said) for channel, said in opened.sandbox.messages.items()} == {"C061EG9T2": 1, "C012AB3CD": 1}


def test_threads_with_one_notice_tell_it_once(opened: Opened[SlackSandbox], slack: Instance) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(send, slack, "C061EG9T2") for _ in range(4)]:
            done.result()
    assert opened.sandbox.effects.count("post_message") == 1


def test_a_busy_channel_is_told_although_it_cannot_be_looked_through(opened: Opened[SlackSandbox], slack: Instance) -> None:
    chatter = {"type": "message", "text": "chatter", "ts": f"{time.time() - 60:.6f}", "metadata": []}
    opened.sandbox.messages["C061EG9T2"] = [chatter] * 20_000
    send(slack, "C061EG9T2")
    assert opened.sandbox.effects.count("post_message") == 1
    assert len([exchange for exchange in opened.exchanges if exchange.path.endswith("history")]) <= 11


def test_no_other_app_can_say_beforehand_that_we_told_it(opened: Opened[SlackSandbox], slack: Instance) -> None:
    send(slack, key="lease-8")
    told = opened.sandbox.messages["C061EG9T2"]
    keys = [hashlib.sha256(b"lease-7").hexdigest()[:40], "lease-7"]
    payloads: list[Any] = [*({"dedup_key": key} for key in keys), [], "lease-7", {"dedup_key": {"a": 1}}]
    told += [{**told[0], "metadata": {"event_type": "stint_notice", "event_payload": payload}} for payload in payloads]
    send(slack, key="lease-7")
    assert opened.sandbox.effects.count("post_message") == 2


def test_a_conversation_that_cannot_be_opened_is_no_unknown_message(opened: Opened[SlackSandbox], slack: Instance) -> None:
    opened.sandbox.faults.plan(Fault(FaultKind.MALFORMED_AFTER, "POST", r"/conversations\.open$", times=9))
    with pytest.raises(RetryLater):
        send(slack, "hr@acme.example")
    assert opened.sandbox.effects.count("post_message") == 0


def test_a_channel_that_was_archived_and_replaced_is_found_again(opened: Opened[SlackSandbox], slack: Instance) -> None:
    send(slack)
    opened.sandbox.archived.add("C061EG9T2")
    opened.sandbox.channels = {"C0NEW9T2X": "contractors"}
    opened.sandbox.joined.add("C0NEW9T2X")
    with pytest.raises(Refused):
        send(slack, key="2")
    send(slack, key="2")
    assert len(opened.sandbox.messages["C0NEW9T2X"]) == 1


@pytest.mark.parametrize("text", ["<&>" * 30_000, "\ud800 half a letter", "a\x00b\x1b[2J", "x" * 100_000])
def test_a_text_that_slack_would_not_take_is_made_fit(opened: Opened[SlackSandbox], slack: Instance, text: str) -> None:
    send(slack, subject=text, text=text)
    (said,) = opened.sandbox.messages["C061EG9T2"]
    assert len(said["text"]) <= 40_000
    assert not set(said["text"]) & {"\x00", "\x1b", "\ud800", "<", ">"}


def test_another_notice_and_another_app_s_message_are_no_repeat(opened: Opened[SlackSandbox], slack: Instance) -> None:
    send(slack, key="lease-8")
    said = opened.sandbox.messages["C061EG9T2"]
    said.append({**said[0], "metadata": {"event_type": "task_created", "event_payload": {"dedup_key": "lease-7"}}})
    send(slack)
    assert opened.sandbox.effects.count("post_message") == 2


def test_without_looking_back_a_repeat_is_sent_again(opened: Opened[SlackSandbox]) -> None:
    blind = instance(opened, look_back_hours=0)
    send(blind, "C061EG9T2")
    send(blind, "C061EG9T2")
    assert opened.sandbox.effects.count("post_message") == 2
    assert not [exchange for exchange in opened.exchanges if exchange.path.endswith("history")]


def test_one_recipient_who_cannot_be_told_keeps_no_other_from_being_told(opened: Opened[SlackSandbox], slack: Instance) -> None:
    with pytest.raises(NotFound) as caught:
        send(slack, "nobody@acme.example", "hr@acme.example", "#contractors")
    assert "nobody" not in str(caught.value)
    assert opened.sandbox.effects.count("post_message") == 2


@pytest.mark.parametrize(("hours", "error"), [(24, RetryLater), (0, OutcomeUnknown)])
def test_half_told_is_repeated_only_where_a_repeat_is_recognised(
    opened: Opened[SlackSandbox], hours: float, error: type[HubError]
) -> None:
    opened.sandbox.faults.plan(Fault(FaultKind.THROTTLED_BEFORE, "POST", POST))
    one = instance(opened, look_back_hours=hours)
    with pytest.raises(error):
        send(one, "C061EG9T2", "C012AB3CD")
    if hours:
        send(one, "C061EG9T2", "C012AB3CD")
        assert {channel: len(said) for channel, said in opened.sandbox.messages.items()} == {"C061EG9T2": 1, "C012AB3CD": 1}


def test_no_text_of_ours_calls_everybody_or_hides_a_link(opened: Opened[SlackSandbox], slack: Instance) -> None:
    send(slack, subject="A\n<!channel>", text="<https://evil.example|payroll> & more")
    (said,) = opened.sandbox.messages["C061EG9T2"]
    assert said["text"] == "*A &lt;!channel&gt;*\n&lt;https://evil.example|payroll&gt; &amp; more"


def test_messages_to_one_channel_keep_a_second_apart(opened: Opened[SlackSandbox], slack: Instance) -> None:
    opened.sandbox.is_strict = True
    send(slack, "C061EG9T2", key="1")
    send(slack, "C061EG9T2", key="2")
    send(slack, "C012AB3CD", key="1")
    assert opened.sandbox.effects.count("post_message") == 3


@pytest.mark.parametrize("to", ["", "hr", "contractors", "@", "C012"])
def test_what_is_no_recipient_is_refused(slack: Instance, to: str) -> None:
    with pytest.raises(Refused) as caught:
        send(slack, to) if to else slack.notifier().send(to=[], subject="s", text="t", dedup_key="k")
    assert caught.value.field == "to"


def test_a_channel_that_the_app_is_no_member_of_is_named_as_a_permission(slack: Instance) -> None:
    with pytest.raises(Refused) as caught:
        send(slack, "C012AB3CX")
    assert isinstance(caught.value, NotFound)
    with pytest.raises(NotFound, match="invite it"):
        send(slack, "#not-ours")


def test_a_channel_that_was_replaced_by_another_of_its_name_is_found_again(opened: Opened[SlackSandbox], slack: Instance) -> None:
    send(slack)
    del opened.sandbox.channels["C061EG9T2"]
    opened.sandbox.joined.remove("C061EG9T2")
    opened.sandbox.channels["C0NEW9T2X"] = "contractors"
    opened.sandbox.joined.add("C0NEW9T2X")
    with pytest.raises(NotFound):
        send(slack, key="2")
    send(slack, key="2")
    assert len(opened.sandbox.messages["C0NEW9T2X"]) == 1


def test_a_token_without_the_scope_to_write_fails_the_check(opened: Opened[SlackSandbox], slack: Instance) -> None:
    opened.sandbox.scopes = "users:read.email"
    result = slack.client.check()
    assert not result.ok
    assert "chat:write" in result.detail


def test_a_revoked_token_is_the_administrators_matter(opened: Opened[SlackSandbox]) -> None:
    with pytest.raises(Misconfigured):
        send(instance(opened, bot_token="revoked-bot-token"))
