"""Servers that run for the length of a test or a demo: free ports, and waiting until one takes connections."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable

CANNOT_RUN_HERE = "cannot_run_here"
"""The cause of the error that a sandbox raises where its server is not installed, or needs rights that we do not have."""

_START_SECONDS = 20.0
_LOOK_AGAIN_SECONDS = 0.02


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the process takes connections on ``port`` (true) or has ended (false)."""
    return is_ready(process, lambda: socket.create_connection(("127.0.0.1", port), 1))


def is_ready(process: subprocess.Popen[bytes], connect: Callable[[], socket.socket]) -> bool:
    """Wait until the process can be connected to (true) or has ended (false), looking again whenever it has had 20 ms to go on."""
    for _ in range(int(_START_SECONDS / _LOOK_AGAIN_SECONDS)):
        try:
            process.wait(_LOOK_AGAIN_SECONDS)
        except subprocess.TimeoutExpired:
            if _connects(connect):
                return True
        else:
            return False
    end(process)
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End this process, and no other."""
    process.terminate()
    process.wait()


def _connects(connect: Callable[[], socket.socket]) -> bool:
    try:
        connect().close()
    except OSError:
        return False
    return True
