"""Starting, watching and ending the processes of an installation. Only processes that were started here are ever ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from config.services import Service
from workforce.errors import Misconfigured

GRACE_SECONDS = 15.0
POLL_SECONDS = 0.05


@dataclass
class Supervisor:
    """The running processes, by name. As a context manager it ends them, in reverse order, when the block ends."""

    logs: Path
    grace_seconds: float = GRACE_SECONDS
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _services: dict[str, Service] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start with nothing running."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End everything that was started."""
        self.stop()

    def start(self, service: Service) -> None:
        """Start ``service`` in a process group of its own, its output in ``logs/<name>.log``."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{service.name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command lines
                service.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(service.environment),
                start_new_session=True,
            )
        self.processes[service.name] = process
        self._services[service.name] = service

    def kill(self, name: str) -> None:
        """Kill one process at once (SIGKILL), as a crash would."""
        process = self.processes.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_ready(self, name: str, seconds: float, *, while_waiting: Callable[[], None] = lambda: None) -> float:
        """Wait until ``name`` answers its health address; the seconds it took. Raises ``Misconfigured`` naming its log."""
        service, started = self._services[name], time.monotonic()
        while not (service.health_url is None or answers(service.health_url)):
            self.require_alive(name)
            if time.monotonic() - started > seconds:
                raise Misconfigured(f"{name} was not ready after {seconds:.0f} s; see {self._log(name)}", cause="not_ready")
            while_waiting()
            time.sleep(POLL_SECONDS)
        self.require_alive(name)
        return time.monotonic() - started

    def require_alive(self, name: str) -> None:
        """Raise ``Misconfigured`` with the end of its log if ``name`` has ended."""
        code = self.processes[name].poll()
        if code is not None:
            raise Misconfigured(
                f"{name} ended with code {code}; see {self._log(name)}\n{self._tail(name)}", cause="process_ended"
            )

    def stop(self) -> None:
        """End every process, the last one started first: SIGTERM, time to finish, then SIGKILL."""
        while self.processes:
            _, process = self.processes.popitem()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(self.grace_seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _tail(self, name: str, lines: int = 12) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])


def answers(url: str) -> bool:
    """Whether ``url`` answers 200 within a second."""
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310 - our own addresses
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def until_signalled() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether SIGTERM or SIGINT has come; the old handlers are put back after the block."""
    came: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda received, _frame: came.append(received)) for number in numbers}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
