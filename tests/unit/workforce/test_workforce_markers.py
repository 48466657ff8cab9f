from __future__ import annotations

import pytest

from workforce.markers import is_marker, new_marker


def test_a_marker_fits_the_sixteen_characters_of_employee_id_and_is_recognised() -> None:
    marker = new_marker()
    assert len(marker) == 15
    assert is_marker(marker)


def test_markers_do_not_repeat() -> None:
    assert len({new_marker() for _ in range(2000)}) == 2000


@pytest.mark.parametrize(
    "text",
    ["", "ST", "ada.lovelace", "ST0123456789ABI", "ST0123456789ABL", "ST0123456789ABO", "ST0123456789ABU", "st0123456789abc",
     "ST0123456789ABCD", "ST0123456789ABC\n", " ST0123456789ABC", "ST\uff10123456789ABC", "ST0123456789ABC*"],
)  # fmt: skip
def test_a_namesake_is_not_taken_for_a_marker(text: str) -> None:
    assert not is_marker(text)
