"""Login names: readable ASCII where the name has such a form, the marker where it has none, and never twice the same."""

from __future__ import annotations

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.logins import MAX_LOGIN_CHARACTERS, login_candidates

MARKER = "ST0123456789ABC"


def the_first(given_name: str, family_name: str) -> str:
    return next(login_candidates(given_name, family_name, MARKER))


@pytest.mark.parametrize(
    ("given_name", "family_name", "login"),
    [
        ("Ada", "Lovelace", "ada.lovelace"),
        ("Anne-Marie", "O'Brien", "annemarie.obrien"),
        ("José", "Núñez", "jose.nunez"),
        ("Jürgen", "Groß", "jurgen.gross"),
        ("Øyvind", "Ælfgård", "oyvind.aelfgard"),
        ("Łukasz", "Đorđević", "lukasz.dordevic"),
        ("I\u015f\u0131l", "\u0130nönü", "isil.inonu"),
        ("Þóra", "Ðuríðardóttir", "thora.duridardottir"),
        ("Jo\u0065\u0301l", "M\uff21x", "joel.max"),
    ],
)
def test_names_with_a_latin_form_are_readable(given_name: str, family_name: str, login: str) -> None:
    assert the_first(given_name, family_name) == login


@pytest.mark.parametrize(("given_name", "family_name"), [("明", "王"), ("Анна", "Smith"), ("Ada", "Λ"), ("Ada", "---")])
def test_a_name_without_a_latin_form_gives_the_marker_and_no_guess(given_name: str, family_name: str) -> None:
    assert the_first(given_name, family_name) == MARKER.lower()


def test_further_candidates_are_numbered() -> None:
    assert list(islice(login_candidates("Ada", "Lovelace", MARKER), 3)) == ["ada.lovelace", "ada.lovelace2", "ada.lovelace3"]


def test_a_cut_name_does_not_end_in_a_dot() -> None:
    assert the_first("a" * (MAX_LOGIN_CHARACTERS - 1), "b") == "a" * (MAX_LOGIN_CHARACTERS - 1)


@given(st.text(max_size=80), st.text(max_size=80))
def test_every_candidate_is_a_login_that_directories_and_mail_take(given_name: str, family_name: str) -> None:
    candidates = list(islice(login_candidates(given_name, family_name, MARKER), 20))
    assert len(set(candidates)) == 20
    assert all(re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)?", candidate) for candidate in candidates)
    assert len(candidates[0]) <= MAX_LOGIN_CHARACTERS
