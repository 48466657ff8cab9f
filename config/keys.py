"""Secrets that Stint makes for itself on first use: files readable by its user alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from config.settings import Settings
from workforce.errors import Misconfigured


def api_token(settings: Settings) -> str:
    """The REST API's bearer token: the configured one, or one made on first use in ``DATA_DIR/keys/api-token``."""
    if settings.api_token is not None:
        return settings.api_token.get_secret_value()
    return _load_or_create(settings.keys_dir / "api-token")


def prefect_auth(settings: Settings) -> str:
    """``user:password`` of the Prefect API: the configured one, or one made on first use."""
    if settings.prefect_auth_string is not None:
        return settings.prefect_auth_string.get_secret_value()
    return f"stint:{_load_or_create(settings.keys_dir / 'prefect-password')}"


def _load_or_create(path: Path) -> str:
    """The text in ``path``. Two processes that start at once agree: the first to create the file wins.

    Raises ``Misconfigured`` for an empty file: an empty token would let everybody in.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    text = path.read_text().strip()
    if not text:
        raise Misconfigured(f"{path} is empty; delete it, and a new one is made", cause="empty_key")
    return text
