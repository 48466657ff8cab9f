"""The supervisor: what it starts it watches, and it ends nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.supervisor import EARLY_ENDS, EARLY_SECONDS, LONGEST_PAUSE_SECONDS, Supervisor
from config.services import Service
from workforce.errors import Misconfigured

PATIENCE_SECONDS = 30.0
SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
# Each says that it was asked to end, and when it has ended.
POLITE = """
import pathlib, signal, sys, time
def end(*_):
    with pathlib.Path({book!r}).open("a") as book:
        book.write("{name} asked\\n"); book.flush(); time.sleep(0.2); book.write("{name} ended\\n")
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(600)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs", grace_seconds=PATIENCE_SECONDS) as supervisor:
        yield supervisor


def service(name: str, program: str) -> Service:
    return Service(name, (sys.executable, "-c", program), None)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it did not happen")
        time.sleep(0.01)


def start(supervisor: Supervisor, name: str, program: str) -> subprocess.Popen[bytes]:
    """Start a program and wait until it says that it is ready."""
    supervisor.start(service(name, program))
    log = supervisor.logs / f"{name}.log"
    until(lambda: "ready" in log.read_text())
    return supervisor.processes[name]


def test_a_process_without_a_health_address_is_ready_while_it_lives(supervisor: Supervisor) -> None:
    start(supervisor, "worker", SLEEP)
    supervisor.wait_ready("worker", PATIENCE_SECONDS)


def test_a_process_that_ends_is_reported_with_its_code_and_the_end_of_its_log(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(service("worker", "import sys\nfor n in range(30): print('line', n)\nsys.exit(3)"))
    supervisor.processes["worker"].wait(PATIENCE_SECONDS)
    with pytest.raises(Misconfigured, match="worker ended with code 3") as raised:
        supervisor.require_alive("worker")
    first, *tail = str(raised.value).splitlines()
    assert str(tmp_path / "logs" / "worker.log") in first
    assert tail == [f"line {n}" for n in range(18, 30)]
    assert raised.value.cause == "process_ended"


def test_a_process_that_ends_while_it_is_waited_for_is_reported_at_once(supervisor: Supervisor) -> None:
    supervisor.start(service("worker", "print('no database')"))
    supervisor.processes["worker"].wait(PATIENCE_SECONDS)
    with pytest.raises(Misconfigured, match="no database"):
        supervisor.wait_ready("worker", PATIENCE_SECONDS)


def test_the_log_of_an_earlier_start_is_kept(supervisor: Supervisor) -> None:
    for word in ("first", "second"):
        supervisor.start(service("worker", f"print('{word}')"))
        supervisor.processes["worker"].wait(PATIENCE_SECONDS)
    assert (supervisor.logs / "worker.log").read_text().split() == ["first", "second"]


def test_a_service_gets_its_own_environment_and_no_other(supervisor: Supervisor) -> None:
    program = "import os; print(sorted(key for key in os.environ if key.startswith(('STINT_', 'HOME'))))"
    supervisor.start(Service("worker", (sys.executable, "-c", program), None, {"STINT_LEASE_SECONDS": "5"}))
    supervisor.processes["worker"].wait(PATIENCE_SECONDS)
    assert (supervisor.logs / "worker.log").read_text().strip() == "['STINT_LEASE_SECONDS']"


def test_the_last_one_started_ends_first_and_each_has_time_to_finish(supervisor: Supervisor, tmp_path: Path) -> None:
    book = tmp_path / "book"
    names = ("receiver", "prefect", "worker")
    processes = [start(supervisor, name, POLITE.format(book=str(book), name=name)) for name in names]
    supervisor.stop()
    assert [process.poll() for process in processes] == [0, 0, 0]
    assert book.read_text().splitlines() == [f"{name} {done}" for name in reversed(names) for done in ("asked", "ended")]
    assert supervisor.processes == {}


def test_one_that_does_not_listen_is_killed_after_its_time(tmp_path: Path) -> None:
    with Supervisor(tmp_path, grace_seconds=0.1) as supervisor:
        process = start(supervisor, "worker", STUBBORN)
    assert process.poll() == -9


def test_what_somebody_else_started_lives_on(supervisor: Supervisor) -> None:
    start(supervisor, "worker", SLEEP)
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as stranger:  # noqa: S603  our own program
        supervisor.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_a_killed_process_is_gone_at_once_and_may_be_started_again(supervisor: Supervisor) -> None:
    killed = start(supervisor, "worker", STUBBORN)
    supervisor.kill("worker")
    assert killed.poll() == -9
    assert start(supervisor, "worker", SLEEP).poll() is None


def test_killing_one_that_has_ended_by_itself_is_no_error(supervisor: Supervisor) -> None:
    supervisor.start(service("worker", "pass"))
    until(lambda: supervisor.processes["worker"].poll() is not None)
    supervisor.kill("worker")
    assert supervisor.processes == {}


def test_everything_ends_with_the_block_also_after_an_error(tmp_path: Path) -> None:
    started = []

    def fall_over() -> None:
        with Supervisor(tmp_path, grace_seconds=PATIENCE_SECONDS) as supervisor:
            started.append(start(supervisor, "worker", SLEEP))
            raise Misconfigured("no")

    with pytest.raises(Misconfigured, match="no"):
        fall_over()
    assert started[0].poll() == -15


# Processes that end by themselves


class Time:
    """A monotonic clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds


class Mended:
    """A supervisor in the test's own time, and the lines that it told."""

    def __init__(self, supervisor: Supervisor, time: Time) -> None:
        self.supervisor, self.time = supervisor, time
        self.told: list[str] = []

    def mend(self) -> None:
        self.supervisor.mend(self.told.append)

    def live(self, name: str, seconds: float) -> None:
        """Let ``name`` run for so long, seen alive, and end."""
        self.time.seconds += seconds
        self.mend()
        process = self.supervisor.processes[name]
        process.kill()
        process.wait(PATIENCE_SECONDS)
        self.mend()

    def pause(self) -> float:
        """The pause told last, over which this passes; the process runs again."""
        seconds = float(self.told[-1].partition(" in ")[2].partition(" s;")[0])
        self.time.seconds += seconds
        self.mend()
        return seconds


@pytest.fixture
def mended(tmp_path: Path) -> Iterator[Mended]:
    time = Time()
    with Supervisor(tmp_path / "logs", grace_seconds=PATIENCE_SECONDS, monotonic=time.now) as supervisor:
        yield Mended(supervisor, time)


def test_one_that_ends_by_itself_is_started_again_and_the_others_are_left_alone(mended: Mended) -> None:
    other = start(mended.supervisor, "receiver", SLEEP)
    first = start(mended.supervisor, "prefect", SLEEP)
    mended.live("prefect", 600)
    mended.mend()
    assert mended.supervisor.processes["prefect"] is first  # its pause is not over
    assert mended.pause() == 1
    second = mended.supervisor.processes["prefect"]
    assert (second.poll(), second is first) == (None, False)
    assert (mended.supervisor.processes["receiver"], other.poll()) == (other, None)
    assert mended.told == [
        f"prefect ended with code -9; it is started again in 1 s; see {mended.supervisor.logs / 'prefect.log'}"
    ]


def test_the_pause_grows_with_each_end_up_to_a_minute(mended: Mended) -> None:
    start(mended.supervisor, "worker", SLEEP)
    pauses = []
    for _ in range(8):
        mended.live("worker", EARLY_SECONDS)
        pauses.append(mended.pause())
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_after_a_long_life_the_pause_is_short_again(mended: Mended) -> None:
    start(mended.supervisor, "worker", SLEEP)
    pauses = []
    for seconds in (EARLY_SECONDS, EARLY_SECONDS, LONGEST_PAUSE_SECONDS):
        mended.live("worker", seconds)
        pauses.append(mended.pause())
    assert pauses == [1, 2, 1]


def test_one_that_never_gets_ready_is_given_up_with_the_end_of_its_log(mended: Mended) -> None:
    mended.supervisor.start(service("worker", "import time; print('no database', flush=True); time.sleep(600)"))
    for _ in range(EARLY_ENDS - 1):
        mended.live("worker", 0)
        mended.pause()
    until(lambda: "no database" in (mended.supervisor.logs / "worker.log").read_text())
    with pytest.raises(Misconfigured, match="worker ended with code -9") as raised:
        mended.live("worker", 0)
    assert "no database" in str(raised.value)
    assert len(mended.told) == EARLY_ENDS - 1


def test_one_that_was_ready_once_is_not_given_up(mended: Mended) -> None:
    start(mended.supervisor, "worker", SLEEP)
    mended.live("worker", EARLY_SECONDS)
    mended.pause()
    for _ in range(EARLY_ENDS + 1):
        mended.live("worker", 0)
        mended.pause()
    assert mended.supervisor.processes["worker"].poll() is None


def test_a_service_runs_in_its_own_folder_which_is_made(supervisor: Supervisor, tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import os; print(os.getcwd())")
    supervisor.start(Service("worker", command, None, folder=tmp_path / "data"))
    supervisor.processes["worker"].wait(PATIENCE_SECONDS)
    assert (supervisor.logs / "worker.log").read_text().strip() == str(tmp_path / "data")
