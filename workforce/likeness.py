"""Who looks like the same person: a reason to ask a person, never a reason to link two records. Pure."""

from __future__ import annotations

import hashlib
import unicodedata

from workforce.engagement import WorkerProfile

ADDRESS = "personal_email"
NAME = ("given_name", "family_name", "country")


def alike(one: WorkerProfile, other: WorkerProfile) -> tuple[str, ...]:
    """The fields that agree so far that the two may be one person; empty where they do not look alike.

    The same mailbox is enough, and so is the same name in the same country, whatever its case, accents, order and punctuation.
    """
    address = (ADDRESS,) if like_address(one) == like_address(other) else ()
    return (*address, *(NAME if like_name(one) == like_name(other) else ()))


def strangers(one: WorkerProfile, other: WorkerProfile) -> bool:
    """Whether the two have neither a mailbox nor any part of a name in common: an id that says they are one person may be wrong."""
    return like_address(one) != like_address(other) and not _words(one) & _words(other)


def like_name(profile: WorkerProfile) -> bytes:
    """Equal for equal names in one country (32 bytes). It holds no name."""
    return _digest(profile.country, *sorted(_words(profile)))


def like_address(profile: WorkerProfile) -> bytes:
    """Equal for addresses of one mailbox (32 bytes), whatever their case and their tag after ``+``. It holds no address."""
    mailbox, _, domain = unicodedata.normalize("NFKC", profile.personal_email).casefold().rpartition("@")
    return _digest(mailbox.partition("+")[0] or mailbox, domain)


def _words(profile: WorkerProfile) -> frozenset[str]:
    """The words of the full name, folded. A name without a letter is one word as it stands, so that it is like nobody else's."""
    whole = f"{profile.given_name} {profile.family_name}"
    bare = (ch for ch in unicodedata.normalize("NFKD", whole).casefold() if not unicodedata.combining(ch))
    words = "".join(ch if ch.isalnum() else " " for ch in bare).split()
    return frozenset(words or [whole])


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\x1f".join(parts).encode(errors="replace")).digest()
