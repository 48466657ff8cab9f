"""``python -m bench.offboarding [--count 1000] [--latency-ms 50] [--json]``: stints that all end at one instant, and how soon they are over.

A whole installation as ``stint up`` starts it (embedded PostgreSQL, Prefect's server, one worker), Entra's sandbox with Graph's own quota of
3,000 writes in 150 s, a real slapd, and the sandboxes of a VMS and an HRIS, all on this machine. Measured from the end instant, by what the
directories themselves show and by the ledger's own instants:

* ``blocked``: sign-in is off in the directory;
* ``read_back``: the ledger proved it by reading;
* ``closed``: everything is taken away, the records are ended, the engagement is closed.

The contractors are put into the systems and the ledger by hand: a thousand joiners would take longer than what is measured. They have no
payroll record: Gusto takes 200 calls a minute, so that it alone would take a quarter of an hour, whoever asks.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import ldap
import psutil

from bench.installation import Installation, cpus, fresh_settings, percentile, stint_up
from cli import documents
from cli.demo.world import EMAIL_DOMAIN, ROLE, TENANT, World, client_company
from config.hub import Hub, build_hub
from flows.feeds.intake import RECORD
from ledger import engagements
from ledger.access import grants
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from ledger.queueing import timers
from ledger.queueing.timers import TimerKind
from ledger.trail import audit
from workforce.access import SIGN_IN, DesiredAccount, Entitlement, EntitlementKind
from workforce.engagement import Engagement, WorkOrder, canonical
from workforce.states import EngagementState

DIRECTORIES = ("entra", "ldap")
GRAPH_WRITES = 3000
BLOCKED_WITHIN_SECONDS, CLOSED_WITHIN_SECONDS = 60.0, 300.0
GIVE_UP_SECONDS = 900.0
SETTLE_SECONDS = 10.0
WATCH_SECONDS = 0.5
MEMORY_EVERY_SECONDS = 5.0
AT_ONCE = 8
DAYS = 90
_NEWER = "9999"
"""A version that no record of the VMS has: the feed would tell other terms than those that are put in by hand."""

Figures = dict[str, Any]


@dataclass(frozen=True)
class Contractor:
    """One invented contractor: the engagement, and the account in each directory."""

    engagement: Engagement
    accounts: dict[str, str]


def measure(count: int, latency_seconds: float) -> Figures:
    """All figures of ``count`` stints whose vendors answer after ``latency_seconds``."""
    with tempfile.TemporaryDirectory(prefix="stint-bench-") as folder:
        settings = fresh_settings(Path(folder), poll_seconds=3600.0)
        with client_company(Path(folder)) as world, stint_up(settings) as installation:
            hub = build_hub(settings)
            try:
                documents.apply(hub, world.documents)
                began = time.monotonic()
                contractors = hired(hub, world, range(1, count + 1))
                set_up_s = time.monotonic() - began
                for _, sandbox in world.http_sandboxes().values():
                    sandbox.app.latency_seconds = latency_seconds
                world.graph.write_quota = GRAPH_WRITES
                figures = _end_all(hub, world, installation, contractors)
            finally:
                hub.close()
    conditions = {
        "stints": count,
        "vendor_latency_ms": latency_seconds * 1000,
        "graph_writes_per_150_s": GRAPH_WRITES,
        "cpus": cpus(),
        "python": sys.version.split()[0],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "set_up_s": round(set_up_s, 1),
        "payroll": "no records",
    }
    return {"conditions": conditions, **figures}


def hired(hub: Hub, world: World, numbers: Iterable[int]) -> list[Contractor]:
    """Active contractors with an account and two groups in each directory and records in VMS and HRIS. Each number is one person."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda number: _contractor(hub, world, number), numbers))


def _contractor(hub: Hub, world: World, number: int) -> Contractor:
    order = world.order(**{"Worker Last Name": f"Leaver {_letters(number)}", "Start Date": _day(-DAYS), "End Date": _day(DAYS)})
    with hub.database.transaction(TENANT) as tx:
        engagement, _ = engagements.upsert_work_order(tx, "fieldglass", _work_order(order, number), _NEWER)
    marker = engagement.worker.marker
    accounts = {"entra": _entra_account(world, marker, number), "ldap": _ldap_account(hub, world, engagement, number)}
    with hub.database.transaction(TENANT) as tx:
        for system, account_id in accounts.items():
            identities.link(tx, system, ACCOUNT, engagement.worker.id, account_id)
            held = {SIGN_IN, *(Entitlement(EntitlementKind.GROUP, group) for group in world.groups[system])}
            grants.want(tx, engagement, system, {each: {"package": "bench"} for each in held})
            grants.proven(tx, engagement.id, system, account_id, held)
        identities.link(tx, "fieldglass", RECORD, engagement.id, order)
        identities.link(tx, "bamboohr", RECORD, engagement.id, _employee(world, marker, number))
        for state in (EngagementState.CLEARED, EngagementState.ACTIVE):
            engagements.transition(tx, engagement.id, state)
    return Contractor(engagement, accounts)


def _work_order(order: str, number: int) -> WorkOrder:
    worker = {
        "given_name": "Ada",
        "family_name": f"Leaver {_letters(number)}",
        "personal_email": f"l{number}@mail.example",
        "country": "US",
    }
    terms = {
        "vms_id": order, "role": ROLE, "client_unit": "Analytics", "supplier": "Brightwater Staffing", "location": "Remote",
        "sponsor_email": f"sponsor@{EMAIL_DOMAIN}", "time_zone": "America/New_York", "starts_on": _day(-DAYS), "ends_on": _day(DAYS),
        "rate": {"amount": "95.00", "currency": "USD", "unit": "hour"},
    }  # fmt: skip
    return canonical(WorkOrder, {"worker": worker, "terms": terms}, source="bench")


def _entra_account(world: World, marker: str, number: int) -> str:
    login = f"leaver{number}@{EMAIL_DOMAIN}"
    user_id = world.graph.add_user(
        employeeId=marker, userPrincipalName=login, displayName=f"Leaver {number}", mailNickname=f"leaver{number}"
    )
    for group in world.groups["entra"]:
        world.graph.add_to_group(group, user_id)
    return user_id


def _ldap_account(hub: Hub, world: World, engagement: Engagement, number: int) -> str:
    directory = hub.tenant(TENANT).instance("ldap").directory()
    attributes = {"cn": f"Leaver {number}", "sn": "Leaver", "mail": f"leaver{number}@{EMAIL_DOMAIN}"}
    account_id = directory.create(
        DesiredAccount(engagement.worker.marker, f"leaver{number}", attributes, frozenset(), engagement.end_at)
    )
    for group in world.groups["ldap"]:
        directory.add_member(group, account_id)
    return account_id


def _employee(world: World, marker: str, number: int) -> str:
    employee_id = f"9{number:06d}"
    world.bamboohr.change_by_hand(
        employee_id, employeeNumber=marker, firstName="Ada", lastName=f"Leaver {_letters(number)}", hireDate=_day(-DAYS)
    )
    row = {"id": f"8{number:06d}", "date": _day(-DAYS), "employmentStatus": "Contractor", "comment": ""}
    world.bamboohr.tables[(employee_id, "employmentStatus")] = [row]
    return employee_id


def _end_all(hub: Hub, world: World, installation: Installation, contractors: Sequence[Contractor]) -> Figures:
    """Let all stints end at one instant, and watch until they are closed."""
    instant = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=math.ceil(SETTLE_SECONDS + len(contractors) * 0.02))
    end_at(hub, contractors, instant)
    time.sleep(max(0.0, (instant - datetime.now(UTC)).total_seconds()))
    used = _cpu_seconds(installation, world)
    with _memory(installation) as memory, _slapd_watched(world) as locked_at:
        closed = _closed(hub, instant, len(contractors))
    seconds = {name: value - used[name] for name, value in _cpu_seconds(installation, world).items()}
    off = {e.subject: e.at for e in world.graph.effects.entries if e.operation == "disable_user"}
    proven = _read_back(hub, contractors)
    blocked = {
        "entra": [off.get(each.accounts["entra"]) for each in contractors],
        "ldap": [locked_at.get(each.engagement.worker.marker) for each in contractors],
    }
    return {
        "blocked_s": {name: _spread(found, instant) for name, found in blocked.items()},
        "read_back_s": {name: _spread(found, instant) for name, found in proven.items()},
        "closed_s": _spread([closed.get(each.engagement.id) for each in contractors], instant),
        "graph_writes": sum(e.at >= instant for e in world.graph.effects.entries),
        "cpu_s": {name: round(value, 1) for name, value in seconds.items()},
        "peak_memory_mb": round(max(memory, default=0.0), 1),
    }


def end_at(hub: Hub, contractors: Sequence[Contractor], instant: datetime) -> None:
    """The client says when the stints end, and the ledger arms the timers."""
    for start in range(0, len(contractors), 100):
        with hub.database.transaction(TENANT) as tx:
            for contractor in contractors[start : start + 100]:
                known = contractor.engagement
                terms = known.terms.model_copy(update={"terminates_at": instant})
                engagements.upsert_work_order(tx, "fieldglass", WorkOrder(worker=known.worker.profile, terms=terms), f"{_NEWER}+")
                timers.arm(tx, known.id, TimerKind.END, instant)


def _closed(hub: Hub, instant: datetime, count: int) -> dict[UUID, datetime]:
    """When each engagement was closed, by the audit trail; waited for."""
    closed: dict[UUID, datetime] = {}
    seen = 0
    while len(closed) < count and (datetime.now(UTC) - instant).total_seconds() < GIVE_UP_SECONDS:
        with hub.database.transaction(TENANT) as tx:
            found = audit.entries(tx, action="engagement.closed", after_seq=seen)
        for entry in found:
            closed[UUID(entry.event["engagement_id"])] = datetime.fromisoformat(entry.event["recorded_at"])
            seen = entry.seq
        time.sleep(WATCH_SECONDS)
    return closed


def _read_back(hub: Hub, contractors: Sequence[Contractor]) -> dict[str, list[datetime | None]]:
    """When sign-in was proven to be blocked, by directory."""
    proven: dict[str, list[datetime | None]] = {name: [] for name in DIRECTORIES}
    for contractor in contractors:
        with hub.database.transaction(TENANT) as tx:
            rows = grants.history_of(tx, contractor.engagement.id)
        for row in rows:
            if row.entitlement == SIGN_IN:
                proven[row.directory].append(row.revoked_at)
    return proven


@contextmanager
def _slapd_watched(world: World) -> Iterator[dict[str, datetime]]:
    """When each account's lock was first seen in slapd, by marker; looked at twice a second."""
    seen: dict[str, datetime] = {}

    def look() -> None:
        with world.slapd.administrator() as admin:
            found = admin.search_s(world.slapd.suffix, ldap.SCOPE_SUBTREE, "(pwdAccountLockedTime=*)", ["employeeNumber"])
        for _, values in found:
            seen.setdefault(values["employeeNumber"][0].decode(), datetime.now(UTC))

    with _repeated(look, WATCH_SECONDS):
        yield seen


@contextmanager
def _memory(installation: Installation) -> Iterator[list[float]]:
    sizes: list[float] = []
    with _repeated(lambda: sizes.append(installation.memory_mb()), MEMORY_EVERY_SECONDS):
        yield sizes


@contextmanager
def _repeated(act: Callable[[], object], seconds: float) -> Iterator[None]:
    """Do ``act`` now and every so many seconds, in a thread, until the block ends."""
    stop = threading.Event()

    def run() -> None:
        while True:
            with suppress(psutil.Error, ldap.LDAPError):  # a process that has just ended, a busy server: the next look tells
                act()
            if stop.wait(seconds):
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _cpu_seconds(installation: Installation, world: World) -> dict[str, float]:
    """Processor seconds that each part has used so far. The sandboxes run in this process, with the watching."""
    used: dict[str, float] = {}
    for process in installation.processes():
        used[_part(process)] = used.get(_part(process), 0.0) + _used(process)
    slapd = world.slapd.process
    return {**used, "slapd": _used(psutil.Process(slapd.pid)) if slapd else 0.0, "sandboxes": _used(psutil.Process())}


def _part(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    known = {"prefect server": "prefect", "-m flows": "worker", "-m console": "receiver", "postgres": "postgres"}
    return next((part for word, part in known.items() if word in command), "other")


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _spread(instants: Sequence[datetime | None], since: datetime) -> Figures:
    """Seconds after ``since``; ``missing`` are those that did not come."""
    values = [(at - since).total_seconds() for at in instants if at is not None]
    missing = {"missing": len(instants) - len(values)} if len(values) < len(instants) else {}
    if not values:
        return missing
    return {
        "p50": round(percentile(values, 0.5), 1),
        "p99": round(percentile(values, 0.99), 1),
        "max": round(max(values), 1),
        **missing,
    }


def _day(days: int) -> str:
    return (date.today() + timedelta(days=days)).isoformat()  # noqa: DTZ011  any day will do


def _letters(number: int) -> str:
    """1 → A, 27 → AA: names have no digits."""
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def verdicts(figures: Figures) -> list[Figures]:
    """What the measured figures say of what is promised; a stint that is missing breaks it."""
    wanted = [(f"blocked in {name}", figures["blocked_s"][name], BLOCKED_WITHIN_SECONDS) for name in DIRECTORIES]
    wanted += [(f"read back in {name}", figures["read_back_s"][name], BLOCKED_WITHIN_SECONDS) for name in DIRECTORIES]
    wanted.append(("closed", figures["closed_s"], CLOSED_WITHIN_SECONDS))
    return [
        {"figure": f"all {name}, s", "measured": spread.get("max"), "target": target, "met": _is_met(spread, target)}
        for name, spread, target in wanted
    ]


def _is_met(spread: Figures, target: float) -> bool:
    return not spread.get("missing") and spread.get("max", math.inf) <= target


def main() -> None:
    """Measure and print; the exit code is 0 whether or not a target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.offboarding", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=1000, help="stints that end at the same instant (default: 1000)")
    parser.add_argument("--latency-ms", type=float, default=50.0, help="how long a vendor takes to answer (default: 50)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures = measure(options.count, options.latency_ms / 1000)
    told = verdicts(figures)
    if options.json:
        print(json.dumps({**figures, "targets": told}, indent=2))
        return
    for verdict in told:
        print(
            f"{'met   ' if verdict['met'] else 'missed'}  {verdict['figure']:<30} {verdict['measured']}  (target ≤ {verdict['target']:g})"
        )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
