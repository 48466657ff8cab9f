"""Notices in Teams, as Adaptive Cards."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from connectors.teams.client import TeamsClient

MAX_BYTES = 27_000  # the vendor allows about 28 KB for a message
MAX_LINE = 500
_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class TeamsNotifier:
    """Cards in the one channel or chat of the webhook; ``to`` is shown in the card and leads nowhere else.

    Facts only: Teams drops no repeats and nothing can be read back. The id of the card's first element is made from the key, which helps
    a workflow that is written for it to see a repeat. After ``OutcomeUnknown`` nobody can look the card up.
    """

    def __init__(self, client: TeamsClient) -> None:
        self._client = client

    def send(self, *, to: Iterable[str], subject: str, text: str, dedup_key: str) -> None:
        """Post a card. A text that is too long for Teams is cut, and ends with an ellipsis."""
        self._client.post(message(list(dict.fromkeys(to)), subject, text, dedup_key))


def message(to: Sequence[str], subject: str, text: str, dedup_key: str) -> dict[str, Any]:
    """The message that holds the card (version 1.4), small enough for Teams."""
    shown = text if len(text) <= MAX_BYTES else f"{text[:MAX_BYTES]}…"
    whole = _card(to, subject, shown, dedup_key)
    while (excess := len(json.dumps(whole)) - MAX_BYTES) > 0 and shown != "…":
        shown = (
            f"{shown[: -(excess // 12 + 2)]}…"  # a letter takes at most 12 bytes of JSON, so this never cuts too much of one line
        )
        whole = _card(to, subject, shown, dedup_key)
    return whole


def _card(to: Sequence[str], subject: str, text: str, dedup_key: str) -> dict[str, Any]:
    key = hashlib.sha256(dedup_key.encode("utf-8", "replace")).hexdigest()[:40]
    title = _line(" ".join(subject.split())[:MAX_LINE], weight="Bolder", size="Medium")
    people = [_line(", ".join(to)[:MAX_LINE], isSubtle=True, size="Small")] if to else []
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{**title, "id": f"stint-{key}"}, *people, *(_line(line) for line in text.splitlines() if line.strip())],
    }
    return {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]}


def _line(text: str, **look: object) -> dict[str, Any]:
    """One line, shown as it was written: a TextRun is no Markdown, so nobody's words become a link."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": _UNSHOWN.sub(" ", text), **look}]}
