"""A version of the source's mapping that would end many stints earlier moves nobody before a person has looked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.demo.world import TENANT
from flows.feeds.feed_brake import discard, release
from flows.mapping.promotion import Promoting
from ledger import failures
from ledger.reconciliation import held_changes
from ledger.reconciliation.held_changes import HeldChange
from tests.integration.installed import Installed
from tests.integration.promoting import ADA, SOURCE, migrations, pin, run, with_version
from workforce.engagement import Engagement
from workforce.versions import Running

pytestmark = pytest.mark.integration

MISREAD: dict[str, Any] = {
    "terms.ends_on": {
        "from": '"Start Date"',
        "apply": ["strip", "absent_if_empty", "iso_date"],
        "required": True,
        "strength": "strong",
    }
}
"""Somebody mistook the column: every stint would have ended with its first day."""


def misread(installed: Installed) -> Promoting:
    return with_version(installed, SOURCE, MISREAD, ignores=["End Date"])


def signed(installed: Installed, number: int) -> list[Engagement]:
    soon = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    return [installed.signed(**{"Start Date": soon}) for _ in range(number)]


def held(installed: Installed) -> list[HeldChange]:
    with installed.hub.database.transaction(TENANT) as tx:
        return held_changes.waiting(tx)


def decide(installed: Installed, decision: Any) -> None:
    with installed.hub.database.transaction(TENANT) as tx:
        decision(tx, held_changes.waiting(tx), vms="fieldglass", reason="looked at", actor=ADA)


def causes(installed: Installed) -> list[str]:
    with installed.hub.database.transaction(TENANT) as tx:
        return [failure.cause for failure in failures.list_open(tx)]


def test_nobody_moves_to_a_version_that_ends_many_stints_earlier(installed: Installed) -> None:
    engaged = signed(installed, 6)
    misread(installed).promote(SOURCE, "t0001", reason="the other column", running=Running.MIGRATE)
    assert migrations(installed) == []
    assert migrations(installed) == []
    (change,) = held(installed)
    assert change.details["engagements"] == 6
    assert "mass_change" in causes(installed)
    assert {pin(installed, each, SOURCE) for each in engaged} == {"v0001"}
    assert all(installed.engagement(each).end_at == each.end_at for each in engaged)


def test_once_a_person_has_released_it_everybody_follows(installed: Installed) -> None:
    engaged = signed(installed, 6)
    misread(installed).promote(SOURCE, "t0001", reason="the other column", running=Running.MIGRATE)
    assert migrations(installed) == []
    decide(installed, release)
    moving = migrations(installed)
    assert sorted(args["engagement_id"] for args in moving) == sorted(str(each.id) for each in engaged)
    run(installed, moving[0])
    assert "mass_change" not in causes(installed)


def test_what_a_person_has_discarded_moves_nobody(installed: Installed) -> None:
    signed(installed, 6)
    misread(installed).promote(SOURCE, "t0001", reason="the other column", running=Running.MIGRATE)
    assert migrations(installed) == []
    decide(installed, discard)
    assert (migrations(installed), held(installed)) == ([], [])


def test_a_few_follow_at_once_and_count_for_the_hour(installed: Installed) -> None:
    signed(installed, 3)
    misread(installed).promote(SOURCE, "t0001", reason="the other column", running=Running.MIGRATE)
    assert len(migrations(installed)) == 3
    with installed.hub.database.transaction(TENANT) as tx:
        assert held_changes.within_the_hour(tx, "fieldglass", ["end_brought_forward"]) == 3
    assert held(installed) == []


def test_a_version_that_moves_no_end_is_no_matter_of_the_brake(installed: Installed) -> None:
    engaged = signed(installed, 7)
    lead = with_version(installed, SOURCE, {"terms.client_unit": {"from": "Site", "required": True}}, ignores=["Business Unit"])
    lead.promote(SOURCE, "t0001", reason="units are sites here", running=Running.MIGRATE)
    assert len(migrations(installed)) == len(engaged)
