"""The conversation with a submission server: encryption, sign-in, refusals, and what is known when it breaks off."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Instance, Surroundings
from connectors.smtp import CONNECTOR
from connectors.smtp.sandbox import SmtpSandbox
from connectors.smtp.trial import TRIAL
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind
from connectors.suite.trial import Opened
from connectors.wire.network import Network
from connectors.wire.tls import make_loopback_tls
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater

pytestmark = pytest.mark.integration

HR, IT, EVE = "hr@acme.example", "it@acme.example", "nobody@acme.example"

BROKEN_OFF = [
    (verb, kind)
    for verb in ("EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT")
    for kind in (FaultKind.UNAVAILABLE_BEFORE, FaultKind.TIMEOUT_BEFORE, FaultKind.RESET_AFTER, FaultKind.DRIP_AFTER)
    if verb != "STARTTLS" or not kind.is_after  # after its reply the server speaks TLS or nothing
]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[SmtpSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        opened.settings["timeout_seconds"] = 0.5
        yield opened


def instance(opened: Opened[SmtpSandbox], around: Surroundings = ON_LOOPBACK, **changed: Any) -> Instance:
    return Instance("smtp", CONNECTOR, CONNECTOR.settings.model_validate({**opened.settings, **changed}), around)


def send(opened: Opened[SmtpSandbox], *to: str, text: str = "It expires on Friday.", **changed: Any) -> None:
    instance(opened, **changed).notifier().send(to=to or [HR], subject="A document expires", text=text, dedup_key="lease-7")


def test_a_notice_arrives_once_for_all_with_its_dots(opened: Opened[SmtpSandbox]) -> None:
    send(opened, HR, IT, HR, text="one\n.\n..two\n.three")
    (received,) = opened.sandbox.mailbox
    assert (received.sender, received.recipients) == ("stint@acme.example", (HR, IT))
    assert message_from_bytes(received.content, policy=default).get_content().splitlines() == ["one", ".", "..two", ".three"]


def test_a_repeat_has_the_same_message_id(opened: Opened[SmtpSandbox]) -> None:
    send(opened)
    send(opened)
    first, again = (entry.subject for entry in opened.sandbox.effects.entries)
    assert first == again != ""


def test_tls_from_the_first_byte(tmp_path: Path) -> None:
    sandbox, tls = SmtpSandbox(), make_loopback_tls(tmp_path)
    with sandbox.serve(tls, implicit=True) as port:
        settings = CONNECTOR.settings.model_validate(sandbox.settings(port, tls.ca, security="tls"))
        Instance("smtp", CONNECTOR, settings, ON_LOOPBACK).notifier().send(to=[HR], subject="s", text="t", dedup_key="k")
    assert len(sandbox.mailbox) == 1


def test_without_encryption_nothing_is_said(opened: Opened[SmtpSandbox]) -> None:
    opened.sandbox.has_starttls = False
    with pytest.raises(Misconfigured) as caught:
        send(opened)
    assert caught.value.field == "security"
    assert not instance(opened).client.check().ok


def test_a_certificate_of_another_authority_is_not_accepted(opened: Opened[SmtpSandbox], tmp_path: Path) -> None:
    other = make_loopback_tls(tmp_path / "other")
    with pytest.raises(Misconfigured) as caught:
        send(opened, ca_file=other.ca)
    assert caught.value.field == "ca_file"


def test_a_certificate_for_another_host_is_not_accepted(opened: Opened[SmtpSandbox]) -> None:
    network = Network(internal=("mail.acme.example",), resolve=lambda _host, _port: ["127.0.0.1"])
    with pytest.raises(Misconfigured) as caught:
        instance(opened, Surroundings(network), host="mail.acme.example").notifier().send(
            to=[HR], subject="", text="", dedup_key="k"
        )
    assert caught.value.cause == "bad_certificate"


def test_an_internal_host_that_is_not_listed_is_not_reached(opened: Opened[SmtpSandbox]) -> None:
    with pytest.raises(Refused) as caught:
        instance(opened, Surroundings()).notifier().send(to=[HR], subject="", text="", dedup_key="k")
    assert caught.value.cause == "internal_address"


@pytest.mark.parametrize("mechanisms", ["LOGIN", "PLAIN LOGIN", "XOAUTH2 PLAIN"])
def test_it_signs_in_with_what_is_offered(opened: Opened[SmtpSandbox], mechanisms: str) -> None:
    opened.sandbox.mechanisms = mechanisms
    assert instance(opened).client.check().ok


@pytest.mark.parametrize(("mechanisms", "field"), [("XOAUTH2", "username"), ("", "username")])
def test_without_a_mechanism_of_ours_the_setting_is_named(opened: Opened[SmtpSandbox], mechanisms: str, field: str) -> None:
    opened.sandbox.mechanisms = mechanisms
    with pytest.raises(Misconfigured) as caught:
        send(opened)
    assert caught.value.field == field


@pytest.mark.parametrize("password", ["wrong", "pässword 李"])
def test_a_wrong_password_is_the_administrators_matter(opened: Opened[SmtpSandbox], password: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        send(opened, password=password)
    assert (caught.value.field, password in str(caught.value)) == ("password", False)


def test_one_refused_recipient_keeps_no_other_from_being_told_and_is_reported(opened: Opened[SmtpSandbox]) -> None:
    opened.sandbox.unknown = {EVE}
    with pytest.raises(Refused, match=r"1 of 3 recipients are refused \(550 5\.1\.1\)") as caught:
        send(opened, HR, EVE, IT)
    assert [received.recipients for received in opened.sandbox.mailbox] == [(HR, IT)]
    assert EVE not in str(caught.value)


@pytest.mark.parametrize(("kind", "error"), [(FaultKind.EXPIRED_BEFORE, Misconfigured), (FaultKind.THROTTLED_BEFORE, RetryLater)])
def test_a_refusal_at_a_recipient_that_is_about_us_is_not_told_as_his(
    opened: Opened[SmtpSandbox], kind: FaultKind, error: type[HubError]
) -> None:
    opened.sandbox.faults.plan(Fault(kind, "RCPT", ""))
    with pytest.raises(error):
        send(opened, HR, IT)
    assert opened.sandbox.mailbox == []


def test_what_is_said_before_encryption_is_forgotten(opened: Opened[SmtpSandbox]) -> None:
    opened.sandbox.injected = b"\r\n250-injected\r\n250 AUTH NONE"
    send(opened)
    assert len(opened.sandbox.mailbox) == 1


def test_where_all_are_refused_nothing_is_sent(opened: Opened[SmtpSandbox]) -> None:
    opened.sandbox.unknown = {EVE}
    with pytest.raises(Refused) as caught:
        send(opened, EVE)
    assert (caught.value.cause, opened.sandbox.mailbox) == ("recipients_refused", [])


def test_a_recipient_who_is_busy_lets_everybody_wait(opened: Opened[SmtpSandbox]) -> None:
    opened.sandbox.busy = {IT}
    with pytest.raises(RetryLater) as caught:
        send(opened, HR, IT)
    assert (caught.value.cause, opened.sandbox.mailbox) == ("throttled", [])


@pytest.mark.parametrize(("verb", "kind"), BROKEN_OFF)
def test_what_breaks_off_before_the_content_was_not_sent(opened: Opened[SmtpSandbox], verb: str, kind: FaultKind) -> None:
    opened.sandbox.faults.plan(Fault(kind, verb, ""))
    with pytest.raises(HubError) as caught:
        send(opened)
    assert isinstance(caught.value, RetryLater)
    assert opened.sandbox.mailbox == []


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER, FaultKind.RESET_AFTER, FaultKind.DRIP_AFTER])
def test_what_breaks_off_after_the_content_is_unknown(opened: Opened[SmtpSandbox], kind: FaultKind) -> None:
    opened.sandbox.faults.plan(Fault(kind, "DATA", ""))
    with pytest.raises(OutcomeUnknown):
        send(opened)
    assert len(opened.sandbox.mailbox) == int(kind.is_after)
