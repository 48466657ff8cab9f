"""Webhook signatures: one verifier, one scheme per vendor as data. Constant time, several active keys, malformed is 401.

Sources: DocuSign Connect (HMAC-SHA256, base64, one header per active key), BambooHR (hex, body then timestamp), Gusto and others
(hex over the body).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from workforce.errors import BadSignature

MAX_CANDIDATES = 16  # a vendor sends one header per active key; more is an attempt to buy guesses


@dataclass(frozen=True, slots=True)
class HmacScheme:
    """How one vendor signs. ``candidates`` picks the signature texts from lower-case headers; ``message`` builds what is signed."""

    name: str
    encode: Callable[[bytes], str]
    candidates: Callable[[Mapping[str, str]], Iterable[str]]
    message: Callable[[Mapping[str, str], bytes], bytes] = lambda _headers, body: body
    digest: Callable[..., object] = hashlib.sha256


def base64_text(digest: bytes) -> str:
    """Base 64 with padding."""
    return base64.b64encode(digest).decode("ascii")


def hex_text(digest: bytes) -> str:
    """Lower-case hexadecimal."""
    return digest.hex()


def header(name: str) -> Callable[[Mapping[str, str]], Iterable[str]]:
    """The signature is the whole value of one header."""
    return lambda headers: [headers[name]] if name in headers else []


def numbered_headers(prefix: str) -> Callable[[Mapping[str, str]], Iterable[str]]:
    """One signature in each header ``<prefix>1``, ``<prefix>2`` and so on."""
    return lambda headers: [value for name, value in headers.items() if name.startswith(prefix)]


def sign(scheme: HmacScheme, key: bytes, headers: Mapping[str, str], body: bytes) -> str:
    """The signature text that the vendor would send. Used by verifiers and by the vendors' sandboxes."""
    return scheme.encode(hmac.new(key, scheme.message(headers, body), scheme.digest).digest())  # type: ignore[arg-type]


def verify(scheme: HmacScheme, keys: Iterable[bytes], headers: Mapping[str, str], body: bytes) -> None:
    """Raise ``BadSignature`` unless one candidate matches one active key. Every pair is compared, in constant time."""
    candidates = [text.encode("utf-8", "surrogatepass") for text in scheme.candidates(headers)]
    if not candidates:
        raise BadSignature(f"no {scheme.name} signature header", cause="missing_signature")
    if len(candidates) > MAX_CANDIDATES:
        raise BadSignature(f"more than {MAX_CANDIDATES} {scheme.name} signature headers", cause="malformed_signature")
    matched = False
    for key in keys:
        expected = sign(scheme, key, headers, body).encode("ascii")
        for candidate in candidates:
            matched |= hmac.compare_digest(expected, candidate)
    if not matched:
        raise BadSignature
