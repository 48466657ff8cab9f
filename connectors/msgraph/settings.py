"""The settings form of Microsoft Entra ID through Microsoft Graph."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificate
from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from connectors.contract import ConnectorSettings
from connectors.forms import RsaPrivateKey

HttpsOrigin = Annotated[
    str, Field(pattern=r"^https://[A-Za-z0-9.\-]+(:\d{1,5})?/?$"), AfterValidator(lambda url: str(url).rstrip("/"))
]

HttpsAddress = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.\-]+(:\d{1,5})?(/[^\s]*)?$")]


class Cloud(StrEnum):
    """Microsoft's clouds that Graph v1.0 is served in."""

    GLOBAL = "global"
    US_GOV_L4 = "us_gov_l4"
    US_GOV_DOD = "us_gov_dod"
    CHINA = "china"


class _Pair(NamedTuple):
    authority: str
    graph_url: str


_PAIRS = {
    Cloud.GLOBAL: _Pair("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    Cloud.US_GOV_L4: _Pair("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    Cloud.US_GOV_DOD: _Pair("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    Cloud.CHINA: _Pair("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
}
_KNOWN = {origin for pair in _PAIRS.values() for origin in pair}


def _certificate(pem: str) -> str:
    _parsed_certificate(pem)
    return pem


def _parsed_certificate(pem: str) -> Certificate:
    try:
        return load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise PydanticCustomError("certificate", "is not a certificate in PEM form") from None


class MsGraphSettings(ConnectorSettings):
    """An app registration and the cloud it lives in.

    The app proves itself by ``client_secret``, or by ``private_key`` with the ``certificate`` that is registered for it, or with that
    certificate's SHA-1 thumbprint (the older way). ``authority`` and ``graph_url`` follow from ``cloud`` (the login hosts are not verified
    against the vendor) and are given only to reach it by another way; the token's scope follows Graph's address.
    """

    tenant_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.\-]*$")]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Annotated[SecretStr, Field(min_length=1)] | None = None
    private_key: RsaPrivateKey | None = Field(default=None, description="PEM, RSA, unencrypted")
    certificate: Annotated[str, AfterValidator(_certificate)] | None = Field(default=None, description="PEM")
    certificate_thumbprint: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{40}$")] | None = Field(default=None, description="SHA-1")
    cloud: Cloud = Cloud.GLOBAL
    authority: HttpsOrigin | None = Field(default=None, description="another way to the cloud's login authority")
    graph_url: HttpsOrigin | None = Field(default=None, description="another way to the cloud's Graph")
    tenant_size: Literal["S", "M", "L"] = Field(default="S", description="Graph's quota: S below 50 users, L above 500")
    marker_attribute: Annotated[str, Field(pattern=r"^(employeeId|extensionAttribute([1-9]|1[0-5]))$")] = Field(
        default="employeeId", description="where accounts carry our marker; an extension attribute where employeeId is the HRIS's"
    )
    protected_user_ids: frozenset[str] = Field(
        default=frozenset(), description="object ids that automation never touches: emergency administrators"
    )
    app_roles: bool = Field(
        default=False, description="whether roles of applications are given, taken and read: one more request for each account"
    )
    sign_in_activity: bool = Field(
        default=False, description="whether the last sign-in is read: needs AuditLog.Read.All and a premium licence"
    )
    sends_invitations: bool = Field(default=True, description="whether Microsoft writes to guests when they are invited")
    invitation_lands_at: HttpsAddress = Field(
        default="https://myapplications.microsoft.com/", description="where guests land once they have accepted"
    )
    access_pass_minutes: Annotated[int, Field(ge=10, le=43_200)] | None = Field(
        default=None, description="how long a temporary access pass works; the tenant's policy decides where none is given"
    )
    ca_file: Path | None = Field(default=None, description="PEM file that replaces the system's trust store")
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.client_secret is None) == (self.private_key is None):
            raise PydanticCustomError("credential", "give either client_secret or private_key")
        proofs = [proof for proof in (self.certificate, self.certificate_thumbprint) if proof is not None]
        if len(proofs) != (0 if self.private_key is None else 1):
            raise PydanticCustomError("credential", "private_key needs either certificate or certificate_thumbprint")
        if self.private_key and self.certificate and not _belong_together(self.private_key, self.certificate):
            raise PydanticCustomError("credential", "certificate is not that of private_key")
        if any(given in _KNOWN and given not in _PAIRS[self.cloud] for given in (self.authority, self.graph_url)):
            raise PydanticCustomError("cloud", "authority or graph_url belongs to another cloud")
        return self

    @property
    def login_origin(self) -> str:
        """Where tokens come from."""
        return self.authority or _PAIRS[self.cloud].authority

    @property
    def graph_origin(self) -> str:
        """Where Graph is."""
        return self.graph_url or _PAIRS[self.cloud].graph_url

    @property
    def scope(self) -> str:
        """All application permissions that were granted for this Graph: a token for another cloud's is of no use."""
        return f"{self.graph_origin}/.default"


def _belong_together(key: SecretStr, certificate: str) -> bool:
    private = load_pem_private_key(key.get_secret_value().encode(), password=None)
    return _parsed_certificate(certificate).public_key() == private.public_key()
