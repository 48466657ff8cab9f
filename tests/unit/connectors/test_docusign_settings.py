"""The DocuSign settings form: what it rejects, and that it keeps its secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError

from connectors.catalogue import load
from connectors.docusign import CONNECTOR
from connectors.docusign.sandbox import DocuSignSandbox
from connectors.docusign.settings import DocuSignSettings
from connectors.docusign.tokens import audience


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    return DocuSignSandbox().settings("https://localhost:8443", Path("ca.pem"))


def test_the_catalogue_finds_the_connector() -> None:
    assert load("docusign") is CONNECTOR


def test_the_form_of_the_sandbox_is_valid(form: dict[str, Any]) -> None:
    assert DocuSignSettings.model_validate(form).timeout_seconds == 10.0


def test_the_demo_server_is_the_default(form: dict[str, Any]) -> None:
    settings = DocuSignSettings.model_validate({name: value for name, value in form.items() if name != "auth_server"})
    assert audience(settings) == "account-d.docusign.com"


def test_the_audience_names_a_port_that_is_not_the_usual_one(form: dict[str, Any]) -> None:
    assert audience(DocuSignSettings.model_validate(form)) == "localhost:8443"


def an_elliptic_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def a_short_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be rejected
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("auth_server", "http://account-d.docusign.com"),
        ("auth_server", "account-d.docusign.com"),
        ("integration_key", "not a guid"),
        ("private_key", "-----BEGIN RSA PRIVATE KEY----- canary"),
        ("private_key", an_elliptic_key()),
        ("private_key", a_short_key()),
        ("connect_hmac_keys", []),
        ("connect_hmac_keys", [""]),
        ("timeout_seconds", 0),
        ("timeout_seconds", 3600),
        ("work_order_field", ""),
        ("surprise", "1"),
    ],
)
def test_a_wrong_field_is_named_and_not_quoted(form: dict[str, Any], field: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        DocuSignSettings.model_validate({**form, field: value})
    fault = raised.value.errors(include_input=False)[0]
    assert fault["loc"][0] == field
    assert "canary" not in fault["msg"]


def test_secrets_do_not_show(form: dict[str, Any]) -> None:
    settings = DocuSignSettings.model_validate(form)
    shown = f"{settings!r} {settings.model_dump_json()}"
    assert "PRIVATE KEY" not in shown
    assert not any(key in shown for key in form["connect_hmac_keys"])
