"""The processes of an installation: each is told everything that its parent decided, and nothing that it does not need."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from config import services
from config.keys import prefect_auth
from config.settings import Settings
from workforce.errors import Misconfigured


@pytest.fixture(autouse=True)
def _empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("STINT_", "PREFECT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        receiver_port=18420,
        prefect_port=14200,
        lease_seconds=7,
        database_url="postgresql://stint:hunter2@db/stint",
        prefect_database_url="postgresql+asyncpg://prefect:hunter3@db/prefect",
    )


def test_a_child_reads_back_the_settings_of_its_parent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in (services.receiver(settings), services.worker(settings)):
        with monkeypatch.context() as child:
            for name, value in service.environment.items():
                child.setenv(name, value)
            assert Settings() == settings


def test_the_receiver_is_ready_when_it_can_store(settings: Settings) -> None:
    service = services.receiver(settings)
    assert service.command == (sys.executable, "-m", "console")
    assert service.health_url == "http://127.0.0.1:18420/readyz"


def test_the_worker_knows_prefect_and_the_receiver_does_not(settings: Settings) -> None:
    worker = services.worker(settings)
    assert (worker.command, worker.health_url) == ((sys.executable, "-m", "flows"), None)
    assert worker.environment["PREFECT_API_URL"] == "http://127.0.0.1:14200/api"
    assert worker.environment["PREFECT_API_AUTH_STRING"] == prefect_auth(settings)
    assert not [name for name in services.receiver(settings).environment if name.startswith("PREFECT_")]


def test_prefects_server_listens_on_loopback_behind_a_password_in_its_own_database(settings: Settings) -> None:
    server = services.prefect_server(settings)
    assert server.command[-4:] == ("--host", "127.0.0.1", "--port", "14200")
    assert server.health_url == "http://127.0.0.1:14200/api/health"
    assert server.environment["PREFECT_SERVER_API_AUTH_STRING"] == prefect_auth(settings)
    assert server.environment["PREFECT_API_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://prefect:hunter3@db/prefect"


def test_prefects_server_is_not_told_how_to_reach_the_ledger(settings: Settings) -> None:
    assert not [value for value in services.prefect_server(settings).environment.values() if "hunter2" in value]


def test_prefect_keeps_its_files_in_the_data_folder_and_reports_to_nobody(settings: Settings) -> None:
    environment = services.prefect_client(settings)
    assert environment["PREFECT_HOME"] == str(settings.data_dir / "prefect")
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["DO_NOT_TRACK"] == "1"


def test_a_prefect_server_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, prefect_api_url="https://prefect.acme.example/api", prefect_auth_string="me:mine")
    environment = services.worker(settings).environment
    assert (environment["PREFECT_API_URL"], environment["PREFECT_API_AUTH_STRING"]) == (
        "https://prefect.acme.example/api",
        "me:mine",
    )


def test_a_ledger_elsewhere_with_options_that_prefect_does_not_know_needs_a_url_for_prefect(tmp_path: Path) -> None:
    url = "postgresql://db/stint?target_session_attrs=read-write"
    with pytest.raises(Misconfigured, match="STINT_PREFECT_DATABASE_URL") as raised:
        services.prefect_server(Settings(data_dir=tmp_path, database_url=url))
    assert raised.value.field == "database_url"


def test_command_lines_and_representations_carry_no_secrets(settings: Settings) -> None:
    made = [services.receiver(settings), services.worker(settings), services.prefect_server(settings)]
    shown = " ".join(f"{service!r} {' '.join(service.command)}" for service in made)
    assert not [secret for secret in ("hunter2", "hunter3", prefect_auth(settings)) if secret in shown]


def test_a_setting_that_the_parent_left_unset_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STINT_DATABASE_URL", "postgresql://stint:hunter2@db/stint")
    monkeypatch.setenv("stint_secrets_dir", "/etc/stint/secrets")
    monkeypatch.setenv("STINT_BAMBOOHR_KEY", "a secret that a tenant's document names")
    settings = Settings(data_dir=tmp_path, database_url=None, secrets_dir=None, prefect_database_url="postgresql+asyncpg://db/p")
    for service in (services.receiver(settings), services.worker(settings), services.prefect_server(settings)):
        assert "STINT_DATABASE_URL" not in service.environment
        assert "stint_secrets_dir" not in service.environment
        assert service.environment["STINT_BAMBOOHR_KEY"] == "a secret that a tenant's document names"


def test_every_process_runs_in_the_data_folder_where_no_other_settings_file_lies(settings: Settings) -> None:
    made = [services.receiver(settings), services.worker(settings), services.prefect_server(settings)]
    assert [service.folder for service in made] == [settings.data_dir] * 3


def test_no_proxy_stands_between_the_worker_and_prefects_server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "intranet.example")
    assert services.worker(settings).environment["no_proxy"] == "intranet.example,127.0.0.1,localhost"
