"""``stint connectors``: the catalogue as people and machines read it, and a new connector that passes the suite."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import connectors
from cli.catalogue import detail, form_rows, rows
from cli.scaffold import Draft, write
from connectors import catalogue
from connectors.contract import Kind
from workforce.errors import Misconfigured

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
STINT = Path(sys.executable).with_name("stint")


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - our own commands


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A copy of the packages, so that a new connector disturbs nobody."""
    for name in ("connectors", "workforce", "cli", "config", "tests/conformance"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for key in catalogue.known_keys():
        shutil.rmtree(tmp_path / "connectors" / key)
    return tmp_path


def test_the_catalogue_is_listed_with_capabilities_limits_and_evidence() -> None:
    listed = json.loads(run(str(STINT), "connectors", "list", "--json").stdout)
    assert [row["key"] for row in listed] == catalogue.known_keys()
    assert all(row["capabilities"] and row["limits"] and row["evidence"] for row in listed)


def test_a_person_reads_the_same_list() -> None:
    shown = run(str(STINT), "connectors", "list").stdout
    assert [row["key"] for row in rows() if row["key"] not in shown] == []


@pytest.mark.parametrize("key", catalogue.known_keys())
def test_every_form_is_shown_with_a_type_for_each_field(key: str) -> None:
    found = detail(key)
    form = list(form_rows(found["settings"]))
    assert [name for name, *_ in form] == list(found["settings"]["properties"])
    assert all(kind and kind != "any" for _, kind, *_ in form)
    assert set(found["quality"])


def test_an_unknown_connector_is_named_with_those_there_are() -> None:
    shown = run(str(STINT), "connectors", "show", "workday")
    assert shown.returncode == 2
    assert "known connectors" in shown.stderr


def test_a_new_connector_of_any_kind_passes_the_suite_as_it_stands(elsewhere: Path) -> None:
    for kind in Kind:
        draft = Draft(f"acme{kind}", kind, "Acme Staff")
        write(draft, elsewhere / "connectors")
        schema = (
            f"import json; from connectors.{draft.key}.settings import {draft.name}Settings as S;"
            " print(json.dumps(S.model_json_schema(), indent=2, sort_keys=True))"
        )
        (elsewhere / f"connectors/{draft.key}/settings.schema.json").write_text(
            run(sys.executable, "-c", schema, cwd=elsewhere).stdout
        )
    suite = run(
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-n4",  # it waits for faults most of the time
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        f"--basetemp={elsewhere / 'tmp'}",  # the shared one belongs to this run: another would close its folders to the database's user
        "tests/conformance",
        cwd=elsewhere,
    )
    assert suite.returncode == 0, suite.stdout[-3000:]
    assert all(f"[acme{kind}" in suite.stdout for kind in Kind), "of each kind something was tried"


def test_a_new_connector_is_clean_for_the_style_and_type_checks(tmp_path: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("the check tools are not installed")
    drafts = [Draft(f"acme{kind}", kind, "Acme") for kind in Kind]
    for draft in [*drafts, Draft("acmeboth", Kind.HRIS, "Acme", ("source", "webhooks"))]:
        place = write(draft, tmp_path / "connectors")
        for command in (("format", "--check"), ("check",)):
            checked = run(str(ruff), *command, "--config", str(ROOT / "pyproject.toml"), str(place))
            assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("key", ["Acme", "a", "1acme", "acme-staff", "../acme", "gusto", ""])
def test_a_key_that_cannot_be_one_is_refused_and_nothing_is_written(key: str) -> None:
    before = sorted(path.name for path in Path(connectors.__path__[0]).iterdir())
    with pytest.raises(Misconfigured) as raised:
        write(Draft.of(key, "hris", None))
    assert raised.value.field == "key"
    assert sorted(path.name for path in Path(connectors.__path__[0]).iterdir()) == before


def test_what_a_kind_can_do_besides_is_added_with_a_plus() -> None:
    draft = Draft.of("acme", "hris+source+webhooks+sink", None)
    assert draft.capabilities == ("sink", "source", "webhooks")
    assert {"source.py", "webhooks.py", "sink.py", "source.schema.json", "target.schema.json"} <= set(draft.files())


@pytest.mark.parametrize("kind", list(Kind))
def test_a_new_connector_says_what_comes_from_it_and_what_it_takes(kind: Kind) -> None:
    draft = Draft("acme", kind, "Acme")
    written = {name: json.loads(text) for name, text in draft.files().items() if name.endswith(".schema.json")}
    said = {"source": "source", "signing": "source", "sink": "target", "directory": "target"}
    assert set(written) == {f"{said[name]}.schema.json" for name in draft.capabilities if name in said}
    for schema in written.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("kind", "told"), [("hris+workday", "'workday' is none of sink"), ("hris+webhooks", "add \\+source")])
def test_a_capability_that_cannot_be_added_is_refused_with_the_next_step(kind: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        Draft.of("acme", kind, None)


def test_an_unknown_kind_is_named_with_those_there_are() -> None:
    with pytest.raises(Misconfigured, match="payroll"):
        Draft.of("acme", "hr", None)


def test_a_folder_that_is_there_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    with pytest.raises(Misconfigured):
        write(Draft("acme", Kind.HRIS, "Acme"), tmp_path)
    assert list((tmp_path / "acme").iterdir()) == []
