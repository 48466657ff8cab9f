"""One contract for every directory: against a real slapd, 389 Directory Server and Samba, and the sandboxes of Graph, Okta and SCIM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.activedirectory import CONNECTOR as ACTIVE_DIRECTORY
from connectors.activedirectory.sandbox import SambaSandbox
from connectors.ldap import CONNECTOR as LDAP
from connectors.ldap.dirsrv import DirsrvSandbox
from connectors.ldap.sandbox import SlapdSandbox
from connectors.msgraph import CONNECTOR as MSGRAPH
from connectors.msgraph.sandbox import MsGraphSandbox
from connectors.okta import CONNECTOR as OKTA
from connectors.okta.sandbox import OktaSandbox
from connectors.scim import CONNECTOR as SCIM
from connectors.scim.sandbox import ScimSandbox
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.suite.scenes import every_account
from connectors.wire.tls import TlsFiles
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, NotFound, Refused
from workforce.markers import new_marker
from workforce.ports import CheckResult, Credentials, Directory, Managers, Renaming

pytestmark = pytest.mark.integration

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
ABSENT_ID = "0b0f1a52-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Place:
    """A directory under test, and what its administrator can do by hand."""

    directory: Directory
    login: Callable[[str], str]
    attributes: Callable[[str], dict[str, object]]
    add_group: Callable[[str], str]
    absent_group: str
    add_employee: Callable[[str], str]
    check: Callable[[], CheckResult]
    forbidden: tuple[str, ...] = (
        "accountEnabled",
        "userPassword",
        "pwdAccountLockedTime",
        "passwordProfile",
        "employeeNumber",
        "employeeId",
    )
    """What no mapping may set, or what this directory does not know."""


@pytest.fixture(scope="module")
def ldap_place(slapd: SlapdSandbox) -> Iterator[Place]:
    yield from _place_of_people(slapd)


@pytest.fixture(scope="module")
def dirsrv_place(dirsrv: DirsrvSandbox) -> Iterator[Place]:
    yield from _place_of_people(dirsrv)


def _place_of_people(server: SlapdSandbox | DirsrvSandbox) -> Iterator[Place]:
    client = LDAP.client(LDAP.settings(**server.settings()), ON_LOOPBACK)
    entry = {"objectClass": ["inetOrgPerson"], "cn": ["Em Ployee"], "sn": ["Ployee"]}
    yield Place(
        directory=LDAP.can.directory(client),
        login=lambda name: name,
        attributes=lambda name: {"cn": name, "sn": name, "title": "Developer"},
        add_group=server.add_group,
        absent_group=f"cn=absent,{server.base('groups')}",
        add_employee=lambda login: server.plant(
            f"uid={login},{server.base('people')}", {**entry, "uid": [login], "employeeNumber": [login]}
        ),
        check=client.check,
    )
    client.close()


@pytest.fixture(scope="module")
def samba_place(samba: SambaSandbox) -> Iterator[Place]:
    client = ACTIVE_DIRECTORY.client(ACTIVE_DIRECTORY.settings(**samba.settings()), ON_LOOPBACK)
    yield Place(
        directory=ACTIVE_DIRECTORY.can.directory(client),
        login=lambda name: f"{name}@client.example",
        attributes=lambda name: {"displayName": name, "sn": name, "title": "Developer"},
        add_group=samba.add_group,
        absent_group=f"CN=absent,{samba.base('groups')}",
        add_employee=lambda login: samba.add_user(login, userPrincipalName=login, employeeNumber="4711"),
        check=client.check,
        forbidden=(
            "accountEnabled",
            "userAccountControl",
            "unicodePwd",
            "pwdLastSet",
            "cn",
            "memberOf",
            "employeeNumber",
            "objectSid",
        ),
    )
    client.close()


@pytest.fixture(scope="module")
def msgraph_place(tls: TlsFiles) -> Iterator[Place]:
    sandbox = MsGraphSandbox()
    with serve(sandbox.app, tls) as base_url:
        client = MSGRAPH.client(MSGRAPH.settings(**sandbox.settings(base_url, tls.ca)), ON_LOOPBACK)
        yield Place(
            directory=MSGRAPH.can.directory(client),
            login=lambda name: f"{name}@client.example",
            attributes=lambda name: {"displayName": name, "mailNickname": name, "jobTitle": "Developer"},
            add_group=sandbox.add_group,
            absent_group=ABSENT_ID,
            add_employee=lambda login: sandbox.add_user(userPrincipalName=login, displayName="Em Ployee", employeeId="4711"),
            check=client.check,
        )
        client.close()


@pytest.fixture(scope="module")
def scim_place(tls: TlsFiles) -> Iterator[Place]:
    sandbox = ScimSandbox(page_size=20)
    with serve(sandbox.app, tls) as base_url:
        client = SCIM.client(SCIM.settings(**sandbox.settings(base_url, tls.ca)), ON_LOOPBACK)
        yield Place(
            directory=SCIM.can.directory(client),
            login=lambda name: f"{name}@client.example",
            attributes=lambda name: {"displayName": name, "title": "Developer"},
            add_group=sandbox.add_group,
            absent_group=ABSENT_ID,
            add_employee=lambda login: sandbox.add_user(userName=login, displayName="Em Ployee", externalId="4711"),
            check=client.check,
            forbidden=("active", "Active", "password", "groups", "externalId", "id", "schemas"),
        )
        client.close()


@pytest.fixture(scope="module")
def okta_place(tls: TlsFiles) -> Iterator[Place]:
    sandbox = OktaSandbox(page_size=20)
    with serve(sandbox.app, tls) as base_url:
        client = OKTA.client(OKTA.settings(**sandbox.settings(base_url, tls.ca)), ON_LOOPBACK)
        yield Place(
            directory=OKTA.can.directory(client),
            login=lambda name: f"{name}@client.example",
            attributes=lambda name: {
                "firstName": "Ada",
                "lastName": name,
                "email": f"{name}@client.example",
                "title": "Developer",
            },
            add_group=sandbox.add_group,
            absent_group=ABSENT_ID,
            add_employee=lambda login: sandbox.add_user(login=login, displayName="Em Ployee", employeeNumber="4711"),
            check=client.check,
            forbidden=("employeeNumber", "status", "password", "credentials", "id"),
        )
        client.close()


@pytest.fixture(params=["ldap_place", "dirsrv_place", "samba_place", "msgraph_place", "scim_place", "okta_place"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def wanted(place: Place) -> DesiredAccount:
    """An account as an engagement asks for it, of a name that no other test uses."""
    return _one_more(place)


def test_the_check_finds_the_directory_ready(place: Place) -> None:
    result = place.check()
    assert result.ok, result.detail


def test_a_created_account_is_enabled_without_groups_and_expires_at_the_end(place: Place, wanted: DesiredAccount) -> None:
    state = place.directory.read(place.directory.create(wanted))
    assert (state.login, state.marker, state.enabled, state.protected) == (wanted.login, wanted.marker, True, False)
    assert (state.groups, state.expires_at) == (frozenset(), END)


def test_an_account_is_found_by_its_marker_and_by_its_login(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    assert [s.account_id for s in place.directory.find(wanted.marker)] == [account_id]
    holder = place.directory.find_by_login(wanted.login)
    assert holder is not None
    assert holder.account_id == account_id


def test_what_is_not_there_is_not_found(place: Place) -> None:
    assert place.directory.find(new_marker()) == []
    assert place.directory.find_by_login(place.login("nobody.at.all")) is None
    with pytest.raises(NotFound):
        place.directory.read(ABSENT_ID)
    with pytest.raises(NotFound):
        place.directory.disable(ABSENT_ID)


def test_hostile_names_find_nobody(place: Place, wanted: DesiredAccount) -> None:
    place.directory.create(wanted)
    for name in ("*", "' or 1 eq 1 or employeeId eq '", "*)(uid=*", "../groups", "", "\0", "a'b@client.example", "?$top=1"):
        assert place.directory.find(name) == []
        assert place.directory.find_by_login(name) is None


def test_a_login_that_is_in_use_is_already_taken(place: Place, wanted: DesiredAccount) -> None:
    place.directory.create(wanted)
    namesake = DesiredAccount(new_marker(), wanted.login, wanted.attributes, frozenset(), END)
    with pytest.raises(AlreadyTaken) as caught:
        place.directory.create(namesake)
    assert caught.value.field in {"uid", "userPrincipalName", "userName", "login"}
    assert place.directory.find(namesake.marker) == []


def test_an_update_sets_what_it_names_and_keeps_the_rest(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    field = "title" if "title" in wanted.attributes else "jobTitle"
    for _ in range(2):
        place.directory.update(account_id, {field: "Architect"})
    assert _attributes(place, account_id)[field] == "Architect"
    place.directory.update(account_id, {field: None})
    assert _attributes(place, account_id)[field] is None
    state = place.directory.read(account_id)
    assert (state.login, state.marker, state.enabled, state.expires_at) == (wanted.login, wanted.marker, True, END)


def test_an_account_shows_the_attributes_that_it_was_given_and_which_are_empty(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    shown = _attributes(place, account_id)
    assert {name: shown[name] for name in wanted.attributes} == wanted.attributes
    assert [value for value in shown.values() if value is None or value == []]
    assert "password" not in str(list(shown)).casefold()
    assert "Developer" not in str(place.directory.read(account_id))


def test_a_mapping_cannot_enable_an_account_set_its_password_or_change_its_marker(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    for field in place.forbidden:
        with pytest.raises(Refused) as caught:
            place.directory.update(account_id, {field: "true"})
        assert caught.value.cause in {"reserved_attribute", "undefined_type", "object_class_violation", "http_400"}


def test_the_expiry_can_be_moved(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    for _ in range(2):
        place.directory.set_expiry(account_id, END + timedelta(days=30))
    assert place.directory.read(account_id).expires_at == END + timedelta(days=30)


def test_disable_and_enable_are_idempotent_and_undo_each_other(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    for act, enabled in ((place.directory.disable, False), (place.directory.enable, True)):
        for _ in range(2):
            act(account_id)
        assert place.directory.read(account_id).enabled is enabled


def test_an_account_that_starts_later_is_made_disabled_and_enabled_when_it_starts(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(replace(wanted, enabled=False))
    state = place.directory.read(account_id)
    assert (state.login, state.marker, state.enabled, state.expires_at) == (wanted.login, wanted.marker, False, END)
    place.directory.enable(account_id)
    assert place.directory.read(account_id).enabled is True


def test_a_rename_keeps_the_account_and_takes_no_login_of_somebody_else(place: Place, wanted: DesiredAccount) -> None:
    assert isinstance(place.directory, Renaming)
    account_id, other = place.directory.create(wanted), _one_more(place)
    place.directory.create(other)
    with pytest.raises(AlreadyTaken):
        place.directory.rename(account_id, other.login)
    new = place.login(f"grace.{wanted.marker.lower()}")
    for _ in range(2):
        place.directory.rename(account_id, new)
    state = place.directory.read(account_id)
    assert (state.account_id, state.login, state.marker) == (account_id, new, wanted.marker)
    holder = place.directory.find_by_login(new)
    assert holder is not None
    assert holder.account_id == account_id


def test_a_manager_who_is_nobody_is_not_found(place: Place, wanted: DesiredAccount) -> None:
    assert isinstance(place.directory, Managers)
    account_id = place.directory.create(wanted)
    boss = _one_more(place)
    place.directory.create(boss)
    for _ in range(2):
        place.directory.set_manager(account_id, boss.login)
    with pytest.raises(NotFound):
        place.directory.set_manager(account_id, "nobody.at.all@client.example")


def test_a_first_credential_is_another_one_each_time_and_nothing_shows_it(place: Place, wanted: DesiredAccount) -> None:
    if not isinstance(place.directory, Credentials):
        assert not hasattr(place.directory, "first_credential")
        return
    account_id = place.directory.create(wanted)
    made = [place.directory.first_credential(account_id) for _ in range(2)]
    secrets = {one.secret.get_secret_value() for one in made}
    state = place.directory.read(account_id)
    assert len(secrets) == 2
    assert not any(one in f"{made!r}{state!r}{state.attributes!r}" for one in secrets)


def test_revoking_sessions_leaves_a_disabled_account_disabled(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    place.directory.disable(account_id)
    for _ in range(2):
        place.directory.revoke_sessions(account_id)
    assert place.directory.read(account_id).enabled is False


def test_members_come_and_go_and_repeating_it_is_success(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    groups = {place.add_group(f"{name} of {wanted.marker}") for name in ("developers", "vpn")}
    for group in groups:
        for _ in range(2):
            place.directory.add_member(group, account_id)
    assert place.directory.read(account_id).groups == groups
    for group in groups:
        for _ in range(2):
            place.directory.remove_member(group, account_id)
    assert place.directory.read(account_id).groups == frozenset()


def test_every_membership_is_listed_however_many_pages_it_takes(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    groups = {place.add_group(f"group {n} of {wanted.marker}") for n in range(60)}
    for group in groups:
        place.directory.add_member(group, account_id)
    assert place.directory.read(account_id).groups == groups


def test_an_unknown_group_is_not_found_for_adding_and_no_membership_for_removing(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    with pytest.raises(NotFound):
        place.directory.add_member(place.absent_group, account_id)
    place.directory.remove_member(place.absent_group, account_id)


def test_an_account_that_was_moved_away_is_found_unchanged_and_can_come_back(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    group = place.add_group(f"mail of {wanted.marker}")
    place.directory.add_member(group, account_id)
    place.directory.disable(account_id)
    for _ in range(2):
        place.directory.move_to_disabled(account_id)
    (state,) = place.directory.find(wanted.marker)
    assert (state.account_id, state.enabled, state.groups) == (account_id, False, frozenset({group}))
    place.directory.enable(account_id)
    assert place.directory.read(account_id).enabled is True


def test_an_employee_who_is_no_contractor_of_ours_is_seen_but_never_touched(place: Place) -> None:
    login = place.login(f"em.{new_marker().lower()}")
    account_id = place.add_employee(login)
    group = place.add_group(f"staff {login}")
    holder = place.directory.find_by_login(login)
    assert holder is not None
    assert (holder.account_id, holder.marker, holder.protected) == (account_id, None, True)
    d = place.directory
    for act in (d.disable, d.enable, d.revoke_sessions):
        with pytest.raises(Refused) as caught:
            act(account_id)
        assert caught.value.cause == "protected_account"
    for touch in (
        lambda: d.update(account_id, {"title": "x"}),
        lambda: d.add_member(group, account_id),
        lambda: d.set_expiry(account_id, END),
    ):
        with pytest.raises(Refused, match="protected"):
            touch()
    assert d.read(account_id).enabled is True


def test_sign_in_is_proven_where_it_can_be_tried(place: Place, wanted: DesiredAccount) -> None:
    account_id = place.directory.create(wanted)
    before = place.directory.sign_in_works(account_id)
    place.directory.disable(account_id)
    after = place.directory.sign_in_works(account_id)
    assert (before, after) in {(True, False), (None, None)}


def test_a_reading_of_accounts_gives_each_once_and_then_those_that_changed(place: Place) -> None:
    wanted = [_one_more(place) for _ in range(45)]  # more than a page of the directories here
    ids = {place.directory.create(one): one for one in wanted}
    states, cursor = every_account(place.directory)
    assert ids.keys() <= {state.account_id for state in states}
    assert len({state.account_id for state in states}) == len(states)
    assert {s.account_id: (s.login, s.marker) for s in states if s.account_id in ids} == {
        one: (account.login, account.marker) for one, account in ids.items()
    }
    changed = next(iter(ids))
    place.directory.disable(changed)
    later, _ = every_account(place.directory, cursor)
    assert [state.enabled for state in later if state.account_id == changed] == [False]


def test_blocking_many_blocks_each_that_may_be_touched_and_tells_why_the_others_are_not(place: Place) -> None:
    ids = [place.directory.create(_one_more(place)) for _ in range(5)]
    employee = place.add_employee(place.login(f"em.{new_marker().lower()}"))
    for _ in range(2):
        outcomes = place.directory.block_all([ids[0], ABSENT_ID, *ids[1:3], employee, "no id at all", *ids[3:]])
        assert {one: getattr(error, "cause", None) for one, error in outcomes.items()} == {
            **dict.fromkeys(ids),
            ABSENT_ID: "not_found",
            "no id at all": "not_found",
            employee: "protected_account",
        }
    assert not any(place.directory.read(one).enabled for one in ids)
    assert place.directory.read(employee).enabled
    assert place.directory.block_all([]) == {}


def _attributes(place: Place, account_id: str) -> Mapping[str, object]:
    shown = place.directory.read(account_id).attributes
    assert shown is not None
    return shown


def _one_more(place: Place) -> DesiredAccount:
    marker = new_marker()
    name = f"ada.{marker.lower()}"
    return DesiredAccount(marker, place.login(name), place.attributes(name), frozenset(), END)
