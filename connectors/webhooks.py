"""Webhooks: who sent them, by one verifier and one scheme per vendor as data, and what is in them.

Constant time, several active keys, malformed is 401.

Sources: DocuSign Connect (HMAC-SHA256, base64, one header per active key), BambooHR (hex, body then timestamp), Gusto and others
(hex over the body).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from connectors.records.answers import place_of
from workforce.errors import BadSignature, UnusableContent

M = TypeVar("M", bound=BaseModel)

MAX_CANDIDATES = 16  # a vendor sends one header per active key; more is an attempt to buy guesses
LONGEST_DELIMITER = 72  # RFC 2046 §5.1.1: a boundary has at most 70 characters


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


def prefixed_header(name: str, prefix: str) -> Callable[[Mapping[str, str]], Iterable[str]]:
    """The signature follows ``prefix`` in one header."""
    return lambda headers: [headers[name].removeprefix(prefix)] if headers.get(name, "").startswith(prefix) else []


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


class SignedWebhooks:
    """Base of a ``Webhooks`` capability whose deliveries are signed, by ``scheme`` with any of ``secrets``, which are the ``setting``."""

    def __init__(self, scheme: HmacScheme, secrets: Iterable[SecretStr], setting: str = "webhook keys") -> None:
        self._scheme, self._setting = scheme, setting
        self._keys = [secret.get_secret_value().encode() for secret in secrets]

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise ``BadSignature`` unless an active key signed the body."""
        if not self._keys:
            raise BadSignature(f"no {self._setting} are configured for {self._scheme.name}", cause="no_key")
        verify(self._scheme, self._keys, headers, body)


class SharedSecretWebhooks:
    """Base of a ``Webhooks`` capability whose sender signs nothing and shows one of ``secrets`` in a header.

    That proves the sender and nothing of the body, so an event can be no more than a hint.
    """

    def __init__(self, system: str, header_name: str, secrets: Iterable[SecretStr], setting: str = "webhook secrets") -> None:
        self._system, self._header, self._setting = system, header_name, setting
        self._digests = [hashlib.sha256(secret.get_secret_value().encode()).digest() for secret in secrets]

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise ``BadSignature`` unless the header holds an active secret. Each is compared, in constant time whatever its length."""
        del body
        if not self._digests:
            raise BadSignature(f"no {self._setting} are configured for {self._system}", cause="no_key")
        given = headers.get(self._header, "").encode("utf-8", "surrogatepass")
        if not given:
            raise BadSignature(f"no {self._header} header; add it to the webhook in {self._system}", cause="missing_signature")
        matches = [hmac.compare_digest(hashlib.sha256(given).digest(), digest) for digest in self._digests]
        if not any(matches):
            raise BadSignature(f"the {self._header} header holds no active secret")


def content_of(shape: type[M], body: bytes, system: str, *, part: str = "body", mend: str = "") -> M:
    """The JSON in ``body`` as ``shape``. Raises ``UnusableContent`` naming the field, or ``part`` where it is no field; ``mend`` says how."""
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        where = place_of(error, whole=part)
        raise UnusableContent(f"{system}: webhook: {where} is not as described{mend}", field=where) from None


def body_digest(body: bytes) -> str:
    """The identity of a delivery that the vendor gives none: a repeated delivery repeats the body."""
    return hashlib.sha256(body).hexdigest()[:32]


def form_field(body: bytes, name: str) -> bytes:
    """The content of one field in multipart/form-data (RFC 7578): flat, complete, and the field once. Raises ``ValueError``.

    The boundary is the body's first line, which is what the header says as well. The standard library's e-mail parser is not for what
    anybody may send: it descends into parts within parts, and 1 MB of those keep it busy for a quarter of a minute. This reads once.
    """
    delimiter, _, rest = body.partition(b"\r\n")
    if not delimiter.startswith(b"--") or not 3 <= len(delimiter) <= LONGEST_DELIMITER:
        raise ValueError("no boundary")
    *parts, end = (b"\r\n" + rest).split(b"\r\n" + delimiter)
    split = [part.partition(b"\r\n\r\n") for part in parts]
    fields = [content for head, gap, content in split if gap and _is_field(head, name.encode())]
    if not end.startswith(b"--") or len(fields) != 1:
        raise ValueError(f"cut off, or not one field {name}")
    return fields[0]


def _is_field(head: bytes, name: bytes) -> bool:
    named = b"(?:" + re.escape(name) + b'|"' + re.escape(name) + b'")'
    wanted = re.compile(rb"content-disposition:[ \t]*form-data;[ \t]*name=" + named + rb"[ \t]*", re.IGNORECASE)
    return any(wanted.fullmatch(line) for line in head.split(b"\r\n"))
