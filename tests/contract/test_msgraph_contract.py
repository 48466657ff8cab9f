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


def test_what_accounts_hold_and_become_is_asked_and_refused_as_the_vendor_describes_it(tmp_path: Path) -> None:
    spec = VendorSpec.load("microsoft-graph/graph-v1.0-identity.openapi.json", prefix="/v1.0")
    sandbox, tls = MsGraphSandbox(), make_loopback_tls(tmp_path)
    recording = RecordingApp(sandbox.app)
    with serve(recording, tls) as base_url:
        settings = {**sandbox.settings(base_url, tls.ca), "sign_in_activity": True, "access_pass_minutes": 60}
        client = CONNECTOR.client(CONNECTOR.settings(**settings), ON_LOOPBACK)
        _give_and_take_everything(MsGraphDirectory(client), sandbox)
        client.close()
    described = [exchange for exchange in recording.exchanges if exchange.path.startswith("/v1.0/")]
    assert {e.path.split("/")[2] for e in described} >= {
        "users",
        "groups",
        "invitations",
        "subscribedSkus",
        "directory",
        "$batch",
    }
    for exchange in [*described, *(part for e in described if e.path.endswith("/$batch") for part in _parts(e))]:
        spec.check(exchange)


def _give_and_take_everything(directory: MsGraphDirectory, sandbox: MsGraphSandbox) -> None:
    wanted = DesiredAccount(new_marker(), "ada.lovelace@client.example", MAPPED, frozenset(), END, enabled=False)
    account_id = directory.create(wanted)
    licence, scarce, role = sandbox.add_licence("E3"), sandbox.add_licence("E5", seats=0), sandbox.add_app_role()
    group, dynamic = sandbox.add_group("licensed"), sandbox.add_group("all", rule="user.department -eq 'Engines'")
    sandbox.license_group(group, licence)
    sandbox.add_user(userPrincipalName="gh@client.example", mail="grace@client.example")
    directory.add_member(group, account_id)
    directory.assign_app_role(account_id, role)
    directory.assign_app_role(account_id, role)
    directory.set_manager(account_id, "grace@client.example")
    directory.rename(account_id, "ada.byron@client.example")
    directory.first_credential(account_id)
    for act in (
        lambda: directory.add_member(dynamic, account_id),
        lambda: directory.remove_member(dynamic, account_id),
        lambda: directory.reclaim_licence(account_id, licence),
        lambda: directory.assign_licence(account_id, scarce),
        lambda: directory.assign_app_role(account_id, f"{role.partition('/')[0]}/{group}"),
        lambda: directory.restore("0b0f1a52-0000-4000-8000-000000000000"),
    ):
        with pytest.raises(Refused):
            act()
    directory.assign_licence(account_id, licence)
    state = directory.read(account_id)
    assert (state.licences, state.inherited_licences, state.app_roles) == ({licence}, {licence}, {role})
    directory.accounts(None)
    directory.reclaim_licence(account_id, licence)
    directory.reclaim_licence(directory.create(replace(wanted, marker=new_marker(), login="b@client.example")), licence)
    directory.remove_app_role(account_id, role)
    sandbox.delete_user(account_id)
    assert directory.deleted(wanted.marker) == [account_id]
    directory.restore(account_id)
    guest = replace(wanted, marker=new_marker(), guest=True, invite_to="ada@home.example")
    assert directory.read(directory.create(guest)).guest
    with pytest.raises(Refused):
        directory.create(replace(guest, marker=new_marker()))


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
