"""When Okta says to come back, what it refuses, and the form of its settings."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.http import MAX_RETRY_AFTER_SECONDS
from connectors.okta.client import DIALECT
from connectors.okta.records import Profile, Status, User
from connectors.okta.settings import OktaSettings
from workforce.errors import AlreadyTaken, Refused

NOW = "Sun, 22 Nov 2026 12:00:00 GMT"
NOW_EPOCH = 1795348800


def throttled(**headers: str) -> httpx.Response:
    return httpx.Response(429, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x_rate_limit_reset": str(NOW_EPOCH + 37), "date": NOW}, 37.0),
        ({"x_rate_limit_reset": str(NOW_EPOCH - 5), "date": NOW}, 0.0),
        ({"x_rate_limit_reset": "999999999999", "date": NOW}, MAX_RETRY_AFTER_SECONDS),
        ({"x_rate_limit_reset": "1", "date": "yesterday"}, 0.0),
        ({"x_rate_limit_reset": "soon", "retry_after": "7"}, 7.0),
        ({"x_rate_limit_reset": "9" * 400}, None),
        ({"x_rate_limit_reset": "-1"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_until_the_limit_is_set_anew_by_okta_s_own_clock(headers: dict[str, str], seconds: float | None) -> None:
    assert DIALECT.wait(throttled(**headers)) == seconds


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_whatever_stands_in_the_headers_the_wait_is_bounded(reset: bytes, date: bytes) -> None:
    answer = httpx.Response(429, headers=[(b"x-rate-limit-reset", reset), (b"date", date)])
    wait = DIALECT.wait(answer)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER_SECONDS


def refused(body: object) -> httpx.Response:
    return httpx.Response(400, json=body, request=httpx.Request("POST", "https://acme.okta.example/api/v1/users"))


def test_a_taken_login_is_told_apart_from_other_faults() -> None:
    taken = {
        "errorCode": "E0000001",
        "errorCauses": [{"errorSummary": "login: An object with this field already exists in the org"}],
    }
    held = DIALECT.error(refused(taken))
    assert isinstance(held, AlreadyTaken)
    assert held.field == "login"
    other = {"errorCode": "E0000001", "errorCauses": [{"errorSummary": "email: does not match ada@client.example"}]}
    plain = DIALECT.error(refused(other))
    assert isinstance(plain, Refused)
    assert not isinstance(plain, AlreadyTaken)
    assert plain.field == "email"
    assert "client.example" not in str(plain)


@pytest.mark.parametrize("body", [None, [], {"errorCode": "Ada Lovelace"}, {"errorCauses": "Ada"}, {"errorId": "Ada Lovelace"}])
def test_an_error_of_another_form_is_a_refusal_that_tells_nothing_of_it(body: object) -> None:
    error = DIALECT.error(refused(body))
    assert type(error) is Refused
    assert "Ada" not in str(error)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("under_way", ["ACTIVE", "PROVISIONED"])
def test_whoever_is_being_activated_is_not_blocked(status: Status, under_way: str) -> None:
    user = User(id="00u1", status=status, transitioning_to=under_way, profile=Profile(login="ada"))
    assert not user.is_blocked


URL = "https://acme.okta.com"


@pytest.mark.parametrize(
    "given_form",
    [
        {},
        {"api_token": "t", "client_id": "0oa1"},
        {"client_id": "0oa1"},
        {"private_key": "no key"},
        {"client_id": "0oa1", "private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"},
        {"api_token": "t", "org_url": "http://acme.okta.com"},
        {"api_token": "t", "org_url": "https://acme.okta.com/app"},
        {"api_token": "t", "protected_user_ids": ["../x"]},
    ],
)
def test_a_form_that_is_not_clear_is_refused_without_telling_the_key(given_form: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        OktaSettings.model_validate({"org_url": URL, **given_form})
    assert "c2VjcmV0" not in str(caught.value.errors(include_input=False))


def test_the_token_is_shown_nowhere() -> None:
    form = OktaSettings.model_validate({"org_url": f"{URL}/", "api_token": "00secretToken"})
    assert form.org_url == URL
    assert "00secretToken" not in repr(form)
