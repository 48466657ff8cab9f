"""Access tokens and the assertions that buy them: what is sent, how long a token is kept, and what a refusal tells."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
import respx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from connectors.http import Dialect
from connectors.wire.assertions import CLIENT_ASSERTION, JWT_BEARER, Assertion
from connectors.wire.network import Reach
from connectors.wire.tokens import Expiry, GrantedToken, KnownRefusal, TokenCache, TokenEndpoint, basic
from workforce.errors import Misconfigured, RetryLater

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
URL = "https://auth.vendor.example"
EXPIRY = Expiry(600.0, instants=("expires_at", "expires"))


def an_assertion(**fields: Any) -> Assertion:
    return Assertion("app", "user", "https://auth.vendor.example/token", SecretStr(PEM), **fields)


def claims_of(signed: str) -> dict[str, Any]:
    return jwt.decode(signed, KEY.public_key(), ["RS256"], {"verify_exp": False, "verify_iat": False}, audience=f"{URL}/token")


def an_endpoint(**options: Any) -> TokenEndpoint:
    return TokenEndpoint(URL, "vendor", Reach(), field="client_secret", **options)


@pytest.fixture
def vendor() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as mock:
        yield mock


def test_an_assertion_says_who_speaks_for_whom_to_whom_and_how_long() -> None:
    claims = claims_of(an_assertion(claims={"scope": "sign"}).signed(NOW))
    start = int(NOW.timestamp())
    expected = {"iss": "app", "sub": "user", "aud": f"{URL}/token", "iat": start, "exp": start + 300, "scope": "sign"}
    assert claims == expected


def test_an_assertion_names_its_key_and_can_be_for_one_use() -> None:
    assertion = an_assertion(key_id="k1", is_single_use=True, lifetime=timedelta(minutes=1))
    first, second = assertion.signed(NOW), assertion.signed(NOW)
    assert jwt.get_unverified_header(first)["kid"] == "k1"
    assert "kid" not in jwt.get_unverified_header(an_assertion().signed(NOW))
    assert claims_of(first)["jti"] != claims_of(second)["jti"]
    assert claims_of(first)["exp"] - claims_of(first)["iat"] == 60


def test_an_assertion_is_a_grant_or_the_client() -> None:
    assertion = an_assertion()
    signed = assertion.signed(NOW)
    assert assertion.as_grant(NOW) == {"grant_type": JWT_BEARER, "assertion": signed}
    assert assertion.as_client(NOW) == {"client_assertion_type": CLIENT_ASSERTION, "client_assertion": signed}


def test_an_assertion_shows_no_key() -> None:
    assert "PRIVATE KEY" not in repr(an_assertion())


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({}, 600),
        ({"expires_at": "2026-11-22T13:00:00Z"}, 3600),
        ({"expires": "2026-11-22T13:00:00Z"}, 3600),
        ({"expires_at": "2026-11-22T12:30:00Z", "expires": "2026-11-22T13:00:00Z"}, 1800),
        ({"expires_at": "", "expires": "2026-11-22T13:00:00Z"}, 3600),
        ({"expires_at": "2026-11-22T11:00:00Z"}, 60),
        ({"expires_at": "2096-11-22T11:00:00Z"}, 86400),
        ({"expires_at": "soon"}, 600),
        ({"expires_at": 5}, 600),
    ],
)
def test_a_lifetime_that_is_told_in_another_way_or_not_at_all(told: dict[str, Any], seconds: float) -> None:
    assert EXPIRY.seconds(told, NOW) == seconds


def test_a_token_lives_as_long_as_its_answer_says_and_else_as_is_known(vendor: respx.MockRouter) -> None:
    endpoint = an_endpoint(expiry=EXPIRY)
    answers = vendor.post(f"{URL}/token")
    answers.respond(json={"access_token": "t", "expires_in": 5})
    assert endpoint.grant("/token") == GrantedToken("t", 5)
    answers.respond(json={"access_token": "t", "expires_in": None})
    assert endpoint.grant("/token") == GrantedToken("t", 600)
    with pytest.raises(RetryLater, match="no usable token"):
        an_endpoint().grant("/token")


@pytest.mark.parametrize(
    "answer", [{}, {"message": "hush"}, {"error": "invalid_client"}, {"error": "<b>&hush"}, {"error": ["hush"]}]
)
@pytest.mark.parametrize("status", [200, 400, 401])
def test_an_answer_without_a_token_is_a_refusal_that_names_the_setting(
    vendor: respx.MockRouter, answer: dict[str, Any], status: int
) -> None:
    vendor.post(f"{URL}/token").respond(status, json=answer)
    with pytest.raises(Misconfigured, match="check client_id and client_secret") as raised:
        an_endpoint(check="client_id and client_secret").grant("/token")
    assert (raised.value.cause, raised.value.field) == ("token_refused", "client_secret")
    assert "hush" not in str(raised.value)


def test_a_refusal_that_is_known_is_told_with_what_to_do(vendor: respx.MockRouter) -> None:
    vendor.post(f"{URL}/token").respond(400, json={"error": "consent_required"})
    known = {"consent_required": KnownRefusal("let the user consent once", field="user_id")}
    with pytest.raises(Misconfigured, match="vendor sign-in: let the user consent once") as raised:
        an_endpoint(refusals=known).grant("/token")
    assert (raised.value.cause, raised.value.field) == ("consent_required", "user_id")


@pytest.mark.parametrize(
    "answer",
    [{"access_token": "", "expires_in": 5}, {"access_token": "a b", "expires_in": 5}, {"access_token": "t", "expires_in": 0}],
)
def test_a_token_that_cannot_be_used_is_asked_for_again(vendor: respx.MockRouter, answer: dict[str, Any]) -> None:
    vendor.post(f"{URL}/token").respond(json=answer)
    with pytest.raises(RetryLater, match="no usable token"):
        an_endpoint().grant("/token")


def test_a_request_for_a_token_is_sent_once_and_never_unknown(vendor: respx.MockRouter) -> None:
    sent = vendor.post(f"{URL}/token").respond(500)
    with pytest.raises(RetryLater):
        an_endpoint().grant("/token")
    assert sent.call_count == 1


def test_a_token_is_fetched_anew_once_it_is_refused() -> None:
    fetched = iter([GrantedToken("first", 3600), GrantedToken("second", 3600)])
    tokens = TokenCache(lambda: next(fetched), clock=lambda: 0.0)
    assert tokens.authorize() == tokens.authorize() == {"Authorization": "Bearer first"}
    tokens.renew()
    assert tokens.authorize() == {"Authorization": "Bearer second"}


def test_calls_carry_the_token_and_one_that_is_not_accepted_is_renewed_once(vendor: respx.MockRouter) -> None:
    fetched = iter([GrantedToken("first", 3600), GrantedToken("second", 3600)])
    edge = TokenCache(lambda: next(fetched)).edge("https://vendor.example", Dialect("vendor"), Reach(), {"X-App": "hub"})
    route = vendor.get("/things").mock(side_effect=[httpx.Response(401), httpx.Response(200, json={})])
    edge.read("GET", "/things")
    assert [call.request.headers["Authorization"] for call in route.calls] == ["Bearer first", "Bearer second"]
    assert route.calls.last.request.headers["X-App"] == "hub"


def test_basic_credentials_are_those_of_the_standards_example() -> None:
    assert basic("Aladdin", "open sesame") == {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
    assert basic("key") == {"Authorization": "Basic a2V5Og=="}
