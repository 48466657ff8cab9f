"""Webhook signatures: what is accepted, and that nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from connectors.webhooks import (
    MAX_CANDIDATES,
    HmacScheme,
    SharedSecretWebhooks,
    SignedWebhooks,
    base64_text,
    body_digest,
    content_of,
    form_field,
    header,
    hex_text,
    numbered_headers,
    prefixed_header,
    sign,
    verify,
)
from workforce.errors import BadSignature, UnusableContent

BASE64 = HmacScheme("numbered base 64", base64_text, numbered_headers("x-signature-"))
HEX = HmacScheme("hex", hex_text, header("x-signature"))
KEYS = (b"the key in use, long enough", b"the key that replaces it")
BODY = b'{"event":"envelope-completed"}\r\n'

keys = st.binary(min_size=1, max_size=64)
any_text = st.text(st.characters(exclude_categories=()), max_size=100)


def headers_of(scheme: HmacScheme, key: bytes, body: bytes) -> dict[str, str]:
    name = "x-signature-1" if scheme is BASE64 else "x-signature"
    return {name: sign(scheme, key, {}, body)}


@pytest.mark.parametrize("scheme", [BASE64, HEX], ids=lambda scheme: scheme.name)
class TestEveryScheme:
    @given(key=keys, body=st.binary(max_size=500))
    def test_what_is_signed_is_accepted(self, scheme: HmacScheme, key: bytes, body: bytes) -> None:
        verify(scheme, [key], headers_of(scheme, key, body), body)

    @given(data=st.data(), body=st.binary(min_size=1, max_size=200))
    def test_a_body_with_one_changed_bit_is_rejected(self, scheme: HmacScheme, data: st.DataObject, body: bytes) -> None:
        place = data.draw(st.integers(min_value=0, max_value=len(body) * 8 - 1))
        forged = bytearray(body)
        forged[place // 8] ^= 1 << place % 8
        with pytest.raises(BadSignature):
            verify(scheme, KEYS, headers_of(scheme, KEYS[0], body), bytes(forged))

    @given(extra=st.sampled_from([b"\n", b"\r\n", b" ", b"\x00"]), body=st.binary(max_size=200))
    def test_line_endings_are_part_of_the_body(self, scheme: HmacScheme, extra: bytes, body: bytes) -> None:
        with pytest.raises(BadSignature):
            verify(scheme, KEYS, headers_of(scheme, KEYS[0], body), body + extra)

    @given(key=keys)
    def test_another_key_is_rejected(self, scheme: HmacScheme, key: bytes) -> None:
        # HMAC pads short keys with zeros, so such keys are the same key.
        assume(key.rstrip(b"\x00") not in KEYS)
        with pytest.raises(BadSignature):
            verify(scheme, KEYS, headers_of(scheme, key, BODY), BODY)

    @given(text=any_text)
    @example(text="\ud800")
    @example(text="\udcff")
    @example(text="é")
    @example(text="")
    @example(text="====")
    def test_a_malformed_signature_is_a_bad_signature_and_never_a_crash(self, scheme: HmacScheme, text: str) -> None:
        name = next(iter(headers_of(scheme, KEYS[0], BODY)))
        with pytest.raises(BadSignature):
            verify(scheme, KEYS, {name: text}, BODY)

    @pytest.mark.parametrize("number", range(len(KEYS)))
    def test_every_active_key_is_accepted(self, scheme: HmacScheme, number: int) -> None:
        verify(scheme, KEYS, headers_of(scheme, KEYS[number], BODY), BODY)

    def test_without_a_key_nothing_is_accepted(self, scheme: HmacScheme) -> None:
        with pytest.raises(BadSignature):
            verify(scheme, [], headers_of(scheme, b"", BODY), BODY)

    def test_a_missing_header_is_named_as_such(self, scheme: HmacScheme) -> None:
        with pytest.raises(BadSignature) as raised:
            verify(scheme, KEYS, {"content-type": "application/json"}, BODY)
        assert raised.value.cause == "missing_signature"


def test_the_digest_is_the_one_of_the_standard_library() -> None:
    expected = hmac.digest(KEYS[0], BODY, hashlib.sha256)
    assert sign(BASE64, KEYS[0], {}, BODY) == base64.b64encode(expected).decode()
    assert sign(HEX, KEYS[0], {}, BODY) == expected.hex()


def test_a_match_may_stand_in_any_of_the_numbered_headers() -> None:
    good = sign(BASE64, KEYS[1], {}, BODY)
    verify(BASE64, KEYS, {"x-signature-1": "wrong", "x-signature-2": good, "x-other": "wrong"}, BODY)


def test_a_right_signature_in_a_header_of_another_name_is_not_looked_at() -> None:
    with pytest.raises(BadSignature):
        verify(BASE64, KEYS, {"x-signatures": sign(BASE64, KEYS[0], {}, BODY)}, BODY)


def test_a_flood_of_guesses_is_rejected_even_with_the_right_one_among_them() -> None:
    flood = {f"x-signature-{number}": "guess" for number in range(MAX_CANDIDATES)}
    with pytest.raises(BadSignature) as raised:
        verify(BASE64, KEYS, {**flood, "x-signature-99": sign(BASE64, KEYS[0], {}, BODY)}, BODY)
    assert raised.value.cause == "malformed_signature"


def test_hex_in_upper_case_is_another_text() -> None:
    with pytest.raises(BadSignature):
        verify(HEX, KEYS, {"x-signature": sign(HEX, KEYS[0], {}, BODY).upper()}, BODY)


def test_what_else_is_signed_comes_from_the_headers() -> None:
    def body_then_timestamp(headers: Mapping[str, str], body: bytes) -> bytes:
        return body + headers.get("x-timestamp", "").encode()

    scheme = HmacScheme("with a timestamp", hex_text, header("x-signature"), message=body_then_timestamp)
    stamped = {"x-timestamp": "1767225600"}
    signature = sign(scheme, KEYS[0], stamped, BODY)
    verify(scheme, KEYS, {**stamped, "x-signature": signature}, BODY)
    for other in ({}, {"x-timestamp": "1767225601"}):
        with pytest.raises(BadSignature):
            verify(scheme, KEYS, {**other, "x-signature": signature}, BODY)


def test_a_prefix_before_the_signature_is_taken_off_and_needed() -> None:
    scheme = HmacScheme("prefixed", hex_text, prefixed_header("signature", "sha256 "))
    signature = sign(scheme, KEYS[0], {}, BODY)
    verify(scheme, KEYS, {"signature": f"sha256 {signature}"}, BODY)
    for wrong in (signature, f"sha256  {signature}", f"sha512 {signature}", ""):
        with pytest.raises(BadSignature):
            verify(scheme, KEYS, {"signature": wrong}, BODY)


def test_a_capability_that_has_no_keys_says_which_setting_lacks_them() -> None:
    with pytest.raises(BadSignature, match="no signing_keys are configured for hex") as raised:
        SignedWebhooks(HEX, (), "signing_keys").verify(headers_of(HEX, b"", BODY), BODY)
    assert raised.value.cause == "no_key"
    SignedWebhooks(HEX, [SecretStr(KEYS[0].decode())]).verify(headers_of(HEX, KEYS[0], BODY), BODY)


SECRET = "a secret that is hard to guess"


@given(text=any_text)
@example(text=f"{SECRET}\x00")
@example(text=f"{SECRET} ")
@example(text=SECRET.upper())
@example(text=hashlib.sha256(SECRET.encode()).hexdigest())
def test_nothing_but_the_shared_secret_itself_is_accepted(text: str) -> None:
    webhooks = SharedSecretWebhooks("Vendor", "x-secret", [SecretStr("another one"), SecretStr(SECRET)])
    webhooks.verify({"x-secret": SECRET}, BODY)
    assume(text not in {SECRET, "another one"})
    with pytest.raises(BadSignature):
        webhooks.verify({"x-secret": text}, BODY)


@pytest.mark.parametrize(("secrets", "cause"), [((), "no_key"), ((SecretStr(SECRET),), "missing_signature")])
def test_without_shared_secret_or_header_nothing_is_accepted(secrets: tuple[SecretStr, ...], cause: str) -> None:
    with pytest.raises(BadSignature) as raised:
        SharedSecretWebhooks("Vendor", "x-secret", secrets).verify({}, BODY)
    assert raised.value.cause == cause


class Message(BaseModel):
    kind: str


@pytest.mark.parametrize(
    ("body", "field"), [(b"", "body"), (b"[]", "body"), (b'{"kind": ["canary"]}', "kind"), (b"[" * 9999, "body")]
)
def test_content_that_is_not_as_described_names_its_place_and_the_way_out(body: bytes, field: str) -> None:
    assert content_of(Message, b'{"kind": "hired"}', "vendor") == Message(kind="hired")
    with pytest.raises(UnusableContent, match=r"; choose JSON$") as raised:
        content_of(Message, body, "vendor", mend="; choose JSON")
    assert raised.value.field == field
    assert "canary" not in str(raised.value)


def test_a_repeated_body_is_the_same_delivery() -> None:
    assert body_digest(BODY) == body_digest(bytes(BODY)) != body_digest(BODY + b" ")


@pytest.mark.parametrize("name", ["json", "a.b"])
def test_a_field_of_a_form_is_found_by_its_own_name(name: str) -> None:
    parts = [b'name="other"\r\n\r\n1', b'name="' + name.encode() + b'"\r\n\r\n2', b'name="axb"\r\n\r\n3']
    body = b"".join(b"--x\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--x--\r\n"
    assert form_field(body, name) == b"2"
    with pytest.raises(ValueError, match="not one field absent"):
        form_field(body, "absent")
