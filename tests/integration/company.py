"""A client company for tests of what workers do: its e-signature and VMS answer, its directories are at closed ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from config.hub import Hub
from config.secrets import SecretStore
from config.settings import Settings
from connectors.docusign.sandbox import DocuSignSandbox
from connectors.fieldglass.sandbox import FieldglassSandbox
from flows.handlers import Handlers
from flows.prefect_runs import PrefectRuns
from ledger import documents, engagements, failures
from ledger.database import Database
from ledger.failures import Failure
from ledger.intake import inbox
from ledger.queueing.jobs import JobName
from ledger.queueing.queue import JobState
from tests.integration.ledger_cases import stored_engagement
from tests.tenant_documents import Content, as_files, instance, tenant_content
from workforce.engagement import Engagement
from workforce.events import HUB, SourceEvent

NOBODY = "http://127.0.0.1:9/api"
NOBODYS_DIRECTORY = "ldaps://127.0.0.1:9"


@dataclass
class Company:
    """A client company whose e-signature and VMS answer, and whose directories are at closed ports."""

    database: Database
    docusign: DocuSignSandbox
    fieldglass: FieldglassSandbox
    content: Content
    folder: Path
    hubs: list[Hub] = field(default_factory=list)

    def handlers(self, prefect: PrefectRuns | None = None) -> Handlers:
        """The handlers of a worker, once the documents as they are now have been applied."""
        return Handlers(self.hub(), prefect or PrefectRuns(NOBODY))

    def hub(self) -> Hub:
        with self.database.transaction("acme") as tx:
            documents.apply(tx, as_files(self.content), HUB)
        settings = Settings(data_dir=self.folder, internal_hosts="localhost")
        self.hubs.append(Hub(settings, self.database, SecretStore(settings.secrets)))
        return self.hubs[-1]

    def signed(self, vms_id: str) -> UUID:
        """A delivery about a signed agreement for a work order; the stored event."""
        envelope = self.docusign.create_envelope(vms_id, "Ada Lovelace", "ada@mail.example")
        self.docusign.complete(envelope)
        return self.received(SourceEvent(f"delivery-{envelope}", "envelope-completed", envelope))

    def received(self, event: SourceEvent) -> UUID:
        with self.database.transaction("acme") as tx:
            return inbox.receive(tx, source="docusign", event=event, body=b"{}").event_id

    def jobs(self, state: JobState = JobState.WAITING) -> list[dict[str, Any]]:
        """Name, arguments, lane, attempts and not-before time of the jobs in ``state``."""
        with self.database.system() as tx:
            rows = tx.all("SELECT * FROM procrastinate_jobs WHERE status = %(state)s ORDER BY id", state=state)
        return [
            {"name": row["args"]["name"], "args": row["args"]["args"], "lane": row["queue_name"],
             "attempts": row["attempts"], "not_before": row["scheduled_at"]}
            for row in rows
        ]  # fmt: skip

    def waiting(self) -> list[tuple[str, dict[str, str]]]:
        """Name and arguments of what waits, but for the alarms that tell people."""
        return [(job["name"], job["args"]) for job in self.jobs() if job["name"] != JobName.ALARM]

    def alarms(self) -> list[UUID]:
        """The failures of which people are about to be told."""
        return [UUID(job["args"]["failure_id"]) for job in self.jobs() if job["name"] == JobName.ALARM]

    def failures(self) -> list[Failure]:
        with self.database.transaction("acme") as tx:
            return failures.list_open(tx)

    def engagement(self, engagement_id: UUID) -> Engagement:
        with self.database.transaction("acme") as tx:
            return engagements.get(tx, engagement_id)

    def event(self, event_id: UUID) -> inbox.InboxEvent:
        with self.database.transaction("acme") as tx:
            return inbox.get(tx, event_id)

    def ending(self, vms_id: str = "WO-1") -> Engagement:
        """An engagement whose ending has begun."""
        return self.end(stored_engagement(self.database, vms_id, active=True).id)

    def end(self, engagement_id: UUID) -> Engagement:
        with self.database.transaction("acme") as tx:
            return engagements.begin_ending(tx, engagement_id, "test")


@contextmanager
def client_company(database: Database, folder: Path, systems: Mapping[str, tuple[Any, str]], ca: Path) -> Iterator[Company]:
    """The company in ``database``, with its secrets in ``folder``; ``systems`` are its sandboxes and their addresses."""
    secrets = folder / "secrets"
    docusign, fieldglass = systems["docusign"][0], systems["fieldglass"][0]
    content = tenant_content(docusign, secrets, ca_file=ca)
    for name, (sandbox, url) in systems.items():
        content[f"connectors/{name}.yaml"] = instance(name, name, sandbox.settings(url, ca), secrets)
    content["connectors/ldap.yaml"]["settings"].update(url=NOBODYS_DIRECTORY, ca_file=str(ca))
    fieldglass.work_orders.clear()
    company = Company(database, docusign, fieldglass, content, folder)
    yield company
    for hub in company.hubs:
        hub.close()
