"""The files connector against asyncssh's SFTP server, which shares no code with ours."""

from __future__ import annotations

import base64
import os
import socket
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from connectors.contract import ALONE, Instance
from connectors.files import CONNECTOR
from connectors.files.sandbox import MARKER, FilesSandbox
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind
from tests.sftp_peer import Server, asyncssh, serving
from workforce.errors import Misconfigured, OutcomeUnknown, Refused, RetryLater

pytestmark = pytest.mark.integration

MARK = "ST0123456789ABC"
PASSPHRASE = "battery staple"


@pytest.fixture(params=["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def host_key_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(FilesSandbox(tmp_path / "sftp"), CONNECTOR) as running:
        yield running


def test_records_go_both_ways(tmp_path: Path, host_key_type: str) -> None:
    with serving(FilesSandbox(tmp_path / "sftp"), CONNECTOR, host_key_type) as server, closing(server.instance()) as instance:
        system, source, sink = server.system, instance.source(), instance.sink()
        assert instance.client.check().ok
        record_id = system.add_record(site="Zürich")
        page = source.changes(None)
        assert [(r.external_id, r.values["site"]) for r in page.records] == [(record_id, "Zürich")]
        system.change(record_id, site="Bern")
        assert [r.values["site"] for r in source.changes(page.cursor).records] == ["Bern"]
        assert len(list((system.folder / "archive").iterdir())) == 2
        assert sink.create(MARK, {"status": "active", "given_name": "Zoë"}) == MARK
        assert [path.name for path in (system.folder / "outbox").iterdir()] == [f"create-{MARK}.csv"]
        assert len(sink.find(MARK, {})) == 1
        system.take_uploads()
        sink.end(MARK, ended_at=datetime(2026, 12, 31, 23, tzinfo=UTC), ends_on="2026-12-31")
        system.take_uploads()
        stored = sink.read(MARK)
        assert (stored.active, stored.values[MARKER], stored.values["given_name"]) == (False, MARK, "Zoë")


def test_an_upload_replaces_one_of_its_name_that_waits(server: Server) -> None:
    with closing(server.instance()) as instance:
        for _ in range(2):
            instance.sink().update("W000001", {"role": "Architect"})
    assert len(list((server.system.folder / "outbox").iterdir())) == 1


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_private_key_signs_in(server: Server, passphrase: str | None) -> None:
    key = server.user_key.export_private_key("openssh", passphrase=passphrase).decode()
    with closing(server.instance(password=None, private_key=key, private_key_passphrase=passphrase)) as instance:
        assert instance.client.check().ok, instance.client.check().detail


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"password": "canary-wrong"}, "password"),
        ({"username": "canary"}, "password"),
        ({"password": None, "private_key": "-----BEGIN canary-----"}, "private_key"),
    ],
)
def test_wrong_credentials_are_a_fault_of_the_settings(server: Server, changed: dict[str, Any], field: str) -> None:
    with closing(server.instance(**changed)) as instance:
        with pytest.raises(Misconfigured) as raised:
            instance.source().changes(None)
        assert raised.value.field == field
        assert "canary" not in str(raised.value)
        assert not instance.client.check().ok


def test_a_key_that_nobody_authorised_is_a_fault_of_the_settings(server: Server) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with closing(server.instance(password=None, private_key=key)) as instance, pytest.raises(Misconfigured) as raised:
        instance.source().changes(None)
    assert raised.value.field == "private_key"


def test_a_key_whose_halves_do_not_belong_together_is_a_fault_of_the_settings(server: Server) -> None:
    public, private = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    halves = [key.public_data[-32:] for key in (public, private)]
    lines = private.export_private_key("openssh").decode().strip().splitlines()
    content = base64.b64decode("".join(lines[1:-1])).replace(halves[1], halves[0], 2)
    garbled = "\n".join([lines[0], *textwrap.wrap(base64.b64encode(content).decode(), 70), lines[-1], ""])
    with closing(server.instance(password=None, private_key=garbled)) as instance, pytest.raises(Misconfigured) as raised:
        instance.source().changes(None)
    assert raised.value.cause == "unusable_key"


@pytest.mark.parametrize("other", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_a_server_with_another_key_never_sees_the_password(server: Server, other: str) -> None:
    pinned = asyncssh.generate_private_key(other).export_public_key().decode().strip()
    with closing(server.instance(host_key=pinned)) as instance:
        with pytest.raises(Misconfigured) as raised:
            instance.source().changes(None)
        assert raised.value.cause == "wrong_host_key"
    assert server.passwords == []


def test_an_internal_server_is_not_reached_unless_the_installation_lists_it(server: Server) -> None:
    with closing(server.instance(ALONE)) as instance, pytest.raises(Refused) as raised:
        instance.source().changes(None)
    assert raised.value.cause == "internal_address"


def test_a_folder_that_is_missing_on_the_server_is_named(server: Server) -> None:
    with closing(server.instance(archive="/no-such")) as instance:
        assert "/no-such" in instance.client.check().detail


def test_an_archive_that_is_missing_on_the_server_stops_the_reading(server: Server) -> None:
    server.system.add_record()
    with closing(server.instance(archive="/no-such")) as instance, pytest.raises(Misconfigured) as raised:
        instance.source().changes(None)
    assert raised.value.cause == "missing_folder"


def test_a_name_that_is_not_utf_8_is_told_and_not_a_defect(server: Server) -> None:
    Path(os.fsdecode(os.fsencode(server.system.folder / "inbox") + b"/\xff.csv")).touch()
    with closing(server.instance()) as instance, pytest.raises(Refused) as raised:
        instance.source().changes(None)
    assert raised.value.cause == "unreadable_name"


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a..b"])
def test_a_host_name_that_is_none_is_no_defect(server: Server, host: str) -> None:
    with closing(server.instance(host=host)) as instance:
        assert not instance.client.check().ok


class Door(paramiko.ServerInterface):
    """Lets everybody in, and then ``hears`` a wish and says nothing to it."""

    def __init__(self, hears: str, until: threading.Event) -> None:
        self._hears, self._until = hears, until

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self._silence("session")
        return OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        self._silence("subsystem")
        return True  # and no subsystem behind it: the protocol's greeting is never answered

    def _silence(self, wish: str) -> None:
        if self._hears == wish:
            self._until.wait(30)


@pytest.mark.parametrize("hears", ["session", "subsystem", "greeting"])
def test_a_server_that_falls_silent_after_the_sign_in_holds_nobody_up(server: Server, hears: str) -> None:
    key, until = paramiko.ECDSAKey.generate(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            transport.start_server(event=threading.Event(), server=Door(hears, until))
            until.wait(30)
            transport.close()

        thread = threading.Thread(target=serve)
        thread.start()
        changed = {"port": listener.getsockname()[1], "host_key": f"{key.get_name()} {key.get_base64()}", "timeout_seconds": 0.5}
        with closing(server.instance(**changed)) as instance, pytest.raises(RetryLater) as raised:
            instance.source().changes(None)
        until.set()
        thread.join(10)
    assert raised.value.cause == "cannot_connect"


def test_an_upload_without_an_answer_is_unknown_and_then_found(tmp_path: Path) -> None:
    system = FilesSandbox(tmp_path)
    with system.serve() as (host, port):
        form = CONNECTOR.settings.model_validate({**system.settings(host, port), "timeout_seconds": 0.5})
        with closing(Instance("files", CONNECTOR, form, ON_LOOPBACK)) as instance:
            for number, kind in enumerate((FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER, FaultKind.RESET_AFTER)):
                marker = f"ST000000000000{number}"
                system.faults.plan(Fault(kind, "RENAME", "/outbox/"))
                with pytest.raises(OutcomeUnknown):
                    instance.sink().create(marker, {"status": "active"})
                assert len(instance.sink().find(marker, {})) == system.effects.count("create", marker) == int(kind.is_after)


def test_a_server_that_fails_did_not_take_the_upload(tmp_path: Path) -> None:
    system = FilesSandbox(tmp_path)
    with system.serve() as (host, port):
        form = CONNECTOR.settings.model_validate(system.settings(host, port))
        with closing(Instance("files", CONNECTOR, form, ON_LOOPBACK)) as instance:
            system.faults.plan(Fault(FaultKind.UNAVAILABLE_BEFORE, "RENAME", "/outbox/"))
            with pytest.raises(RetryLater):
                instance.sink().create(MARK, {"status": "active"})
            assert system.effects.count("create") == 0
