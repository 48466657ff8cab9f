"""A hub on a real ledger, for a company whose systems are all running sandboxes: what tests of whole processes drive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import yaml

from cli.demo.world import World
from config.hub import Hub
from flows.case import Case, CaseRef
from flows.feeds.intake import RECORD
from flows.feeds.polling import poll_vms
from flows.feeds.projection import project
from flows.joiner import directories_concerned, join
from flows.leaver import leave, systems_to_leave
from flows.steps import PlainConductor
from ledger import documents, engagements, failures
from ledger.failures import Failure
from ledger.intake import inbox
from ledger.queueing.queue import JobState
from ledger.writing import effect_history, writes
from workforce.effects import EffectKind
from workforce.engagement import Engagement
from workforce.events import HUB, SourceEvent
from workforce.lineage import RecordWrite

TENANT = "acme"


@dataclass(repr=False)
class Installed:
    """A hub on a real ledger, for a company whose systems are all running sandboxes."""

    hub: Hub
    world: World
    _runs: int = 0

    def apply(self, **changes: Any) -> None:
        """Apply the company's documents, ``tenant.yaml`` changed."""
        files = {str(p.relative_to(self.world.documents)): p.read_text() for p in self.world.documents.rglob("*.yaml")}
        files["tenant.yaml"] = yaml.safe_dump({**yaml.safe_load(files["tenant.yaml"]), **changes})
        with self.hub.database.transaction(TENANT) as tx:
            documents.apply(tx, files, HUB)

    def apply_files(self, more: Mapping[str, Any]) -> None:
        """Apply what is applied, with ``more`` documents (path → content) added or replaced."""
        with self.hub.database.transaction(TENANT) as tx:
            known = documents.current(tx).files
            written = {path: yaml.safe_dump(content, allow_unicode=True) for path, content in more.items()}
            documents.apply(tx, {**known, **written}, HUB)

    def next_version(self, mapping_id: str) -> int:
        """The number of the tenant's next version of a mapping."""
        own = [label for label in self.hub.tenant(TENANT).mappings.labels(mapping_id) if label.startswith("t")]
        return len(own) + 1

    def waiting(self, name: str) -> list[dict[str, str]]:
        """The arguments of the jobs called ``name`` that wait; they are taken off the queue."""
        with self.hub.database.system() as tx:
            rows = tx.all("SELECT * FROM procrastinate_jobs WHERE status = %(state)s ORDER BY id", state=JobState.WAITING)
            found = [row for row in rows if row["args"]["name"] == name]
            for row in found:
                tx.execute("DELETE FROM procrastinate_jobs WHERE id = %(id)s", id=row["id"])
        return [row["args"]["args"] for row in found]

    def signed(self, **columns: str) -> Engagement:
        """An engagement whose agreement is signed; the joiner has not run."""
        family_name = f"Lovelace {uuid4().hex.translate(str.maketrans('0123456789', 'ghijklmnop'))}"
        order = self.world.order(**{"Worker Last Name": family_name, "Pay Rate": "95.00", **columns})
        envelope = self.world.docusign.create_envelope(order, "Ada Lovelace", "ada@mail.example")
        self.world.docusign.complete(envelope)
        self.told("docusign", "envelope-completed", envelope)
        with self.hub.database.transaction(TENANT) as tx:
            engagement = engagements.by_vms_id(tx, "fieldglass", order)
        assert engagement is not None
        return engagement

    def joined(self, **columns: str) -> Engagement:
        """An engagement with records and accounts."""
        engagement = self.signed(**columns)
        self.join(engagement)
        return engagement

    def told(self, system: str, kind: str, subject: str) -> None:
        """An event of ``system`` is stored and projected."""
        event = SourceEvent(uuid4().hex, kind, subject)
        with self.hub.database.transaction(TENANT) as tx:
            event_id = inbox.receive(tx, source=system, event=event, body=b"{}").event_id
        project(self.hub, TENANT, event_id)

    def run(self, engagement: Engagement, *, grants: bool = True, runner: str | None = None) -> CaseRef:
        """A run that owns the engagement."""
        self._runs += 1
        name = runner or f"test-{self._runs}"
        with self.hub.database.transaction(TENANT) as tx:
            claimed = engagements.claim(tx, engagement.id, runner=name, grants=grants)
        return CaseRef(TENANT, str(engagement.id), name, claimed.epoch)

    def join(self, engagement: Engagement) -> None:
        systems = self.hub.tenant(TENANT).document.systems
        conductor = PlainConductor(self.run(engagement), self.hub)
        concerned = partial(directories_concerned, self.hub, TENANT, engagement.id)
        join(conductor, sinks=(systems.hris, systems.payroll), directories=concerned)

    def end(self, engagement: Engagement, cause: str = "terminated") -> None:
        """The ending begins, and the leaver takes everything away."""
        with self.hub.database.transaction(TENANT) as tx:
            engagements.begin_ending(tx, engagement.id, cause)
        self.leave(engagement)

    def leave(self, engagement: Engagement) -> None:
        records, directories = systems_to_leave(self.hub, TENANT, engagement.id)
        conductor = PlainConductor(self.run(engagement, grants=False), self.hub)
        leave(conductor, records=records, directories=directories)

    def engagement(self, engagement: Engagement) -> Engagement:
        """The engagement as it is now."""
        with self.hub.database.transaction(TENANT) as tx:
            return engagements.get(tx, engagement.id)

    def change(self, engagement: Engagement, **columns: str) -> None:
        """The client changes the work order, and the feed brings it."""
        self.world.fieldglass.change(engagement.terms.vms_id, **columns)
        poll_vms(self.hub, TENANT)

    def written(self, engagement: Engagement, system: str) -> list[RecordWrite]:
        """What was written in ``system``, the newest first."""
        with self.hub.database.transaction(TENANT) as tx:
            return [line.write for line in writes.history(tx, engagement.id) if line.write.system == system]

    def done(self, engagement: Engagement, *kinds: EffectKind) -> list[tuple[str, str]]:
        """The effects of ``kinds``: system and state."""
        with self.hub.database.transaction(TENANT) as tx:
            return [(e.target, e.state) for e in effect_history.list_for(tx, engagement.id) if e.kind in kinds]

    def record_id(self, engagement: Engagement, system: str) -> str:
        ref = CaseRef(TENANT, str(engagement.id), "look", engagement.epoch)
        found = Case(self.hub, ref, system).external_id(RECORD)
        assert found is not None
        return found

    def employee(self, engagement: Engagement) -> dict[str, Any]:
        return self.world.bamboohr.employees[self.record_id(engagement, "bamboohr")]

    def contractor(self, engagement: Engagement) -> dict[str, Any]:
        return self.world.gusto.contractors[self.record_id(engagement, "gusto")]

    def conflicts(self, engagement: Engagement) -> list[Failure]:
        with self.hub.database.transaction(TENANT) as tx:
            return failures.list_open(tx, engagement_id=engagement.id)

    def calls(self) -> dict[str, int]:
        """How much was ever done in each system."""
        return {
            "bamboohr": len(self.world.bamboohr.effects.entries),
            "gusto": len(self.world.gusto.effects.entries),
            "entra": len(self.world.graph.effects.entries),
        }
