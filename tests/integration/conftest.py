"""Real servers for the tests of one process: PostgreSQL with a fresh migrated database for each test, and directories."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cli.demo.world import World
from cli.demo.world import client_company as a_company
from config.hub import Hub
from config.secrets import SecretStore
from config.settings import Settings
from connectors.activedirectory.sandbox import SambaSandbox
from connectors.docusign.sandbox import DocuSignSandbox
from connectors.fieldglass.sandbox import FieldglassSandbox
from connectors.ldap.dirsrv import DirsrvSandbox
from connectors.ldap.sandbox import SlapdSandbox
from connectors.suite.sandbox import serve
from connectors.wire.tls import TlsFiles, make_loopback_tls
from ledger import tenants
from ledger.database import Database
from ledger.migrate import upgrade
from ledger.postgres.embedded import EmbeddedPostgres
from tests.integration.company import Company, client_company
from tests.integration.installed import Installed

TEMPLATE = "stint_template"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running server in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="stint-pg-") as folder, EmbeddedPostgres(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def _template(postgres: EmbeddedPostgres) -> str:
    dsn = postgres.dsn(TEMPLATE)
    upgrade(dsn)
    database = Database(dsn)
    database.open()
    with database.system() as tx:
        tenants.create(tx, "acme", "Acme")
    database.close()
    return TEMPLATE


@pytest.fixture
def dsn(postgres: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """The conninfo of a fresh, migrated database in which the tenant ``acme`` exists, as its owner."""
    name = f"test_{next(_NUMBERS)}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {_template}")
        yield postgres.dsn(name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    """The same, opened as the application."""
    database = Database(dsn, max_connections=16)
    database.open()
    yield database
    database.close()


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlapdSandbox]:
    """OpenLDAP."""
    with SlapdSandbox(tmp_path_factory.mktemp("directory") / "slapd") as server:
        yield server


@pytest.fixture(scope="session")
def dirsrv(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirsrvSandbox]:
    """389 Directory Server, where it is installed."""
    with DirsrvSandbox(tmp_path_factory.mktemp("directory") / "389") as server:
        yield server


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaSandbox]:
    """A domain controller, where it is installed and we are root."""
    with SambaSandbox(tmp_path_factory.mktemp("directory") / "dc") as server:
        yield server


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """An authority and a certificate for servers on loopback."""
    return make_loopback_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def systems(tls: TlsFiles) -> Iterator[dict[str, tuple[Any, str]]]:
    """The sandboxes of a company's e-signature and VMS, and their addresses."""
    docusign, fieldglass = DocuSignSandbox(), FieldglassSandbox()
    with serve(docusign.app, tls) as docusign_url, serve(fieldglass.app, tls) as fieldglass_url:
        yield {"docusign": (docusign, docusign_url), "fieldglass": (fieldglass, fieldglass_url)}


@pytest.fixture
def company(database: Database, systems: dict[str, tuple[Any, str]], tls: TlsFiles, tmp_path: Path) -> Iterator[Company]:
    """A client company on the real ledger."""
    with client_company(database, tmp_path, systems, tls.ca) as company:
        yield company


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every vendor of a company, and its directory, running."""
    with a_company(tmp_path_factory.mktemp("company"), timeout_seconds=5.0) as world:
        yield world


@pytest.fixture
def installed(world: World, database: Database, tmp_path: Path) -> Iterator[Installed]:
    """A hub for that company on a fresh ledger."""
    settings = Settings(data_dir=tmp_path, internal_hosts="localhost")
    hub = Hub(settings, database, SecretStore(settings.secrets))
    installed = Installed(hub, world)
    installed.apply()
    yield installed
    hub.close()
