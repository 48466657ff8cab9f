"""Other databases beside the ledger's, on the same server: Prefect's, and those of a demonstration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from workforce.errors import Misconfigured, RetryLater


def ensure_database(dsn: str, name: str) -> None:
    """Make the database ``name`` on the server of ``dsn`` if it does not exist.

    Raises ``Misconfigured`` when the role may not create databases, ``RetryLater`` while the server is away.
    """
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # another process made it in between
    except psycopg.errors.InsufficientPrivilege:
        message = f"the role may not create the database {name}; create it, owned by that role, and start again"
        raise Misconfigured(message, cause="cannot_create_database", field="database_url") from None
    except psycopg.OperationalError as error:
        raise RetryLater(f"PostgreSQL cannot be reached ({type(error).__name__})", cause="database_unavailable") from None


def drop_database(dsn: str, name: str) -> None:
    """Drop the database ``name`` on the server of ``dsn`` with all connections to it; nothing where there is none.

    Raises ``Misconfigured`` when it is another role's, ``RetryLater`` while the server is away.
    """
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege:
        message = f"the role may not drop the database {name}; drop it yourself"
        raise Misconfigured(message, cause="cannot_drop_database", field="database_url") from None
    except psycopg.OperationalError as error:
        raise RetryLater(f"PostgreSQL cannot be reached ({type(error).__name__})", cause="database_unavailable") from None


@contextmanager
def passing_database(dsn: str, name: str) -> Iterator[str]:
    """A new database ``name`` on the server of ``dsn``, as a conninfo; dropped with the block."""
    ensure_database(dsn, name)
    try:
        yield sibling_dsn(dsn, name)
    finally:
        drop_database(dsn, name)


def sibling_dsn(dsn: str, name: str) -> str:
    """``dsn``, but for the database ``name``."""
    return make_conninfo(dsn, dbname=name)


def without_password(dsn: str) -> str:
    """``dsn`` as a conninfo that may be shown."""
    return make_conninfo("", **{key: value for key, value in conninfo_to_dict(dsn).items() if key != "password"})


def asyncpg_url(dsn: str) -> str:
    """``dsn`` (libpq's conninfo or URL) as an SQLAlchemy URL with asyncpg, which is what Prefect's server takes.

    Raises ``Misconfigured`` for options that asyncpg does not know by the same name.
    """
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    known = {"host", "port", "user", "password", "dbname", "sslmode", "connect_timeout", "application_name"}
    if unknown := sorted(parts.keys() - known):
        message = f"database_url: Prefect's driver does not know {', '.join(unknown)}; set STINT_PREFECT_DATABASE_URL yourself"
        raise Misconfigured(message, field="database_url")
    user = quote(parts.get("user", ""), safe="")
    password = f":{quote(parts['password'], safe='')}" if "password" in parts else ""
    query = {"host": parts.get("host", ""), "port": parts.get("port", ""), "ssl": parts.get("sslmode", "")}
    options = urlencode({key: value for key, value in query.items() if value}, safe="/")
    return f"postgresql+asyncpg://{user}{password}@/{parts.get('dbname', '')}{'?' if options else ''}{options}"
