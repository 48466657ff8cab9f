"""Vendors' words without anybody's values in them, and people's words that mean the same."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records.words import LONGEST, folded, named_in, sent_in, without_values


def answer_to(content: bytes) -> httpx.Response:
    return httpx.Response(400, request=httpx.Request("POST", "https://vendor.example/things", content=content))


def test_what_was_sent_is_read_from_the_request() -> None:
    assert sent_in(answer_to(b'{"email": "ada@acme.example"}')) == {"email": "ada@acme.example"}


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"name=Ada"])
def test_what_is_no_json_object_has_no_fields(content: bytes) -> None:
    assert sent_in(answer_to(content)) == {}


@pytest.mark.parametrize("number", ["123456789", "123-45-6789", "123 45 6789"])
def test_addresses_and_numbers_are_taken_out_though_nobody_sent_them(number: str) -> None:
    told = without_values(f"{number} of ada@acme.example is taken", {})
    assert told == "… of … is taken"


def test_values_that_were_sent_are_taken_out_whatever_their_case_and_the_field_stays() -> None:
    told = without_values("last_name: LOVELACE is no name, says Ada Lovelace", {"first_name": "Ada", "last_name": "Lovelace"})
    assert told == "last_name: … is no name, says … …"


def test_the_longer_value_goes_first_and_words_that_hold_a_value_stay() -> None:
    assert without_values("Anna Maria an annex", {"a": "Anna", "b": "Anna Maria", "c": "an"}) == "… … annex"


def test_a_value_is_taken_out_before_the_words_are_cut() -> None:
    told = without_values(f"{'x' * (LONGEST - 5)} Lovelace", {"last_name": "Lovelace"})
    assert (len(told) <= LONGEST, "Lov" in told) == (True, False)


@given(st.text(max_size=60), st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=9), max_size=4))
def test_whatever_was_said_and_sent_the_words_are_bounded(words: str, sent: dict[str, object]) -> None:
    assert len(without_values(words, sent)) <= LONGEST


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ada  Lovelace ", "ada lovelace"), ("Ström", "Stro\u0308m"), ("STRASSE", "straße"), (None, ""), ("\uff17", "7")],
)
def test_what_people_call_the_same_is_the_same(one: object, other: object) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("Work Email is already in use", "workEmail"),
        ("invalid value for field WORK_EMAIL", "workEmail"),
        ("the email is odd", "email"),
        ("first-name and work email are odd", "firstName"),
        ("something is odd", None),
        ("", None),
    ],
)
def test_the_field_that_is_spoken_of_is_found_however_it_is_spelled(words: str, field: str | None) -> None:
    assert named_in(words, {"email": "", "firstName": "", "workEmail": "", "status": ""}) == field
