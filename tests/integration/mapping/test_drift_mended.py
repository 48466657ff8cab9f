"""The other side changed: noticed, shown with an edit, mended by it, and everything that waited is taken, old engagements and new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
import yaml

from cli.mapping.drift import drift_lines, drift_rows
from cli.replay import preview, replay_cause
from cli.schemas import live_schemas, write_schemas
from config.hub import Hub
from config.secrets import SecretStore
from config.tenant import read_tenant
from flows.feeds.polling import poll_vms, take_again
from flows.mapping.following import follow, migrate
from flows.mapping.promotion import Promoting
from ledger import engagements
from ledger.intake import sources
from ledger.queueing.jobs import JobName
from tests.integration.company import Company
from tests.tenant_documents import as_files
from workforce.engagement import Engagement
from workforce.events import HUB
from workforce.versions import Running

pytestmark = pytest.mark.integration

SOURCE = "fieldglass__engagement"
EXAMPLES = {"examples": [{"name": "an empty record", "source": {}, "refuses": ["Role"]}]}
GONE = object()


def change_all(company: Company, columns: Mapping[str, object]) -> None:
    """The client's layout changes: every row of the download has these columns from now on, or has them no more."""
    for vms_id, row in list(company.fieldglass.work_orders.items()):
        kept = {name: value for name, value in row.items() if columns.get(name) is not GONE}
        company.fieldglass.work_orders[vms_id] = kept
        company.fieldglass.change(vms_id, **{name: value for name, value in columns.items() if value is not GONE})  # type: ignore[arg-type]


def polled(hub: Hub) -> None:
    with hub.database.transaction("acme") as tx:
        sources.forget_cursor(tx, "fieldglass")
    poll_vms(hub, "acme")


def known(hub: Hub, vms_id: str) -> Engagement | None:
    with hub.database.transaction("acme") as tx:
        return engagements.by_vms_id(tx, "fieldglass", vms_id)


def filled(node: Any, answer: object) -> Any:
    """The edit once a person has written ``answer`` where the proposal asks."""
    if isinstance(node, dict):
        return {name: filled(value, answer) for name, value in node.items()}
    if isinstance(node, list):
        return [filled(item, answer) for item in node]
    return answer if node == "?" else node


def with_edit(company: Company, hub: Hub, row: Mapping[str, Any], answer: object) -> Hub:
    """The company once its lead has put the proposed edit into an overlay, and has done first what was to be done first."""
    edit = filled(yaml.safe_load(row["proposal"]), answer)
    said = {"mapping": SOURCE, "version": 1, "effective_from": "2026-01-01", "because": "the other side changed", "base": "v0001"}
    company.content[f"mappings/{SOURCE}/t0001.yaml"] = {**said, **edit}
    company.content[f"mappings/{SOURCE}/t0001.examples.yaml"] = EXAMPLES
    if row["first"]:
        assert row["first"] == "stint connectors schema fieldglass --write DIR"
        place = write_schemas(company.folder, "fieldglass", live_schemas(hub.tenant("acme"), "fieldglass"))
        company.content["schemas/fieldglass.yaml"] = yaml.safe_load(place.read_text())
    _, faults = read_tenant(as_files(company.content), SecretStore(company.folder / "secrets"))
    assert [str(fault) for fault in faults if fault.file.startswith("mappings")] == []
    return company.hub()


def everybody_follows(company: Company, hub: Hub) -> None:
    """Run what a worker would run of the following."""
    for name, args in company.waiting():
        if name == JobName.FOLLOW:
            follow(hub, "acme", UUID(args["promotion_id"]))
    for name, args in company.waiting():
        if name == JobName.MIGRATE:
            migrate(hub, "acme", UUID(args["engagement_id"]), UUID(args["promotion_id"]))


CHANGES = {
    "a new column": ({"Cost Centre": "CC-1"}, "unknown_field", None),
    "two new columns": ({"Cost Centre": "CC-1", 'a "quoted" one/with a slash': "x"}, "unknown_field", None),
    "a column that vanished": ({"Worker Phone": GONE}, "vanished_field", None),
    "a column that vanished and decides the end": ({"Terminate At": GONE}, "vanished_field", None),
    "a column that vanished and is needed": ({"Site": GONE}, "vanished_field", '"Business Unit"'),
    "a column with another name": ({"Site": GONE, "Work Site": "Berlin"}, "unknown_field", None),
    "a condition's column with another name": ({"Rate Minimum": GONE, "Rate Minimum ($)": "80"}, "unknown_field", None),
    "a number where text was": ({"Pay Rate": 95}, "changed_type", None),
    "a number with a fraction where text was": ({"Pay Rate": 95.5}, "changed_type", None),
    "a new word": ({"Rate Unit": "Week"}, "new_value", "hour"),
}


@pytest.mark.parametrize("running", [Running.DRAIN, Running.MIGRATE])
@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_shown_mended_by_the_proposed_edit_and_taken(company: Company, change: str, running: Running) -> None:
    hub, (columns, kind, answer) = company.hub(), CHANGES[change]
    old = company.fieldglass.add_work_order()
    polled(hub)
    new = company.fieldglass.add_work_order()
    change_all(company, columns)
    polled(hub)
    assert len(company.alarms()) == 1
    (row,) = drift_rows(hub, "acme")
    assert (row["kind"], row["records"]) == (kind, 2)
    assert "\n".join(drift_lines(row)).count(row["cause"]) >= 1
    hub = with_edit(company, hub, row, answer)
    assert {p.mended for p in preview(hub, "acme", row["cause"])} == {False}, "nothing counts before it is promoted"
    Promoting(hub, "acme", HUB).promote(SOURCE, "t0001", reason="the other side changed", running=running)
    everybody_follows(company, hub)
    waiting = preview(hub, "acme", row["cause"])
    assert {p.failure.subject for p in waiting if p.mended} == {p.failure.subject for p in waiting} >= {f"fieldglass:{new}"}
    replay_cause(hub, "acme", row["cause"])
    for name, args in company.waiting():
        if name == JobName.TAKE:
            take_again(hub, "acme", args["external_id"])
    assert company.failures() == []
    assert drift_rows(hub, "acme") == []
    for vms_id in (old, new):
        engagement = known(hub, vms_id)
        assert engagement is not None
        assert engagement.mapping_pins[SOURCE] == "t0001"


def test_an_engagement_that_keeps_its_version_waits_and_is_told_how_it_can_move(company: Company) -> None:
    hub = company.hub()
    company.fieldglass.add_work_order()
    polled(hub)
    change_all(company, {"Rate Unit": "Week"})
    polled(hub)
    (row,) = drift_rows(hub, "acme")
    hub = with_edit(company, hub, row, "hour")
    lead = Promoting(hub, "acme", HUB)
    lead.promote(SOURCE, "t0001", reason="new ones only", running=Running.PIN)
    (held,) = preview(hub, "acme", row["cause"])
    assert not held.mended
    assert "pinned to v0001" in held.outcome
    assert f"stint mappings promote {SOURCE} t0001 --running drain" in held.outcome
    assert f"stint mappings migrate {SOURCE} {held.failure.subject.removeprefix('fieldglass:')}" in held.outcome
    lead.promote(SOURCE, "t0001", reason="and those that changed", running=Running.DRAIN)
    (held,) = preview(hub, "acme", row["cause"])
    assert held.mended
