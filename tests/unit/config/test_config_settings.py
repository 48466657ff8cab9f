"""The settings of the process: where they come from, in which order, and what is not accepted."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.settings import Settings
from workforce.errors import Misconfigured

DOCUMENTED = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and an environment without settings."""
    for name in [name for name in os.environ if name.startswith("STINT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_defaults_are_a_whole_installation_on_this_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    settings = Settings()
    assert settings.data_dir == folder / "stint"
    assert settings.postgres_dir == folder / "stint" / "postgres"
    assert settings.checkpoints == folder / "stint" / "checkpoints"
    assert settings.secrets == folder / "stint" / "secrets"
    assert settings.prefect_api == "http://127.0.0.1:4200/api"
    assert settings.receiver_url == "http://127.0.0.1:8420"


def test_without_a_data_home_the_users_own_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.setenv("HOME", str(folder))
    assert Settings().data_dir == folder / ".local" / "share" / "stint"


def test_arguments_come_before_the_environment_and_the_environment_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "stint.toml").write_text("receiver_port = 1001\nprefect_port = 1002\nrevoke_slots = 3\n")
    monkeypatch.setenv("STINT_RECEIVER_PORT", "2001")
    monkeypatch.setenv("STINT_PREFECT_PORT", "2002")
    settings = Settings(receiver_port=3001)
    assert (settings.receiver_port, settings.prefect_port, settings.revoke_slots) == (3001, 2002, 3)


def test_an_empty_variable_is_no_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "stint.toml").write_text('database_url = "postgresql://db/stint"\n')
    monkeypatch.setenv("STINT_DATABASE_URL", "")
    assert Settings().database_url is not None


def test_the_file_is_read_in_the_current_folder_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "stint.toml").write_text("prefect_port = 1002\n")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert Settings().prefect_port == 4200


@pytest.mark.parametrize("name", ["DATA_DIR", "CHECKPOINT_DIR", "SECRETS_DIR"])
def test_folders_are_absolute_so_that_a_child_elsewhere_means_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"STINT_{name}", "here")
    assert getattr(Settings(), name.lower()) == folder / "here"


def test_a_tilde_is_the_users_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("STINT_DATA_DIR", "~/stint")
    assert Settings().data_dir == folder / "stint"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECEIVER_PORT", "0"),
        ("RECEIVER_PORT", "65536"),
        ("PREFECT_PORT", "http"),
        ("MAX_BODY_BYTES", "1023"),
        ("MAX_BODY_BYTES", str(64 * 1024 * 1024 + 1)),
        ("REVOKE_SLOTS", "0"),
        ("SYNC_SLOTS", "65"),
        ("LEASE_SECONDS", "1"),
        ("LEASE_SECONDS", "601"),
        ("POLL_SECONDS", "0"),
        ("CHECKPOINT_SECONDS", "inf"),
        ("API_TOKEN", "guess"),
    ],
)
def test_a_setting_out_of_bounds_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"STINT_{name}", value)
    with pytest.raises(ValidationError) as raised:
        Settings()
    assert [fault["loc"] for fault in raised.value.errors()] == [(name.lower(),)]


def test_an_empty_token_in_the_file_does_not_open_the_api(folder: Path) -> None:
    (folder / "stint.toml").write_text('api_token = ""\n')
    with pytest.raises(ValidationError, match="api_token"):
        Settings()


def test_every_fault_is_reported_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "stint.toml").write_text("recieve_port = 1\nrevoke_slots = 0\n")
    monkeypatch.setenv("STINT_PREFECT_PORT", "x")
    with pytest.raises(ValidationError) as raised:
        Settings()
    assert {fault["loc"][0] for fault in raised.value.errors()} == {"recieve_port", "revoke_slots", "prefect_port"}


def test_a_file_that_is_not_toml_names_itself(folder: Path) -> None:
    (folder / "stint.toml").write_text("receiver_port: 1\n")
    with pytest.raises(Misconfigured, match=re.escape(str(folder / "stint.toml"))):
        Settings()


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().receiver_port = 1


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "API_TOKEN", "PREFECT_AUTH_STRING", "PREFECT_DATABASE_URL"):
        monkeypatch.setenv(f"STINT_{name}", "the-canary-in-the-mine")
    assert "canary" not in f"{Settings()!r} {Settings().model_dump_json()}"


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    documented = re.findall(r"^\| `STINT_([A-Z_]+)`", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(name.lower() for name in documented) == sorted(Settings.model_fields)
