"""A stand-in of Microsoft's login authority, as far as an app's own tokens go. Error codes are not verified against the vendor."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs
from uuid import uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_TOKEN_SECONDS = 3599
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Refusal = tuple[int, str, str]


@dataclass(frozen=True)
class Registered:
    """A key pair whose certificate is registered for the app. PEM texts."""

    private_key: str
    certificate: str

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate."""
        return x509.load_pem_x509_certificate(self.certificate.encode())

    @property
    def thumbprint(self) -> str:
        """SHA-1, in hexadecimal, as the portal shows it."""
        return self.parsed.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - a name of the certificate, not a proof


@dataclass
class Authority:
    """One tenant's tokens. ``graph_url`` is where Graph lies when that is not where the authority is, as in national clouds."""

    tenant: str
    client_id: str
    client_secret: str
    graph_url: str | None = None
    certificates: list[Registered] = field(default_factory=list)
    assertions: list[dict[str, object]] = field(default_factory=list)
    """The headers of the assertions that were accepted."""
    _tokens: dict[str, float] = field(default_factory=dict)

    def register_certificate(self, *, days: int = 30) -> Registered:
        """Make a key pair and register its certificate, which expires in ``days``."""
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stint sandbox app")])
        until = datetime.now(UTC) + timedelta(days=days)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = (
            builder.serial_number(x509.random_serial_number())
            .not_valid_before(until - timedelta(days=366))
            .not_valid_after(until)
        )
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.certificates.append(Registered(private.decode(), certificate.decode()))
        return self.certificates[-1]

    def accepts(self, token: str) -> bool:
        """Whether ``token`` is good."""
        return self._tokens.get(token, 0.0) >= time.monotonic()

    def expire_tokens(self) -> None:
        """Take back every token issued so far."""
        self._tokens.clear()

    def routes(self) -> list[Route]:
        """Discovery and tokens."""
        return [
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery, methods=["GET"]),
            Route("/{tenant}/oauth2/v2.0/token", self._issue_token, methods=["POST"]),
        ]

    async def _discovery(self, request: Request) -> Response:
        if request.path_params["tenant"] != self.tenant:
            return JSONResponse({"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found."}, 400)
        base = f"{request.base_url}{self.tenant}"
        return JSONResponse(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            }
        )

    async def _issue_token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        refusal = self._refusal(form, request)
        if refusal is not None:
            status, error, words = refusal
            code = int(words.partition(":")[0].removeprefix("AADSTS"))
            body = {"error": error, "error_description": words, "correlation_id": str(uuid4()), "error_codes": [code]}
            return JSONResponse(body, status)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + _TOKEN_SECONDS
        return JSONResponse({"token_type": "Bearer", "expires_in": _TOKEN_SECONDS, "access_token": token})

    def _refusal(self, form: Mapping[str, str], request: Request) -> Refusal | None:
        if form.get("grant_type") != "client_credentials":
            return 400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported."
        if form.get("client_id") != self.client_id:
            return 400, "unauthorized_client", "AADSTS700016: Application was not found in the directory."
        if form.get("scope") != f"{self.graph_url or str(request.base_url).rstrip('/')}/.default":
            return 400, "invalid_scope", "AADSTS70011: The scope is not valid in this cloud."
        if "client_assertion" in form:
            return self._assertion_refusal(form, str(request.url))
        if not secrets.compare_digest(form.get("client_secret", ""), self.client_secret):
            return 401, "invalid_client", "AADSTS7000215: Invalid client secret provided."
        return None

    def _assertion_refusal(self, form: Mapping[str, str], endpoint: str) -> Refusal | None:
        """RFC 7523, and the certificate found by the thumbprint in the header, as Entra does."""
        try:
            header = jwt.get_unverified_header(form["client_assertion"])
            certificate = self._named(header)
            claims = jwt.decode(
                form["client_assertion"],
                certificate.public_key(),  # type: ignore[arg-type]  # always RSA here
                algorithms=["RS256", "PS256"],
                audience=endpoint,
                issuer=self.client_id,
                options={"require": ["exp", "aud", "iss", "sub", "jti"]},
            )
        except (jwt.PyJWTError, LookupError):
            return 401, "invalid_client", "AADSTS700027: The certificate used to sign the client assertion is not registered."
        if claims["sub"] != self.client_id or form.get("client_assertion_type") != _ASSERTION:
            return 401, "invalid_client", "AADSTS700021: Client assertion application identifier does not match."
        if certificate.not_valid_after_utc < datetime.now(UTC):
            return 401, "invalid_client", "AADSTS700027: The certificate used to sign the client assertion is expired."
        self.assertions.append(header)
        return None

    def _named(self, header: Mapping[str, str]) -> x509.Certificate:
        name, digest = ("x5t#S256", hashes.SHA256()) if "x5t#S256" in header else ("x5t", hashes.SHA1())  # noqa: S303 - as above
        for registered in self.certificates:
            named = base64.urlsafe_b64encode(registered.parsed.fingerprint(digest)).decode()
            if secrets.compare_digest(named.rstrip("="), header.get(name, "").rstrip("=")):
                return registered.parsed
        raise LookupError(name)
