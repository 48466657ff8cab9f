"""``stint demo``: one contractor, from the signed agreement to verified access and to its verified end, on real components.

Everything is started on this machine, two faults happen on the way, and every claim is checked against the systems themselves.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from cli import documents
from cli.demo.crowd import engage, sign
from cli.demo.world import EMAIL_DOMAIN, TENANT, World, client_company
from cli.installation import running_database
from cli.output import print_json
from cli.reading import verify_audit
from cli.supervisor import Supervisor, until_signalled
from cli.up import start_services
from config import loopback
from config.hub import Hub, build_hub
from config.keys import api_token, prefect_auth
from config.settings import Settings
from connectors.suite.sandbox import Fault, FaultKind
from connectors.wire.ports import free_port
from ledger import engagements
from ledger.postgres.sibling import asyncpg_url, passing_database, without_password
from ledger.trail import audit, checkpoint
from ledger.trail.audit import AuditEntry
from ledger.writing import effect_history
from workforce.engagement import Engagement
from workforce.errors import Misconfigured, RetryLater
from workforce.states import EngagementState

START_SECONDS = 120.0
PROCESS_SECONDS = 90.0
END_AHEAD_SECONDS = 5.0
VENDOR_TIMEOUT_SECONDS = 2.0
SIGNING = 3
"""Of the people who are engaged to look around with, those who sign."""
GIVEN_NAME, FAMILY_NAME = "Ada", "Lovelace"


@dataclass
class Story:
    """What happened, what was measured and what was checked."""

    started: float = field(default_factory=time.monotonic)
    ack_ms: float = 0.0
    envelope_id: str = ""
    vms_id: str = ""
    password: str = ""
    told: dict[str, int] = field(default_factory=dict)
    """Work order → how many lines of its audit trail were shown."""
    checks: list[tuple[str, bool]] = field(default_factory=list)
    duplicates: int = 0
    retries: int = 0
    audit_report: dict[str, Any] = field(default_factory=dict)

    def check(self, claim: str, holds: bool) -> None:
        """Keep the outcome of one look at a system."""
        self.checks.append((claim, holds))

    @property
    def verified(self) -> bool:
        """Whether every claim was found true."""
        return bool(self.checks) and all(holds for _, holds in self.checks) and bool(self.audit_report.get("ok"))


@dataclass
class Demo:
    """The running demonstration."""

    settings: Settings
    world: World
    hub: Hub
    supervisor: Supervisor
    say: Callable[[str], None]
    story: Story = field(default_factory=Story)

    def play(self) -> Engagement:
        """The main job, from the first line to the last; the ended engagement."""
        self._break_two_vendors()
        self._sign()
        active = self._wait("signed; records and access are being made", lambda e: e.access_verified_at is not None)
        self._check_access(active)
        self._terminate_soon()
        ended = self._wait("waiting for the end instant, then revoking", lambda e: e.state is EngagementState.ENDED)
        self._check_end(ended)
        self._check_oracles(ended)
        return ended

    def engage_more(self, count: int) -> None:
        """Engage ``count`` more people, have the first of them sign, and wait until all is known and done."""
        if not count:
            return
        orders = engage(self.world, count)
        signing = orders[:SIGNING]
        for order in signing:
            post(f"{self.settings.receiver_url}/v1/hooks/{TENANT}/docusign", *sign(self.world, order))
        for order in signing:
            self.story.vms_id = order
            self._wait(f"{order} is being given records and access", lambda e: e.access_verified_at is not None)
        self.story.vms_id = orders[-1]
        self._wait(f"{count} work orders are being read", lambda _: True)

    def _break_two_vendors(self) -> None:
        self.world.bamboohr.faults.plan(Fault(FaultKind.BUSY_BEFORE, "POST", r"/employees$", times=2))
        self.world.gusto.faults.plan(Fault(FaultKind.TIMEOUT_AFTER, "POST", r"/contractors$"))

    def _sign(self) -> None:
        """A work order appears in the VMS, and the agreement about it is signed."""
        self.story.vms_id = self.world.order(**{"Worker First Name": GIVEN_NAME, "Worker Last Name": FAMILY_NAME})
        signer = (f"{GIVEN_NAME} {FAMILY_NAME}", "ada@mail.example")
        self.story.envelope_id = self.world.docusign.create_envelope(self.story.vms_id, *signer)
        delivery = self.world.docusign.complete(self.story.envelope_id)
        url = f"{self.settings.receiver_url}/v1/hooks/{TENANT}/docusign"
        status, self.story.ack_ms = post(url, delivery.body, dict(delivery.headers))
        self.story.check("the receiver acknowledged the signed delivery after the commit", status == 200)
        forged, _ = post(url, delivery.body + b" ", dict(delivery.headers))
        self.story.check("a forged delivery was refused", forged == 401)
        again, _ = post(url, delivery.body, dict(delivery.headers))
        self.story.check("the same delivery once more was harmless", again == 200)

    def _wait(self, what: str, until: Callable[[Engagement], bool]) -> Engagement:
        """Wait for the engagement to get there, telling each audited step as it happens. Raises ``RetryLater`` on time-out."""
        self.say(f"[bold]{what}[/bold]")
        deadline = time.monotonic() + PROCESS_SECONDS
        while time.monotonic() < deadline:
            for name in list(self.supervisor.processes):
                self.supervisor.require_alive(name)
            with self.hub.database.transaction(TENANT) as tx:
                engagement = engagements.by_vms_id(tx, "fieldglass", self.story.vms_id)
                trail = audit.entries(tx, engagement_id=engagement.id) if engagement else []
            for entry in trail[self.story.told.get(self.story.vms_id, 0) :]:
                self.say(f"  {_sentence(entry)}")
            self.story.told[self.story.vms_id] = len(trail)
            if engagement is not None and until(engagement):
                return engagement
            time.sleep(0.1)
        raise RetryLater(
            f"the engagement did not get there in {PROCESS_SECONDS:.0f} s; logs: {self.settings.logs_dir}", cause="demo_timeout"
        )

    def _check_access(self, engagement: Engagement) -> None:
        """Ask the systems, not the ledger. The contractor signs in with a password that the help desk set."""
        story, world = self.story, self.world
        login = self._login(engagement)
        story.password = secrets.token_urlsafe(18)
        world.slapd.set_password(login, story.password)
        story.check("the contractor can sign in to LDAP", world.slapd.bind_as(login, story.password))
        dns = {entry["dn"] for entry in world.slapd.entries(engagement.worker.marker)}
        in_groups = all(dns & world.slapd.members(group) for group in world.groups["ldap"])
        story.check("the contractor is in the right LDAP groups", in_groups)
        user = self._graph_user(engagement)
        story.check("the contractor can sign in to Entra", user["accountEnabled"] is True)
        story.check("the contractor is in the right Entra groups", set(user["memberOf"]) == set(world.groups["entra"]))

    def _terminate_soon(self) -> None:
        """The client ends the engagement at an instant a few seconds ahead; the work order says so."""
        instant = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=END_AHEAD_SECONDS)
        self.world.fieldglass.change(self.story.vms_id, **{"Terminate At": instant.isoformat()})

    def _check_end(self, engagement: Engagement) -> None:
        story, world = self.story, self.world
        login = self._login(engagement)
        story.check("LDAP refuses the contractor's own password", not world.slapd.bind_as(login, story.password))
        dns = {entry["dn"] for entry in world.slapd.entries(engagement.worker.marker)}
        left = [group for group in world.groups["ldap"] if dns & world.slapd.members(group)]
        story.check("no LDAP group is left", bool(dns) and not left)
        user = self._graph_user(engagement)
        story.check("Entra blocks sign-in", user["accountEnabled"] is False)
        story.check("Entra has revoked the sessions", world.graph.effects.count("revoke_sessions", user["id"]) >= 1)
        story.check("no Entra group is left", not user["memberOf"])
        story.check("the work order is closed", world.fieldglass.work_orders[story.vms_id]["Status"] == "Closed")
        story.check(
            "access stopped after the end instant, not before", _at_or_after(engagement.revoked_verified_at, engagement.end_at)
        )

    def _check_oracles(self, engagement: Engagement) -> None:
        """Count what the sandboxes really did, whatever they answered, and verify the audit trail."""
        story, world = self.story, self.world
        counts = {
            "BambooHR employee": world.bamboohr.effects.count("create_employee"),
            "Gusto contractor": world.gusto.effects.count("create_contractor"),
            "Entra account": world.graph.effects.count("create_user"),
            "LDAP account": len(world.slapd.entries(engagement.worker.marker)),
        }
        for name, count in counts.items():
            story.check(f"exactly one {name} was made", count == 1)
        story.duplicates = sum(max(0, count - 1) for count in counts.values())
        story.check("the payroll record is ended", world.gusto.effects.count("end_contractor") == 1)
        story.check("the HRIS record is ended", world.bamboohr.effects.count("add_table_row") >= 1)
        with self.hub.database.transaction(TENANT) as tx:
            story.retries = sum(max(0, effect.attempt - 1) for effect in effect_history.list_for(tx, engagement.id))
        checkpoint.write(self.hub.database, TENANT, self.hub.signer(), self.settings.checkpoints)
        story.audit_report = verify_audit(self.hub, TENANT)

    def _login(self, engagement: Engagement) -> str:
        entries = self.world.slapd.entries(engagement.worker.marker)
        return str(entries[0]["uid"][0]) if entries else ""

    def _graph_user(self, engagement: Engagement) -> dict[str, Any]:
        users = [user for user in self.world.graph.users if user.get("employeeId") == engagement.worker.marker]
        if len(users) != 1:
            raise Misconfigured(f"Entra holds {len(users)} accounts of the contractor, not one", cause="demo_oracle")
        return users[0]


def run_demo(*, as_json: bool, keep: bool, contractors: int = 0) -> bool:
    """Run the demonstration; whether everything was verified by read-back.

    ``contractors`` more people are engaged once it is over; the first of them sign, and are given records and access.
    """
    console = Console(stderr=as_json, quiet=as_json)
    with (
        tempfile.TemporaryDirectory(prefix="stint-demo-") as folder,
        until_signalled() as signalled,
        _running(Path(folder), console) as demo,
    ):
        ended = demo.play()
        _report(demo, ended, console, as_json=as_json)
        demo.engage_more(contractors)
        if not keep:
            console.print("to look around (Prefect dashboard, API, command line): stint demo --keep")
        else:
            _where_to_look(demo, console)
            while not signalled():
                time.sleep(0.2)
        return demo.story.verified


def demo_settings(folder: Path) -> Settings:
    """Settings below ``folder`` that share nothing with an installation that the environment or ``stint.toml`` configures.

    Only the database server may be one's own.
    """
    return Settings(
        data_dir=folder / "data",
        checkpoint_dir=None,
        secrets_dir=None,
        api_token=None,
        prefect_api_url=None,
        prefect_auth_string=None,
        prefect_database_url=None,
        receiver_host="127.0.0.1",
        receiver_port=free_port(),
        prefect_port=free_port(),
        internal_hosts="localhost",
        poll_seconds=1.0,
        checkpoint_seconds=5.0,
        lease_seconds=10,
    )


@contextmanager
def in_a_database_of_its_own(settings: Settings) -> Iterator[Settings]:
    """On a server of one's own: two new databases, the ledger's and Prefect's, dropped with the block. The embedded one is new anyway."""
    if settings.database_url is None:
        yield settings
        return
    server, name = settings.database_url.get_secret_value(), f"stint_demo_{secrets.token_hex(4)}"
    with passing_database(server, name) as ledger, passing_database(server, f"{name}_prefect") as prefect:
        own = {"database_url": SecretStr(ledger), "prefect_database_url": SecretStr(asyncpg_url(prefect))}
        yield settings.model_copy(update=own)


@contextmanager
def _running(folder: Path, console: Console) -> Iterator[Demo]:
    """Everything started: database, vendors, directory, receiver, Prefect, worker, and the tenant's configuration applied."""
    story = Story()
    with ExitStack() as stack:
        settings = stack.enter_context(in_a_database_of_its_own(demo_settings(folder)))
        status = stack.enter_context(console.status("starting PostgreSQL"))
        stack.enter_context(running_database(settings))
        supervisor = stack.enter_context(Supervisor(settings.logs_dir))
        start_services(supervisor, settings)
        status.update("starting the vendors' sandboxes and slapd")
        world = stack.enter_context(client_company(folder, timeout_seconds=VENDOR_TIMEOUT_SECONDS))
        stack.callback(supervisor.stop)  # before the vendors it talks to
        hub = build_hub(settings, max_connections=4)
        stack.callback(hub.close)
        documents.apply(hub, world.documents)
        supervisor.wait_ready("receiver", START_SECONDS)
        console.print(f"receiver ready after {time.monotonic() - story.started:.1f} s")
        status.update("starting Prefect's server (it migrates its database the first time)")
        supervisor.wait_ready("prefect", START_SECONDS)
        console.print(f"everything ready after {time.monotonic() - story.started:.1f} s")
        status.stop()
        yield Demo(settings, world, hub, supervisor, console.print, story)


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, float]:
    """Post ``body``; the status, and the milliseconds until the answer was there."""
    began = time.perf_counter()
    status = loopback.post(url, body, headers)
    return status, (time.perf_counter() - began) * 1000


def _sentence(entry: AuditEntry) -> str:
    event = entry.event
    system = event["target"].get("system") or ""
    at = str(event["recorded_at"])[11:23]
    return f"{at}  {event['action']:<28} {system:<11} {event['outcome']}"


def _seconds(start: datetime | None, stop: datetime | None) -> float:
    return round((stop - start).total_seconds(), 3) if start and stop else float("nan")


def _at_or_after(moment: datetime | None, other: datetime) -> bool:
    return moment is not None and moment >= other


def _report(demo: Demo, ended: Engagement, console: Console, *, as_json: bool) -> None:
    story = demo.story
    figures = {
        "ack_ms": round(story.ack_ms, 1),
        "signed_to_access_s": _seconds(ended.signed_at, ended.access_verified_at),
        "end_to_revoked_s": _seconds(ended.end_at, ended.revoked_verified_at),
        "duplicates": story.duplicates,
        "retries": story.retries,
        "audit_verified": bool(story.audit_report.get("ok")),
        "wall_s": round(time.monotonic() - story.started, 1),
    }
    if as_json:
        print_json(figures)
    for holds, claim in ((holds, claim) for claim, holds in story.checks):
        console.print(f"  {'[green]✓[/green]' if holds else '[red]✗[/red]'} {claim}")
    console.print(_figure_table(demo, ended, figures))
    for name in ("bamboohr", "gusto"):
        for at, request, kind in demo.world.http_sandboxes()[name][1].faults.happened:
            console.print(f"  fault on the way, {at:%H:%M:%S}: {name} {request}: {kind}", soft_wrap=True)
    for fault in story.audit_report.get("faults", []):
        console.print(f"  [red]audit: {fault}[/red]")


def _figure_table(demo: Demo, ended: Engagement, figures: dict[str, Any]) -> Table:
    table = Table(title="Measured", title_justify="left", show_header=False)
    with demo.hub.database.transaction(TENANT) as tx:
        trail = audit.entries(tx, engagement_id=ended.id)
    for entry in trail:
        if str(entry.event["action"]).startswith("sla."):
            details = entry.event["details"]
            table.add_row(
                f"SLA {entry.event['action'].removeprefix('sla.')}", f"{details['state']}: {details['value']} {details['unit']}"
            )
    for key, value in figures.items():
        table.add_row(key, str(value))
    report = demo.story.audit_report
    table.add_row("audit", f"{report['events']} events, {report['checkpoints']} signed checkpoints")
    return table


def look_around(settings: Settings) -> str:
    """What the environment says to a command that is typed beside the demonstration; links to first credentials lead to its receiver."""
    named = {
        "STINT_DATA_DIR": settings.data_dir,
        "STINT_INTERNAL_HOSTS": settings.internal_hosts,
        "STINT_RECEIVER_PORT": settings.receiver_port,
    }
    return " ".join(f"{name}={value}" for name, value in named.items())


def _where_to_look(demo: Demo, console: Console) -> None:
    settings = demo.settings
    console.print("\n[bold]Still running; look around[/bold] (Ctrl-C ends everything)")
    command = f"export {look_around(settings)}; .venv/bin/stint engagements list"
    if settings.database_url is not None:
        database = without_password(settings.database_url.get_secret_value())
        command = f"export STINT_DATABASE_URL='{database}'; {command}  (add the password, if there is one)"
    lines = {
        "Prefect dashboard": f"{settings.prefect_api.removesuffix('/api')}  (password: {prefect_auth(settings)})",
        "API": f"{settings.receiver_url}/docs  (Bearer {api_token(settings)})",
        "command line": command,
        "configuration": f"{demo.world.documents}  (mail domain {EMAIL_DOMAIN})",
    }
    for what, where in lines.items():
        console.print(f"  {what:<18} {where}", soft_wrap=True, highlight=False)
