"""Shared pieces of connectors: values that forms ask for, and answers as typed records."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import BaseModel, TypeAdapter, ValidationError

from connectors.answers import Reading
from connectors.forms import HttpsOrigin, HttpsUrl, RsaPrivateKey
from workforce.errors import RetryLater


class Thing(BaseModel):
    id: str
    parts: list[int] = []


parse = Reading("vendor")


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def test_an_answer_becomes_a_record_from_objects_and_from_json() -> None:
    assert parse(Thing, {"id": "7"}) == parse(Thing, b'{"id": "7"}') == Thing(id="7")
    assert parse(list[Thing], b'[{"id": "7"}]') == [Thing(id="7")]


@pytest.mark.parametrize("payload", [None, [], {"id": 7}, b"", b"{", b"\xff", "text", {"id": "7", "parts": ["Ada"]}])
def test_an_answer_that_is_something_else_is_told_by_its_place_alone(payload: Any) -> None:
    with pytest.raises(RetryLater) as raised:
        parse(Thing, payload)
    assert raised.value.cause == "unreadable_answer"
    assert "Ada" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_keys_of_the_vendor_do_not_make_a_message_endless() -> None:
    with pytest.raises(RetryLater) as raised:
        parse(dict[str, int], {"k" * 100_000: "x"})
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "url", ["http://a.example", "https://", "https://a.example/path", "https://u@a.example", "https://a b", "a"]
)
def test_an_origin_is_https_a_host_and_nothing_else(url: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(HttpsOrigin).validate_python(url)


def test_addresses_that_are_meant_are_taken() -> None:
    assert TypeAdapter(HttpsOrigin).validate_python("https://a.example:8443") == "https://a.example:8443"
    assert str(TypeAdapter(HttpsUrl).validate_python("https://a.example/path")) == "https://a.example/path"
    with pytest.raises(ValidationError):
        TypeAdapter(HttpsUrl).validate_python("http://a.example/")


def test_only_an_open_rsa_key_of_2048_bits_signs() -> None:
    right = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert TypeAdapter(RsaPrivateKey).validate_python(right).get_secret_value() == right
    short = pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505 - to be refused
    locked = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048), b"password")
    for wrong in (short, locked, pem(ec.generate_private_key(ec.SECP256R1())), "", "-----BEGIN"):
        with pytest.raises(ValidationError) as raised:
            TypeAdapter(RsaPrivateKey).validate_python(wrong)
        assert "must be an unencrypted RSA" in str(raised.value)
