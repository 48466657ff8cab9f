"""Settings of the process itself: from ``STINT_…`` environment variables, then ``stint.toml``. Nothing else reads either."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from workforce.errors import Misconfigured

Port = Annotated[int, Field(ge=1, le=65535)]


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "stint"


class Settings(BaseSettings):
    """Everything a Stint process needs to know before it can ask the ledger. Frozen; unknown keys in the file are faults.

    Raises ``Misconfigured`` when the file is not TOML.
    """

    model_config = SettingsConfigDict(
        env_prefix="STINT_", toml_file="stint.toml", frozen=True, extra="forbid", env_ignore_empty=True
    )

    data_dir: Path = Field(default_factory=_data_home, description="the embedded database, keys and logs live here")
    database_url: SecretStr | None = Field(default=None, description="PostgreSQL to use instead of the embedded one")
    checkpoint_dir: Path | None = Field(
        default=None,
        description="where audit checkpoints go; put it on another disk or a WORM share (default: DATA_DIR/checkpoints)",
    )
    secrets_dir: Path | None = Field(
        default=None, description="folder of secret files named by file: references (default: DATA_DIR/secrets)"
    )
    receiver_host: str = "127.0.0.1"
    receiver_port: Port = 8420
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    api_token: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        default=None, description="bearer token of the REST API (default: made in DATA_DIR/keys)"
    )
    internal_hosts: str = Field(
        default="",
        description="host names, addresses and networks, separated by spaces, that connectors may reach although they lie inside",
    )
    file_folders: str = Field(
        default="",
        description="folders, separated by colons; in FOLDER/TENANT of each the files connector may work (default: DATA_DIR/files)",
    )
    prefect_port: Port = 4200
    prefect_api_url: str | None = Field(default=None, description="a Prefect server of your own; none is started then")
    prefect_auth_string: SecretStr | None = Field(default=None, description="user:password of the Prefect API")
    prefect_database_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL of Prefect's database when the ledger's server is not the embedded one"
    )
    revoke_slots: Annotated[int, Field(ge=1, le=64)] = 2
    sync_slots: Annotated[int, Field(ge=1, le=64)] = 4
    lease_seconds: Annotated[int, Field(ge=2, le=600)] = 30
    poll_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    checkpoint_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        try:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            path = Path("stint.toml").absolute()
            raise Misconfigured(f"stint.toml: not readable as TOML: {error}; searched: {path}", cause="settings_file") from None

    @field_validator("data_dir", "checkpoint_dir", "secrets_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Absolute, so that a child process in another folder means the same place."""
        return path.expanduser().absolute() if path else None

    @property
    def exchange_folders(self) -> tuple[Path, ...]:
        """The only places on this machine where connectors may read and write files."""
        named = [Path(text).expanduser().absolute() for text in self.file_folders.split(":") if text]
        return tuple(named) or (self.data_dir / "files",)

    @property
    def postgres_dir(self) -> Path:
        """The embedded database's folder."""
        return self.data_dir / "postgres"

    @property
    def keys_dir(self) -> Path:
        """Keys that Stint made for itself, readable by its user alone."""
        return self.data_dir / "keys"

    @property
    def logs_dir(self) -> Path:
        """Logs of the processes that ``stint up`` started."""
        return self.data_dir / "logs"

    @property
    def checkpoints(self) -> Path:
        """Where audit checkpoints are written."""
        return self.checkpoint_dir or self.data_dir / "checkpoints"

    @property
    def secrets(self) -> Path:
        """Where ``file:`` references are looked up."""
        return self.secrets_dir or self.data_dir / "secrets"

    @property
    def prefect_home(self) -> Path:
        """Where Prefect's client and server keep their files."""
        return self.data_dir / "prefect"

    @property
    def prefect_results(self) -> Path:
        """Where the results of finished steps lie until their run is done with them."""
        return self.prefect_home / "storage"

    @property
    def prefect_api(self) -> str:
        """The URL of Prefect's API."""
        return self.prefect_api_url or f"http://127.0.0.1:{self.prefect_port}/api"

    @property
    def receiver_url(self) -> str:
        """The base URL of the receiver and the REST API."""
        host = f"[{self.receiver_host}]" if ":" in self.receiver_host else self.receiver_host
        return f"http://{host}:{self.receiver_port}"
