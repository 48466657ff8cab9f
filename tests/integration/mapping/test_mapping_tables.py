"""The tables of mappings in life: what an upgrade makes of the pins before them, and what one tenant sees of another."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

import ledger.migrate
from ledger import failures, tenants
from ledger.database import Database, LedgerDefect
from ledger.mapping import pins, promotions
from ledger.mapping.promotions import PromotionKind
from ledger.postgres.embedded import EmbeddedPostgres
from ledger.writing import writes
from tests.integration.ledger_cases import stored_engagement
from workforce.events import HUB
from workforce.lineage import MappingUsed, RecordWrite
from workforce.versions import Running

pytestmark = pytest.mark.integration

V1 = MappingUsed(mapping_id="fieldglass__engagement", version="v0001", sha256="a" * 64)
OWNER = "stint_owner"


def _upgrade_to(dsn: str, revision: str) -> None:
    """Migrate as ``ledger.migrate`` does, but only as far as ``revision``."""
    config = Config()
    config.set_main_option("script_location", str(Path(ledger.migrate.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with psycopg.connect(dsn) as connection:
        engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=StaticPool)
        with engine.connect() as wrapped, wrapped.begin():
            config.attributes["connection"] = wrapped
            command.upgrade(config, revision)


@pytest.mark.usefixtures("dsn")  # with which the role stint_app is there
def test_pins_become_labels_also_where_the_owner_of_the_database_is_no_superuser(postgres: EmbeddedPostgres) -> None:
    admin = postgres.dsn("postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
        connection.execute(f"GRANT stint_app TO {OWNER} WITH ADMIN OPTION")
        connection.execute(f"CREATE DATABASE pins_before OWNER {OWNER}")
    owned = psycopg.conninfo.make_conninfo(postgres.dsn("pins_before"), options=f"-c role={OWNER}")
    try:
        _upgrade_to(owned, "0001")
        with psycopg.connect(owned) as connection:
            connection.execute("SELECT set_config('stint.tenant', 'acme', true)")
            connection.execute("INSERT INTO tenants (tenant, title) VALUES ('acme', 'Acme')")
            worker, engagement = uuid4(), uuid4()
            connection.execute(
                """
                INSERT INTO workers (tenant, id, marker, given_name, family_name, personal_email, country)
                VALUES ('acme', %s, 'm', 'Ada', 'Lovelace', 'ada@mail.example', 'GB')
                """,
                (worker,),
            )
            connection.execute(
                """
                INSERT INTO engagements (tenant, id, worker_id, vms_system, terms, source_version, state, end_at, mapping_pins)
                VALUES ('acme', %s, %s, 'fieldglass', '{"vms_id": "WO-1"}', '1', 'active', now(), %s)
                """,
                (engagement, worker, Jsonb({"fieldglass__engagement": 1, "engagement__gusto": 12})),
            )
        _upgrade_to(owned, "head")
        with psycopg.connect(owned) as connection:
            connection.execute("SELECT set_config('stint.tenant', 'acme', true)")
            (found,) = connection.execute("SELECT mapping_pins FROM engagements").fetchone() or (None,)
            forced = connection.execute("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'engagements'").fetchone()
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("DROP DATABASE pins_before WITH (FORCE)")
            connection.execute(f"DROP OWNED BY {OWNER}")
            connection.execute(f"DROP ROLE {OWNER}")
    assert found == {"fieldglass__engagement": "v0001", "engagement__gusto": "v0012"}
    assert forced == (True,)


def test_one_tenant_sees_nothing_of_anothers_promotions_writes_and_pins(database: Database) -> None:
    engagement = stored_engagement(database, "WO-1")
    with database.system() as tx:
        tenants.create(tx, "rival", "Rival")
    with database.transaction("acme") as tx:
        promotions.adopt(tx, V1, date(2026, 1, 1))
        writes.remember(tx, engagement.id, RecordWrite(system="gusto", mapping=V1, fields={}))
        failures.park(tx, cause="new_value", message="m", subject="s", group_key="g")
    with database.transaction("rival") as tx:
        assert promotions.history(tx) == []
        assert promotions.current(tx, V1.mapping_id, date(2027, 1, 1)) is None
        assert promotions.fixed(tx, V1.mapping_id, V1.version) is None
        assert writes.history(tx, engagement.id) == []
        assert pins.counts(tx) == {}
        assert pins.elsewhere(tx, V1.mapping_id, "t0001", limit=10) == []
        assert failures.groups(tx) == []
        assert failures.count(tx, "g") == 0


def test_what_was_promoted_is_never_rewritten(database: Database) -> None:
    with database.transaction("acme") as tx:
        proposal = promotions.propose(
            tx,
            V1,
            effective_from=date(2026, 1, 1),
            kind=PromotionKind.PROMOTION,
            running=Running.PIN,
            reason="because",
            actor=HUB,
        )
        promotions.approve(tx, proposal.id, HUB)
    for statement in (
        "UPDATE mapping_promotions SET sha256 = 'another'",
        "UPDATE mapping_promotions SET reason = 'another'",
        "DELETE FROM mapping_promotions",
        "DELETE FROM record_writes",
        "UPDATE record_writes SET changed = '{}'",
    ):
        with pytest.raises(LedgerDefect) as refusal, database.transaction("acme") as tx:
            tx.execute(statement)  # type: ignore[arg-type]  # literals, in a list
        assert refusal.value.sqlstate == "42501"
