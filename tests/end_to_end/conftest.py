"""One whole installation for all end-to-end tests: database, receiver, Prefect, worker, slapd and the vendors' sandboxes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from cli import documents
from cli.demo.story import post
from cli.demo.world import TENANT, World, client_company
from cli.installation import running_database
from cli.supervisor import Supervisor
from cli.up import start_services
from config import services
from config.hub import Hub, build_hub
from config.settings import Settings
from connectors.wire.ports import free_port
from ledger import engagements
from ledger.trail import audit
from ledger.trail.audit import AuditEntry
from workforce.engagement import Engagement

START_SECONDS = 180.0
PATIENCE_SECONDS = 90.0
LEASE_SECONDS = 2


@dataclass
class Stint:
    """A running installation and a client company, with what the tests do to them."""

    settings: Settings
    world: World
    hub: Hub
    supervisor: Supervisor
    orders: list[str] = field(default_factory=list)

    def order(self, **columns: str) -> str:
        """A fresh work order in the VMS, for a contractor of an unmistakable name."""
        number = len(self.orders) + 1
        names = {"Worker First Name": "Ada", "Worker Last Name": f"Lovelace {_letters(number)}"}
        self.orders.append(self.world.order(**{**names, **columns}))
        return self.orders[-1]

    def sign(self, order: str) -> int:
        """Sign the agreement about ``order`` and deliver the message; the receiver's status."""
        envelope = self.world.docusign.create_envelope(order, "Ada Lovelace", "ada@mail.example")
        delivery = self.world.docusign.complete(envelope)
        return self.deliver(delivery.body, dict(delivery.headers))

    def deliver(self, body: bytes, headers: dict[str, str]) -> int:
        """Post a delivery to the receiver; its status."""
        return post(f"{self.settings.receiver_url}/v1/hooks/{TENANT}/docusign", body, headers)[0]

    def engagement(self, order: str) -> Engagement | None:
        """The engagement of a work order, if the ledger knows one."""
        with self.hub.database.transaction(TENANT) as tx:
            return engagements.by_vms_id(tx, "fieldglass", order)

    def until(self, order: str, reached: Callable[[Engagement], bool]) -> Engagement:
        """Wait until the engagement of ``order`` is as wanted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            engagement = self.engagement(order)
            if engagement is not None and reached(engagement):
                return engagement
            time.sleep(0.05)
        pytest.fail(f"{order} did not get there; it is {engagement and engagement.state}\n{self.log_tail()}")

    def trail(self, engagement: Engagement) -> list[AuditEntry]:
        """The audit trail of an engagement."""
        with self.hub.database.transaction(TENANT) as tx:
            return audit.entries(tx, engagement_id=engagement.id)

    def end_now(self, order: str) -> datetime:
        """Let the client end the engagement at this very second."""
        instant = datetime.now(UTC).replace(microsecond=0)
        self.world.fieldglass.change(order, **{"Terminate At": instant.isoformat()})
        return instant

    def restart_worker(self) -> None:
        """Start a worker in the place of one that was killed."""
        self.supervisor.start(services.worker(self.settings))

    def log_tail(self, lines: int = 30) -> str:
        """The end of the worker's log, for a failed test."""
        return "\n".join((self.settings.logs_dir / "worker.log").read_text().splitlines()[-lines:])


@pytest.fixture(scope="session")
def stint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stint]:
    folder = tmp_path_factory.mktemp("stint")
    settings = Settings(
        data_dir=folder / "data",
        internal_hosts="localhost",
        receiver_port=free_port(),
        prefect_port=free_port(),
        poll_seconds=0.5,
        checkpoint_seconds=1.0,
        lease_seconds=LEASE_SECONDS,
    )
    with ExitStack() as stack:
        stack.enter_context(running_database(settings))
        supervisor = stack.enter_context(Supervisor(settings.logs_dir))
        start_services(supervisor, settings)
        world = stack.enter_context(client_company(folder, timeout_seconds=1.0))
        stack.callback(supervisor.stop)  # before the vendors it talks to
        hub = build_hub(settings, max_connections=4)
        stack.callback(hub.close)
        documents.apply(hub, world.documents)
        supervisor.wait_ready("receiver", START_SECONDS)
        supervisor.wait_ready("prefect", START_SECONDS)
        yield Stint(settings, world, hub, supervisor)


def _letters(number: int) -> str:
    """1 → A, 27 → AA: names have no digits."""
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
