"""``python -m bench.latency [--json]``: the figures of one installation on this machine.

* ``ack``: deliveries at 50/s, open loop, each about another envelope, to the receiver of a whole running installation whose worker
  settles each of them; milliseconds from sending to the complete answer.
* ``access``: one agreement signed each second, vendors that answer after 5 ms; seconds from the signature to verified access.
* ``start``: seconds from ``stint up`` to a ready receiver and to everything, on an empty data folder and on one that exists.
* ``memory``: megabytes (PSS) of all processes of an idle installation, PostgreSQL and Prefect's server included.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.installation import Installation, cpus, fresh_settings, percentile, stint_up
from cli import documents
from cli.demo.story import post
from cli.demo.world import TENANT, World, client_company
from config.hub import Hub, build_hub
from connectors.docusign.sandbox import ConnectDelivery
from ledger import engagements

ACKS_PER_SECOND, ACK_SECONDS = 50, 20
AGREEMENTS = 60
VENDOR_LATENCY_SECONDS = 0.005
SETTLE_SECONDS = 120.0
IDLE_SECONDS = 15.0

Figures = dict[str, Any]


def measure() -> Figures:
    """All figures, in one installation after the other."""
    with tempfile.TemporaryDirectory(prefix="stint-bench-") as folder:
        settings = fresh_settings(Path(folder))
        with stint_up(settings) as first:
            start = {"first": _start(first)}
            time.sleep(IDLE_SECONDS)
            memory = round(first.memory_mb(), 1)
        with stint_up(settings) as second, client_company(Path(folder), latency_seconds=VENDOR_LATENCY_SECONDS) as world:
            start["again"] = _start(second)
            hub = build_hub(settings)
            try:
                documents.apply(hub, world.documents)
                return {
                    "conditions": {
                        "cpus": cpus(),
                        "python": sys.version.split()[0],
                        "at": datetime.now(UTC).isoformat(timespec="seconds"),
                    },
                    "start_s": start,
                    "idle_memory_mb": memory,
                    "access_s": _access(hub, world),
                    "ack_ms": _acknowledgements(hub, world),
                }
            finally:
                hub.close()


def _start(installation: Installation) -> Figures:
    return {"receiver": round(installation.receiver_ready_s, 2), "everything": round(installation.everything_ready_s, 2)}


def _acknowledgements(hub: Hub, world: World) -> Figures:
    """Deliveries at a fixed rate, whether or not earlier ones were answered."""
    url = f"{hub.settings.receiver_url}/v1/hooks/{TENANT}/docusign"
    deliveries = [_sent(world) for _ in range(ACKS_PER_SECOND * ACK_SECONDS)]
    took, statuses = _open_loop(deliveries, ACKS_PER_SECOND, lambda d: post(url, d.body, dict(d.headers)))
    return {**_spread(took), "deliveries": len(took), "accepted": statuses.count(200), "rate_per_s": ACKS_PER_SECOND}


def _sent(world: World) -> ConnectDelivery:
    """A message that starts no process: an envelope was sent."""
    envelope = world.docusign.create_envelope("ACMEWO-BENCH", "Ada Lovelace", "ada@mail.example")
    return world.docusign.connect_message(envelope, "envelope-sent")


def _access(hub: Hub, world: World) -> Figures:
    """One agreement each second; the ledger says when it was signed and when the access was verified."""
    url = f"{hub.settings.receiver_url}/v1/hooks/{TENANT}/docusign"
    orders = [world.order(**{"Worker First Name": f"Ada {n}"}) for n in range(AGREEMENTS)]

    def sign(order: str) -> tuple[int, float]:
        envelope = world.docusign.create_envelope(order, "Ada Lovelace", "ada@mail.example")
        delivery = world.docusign.complete(envelope)
        return post(url, delivery.body, dict(delivery.headers))

    _open_loop(orders, 1, sign)
    took = _signed_to_access(hub, orders)
    return {**_spread(took), "agreements": AGREEMENTS, "verified": len(took), "vendor_latency_ms": VENDOR_LATENCY_SECONDS * 1000}


def _signed_to_access(hub: Hub, orders: list[str]) -> list[float]:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        with hub.database.transaction(TENANT) as tx:
            found = [engagements.by_vms_id(tx, "fieldglass", order) for order in orders]
        verified = [e for e in found if e and e.signed_at and e.access_verified_at]
        if len(verified) == len(orders):
            break
        time.sleep(0.5)
    return [(e.access_verified_at - e.signed_at).total_seconds() for e in verified if e.signed_at and e.access_verified_at]


def _open_loop(items: list[Any], per_second: float, act: Callable[[Any], tuple[int, float]]) -> tuple[list[float], list[int]]:
    """Start ``act`` for each item at its time, late answers or not; what each took (ms, from its due time) and its status."""
    took: list[float] = []
    statuses: list[int] = []
    lock = threading.Lock()
    began = time.perf_counter() + 0.2

    def run(index: int, item: Any) -> None:
        due = began + index / per_second
        time.sleep(max(0.0, due - time.perf_counter()))
        status, _ = act(item)
        with lock:
            took.append((time.perf_counter() - due) * 1000)
            statuses.append(status)

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(run, range(len(items)), items))
    return took, statuses


def _spread(values: list[float]) -> Figures:
    if not values:
        return {"p50": None, "p99": None, "max": None}
    return {"p50": round(percentile(values, 0.5), 3), "p99": round(percentile(values, 0.99), 3), "max": round(max(values), 3)}


TARGETS: list[tuple[str, Callable[[Figures], float | None], float]] = [
    ("webhook acknowledgement p99, ms", lambda f: f["ack_ms"]["p99"], 25.0),
    ("signature to verified access p50, s", lambda f: f["access_s"]["p50"], 1.5),
    ("signature to verified access p99, s", lambda f: f["access_s"]["p99"], 4.0),
    ("receiver ready after stint up, s", lambda f: max(f["start_s"][k]["receiver"] for k in ("first", "again")), 3.0),
    ("everything ready after stint up, s", lambda f: max(f["start_s"][k]["everything"] for k in ("first", "again")), 30.0),
    ("idle memory of all processes, MB", lambda f: f["idle_memory_mb"], 600.0),
]


def main() -> None:
    """Measure and print; the exit code is 0 whether or not a target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    figures = measure()
    verdicts = [
        {"figure": name, "measured": value, "target": target, "met": value is not None and value <= target}
        for name, value, target in ((name, read(figures), target) for name, read, target in TARGETS)
    ]
    if as_json:
        print(json.dumps({**figures, "targets": verdicts}, indent=2))
        return
    for verdict in verdicts:
        print(
            f"{'met   ' if verdict['met'] else 'missed'}  {verdict['figure']:<40} {verdict['measured']}  (target ≤ {verdict['target']})"
        )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
