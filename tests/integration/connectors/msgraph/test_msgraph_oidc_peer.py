"""The tokens that msal asks for, from a real OpenID provider: by secret, by certificate, and not by anything else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jwt.algorithms import RSAAlgorithm

from connectors.msgraph.sandbox_authority import Authority, Registered
from connectors.msgraph.settings import MsGraphSettings
from connectors.msgraph.tokens import AppTokens
from connectors.suite.sandbox import ON_LOOPBACK
from connectors.wire.tls import TlsFiles, make_loopback_tls
from workforce.errors import Misconfigured

pytestmark = pytest.mark.integration

PEER = Path(__file__).resolve().parents[3] / "peers" / "oidc"
TENANT, SECRET, GRAPH = "stint-tenant", "peer-client-secret", "https://graph.example"


@dataclass(frozen=True)
class Peer:
    """A running provider, and the key pair that it knows."""

    authority: str
    tls: TlsFiles
    registered: Registered

    def form(self, **credential: object) -> dict[str, Any]:
        return {"tenant_id": TENANT, "authority": self.authority, "graph_url": GRAPH, "ca_file": self.tls.ca, **credential}


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    node = shutil.which("node")
    if node is None or not (PEER / "node_modules" / "oidc-provider").is_dir():
        pytest.skip("no OpenID provider to test against: run npm install in tests/peers/oidc")
    tls = make_loopback_tls(Path(tmp_path_factory.mktemp("oidc-tls")))
    registered = Authority(TENANT, "", "").register_certificate()
    key = RSAAlgorithm.to_jwk(registered.parsed.public_key(), as_dict=True)
    told = {"tenant": TENANT, "certificate": str(tls.certificate), "key": str(tls.key), "secret": SECRET, "jwk": key}
    process = subprocess.Popen(  # noqa: S603 - our own file, with a program found on the path
        [node, "server.mjs"], cwd=PEER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({**told, "scope": f"{GRAPH}/.default"}) + "\n")
        process.stdin.flush()
        port = json.loads(process.stdout.readline())["port"]
        yield Peer(f"https://localhost:{port}", tls, registered)
        process.terminate()


@pytest.fixture
def tokens(peer: Peer) -> Iterator[Callable[..., AppTokens]]:
    with ExitStack() as stack:

        def build(**credential: object) -> AppTokens:
            built = AppTokens(MsGraphSettings(**peer.form(**credential)), ON_LOOPBACK)
            stack.callback(built.close)
            return built

        yield build


def test_a_token_is_given_for_the_secret_and_another_when_it_is_renewed(tokens: Callable[..., AppTokens]) -> None:
    cache = tokens(client_id="app-with-secret", client_secret=SECRET).cache
    first = cache.authorize()
    assert first["Authorization"].startswith("Bearer ")
    assert cache.authorize() == first
    cache.renew()
    assert cache.authorize() != first


@pytest.mark.parametrize("named_by", ["certificate", "certificate_thumbprint"])
def test_a_token_is_given_for_the_certificate(peer: Peer, tokens: Callable[..., AppTokens], named_by: str) -> None:
    proof = {"certificate": peer.registered.certificate, "certificate_thumbprint": peer.registered.thumbprint}[named_by]
    ours = tokens(client_id="app-with-certificate", private_key=peer.registered.private_key, **{named_by: proof})
    assert ours.cache.authorize()["Authorization"].startswith("Bearer ")


def test_another_secret_and_another_key_are_refused(tokens: Callable[..., AppTokens]) -> None:
    stranger = Authority(TENANT, "", "").register_certificate()
    wrong: list[tuple[str, dict[str, str]]] = [
        ("client_secret", {"client_id": "app-with-secret", "client_secret": "another"}),
        (
            "private_key",
            {"client_id": "app-with-certificate", "private_key": stranger.private_key, "certificate": stranger.certificate},
        ),
    ]
    for field, credential in wrong:
        with pytest.raises(Misconfigured) as caught:
            tokens(**credential).cache.authorize()
        assert caught.value.field == field
        assert not {"another", stranger.private_key} & {*str(caught.value).split()}
