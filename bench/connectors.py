"""``python -m bench.connectors [--calls N] [--json]``: what a call through each connector costs.

* ``transports``: the same small GET over TLS on loopback to a server in another process, through candidates for the wire: ``httpx`` (as
  it comes, and with our guard), ``httpcore`` alone, ``urllib3``, ``http.client``, and ``HttpEdge`` with all that it adds. CPU is that of
  the calling thread alone; wall is one call after the other; ``calls_per_s`` is with eight threads.
* ``connectors``: for each one, each operation, against its sandbox in this process: CPU of the calling thread and wall for one call. What
  is made ready beforehand is not counted. ``ours`` is the share of the CPU that does not go to the HTTP requests that the operation made,
  at the price of a request through httpx as it comes. A connector whose peer cannot run on this machine (Active Directory without Samba) is
  skipped, and said to be.
"""

from __future__ import annotations

import argparse
import http.client
import importlib
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpcore
import httpx
import structlog
import urllib3
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.installation import cpus
from connectors import catalogue
from connectors.contract import Connector, Instance
from connectors.http import Dialect, GuardedTransport, HttpEdge, tls_context
from connectors.protocols.ldapv3.servers import CANNOT_RUN_HERE
from connectors.suite.operations import scene
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.suite.scenes import Stage
from connectors.suite.trial import Opened, Trial
from connectors.wire.network import Reach
from connectors.wire.tls import TlsFiles, make_loopback_tls
from workforce.errors import Misconfigured

THREADS = 8
CALLS_OF_AN_INSTANCE = 5
BODY = {"id": "7", "name": "Ada Lovelace", "roles": ["developer"] * 20}

Figures = dict[str, Any]


def measure(calls: int) -> Figures:
    """All figures."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="stint-bench-") as folder:
        transports = _transports(Path(folder), calls * 5)
        request_ms = transports["httpx"]["cpu_ms"]
        connectors, skipped = measured(catalogue.known_keys(), lambda key: _connector(key, Path(folder) / key, calls, request_ms))
    return {
        "conditions": {"cpus": cpus(), "python": sys.version.split()[0], "httpx": httpx.__version__, "calls": calls},
        "transports": transports,
        "connectors": connectors,
        "skipped": skipped,
    }


def measured(keys: Iterable[str], measure_one: Callable[[str], Figures]) -> tuple[Figures, dict[str, str]]:
    """The figures of every connector, and why those have none whose peer cannot run on this machine."""
    figures: Figures = {}
    skipped: dict[str, str] = {}
    for key in keys:
        try:
            figures[key] = measure_one(key)
        except Misconfigured as error:
            if error.cause != CANNOT_RUN_HERE:
                raise
            skipped[key] = str(error)
            print(f"skipped {key}: {error}", file=sys.stderr, flush=True)
    return figures, skipped


def _transports(folder: Path, calls: int) -> Figures:
    tls = make_loopback_tls(folder / "tls")
    with _server(tls) as (host, port):
        return {name: _timed(call, calls) for name, call in _candidates(f"https://{host}:{port}", host, port, tls.ca)}


@contextmanager
def _server(tls: TlsFiles) -> Iterator[tuple[str, int]]:
    """A server in a process of its own, so that its work is nobody else's."""
    command = [sys.executable, "-m", "bench.connectors", "--serve", str(tls.certificate), str(tls.key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        try:
            yield "localhost", port
        finally:
            process.terminate()


def _serve(certificate: Path, key: Path) -> None:
    async def answer(request: Request) -> JSONResponse:
        del request
        return JSONResponse(BODY)

    app = Starlette(routes=[Route("/things/7", answer)])
    with serve(app, TlsFiles(key, certificate, key)) as base_url:
        print(base_url.rpartition(":")[2], flush=True)
        sys.stdin.read()


def _candidates(base_url: str, host: str, port: int, ca: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    context = tls_context(ca)
    plain = httpx.Client(base_url=base_url, verify=context, trust_env=False)
    yield "httpx", lambda: plain.get("/things/7").json()
    guarded = httpx.Client(base_url=base_url, transport=GuardedTransport(ON_LOOPBACK.network, context), trust_env=False)
    yield "httpx, guarded", lambda: guarded.get("/things/7").json()
    edge = HttpEdge(base_url, Dialect("bench"), reach=Reach(ca_file=ca, network=ON_LOOPBACK.network))
    yield "HttpEdge", lambda: edge.read_object("GET", "/things/7")
    core = httpcore.ConnectionPool(ssl_context=context)
    yield "httpcore", lambda: json.loads(core.request("GET", f"{base_url}/things/7").content)
    pool = urllib3.PoolManager(ssl_context=context, maxsize=THREADS)
    yield "urllib3", lambda: pool.request("GET", f"{base_url}/things/7").json()
    yield "http.client", _http_client(host, port, context)
    plain.close()
    guarded.close()
    edge.close()
    core.close()
    pool.clear()


def _http_client(host: str, port: int, context: ssl.SSLContext) -> Callable[[], object]:
    """A connection for each thread: it has no pool of its own."""
    local = threading.local()

    def call() -> object:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPSConnection(host, port, context=context)
            local.connection.connect()
            local.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        local.connection.request("GET", "/things/7")
        return json.loads(local.connection.getresponse().read())

    return call


def _timed(call: Callable[[], object], calls: int) -> Figures:
    for _ in range(20):
        call()
    cpu, wall = time.thread_time(), time.perf_counter()
    for _ in range(calls):
        call()
    figures = {"cpu_ms": _ms((time.thread_time() - cpu) / calls), "wall_ms": _ms((time.perf_counter() - wall) / calls)}
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda _: call(), range(calls)))
    return {**figures, "calls_per_s": round(calls / (time.perf_counter() - began))}


def _connector(key: str, folder: Path, calls: int, request_ms: float) -> Figures:
    trial: Trial[Any] = importlib.import_module(f"connectors.{key}.trial").TRIAL
    figures = {}
    for name in trial.wires:
        place = folder / name
        place.mkdir(parents=True)
        with trial.open(place) as opened:
            figures[name] = _operation(name, _Bench(catalogue.load(key), trial, opened), calls, request_ms)
    return figures


@dataclass(frozen=True)
class _Bench:
    """A connector at its sandbox."""

    connector: Connector[Any, Any]
    trial: Trial[Any]
    opened: Opened[Any]

    @contextmanager
    def instance(self) -> Iterator[Instance]:
        """An instance that is signed in and connected."""
        settings = self.connector.settings.model_validate(self.opened.settings)
        instance = Instance(self.connector.key, self.connector, settings, ON_LOOPBACK)
        try:
            instance.client.check()
            yield instance
        finally:
            instance.close()


def _operation(name: str, bench: _Bench, calls: int, request_ms: float) -> Figures:
    """The median of a few calls, each on a scene of its own, because most can be done only once to one record.

    Every few calls get another instance, so that a vendor's published limit, which an instance keeps, is not what is measured.
    """
    cpu, wall, requests = [], [], []
    for first in range(0, calls, CALLS_OF_AN_INSTANCE):
        with bench.instance() as instance:
            for n in range(first, min(first + CALLS_OF_AN_INSTANCE, calls)):
                ready = scene(name, Stage(bench.trial, bench.opened, instance, n))
                before = len(bench.opened.exchanges)
                at_cpu, at_wall = time.thread_time(), time.perf_counter()
                ready.run()
                cpu.append(time.thread_time() - at_cpu)
                wall.append(time.perf_counter() - at_wall)
                requests.append(len(bench.opened.exchanges) - before)
    spent, made = median(cpu), median(requests)
    ours = round(max(0.0, 1 - made * request_ms / (spent * 1000)), 2) if spent and made else None
    return {"cpu_ms": _ms(spent), "wall_ms": _ms(median(wall)), "requests": made, "ours": ours}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _print(figures: Figures) -> None:
    print(f"{'transport':<18}{'CPU ms':>9}{'wall ms':>9}{'calls/s':>9}")
    for name, cost in figures["transports"].items():
        print(f"{name:<18}{cost['cpu_ms']:>9}{cost['wall_ms']:>9}{cost['calls_per_s']:>9}")
    print(f"\n{'operation':<40}{'CPU ms':>9}{'wall ms':>9}{'requests':>10}{'ours':>7}")
    for key, operations in figures["connectors"].items():
        for name, cost in operations.items():
            ours = "" if cost["ours"] is None else f"{cost['ours']:.0%}"
            print(f"{key + ' ' + name:<40}{cost['cpu_ms']:>9}{cost['wall_ms']:>9}{cost['requests']:>10g}{ours:>7}")
    for key, why in figures["skipped"].items():
        print(f"{key:<40}skipped: {why}")
    print(json.dumps(figures["conditions"]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.connectors", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=20, help="of each operation; a transport gets five times as many")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--serve", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(*options.serve)
        return
    figures = measure(options.calls)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures)


if __name__ == "__main__":
    main()
