"""``python -m bench.reconcile [--accounts N] [--directory ldap|entra] [--json]``: what reconciliation of a large directory costs.

For each directory (a real slapd; Graph's sandbox, which answers from this process), filled with N accounts that are as they should be:

* ``first``: a full run that knows nothing; ``again``: a full run in which nothing has changed;
* ``changed_first``: what the directory says has changed since then. Of slapd, what was changed in the five minutes before the last change is
  read once more, because its clocks may differ, and here that is every account. Five minutes pass before, as an hour does in production;
* ``changed_n``: the same after n accounts were changed by hand;
* for each: seconds, accounts read, findings, and the peak memory (maximum resident set) of the process that ran it alone, in MB (10⁶ bytes).

The ledger is the embedded PostgreSQL. slapd gets an index on ``modifyTimestamp`` and room for N entries, as its administrator would see to;
each account is a member of one group of a hundred. Graph's published quota for tenants above 500 users is kept, as in production.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import ldap
import structlog
import yaml

from bench.installation import cpus, fresh_settings
from cli import documents
from cli.demo.world import TENANT, World, client_company
from config.hub import LEDGER_DATABASE, Hub, build_hub
from config.services import environment_of
from config.settings import Settings
from connectors.ldap.sandbox import SlapdSandbox
from connectors.protocols.ldapv3.dialect import CLOCK_SKEW
from connectors.protocols.ldapv3.entries import generalized_time
from flows.reconciliation.reconcile import reconcile
from ledger import engagements
from ledger.ids import uuid7
from ledger.migrate import upgrade
from ledger.postgres.embedded import EmbeddedPostgres
from ledger.reconciliation.reconciliations import Scope
from workforce.engagement import WorkOrder, canonical
from workforce.markers import new_marker

Figures = dict[str, Any]

DIRECTORIES = ("ldap", "entra")
CHANGES = (0, 100, 1000)
MEMBERS = 100
_CHUNK = 5_000
_UNDER_WAY = 500


class LargeSlapd(SlapdSandbox):
    """OpenLDAP for many entries: room for them, and an index on what changes are asked by. Overlays that only guard writes are left out."""

    def _configuration(self) -> str:
        text = super()._configuration().replace("maxsize 268435456", "maxsize 8589934592")
        lines = [line for line in text.splitlines() if not line.startswith("unique_uri")]
        return (
            "\n".join(lines)
            .replace("overlay unique\n", "")
            .replace("index objectClass", "index modifyTimestamp eq\nindex objectClass", 1)
        )


@dataclass(frozen=True, slots=True)
class Contractor:
    """A person: the marker on the account, and the account's id once it is there."""

    worker_id: UUID
    engagement_id: UUID
    marker: str
    account_id: str = ""


def measure(accounts: int, directories: Sequence[str]) -> Figures:
    """All figures."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="stint-bench-") as folder, ExitStack() as stack:
        settings = fresh_settings(Path(folder))
        server = stack.enter_context(EmbeddedPostgres(settings.postgres_dir))
        upgrade(server.dsn(LEDGER_DATABASE))
        world = stack.enter_context(client_company(Path(folder), timeout_seconds=60.0))
        slapd = stack.enter_context(LargeSlapd(Path(folder) / "large"))
        hub = build_hub(settings)
        stack.callback(hub.close)
        _configure(hub, world, slapd)
        world.graph.page_size = 500
        found = {name: _directory(hub, settings, world, slapd, name, accounts) for name in directories}
    conditions = {
        "accounts": accounts,
        "cpus": cpus(),
        "python": sys.version.split()[0],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {"conditions": conditions, "directories": found}


def _configure(hub: Hub, world: World, slapd: SlapdSandbox) -> None:
    """The company's documents with the larger slapd, whose password takes the place of the small one's, and the quota of a large tenant."""
    place = world.documents / "connectors" / "ldap.yaml"
    content = yaml.safe_load(place.read_text())
    Path(content["settings"]["bind_password"]["secret"].removeprefix("file:")).write_text(slapd.service_password)
    content["settings"] |= {
        "url": f"ldap://127.0.0.1:{slapd.port}",
        "ca_file": str(slapd.tls.ca),
        "page_size": 1000,
        "timeout_seconds": 15.0,
    }
    place.write_text(yaml.safe_dump(content))
    place = world.documents / "connectors" / "entra.yaml"
    content = yaml.safe_load(place.read_text())
    content["settings"]["tenant_size"] = "L"
    place.write_text(yaml.safe_dump(content))
    documents.apply(hub, world.documents)


def _directory(hub: Hub, settings: Settings, world: World, slapd: SlapdSandbox, name: str, accounts: int) -> Figures:
    began = time.perf_counter()
    people = _people(hub, accounts)
    end_at = engagements_end(hub, people[0].engagement_id)
    made = _fill_slapd(slapd, people, end_at) if name == "ldap" else _fill_graph(world, people, end_at)
    _give(hub, name, made, people)
    figures: Figures = {"filled_s": round(time.perf_counter() - began, 1)}
    figures["first"] = _run(settings, name, Scope.FULL)
    figures["again"] = _run(settings, name, Scope.FULL)
    if name == "ldap":
        time.sleep(CLOCK_SKEW.total_seconds())
    figures["changed_first"] = _run(settings, name, Scope.CHANGED)
    for number in CHANGES:
        changed = [person for person, _ in made[:number]]
        _change(world, slapd, name, changed)
        figures[f"changed_{number}"] = _run(settings, name, Scope.CHANGED)
    return figures


def _people(hub: Hub, number: int) -> list[Contractor]:
    """So many workers with an active engagement each: copies of one that came in like any other."""
    with hub.database.transaction(TENANT) as tx:
        model, _ = engagements.upsert_work_order(tx, "fieldglass", _order(), "1")
    people = [Contractor(uuid7(), uuid7(), new_marker()) for _ in range(number)]
    for some in _chunks(people):
        with hub.database.transaction(TENANT) as tx:
            columns = {
                "workers": [p.worker_id for p in some], "engagements": [p.engagement_id for p in some], "markers": [p.marker for p in some],
                "model": model.id, "model_worker": model.worker.id,
            }  # fmt: skip
            tx.execute(
                """
                INSERT INTO workers (tenant, id, marker, given_name, family_name, personal_email, country)
                SELECT tenant, told.id, told.marker, given_name, family_name, personal_email, country
                FROM workers, unnest(%(workers)s::uuid[], %(markers)s::text[]) AS told (id, marker) WHERE workers.id = %(model_worker)s
                """,
                **columns,
            )
            tx.execute(
                """
                INSERT INTO engagements (tenant, id, worker_id, vms_system, terms, external, source_version, state, end_at)
                SELECT tenant, told.id, told.worker, vms_system, terms || jsonb_build_object('vms_id', told.id), external, source_version,
                       'active', end_at
                FROM engagements, unnest(%(engagements)s::uuid[], %(workers)s::uuid[]) AS told (id, worker) WHERE engagements.id = %(model)s
                """,
                **columns,
            )
    return people


def _give(hub: Hub, name: str, made: Sequence[tuple[Contractor, str]], people: Sequence[Contractor]) -> None:
    """What a joiner leaves: the link, and grants that were read back."""
    assert len(made) == len(people)
    for some in _chunks(made):
        with hub.database.transaction(TENANT) as tx:
            tx.execute(
                """
                INSERT INTO external_identities (tenant, system, kind, internal_id, external_id)
                SELECT %(tenant)s, %(name)s, 'account', worker, account
                FROM unnest(%(workers)s::uuid[], %(accounts)s::text[]) AS told (worker, account)
                """,
                tenant=TENANT,
                name=name,
                workers=[person.worker_id for person, _ in some],
                accounts=[person.account_id for person, _ in some],
            )
            tx.execute(
                """
                INSERT INTO grants (tenant, id, worker_id, engagement_id, directory, kind, entitlement, reason, ends_at, account_id, wanted_at,
                                    granted_at)
                SELECT %(tenant)s, gen_random_uuid(), worker, engagement, %(name)s, held.kind, held.entitlement, '{}', engagements.end_at,
                       account, now() - interval '1 day', now() - interval '1 day'
                FROM unnest(%(workers)s::uuid[], %(engagements)s::uuid[], %(accounts)s::text[], %(groups)s::text[])
                    AS told (worker, engagement, account, of_group)
                JOIN engagements ON engagements.id = engagement
                CROSS JOIN LATERAL (VALUES ('sign_in', ''), ('group', of_group)) AS held (kind, entitlement)
                """,
                tenant=TENANT,
                name=name,
                workers=[person.worker_id for person, _ in some],
                engagements=[person.engagement_id for person, _ in some],
                accounts=[person.account_id for person, _ in some],
                groups=[group for _, group in some],
            )


def _fill_graph(world: World, people: Sequence[Contractor], end_at: datetime) -> list[tuple[Contractor, str]]:
    made = []
    for number, person in enumerate(people):
        if number % MEMBERS == 0:
            group = world.graph.add_group(f"group {number}")
        login = f"c{person.marker.lower()}@acme.example"
        user_id = world.graph.add_user(
            userPrincipalName=login, employeeId=person.marker, employeeLeaveDateTime=f"{end_at:%Y-%m-%dT%H:%M:%SZ}"
        )
        world.graph.add_to_group(group, user_id)
        made.append((Contractor(person.worker_id, person.engagement_id, person.marker, user_id), group))
    return made


def _fill_slapd(slapd: SlapdSandbox, people: Sequence[Contractor], end_at: datetime) -> list[tuple[Contractor, str]]:
    """Added by the administrator, many at a time; the ids are read back."""
    base, groups = slapd.base("people"), slapd.base("groups")
    with slapd.administrator() as root:
        _pipelined(root, ((f"employeeNumber={person.marker},{base}", _entry(person, end_at)) for person in people))
        named = [(f"cn=g{n},{groups}", people[n : n + MEMBERS]) for n in range(0, len(people), MEMBERS)]
        _pipelined(root, ((dn, _group(dn, [f"employeeNumber={p.marker},{base}" for p in some])) for dn, some in named))
        group_of = {person.marker: dn for dn, some in named for person in some}
        found = root.search_s(base, ldap.SCOPE_ONELEVEL, "(employeeNumber=*)", ["employeeNumber", "entryUUID"])
    ids = {values["employeeNumber"][0].decode(): values["entryUUID"][0].decode() for _, values in found}
    return [(Contractor(p.worker_id, p.engagement_id, p.marker, ids[p.marker]), group_of[p.marker]) for p in people]


def _entry(person: Contractor, end_at: datetime) -> list[tuple[str, list[bytes]]]:
    marker = person.marker.encode()
    classes = list(SlapdSandbox.dialect.object_classes)
    named = [("cn", [b"Contractor"]), ("sn", [b"Contractor"]), ("uid", [b"c" + marker.lower()]), ("employeeNumber", [marker])]
    return [("objectClass", classes), *named, (SlapdSandbox.dialect.expiry, [generalized_time(end_at).encode()])]


def _group(dn: str, members: Sequence[str]) -> list[tuple[str, list[bytes]]]:
    name = dn.partition(",")[0].removeprefix("cn=").encode()
    return [("objectClass", [b"groupOfNames"]), ("cn", [name]), ("member", [member.encode() for member in members])]


def _pipelined(root: Any, entries: Iterator[tuple[str, list[tuple[str, list[bytes]]]]]) -> None:
    """Add entries with several requests under way."""
    under_way: list[int] = []
    for dn, attributes in entries:
        under_way.append(root.add(dn, attributes))
        if len(under_way) >= _UNDER_WAY:
            root.result(under_way.pop(0))
    for request in under_way:
        root.result(request)


def _change(world: World, slapd: SlapdSandbox, name: str, people: Sequence[Contractor]) -> None:
    """Somebody moves the expiry of these accounts by hand."""
    later = datetime(2030, 6, 1, tzinfo=UTC)
    if name == "entra":
        for person in people:
            world.graph.change_user(person.account_id, employeeLeaveDateTime="2030-06-01T00:00:00Z")
        return
    with slapd.administrator() as root:
        value = generalized_time(later).encode()
        for person in people:
            root.modify_s(
                f"employeeNumber={person.marker},{slapd.base('people')}", [(ldap.MOD_REPLACE, slapd.dialect.expiry, [value])]
            )


def engagements_end(hub: Hub, engagement_id: UUID) -> datetime:
    """When the copies end."""
    with hub.database.transaction(TENANT) as tx:
        return engagements.get(tx, engagement_id).end_at


def _order() -> WorkOrder:
    terms = {
        "vms_id": f"MODEL-{uuid7()}", "role": "Software Engineer", "client_unit": "Analytics", "supplier": "Example Staffing",
        "sponsor_email": "grace@acme.example", "location": "Berlin", "time_zone": "Europe/Berlin", "starts_on": "2026-01-05",
        "ends_on": "2031-02-26", "rate": {"amount": "95.00", "currency": "EUR", "unit": "hour"},
    }  # fmt: skip
    worker = {"given_name": "Ada", "family_name": "Lovelace", "personal_email": "ada@example.org", "country": "DE"}
    return canonical(WorkOrder, {"worker": worker, "terms": terms}, source="a benchmark")


def _run(settings: Settings, name: str, scope: Scope) -> Figures:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "bench.reconcile", "--run", name, scope]
    done = subprocess.run(command, env={**os.environ, **environment_of(settings)}, stdout=subprocess.PIPE, check=True)
    figures: Figures = json.loads(done.stdout)
    print(f"{name} {scope}: {figures}", file=sys.stderr, flush=True)
    return figures


def _run_here(name: str, scope: Scope) -> Figures:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with _hub() as hub:
        hub.tenant(TENANT)
        before, began = _peak_mb(), time.perf_counter()
        run = reconcile(hub, TENANT, name, scope)
        seconds = time.perf_counter() - began
    counted = {"read": run.accounts_read, "findings": run.findings, "mended": run.mended, "held": run.held}
    return {"seconds": round(seconds, 1), **counted, "peak_mb": _peak_mb(), "before_mb": before}


@contextmanager
def _hub() -> Iterator[Hub]:
    hub = build_hub(Settings())
    try:
        yield hub
    finally:
        hub.close()


def _peak_mb() -> float:
    """Of this program alone: ``ru_maxrss`` would count the process that it was forked from."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6, 1)


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    yield from (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


def _print(figures: Figures) -> None:
    print(f"{'directory':<12}{'run':<14}{'seconds':>9}{'read':>9}{'findings':>10}{'peak MB':>9}")
    for name, runs in figures["directories"].items():
        for run, told in runs.items():
            if isinstance(told, dict):
                print(f"{name:<12}{run:<14}{told['seconds']:>9}{told['read']:>9}{told['findings']:>10}{told['peak_mb']:>9}")
    print(json.dumps(figures["conditions"]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconcile", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--directory", choices=DIRECTORIES, help="only this one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(_run_here(options.run[0], Scope(options.run[1]))))
        return
    figures = measure(options.accounts, (options.directory,) if options.directory else DIRECTORIES)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures)


if __name__ == "__main__":
    main()
