"""What is built on first use is built once, however many come first; what nobody needs any more goes."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from connectors.contract import Capabilities, Connector, ConnectorSettings, Evidence, Instance, Kind, Surroundings
from flows.prefect_runs import drop_old_results
from workforce.ports import CheckResult


class CountingClient:
    built = 0
    together = threading.Barrier(8)

    def __init__(self, settings: ConnectorSettings, around: Surroundings) -> None:
        type(self).built += 1

    def check(self) -> CheckResult:
        return CheckResult(ok=True, detail="")

    def close(self) -> None:
        return


def test_threads_that_come_first_together_share_one_client() -> None:
    connector = Connector(
        "counting", "Counting", Kind.HRIS, ConnectorSettings, CountingClient, Capabilities(), Evidence(), "none"
    )
    instance = Instance("hris", connector, ConnectorSettings())

    def use(_: int) -> object:
        CountingClient.together.wait()
        return instance.client

    with ThreadPoolExecutor(8) as pool:
        clients = set(pool.map(use, range(8)))
    assert (len(clients), CountingClient.built) == (1, 1)


def test_results_of_long_finished_steps_are_dropped_and_fresh_ones_stay(tmp_path: Path) -> None:
    old, fresh = tmp_path / "old", tmp_path / "fresh"
    for path in (old, fresh):
        path.write_text("{}")
    long_ago = time.time() - 8 * 86400
    os.utime(old, (long_ago, long_ago))
    assert drop_old_results(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["fresh"]
    assert drop_old_results(tmp_path / "never made") == 0
