"""Who typed a command, and why: for the audit trail, and where two people are needed."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from workforce.errors import Refused
from workforce.events import Actor, ActorType

_LOGIN_ID = Path("/proc/self/loginuid")
_NOBODY_LOGGED_IN = 2**32 - 1
"""What the kernel says of services and of most containers (proc(5), ``/proc/pid/loginuid``)."""

_WANTED = {
    "reason": "say why; it is kept for whoever reads this later",
    "as": "give your address, as the package or the review names it",
}


def person() -> Actor:
    """Whoever typed: the account that logged in at this machine, which ``sudo`` and ``su`` do not change; else the one that runs this.

    Environment variables do not count: with ``USER=ben`` anybody would be a second person.
    """
    user = logged_in()
    return Actor(ActorType.HUMAN, account_name(os.getuid() if user is None else user), auth="cli")


def account_name(user: int) -> str:
    """The name of the account with that number; ``uid 1234`` for one that this machine does not know."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"


def stated(text: str, option: str) -> str:
    """What was given for ``--option``, trimmed. Raises ``Refused`` (cause ``no_<option>``) where it says nothing."""
    if not text.strip():
        wanted = _WANTED.get(option, "say it in words; it is kept for whoever reads this later")
        raise Refused(f"--{option}: {wanted}", cause=f"no_{option}", field=option)
    return text.strip()


def logged_in(place: Path = _LOGIN_ID) -> int | None:
    """The number of the account that logged in, as the kernel keeps it at ``place``; ``None`` where nobody did, or it keeps none."""
    try:
        user = int(place.read_text())
    except (OSError, ValueError):
        return None  # a kernel without audit
    return None if user == _NOBODY_LOGGED_IN else user
