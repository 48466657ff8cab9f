"""Secret references: resolved from the environment and from files, and a missing one names the place that was searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.secrets import SecretStore
from workforce.errors import Misconfigured

ENV = "STINT_TEST_SECRET"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecretStore:
    monkeypatch.setenv(ENV, "from the environment")
    (tmp_path / "token").write_text("from a file\n")
    return SecretStore(tmp_path)


def test_a_reference_is_resolved_where_it_points(store: SecretStore) -> None:
    assert store.resolve(f"env:{ENV}") == "from the environment"
    assert store.resolve("file:token") == "from a file"


@pytest.mark.parametrize(
    ("written", "read"), [("x\n", "x"), ("x\r\n", "x"), ("x", "x"), (" x ", " x "), ("-----\nkey\n-----\n", "-----\nkey\n-----")]
)
def test_only_the_line_end_of_the_last_line_is_no_part_of_a_secret(
    store: SecretStore, tmp_path: Path, written: str, read: str
) -> None:
    (tmp_path / "other").write_bytes(written.encode())
    assert store.resolve("file:other") == read


def test_an_absolute_file_is_taken_as_it_is(store: SecretStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("x")
    assert SecretStore(Path("nowhere")).resolve(f"file:{elsewhere}") == "x"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_or_empty_is_named(
    store: SecretStore, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(ENV) if value is None else monkeypatch.setenv(ENV, value)
    with pytest.raises(Misconfigured, match=f"environment variable {ENV} is not set") as raised:
        store.resolve(f"env:{ENV}")
    assert raised.value.cause == "secret_missing"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("absent", None, "No such file or directory"),
        (".", None, "Is a directory"),
        ("binary", b"\xff\xfe\x00", "not readable as text"),
        ("empty", b"\n", "is empty"),
        ("a\0b", None, "not readable as text"),
    ],
)
def test_a_file_that_gives_no_secret_is_named(
    store: SecretStore, tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Misconfigured, match=reason) as raised:
        store.resolve(f"file:{name}")
    assert str(tmp_path / name) in str(raised.value)


@pytest.mark.parametrize("reference", ["", "token", "env:", "file:", "vault:token", ENV])
def test_a_reference_of_another_form_says_how_to_write_one(store: SecretStore, reference: str) -> None:
    with pytest.raises(Misconfigured, match="write env:NAME or file:NAME") as raised:
        store.resolve(reference)
    assert raised.value.cause == "secret_reference"


def test_references_are_filled_in_wherever_they_stand(store: SecretStore) -> None:
    node = {"plain": 1, "token": {"secret": "file:token"}, "keys": [{"secret": f"env:{ENV}"}, "k"], "deep": [{"a": {"b": None}}]}
    filled, faults = store.fill(node)
    assert faults == []
    assert filled == {"plain": 1, "token": "from a file", "keys": ["from the environment", "k"], "deep": [{"a": {"b": None}}]}


def test_every_missing_secret_is_reported_with_its_key(store: SecretStore) -> None:
    missing = {"secret": "env:NOT_SET_ANYWHERE"}
    _, faults = store.fill({"a": missing, "b": [missing, {"c": missing}]}, "settings")
    assert [key for key, _ in faults] == ["settings.a", "settings.b[0]", "settings.b[1].c"]


@pytest.mark.parametrize("node", [{"secret": 5}, {"secret": "env:X", "note": "two keys"}, {"Secret": "env:X"}])
def test_what_only_resembles_a_reference_is_left_to_the_form(store: SecretStore, node: dict[str, Any]) -> None:
    assert store.fill(node) == (node, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "secret"]), inner, max_size=2),
)


@given(JSON)
def test_filling_ends_with_values_and_faults_and_nothing_else(node: Any) -> None:
    filled, faults = SecretStore(Path("nowhere")).fill(node)
    assert all(isinstance(message, str) for _, message in faults)
    if not faults:
        assert filled == node
