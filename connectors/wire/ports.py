"""Ports on loopback for servers that have to be told one."""

from __future__ import annotations

import secrets
import socket

_PORTS = range(15_000, 30_000)
"""Below those that Linux (32768) and macOS (49152) give to whoever asks for any: a port of ours is not taken in the meantime so easily."""
_TRIES = 200


def free_port() -> int:
    """A port that nobody listens on just now; somebody may before you do. Raises ``OSError`` where none is found.

    Chosen by the system's randomness, because several processes may look at the same time, with the same seed.
    """
    for _ in range(_TRIES):
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port of {_PORTS.start} to {_PORTS.stop - 1} is free on 127.0.0.1 in {_TRIES} tries")
