"""The settings form of the DocuSign connector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, AnyUrl, Field, SecretStr, UrlConstraints
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings

HttpsUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["https"], host_required=True)]


def _rsa_private_key(pem: SecretStr) -> SecretStr:
    """Reject anything but an RSA private key, without quoting it."""
    try:
        key = load_pem_private_key(pem.get_secret_value().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:  # RFC 7518 §3.3
        message = "must be an unencrypted RSA private key of 2048 bits or more in PEM form, with its line breaks"
        raise PydanticCustomError("rsa_key", message)
    return pem


class DocuSignSettings(ConnectorSettings):
    """One DocuSign account, used through one integration key on behalf of one API user."""

    auth_server: HttpsUrl = Field(
        default=AnyUrl("https://account-d.docusign.com"),
        description="OAuth server: account-d.docusign.com for demo accounts, account.docusign.com for production",
    )
    integration_key: UUID = Field(description="integration key (client id) of the app under Settings > Apps and Keys")
    user_id: UUID = Field(description="API user id (GUID) of the user in whose name the hub reads envelopes")
    private_key: Annotated[SecretStr, AfterValidator(_rsa_private_key)] = Field(
        description="RSA private key (PEM) whose public half is registered with the integration key"
    )
    account_id: UUID = Field(description="API account id (GUID)")
    connect_hmac_keys: tuple[Annotated[SecretStr, Field(min_length=16)], ...] = Field(
        min_length=1, max_length=8, description="every active Connect HMAC key; two of them while one is being replaced"
    )
    work_order_field: str = Field(
        default="stint_work_order",
        min_length=1,
        max_length=100,
        description="envelope text custom field that holds the work order id; mappings see it as stint_work_order",
    )
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    ca_file: Path | None = Field(default=None, description="PEM file of authorities that replaces the system's trust store")
