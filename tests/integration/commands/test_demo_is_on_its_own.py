"""The demonstration touches nothing of an installation that is configured where it runs."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cli.demo.story import demo_settings, in_a_database_of_its_own, look_around
from config.settings import Settings
from ledger.postgres.embedded import EmbeddedPostgres
from ledger.postgres.sibling import drop_database
from workforce.errors import RetryLater

pytestmark = pytest.mark.integration

REAL = {
    "DATA_DIR": "/srv/stint",
    "CHECKPOINT_DIR": "/mnt/worm",
    "SECRETS_DIR": "/etc/stint/secrets",
    "API_TOKEN": "the-real-installation's-token",
    "RECEIVER_HOST": "0.0.0.0",  # noqa: S104  what a real installation may have
    "PREFECT_API_URL": "https://prefect.acme.example/api",
    "PREFECT_AUTH_STRING": "me:mine",
    "PREFECT_DATABASE_URL": "postgresql+asyncpg://db/prefect",
}


@pytest.fixture
def _real_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it in the environment, half in the current folder's file."""
    half = len(REAL) // 2
    for name, value in list(REAL.items())[:half]:
        monkeypatch.setenv(f"STINT_{name}", value)
    lines = [f'{name.lower()} = "{value}"' for name, value in list(REAL.items())[half:]]
    (tmp_path / "stint.toml").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_real_installation")
def test_nothing_of_a_configured_installation_reaches_the_demonstration(tmp_path: Path) -> None:
    assert Settings().prefect_auth_string is not None  # the file is read where nothing speaks against it
    settings = demo_settings(tmp_path / "demo")
    used = (settings.data_dir, settings.checkpoints, settings.secrets)
    assert all(path.is_relative_to(tmp_path / "demo") for path in used)
    assert (settings.api_token, settings.prefect_auth_string, settings.prefect_database_url) == (None, None, None)
    assert settings.prefect_api == f"http://127.0.0.1:{settings.prefect_port}/api"
    assert settings.receiver_url == f"http://127.0.0.1:{settings.receiver_port}"


def test_a_command_typed_beside_the_demonstration_makes_links_to_its_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = demo_settings(tmp_path / "demo")
    for each in look_around(demo).split():
        monkeypatch.setenv(*each.split("=", 1))
    beside = Settings()
    assert (beside.receiver_url, beside.data_dir, beside.internal_hosts) == (
        demo.receiver_url,
        demo.data_dir,
        demo.internal_hosts,
    )


def test_on_a_server_of_ones_own_it_makes_two_databases_and_drops_them(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    before = names(postgres)
    settings = Settings(data_dir=tmp_path, database_url=postgres.dsn("postgres"))
    with in_a_database_of_its_own(settings) as own:
        made = sorted(names(postgres) - before)
        assert own.database_url is not None
        assert own.prefect_database_url is not None
        assert f"dbname={made[0]}" in own.database_url.get_secret_value()
        assert f"/{made[1]}?" in own.prefect_database_url.get_secret_value()
        assert made == [made[0], f"{made[0]}_prefect"]
        assert made[0].startswith("stint_demo_")
        held = psycopg.connect(own.database_url.get_secret_value())  # by a process that is slow to let go
    assert names(postgres) == before
    held.close()


def test_the_databases_are_dropped_after_an_error_too(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    before = names(postgres)
    settings = Settings(data_dir=tmp_path, database_url=postgres.dsn("postgres"))
    with pytest.raises(RetryLater), in_a_database_of_its_own(settings):
        raise RetryLater("the demonstration took too long")
    assert names(postgres) == before


def test_without_a_server_of_ones_own_the_embedded_database_is_used(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=None)
    with in_a_database_of_its_own(settings) as own:
        assert own is settings


def test_dropping_what_is_not_there_is_no_error(postgres: EmbeddedPostgres) -> None:
    drop_database(postgres.dsn("postgres"), "stint_demo_nobody_made")


def names(postgres: EmbeddedPostgres) -> set[str]:
    with psycopg.connect(postgres.dsn("postgres")) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
