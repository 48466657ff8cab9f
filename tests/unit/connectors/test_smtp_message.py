"""Notices as messages: nothing that is written in them becomes a header or ends the message."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.contract import ALONE
from connectors.smtp.client import SmtpClient
from connectors.smtp.message import compose, message_id
from connectors.smtp.notifier import SmtpNotifier
from connectors.smtp.settings import SmtpSettings
from workforce.errors import Refused

FORM: dict[str, Any] = {"host": "mail.acme.example", "from_address": "stint@acme.example"}
SETTINGS = SmtpSettings.model_validate(FORM)
TO = ["hr@acme.example", "it@acme.example"]
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
HEADERS = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "content-type",
    "content-transfer-encoding",
    "mime-version",
}


@given(subject=st.text(), text=st.text(st.characters(codec="utf-8")), key=st.text(), name=st.text(max_size=100))
def test_no_text_adds_a_header_or_a_recipient(subject: str, text: str, key: str, name: str) -> None:
    settings = SmtpSettings.model_validate({**FORM, "from_name": name})
    content = compose(settings, TO, subject, text, key, NOW)
    read = message_from_bytes(content, policy=default)
    assert {field.lower() for field in read} == HEADERS
    assert len(read.keys()) == len(HEADERS)
    assert [address.addr_spec for address in read["To"].addresses] == TO
    assert [address.addr_spec for address in read["From"].addresses] == ["stint@acme.example"]
    assert content.isascii()
    assert not {*b"\r\n\0"} & {*content.replace(b"\r\n", b"")}
    assert max(map(len, content.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "subject", ["A\r\nBcc: eve@evil.example", "A\nBcc: eve@evil.example", "A\x0bBcc: eve", "A\u2028Bcc: eve"]
)
def test_a_subject_is_one_line(subject: str) -> None:
    read = message_from_bytes(compose(SETTINGS, TO, subject, "", "k", NOW), policy=default)
    assert read["Bcc"] is None
    assert read["Subject"].startswith("A Bcc: eve")


def test_what_is_too_long_is_cut_and_still_one_message() -> None:
    read = message_from_bytes(compose(SETTINGS, TO, "é " * 500_000, "ü\n" * 1_000_000, "k", NOW), policy=default)
    assert len(read["Subject"]) <= 301
    assert read.get_content().splitlines()[-1] == "…"


def test_other_alphabets_arrive_as_they_were_written() -> None:
    read = message_from_bytes(compose(SETTINGS, TO, "Vertrag läuft aus: 李 🙂", "Grüße\n.\nŁódź", "k", NOW), policy=default)
    assert read["Subject"] == "Vertrag läuft aus: 李 🙂"
    assert read.get_content().splitlines() == ["Grüße", ".", "Łódź"]


def test_the_same_key_gives_the_same_message_id_and_another_key_another() -> None:
    first, again, other = (message_id(SETTINGS, key) for key in ("lease-7", "lease-7", "lease-8"))
    assert (first == again, first == other) == (True, False)
    assert "lease" not in first
    assert first.endswith("@acme.example>")


def test_nobody_is_answered_automatically() -> None:
    assert message_from_bytes(compose(SETTINGS, TO, "s", "t", "k", NOW), policy=default)["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "ada@acme.example\r\nRCPT TO:<eve@evil.example>",
        "ada@ac me",
        "<ada@acme.example>",
        "ada@löwe.de",
        "ada..l@acme.example",
        ".ada@acme.example",
        "ada.@acme.example",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(address: str) -> None:
    notifier = SmtpNotifier(SmtpClient(SETTINGS, ALONE))
    with pytest.raises(Refused) as caught:
        notifier.send(to=["hr@acme.example", address], subject="s", text="t", dedup_key="k")
    assert (caught.value.field, caught.value.cause) == ("to", "bad_address")
    assert "recipient 2" in str(caught.value)


@pytest.mark.parametrize("to", [[], [f"a{n}@acme.example" for n in range(101)]])
def test_a_message_has_one_to_a_hundred_recipients(to: list[str]) -> None:
    with pytest.raises(Refused):
        SmtpNotifier(SmtpClient(SETTINGS, ALONE)).send(to=to, subject="s", text="t", dedup_key="k")


@pytest.mark.parametrize(
    "changed",
    [
        {"username": "stint"},
        {"password": "p"},
        {"security": "none"},
        {"host": "mail.acme.example:25"},
        {"host": "https://mail.acme.example"},
        {"from_address": "Stint <stint@acme.example>"},
    ],
)
def test_a_form_without_encryption_or_with_half_credentials_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        SmtpSettings.model_validate({**FORM, **changed})
    assert "input_value" not in str(caught.value)
