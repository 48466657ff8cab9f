from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.alerts import CONTRACT_END_OFFSETS, alert_instants, dedup_key, due_alert
from workforce.errors import Refused

ENDS_ON = date(2026, 12, 31)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_timers_are_nine_o_clock_at_the_work_location() -> None:
    assert alert_instants(ENDS_ON, "Asia/Kolkata") == [
        (30, at("2026-12-01T09:00+05:30")),
        (14, at("2026-12-17T09:00+05:30")),
        (7, at("2026-12-24T09:00+05:30")),
    ]


def test_an_alert_keeps_its_local_hour_across_a_change_of_clocks() -> None:
    instants = dict(alert_instants(date(2026, 11, 10), "America/New_York"))
    assert instants[14] == at("2026-10-27T09:00-04:00")
    assert instants[7] == at("2026-11-03T09:00-05:00")


@pytest.mark.parametrize(
    ("now", "sent", "expected"),
    [
        ("2026-11-30T12:00+00:00", (), None),
        ("2026-12-01T12:00+00:00", (), (30, 30, ())),
        ("2026-12-05T12:00+00:00", (30,), None),
        ("2026-12-20T12:00+00:00", (30,), (14, 11, ())),
        ("2026-12-20T12:00+00:00", (), (14, 11, (30,))),
        ("2026-12-28T12:00+00:00", (30,), (7, 3, (14,))),
        ("2026-12-28T12:00+00:00", (7,), None),
        ("2026-12-31T12:00+00:00", (), (7, 0, (30, 14))),
        ("2027-01-01T12:00+00:00", (), None),
    ],
)
def test_the_most_urgent_open_window_is_sent_once_and_larger_ones_are_skipped(
    now: str, sent: tuple[int, ...], expected: tuple[int, int, tuple[int, ...]] | None
) -> None:
    alert = due_alert(ENDS_ON, "Europe/London", now=at(now), sent=sent)
    assert (alert and (alert.offset_days, alert.days_left, alert.supersedes)) == expected


def test_days_left_are_counted_at_the_work_location() -> None:
    now = at("2026-12-17T02:00+00:00")
    assert due_alert(ENDS_ON, "America/Los_Angeles", now=now, sent=(30,)) is None
    assert due_alert(ENDS_ON, "Asia/Kolkata", now=now, sent=(30,)) is not None


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2026-11-01T00:00+00:00", [30, 14, 7]),
        ("2026-12-10T12:00+00:00", [30, 14, 7]),
        ("2026-12-20T12:00+00:00", [14, 7]),
        ("2026-12-24T08:00+00:00", [7]),
        ("2026-12-26T12:00+00:00", [7]),
        ("2027-01-02T12:00+00:00", []),
    ],
)
def test_a_late_engagement_gets_one_combined_alert_for_all_that_passed(created: str, expected: list[int]) -> None:
    instants = alert_instants(ENDS_ON, "Europe/London", created_at=at(created))
    assert [offset for offset, _ in instants] == expected
    assert all(instant >= at(created) for _, instant in instants)


@given(
    st.datetimes(at("2026-11-01"), at("2027-01-05"), timezones=st.just(UTC)),
    st.sets(st.integers(0, 70 * 24), max_size=40),
    st.sampled_from(["America/Los_Angeles", "Europe/London", "Pacific/Kiritimati"]),
)
def test_however_often_it_is_asked_no_offset_is_sent_twice_or_out_of_order(start: datetime, hours: set[int], zone: str) -> None:
    sent: list[int] = []
    for hour in sorted(hours):
        alert = due_alert(ENDS_ON, zone, now=start + timedelta(hours=hour), sent=sent)
        if alert:
            sent.append(alert.offset_days)
    assert sent == sorted(set(sent), reverse=True)
    asked_in_the_last_week = any(
        0 <= (ENDS_ON - (start + timedelta(hours=hour)).astimezone(ZoneInfo(zone)).date()).days <= 7 for hour in hours
    )
    assert (7 in sent) == asked_in_the_last_week


def test_the_key_changes_with_each_thing_that_makes_it_another_alert() -> None:
    base = ("eng-1", "contract_end", 30, ENDS_ON, 1)
    others = [("eng-2", *base[1:]), (*base[:2], 14, *base[3:]), (*base[:3], date(2027, 1, 1), 1), (*base[:4], 2)]
    assert len({dedup_key(*parts) for parts in [base, *others]}) == 5  # type: ignore[arg-type]  # the tuples are of mixed parts
    assert dedup_key(*base) == dedup_key(*base)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(Refused, match="time_zone"):
        alert_instants(ENDS_ON, "Mars/Olympus", CONTRACT_END_OFFSETS)
