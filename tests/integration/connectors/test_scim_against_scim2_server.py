"""The SCIM connector against scim2-server, an independent implementation of RFC 7643 and RFC 7644, over TLS on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Instance
from connectors.scim import CONNECTOR
from connectors.scim.directory import ScimDirectory
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.suite.scenes import every_account
from connectors.suite.trial import RecordingApp
from connectors.wire.tls import make_loopback_tls
from workforce.access import AccountState, DesiredAccount
from workforce.errors import AlreadyTaken, NotFound, Refused
from workforce.markers import new_marker

scim2_server = pytest.importorskip("scim2_server", reason="scim2-server is not installed")

from scim2_models import UnauthorizedException  # noqa: E402 - the next are there only if it is
from scim2_server.applications.asgi import ASGIApplication  # noqa: E402
from scim2_server.memory import AsyncInMemoryStorage  # noqa: E402
from scim2_server.requests import ScimRequest  # noqa: E402
from scim2_server.service import ScimService  # noqa: E402
from scim2_server.utils import load_default_provider  # noqa: E402

pytestmark = pytest.mark.integration

TOKEN = "peer-token"
END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MAPPED: dict[str, object] = {
    "displayName": "Ada Lovelace", "title": "Developer", "userType": "Contractor", "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"value": "ada@client.example", "type": "work", "primary": True}], ENTERPRISE: {"department": "Engines"},
}  # fmt: skip


class TokenApplication(ASGIApplication):
    """The server, for those who know the token."""

    def check_auth(self, request: ScimRequest) -> None:
        if request.header("Authorization") != f"Bearer {TOKEN}":
            raise UnauthorizedException


@dataclass
class Peer:
    """The server, what was said to it, and the connector."""

    wire: RecordingApp
    storage: Any
    instance: Instance

    @property
    def directory(self) -> ScimDirectory:
        directory = self.instance.directory()
        assert isinstance(directory, ScimDirectory)
        return directory

    def stored(self, account_id: str) -> dict[str, Any]:
        """The whole resource, as the server has it."""
        return next(one.model_dump() for one in self.storage.resources if one.id == account_id)

    def sent(self, method: str) -> list[str]:
        return [exchange.path for exchange in self.wire.exchanges if exchange.method == method]


def settings(base_url: str, ca: Path, **other: object) -> dict[str, Any]:
    return {"base_url": f"{base_url}/v2", "token": TOKEN, "ca_file": ca, **other}


@pytest.fixture(params=["patch", "put", "employeeNumber"])
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Peer]:
    storage, tls, provider = AsyncInMemoryStorage(), make_loopback_tls(tmp_path), load_default_provider()
    wire = RecordingApp(TokenApplication(storage, provider, ScimService(provider)))
    chosen: dict[str, dict[str, object]] = {
        "patch": {}, "put": {"patch": False}, "employeeNumber": {"marker_attribute": "employeeNumber"},
    }  # fmt: skip
    with serve(wire, tls) as base_url:
        form = settings(base_url, tls.ca, page_size=3, **chosen[request.param])
        instance = Instance("scim", CONNECTOR, CONNECTOR.settings.model_validate(form), ON_LOOPBACK)
        yield Peer(wire, storage, instance)
        instance.close()


def wanted(name: str = "ada", **attributes: object) -> DesiredAccount:
    return DesiredAccount(new_marker(), f"{name}@client.example", {**MAPPED, **attributes}, frozenset(), END)


async def _put(peer: Peer, kind: str, **fields: object) -> str:
    service = peer.wire._inner.service  # type: ignore[attr-defined]  # the wrapped application
    resource_type = service.get_resource_type(kind)
    resource = service.get_model(resource_type).model_validate(fields)
    created = await peer.storage.create(resource_type, resource)
    return str(created.id)


def test_the_check_proves_credentials_and_filtering(peer: Peer) -> None:
    assert peer.instance.client.check().ok
    form = {**peer.instance.settings.model_dump(), "token": "another"}
    stranger = Instance("scim", CONNECTOR, CONNECTOR.settings.model_validate(form), ON_LOOPBACK)
    result = stranger.client.check()
    stranger.close()
    assert not result.ok
    assert "credentials" in result.detail


def test_an_account_lives_from_its_creation_to_its_block(peer: Peer) -> None:
    ada = wanted()
    account_id = peer.directory.create(ada)
    expected = AccountState(account_id, ada.login, ada.marker, enabled=True, keeps_expiry=False)
    first = peer.directory.read(account_id)
    assert replace(first, attributes=None) == expected
    assert first.attributes is not None
    assert (first.attributes["name"]["givenName"], first.attributes["emails"]) == ("Ada", MAPPED["emails"])
    assert peer.directory.find(ada.marker) == [expected]
    assert peer.directory.find_by_login(ada.login.upper()) == expected
    stored = peer.stored(account_id)
    assert (stored["name"], stored["emails"][0]["value"]) == (MAPPED["name"], "ada@client.example")
    assert stored[ENTERPRISE]["department"] == "Engines"
    for act, enabled in ((peer.directory.disable, False), (peer.directory.enable, True)):
        for _ in range(2):
            act(account_id)
        assert peer.directory.read(account_id).enabled is enabled
    peer.directory.revoke_sessions(account_id)
    peer.directory.set_expiry(account_id, END)
    assert peer.directory.read(account_id) == first


def test_an_update_sets_what_it_names_clears_what_is_empty_and_keeps_the_rest(peer: Peer) -> None:
    account_id = peer.directory.create(wanted())
    before = peer.stored(account_id)
    for _ in range(2):
        change = {"title": "Architect", "userType": None, "name": {"familyName": "King"}, ENTERPRISE: {"department": "Looms"}}
        peer.directory.update(account_id, change)
    after = peer.stored(account_id)
    assert (after["title"], after.get("userType"), after["name"]) == (
        "Architect",
        None,
        {"givenName": "Ada", "familyName": "King"},
    )
    assert after[ENTERPRISE] == {**before[ENTERPRISE], "department": "Looms"}
    untouched = {"id", "userName", "displayName", "emails", "active", "externalId"}
    assert {name: after.get(name) for name in untouched} == {name: before.get(name) for name in untouched}


def test_a_user_name_that_is_in_use_is_already_taken(peer: Peer) -> None:
    peer.directory.create(wanted())
    namesake = wanted(displayName="Ada Lovelace II")
    with pytest.raises(AlreadyTaken) as caught:
        peer.directory.create(namesake)
    assert caught.value.field == "userName"
    assert peer.directory.find(namesake.marker) == []


def test_what_is_not_there_is_not_found(peer: Peer) -> None:
    assert peer.directory.find(new_marker()) == []
    for login in ("nobody@client.example", "", "\0", 'x" or userName pr or userName eq "', "*", "../Groups"):
        assert peer.directory.find_by_login(login) is None
    for account_id in ("4711", "..", "", "a/b", "?filter"):
        with pytest.raises(NotFound):
            peer.directory.disable(account_id)


def test_an_employee_is_seen_and_never_touched(peer: Peer) -> None:
    employee = asyncio.run(_put(peer, "User", userName="em@client.example", active=True, externalId="4711"))
    group = asyncio.run(_put(peer, "Group", displayName="staff"))
    state = peer.directory.read(employee)
    assert (state.marker, state.protected) == (None, True)
    d = peer.directory
    touches = [
        lambda: d.disable(employee), lambda: d.enable(employee), lambda: d.revoke_sessions(employee), lambda: d.set_expiry(employee, END),
        lambda: d.update(employee, {"title": "x"}), lambda: d.add_member(group, employee), lambda: d.remove_member(group, employee),
    ]  # fmt: skip
    for touch in touches:
        with pytest.raises(Refused) as caught:
            touch()
        assert caught.value.cause == "protected_account"
    assert d.block_all([employee])[employee] is not None
    assert not peer.sent("PATCH") + peer.sent("PUT") + peer.sent("POST") + peer.sent("DELETE")


def test_members_come_and_go_and_nobody_else_is_lost(peer: Peer) -> None:
    other = peer.directory.create(wanted("grace"))
    account_id = peer.directory.create(wanted())
    groups = {asyncio.run(_put(peer, "Group", displayName=f"group {n}", members=[{"value": other}])) for n in range(8)}
    for group in groups:
        for _ in range(2):
            peer.directory.add_member(group, account_id)
    assert peer.directory.read(account_id).groups == groups
    for group in groups:
        for _ in range(2):
            peer.directory.remove_member(group, account_id)
    assert peer.directory.read(account_id).groups == frozenset()
    assert peer.directory.read(other).groups == groups
    with pytest.raises(NotFound):
        peer.directory.add_member("4711", account_id)
    peer.directory.remove_member("4711", account_id)


def test_many_are_blocked_in_few_requests(peer: Peer) -> None:
    ids = [peer.directory.create(wanted(f"worker.{n}")) for n in range(12)]
    outcome = peer.directory.block_all([*ids, "4711"])
    assert [one for one in ids if outcome[one] is not None] == []
    assert isinstance(outcome["4711"], NotFound)
    assert [one for one in ids if peer.directory.read(one).enabled] == []
    assert peer.directory.block_all(ids) == dict.fromkeys(ids)
    singly = len(peer.sent("PATCH") + peer.sent("PUT"))
    assert (singly, peer.sent("POST").count("/v2/Bulk")) == ((0, 2) if peer.instance.settings.patch else (24, 0))


def test_all_accounts_are_told_a_page_at_a_time(peer: Peer) -> None:
    ids = {peer.directory.create(wanted(f"worker.{n}")) for n in range(10)}
    told, _ = every_account(peer.directory)
    assert {account.account_id for account in told} == ids
    assert not peer.sent("DELETE")
