"""Every request of the Graph connector, and every answer of its sandbox, as the vendor's metadata describes them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.msgraph import CONNECTOR
from connectors.msgraph.client import MsGraphClient
from connectors.msgraph.directory import MsGraphDirectory
from connectors.msgraph.sandbox import MsGraphSandbox
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.wire.tls import make_loopback_tls
from tests.contract.specs import Exchange, RecordingApp, VendorSpec
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, NotFound, Refused, RetryLater
from workforce.markers import new_marker

pytestmark = pytest.mark.integration

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
MAPPED: dict[str, object] = {
    "displayName": "Ada Lovelace", "mailNickname": "ada.lovelace", "givenName": "Ada", "surname": "Lovelace", "usageLocation": "DE",
    "companyName": "Babbage Ltd", "department": "Engines", "jobTitle": "Developer", "employeeType": "Contractor", "officeLocation": None,
}  # fmt: skip


def test_every_exchange_is_as_the_vendor_describes_it(tmp_path: Path) -> None:
    spec = VendorSpec.load("microsoft-graph/graph-v1.0-identity.openapi.json", prefix="/v1.0")
    sandbox, tls = MsGraphSandbox(page_size=2), make_loopback_tls(tmp_path)
    recording = RecordingApp(sandbox.app)
    with serve(recording, tls) as base_url:
        client = CONNECTOR.client(CONNECTOR.settings(**sandbox.settings(base_url, tls.ca)), ON_LOOPBACK)
        _use_everything(client, sandbox)
        client.close()
    described = [exchange for exchange in recording.exchanges if exchange.path.startswith("/v1.0/")]
    assert {f"{e.method} {e.status}" for e in described} >= {
        "GET 200", "GET 404", "GET 401", "GET 410", "GET 429", "POST 201", "POST 400", "POST 204", "POST 200", "PATCH 204", "PATCH 403",
        "DELETE 204", "DELETE 404",
    }  # fmt: skip
    parts = [part for exchange in described if exchange.path.endswith("/$batch") for part in _parts(exchange)]
    assert {f"{e.method} {e.status}" for e in parts} == {"GET 200", "GET 404", "PATCH 204", "PATCH 403", "POST 200", "POST 403"}
    for exchange in parts:
        spec.check(exchange)
    for exchange in described:
        exchange.query.pop("$skiptoken", None)  # part of the vendor's own next link, which is followed as it stands
        spec.check(exchange)
        assert exchange.headers["client-request-id"]
    others = {exchange.path.split("/", 2)[2] for exchange in recording.exchanges if exchange not in described}
    assert others == {"v2.0/.well-known/openid-configuration", "oauth2/v2.0/token"}  # of the login authority, not of Graph


def _parts(batch: Exchange) -> list[Exchange]:
    """The requests of a batch with their answers, as if each had come alone."""
    answers = {answer["id"]: answer for answer in json.loads(batch.response_body)["responses"]}
    exchanges = []
    for part in json.loads(batch.request_body)["requests"]:
        url, answer = urlsplit(f"/v1.0{part['url']}"), answers[part["id"]]
        exchange = Exchange(part["method"], url.path, dict(parse_qsl(url.query)), part.get("headers", {}), b"")
        exchange.request_body = json.dumps(part["body"]).encode() if "body" in part else b""
        exchange.status, exchange.response_body = answer["status"], json.dumps(answer.get("body", {})).encode()
        exchanges.append(exchange)
    return exchanges


def _use_everything(client: MsGraphClient, sandbox: MsGraphSandbox) -> None:
    directory = MsGraphDirectory(client)
    wanted = DesiredAccount(new_marker(), "ada.lovelace@client.example", MAPPED, frozenset(), END)
    assert client.check().ok
    account_id = directory.create(wanted)
    with pytest.raises(AlreadyTaken):
        directory.create(DesiredAccount(new_marker(), wanted.login, MAPPED, frozenset(), END))
    groups = [sandbox.add_group(name) for name in ("developers", "vpn", "wiki")]
    for group in groups:
        directory.add_member(group, account_id)
        directory.add_member(group, account_id)
    assert directory.read(account_id).groups == set(groups)
    directory.update(account_id, {"jobTitle": "Architect", "department": None})
    directory.set_expiry(account_id, END)
    directory.disable(account_id)
    directory.enable(account_id)
    directory.revoke_sessions(account_id)
    directory.remove_member(groups[0], account_id)
    directory.remove_member(groups[0], account_id)
    directory.find(wanted.marker)
    directory.find_by_login(wanted.login)
    assert directory.find_by_login("nobody@client.example") is None
    with pytest.raises(NotFound):
        directory.read("0b0f1a52-0000-4000-8000-000000000000")
    sandbox.expire_tokens()
    directory.read(account_id)
    others = [directory.create(replace(wanted, marker=new_marker(), login=f"ada{n}@client.example")) for n in range(3)]
    page = directory.accounts(None)
    while not page.complete:
        page = directory.accounts(page.cursor)
    sandbox.delete_user(others[2])
    assert directory.accounts(page.cursor).gone == [others[2]]
    sandbox.expire_delta_tokens()
    assert not directory.accounts(page.cursor).complete
    sandbox.give_admin_role(account_id, by_group=True)
    with pytest.raises(Refused, match="administrator role by way of a group"):
        directory.disable(account_id)
    outcomes = directory.block_all([account_id, *others])
    assert [error.cause if error else None for error in outcomes.values()] == ["forbidden", None, None, "not_found"]
    sandbox.throttle_seconds = 60  # last: nothing more is sent for a minute
    with pytest.raises(RetryLater):
        directory.read(account_id)


def test_the_marker_in_an_extension_attribute_is_asked_for_as_the_vendor_describes_it(tmp_path: Path) -> None:
    spec = VendorSpec.load("microsoft-graph/graph-v1.0-identity.openapi.json", prefix="/v1.0")
    sandbox, tls = MsGraphSandbox(), make_loopback_tls(tmp_path)
    recording, marker = RecordingApp(sandbox.app), new_marker()
    with serve(recording, tls) as base_url:
        settings = {**sandbox.settings(base_url, tls.ca), "marker_attribute": "extensionAttribute15"}
        client = CONNECTOR.client(CONNECTOR.settings(**settings), ON_LOOPBACK)
        MsGraphDirectory(client).create(DesiredAccount(marker, "ada@client.example", MAPPED, frozenset(), END))
        assert len(MsGraphDirectory(client).find(marker)) == 1
        client.close()
    for exchange in recording.exchanges:
        if exchange.path.startswith("/v1.0/"):
            spec.check(exchange)
