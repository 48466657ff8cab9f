"""Our marker on every account and record that we create in another system.

It is how a lost reply is recognised: an account that carries the worker's marker is ours; an account that only has
the same name or address is a namesake and is never adopted.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from uuid import UUID

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: no I, L, O, U
_FORM = re.compile(rf"ST[{_ALPHABET}]{{13}}")


def new_marker() -> str:
    """A fresh worker marker: ``ST`` and 13 base-32 characters (64 random bits).

    15 characters, because Entra's ``employeeId`` holds at most 16.
    """
    return _marker(secrets.randbits(64))


def marker_of(engagement_id: UUID) -> str:
    """The marker of one engagement's own record, where a system keeps one for each engagement: always the same for the same id."""
    return _marker(int.from_bytes(hashlib.sha256(engagement_id.bytes).digest()[:8]))


def _marker(number: int) -> str:
    digits = []
    for _ in range(13):
        number, remainder = divmod(number, 32)
        digits.append(_ALPHABET[remainder])
    return "ST" + "".join(reversed(digits))


def is_marker(text: str) -> bool:
    """Whether ``text`` has the form of a marker of ours."""
    return _FORM.fullmatch(text) is not None
