"""An installation on this machine: its database running and migrated, and its hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from config.hub import Hub, build_hub, ledger_dsn
from config.settings import Settings
from ledger.migrate import is_current, upgrade
from ledger.postgres.embedded import EmbeddedPostgres
from workforce.errors import Misconfigured

CONNECTIONS = 10
"""Opened as they are needed: a dry run reads several records at a time."""


@contextmanager
def running_database(settings: Settings) -> Iterator[None]:
    """The ledger's database, migrated. The embedded one is started if nobody has; the last process that uses it stops it."""
    if settings.database_url is not None:
        _migrate(settings)
        yield
        return
    _make_place(settings)
    with EmbeddedPostgres(settings.postgres_dir):
        _migrate(settings)
        yield


def _make_place(settings: Settings) -> None:
    """The folder of the installation. Raises ``Misconfigured`` where this account may not make it, or write in it."""
    try:
        settings.postgres_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = (
            f"STINT_DATA_DIR: {settings.data_dir} cannot be made: {error.strerror}; name a folder in which this account may write"
        )
        raise Misconfigured(message, cause="no_data_dir", field="data_dir") from None


def _migrate(settings: Settings) -> None:
    dsn = ledger_dsn(settings)
    if not is_current(dsn):
        upgrade(dsn)


@contextmanager
def open_hub(settings: Settings) -> Iterator[Hub]:
    """The hub of this installation, for one command."""
    with running_database(settings):
        hub = build_hub(settings, max_connections=CONNECTIONS)
        try:
            yield hub
        finally:
            hub.close()
