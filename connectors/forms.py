"""Kinds of values that several settings forms ask for."""

from __future__ import annotations

from typing import Annotated

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, AnyUrl, SecretStr, StringConstraints, UrlConstraints
from pydantic_core import PydanticCustomError

LEAST_RSA_BITS = 2048  # RFC 7518 §3.3


def _rsa_private_key(pem: SecretStr) -> SecretStr:
    """Reject anything but an RSA private key of sufficient size, without quoting it."""
    try:
        key = load_pem_private_key(pem.get_secret_value().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < LEAST_RSA_BITS:
        message = "must be an unencrypted RSA private key of 2048 bits or more in PEM form, with its line breaks"
        raise PydanticCustomError("rsa_key", message)
    return pem


HttpsOrigin = Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")]
"""A scheme and a host, with a port where it is not 443: ``https://api.vendor.example``."""

Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]
"""A UUID in its usual form, as the vendor writes it."""

HttpsUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["https"], host_required=True)]
"""An address that may have a path."""

RsaPrivateKey = Annotated[SecretStr, AfterValidator(_rsa_private_key)]
"""An unencrypted RSA private key in PEM form, 2048 bits or more, that signs assertions (RFC 7523)."""
