"""LDAP values: what they become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.protocols.ldapv3.entries import Entry, encoded, generalized_time, instant


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2900, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 - bounds
def test_an_expiry_is_written_to_the_second_and_never_early(moment: datetime) -> None:
    written = instant(generalized_time(moment))
    assert written is not None
    assert timedelta(0) <= written - moment < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20310331220000Z", datetime(2031, 3, 31, 22, 0, tzinfo=UTC)),
        ("2031033122Z", datetime(2031, 3, 31, 22, 0, tzinfo=UTC)),
        ("203103312200+0200", datetime(2031, 3, 31, 20, 0, tzinfo=UTC)),
        ("20310331220000.5Z", datetime(2031, 3, 31, 22, 0, tzinfo=UTC)),
        ("000001010000Z", None),
        ("20310230000000Z", None),
        ("soon", None),
        (None, None),
    ],
)
def test_generalized_times_of_every_form_are_read(text: str | None, expected: datetime | None) -> None:
    assert instant(text) == expected


def test_values_become_bytes_and_emptiness_no_value() -> None:
    assert encoded("title", "Ingénieur") == ["Ingénieur".encode()]
    assert encoded("ou", ["a", "", None, 7]) == [b"a", b"7"]
    assert encoded("x", True) == [b"TRUE"]
    assert [encoded("title", value) for value in ("", None, [])] == [[], [], []]


def test_values_that_are_read_become_text_and_several_a_list() -> None:
    entry = Entry("cn=ada", {"title": ["Ingénieur".encode()], "ou": [b"a", b"7"], "jpegPhoto": [b"\xff\xd8"]})
    assert (entry.held("title"), entry.held("ou"), entry.held("mail")) == ("Ingénieur", ["a", "7"], None)
    with pytest.raises(UnicodeDecodeError):
        entry.held("jpegPhoto")
