"""Bringing the ledger's schema up to date, and the cheap question whether it is."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from ledger.database import outage_as_retry_later
from workforce.errors import Misconfigured

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x5354494E54  # "STINT": one migration at a time on a database


def head() -> str:
    """The newest revision, from the names of the revision files (``v0001_….py``)."""
    return max(file.name[1:5] for file in (_MIGRATIONS / "versions").glob("v[0-9]*.py"))


def is_current(dsn: str) -> bool:
    """Whether the database is at the newest revision. Cheap: Alembic is not imported. Raises ``RetryLater``."""
    with outage_as_retry_later(), psycopg.connect(dsn, connect_timeout=5) as connection:
        known = connection.execute("SELECT to_regclass('public.alembic_version')").fetchone()
        if known is None or known[0] is None:
            return False
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row is not None and row[0] == head()


def upgrade(dsn: str) -> None:
    """Run the missing revisions in one transaction. Safe to call at once from several processes.

    The connecting user must be allowed to create tables and, the first time on a server, the role ``stint_app``; otherwise raises
    ``Misconfigured``. Raises ``RetryLater`` when the database is away.
    """
    with outage_as_retry_later(), psycopg.connect(dsn, connect_timeout=5) as connection:
        try:
            _run(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Misconfigured(
                f"database_url: the user may not do this: {error.diag.message_primary}; migrate as the database's owner, "
                "after an administrator has run: CREATE ROLE stint_app NOLOGIN",
                cause="database_privilege",
                field="database_url",
            ) from error


def _run(connection: psycopg.Connection[TupleRow]) -> None:
    # Alembic and SQLAlchemy take half a second to import: only who migrates pays for it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=StaticPool)
    with engine.connect() as wrapped, wrapped.begin():
        # Here and not before: a new engine asks its first connection a few things and rolls that back, which gives up every lock.
        wrapped.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        config.attributes["connection"] = wrapped
        command.upgrade(config, "head")
