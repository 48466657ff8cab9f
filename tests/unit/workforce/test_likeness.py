"""Who looks like the same person. It is a question for a person, so it may be asked too often, and must not be missed for a spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workforce.engagement import WorkerProfile
from workforce.likeness import alike, like_address, like_name, strangers

NAME = ("given_name", "family_name", "country")


def a_person(
    given: str = "Ada", family: str = "Lovelace", address: str = "ada@mail.example", country: str = "GB"
) -> WorkerProfile:
    return WorkerProfile(given_name=given, family_name=family, personal_email=address, country=country)


@pytest.mark.parametrize("address", ["ADA@mail.example", "ada+vms@Mail.Example", "ada@mail.example"])
def test_one_mailbox_is_alike_however_it_is_written(address: str) -> None:
    assert alike(a_person(), a_person("Grace", "Hopper", address)) == ("personal_email",)


@pytest.mark.parametrize(
    ("given", "family"),
    [
        ("ada", "LOVELACE"),
        ("Lovelace", "Ada"),
        ("Ada ", "Love\u00adlace".replace("\u00ad", "")),
        ("Àda", "Lovélace"),
        ("A\u0300da", "Lovelace"),
    ],
)
def test_one_name_in_one_country_is_alike_whatever_its_case_accents_and_order(given: str, family: str) -> None:
    assert alike(a_person(), a_person(given, family, "other@mail.example")) == NAME


def test_a_namesake_in_another_country_with_another_mailbox_is_not_alike() -> None:
    assert alike(a_person(), a_person(address="other@mail.example", country="DE")) == ()


def test_people_who_share_nothing_are_strangers_and_a_new_family_name_alone_makes_nobody_one() -> None:
    assert strangers(a_person(), a_person("Grace", "Hopper", "grace@mail.example"))
    assert not strangers(a_person(), a_person(family="King", address="king@mail.example"))
    assert not strangers(a_person(), a_person("Grace", "Hopper"))


def test_names_without_a_letter_are_like_nobody_elses() -> None:
    assert not alike(a_person("---", "!", "a@x.example"), a_person("...", "?", "b@x.example"))


words = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)


@given(words, words, words, words)
def test_the_keys_say_what_likeness_says_and_hold_no_name(given: str, family: str, other_given: str, other_family: str) -> None:
    one, other = a_person(given, family, "a@x.example"), a_person(other_given, other_family, "b@x.example")
    assert (like_name(one) == like_name(other)) == (alike(one, other) == NAME)
    assert {len(like_name(one)), len(like_address(one))} == {32}
