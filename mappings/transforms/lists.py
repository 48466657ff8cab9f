"""Lists: one made of a value, and one whose first item is a word that says whether the rest counts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mappings.transforms.expected import expected_type, expected_word, listed
from mappings.transforms.presence import is_empty
from mappings.values import MissingValue, Plain


def as_item(value: str, *, key: str = "value", beside: dict[str, Plain] | None = None) -> list[object]:
    """A list of one object that holds the value under ``key``, and ``beside`` it what is always there."""
    return [{**(beside or {}), key: value}]


def after_word(value: list[object], *, words: Annotated[list[str], Field(min_length=1)]) -> list[object]:
    """What stands in a list behind its first item, which is one of ``words``. Another word is refused, and named as a new one."""
    word = value[0] if value else None
    if is_empty(word):
        raise MissingValue(f"expected one of {listed(words)}")
    if not isinstance(word, str):
        return expected_type("text at the head of the list")
    return value[1:] if word in words else expected_word(words, word)
