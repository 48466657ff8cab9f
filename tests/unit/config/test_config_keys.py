"""Secrets that Stint makes for itself: once, for its user alone, and the same for every process."""

from __future__ import annotations

import multiprocessing
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from config.keys import api_token, prefect_auth
from config.settings import Settings
from workforce.errors import Misconfigured

PROCESSES = 3


def settings_in(folder: Path, **difference: str) -> Settings:
    return Settings.model_validate({"data_dir": folder, **difference})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_made_once(tmp_path: Path) -> None:
    token = api_token(settings_in(tmp_path))
    assert len(token) >= 32
    assert api_token(settings_in(tmp_path)) == token


def test_a_token_and_its_folder_are_for_its_user_alone(tmp_path: Path) -> None:
    api_token(settings_in(tmp_path))
    keys = settings_in(tmp_path).keys_dir
    assert (mode(keys), mode(keys / "api-token")) == (0o700, 0o600)
    assert [path.name for path in keys.iterdir()] == ["api-token"]


def test_the_configured_ones_are_taken_and_nothing_is_made(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, api_token="a-token-of-my-own", prefect_auth_string="me:mine")
    assert (api_token(settings), prefect_auth(settings)) == ("a-token-of-my-own", "me:mine")
    assert list(tmp_path.iterdir()) == []


def test_prefect_gets_a_user_and_a_password_of_its_own(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    user, _, password = prefect_auth(settings).partition(":")
    assert user == "stint"
    assert len(password) >= 32
    assert password != api_token(settings)


def test_an_empty_key_file_lets_nobody_in(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.keys_dir.mkdir()
    (settings.keys_dir / "api-token").touch()
    with pytest.raises(Misconfigured, match="is empty; delete it"):
        api_token(settings)


def _ask(folder: Path, start: Callable[[], object], answers: multiprocessing.SimpleQueue[str]) -> None:
    start()
    answers.put(api_token(settings_in(folder)))


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    barrier = context.Barrier(PROCESSES)
    processes = [context.Process(target=_ask, args=(tmp_path, barrier.wait, answers)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len({answers.get() for _ in range(PROCESSES)}) == 1
