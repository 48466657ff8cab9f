"""People who come back, who work twice at once, and who become employees: the same person in every system, and nothing inherited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.demo.world import ROLE, TENANT
from connectors.deel.sandbox import DeelSandbox
from connectors.suite.trial import Opened
from connectors.testing import trial_of
from connectors.workmarket.sandbox import WorkMarketSandbox
from flows.case import Case, CaseRef
from flows.handlers import Handlers
from flows.prefect_runs import PrefectRuns
from ledger.access import grants
from ledger.database import Tx
from ledger.ending import ends
from ledger.ending.endings import EndingCause
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from ledger.queueing.jobs import JobName
from ledger.queueing.queue import Lane, RunningJob
from ledger.trail import audit
from tests.integration.company import NOBODY
from tests.integration.installed import Installed
from workforce.access import AccountState
from workforce.effects import EffectKind
from workforce.engagement import Engagement
from workforce.events import Actor, ActorType
from workforce.markers import marker_of
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

DIRECTORIES = ("entra", "ldap")
LEAD = Actor(ActorType.HUMAN, "grace", auth="cli")
TODAY = datetime.now(UTC).date()
LAST_MONTH, LAST_WEEK, YESTERDAY, SOON, LATER = ((TODAY + timedelta(days=days)).isoformat() for days in (-30, -7, -1, 9, 200))


@pytest.fixture
def person() -> dict[str, str]:
    """Somebody whom the VMS knows by one id."""
    name = uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))
    return {"Worker ID": f"ACME{name}", "Worker Last Name": f"Lovelace {name}", "Worker Email": f"{name}@mail.example"}


@pytest.fixture(autouse=True)
def roles(installed: Installed) -> None:
    """Engineers have both groups of both directories; designers have the second group of LDAP, and nothing else."""
    groups = installed.world.groups
    usual = {"version": 1, "because": "a test says so"}
    everything = {name: {"groups": ids} for name, ids in groups.items()}
    engineer = {**usual, "package": "software-engineer", "role": ROLE, "directories": everything}
    designer = {**usual, "package": "designer", "role": "Designer", "directories": {"ldap": {"groups": groups["ldap"][1:]}}}
    installed.apply_files({"access/software-engineer.yaml": engineer, "access/designer.yaml": designer})


def terminated(installed: Installed, engagement: Engagement) -> None:
    """Somebody ends the stint now, and the leaver takes everything away."""
    with installed.hub.database.transaction(TENANT) as tx:
        ends.terminate(tx, engagement.id, LEAD, reason="a test says so")
    installed.leave(engagement)


def account(installed: Installed, engagement: Engagement, directory: str) -> AccountState:
    case = Case(installed.hub, CaseRef(TENANT, str(engagement.id), "look", engagement.epoch), directory)
    with installed.hub.database.transaction(TENANT) as tx:
        account_id = identities.external_id(tx, directory, ACCOUNT, engagement.worker.id)
    assert account_id is not None
    return case.directory.read(account_id)


def places(installed: Installed, engagement: Engagement) -> list[str]:
    """Where in the directory the accounts with the person's marker are."""
    return [entry["dn"] for entry in installed.world.slapd.entries(engagement.worker.marker)]


def statuses(installed: Installed, engagement: Engagement) -> list[tuple[str, str]]:
    """The history in the HRIS: days and statuses."""
    rows = installed.world.bamboohr.tables[installed.record_id(engagement, "bamboohr"), "employmentStatus"]
    return [(row["date"], row["employmentStatus"]) for row in sorted(rows, key=lambda row: int(row["id"]))]


def is_active(installed: Installed, engagement: Engagement, system: str) -> bool:
    sink = installed.hub.tenant(TENANT).instance(system).sink()
    return sink.read(installed.record_id(engagement, system)).active


def has_nothing_left(tx: Tx, engagement: Engagement) -> bool:
    return all(grant.revoked_at is not None for grant in grants.history_of(tx, engagement.id))


# Coming back


def test_who_comes_back_is_the_same_person_everywhere_and_has_what_the_new_role_gives(
    installed: Installed, person: dict[str, str]
) -> None:
    old = installed.joined(**person)
    before = {name: account(installed, old, name).account_id for name in DIRECTORIES}
    records = {name: installed.record_id(old, name) for name in ("bamboohr", "gusto")}
    terminated(installed, old)
    assert not any(account(installed, old, name).enabled for name in DIRECTORIES)
    assert not any(is_active(installed, old, name) for name in records)

    new = installed.joined(**person, Role="Designer", **{"Start Date": TODAY.isoformat(), "Pay Rate": "120.00"})
    assert new.worker.id == old.worker.id
    assert {name: account(installed, new, name).account_id for name in DIRECTORIES} == before
    assert {name: installed.record_id(new, name) for name in records} == records
    ldap, entra = (account(installed, new, name) for name in ("ldap", "entra"))
    assert (ldap.enabled, ldap.groups) == (True, frozenset(installed.world.groups["ldap"][1:]))
    assert entra.entitlements == frozenset()
    assert all(is_active(installed, new, name) for name in records)
    assert installed.employee(new)["jobTitle"] == "Designer"
    assert installed.contractor(new)["hourly_rate"] == "120.00"
    assert installed.contractor(new)["start_date"] == TODAY.isoformat()
    assert sorted(installed.done(new, EffectKind.REHIRE_RECORD)) == [("bamboohr", "done"), ("gusto", "done")]


def test_the_account_of_who_comes_back_is_moved_back_from_the_place_for_disabled_ones(
    installed: Installed, person: dict[str, str]
) -> None:
    old = installed.joined(**person)
    (home,) = places(installed, old)
    terminated(installed, old)
    (away,) = places(installed, old)
    installed.joined(**person, **{"Start Date": TODAY.isoformat()})
    assert away != home
    assert places(installed, old) == [home]


def test_the_history_of_both_stints_is_kept(installed: Installed, person: dict[str, str]) -> None:
    old = installed.joined(**person)
    terminated(installed, old)
    new = installed.joined(**person, Role="Designer", **{"Start Date": TODAY.isoformat()})
    (began, _), (ended, status), again = statuses(installed, new)
    assert (began, status, again) == (YESTERDAY, "Terminated", (max(ended, TODAY.isoformat()), "Contractor"))
    first, second = (installed.written(each, "bamboohr")[0].fields["jobTitle"].value for each in (old, new))
    assert (first, second) == (ROLE, "Designer")
    assert installed.engagement(old).state is EngagementState.ENDED
    assert installed.engagement(new).state is EngagementState.ACTIVE
    with installed.hub.database.transaction(TENANT) as tx:
        assert has_nothing_left(tx, old)
        assert {grant.reason["package"] for grant in grants.history_of(tx, new.id)} == {"designer"}


def test_who_comes_back_later_has_records_at_once_and_no_sign_in_before_the_start(
    installed: Installed, person: dict[str, str]
) -> None:
    terminated(installed, installed.joined(**person))
    new = installed.joined(**person, **{"Start Date": SOON})
    assert statuses(installed, new)[-1] == (SOON, "Contractor")
    assert is_active(installed, new, "gusto")
    assert not account(installed, new, "ldap").enabled


def test_a_stint_that_has_ended_ends_again_after_the_rehire(installed: Installed, person: dict[str, str]) -> None:
    terminated(installed, installed.joined(**person))
    new = installed.joined(**person, **{"Start Date": TODAY.isoformat()})
    terminated(installed, new)
    assert not any(is_active(installed, new, name) for name in ("bamboohr", "gusto"))
    assert not any(account(installed, new, name).entitlements for name in DIRECTORIES)
    third = installed.joined(**person, **{"Start Date": TODAY.isoformat()})
    assert all(is_active(installed, third, name) for name in ("bamboohr", "gusto"))
    assert [status for _, status in statuses(installed, third)] == ["Contractor", "Terminated"] * 2 + ["Contractor"]


def test_an_end_that_moves_later_after_it_was_reached_takes_the_records_up_again(
    installed: Installed, person: dict[str, str]
) -> None:
    engagement = installed.joined(**person, **{"Start Date": LAST_MONTH})
    installed.change(engagement, **{"End Date": LAST_WEEK})
    installed.leave(engagement)
    assert not any(is_active(installed, engagement, name) for name in ("bamboohr", "gusto"))
    installed.change(engagement, Status="Accepted", **{"End Date": LATER, "Closed At": ""})
    for _ in range(2):
        installed.join(engagement)
    assert all(is_active(installed, engagement, name) for name in ("bamboohr", "gusto"))
    assert account(installed, engagement, "ldap").enabled
    assert statuses(installed, engagement) == [
        (LAST_MONTH, "Contractor"),
        (LAST_WEEK, "Terminated"),
        (LAST_WEEK, "Contractor"),
    ]


# Two at once


def title_in_ldap(installed: Installed, engagement: Engagement) -> object:
    return (account(installed, engagement, "ldap").attributes or {})["title"]


def test_the_one_that_started_last_leads_and_when_it_ends_the_terms_of_the_other_are_written_back(
    installed: Installed, person: dict[str, str]
) -> None:
    first = installed.joined(**person)
    second = installed.joined(**person, Role="Designer", **{"Start Date": TODAY.isoformat(), "Pay Rate": "120.00"})
    record = installed.record_id(first, "bamboohr")
    installed.join(first)
    assert (installed.employee(first)["jobTitle"], installed.contractor(first)["hourly_rate"]) == ("Designer", "120.00")
    assert title_in_ldap(installed, first) == "Designer"

    terminated(installed, second)
    assert all(is_active(installed, first, name) for name in ("bamboohr", "gusto"))
    installed.join(first)
    assert installed.record_id(first, "bamboohr") == record
    assert (installed.employee(first)["jobTitle"], installed.contractor(first)["hourly_rate"]) == (ROLE, "95.00")
    assert title_in_ldap(installed, first) == ROLE
    assert installed.conflicts(first) == []
    assert installed.written(first, "bamboohr")[0].fields["jobTitle"].value == ROLE


def test_what_somebody_changes_by_hand_after_the_terms_were_written_back_stays(
    installed: Installed, person: dict[str, str]
) -> None:
    first = installed.joined(**person)
    second = installed.joined(**person, **{"Start Date": TODAY.isoformat(), "Site": "Hamburg"})
    terminated(installed, second)
    installed.join(first)
    shared = (installed.written(first, "bamboohr"), installed.written(second, "bamboohr"))
    normal = {name for name, field in shared[0][0].fields.items() if field.strength == "normal"}
    field = next(name for name in sorted(normal) if shared[0][0].fields[name].value != shared[1][0].fields[name].value)
    installed.world.bamboohr.change_by_hand(installed.record_id(first, "bamboohr"), **{field: "by hand"})
    installed.join(first)
    assert installed.employee(first)[field] == "by hand"


def test_the_end_of_the_one_that_does_not_lead_changes_nothing_in_the_records(
    installed: Installed, person: dict[str, str]
) -> None:
    first = installed.joined(**person)
    second = installed.joined(**person, Role="Designer", **{"Start Date": TODAY.isoformat()})
    before = installed.calls()
    terminated(installed, first)
    after = installed.calls()
    assert {name: after[name] for name in ("bamboohr", "gusto")} == {name: before[name] for name in ("bamboohr", "gusto")}
    terminated(installed, second)
    assert not any(is_active(installed, second, name) for name in ("bamboohr", "gusto"))


def test_when_the_leading_one_ends_the_worker_has_the_other_join_again(installed: Installed, person: dict[str, str]) -> None:
    first = installed.joined(**person)
    second = installed.joined(**person, **{"Start Date": TODAY.isoformat()})
    installed.waiting(JobName.JOINER)
    with installed.hub.database.transaction(TENANT) as tx:
        ends.terminate(tx, second.id, LEAD, reason="a test says so")
    (args,) = installed.waiting(JobName.LEAVER)
    Handlers(installed.hub, PrefectRuns(NOBODY)).leaver(RunningJob(1, JobName.LEAVER, TENANT, Lane.REVOKE, 1, args))
    assert [waiting["engagement_id"] for waiting in installed.waiting(JobName.JOINER)] == [str(first.id)]


# Becoming an employee


def test_a_contractor_who_becomes_an_employee_loses_the_access_and_keeps_the_record_that_is_hrs(
    installed: Installed, person: dict[str, str]
) -> None:
    engagement = installed.joined(**person)
    before = {name: account(installed, engagement, name) for name in DIRECTORIES}
    installed.end(engagement, EndingCause.CONVERTED)
    for name in DIRECTORIES:
        left = account(installed, engagement, name)
        assert (left.account_id, left.marker) == (before[name].account_id, engagement.worker.marker)
        assert left.entitlements == frozenset()
    assert is_active(installed, engagement, "bamboohr")
    assert [status for _, status in statuses(installed, engagement)] == ["Contractor"]
    with installed.hub.database.transaction(TENANT) as tx:
        (kept,) = audit.entries(tx, engagement_id=engagement.id, action="record.kept")
    assert (kept.event["target"]["system"], kept.event["details"]["because"]) == ("bamboohr", EndingCause.CONVERTED)
    assert not is_active(installed, engagement, "gusto")
    assert installed.engagement(engagement).state is EngagementState.ENDED


def test_what_hr_made_of_the_record_meanwhile_does_not_stop_the_ending(installed: Installed, person: dict[str, str]) -> None:
    engagement = installed.joined(**person)
    rows = installed.world.bamboohr.tables[installed.record_id(engagement, "bamboohr"), "employmentStatus"]
    rows.append({"id": "9999", "date": TODAY.isoformat(), "employmentStatus": "Full-Time"})
    installed.end(engagement, EndingCause.CONVERTED)
    assert statuses(installed, engagement)[-1] == (TODAY.isoformat(), "Full-Time")
    assert installed.engagement(engagement).state is EngagementState.ENDED


# A record of each engagement


@contextmanager
def contracts(installed: Installed, folder: Path) -> Iterator[tuple[DeelSandbox, WorkMarketSandbox]]:
    """Deel pays, and WorkMarket keeps the assignments, where the HRIS would be."""
    with ExitStack() as stack:
        vendors: dict[str, Opened[Any]] = {
            key: stack.enter_context(trial_of(key).open(folder / key)) for key in ("deel", "workmarket")
        }
        files = {f"connectors/{key}.yaml": _document(key, vendor.settings, folder) for key, vendor in vendors.items()}
        systems = {"esign": "docusign", "vms": "fieldglass", "hris": "workmarket", "payroll": "deel", "directories": ["ldap"]}
        installed.apply(systems=systems)
        installed.apply_files(files)
        yield vendors["deel"].sandbox, vendors["workmarket"].sandbox


def _document(key: str, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {"connector": key, "settings": {name: _told(f"{key}-{name}", value, folder) for name, value in settings.items()}}


def _told(name: str, value: Any, folder: Path) -> Any:
    """A setting as an administrator writes it: what is secret is a file."""
    if isinstance(value, list | tuple):
        return [_told(f"{name}-{n}", each, folder) for n, each in enumerate(value)]
    if isinstance(value, str) and not value.startswith("http"):
        (folder / name).write_text(value)
        return {"secret": f"file:{folder / name}"}
    return str(value) if isinstance(value, Path) else value


def test_where_each_engagement_has_a_record_the_second_stint_has_its_own(
    installed: Installed, person: dict[str, str], tmp_path: Path
) -> None:
    with contracts(installed, tmp_path) as (deel, workmarket):
        unit = {"Business Unit": "Example unit"}
        old = installed.joined(**person, **unit)
        terminated(installed, old)
        new = installed.joined(**person, **unit, **{"Start Date": TODAY.isoformat()})
        assert new.worker.id == old.worker.id
        assert installed.record_id(new, "deel") != installed.record_id(old, "deel")
        assert installed.record_id(new, "workmarket") != installed.record_id(old, "workmarket")
        carried = [contract["external_id"] for contract in deel.contracts.values()]
        assert carried == [marker_of(old.id), marker_of(new.id)]
        assert len(workmarket.assignments) == 2
        assert [is_active(installed, each, "deel") for each in (old, new)] == [False, True]
        assert installed.done(new, EffectKind.REHIRE_RECORD) == []
        assert installed.engagement(new).state is EngagementState.ACTIVE
