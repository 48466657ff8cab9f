"""What the joiner makes of the attributes of accounts, run after run, in Entra ID, OpenLDAP, Okta and a SCIM target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.demo.world import EMAIL_DOMAIN
from connectors.okta.sandbox import OktaSandbox
from connectors.scim.sandbox import ScimSandbox
from connectors.suite.sandbox import serve
from flows.mapping.rehearsal import SupposedCase
from ledger import documents
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from tests.integration.installed import TENANT, Installed
from tests.tenant_documents import instance
from workforce.effects import EffectKind
from workforce.engagement import Engagement
from workforce.states import EffectState

pytestmark = pytest.mark.integration


@dataclass
class Place:
    """A directory of the company and what an account in it really holds.

    ``role`` and ``kind`` are its names of a normal field that belongs to the VMS and of a strong one.
    """

    installed: Installed
    name: str
    held: Callable[[str], Mapping[str, Any]]
    role: str
    kind: str
    phone: str = ""
    login: str = ""

    def account_id(self, engagement: Engagement) -> str:
        with self.installed.hub.database.transaction(TENANT) as tx:
            found = identities.external_id(tx, self.name, ACCOUNT, engagement.worker.id)
        assert found is not None
        return found

    def account(self, engagement: Engagement) -> Mapping[str, Any]:
        return self.held(self.account_id(engagement))

    def change_by_hand(self, engagement: Engagement, **attributes: str | None) -> None:
        """As an administrator of the directory would."""
        directory = self.installed.hub.tenant(TENANT).instance(self.name).directory()
        directory.update(self.account_id(engagement), attributes)

    def updates(self, engagement: Engagement) -> int:
        return self.installed.done(engagement, EffectKind.UPDATE_ACCOUNT).count((self.name, EffectState.DONE))

    def dry_run(self, engagement: Engagement) -> dict[str, object]:
        """What a run would write now, by field."""
        case = SupposedCase(self.installed.hub, self.installed.run(engagement), self.name, engagement)
        return {shown.target: shown.after for shown in case.would_write(offline=False)}


def _by_id(users: Callable[[], list[dict[str, Any]]]) -> Callable[[str], Mapping[str, Any]]:
    return lambda account_id: next(user for user in users() if user["id"] == account_id)


def in_entra(installed: Installed) -> Place:
    graph = installed.world.graph
    held = _by_id(lambda: graph.users)
    return Place(installed, "entra", held, role="jobTitle", kind="employeeType", phone="mobilePhone", login="userPrincipalName")


def in_ldap(installed: Installed) -> Place:
    return Place(installed, "ldap", installed.world.slapd.held, role="title", kind="employeeType", phone="mobile", login="uid")


@contextmanager
def one_more(installed: Installed, name: str, sandbox: OktaSandbox | ScimSandbox, secrets: Path) -> Iterator[None]:
    """One more directory of the company, with a group for engineers."""
    world = installed.world
    with installed.hub.database.transaction(TENANT) as tx:
        files = {path: yaml.safe_load(text) for path, text in documents.current(tx).files.items()}
    tenant, package = files["tenant.yaml"], files["access/software-engineer.yaml"]
    tenant["systems"]["directories"].append(name)
    package["directories"][name] = {"groups": [sandbox.add_group("engineers")]}
    with serve(sandbox.app, world.tls) as url:
        connector = instance(name, name, sandbox.settings(url, world.tls.ca), secrets)
        installed.apply_files(
            {"tenant.yaml": tenant, "access/software-engineer.yaml": package, f"connectors/{name}.yaml": connector}
        )
        yield


@contextmanager
def in_okta(installed: Installed, secrets: Path) -> Iterator[Place]:
    sandbox = OktaSandbox()
    held = _by_id(lambda: sandbox.users)
    with one_more(installed, "okta", sandbox, secrets):
        yield Place(
            installed, "okta", lambda one: held(one)["profile"], role="title", kind="userType", phone="mobilePhone", login="login"
        )


@contextmanager
def in_scim(installed: Installed, secrets: Path) -> Iterator[Place]:
    sandbox = ScimSandbox()
    held = _by_id(lambda: sandbox.users)
    with one_more(installed, "scim", sandbox, secrets):
        yield Place(installed, "scim", held, role="title", kind="userType", login="userName")


@pytest.fixture(params=["entra", "ldap", "okta", "scim"])
def place(request: pytest.FixtureRequest, installed: Installed, tmp_path: Path) -> Iterator[Place]:
    match request.param:
        case "entra":
            yield in_entra(installed)
        case "ldap":
            yield in_ldap(installed)
        case "okta":
            with in_okta(installed, tmp_path / "secrets") as place:
                yield place
        case "scim":
            with in_scim(installed, tmp_path / "secrets") as place:
                yield place


def test_the_login_is_the_one_that_the_mapping_says_in_the_directorys_own_words(place: Place) -> None:
    engagement = place.installed.joined()
    login = str(place.account(engagement)[place.login])
    assert login.endswith(f"@{EMAIL_DOMAIN}") is (place.name != "ldap")
    found = place.installed.hub.tenant(TENANT).instance(place.name).directory().find_by_login(login)
    assert found is not None
    assert (found.marker, found.account_id) == (engagement.worker.marker, place.account_id(engagement))


def test_a_second_run_writes_no_attribute(place: Place) -> None:
    engagement = place.installed.joined(**{"Worker Phone": "+1 555 0100"})
    for _ in range(2):
        place.installed.join(engagement)
    assert place.updates(engagement) == 0
    assert place.installed.conflicts(engagement) == []
    assert place.dry_run(engagement) == {}


def test_what_somebody_changed_in_the_directory_is_shown_and_stays_until_it_is_put_back(place: Place) -> None:
    engagement = place.installed.joined()
    place.change_by_hand(engagement, **{place.role: "Poet"})
    place.installed.join(engagement)
    (conflict,) = place.installed.conflicts(engagement)
    assert (conflict.cause, conflict.field) == ("ownership_conflict", place.role)
    assert conflict.subject == f"{place.name}:{place.account_id(engagement)}"
    assert "Poet" not in conflict.message
    assert (place.account(engagement)[place.role], place.updates(engagement)) == ("Poet", 0)
    place.change_by_hand(engagement, **{place.role: engagement.terms.role})
    place.installed.join(engagement)
    assert place.installed.conflicts(engagement) == []


def test_a_strong_attribute_is_put_right_as_the_dry_run_said(place: Place) -> None:
    engagement = place.installed.joined()
    ours = place.account(engagement)[place.kind]
    place.change_by_hand(engagement, **{place.kind: "Employee"})
    assert place.dry_run(engagement) == {place.kind: ours}
    place.installed.join(engagement)
    assert place.account(engagement)[place.kind] == ours
    assert place.installed.conflicts(engagement) == []
    assert place.updates(engagement) == 1


def test_a_phone_number_is_given_where_there_is_none_and_never_overwritten(place: Place) -> None:
    if not place.phone:
        pytest.skip("no phone number is mapped here")
    engagement = place.installed.joined(**{"Worker Phone": "+1 555 0100"})
    place.change_by_hand(engagement, **{place.phone: None})
    place.installed.join(engagement)
    assert place.account(engagement)[place.phone] == "+1 555 0100"
    place.change_by_hand(engagement, **{place.phone: "+1 555 0199"})
    place.installed.change(engagement, **{"Worker Phone": "+1 555 0101"})
    place.installed.join(engagement)
    assert place.account(engagement)[place.phone] == "+1 555 0199"
    assert place.installed.conflicts(engagement) == []
