"""A notice as a message of RFC 5322."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from connectors.smtp.settings import SmtpSettings

MAX_SUBJECT, MAX_TEXT = 300, 200_000  # a header that is folded, and a notice that no server's limit of size refuses


def compose(settings: SmtpSettings, to: Sequence[str], subject: str, text: str, dedup_key: str, sent_at: datetime) -> bytes:
    """The message, with CRLF, in 7-bit ASCII. ``to`` are valid addresses.

    The same ``dedup_key`` gives the same Message-ID, by which mail systems and readers drop repeats. ``subject`` becomes one line,
    so that no text can begin another header. What is too long is cut, and ends with an ellipsis.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(_one_line(settings.from_name), addr_spec=settings.from_address)
    message["To"] = [Address(addr_spec=address) for address in to]
    message["Subject"] = _cut(_one_line(subject[: 4 * MAX_SUBJECT]), MAX_SUBJECT)
    message["Date"] = format_datetime(sent_at)
    message["Message-ID"] = message_id(settings, dedup_key)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers us
    message.set_content(_cut(text, MAX_TEXT).encode("utf-8", "replace").decode(), cte="quoted-printable")
    return message.as_bytes()


def message_id(settings: SmtpSettings, dedup_key: str) -> str:
    """The Message-ID of every message with ``dedup_key``; the key itself is not told."""
    digest = hashlib.sha256(dedup_key.encode("utf-8", "replace")).hexdigest()[:40]
    return f"<{digest}@{settings.from_address.rpartition('@')[2]}>"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
