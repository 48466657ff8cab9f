"""Looks at what somebody holds, in a directory and in the ledger, and what tests of access have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from cli.demo.world import ROLE, TENANT
from flows.case import Case
from ledger.access import grants
from ledger.access.grants import Grant
from ledger.access.history import Question, held_at
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from tests.integration.installed import Installed
from workforce.access import AccountState, Entitlement
from workforce.engagement import Engagement

LONG_AGO = timedelta(minutes=5)


def case_of(installed: Installed, engagement: Engagement, directory: str) -> Case:
    """A case of a run that owns the engagement."""
    return Case(installed.hub, installed.run(engagement), directory)


def account_id_of(installed: Installed, engagement: Engagement, directory: str) -> str:
    """The account that the ledger knows."""
    with installed.hub.database.transaction(TENANT) as tx:
        account_id = identities.external_id(tx, directory, ACCOUNT, engagement.worker.id)
    assert account_id is not None
    return account_id


def account(installed: Installed, engagement: Engagement, directory: str) -> AccountState:
    """The same, as the directory shows it."""
    account_id = account_id_of(installed, engagement, directory)
    return installed.hub.tenant(TENANT).instance(directory).directory().read(account_id)


def rows(installed: Installed, engagement: Engagement, directory: str) -> list[Grant]:
    """The engagement's grants in the directory, oldest first."""
    with installed.hub.database.transaction(TENANT) as tx:
        return [grant for grant in grants.history_of(tx, engagement.id) if grant.directory == directory]


def held_now(installed: Installed, engagement: Engagement, directory: str) -> set[Entitlement]:
    """What the ledger says that the engagement's person holds."""
    with installed.hub.database.transaction(TENANT) as tx:
        row = tx.the("SELECT clock_timestamp() AS now")
        found = held_at(tx, Question(directory, row["now"], engagement_id=engagement.id))
    return {each.entitlement for each in found}


def with_packages(installed: Installed, **packages: Mapping[str, Any]) -> None:
    """Add access packages: name → what differs from version 1 for every role, which gives the second group of LDAP."""
    second = {"ldap": {"groups": [installed.world.groups["ldap"][1]]}}
    usual = {"version": 1, "because": "a test says so", "role": ROLE, "directories": second}
    installed.apply_files({f"access/{name}.yaml": {**usual, "package": name, **package} for name, package in packages.items()})


def a_person() -> dict[str, str]:
    """The columns of somebody whom the VMS knows by one id."""
    name = uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))
    return {"Worker ID": f"ACME{name}", "Worker Last Name": f"Lovelace {name}"}


def time_passes(installed: Installed, engagement: Engagement) -> None:
    """Every call was made long ago: what it did would show by now."""
    with installed.hub.database.transaction(TENANT) as tx:
        statement = "UPDATE effects SET started_at = started_at - %(by)s, lease_until = NULL WHERE engagement_id = %(id)s"
        tx.execute(statement, by=LONG_AGO, id=engagement.id)
