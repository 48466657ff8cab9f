"""``stint reconcile``: run it, see what it found, decide what is held; and when a run is due by itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cli.access.reconcile_commands import reconcile_app
from cli.access.reconciliation import decide, finding_rows, held_rows, run
from flows.reconciliation.reconcile import due_reconciliations, last_night
from ledger.reconciliation import reconciliations
from ledger.reconciliation.reconciliations import Scope
from tests.integration.installed import TENANT, Installed
from tests.integration.reconciling import Premises
from tests.integration.typing_commands import typed_at
from workforce.errors import NotFound, Refused

pytestmark = pytest.mark.integration


@pytest.fixture
def premises(installed: Installed) -> Premises:
    return Premises(installed, "ldap")


def command(premises: Premises, *arguments: str) -> Any:
    """What the command prints as JSON, in an installation on the same ledger."""
    result = typed_at(premises.installed, reconcile_app)(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_run_and_its_findings_are_told_as_json(premises: Premises) -> None:
    employed = premises.employ(groups=premises.groups[:1])
    premises.port.add_member(premises.groups[1], employed.account_id)
    code, rows = command(premises, "run", "--directory", "ldap")
    assert (code, [row["directory"] for row in rows]) == (0, ["ldap"])
    code, told = command(premises, "findings", "--directory", "ldap", "--drift", "extra")
    assert code == 0
    assert [(row["account"], row["subject"]) for row in told] == [(employed.account_id, f"group {premises.groups[1]}")]


def test_what_is_held_is_listed_and_discarded_with_a_reason(premises: Premises) -> None:
    for _ in range(7):
        premises.employ(has_account=False)
    premises.run()
    _, rows = command(premises, "held")
    assert len(rows) == 7
    code, done = command(premises, "discard", rows[0]["id"], "--reason", "she has left")
    assert (code, done) == (0, {"ok": True, "changes": 1})
    code, done = command(premises, "release", "--source", "ldap", "--reason", "the backup was restored")
    assert (code, done["changes"]) == (0, 6)
    _, rows = command(premises, "held")
    assert rows == []


@pytest.mark.parametrize(
    "arguments", [("run", "--full", "--recent"), ("release", "--reason", "x"), ("discard", "--reason", "x", "--source", "nobody")]
)
def test_a_call_that_makes_no_sense_says_why(premises: Premises, arguments: tuple[str, ...]) -> None:
    code, told = command(premises, *arguments)
    assert code != 0
    assert told["error"]


def test_a_directory_that_is_none_is_answered_with_those_there_are(premises: Premises) -> None:
    with pytest.raises(NotFound, match="entra, ldap"):
        run(premises.installed.hub, TENANT, "elsewhere", Scope.FULL)


def test_a_decision_needs_a_reason_and_is_made_once(premises: Premises) -> None:
    for _ in range(7):
        premises.employ(has_account=False)
    premises.run()
    hub, change = premises.installed.hub, held_rows(premises.installed.hub, TENANT)[0]
    with premises.installed.hub.database.transaction(TENANT) as tx:
        waiting = reconciliations.newest(tx, "ldap", Scope.FULL)
    assert waiting is not None
    assert waiting.held
    with pytest.raises(Refused, match="say why"):
        decide(hub, TENANT, UUID(change["id"]), None, release=True, reason=" ")
    assert decide(hub, TENANT, UUID(change["id"]), None, release=True, reason="yes") == 1
    with pytest.raises(Refused, match="already"):
        decide(hub, TENANT, UUID(change["id"]), None, release=False, reason="no")
    assert finding_rows(hub, TENANT, directory="entra") == []


def test_everything_is_due_once_a_night_and_what_is_quick_every_hour(premises: Premises) -> None:
    hub, now = premises.installed.hub, datetime.now(UTC)
    both = [("entra", Scope.FULL), ("ldap", Scope.FULL)]
    assert due_reconciliations(hub, TENANT, now) == both
    premises.run()
    assert due_reconciliations(hub, TENANT, now + timedelta(seconds=1)) == both[:1]
    in_an_hour = last_night(hub.tenant(TENANT).document, now) + timedelta(hours=23)
    with hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE reconciliations SET started_at = %(at)s", at=in_an_hour - timedelta(hours=2))
    of_ldap = [scope for name, scope in due_reconciliations(hub, TENANT, in_an_hour) if name == "ldap"]
    assert of_ldap == [Scope.RECENTLY_ENDED, Scope.CHANGED]
    with hub.database.transaction(TENANT) as tx:
        reconciliations.begin(tx, "ldap", Scope.CHANGED)
        tx.execute("UPDATE reconciliations SET started_at = %(at)s WHERE scope = 'changed'", at=in_an_hour - timedelta(minutes=5))
    assert ("ldap", Scope.CHANGED) not in due_reconciliations(hub, TENANT, in_an_hour)
    assert ("ldap", Scope.FULL) in due_reconciliations(hub, TENANT, in_an_hour + timedelta(hours=2))


@pytest.mark.parametrize(
    ("zone", "expected"), [("Europe/Berlin", "2026-11-22T01:00Z"), ("America/New_York", "2026-11-21T07:00Z")]
)
def test_the_night_is_the_tenants_own(premises: Premises, zone: str, expected: str) -> None:
    premises.installed.apply(calendar={"time_zone": zone}, access={"reconciliation": {"nightly_at": "02:00"}})
    document = premises.installed.hub.tenant(TENANT).document
    assert f"{last_night(document, datetime(2026, 11, 22, 6, tzinfo=UTC)):%Y-%m-%dT%H:%MZ}" == expected
