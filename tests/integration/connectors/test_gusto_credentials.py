"""Gusto's rotating refresh token in the real ledger: it outlives the process, and processes share it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import pytest
import structlog
from psycopg import sql
from pydantic import SecretStr

from config.hub import Hub
from config.secrets import SecretStore
from config.settings import Settings
from connectors.contract import Instance
from connectors.docusign.sandbox import DocuSignSandbox
from connectors.gusto import CONNECTOR
from connectors.gusto.client import GustoClient
from connectors.gusto.sandbox import GustoSandbox
from connectors.suite.sandbox import ON_LOOPBACK, serve
from connectors.wire.tls import TlsFiles
from ledger import documents, tenants
from ledger.database import Database, LedgerDefect
from ledger.trail import audit
from ledger.vault.credentials import LedgerCredentials
from tests.tenant_documents import as_files, instance, tenant_content
from workforce.errors import Misconfigured, RetryLater
from workforce.events import HUB
from workforce.ports import CheckResult

pytestmark = pytest.mark.integration

KEY = b"k" * 32


@dataclass
class Company:
    """One company at Gusto whose hub runs as many processes as a test starts, each with connections of its own."""

    sandbox: GustoSandbox
    url: str
    ca_file: Path
    dsn: str
    seed: str
    ends: ExitStack = field(repr=False)

    def process(self) -> Instance:
        """The instance as a newly started process has it: nothing in memory."""
        database = Database(self.dsn, max_connections=1)
        database.open()
        self.ends.callback(database.close)
        form = {**self.sandbox.refreshing_settings(self.url, self.ca_file), "refresh_token": SecretStr(self.seed)}
        store = LedgerCredentials(database, "acme", "gusto", KEY)
        started = Instance("gusto", CONNECTOR, CONNECTOR.settings.model_validate(form), replace(ON_LOOPBACK, credentials=store))
        self.ends.enter_context(closing(started))
        return started

    @property
    def renewals(self) -> int:
        return self.sandbox.effects.count("rotate_refresh_token")


@pytest.fixture
def company(tls: TlsFiles, dsn: str) -> Iterator[Company]:
    sandbox = GustoSandbox(latency_seconds=0.05)
    with serve(sandbox.app, tls) as url, ExitStack() as ends:
        yield Company(sandbox, url, tls.ca, dsn, sandbox.refresh_token, ends)


def at_once(*calls: Callable[[], CheckResult]) -> list[CheckResult]:
    """All the calls, let go together."""
    barrier, answers = threading.Barrier(len(calls)), []

    def run(call: Callable[[], CheckResult]) -> None:
        barrier.wait()
        answers.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_restarted_process_continues_with_the_rotated_token(company: Company) -> None:
    assert company.process().client.check().ok
    restarted = company.process()
    assert restarted.client.check().ok
    assert company.renewals == 1
    company.sandbox.access_tokens.clear()
    assert restarted.client.check().ok
    company.sandbox.access_tokens.clear()
    assert company.process().client.check().ok
    assert company.renewals == 3


def test_processes_that_renew_at_once_spend_one_refresh_token(company: Company) -> None:
    processes = [company.process() for _ in range(4)]
    assert all(answer.ok for answer in at_once(*(process.client.check for process in processes)))
    assert company.renewals == 1
    company.sandbox.access_tokens.clear()
    assert all(answer.ok for answer in at_once(*(process.client.check for process in processes)))
    assert company.renewals == 2


def test_a_new_seed_wins_and_a_process_with_the_old_one_cannot_spoil_it(company: Company) -> None:
    old = company.process()
    assert old.client.check().ok
    company.sandbox.access_tokens.clear()
    company.seed = company.sandbox.refresh_token = "authorised-again"
    assert company.process().client.check().ok
    refused = old.client.check()
    assert not refused.ok
    assert "authorise the hub again" in refused.detail
    assert company.process().client.check().ok
    assert company.renewals == 2


def newest_access(company: Company) -> str:
    return list(company.sandbox.access_tokens)[-1]


def test_a_renewal_that_gusto_refuses_changes_nothing_and_lets_the_next_one_try(company: Company, database: Database) -> None:
    good, company.seed = company.seed, "revoked"
    assert not company.process().client.check().ok
    company.seed = good
    assert company.process().client.check().ok
    with database.transaction("acme") as tx:
        assert [entry.event["target"]["id"] for entry in audit.entries(tx, action="credential.rotated")] == ["gusto"]


def test_the_tokens_are_nowhere_in_the_clear(company: Company, dsn: str) -> None:
    with structlog.testing.capture_logs() as logs:
        process = company.process()
        assert process.client.check().ok
        company.sandbox.access_tokens.clear()
        assert process.client.check().ok
        company.sandbox.refresh_token = "changed-behind-our-back"
        access = newest_access(company)
        company.sandbox.access_tokens.clear()
        told = [process.client.check().detail, repr(process)]
    secrets = [company.seed, access]
    clear = re.compile("|".join(re.escape(text) for secret in secrets for text in (secret, secret.encode().hex())))
    assert [line["event"] for line in logs].count("credentials.renewed") == 2
    assert not clear.search(str(logs) + str(told))
    with psycopg.connect(dsn) as owner:
        tables = owner.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        for (table,) in tables.fetchall():
            rows = owner.execute(sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table))).fetchall()
            assert not [row for row in rows if clear.search(str(row))], table


# the store alone


def kept(
    database: Database, *, tenant: str = "acme", instance: str = "gusto", seed: str = "seed", key: bytes = KEY
) -> str | None:
    with LedgerCredentials(database, tenant, instance, key).exclusively(seed) as held:
        return held.newest()


def keep(database: Database, used: str | None, fresh: str, *, tenant: str = "acme", instance: str = "gusto") -> None:
    with LedgerCredentials(database, tenant, instance, KEY).exclusively("seed") as held:
        held.replace(used, fresh)


def test_a_credential_that_is_no_longer_the_newest_overwrites_nothing(database: Database) -> None:
    keep(database, None, "first")
    keep(database, "first", "second")
    keep(database, "first", "third")
    keep(database, None, "fourth")
    assert kept(database) == "second"
    with database.transaction("acme") as tx:
        assert len(audit.entries(tx, action="credential.rotated")) == 2


def test_each_tenant_instance_and_seed_has_a_credential_of_its_own(database: Database) -> None:
    with database.system() as tx:
        tenants.create(tx, "other")
    keep(database, None, "ours")
    keep(database, None, "theirs", tenant="other")
    keep(database, None, "another", instance="gusto-eu")
    assert [kept(database), kept(database, tenant="other"), kept(database, instance="gusto-eu")] == ["ours", "theirs", "another"]
    assert kept(database, seed="new") is None


def test_a_tenant_neither_sees_nor_writes_the_credentials_of_another(database: Database) -> None:
    with database.system() as tx:
        tenants.create(tx, "other")
    keep(database, None, "ours")
    with database.transaction("other") as tx:
        assert tx.all("SELECT * FROM rotating_credentials") == []
        assert tx.execute("UPDATE rotating_credentials SET sealed = 'x'") == 0
    with pytest.raises(LedgerDefect, match="InsufficientPrivilege"), database.transaction("other") as tx:
        tx.execute("INSERT INTO rotating_credentials VALUES ('acme', 'gusto', sha256('seed'), 'stolen')")


def test_a_credential_opens_only_in_its_place_and_with_its_key(database: Database) -> None:
    keep(database, None, "ours")
    with database.transaction("acme") as tx:
        tx.execute(
            """
            INSERT INTO rotating_credentials (tenant, instance, seed_sha256, sealed)
            SELECT tenant, 'moved', seed_sha256, sealed FROM rotating_credentials
            """
        )
    for misplaced in ({"instance": "moved"}, {"key": b"x" * 32}):
        with pytest.raises(Misconfigured, match="restore the key file") as caught:
            kept(database, **misplaced)
        assert caught.value.cause == "wrong_credential_key"
    assert kept(database) == "ours"


def keep_without_a_connection(dsn: str, database: Database, fresh: str) -> None:
    """The server ends the session that holds the lock, while the vendor is asked."""
    with LedgerCredentials(database, "acme", "gusto", KEY).exclusively("seed") as held:
        with psycopg.connect(dsn) as owner:
            owner.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                WHERE locktype = 'advisory' AND granted AND datname = current_database()
                """
            )
        held.replace(None, fresh)


def test_a_lost_connection_keeps_nothing_and_says_so(dsn: str, database: Database) -> None:
    with pytest.raises(RetryLater):
        keep_without_a_connection(dsn, database, "fresh")
    assert kept(database) is None


# the hub


def test_the_hub_gives_a_store_to_the_connectors_that_keep_credentials(
    company: Company, database: Database, tmp_path: Path
) -> None:
    form = company.sandbox.refreshing_settings(company.url, company.ca_file)
    content = tenant_content(DocuSignSandbox(), tmp_path / "secrets")
    content["connectors/gusto.yaml"] = instance("gusto", "gusto", form, tmp_path / "secrets")
    with database.transaction("acme") as tx:
        documents.apply(tx, as_files(content), HUB)
    for _ in range(2):  # a process, and the one after it
        settings = Settings(data_dir=tmp_path / "data", internal_hosts="localhost")
        hub = Hub(settings, database, SecretStore(tmp_path / "secrets"))
        instances = hub.tenant("acme").instances
        keepers = {name: one.around.credentials for name, one in instances.items() if one.connector.keeps_credential}
        assert list(keepers) == ["gusto"]
        assert keepers["gusto"] is not None
        client = instances["gusto"].client
        assert isinstance(client, GustoClient)
        with closing(client):
            assert client.check().ok
    assert company.renewals == 1
    assert (tmp_path / "data" / "keys" / "credentials.key").stat().st_mode & 0o777 == 0o600
