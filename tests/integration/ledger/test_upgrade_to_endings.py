"""What had ended before endings were counted is counted as one that no feed takes back."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import psycopg
import pytest

from ledger.migrate import __file__ as migrate_file
from ledger.migrate import is_current, upgrade
from ledger.postgres.embedded import EmbeddedPostgres

pytestmark = pytest.mark.integration

VERSIONS = Path(migrate_file).parent / "migrations" / "versions"
KNOWN = """
INSERT INTO tenants (tenant, title) VALUES ('acme', 'Acme');
INSERT INTO workers (tenant, id, marker, given_name, family_name, personal_email, country)
VALUES ('acme', '00000000-0000-0000-0000-000000000001', 'm-1', 'Ada', 'Lovelace', 'ada@mail.example', 'DE');
INSERT INTO engagements (tenant, id, worker_id, vms_system, terms, source_version, state, end_at, tombstoned_at)
VALUES ('acme', '00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'fieldglass', '{"vms_id": "WO-1"}', '1',
        'ending', '2026-06-30', '2026-07-01'),
       ('acme', '00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-000000000001', 'fieldglass', '{"vms_id": "WO-2"}', '1',
        'active', '2027-06-30', NULL);
"""


@pytest.mark.usefixtures("_template")
def test_endings_that_had_begun_before_the_upgrade_are_kept_for_an_owner_that_is_no_superuser(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE upgrading LOGIN")
        admin.execute("GRANT stint_app TO upgrading WITH ADMIN OPTION")
        admin.execute("CREATE DATABASE upgrading OWNER upgrading")
    dsn = postgres.dsn("upgrading").replace("user=postgres", "user=upgrading")
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('0002')")
        connection.execute(resources.files("procrastinate").joinpath("sql", "schema.sql").read_text().encode())
        for name in ("v0001_initial", "v0002_mappings"):
            connection.execute((VERSIONS / f"{name}.sql").read_text().encode())
        connection.execute("SELECT set_config('stint.tenant', 'acme', true)")
        connection.execute(KNOWN)
    upgrade(dsn)
    assert is_current(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT set_config('stint.tenant', 'acme', true)")
        rows = connection.execute("SELECT engagement_id::text, number, cause, began_by FROM endings").fetchall()
    assert rows == [("00000000-0000-0000-0000-000000000002", 1, "before_upgrade", "stint")]
