"""Words of vendors and of people: what may be shown of them, and which of them mean the same."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping

import httpx

LONGEST = 300
_ADDRESS_OR_NUMBER = re.compile(r"[^\s<>\"']+@[^\s<>\"']+|\d[\d -]{4,}\d")  # a tax or bank number, however it is written


def sent_in(response: httpx.Response) -> Mapping[str, object]:
    """The fields of the JSON object to which ``response`` is the answer; none where something else was sent, or nothing."""
    try:
        body: object = json.loads(response.request.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def without_values(words: str, sent: Mapping[str, object]) -> str:
    """A vendor's ``words`` without addresses, numbers and the values that were ``sent``: they may tell who it is. Cut at ``LONGEST``."""
    told = _ADDRESS_OR_NUMBER.sub("…", words)
    for text in sorted((str(value) for value in sent.values() if value not in (None, "")), key=len, reverse=True):
        told = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "…", told, flags=re.IGNORECASE)
    return told[:LONGEST]


def named_in(words: str, sent: Mapping[str, object]) -> str | None:
    """The ``sent`` field of which a vendor's ``words`` speak, however they spell it ("Work Email", "workEmail"); the longest name wins."""
    said = _squeezed(words)
    return max((name for name in sent if _squeezed(name) in said), key=len, default=None)


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def folded(text: object) -> str:
    """As people would call it the same: vendors may trim, and letters have more than one encoding. Nothing is ``""``."""
    return " ".join(unicodedata.normalize("NFKC", str(text or "")).casefold().split())
