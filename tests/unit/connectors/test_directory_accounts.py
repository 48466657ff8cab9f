"""What directories have in common: whose accounts are ours, what a mapping may set, what changed since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from connectors.records.accounts import (
    CLOCKS_DIFFER,
    Sweep,
    attribute_names,
    mapped,
    marker_in,
    random_password,
    require_marker,
    shown_attributes,
    usable,
)
from connectors.records.instants import instant_in, instant_text
from workforce.errors import Refused, UnusableContent
from workforce.markers import new_marker


class Listed(Sweep):
    place: int = 0


class Person(BaseModel):
    login: str
    age: int


def a_mapping(attributes: dict[str, object], ours: dict[str, object]) -> dict[str, object]:
    return mapped("vendor", attributes, ours, str.isidentifier)


@pytest.mark.parametrize("value", [None, "", "4711", 7, ["ST0123456789ABC"]])
def test_whatever_else_stands_for_the_marker_is_not_ours(value: object) -> None:
    assert marker_in(value) is None


def test_our_marker_is_recognised_and_required() -> None:
    marker = new_marker()
    assert marker_in(marker) == marker
    require_marker("vendor", marker, field="employeeNumber")
    with pytest.raises(Refused) as caught:
        require_marker("vendor", "4711", field="employeeNumber")
    assert (caught.value.cause, caught.value.field) == ("bad_marker", "employeeNumber")


def test_a_mapping_may_repeat_what_is_ours_and_clears_with_nothing() -> None:
    assert a_mapping({"TITLE": "x", "Login": "ada", "nick": ""}, {"login": "ada"}) == {"TITLE": "x", "nick": None}


@pytest.mark.parametrize("attributes", [{"LOGIN": "eve"}, {"no name": "x"}, {"login": None}])
def test_a_mapping_cannot_change_what_is_ours_in_any_case(attributes: dict[str, object]) -> None:
    with pytest.raises(Refused) as caught:
        a_mapping(attributes, {"login": "ada"})
    assert caught.value.cause == "reserved_attribute"


def test_a_value_that_equals_nothing_is_no_breach() -> None:
    assert list(a_mapping({"title": float("nan")}, {"login": "ada"})) == ["title"]


def test_unusable_content_names_its_fields_and_not_their_values() -> None:
    with pytest.raises(UnusableContent) as caught:
        usable("vendor", Person, {"login": 5, "age": "Ada"})
    assert caught.value.field == "login, age"
    assert "Ada" not in str(caught.value)


def test_passwords_are_long_and_no_two_alike() -> None:
    passwords = {random_password() for _ in range(50)}
    assert (len(passwords), min(map(len, passwords)) > 40) == (50, True)


@pytest.mark.parametrize("cursor", [None, "", "page 2", "{}x", '{"since": "x"}', '{"other": 1, "begun": "2026-01-01T00:00:00Z"}'])
def test_a_cursor_that_is_none_of_ours_begins_anew(cursor: str | None) -> None:
    sweep = Listed.at(cursor)
    assert (sweep.since, sweep.place) == (None, 0)
    assert datetime.now(UTC) - sweep.begun >= CLOCKS_DIFFER


def test_the_next_reading_asks_from_where_this_one_began() -> None:
    sweep = Listed(place=3)
    assert Listed.at(sweep.model_dump_json()) == sweep
    again = sweep.again()
    assert (again.since, again.place, again.begun >= sweep.begun) == (sweep.begun, 0, True)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T13:00:00+01:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("soon", None),
        (20260301, None),
        (None, None),
    ],
)
def test_an_instant_is_read_in_utc_or_not_at_all(text: object, instant: datetime | None) -> None:
    assert instant_in(text) == instant


def test_an_instant_is_written_in_utc_with_what_is_finer_cut_off() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC) + timedelta(0)
    assert instant_text(moment) == "2026-03-01T12:00:00Z"
    assert instant_text(moment, "milliseconds") == "2026-03-01T12:00:00.999Z"


# What is shown of an account's attributes


def test_attributes_are_told_as_the_schema_spells_them_and_nothing_else_is() -> None:
    held = {"DisplayName": "Ada", "name": {"givenname": "Ada", "pronounced": "?"}, "active": True, "id": "1", "nobodys": 1}
    shown = shown_attributes("scim", held, unset_is_empty=False)
    assert shown == {"displayName": "Ada", "name": {"givenName": "Ada"}}


def test_what_a_directory_leaves_out_because_it_is_empty_is_none_in_every_part() -> None:
    shown = shown_attributes("scim", {"name": {"givenName": "Ada"}}, unset_is_empty=True)
    assert set(shown) == set(attribute_names("scim"))
    assert shown["title"] is None
    name = shown["name"]
    assert isinstance(name, dict)
    assert (name["givenName"], name["familyName"]) == ("Ada", None)


def test_a_target_s_own_attributes_are_shown_where_they_are_there() -> None:
    ours = {"urn:acme:2.0:User": {"badge": "7"}}
    assert shown_attributes("scim", ours, unset_is_empty=False) == ours
    assert shown_attributes("okta", {"badge": "7", "employeeNumber": "ST1"}, unset_is_empty=False) == {"badge": "7"}


@pytest.mark.parametrize("key", ["msgraph", "ldap", "activedirectory", "scim", "okta"])
def test_no_password_is_ever_asked_for(key: str) -> None:
    names = attribute_names(key)
    assert len(names) > 10
    assert not {"userpassword", "unicodepwd", "password", "passwordprofile"} & {name.casefold() for name in names}


def test_a_connector_without_a_target_shows_nothing() -> None:
    assert shown_attributes("slack", {"a": 1}, unset_is_empty=True) == {}
