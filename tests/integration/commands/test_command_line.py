"""The ``stint`` command as it is typed: exit codes, what it prints, and what it says to do next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cli.app import app
from connectors.docusign.sandbox import DocuSignSandbox
from ledger import failures
from ledger.database import Database
from ledger.postgres.embedded import EmbeddedPostgres
from tests.tenant_documents import Content, as_files, tenant_content, write_files

pytestmark = pytest.mark.integration

STINT = str(Path(sys.executable).with_name("stint"))
PATIENCE_SECONDS = 120
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed. Raises unless it is exactly one JSON value."""
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """A shell in an empty folder, with an installation's data folder in its environment."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def stint(self, *arguments: str, **environment: str) -> Answer:
        """Run one command."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STINT_")}
        finished = subprocess.run(  # noqa: S603  our own command
            [STINT, *arguments],
            env={**inherited, "STINT_DATA_DIR": str(self.data), "COLUMNS": "200", **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Answer(finished.returncode, finished.stdout, finished.stderr)


@pytest.fixture(scope="module")
def docusign() -> DocuSignSandbox:
    return DocuSignSandbox()


@pytest.fixture
def content(docusign: DocuSignSandbox, tmp_path: Path) -> Content:
    return tenant_content(docusign, tmp_path / "secrets")


@pytest.fixture
def shell(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture(scope="module")
def installed(docusign: DocuSignSandbox, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """An installation on which the company ``acme`` was configured; its database ran for that command alone."""
    shell = CommandLine(tmp_path_factory.mktemp("installed"))
    write_files(tenant_content(docusign, shell.folder / "secrets"), shell.folder / "acme")
    answer = shell.stint("config", "apply", "acme", "--json")
    assert (answer.code, answer.json) == (0, {"ok": True, "tenant": "acme", "version": 1}), answer.err
    assert not (shell.data / "postgres" / "data" / "postmaster.pid").exists()
    return shell


@pytest.fixture(scope="module")
def server(installed: CommandLine) -> Iterator[EmbeddedPostgres]:
    """The installation's database, running, so that the commands need not start it."""
    with EmbeddedPostgres(installed.data / "postgres") as server:
        yield server


def with_five_faults(content: Content) -> Content:
    content["tenant.yaml"]["calendar"] = {"weekdays": [7]}
    content["connectors/bamboohr.yaml"]["settings"]["api_key"] = "hunter2-in-plain-text"
    content["connectors/docusign.yaml"]["settings"]["timeout_seconds"] = 0
    content["connectors/gusto.yaml"]["connector"] = "gustoo"
    content["access/software-engineer.yaml"]["directories"]["okta"] = {"groups": ["g"]}
    return content


FIVE = {
    ("access/software-engineer.yaml", "directories.okta"),
    ("connectors/bamboohr.yaml", "settings.api_key"),
    ("connectors/docusign.yaml", "settings.timeout_seconds"),
    ("connectors/gusto.yaml", "connector"),
    ("tenant.yaml", "calendar.weekdays"),
}


# Without a database


def test_help_mentions_every_command(shell: CommandLine) -> None:
    answer = shell.stint("--help")
    commands = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    groups = [group.name for group in app.registered_groups]
    assert answer.code == 0
    expected = {
        "demo",
        "up",
        "worker",
        "receiver",
        "check",
        "config",
        "connectors",
        "mappings",
        "engagements",
        "failures",
        "audit",
        "access",
        "reviews",
        "reconcile",
        "workers",
        "holds",
        "evidence",
    }
    assert expected == {*commands, *groups}
    assert [name for name in (*commands, *groups) if f" {name} " not in answer.out] == []


def test_a_good_folder_has_no_faults_and_checking_it_needs_no_database(shell: CommandLine, content: Content) -> None:
    write_files(content, shell.folder / "acme")
    answer = shell.stint("check", "acme", "--json")
    assert (answer.code, answer.json) == (0, {"ok": True, "faults": []}), answer.err
    assert not shell.data.exists()


def test_every_fault_of_a_folder_is_reported_at_once_with_file_key_and_what_to_do(shell: CommandLine, content: Content) -> None:
    write_files(with_five_faults(content), shell.folder / "acme")
    answer = shell.stint("check", "acme", "--json")
    assert (answer.code, answer.json["ok"]) == (2, False)
    assert {(fault["file"].removeprefix("acme/"), fault["key"]) for fault in answer.json["faults"]} == FIVE
    assert all(fault["message"] for fault in answer.json["faults"])
    assert "hunter2" not in answer.out + answer.err


def test_a_wrong_setting_of_the_process_is_named_with_the_places_searched(shell: CommandLine) -> None:
    answer = shell.stint("engagements", "list", "--json", STINT_LEASE_SECONDS="0", STINT_RECEIVER_PORT="web")
    assert (answer.code, answer.json["ok"]) == (2, False)
    faults = {fault["key"]: fault["message"] for fault in answer.json["faults"]}
    assert set(faults) == {"lease_seconds", "receiver_port"}
    assert "environment variable STINT_LEASE_SECONDS, then stint.toml" in faults["lease_seconds"]
    assert "STINT_RECEIVER_PORT" in answer.err


# With the database that the command starts by itself


def test_the_trail_of_a_fresh_company_is_covered_before_any_worker_runs(installed: CommandLine) -> None:
    answer = installed.stint("audit", "verify", "--tenant", "acme", "--json")
    assert answer.code == 0, answer.err
    assert answer.json == {"ok": True, "events": 1, "checkpoints": 1, "faults": []}


def test_a_version_counts_changes_and_a_folder_with_faults_changes_nothing(
    installed: CommandLine, server: EmbeddedPostgres, content: Content
) -> None:
    content["tenant.yaml"]["tenant"] = "globex"
    folder = write_files(content, installed.folder / "globex")
    apply = ("config", "apply", "globex", "--json")
    assert [installed.stint(*apply).json["version"] for _ in range(2)] == [1, 1]
    content["tenant.yaml"]["name"] = "Globex, jetzt mit ä"
    good = write_files(content, folder)
    assert installed.stint(*apply).json["version"] == 2
    before = as_files(content)
    write_files(with_five_faults(content), good)
    refused = installed.stint(*apply)
    assert (refused.code, refused.json["ok"]) == (2, False)
    assert all(f"{file}: {key}" in refused.json["error"] for file, key in FIVE)
    assert "hunter2" not in refused.out + refused.err
    exported = installed.stint("config", "export", "exported", "--tenant", "globex", "--json")
    assert (exported.code, exported.json) == (0, {"ok": True, "version": 2, "files": len(before)})
    found = {path.relative_to(installed.folder / "exported").as_posix(): path for path in _files(installed.folder / "exported")}
    assert {name: path.read_text(encoding="utf-8") for name, path in found.items()} == before


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("place", ["acme", "acme/tenant.yaml"])
def test_an_export_overwrites_nothing(installed: CommandLine, server: EmbeddedPostgres, place: str) -> None:
    before = {path: path.read_text() for path in _files(installed.folder / "acme")}
    answer = installed.stint("config", "export", place, "--tenant", "acme", "--json")
    assert (answer.code, answer.json["ok"]) == (2, False)
    assert "name a new" in answer.json["error"]
    assert {path: path.read_text() for path in _files(installed.folder / "acme")} == before


@pytest.mark.parametrize("what", ["engagements", "failures"])
def test_a_list_of_a_fresh_company_is_empty(installed: CommandLine, server: EmbeddedPostgres, what: str) -> None:
    answer = installed.stint(what, "list", "--tenant", "acme", "--json")
    assert (answer.code, answer.json, answer.err) == (0, [], "")


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (("engagements", "show", "ACMEWO1"), "see: stint engagements list"),
        (("engagements", "show", NOBODY), "see: stint engagements list"),
        (("failures", "replay", NOBODY), "see: stint failures list"),
    ],
)
def test_what_is_not_there_says_where_to_look(
    installed: CommandLine, server: EmbeddedPostgres, command: tuple[str, ...], advice: str
) -> None:
    answer = installed.stint(*command, "--tenant", "acme", "--json")
    assert (answer.code, answer.json["ok"], answer.json["cause"]) == (1, False, "not_found")
    assert advice in answer.json["error"]
    assert "Traceback" not in answer.err


def test_looking_up_and_trying_again_need_no_secret(installed: CommandLine, server: EmbeddedPostgres) -> None:
    with feed_failure(server.dsn("stint")) as failure, without_secrets(installed):
        shown = installed.stint("engagements", "show", "ACMEWO1", "--tenant", "acme", "--json")
        replayed = installed.stint("failures", "replay", failure, "--tenant", "acme", "--json")
    assert (shown.code, shown.json["cause"]) == (1, "not_found")
    assert (replayed.code, replayed.json) == (0, {"ok": True, "replayed": ["fieldglass:ACMEWO1"]}), replayed.err


@contextmanager
def feed_failure(dsn: str) -> Iterator[str]:
    """The id of a line about a record of the VMS that could not be used."""
    database = Database(dsn)
    database.open()
    with database.transaction("acme") as tx:
        failure = failures.park(tx, cause="unknown_role", message="no package", subject="fieldglass:ACMEWO1")
    yield str(failure.id)
    database.close()


@contextmanager
def without_secrets(shell: CommandLine) -> Iterator[None]:
    """Run on a machine that has the database, but not the secrets of the company's systems."""
    hidden = (shell.folder / "secrets").rename(shell.folder / "hidden")
    yield
    hidden.rename(shell.folder / "secrets")


def test_a_company_that_is_not_there_names_those_that_are(installed: CommandLine, server: EmbeddedPostgres) -> None:
    answer = installed.stint("engagements", "list", "--tenant", "initech", "--json")
    assert answer.code == 2
    assert "there is no tenant 'initech'; tenants: acme" in answer.json["error"]


def test_a_changed_audit_row_is_found(installed: CommandLine, server: EmbeddedPostgres) -> None:
    with tampered(server.dsn("stint")):
        answer = installed.stint("audit", "verify", "--tenant", "acme", "--json")
    assert (answer.code, answer.json["ok"]) == (1, False)
    assert any("was changed: its hash does not match" in fault for fault in answer.json["faults"])
    assert "the audit trail is not intact" in answer.err


@contextmanager
def tampered(dsn: str) -> Iterator[None]:
    """The company's first audit row changed, as somebody with the database's password could; mended after the block."""
    with psycopg.connect(dsn, autocommit=True) as superuser:
        superuser.execute("ALTER TABLE audit_events DISABLE TRIGGER audit_events_append_only")
        change = "UPDATE audit_events SET event = replace(event, %s, %s) WHERE tenant = 'acme' AND seq = 1"
        try:
            superuser.execute(change, ('"outcome":"success"', '"outcome":"failure"'))
            yield
        finally:
            superuser.execute(change, ('"outcome":"failure"', '"outcome":"success"'))
            superuser.execute("ALTER TABLE audit_events ENABLE TRIGGER audit_events_append_only")
