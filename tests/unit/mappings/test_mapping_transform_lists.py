from __future__ import annotations

from typing import Any

import pytest

from mappings.transforms import transforms
from mappings.values import ChangedType, MissingValue, NewValue, ValueFault

WORDS = {"words": ["active", "ended"]}


def run(name: str, value: object, **parameters: Any) -> object:
    return transforms()[name].bind(parameters)(value)


@pytest.mark.parametrize(
    ("parameters", "item"),
    [
        ({}, {"value": "ada@acme.example"}),
        ({"key": "address"}, {"address": "ada@acme.example"}),
        ({"beside": {"type": "work", "primary": True}}, {"value": "ada@acme.example", "type": "work", "primary": True}),
        ({"beside": {"value": "overwritten", "type": None}}, {"value": "ada@acme.example", "type": None}),
    ],
)
def test_a_value_becomes_a_list_of_one_object(parameters: dict[str, Any], item: dict[str, object]) -> None:
    assert run("as_item", "ada@acme.example", **parameters) == [item]


def test_what_stands_beside_is_each_items_own() -> None:
    beside: dict[str, object] = {"type": "work"}
    made = transforms()["as_item"].bind({"beside": beside})
    one, other = made("a"), made("b")
    assert (one, other, beside) == ([{"type": "work", "value": "a"}], [{"type": "work", "value": "b"}], {"type": "work"})


@pytest.mark.parametrize(("value", "rest"), [(["ended", "1", None], ["1", None]), (["active"], []), (["ended", ["x"]], [["x"]])])
def test_what_stands_behind_a_known_word_is_taken_as_it_is(value: list[object], rest: list[object]) -> None:
    assert run("after_word", value, **WORDS) == rest


@pytest.mark.parametrize("word", ["Ended", " ended", "terminated", "endéd", "2026-11-20T10:00:00Z"])
def test_a_word_that_is_not_known_is_named_beside_the_message(word: str) -> None:
    with pytest.raises(NewValue) as fault:
        run("after_word", [word, "2026-11-20T10:00:00Z"], **WORDS)
    assert fault.value.word == word
    assert str(fault.value) == "expected one of active, ended"


@pytest.mark.parametrize(
    ("value", "kind"),
    [([], MissingValue), ([""], MissingValue), ([None, "x"], MissingValue), ([1, "x"], ChangedType), ([["ended"]], ChangedType)],
)
def test_a_list_that_does_not_begin_with_a_word_is_refused(value: list[object], kind: type[ValueFault]) -> None:
    with pytest.raises(kind):
        run("after_word", value, **WORDS)


@pytest.mark.parametrize("parameters", [{}, {"words": []}, {"words": "ended"}, {"words": [1]}])
def test_words_are_texts_and_at_least_one(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="words"):
        transforms()["after_word"].bind(parameters)
