"""Instants as vendors write them: read with or without their offset, kept as written, never quoted in an error."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from connectors.records.instants import InstantText, instant, instant_in, instant_text, utc_now

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00.0000000Z", "2026-03-01T04:00:00-08:00", "2026-03-01 12:00:00+00:00"]
)
def test_an_instant_is_the_same_however_it_is_written(text: str) -> None:
    assert instant(text) == instant_in(text) == NOON
    assert instant(text).tzinfo is UTC
    assert TypeAdapter(InstantText).validate_python(text) == text


@pytest.mark.parametrize("odd", ["canary", "", "2026-13-01T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_what_is_no_instant_is_refused_and_not_quoted(odd: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever its words: nobody shows them
        instant(odd)
    assert instant_in(odd) is None
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(InstantText).validate_python(odd)
    assert raised.value.errors(include_input=False)[0]["msg"] == "must be an ISO 8601 instant with its offset"


def test_where_no_offset_is_told_it_is_utc_or_refused() -> None:
    assert instant_in("2026-03-01T12:00:00") == NOON
    with pytest.raises(ValueError, match="no offset"):
        instant("2026-03-01T12:00:00")


@pytest.mark.parametrize("other", [None, 5, [], NOON])
def test_only_a_text_tells_an_instant(other: object) -> None:
    assert instant_in(other) is None


@given(st.datetimes(timezones=st.timezones()))
def test_what_we_write_is_read_again(moment: datetime) -> None:
    try:
        written = instant_text(moment, "microseconds")
    except OverflowError:  # beyond the calendar in UTC
        return
    assert instant(written) == moment.astimezone(UTC)  # one instant: clocks of other zones show some times twice, or never


def test_our_clock_has_an_offset() -> None:
    assert utc_now().tzinfo is UTC
