"""Access follows the engagements of a person: what the role needs, from the start instant to the end instant, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from cli.demo.world import ROLE, TENANT
from flows.case import Case, CaseRef
from flows.joiner import TIME_TO_PRODUCTIVE
from ledger.access import approvals, grants
from ledger.access.credential_links import CredentialJob
from ledger.access.grants import Grant
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from ledger.queueing import timers
from ledger.queueing.timers import TimerKind
from ledger.trail import audit
from ledger.trail.audit import AuditEntry
from tests.integration.installed import Installed
from workforce.access import SIGN_IN, AccountState
from workforce.engagement import Engagement
from workforce.errors import Misconfigured
from workforce.events import Actor, ActorType
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

DIRECTORIES = ("entra", "ldap")
LEAD = Actor(ActorType.HUMAN, "grace", auth="cli")


def account(installed: Installed, engagement: Engagement, directory: str) -> AccountState:
    case = Case(installed.hub, CaseRef(TENANT, str(engagement.id), "look", engagement.epoch), directory)
    with installed.hub.database.transaction(TENANT) as tx:
        account_id = identities.external_id(tx, directory, ACCOUNT, engagement.worker.id)
    assert account_id is not None
    return case.directory.read(account_id)


def rows(installed: Installed, engagement: Engagement, directory: str) -> list[Grant]:
    with installed.hub.database.transaction(TENANT) as tx:
        return [grant for grant in grants.history_of(tx, engagement.id) if grant.directory == directory]


def employed(installed: Installed, engagement: Engagement) -> bool:
    sink = installed.hub.tenant(TENANT).instance("bamboohr").sink()
    return sink.read(installed.record_id(engagement, "bamboohr")).active


def group(installed: Installed, directory: str, number: int) -> str:
    return installed.world.groups[directory][number]


def with_packages(installed: Installed, **packages: dict[str, Any]) -> None:
    """Replace the company's access packages: file stem → what differs from a package for every role in every directory."""
    everywhere = {name: {"groups": [groups[0]]} for name, groups in installed.world.groups.items()}
    usual = {"version": 1, "because": "a test says so", "role": ROLE, "directories": everywhere}
    installed.apply_files({f"access/{stem}.yaml": {**usual, "package": stem, **package} for stem, package in packages.items()})


def designer(installed: Installed) -> None:
    """A second role: in the second group alone, and in LDAP alone."""
    with_packages(installed, designer={"role": "Designer", "directories": {"ldap": {"groups": [group(installed, "ldap", 1)]}}})


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_every_grant_has_its_reason_its_end_and_the_instant_at_which_it_was_read_back(
    installed: Installed, directory: str
) -> None:
    engagement = installed.joined()
    found = rows(installed, engagement, directory)
    assert len(found) == 3  # the sign-in and two groups
    for grant in found:
        assert (grant.reason["package"], grant.reason["version"]) == ("software-engineer", 1)
        assert (grant.ends_at, grant.worker_id) == (engagement.end_at, engagement.worker.id)
        assert grant.granted_at is not None
        assert grant.granted_at >= grant.wanted_at
        assert grant.revoked_at is None


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_every_revocation_is_kept_with_the_instant_at_which_it_was_read_back(installed: Installed, directory: str) -> None:
    engagement = installed.joined()
    installed.end(engagement)
    found = rows(installed, engagement, directory)
    assert {grant.unwanted_because for grant in found} == {"ending:1"}
    assert all(grant.revoked_at and grant.unwanted_at and grant.revoked_at >= grant.unwanted_at for grant in found)
    assert account(installed, engagement, directory).entitlements == frozenset()
    assert installed.engagement(engagement).state is EngagementState.ENDED


# The start


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_before_the_start_everything_is_there_but_the_sign_in(installed: Installed, directory: str) -> None:
    start = (datetime.now(UTC) + timedelta(days=9)).date()
    engagement = installed.joined(**{"Start Date": start.isoformat()})
    early = account(installed, engagement, directory)
    assert (early.enabled, early.groups) == (False, frozenset(installed.world.groups[directory]))
    assert installed.engagement(engagement).state is EngagementState.CLEARED
    assert installed.engagement(engagement).access_verified_at is None
    with installed.hub.database.transaction(TENANT) as tx:
        due = [timer.fires_at for timer in timers.armed(tx, engagement.id) if timer.kind is TimerKind.START]
    assert due == [engagement.terms.start_instant()]
    assert next(grant for grant in rows(installed, engagement, directory) if grant.entitlement == SIGN_IN).granted_at is None


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_at_the_start_the_account_is_opened(installed: Installed, directory: str) -> None:
    today = datetime.now(UTC).date()
    engagement = installed.joined(**{"Start Date": (today + timedelta(days=9)).isoformat()})
    installed.change(engagement, **{"Start Date": (today - timedelta(days=1)).isoformat()})
    installed.join(engagement)
    assert account(installed, engagement, directory).enabled
    assert installed.engagement(engagement).state is EngagementState.ACTIVE


# Another role


def test_a_changed_role_takes_what_the_old_one_gave_and_gives_what_the_new_one_needs(installed: Installed) -> None:
    designer(installed)
    engagement = installed.joined()
    installed.change(engagement, Role="Designer")
    installed.join(engagement)
    assert account(installed, engagement, "ldap").groups == {group(installed, "ldap", 1)}
    assert account(installed, engagement, "ldap").enabled
    in_entra = account(installed, engagement, "entra")
    assert (in_entra.enabled, in_entra.groups) == (False, frozenset())
    assert all(grant.revoked_at for grant in rows(installed, engagement, "entra"))


def test_a_role_with_access_in_one_directory_has_no_account_in_another(installed: Installed) -> None:
    designer(installed)
    engagement = installed.joined(Role="Designer")
    directory = installed.hub.tenant(TENANT).instance("entra").directory()
    assert directory.find(engagement.worker.marker) == []
    assert installed.engagement(engagement).state is EngagementState.ACTIVE


def test_what_somebody_else_gave_is_left_alone(installed: Installed) -> None:
    with_packages(installed, **{"software-engineer": {"version": 2}})
    engagement = installed.joined()
    by_hand, ours = group(installed, "ldap", 1), group(installed, "ldap", 0)
    shown = account(installed, engagement, "ldap")
    installed.hub.tenant(TENANT).instance("ldap").directory().add_member(by_hand, shown.account_id)
    installed.join(engagement)
    assert account(installed, engagement, "ldap").groups == {by_hand, ours}
    installed.end(engagement)
    assert account(installed, engagement, "ldap").groups == {by_hand}


# Two engagements of one person


@pytest.fixture
def both(installed: Installed) -> tuple[Engagement, Engagement]:
    """Two engagements of one person at once: an engineer, and a designer whose access is less."""
    designer(installed)
    name = uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))
    person = {"Worker ID": f"ACME{name}", "Worker Last Name": f"Lovelace {name}"}
    later = (datetime.now(UTC) + timedelta(days=200)).date().isoformat()
    return installed.joined(**person), installed.joined(**person, Role="Designer", **{"End Date": later})


def test_two_engagements_share_one_account_that_ends_with_the_later(
    installed: Installed, both: tuple[Engagement, Engagement]
) -> None:
    engineer, artist = both
    assert engineer.worker.id == artist.worker.id
    shown = account(installed, artist, "ldap")
    assert shown.groups == frozenset(installed.world.groups["ldap"])
    assert len(installed.world.slapd.entries(engineer.worker.marker)) == 1
    with installed.hub.database.transaction(TENANT) as tx:
        assert {known for known, _ in grants.supports(tx, engineer.worker.id, "ldap")} == {engineer.id, artist.id}


def test_the_end_of_one_takes_only_what_the_other_does_not_support(
    installed: Installed, both: tuple[Engagement, Engagement]
) -> None:
    engineer, artist = both
    installed.end(engineer)
    kept = account(installed, artist, "ldap")
    assert (kept.enabled, kept.groups) == (True, {group(installed, "ldap", 1)})
    assert account(installed, engineer, "entra").entitlements == frozenset()
    assert installed.engagement(engineer).state is EngagementState.ENDED
    assert all(grant.revoked_at for name in DIRECTORIES for grant in rows(installed, engineer, name))
    assert all(grant.revoked_at is None for grant in rows(installed, artist, "ldap"))
    assert employed(installed, artist)
    installed.end(artist)
    assert account(installed, artist, "ldap").entitlements == frozenset()
    assert not employed(installed, artist)


# Packages


def times_to_productive(installed: Installed, engagement: Engagement) -> list[AuditEntry]:
    with installed.hub.database.transaction(TENANT) as tx:
        return audit.entries(tx, engagement_id=engagement.id, action=TIME_TO_PRODUCTIVE)


def test_a_package_that_needs_an_approval_is_given_once_it_is_there(installed: Installed) -> None:
    sensitive = {"sensitive": True, "approvers": ["owner@acme.example"]}
    only = {"directories": {"ldap": {"groups": [group(installed, "ldap", 1)]}}}
    with_packages(installed, **{"software-engineer": {"version": 2}, "vault": {**sensitive, **only}})
    engagement = installed.joined()
    assert account(installed, engagement, "ldap").groups == {group(installed, "ldap", 0)}
    assert times_to_productive(installed, engagement) == [], "somebody still has to say yes"
    decision = approvals.Decision(
        engagement.id, "vault", 1, approved=True, by="owner@acme.example", reason="the project needs it"
    )
    with installed.hub.database.transaction(TENANT) as tx:
        approvals.decide(tx, decision, approvers=["owner@acme.example"], email_domain="acme.example", actor=LEAD)
    for _ in range(2):
        installed.join(engagement)
    assert account(installed, engagement, "ldap").groups == frozenset(installed.world.groups["ldap"])
    assert len(times_to_productive(installed, engagement)) == 1


def test_an_engagement_that_waits_for_everything_has_no_access_that_was_proven(installed: Installed) -> None:
    with_packages(installed, **{"software-engineer": {"sensitive": True, "approvers": ["owner@acme.example"]}})
    engagement = installed.joined()
    assert installed.engagement(engagement).access_verified_at is None
    assert times_to_productive(installed, engagement) == []
    assert installed.waiting(CredentialJob.HAND_OVER) == []


def test_a_pinned_version_that_was_lost_takes_nothing_away(installed: Installed) -> None:
    engagement = installed.joined()
    with_packages(installed, **{"software-engineer": {"version": 2}})
    with pytest.raises(Misconfigured, match="software-engineer version 1"):
        installed.join(engagement)
    assert account(installed, engagement, "ldap").groups == frozenset(installed.world.groups["ldap"])
