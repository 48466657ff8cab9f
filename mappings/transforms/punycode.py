"""Any text as ASCII and back again, for targets that take nothing else. It is no transliteration: no letter is lost or replaced.

RFC 3492 (punycode) over the whole text, behind the prefix ``xn--``. ASCII stays as it is, unless it begins like a converted text.
"""

from __future__ import annotations

from mappings.transforms.expected import expected

PREFIX = "xn--"
MOST_CHARACTERS = 1024
"""The algorithm's time grows with the square of the length."""


def ascii_reversible(value: str) -> str:
    """The text in ASCII, from which ``from_ascii_reversible`` makes the same text again. Different texts never become the same."""
    if value.isascii() and not value.startswith(PREFIX):
        return value
    if len(value) > MOST_CHARACTERS or any("\ud800" <= character <= "\udfff" for character in value):
        return expected(f"a text of at most {MOST_CHARACTERS} characters, none of them half of one")
    return PREFIX + value.encode("punycode").decode("ascii")


def from_ascii_reversible(value: str) -> str:
    """The text that ``ascii_reversible`` made this one of. What it cannot have made is refused."""
    if value.isascii() and not value.startswith(PREFIX):
        return value
    made_of = _decoded(value)
    return (
        made_of if made_of is not None and ascii_reversible(made_of) == value else expected("a text that ascii_reversible made")
    )


def _decoded(value: str) -> str | None:
    if not value.isascii() or len(value) > 8 * MOST_CHARACTERS:
        return None
    try:
        return value.removeprefix(PREFIX).encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return None
