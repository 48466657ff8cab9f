"""Login names: readable, plain ASCII because directories and mail demand it, and unique through numbered candidates. Pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from itertools import count

from provisioning.policies import LoginPolicy
from provisioning.transliteration import in_latin_letters

MAX_LOGIN_CHARACTERS = LoginPolicy().max_characters
NOBODYS = frozenset(
    {
        "abuse", "admin", "administrator", "daemon", "everyone", "guest", "hostmaster", "info", "krbtgt", "mailer-daemon", "marketing",
        "noc", "nobody", "noreply", "postmaster", "root", "sales", "security", "support", "system", "webmaster", "www",
    }
)  # fmt: skip
"""Names that mean a function and not a person (RFC 2142, and what directories come with): whoever is called so gets a number."""

_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "\u0131": "i"})
_SEPARATORS = "._-"
_USUAL = LoginPolicy()


def login_candidates(given_name: str, family_name: str, marker: str, policy: LoginPolicy = _USUAL) -> Iterator[str]:
    """``ada.lovelace``, ``ada.lovelace2``, ``ada.lovelace3`` … for ever, by ``policy``; the ledger reserves the first that is free.

    Each is ``[a-z0-9]`` with single separators within, and at most ``policy.max_characters`` long. A name without a Latin form gives a
    login made of the worker's ``marker`` instead of a guess at spelling.
    """
    stem = _stem(given_name, family_name, policy) or marker.lower()
    told: set[str] = set()
    for number in count(1):
        candidate = _numbered(stem, number, policy.max_characters)
        if candidate not in told and candidate not in NOBODYS:
            told.add(candidate)
            yield candidate


def is_made_of(login: str, given_name: str, family_name: str, marker: str, policy: LoginPolicy = _USUAL) -> bool:
    """Whether ``login`` is one of the candidates of this name."""
    stem = _stem(given_name, family_name, policy) or marker.lower()
    tail = re.search(r"[0-9]*$", login)
    digits = tail.group() if tail else ""
    numbers = {1, *(int(digits[start:]) for start in range(len(digits)))}
    return any(_numbered(stem, number, policy.max_characters) == login.lower() for number in numbers if number)


def fingerprint(given_name: str, family_name: str) -> bytes:
    """Tells whether a login was made for this name, without keeping the name (32 bytes). Case and spacing make no difference."""
    folded = "\x1f".join(" ".join(unicodedata.normalize("NFKC", name).casefold().split()) for name in (given_name, family_name))
    return hashlib.sha256(folded.encode(errors="replace")).digest()


def _stem(given_name: str, family_name: str, policy: LoginPolicy) -> str:
    """The login without a number; empty where a name that the pattern needs has no Latin form."""
    given, family = (_ascii(name, transliterate=policy.transliterate) for name in (given_name, family_name))
    parts = {"given": given, "family": family, "g": given[:1], "f": family[:1]}
    needed = re.findall(r"\{(\w+)\}", policy.pattern)
    return _tidy(policy.pattern.format(**parts)) if all(parts[name] for name in needed) else ""


def _numbered(stem: str, number: int, longest: int) -> str:
    suffix = "" if number == 1 else str(number)
    return stem[: longest - len(suffix)].rstrip(_SEPARATORS) + suffix


def _tidy(text: str) -> str:
    """Separators alone and within: mail takes no other."""
    return re.sub(r"([._-])[._-]+", r"\1", text).strip(_SEPARATORS)


def _ascii(name: str, *, transliterate: bool) -> str:
    """The letters and digits of a name in ASCII; empty where one of its letters has no such form."""
    latin = in_latin_letters(name) if transliterate else name
    decomposed = unicodedata.normalize("NFKD", latin.casefold().translate(_LETTERS))
    if any(ch.isalpha() and not ch.isascii() for ch in decomposed):
        return ""
    return re.sub(r"[^a-z0-9]", "", decomposed)
