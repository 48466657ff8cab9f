from __future__ import annotations

import re
from pathlib import Path

import yaml
from typer.main import get_command

from cli.app import app
from config.settings import Settings
from connectors import catalogue
from mappings.transforms import transforms
from provisioning.policies import AccessPolicy

ROOT = Path(__file__).parents[3]


def commands() -> set[str]:
    """Every command as it is typed after ``stint``."""
    found = set()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]  # a group of commands
        below = getattr(command, "commands", None)
        found |= {f"{name} {inner}" for inner in below} if below else {name}
    return found


def test_the_configuration_page_lists_exactly_the_settings_there_are() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = re.findall(r"^\| `STINT_([A-Z_]+)`", page, re.MULTILINE)
    assert documented == [name.upper() for name in Settings.model_fields]


def test_the_configuration_page_shows_every_default_of_access() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    shown = re.search(r"^access:\n(?:  .*\n)+", page, re.MULTILINE)
    assert shown is not None
    values = yaml.safe_load(shown[0])["access"]
    assert AccessPolicy.model_validate(values) == AccessPolicy()
    assert {part: set(fields) for part, fields in values.items()} == {
        part: set(getattr(AccessPolicy(), part).model_dump()) for part in AccessPolicy.model_fields
    }


def test_the_readme_links_every_page_about_access() -> None:
    linked = re.findall(r"\(docs/access/([a-z]+\.md)\)", (ROOT / "README.md").read_text())
    assert sorted(linked) == sorted(path.name for path in (ROOT / "docs" / "access").glob("*.md"))


def test_every_command_that_a_page_shows_exists() -> None:
    pages = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
    shown = {
        match
        for page in pages
        for match in re.findall(r"(?:^|`|bin/)stint ([a-z]+(?: [a-z-]+)?)", page.read_text(), re.MULTILINE)
    }
    known = commands()
    unknown = {text for text in shown if text not in known and text.split()[0] not in known}
    assert not unknown


def test_the_readme_names_every_connector_of_the_catalogue() -> None:
    readme = (ROOT / "README.md").read_text()
    keys = catalogue.known_keys()
    for key in keys:
        assert catalogue.load(key).title.split(" (")[0].split()[0] in readme, key


def test_the_language_page_lists_every_transform_with_its_parameters() -> None:
    page = (ROOT / "docs" / "mappings" / "language.md").read_text()
    page = page[page.index("<!-- transforms") : page.index("<!-- end -->")]
    listed = dict(re.findall(r"^\| `([a-z0-9_]+)`(?: \(([a-z_, ]+)\))? \|", page, re.MULTILINE))
    assert listed == {name: ", ".join(each.parameters.model_fields) for name, each in transforms().items()}


def test_the_index_of_decisions_is_complete() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", index) == pages


def test_the_requirement_files_carry_hashes_and_no_address() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text()
        assert "://" not in text, path.name
        packages = re.findall(r"^[a-z0-9-]+==", text, re.MULTILINE)
        assert packages
        assert len(re.findall(r"--hash=sha256:", text)) >= len(packages), path.name
