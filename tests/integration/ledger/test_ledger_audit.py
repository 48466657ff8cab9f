from __future__ import annotations

import threading
import traceback
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import documents, failures, tenants
from ledger.database import Database, LedgerDefect
from ledger.trail import audit, checkpoint
from ledger.trail.checkpoint import Signer
from ledger.trail.verify import verify_tenant
from workforce.errors import Refused
from workforce.events import Actor, ActorType

pytestmark = pytest.mark.integration

PERSON = Actor(ActorType.HUMAN, "grace", auth="cli")
CHANGES: list[LiteralString] = [
    "UPDATE audit_events SET event = replace(event, 'success', 'failure')",
    "DELETE FROM audit_events WHERE seq = 1",
    "TRUNCATE audit_events",
]


@pytest.fixture
def signer() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


def write(database: Database, number: int, *, tenant: str = "acme") -> None:
    for place in range(number):
        with database.transaction(tenant) as tx:
            audit.note(tx, "account.disabled", target=("account", f"a-{place}"), place=place)


@pytest.mark.parametrize("change", CHANGES)
def test_the_application_cannot_change_the_trail(database: Database, change: LiteralString) -> None:
    write(database, 1)
    with pytest.raises(LedgerDefect, match="InsufficientPrivilege"), database.transaction("acme") as tx:
        tx.execute(change)


@pytest.mark.parametrize("change", CHANGES)
def test_not_even_the_owner_can_change_the_trail(dsn: str, database: Database, change: LiteralString) -> None:
    write(database, 1)
    with psycopg.connect(dsn) as owner, pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        owner.execute(change)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "INSERT INTO workers (tenant, id, family_name) VALUES ('acme', gen_random_uuid(), 'Lovelace')",
            "NotNullViolation, SQLSTATE 23502",
        ),
        ("SELECT 'Lovelace'::int", "InvalidTextRepresentation, SQLSTATE 22P02"),
        ("SELECT %(name)s::text", "DataError, SQLSTATE none"),
    ],
)
def test_what_the_database_refuses_is_told_without_the_row(database: Database, statement: LiteralString, told: str) -> None:
    with pytest.raises(LedgerDefect, match=told) as defect, database.transaction("acme") as tx:
        tx.execute(statement, name="Lovelace\0") if "%" in statement else tx.execute(statement)
    traced = "".join(traceback.format_exception(defect.value))
    assert "in execute" in traced
    assert "DETAIL" not in traced
    assert "psycopg.errors" not in traced


def test_a_tenant_sees_its_own_rows_and_nobody_sees_rows_without_a_tenant(database: Database) -> None:
    with database.system() as tx:
        tenants.create(tx, "other")
    write(database, 2)
    write(database, 1, tenant="other")
    with database.transaction("other") as tx:
        assert len(audit.entries(tx)) == 1
        assert tx.the("SELECT count(*) AS number FROM audit_events")["number"] == 1
    with database.system() as tx:
        assert tx.the("SELECT count(*) AS number FROM audit_events")["number"] == 0
    with pytest.raises(LedgerDefect, match="InsufficientPrivilege"), database.transaction("other") as tx:
        tx.execute("INSERT INTO poll_cursors (tenant, instance, cursor) VALUES ('acme', 'fieldglass', 'stolen')")


def test_every_table_with_a_tenant_has_row_security(database: Database) -> None:
    with database.system() as tx:
        open_tables = tx.all(
            """
            SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant'
            WHERE relkind = 'r' AND relname <> 'tenants' AND NOT (relrowsecurity AND relforcerowsecurity)
            """
        )
    assert open_tables == []


def test_the_event_is_written_with_its_cause_or_not_at_all(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction("acme") as tx:
        _ = failures.park(tx, cause="test", message="never kept").count / 0
    with database.transaction("acme") as tx:
        assert audit.entries(tx) == []
        assert failures.list_open(tx) == []


def test_many_writers_at_once_make_one_chain_without_gaps(database: Database, signer: Signer, tmp_path: Path) -> None:
    writers = [threading.Thread(target=write, args=(database, 10)) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    checkpoint.write(database, "acme", signer, tmp_path)
    report = verify_tenant(database, "acme", tmp_path, signer.public_key)
    assert report.faults == []
    assert (report.events, report.covered) == (80, 80)


def test_a_checkpoint_is_written_only_for_new_events(database: Database, signer: Signer, tmp_path: Path) -> None:
    assert checkpoint.write(database, "acme", signer, tmp_path) is None
    write(database, 3)
    first = checkpoint.write(database, "acme", signer, tmp_path)
    assert first is not None
    assert first.size == 3
    assert checkpoint.write(database, "acme", signer, tmp_path) is None
    write(database, 1)
    assert checkpoint.write(database, "acme", signer, tmp_path) is not None
    assert verify_tenant(database, "acme", tmp_path, signer.public_key).checkpoints == 2


def test_an_old_hash_is_read_only_when_something_is_new(dsn: str, database: Database, signer: Signer, tmp_path: Path) -> None:
    write(database, 3)
    checkpoint.write(database, "acme", signer, tmp_path)
    with psycopg.connect(dsn) as owner:
        owner.execute("REVOKE SELECT ON audit_events FROM stint_app")
        owner.execute("GRANT SELECT (tenant, seq) ON audit_events TO stint_app")
    assert checkpoint.write(database, "acme", signer, tmp_path) is None
    with psycopg.connect(dsn) as owner:
        owner.execute("INSERT INTO audit_events SELECT tenant, 4, prev_hash, event_hash, event FROM audit_events WHERE seq = 3")
    with pytest.raises(LedgerDefect):
        checkpoint.write(database, "acme", signer, tmp_path)


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE audit_events SET event = replace(event, '\"place\":1', '\"place\":7') WHERE seq = 2",
        "DELETE FROM audit_events WHERE seq = 3",
        "DELETE FROM audit_events WHERE seq = 2",
        "DELETE FROM audit_events",
        "UPDATE audit_events SET seq = 9 WHERE seq = 3",
        "UPDATE audit_events SET event_hash = prev_hash WHERE seq = 2",
    ],
)
def test_what_a_superuser_does_behind_the_triggers_is_found(
    dsn: str, database: Database, signer: Signer, tmp_path: Path, attack: LiteralString
) -> None:
    write(database, 3)
    checkpoint.write(database, "acme", signer, tmp_path)
    with psycopg.connect(dsn) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(attack)
    assert not verify_tenant(database, "acme", tmp_path, signer.public_key).ok


def test_a_trail_without_its_checkpoint_file_and_a_shortened_one_are_found(
    dsn: str, database: Database, signer: Signer, tmp_path: Path
) -> None:
    write(database, 3)
    assert not verify_tenant(database, "acme", tmp_path, signer.public_key).ok
    checkpoint.write(database, "acme", signer, tmp_path)
    with psycopg.connect(dsn) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM audit_events WHERE seq = 3")
    with pytest.raises(Refused, match="stint audit verify") as refusal:
        checkpoint.write(database, "acme", signer, tmp_path)
    assert refusal.value.cause == "audit_rolled_back"


def test_a_configuration_is_a_new_version_only_when_it_changed(database: Database) -> None:
    with database.transaction("acme") as tx:
        assert documents.current(tx) == documents.Documents(0, {})
        assert documents.apply(tx, {"tenant.yaml": "name: Acme\n"}, PERSON) == 1
        assert documents.apply(tx, {"tenant.yaml": "name: Acme\n"}, PERSON) == 1
        assert documents.apply(tx, {"tenant.yaml": "name: Acme Ltd\n", "more.yaml": ""}, PERSON) == 2
    with database.transaction("acme") as tx:
        assert documents.version(tx) == 2
        assert documents.current(tx).files == {"tenant.yaml": "name: Acme Ltd\n", "more.yaml": ""}
        assert documents.current(tx, 1).files == {"tenant.yaml": "name: Acme\n"}
        applied = audit.entries(tx, action="configuration.applied")
    assert [(entry.event["actor"]["id"], entry.event["target"]["id"]) for entry in applied] == [("grace", "1"), ("grace", "2")]


def test_a_tenant_is_made_once_and_its_name_is_checked(database: Database) -> None:
    with database.system() as tx:
        assert tenants.create(tx, "globex", "Globex")
        assert not tenants.create(tx, "globex", "Globex again")
        assert [tenant.tenant for tenant in tenants.list_all(tx)] == ["acme", "globex"]
        assert tenants.exists(tx, "globex")
        with pytest.raises(Refused, match="a-z"):
            tenants.create(tx, "Globex GmbH")
