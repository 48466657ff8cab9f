"""Shared pieces of connectors: values that forms ask for, and answers as typed records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import BaseModel, TypeAdapter, ValidationError

from connectors.forms import HttpsOrigin, HttpsUrl, RsaPrivateKey
from connectors.records.answers import Instant, Reading, Usable, Wire, code_in, served_at, told_in, whole_pdf
from workforce.errors import OutcomeUnknown, RetryLater


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


@pytest.mark.parametrize("payload", [None, {"id": 7}, b"{", {"id": "7", "parts": ["Ada"]}])
def test_an_odd_answer_to_a_write_leaves_it_unknown_whether_it_was_done(payload: Any) -> None:
    assert parse.written(Thing, {"id": "7"}) == Thing(id="7")
    with pytest.raises(OutcomeUnknown) as raised:
        parse.written(Thing, payload)
    assert raised.value.cause == "unreadable_answer"
    assert "Ada" not in str(raised.value)


class Stamp(Wire):
    at: Instant


@pytest.mark.parametrize(
    "text", ["2026-03-02T14:00:00+02:00", "2026-03-02T12:00:00Z", "2026-03-02T12:00:00.0000000Z", "2026-03-02T12:00:00.000+0000"]
)
def test_an_instant_is_read_whatever_its_offset_and_is_utc_from_then_on(text: str) -> None:
    told = parse(Stamp, {"at": text}).at
    assert (told, told.tzinfo) == (datetime(2026, 3, 2, 12, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    "text", ["2026-03-02T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday", None]
)
def test_an_instant_without_offset_or_beyond_the_calendar_is_none(text: str | None) -> None:
    with pytest.raises(RetryLater, match="at"):
        parse(Stamp, {"at": text})


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Mon, 02 Mar 2026 12:00:05 GMT", datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 12:00:05", datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)),
        ("Mon, 99999999999999999999 Jan 2026 00:00:00 GMT", None),
        ("Mon, 02 Jan 2026 00:00:00 +" + "9" * 30, None),
        ("soon", None),
        ("", None),
    ],
)
def test_the_date_of_an_answer_is_the_vendors_clock_or_nothing(date: str, expected: datetime | None) -> None:
    assert served_at(httpx.Response(200, headers={"Date": date})) == expected
    assert served_at(httpx.Response(200)) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"code": "TOO_MANY"}}', "TOO_MANY"),
        (b'{"error": {"code": "ada@acme.example"}}', ""),
        (b'{"error": {"code": "a sentence"}}', ""),
        (b'{"error": {"code": 7}}', ""),
        (b'{"error": "TOO_MANY"}', ""),
        (b'["error"]', ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_a_code_is_found_at_its_place_and_words_for_people_are_none(body: bytes, expected: str) -> None:
    assert code_in(httpx.Response(400, content=body), "error", "code") == expected


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7 cut off", b"<html>%%EOF", b"%PDF-1.7 %%EOF" + b" " * 2000])
def test_a_pdf_that_is_not_whole_is_asked_for_again(content: bytes) -> None:
    assert whole_pdf(httpx.Response(200, content=b"%PDF-1.7 x\n%%EOF\n"), "vendor").startswith(b"%PDF-")
    with pytest.raises(RetryLater):
        whole_pdf(httpx.Response(200, content=content), "vendor")


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


class OddlyTold(Wire):
    id: str
    at: Annotated[Instant | None, Usable] = None


@pytest.mark.parametrize("odd", ["soon", {}, [], None])
def test_what_cannot_be_used_counts_as_absent_and_hides_nothing_else(odd: object) -> None:
    assert OddlyTold.model_validate({"id": "1", "at": odd}) == OddlyTold(id="1")


@pytest.mark.parametrize(
    ("payload", "told"), [(b'["a"]', ["a"]), (["a"], ["a"]), (b"<html>", []), (b"[" * 100_000, []), ({}, [])]
)
def test_a_refusal_that_tells_nothing_readable_is_a_refusal_all_the_same(payload: object, told: list[str]) -> None:
    assert told_in(payload, list[str], []) == told
