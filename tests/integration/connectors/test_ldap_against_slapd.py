"""What the LDAP connector relies on, tried on a real slapd, and what it makes of the ways in which one can fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import ldap
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.ldap.client import LdapClient
from connectors.ldap.sandbox import SUFFIX, SlapdSandbox
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.connection import bound
from connectors.protocols.ldapv3.directory import LdapV3Directory
from connectors.protocols.ldapv3.entries import Mods, equals
from connectors.protocols.ldapv3.faulty import FaultyDirectory
from connectors.suite.sandbox import Fault, FaultKind
from connectors.suite.scenes import every_account
from connectors.wire.tls import make_loopback_tls
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.markers import new_marker
from workforce.urgency import revoking

pytestmark = pytest.mark.integration

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
PASSWORD = "Tr0ub4dor-and-more"


@pytest.fixture(scope="module")
def client(slapd: SlapdSandbox) -> Iterator[LdapClient]:
    client = LdapClient(form(slapd))
    yield client
    client.close()


@pytest.fixture
def directory(client: LdapClient) -> LdapV3Directory:
    return LdapV3Directory(client)


def an_account(expires_at: datetime = END, **attributes: object) -> DesiredAccount:
    marker = new_marker()
    return DesiredAccount(marker, f"ada.{marker.lower()}", {"cn": "Ada", "sn": "Lovelace", **attributes}, frozenset(), expires_at)


def form(slapd: SlapdSandbox, **other: object) -> LdapSettings:
    return LdapSettings(**{**slapd.settings(), **other})


def test_the_entry_is_named_by_its_marker_and_holds_what_the_mapping_gave(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    wanted = an_account(
        mail=f"{new_marker().lower()}@client.example", ou=["Fleet", "Research"], title="", employeeType="contractor"
    )
    account_id = directory.create(wanted)
    (entry,) = slapd.entries(wanted.marker)
    assert entry["dn"] == f"employeeNumber={wanted.marker},ou=people,{SUFFIX}"
    assert entry["entryUUID"] == [account_id]
    assert entry["pwdEndTime"] == ["20310331220000Z"]
    assert (entry["uid"], sorted(entry["ou"]), "title" in entry) == ([wanted.login], ["Fleet", "Research"], False)
    assert entry["userPassword"][0].startswith("{SSHA}")


def test_the_native_expiry_blocks_sign_in_with_nobody_else_about(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    slapd.set_password(wanted.login, PASSWORD)
    assert slapd.bind_as(wanted.login, PASSWORD)
    directory.set_expiry(account_id, datetime.now(UTC) - timedelta(seconds=2))
    assert not slapd.bind_as(wanted.login, PASSWORD)
    assert directory.sign_in_works(account_id) is False
    directory.set_expiry(account_id, datetime.now(UTC) + timedelta(minutes=1))
    assert directory.sign_in_works(account_id) is True


def test_a_disabled_account_stays_blocked_when_the_helpdesk_resets_its_password(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    directory.disable(account_id)
    slapd.set_password(wanted.login, PASSWORD)
    (entry,) = slapd.entries(wanted.marker)
    assert "pwdAccountLockedTime" not in entry  # slapd lifts the lock together with the old password
    assert not slapd.bind_as(wanted.login, PASSWORD)
    assert directory.read(account_id).enabled is False
    directory.enable(account_id)
    assert slapd.bind_as(wanted.login, PASSWORD)


def test_revoking_sessions_kills_the_known_password_and_keeps_the_lock(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    slapd.set_password(wanted.login, PASSWORD)
    directory.revoke_sessions(account_id)
    assert not slapd.bind_as(wanted.login, PASSWORD)
    assert directory.read(account_id).enabled is True
    directory.disable(account_id)
    directory.revoke_sessions(account_id)
    assert slapd.entries(wanted.marker)[0]["pwdAccountLockedTime"] == ["000001010000Z"]


def test_moving_takes_the_memberships_along_and_enabling_brings_the_account_back(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    group = slapd.add_group(f"moved {wanted.marker}")
    directory.add_member(group, account_id)
    directory.disable(account_id)
    directory.move_to_disabled(account_id)
    away = f"employeeNumber={wanted.marker},ou=disabled,{SUFFIX}"
    assert slapd.entries(wanted.marker)[0]["dn"] == away
    assert away in slapd.members(group)
    directory.remove_member(group, account_id)
    assert away not in slapd.members(group)
    directory.enable(account_id)
    assert slapd.entries(wanted.marker)[0]["dn"] == f"employeeNumber={wanted.marker},ou=people,{SUFFIX}"


def test_the_last_member_leaves_a_placeholder_behind(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    group = f"cn=only {wanted.marker},ou=groups,{SUFFIX}"
    slapd.plant(
        group,
        {"objectClass": ["groupOfNames"], "cn": [f"only {wanted.marker}"], "member": [slapd.entries(wanted.marker)[0]["dn"]]},
    )
    directory.remove_member(group, account_id)
    directory.remove_member(group, account_id)
    assert slapd.members(group) == {f"cn=nobody,ou=groups,{SUFFIX}"}
    assert directory.read(account_id).groups == frozenset()


def test_one_marker_makes_one_entry_even_when_its_account_was_moved_away(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    for _ in range(2):
        again = DesiredAccount(wanted.marker, f"other.{new_marker().lower()}", wanted.attributes, frozenset(), END)
        with pytest.raises(AlreadyTaken) as caught:
            directory.create(again)
        assert caught.value.field == "employeeNumber"
        directory.move_to_disabled(account_id)
    assert len(slapd.entries(wanted.marker)) == 1


def test_protected_accounts_are_refused_by_dn_and_by_place(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    dn = slapd.entries(wanted.marker)[0]["dn"]
    guarded = LdapV3Directory(LdapClient(form(slapd, protected_dns=frozenset({dn.upper().replace(",", " , ")}))))
    assert guarded.read(account_id).protected
    elsewhere = {
        "objectClass": ["inetOrgPerson"],
        "cn": ["x"],
        "sn": ["x"],
        "uid": [new_marker()],
        "employeeNumber": [new_marker()],
    }
    elsewhere_id = slapd.plant(f"uid={elsewhere['uid'][0]},ou=services,{SUFFIX}", elsewhere)
    for refusing, protected_id in ((guarded, account_id), (directory, elsewhere_id)):
        with pytest.raises(Refused) as caught:
            refusing.disable(protected_id)
        assert caught.value.cause == "protected_account"
    assert directory.read(account_id).enabled


def test_a_right_that_the_service_account_lacks_is_refused_by_name(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    marker = new_marker()
    staff = {
        "objectClass": ["inetOrgPerson"],
        "cn": ["x"],
        "sn": ["x"],
        "uid": [marker],
        "employeeNumber": [marker],
        "employeeType": ["staff"],
    }
    account_id = slapd.plant(f"employeeNumber={marker},ou=people,{SUFFIX}", staff)
    with pytest.raises(Refused) as caught:
        directory.disable(account_id)
    assert caught.value.cause == "insufficient_access"
    assert marker not in str(caught.value)


@pytest.mark.parametrize(
    ("attributes", "cause"),
    [
        ({"frobnicate": "1"}, "undefined_type"),
        ({"homePhone": "no phone \u00e9"}, "invalid_syntax"),
        ({"objectClass": "person", "dc": "x"}, "object_class_violation"),
        ({"sn": None}, "object_class_violation"),
        ({"title": object()}, "unusable_value"),
        ({"title": "\ud800"}, "unusable_value"),
        ({"userPassword;lang-en": "x"}, "reserved_attribute"),
        ({"2.5.4.35": "x"}, "reserved_attribute"),
    ],
)
def test_what_the_schema_forbids_is_refused_with_its_cause(
    directory: LdapV3Directory, attributes: dict[str, object], cause: str
) -> None:
    account_id = directory.create(an_account())
    with pytest.raises(Refused) as caught:
        directory.update(account_id, attributes)
    assert caught.value.cause == cause


def test_a_group_outside_the_groups_base_is_never_written(directory: LdapV3Directory) -> None:
    account_id = directory.create(an_account())
    for group in ("not a dn", f"ou=groups,{SUFFIX}", f"cn=default,ou=policies,{SUFFIX}", "cn=x\0,ou=groups", ""):
        with pytest.raises(NotFound):
            directory.add_member(group, account_id)


def test_a_member_of_a_group_outside_the_groups_base_is_never_told_as_removed(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    wanted = an_account()
    account_id = directory.create(wanted)
    group = slapd.add_group(f"outside {wanted.marker}")
    directory.add_member(group, account_id)
    elsewhere = LdapV3Directory(LdapClient(form(slapd, groups_base=f"ou=services,{SUFFIX}")))
    with pytest.raises(Refused) as caught:
        elsewhere.remove_member(group, account_id)
    assert (caught.value.cause, isinstance(caught.value, NotFound)) == ("foreign_group", False)


class _Overtaken(LdapClient):
    """A client whose first write comes too late: an administrator has just moved the account."""

    overtake: Callable[[], None] | None = None

    def modify(self, dn: str, mods: Mods, **other: Any) -> None:
        self._overtaken()
        super().modify(dn, mods, **other)

    def modify_all(self, changes: Sequence[tuple[str, Mods]]) -> list[HubError | None]:
        self._overtaken()
        return super().modify_all(changes)

    def _overtaken(self) -> None:
        overtake, self.overtake = self.overtake, None
        if overtake:
            overtake()


@pytest.mark.parametrize("at_once", [False, True])
def test_an_account_that_is_moved_while_it_is_being_blocked_is_blocked_where_it_went(
    slapd: SlapdSandbox, directory: LdapV3Directory, at_once: bool
) -> None:
    account_id = directory.create(an_account())
    client = _Overtaken(form(slapd))
    client.overtake = lambda: directory.move_to_disabled(account_id)
    blocking = LdapV3Directory(client)
    if at_once:
        assert blocking.block_all([account_id]) == {account_id: None}
    else:
        blocking.disable(account_id)
    assert directory.read(account_id).enabled is False
    client.close()


def test_a_search_gives_all_pages_or_an_error_but_never_a_part(slapd: SlapdSandbox) -> None:
    for n in range(60):
        slapd.add_group(f"page {n:03}")
    found = LdapClient(form(slapd, page_size=7)).search(f"ou=groups,{SUFFIX}", equals("objectClass", "groupOfNames"), ("cn",))
    assert len({entry.dn for entry in found}) == len(found) >= 60
    connection = bound(form(slapd), slapd.settings()["bind_dn"], slapd.settings()["bind_password"])
    with pytest.raises(ldap.SIZELIMIT_EXCEEDED):  # what the pages avoid: the server's limit is 50
        connection.search_s(f"ou=groups,{SUFFIX}", ldap.SCOPE_SUBTREE)
    connection.unbind_s()


def test_an_untrusted_or_unencrypted_server_is_never_spoken_to(slapd: SlapdSandbox, tmp_path: Path) -> None:
    stranger = make_loopback_tls(tmp_path)
    with pytest.raises(RetryLater, match="ca_file"):
        LdapV3Directory(LdapClient(form(slapd, ca_file=stranger.ca))).find_by_login("x")
    with pytest.raises(Misconfigured) as caught:
        LdapV3Directory(LdapClient(form(slapd, ca_file=tmp_path / "absent.pem"))).find_by_login("x")
    assert caught.value.field == "ca_file"
    plain = ldap.initialize(slapd.settings()["url"])
    with pytest.raises(ldap.CONFIDENTIALITY_REQUIRED):
        plain.simple_bind_s(slapd.settings()["bind_dn"], slapd.settings()["bind_password"])
    plain.unbind_s()


def test_ldaps_is_verified_like_starttls(slapd: SlapdSandbox, tmp_path: Path) -> None:
    directory = LdapV3Directory(LdapClient(form(slapd, url=slapd.ldaps_url)))
    assert directory.read(directory.create(an_account())).enabled
    with pytest.raises(RetryLater, match="ca_file"):
        LdapV3Directory(LdapClient(form(slapd, url=slapd.ldaps_url, ca_file=make_loopback_tls(tmp_path).ca))).find_by_login("x")


def test_the_certificate_has_to_name_the_host(slapd: SlapdSandbox) -> None:
    for url in (slapd.settings()["url"], slapd.ldaps_url):
        with pytest.raises(RetryLater, match="names that host"):
            LdapClient(form(slapd, url=url.replace("127.0.0.1", "127.0.0.2"))).search(SUFFIX, equals("uid", "x"), ("uid",))


@given(name=st.text(min_size=1, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_person_is_called_the_entry_is_named_by_its_marker_and_no_filter_widens(
    slapd: SlapdSandbox, directory: LdapV3Directory, name: str
) -> None:
    wanted = DesiredAccount(new_marker(), name, {"cn": name, "sn": name, "givenName": name}, frozenset(), END)
    try:
        account_id = directory.create(wanted)
    except Refused:  # not a DirectoryString, or equal to an earlier one but for case and space
        assert slapd.entries(wanted.marker) == []
        return
    (entry,) = slapd.entries(wanted.marker)
    assert (entry["dn"], entry["uid"]) == (f"employeeNumber={wanted.marker},ou=people,{SUFFIX}", [name])
    holder = directory.find_by_login(name)
    assert holder is not None
    assert holder.account_id == account_id


def test_a_wrong_password_is_ours_to_mend_and_an_empty_one_is_never_tried(slapd: SlapdSandbox) -> None:
    with pytest.raises(Misconfigured) as caught:
        LdapV3Directory(LdapClient(form(slapd, bind_password="wrong"))).find_by_login("x")
    assert caught.value.field == "bind_password"
    with pytest.raises(Misconfigured):
        bound(form(slapd), slapd.settings()["bind_dn"], "")


def test_the_check_names_what_is_missing(slapd: SlapdSandbox) -> None:
    result = LdapClient(form(slapd, disabled_base=f"ou=attic,{SUFFIX}")).check()
    assert (result.ok, "ou=attic" in result.detail) == (False, True)


def test_a_restart_of_the_server_is_not_noticed_by_reads_or_writes(tmp_path: Path) -> None:
    with SlapdSandbox(tmp_path / "slapd") as slapd:
        directory = LdapV3Directory(LdapClient(form(slapd)))
        account_id = directory.create(an_account())
        _restart(slapd)
        assert directory.read(account_id).enabled
        _restart(slapd)
        second = directory.create(an_account())
        _restart(slapd)
        directory.disable(second)
        slapd.stop()
        with pytest.raises(RetryLater) as caught:
            directory.read(account_id)
        assert caught.value.cause == "cannot_connect"
        assert not LdapClient(form(slapd)).check().ok


def _restart(slapd: SlapdSandbox) -> None:
    slapd.stop()
    slapd.start()


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_a_server_that_takes_the_call_and_says_nothing_is_given_up(slapd: SlapdSandbox, scheme: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        silent = LdapClient(form(slapd, url=url, timeout_seconds=0.3, network_timeout_seconds=0.3))
        with pytest.raises(RetryLater):
            silent.search(SUFFIX, equals("uid", "x"), ("uid",))


def test_a_server_that_falls_silent_in_the_handshake_is_given_up(slapd: SlapdSandbox) -> None:
    starttls_accepted = bytes.fromhex("300c02010178070a010004000400")  # ExtendedResponse to message 1: success (RFC 4511 §4.14.2)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:

        def accept_and_say_no_more() -> socket.socket:
            taken, _ = listener.accept()
            taken.recv(1000)
            taken.sendall(starttls_accepted)
            return taken

        server = threads.submit(accept_and_say_no_more)
        silent = LdapClient(form(slapd, url=f"ldap://127.0.0.1:{listener.getsockname()[1]}", timeout_seconds=0.3))
        with pytest.raises(RetryLater):
            silent.search(SUFFIX, equals("uid", "x"), ("uid",))
        server.result().close()


def test_a_server_that_falls_silent_between_the_two_handshakes_of_ldaps_is_given_up(slapd: SlapdSandbox) -> None:
    with _Proxy(slapd, port=int(slapd.ldaps_url.rsplit(":", 1)[1])) as proxy:
        proxy.connections_to_carry = 1
        silent = LdapClient(form(slapd, url=f"ldaps://127.0.0.1:{proxy.port}", timeout_seconds=0.3))
        with pytest.raises(RetryLater) as caught:
            silent.search(SUFFIX, equals("uid", "x"), ("uid",))
        assert caught.value.cause == "cannot_connect"


def test_connections_that_died_in_silence_cost_one_time_out_and_not_one_each(
    slapd: SlapdSandbox, directory: LdapV3Directory
) -> None:
    account_id = directory.create(an_account())
    with _Proxy(slapd) as proxy:
        client = LdapClient(form(slapd, url=f"ldap://127.0.0.1:{proxy.port}", timeout_seconds=0.5))
        with ExitStack() as held:
            for _ in range(4):
                held.enter_context(client._pool.borrow())
        proxy.mute()
        with pytest.raises(RetryLater):
            LdapV3Directory(client).read(account_id)
        LdapV3Directory(client).disable(account_id)
        assert len(client._pool._idle) == 1
        client.close()
    assert not directory.read(account_id).enabled


def test_a_connection_on_which_the_server_refused_is_not_used_again(client: LdapClient) -> None:
    def refused(_: object) -> None:
        raise ldap.OPERATIONS_ERROR  # Active Directory, once it forgot the bind

    with client._pool.borrow() as connection:
        pass
    with pytest.raises(RetryLater):
        client._read("search", refused)
    assert connection not in client._pool._idle


def test_a_revocation_waits_for_nobody_else_s_connection(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    account_id = directory.create(an_account())
    client = LdapClient(form(slapd, max_connections=1, timeout_seconds=0.3))
    with client._pool.borrow():
        with pytest.raises(RetryLater):
            LdapV3Directory(client).read(account_id)
        with revoking():
            LdapV3Directory(client).disable(account_id)
    client.close()
    assert not directory.read(account_id).enabled


def test_a_reply_that_is_lost_after_the_write_was_sent_is_an_unknown_outcome(slapd: SlapdSandbox) -> None:
    with _Proxy(slapd) as proxy:
        client = LdapClient(form(slapd, url=f"ldap://127.0.0.1:{proxy.port}", timeout_seconds=1.0))
        directory = LdapV3Directory(client)
        assert directory.find_by_login("nobody") is None  # the connection that the write will take is open now
        wanted = an_account()
        proxy.swallow_answers_after = 1  # whoami is answered, the answer to the add is not
        with pytest.raises(OutcomeUnknown):
            directory.create(wanted)
    assert len(slapd.entries(wanted.marker)) == 1


class _Proxy:
    """A TCP proxy that can stop passing answers on after a number of further ones, or at once on the connections that it has."""

    def __init__(self, slapd: SlapdSandbox, port: int = 0) -> None:
        self._target = port or int(slapd.settings()["url"].rsplit(":", 1)[1])
        self.connections_to_carry: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.swallow_answers_after: int | None = None
        self._sockets: list[socket.socket] = []
        self._muted: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
            end.close()
        for thread in self._threads:
            thread.join(5)

    def mute(self) -> None:
        """Pass nothing on any more on the connections that there are."""
        self._muted.update(self._sockets)

    def _run(self, call: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=call, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.connections_to_carry == 0:
                self._sockets.append(near)
                continue
            if self.connections_to_carry:
                self.connections_to_carry -= 1
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            self._run(self._pass, near, far, False)
            self._run(self._pass, far, near, True)

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                if source in self._muted:
                    continue
                if answers and self.swallow_answers_after is not None:
                    if self.swallow_answers_after == 0:
                        for end in (sink, source):
                            end.shutdown(socket.SHUT_RDWR)
                        return
                    self.swallow_answers_after -= 1
                sink.sendall(data)
        except OSError:
            return


def test_threads_share_a_bounded_number_of_connections(slapd: SlapdSandbox) -> None:
    client = LdapClient(form(slapd, max_connections=3))
    directory = LdapV3Directory(client)
    wanted = [an_account() for _ in range(40)]
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(directory.create, wanted))
        list(threads.map(directory.disable, ids))
        states = list(threads.map(directory.read, ids))
    assert [s.login for s in states] == [w.login for w in wanted]
    assert not any(s.enabled for s in states)
    assert len(client._pool._idle) <= 3
    client.close()


def test_everybody_is_listed_though_a_bulk_import_fills_one_second_with_many_pages(tmp_path: Path) -> None:
    with SlapdSandbox(tmp_path / "slapd") as slapd:
        directory = LdapV3Directory(LdapClient(form(slapd, page_size=7)))
        with ThreadPoolExecutor(4) as threads:
            ids = set(threads.map(directory.create, [an_account() for _ in range(60)]))
        found, _ = every_account(directory)
    assert {state.account_id for state in found} == ids
    assert len(found) == 60


def test_blocking_many_signs_them_out_and_keeps_each_lock(slapd: SlapdSandbox, directory: LdapV3Directory) -> None:
    wanted = [an_account() for _ in range(120)]  # more than are under way at a time
    ids = [directory.create(one) for one in wanted]
    slapd.set_password(wanted[0].login, PASSWORD)
    assert set(directory.block_all(ids).values()) == {None}
    assert not any(directory.read(one).enabled for one in ids)
    assert not slapd.bind_as(wanted[0].login, PASSWORD)
    assert slapd.entries(wanted[0].marker)[0]["pwdAccountLockedTime"] == ["000001010000Z"]


@pytest.mark.parametrize(
    "kind", [FaultKind.RESET_AFTER, FaultKind.TIMEOUT_AFTER, FaultKind.FORBIDDEN_BEFORE, FaultKind.BUSY_BEFORE]
)
def test_one_answer_that_is_lost_or_refused_in_the_middle_keeps_nobody_else_from_being_blocked(
    tmp_path: Path, kind: FaultKind
) -> None:
    with FaultyDirectory(SlapdSandbox(tmp_path / "slapd")) as faulty:
        client = LdapClient(LdapSettings(**{**faulty.settings(), "timeout_seconds": 1.0}))
        directory = LdapV3Directory(client)
        wanted = [an_account() for _ in range(130)]
        ids = [directory.create(one) for one in wanted]
        faulty.faults.plan(Fault(kind, "LDAP", rf"^modify employeeNumber={wanted[60].marker},.*pwdStartTime$"))
        outcomes = directory.block_all(ids)
        failed = {one for one, error in outcomes.items() if error is not None}
        assert ids[60] in failed
        assert all(isinstance(outcomes[one], OutcomeUnknown if kind.is_after else Refused | RetryLater) for one in failed)
        assert len(failed) <= (50 if kind.is_after else 1)
        assert not any(directory.read(one).enabled for one in set(ids) - failed)
        assert set(directory.block_all(ids).values()) == {None}
        assert not any(directory.read(one).enabled for one in ids)
        client.close()


def test_where_nobody_answers_each_is_told_that_nothing_was_done(slapd: SlapdSandbox) -> None:
    nowhere = LdapV3Directory(LdapClient(form(slapd, url="ldap://127.0.0.1:1")))
    outcomes = nowhere.block_all(["0b0f1a52-0000-4000-8000-000000000000", "0b0f1a52-0000-4000-8000-000000000001"])
    assert [type(error) for error in outcomes.values()] == [RetryLater, RetryLater]
