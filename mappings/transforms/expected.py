"""How a transform says no: by what it expects, never by what it got."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from mappings.values import ChangedType, NewValue, ValueFault


def expected(what: str) -> NoReturn:
    """Raise ``ValueFault``: the value is not written as ``what``."""
    raise ValueFault(f"expected {what}")


def expected_type(what: str) -> NoReturn:
    """Raise ``ChangedType``: the value, or a part of it, is of another type than ``what``."""
    raise ChangedType(f"expected {what}")


def expected_word(known: Iterable[str], word: str) -> NoReturn:
    """Raise ``NewValue``: ``word`` is none of those ``known``. The word is kept beside the message and never in it."""
    raise NewValue(f"expected one of {listed(known)}", word=word)


def listed(known: Iterable[str]) -> str:
    """The words in their order."""
    return ", ".join(sorted(known))
