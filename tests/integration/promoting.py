"""A lead who puts versions of mappings in force, and what follows, for tests of mappings in life."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flows.mapping.following import follow, migrate
from flows.mapping.promotion import Promoting
from flows.mapping.rehearsal import Rehearsal
from ledger import engagements
from ledger.queueing.jobs import JobName
from tests.integration.installed import TENANT, Installed
from workforce.engagement import Engagement
from workforce.events import Actor, ActorType

SOURCE, PAYROLL, HRIS = "fieldglass__engagement", "engagement__gusto", "engagement__bamboohr"
ADA, BOB = (Actor(ActorType.HUMAN, name, auth="cli") for name in ("ada", "bob"))
UNIT_IS_SITE = {"terms.client_unit": {"from": "Site", "apply": ["strip"], "required": True}}


def overlay(mapping_id: str, fields: dict[str, Any], *, version: int = 1, **more: Any) -> dict[str, Any]:
    said = {"mapping": mapping_id, "version": version, "effective_from": "2026-01-01", "because": "a test", "base": "v0001"}
    return {**said, "fields": fields, **more}


def with_version(installed: Installed, mapping_id: str, fields: dict[str, Any], **more: Any) -> Promoting:
    """The company once its lead has applied the next version of its own."""
    content = overlay(mapping_id, fields, **more)
    name = f"mappings/{mapping_id}/t{content['version']:04}"
    installed.apply_files({f"{name}.yaml": content, f"{name}.examples.yaml": {"examples": [_example(mapping_id)]}})
    return Promoting(installed.hub, TENANT, ADA)


def _example(mapping_id: str) -> dict[str, Any]:
    """A record that every version refuses: an empty one."""
    return {"name": "an empty record", "source": {}, "refuses": ["Role" if mapping_id == SOURCE else "worker.given_name"]}


def pin(installed: Installed, engagement: Engagement, mapping_id: str) -> str:
    with installed.hub.database.transaction(TENANT) as tx:
        return engagements.get(tx, engagement.id).mapping_pins[mapping_id]


def role(installed: Installed, engagement: Engagement) -> str:
    with installed.hub.database.transaction(TENANT) as tx:
        return engagements.get(tx, engagement.id).terms.role


def migrations(installed: Installed) -> list[dict[str, str]]:
    """Let running engagements begin to follow; the migrations that wait then."""
    while links := installed.waiting(JobName.FOLLOW):
        for args in links:
            follow(installed.hub, TENANT, UUID(args["promotion_id"]), UUID(args["after"]) if "after" in args else None)
    return installed.waiting(JobName.MIGRATE)


def run(installed: Installed, args: dict[str, str]) -> None:
    """Run one migration."""
    migrate(installed.hub, TENANT, UUID(args["engagement_id"]), UUID(args["promotion_id"]))


def run_migrations(installed: Installed) -> list[str]:
    """Run every migration that waits, and then the joiner of each; the engagements."""
    moved = []
    for args in migrations(installed):
        run(installed, args)
        moved.append(args["engagement_id"])
    for engagement_id in moved:
        with installed.hub.database.transaction(TENANT) as tx:
            installed.join(engagements.get(tx, UUID(engagement_id)))
    return moved


def shown_writes(shown: Rehearsal) -> set[tuple[str, str, str, str]]:
    return {(change.system, change.subject, change.target, str(change.after)) for change in shown.writes}
