"""E-mail against a server that is none of ours: aiosmtpd, over STARTTLS with sign-in required."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Instance
from connectors.smtp import CONNECTOR
from connectors.suite.sandbox import ON_LOOPBACK
from connectors.wire.ports import free_port
from connectors.wire.tls import make_loopback_tls
from workforce.errors import Misconfigured, Refused

pytestmark = pytest.mark.integration

smtp = pytest.importorskip("aiosmtpd.smtp")
controller = pytest.importorskip("aiosmtpd.controller")


@dataclass
class Mailbox:
    received: list[Any] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802 - aiosmtpd's name
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.received.append(envelope)
        return "250 Message accepted for delivery"


def authenticated(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    good = (data.login, data.password) == (b"stint", "Passwört".encode())
    return smtp.AuthResult(success=good, handled=False)


@contextmanager
def served(folder: Path, mailbox: Mailbox, **how: Any) -> Iterator[dict[str, Any]]:
    tls = make_loopback_tls(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    running = controller.Controller(
        mailbox, hostname="127.0.0.1", port=free_port(), tls_context=context, require_starttls=True,
        authenticator=authenticated, auth_required=True, auth_require_tls=True, **how,
    )  # fmt: skip
    running.start()
    try:
        form = {"host": "localhost", "port": running.port, "ca_file": tls.ca, "from_address": "stint@acme.example"}
        yield {**form, "username": "stint", "password": "Passwört", "timeout_seconds": 5}
    finally:
        running.stop()


def instance(form: dict[str, Any]) -> Instance:
    return Instance("smtp", CONNECTOR, CONNECTOR.settings.model_validate(form), ON_LOOPBACK)


@pytest.mark.parametrize("excluded", [[], ["PLAIN"]], ids=["plain", "login"])
def test_a_notice_arrives_as_it_was_written(tmp_path: Path, excluded: list[str]) -> None:
    mailbox = Mailbox()
    text = "Grüße\n.\n..\nUnd Ende"
    with served(tmp_path, mailbox, auth_exclude_mechanism=excluded) as form:
        mail = instance(form)
        assert mail.client.check().ok
        mail.notifier().send(to=["hr@acme.example", "it@acme.example"], subject="Läuft aus", text=text, dedup_key="k")
    (envelope,) = mailbox.received
    read = message_from_bytes(envelope.content, policy=default)
    assert (envelope.rcpt_tos, read["Subject"]) == (["hr@acme.example", "it@acme.example"], "Läuft aus")
    assert read.get_content().splitlines() == text.splitlines()


def test_a_wrong_password_and_an_unknown_recipient_are_told_apart(tmp_path: Path) -> None:
    mailbox = Mailbox()
    with served(tmp_path, mailbox) as form:
        with pytest.raises(Misconfigured) as signed_in:
            instance({**form, "password": "wrong"}).notifier().send(to=["hr@acme.example"], subject="s", text="t", dedup_key="k")
        with pytest.raises(Refused) as addressed:
            instance(form).notifier().send(to=["hr@acme.example", "nobody@acme.example"], subject="s", text="t", dedup_key="k")
    assert (signed_in.value.field, addressed.value.cause) == ("password", "recipients_refused")
    assert [envelope.rcpt_tos for envelope in mailbox.received] == [["hr@acme.example"]]
