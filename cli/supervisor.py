"""Starting, watching and ending the processes of an installation. Only processes that were started here are ever ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from config.loopback import answers
from config.services import Service
from workforce.errors import Misconfigured

GRACE_SECONDS = 15.0
POLL_SECONDS = 0.05
EARLY_SECONDS = 10.0
"""An end before this says that the process cannot start; without a health address, living on says that it is ready."""
EARLY_ENDS = 5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0


@dataclass
class _Life:
    """What is known of one service over all its starts. Instants are monotonic seconds."""

    service: Service
    started: float = 0.0
    restart_at: float | None = None
    pause: float = FIRST_PAUSE_SECONDS
    early_ends: int = 0
    was_ready: bool = False

    def begin(self, service: Service, now: float) -> None:
        self.service, self.started, self.restart_at = service, now, None

    def go_on(self, now: float) -> None:
        """It runs: a long life makes the next pause short again."""
        lived = now - self.started
        self.was_ready = self.was_ready or (self.service.health_url is None and lived >= EARLY_SECONDS)
        if lived >= LONGEST_PAUSE_SECONDS:
            self.pause = FIRST_PAUSE_SECONDS

    def end(self, now: float) -> float:
        """It ended; the seconds until it is started again, twice as many each time."""
        self.early_ends += now - self.started < EARLY_SECONDS
        pause, self.pause = self.pause, min(self.pause * 2, LONGEST_PAUSE_SECONDS)
        self.restart_at = now + pause
        return pause

    @property
    def is_hopeless(self) -> bool:
        return not self.was_ready and self.early_ends >= EARLY_ENDS


@dataclass
class Supervisor:
    """The running processes, by name. As a context manager it ends them, in reverse order, when the block ends."""

    logs: Path
    grace_seconds: float = GRACE_SECONDS
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    monotonic: Callable[[], float] = time.monotonic
    _lives: dict[str, _Life] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start with nothing running."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End everything that was started."""
        self.stop()

    def start(self, service: Service) -> None:
        """Start ``service`` in a process group of its own, its output in ``logs/<name>.log``."""
        self.logs.mkdir(parents=True, exist_ok=True)
        if service.folder is not None:
            service.folder.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{service.name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command lines
                service.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(service.environment),
                cwd=service.folder,
                start_new_session=True,
            )
        self.processes[service.name] = process
        self._lives.setdefault(service.name, _Life(service)).begin(service, self.monotonic())

    def mend(self, say: Callable[[str], None]) -> None:
        """Start again what has ended by itself, after a pause that grows with each end; call it often.

        ``say`` is told of each end in one line. Raises ``Misconfigured`` for a process that never got ready and keeps ending early.
        """
        for name, process in list(self.processes.items()):
            life, now, code = self._lives[name], self.monotonic(), process.poll()
            if code is None:
                life.go_on(now)
            elif life.restart_at is None:
                pause = life.end(now)
                if life.is_hopeless:
                    self.require_alive(name)
                say(f"{name} ended with code {code}; it is started again in {pause:.0f} s; see {self._log(name)}")
            elif now >= life.restart_at:
                self.start(life.service)

    def kill(self, name: str) -> None:
        """Kill one process at once (SIGKILL), as a crash would."""
        process = self.processes.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_ready(self, name: str, seconds: float, *, while_waiting: Callable[[], None] = lambda: None) -> float:
        """Wait until ``name`` answers its health address; the seconds it took. Raises ``Misconfigured`` naming its log."""
        service, started = self._lives[name].service, time.monotonic()
        while not (service.health_url is None or answers(service.health_url)):
            self.require_alive(name)
            if time.monotonic() - started > seconds:
                raise Misconfigured(f"{name} was not ready after {seconds:.0f} s; see {self._log(name)}", cause="not_ready")
            while_waiting()
            time.sleep(POLL_SECONDS)
        self.require_alive(name)
        self._lives[name].was_ready |= service.health_url is not None
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
