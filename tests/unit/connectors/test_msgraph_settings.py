"""The settings form of Entra ID: one credential, one cloud, and nothing of either in what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from connectors.msgraph.sandbox_authority import Authority, Registered
from connectors.msgraph.settings import MsGraphSettings

FORM = {"tenant_id": "client.example", "client_id": "app"}
SECRET = {"client_secret": "hush-hush"}
SCHEMA = Path(__file__).resolve().parents[3] / "connectors" / "msgraph" / "settings.schema.json"


@pytest.fixture(scope="module")
def registered() -> Registered:
    return Authority("t", "c", "s").register_certificate()


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()


def faults(**form: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        MsGraphSettings(**FORM, **form)
    return str(caught.value)


def test_a_key_goes_with_its_certificate_or_with_its_thumbprint(registered: Registered) -> None:
    for proof in ({"certificate": registered.certificate}, {"certificate_thumbprint": registered.thumbprint}):
        assert MsGraphSettings(**FORM, private_key=registered.private_key, **proof).client_secret is None


def test_exactly_one_credential_is_given(registered: Registered) -> None:
    key, certificate = {"private_key": registered.private_key}, {"certificate": registered.certificate}
    thumbprint = {"certificate_thumbprint": registered.thumbprint}
    assert "either client_secret or private_key" in faults()
    assert "either client_secret or private_key" in faults(**SECRET, **key, **certificate)
    for form in (key, {**key, **certificate, **thumbprint}, {**SECRET, **certificate}):
        assert "private_key needs either certificate or certificate_thumbprint" in faults(**form)


def test_a_certificate_belongs_to_its_key(registered: Registered) -> None:
    other = Authority("t", "c", "s").register_certificate()
    assert "not that of private_key" in faults(private_key=registered.private_key, certificate=other.certificate)


def test_a_bad_key_is_named_and_never_quoted(registered: Registered) -> None:
    good = registered.private_key
    bad = {
        "PEM form": [
            good[:-200],
            "gibberish",
            "",
            good.replace("PRIVATE", "PUBLIC"),
            pem(rsa.generate_private_key(65537, 2048), b"locked"),
        ],
        "RSA private key of 2048 bits": [
            pem(ec.generate_private_key(ec.SECP256R1())),
            pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - to be refused
        ],
    }
    for reason, keys in bad.items():
        for key in keys:
            said = faults(private_key=key, certificate=registered.certificate)
            assert "private_key" in said
            assert reason in said
            assert not any(line in said for line in key.splitlines() if line)


def test_a_bad_certificate_is_named_and_never_quoted(registered: Registered) -> None:
    said = faults(private_key=registered.private_key, certificate=registered.certificate[:-100])
    assert "certificate" in said
    assert "MII" not in said


@pytest.mark.parametrize(
    ("cloud", "own", "foreign"),
    [
        ("global", "https://graph.microsoft.com", "https://graph.microsoft.us"),
        ("us_gov_l4", "https://graph.microsoft.us/", "https://dod-graph.microsoft.us"),
        ("us_gov_dod", "https://dod-graph.microsoft.us", "https://graph.microsoft.us"),
        ("china", "https://microsoftgraph.chinacloudapi.cn", "https://graph.microsoft.com"),
    ],
)
def test_the_scope_is_that_of_the_cloud_and_another_clouds_address_is_refused(cloud: str, own: str, foreign: str) -> None:
    settings = MsGraphSettings(**FORM, **SECRET, cloud=cloud, graph_url=own)
    assert settings.scope == f"{own.rstrip('/')}/.default" == MsGraphSettings(**FORM, **SECRET, cloud=cloud).scope
    assert "belongs to another cloud" in faults(**SECRET, cloud=cloud, graph_url=foreign)


def test_the_schema_that_ships_is_that_of_the_form() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == MsGraphSettings.model_json_schema()
