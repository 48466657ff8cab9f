"""Login names: readable, plain ASCII because directories and mail demand it, and unique through numbered candidates."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MAX_LOGIN_CHARACTERS = 40
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "\u0131": "i"})


def login_candidates(given_name: str, family_name: str, marker: str) -> Iterator[str]:
    """``ada.lovelace``, ``ada.lovelace2``, ``ada.lovelace3`` … for ever; the ledger reserves the first that is free.

    A name that has no ASCII form (another script) gives a login made of the worker's ``marker`` instead of a guess at spelling.
    """
    parts = [part for part in (_ascii(given_name), _ascii(family_name)) if part]
    stem = ".".join(parts)[:MAX_LOGIN_CHARACTERS].rstrip(".") if len(parts) == 2 else marker.lower()
    yield stem
    number = 2
    while True:
        yield f"{stem}{number}"
        number += 1


def _ascii(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    if any(ch.isalpha() and not ch.isascii() for ch in decomposed):
        return ""
    return re.sub(r"[^a-z0-9]", "", decomposed)
