"""How a mapping's attributes become a SCIM User, and which of them no mapping may set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.protocols.scim_resources import CORE, ENTERPRISE, merged, value_at
from connectors.records.instants import instant_in
from connectors.scim.records import leaves, require_allowed
from connectors.scim.settings import ScimSettings
from workforce.errors import Refused

MARKER = "ST0123456789ABC"
ENDING = "urn:acme:scim:2.0:User"
OURS: dict[str, object] = {f"{ENTERPRISE}:employeeNumber": MARKER, f"{ENDING}:endsAt": object()}
NAMES = st.sampled_from(["title", "displayName", "name", "nickName", "urn:acme:scim:2.0:User"])
VALUES = st.recursive(
    st.one_of(st.text(min_size=1, max_size=3), st.integers(), st.none()), lambda v: st.dictionaries(NAMES, v, max_size=3)
)


@pytest.mark.parametrize(
    "attributes",
    [
        {"active": True},
        {"ACTIVE": None},
        {"password": "secret"},
        {"id": "1"},
        {"groups": []},
        {"schemas": []},
        {"meta": {"version": "1"}},
        {CORE: {"active": True}},
        {CORE.upper(): {"active": True}},
        {ENTERPRISE: {"employeeNumber": "4711"}},
        {ENTERPRISE.lower(): {"EMPLOYEENUMBER": None}},
        {ENTERPRISE: None},
        {ENTERPRISE: ""},
        {ENDING: {"endsAt": "2031-01-01T00:00:00Z"}},
        {ENDING: {"endsAt": None}},
    ],
)
def test_a_mapping_cannot_enable_an_account_set_its_password_or_change_its_marker(attributes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        require_allowed(attributes, OURS)
    assert caught.value.cause == "reserved_attribute"
    assert caught.value.field is not None


@pytest.mark.parametrize(
    ("attributes", "cause"),
    [
        ({"dispalyName": "Ada"}, "unknown_attribute"),
        ({'emails[type eq "work"].value': "ada@client.example"}, "unknown_attribute"),
        ({"name.givenName": "Ada"}, "unknown_attribute"),
        ({"name": {"given name": "Ada"}}, "unknown_attribute"),
        ({"name": "Ada Lovelace"}, "bad_attribute"),
        ({"emails": "ada@client.example"}, "bad_attribute"),
        ({ENTERPRISE: {"department": ["Engines"]}}, "bad_attribute"),
    ],
)
def test_what_no_user_has_is_refused_by_its_name_and_without_its_value(attributes: dict[str, Any], cause: str) -> None:
    with pytest.raises(Refused) as caught:
        require_allowed(attributes, OURS)
    assert caught.value.cause == cause
    assert "Ada" not in str(caught.value)
    assert "client.example" not in str(caught.value)


def test_what_a_user_has_is_allowed_also_where_it_repeats_what_is_ours() -> None:
    attributes = {
        "displayName": "Ada", "name": {"givenName": "Ada", "middleName": None}, "emails": [{"value": "ada@corp.local", "primary": True}],
        ENTERPRISE: {"employeeNumber": MARKER, "department": ""}, ENDING: {"costCode": 7},
    }  # fmt: skip
    require_allowed(attributes, OURS)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.dictionaries(NAMES, VALUES, max_size=4))
def test_merging_sets_what_is_named_takes_out_what_is_empty_and_keeps_the_rest(
    held: dict[str, Any], change: dict[str, Any]
) -> None:
    result = merged(held, change)
    assert merged(result, change) == result
    for name, value in held.items():
        if name not in change:
            assert result[name] == value
    for name, value in change.items():
        assert name not in result if value is None else (isinstance(value, dict) or result[name] == value)


def test_names_are_alike_in_any_case() -> None:
    assert merged({"DisplayName": "Ada"}, {"displayName": "Grace"}) == {"DisplayName": "Grace"}
    assert value_at({ENTERPRISE.lower(): {"EmployeeNumber": "7"}}, f"{ENTERPRISE}:employeeNumber") == "7"


def test_each_value_has_the_path_that_a_patch_names() -> None:
    attributes = {
        "title": "",
        "name": {"givenName": "Ada"},
        ENTERPRISE: {"manager": {"value": "1"}},
        "emails": [{"value": "a@b.example"}],
    }
    assert dict(leaves(attributes)) == {
        "title": None, "name.givenName": "Ada", f"{ENTERPRISE}:manager.value": "1", "emails": [{"value": "a@b.example"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2031-03-31T22:00:00Z", datetime(2031, 3, 31, 22, tzinfo=UTC)),
        ("2031-04-01T00:00:00+02:00", datetime(2031, 3, 31, 22, tzinfo=UTC)),
        ("2031-03-31T22:00:00", datetime(2031, 3, 31, 22, tzinfo=UTC)),
        ("soon", None),
        ("5", None),
        (7, None),
        (None, None),
    ],
)
def test_an_instant_is_read_or_there_is_none(text: object, moment: datetime | None) -> None:
    assert instant_in(text) == moment


URL = "https://app.example/scim/v2"
BY_TOKEN_ENDPOINT = {"token_url": "https://login.example/token", "client_id": "c", "client_secret": "s"}


@pytest.mark.parametrize("given", [{"token": "t"}, {"username": "u", "password": "p"}, {**BY_TOKEN_ENDPOINT, "scope": "scim"}])
def test_one_kind_of_credentials_is_enough(given: dict[str, object]) -> None:
    form = ScimSettings.model_validate({"base_url": f"{URL}/", **given})
    assert form.base_url == URL
    assert not any(secret in repr(form) for secret in ("'t'", "'p'", "'s'"))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"username": "u"},
        {"token": "t", "username": "u", "password": "p"},
        {"client_id": "c", "client_secret": "s"},
        {"token": "t", "scope": "scim"},
        {"token": "t", "base_url": "http://app.example"},
        {"token": "t", "base_url": "https://user:pass@app.example"},
        {"token": "t", "base_url": "https://app.example/?x=1"},
        {"token": "t", "expiry_attribute": "endsAt"},
    ],
)
def test_a_form_that_is_not_clear_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ScimSettings.model_validate({"base_url": URL, **given})
