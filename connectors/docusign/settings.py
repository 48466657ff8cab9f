"""The settings form of the DocuSign connector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

from pydantic import AnyUrl, Field, SecretStr

from connectors.contract import ConnectorSettings
from connectors.forms import HttpsUrl, RsaPrivateKey


class DocuSignSettings(ConnectorSettings):
    """One DocuSign account, used through one integration key on behalf of one API user."""

    auth_server: HttpsUrl = Field(
        default=AnyUrl("https://account-d.docusign.com"),
        description="OAuth server: account-d.docusign.com for demo accounts, account.docusign.com for production",
    )
    integration_key: UUID = Field(description="integration key (client id) of the app under Settings > Apps and Keys")
    user_id: UUID = Field(description="API user id (GUID) of the user in whose name the hub reads envelopes")
    private_key: RsaPrivateKey = Field(
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
