"""``stint mappings …`` as it is typed, on a company whose systems answer: what it says, what it hides, and its JSON."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import yaml

from cli.app import app
from flows.mapping.rehearsal import READERS, Rehearsing
from flows.mapping.versions import Versions
from ledger.trail import audit
from mappings.model import MappingFile
from tests.integration.installed import TENANT, Installed
from tests.integration.promoting import HRIS, PAYROLL, SOURCE, UNIT_IS_SITE, shown_writes, with_version
from tests.integration.typing_commands import Stint, typed_at
from workforce.errors import Refused
from workforce.versions import Running

pytestmark = pytest.mark.integration

PHONE_AS_TITLE = {"jobTitle": {"from": "worker.phone", "apply": ["absent_if_empty"]}}


@pytest.fixture
def stint(installed: Installed) -> Stint:
    """Runs a command; its exit code and what it printed."""
    return typed_at(installed, app)


def test_every_command_prints_one_json_value_also_when_it_fails(installed: Installed, stint: Stint, tmp_path: Path) -> None:
    engagement = installed.joined()
    with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    order, folder = engagement.terms.vms_id, str(tmp_path)
    good = [
        ("list",),
        ("show", HRIS),
        ("show", HRIS, "t0001"),
        ("new", HRIS, folder, "--because", "a test"),
        ("validate",),
        ("diff", HRIS, "v0001", "t0001"),
        ("dry-run", HRIS, "t0001"),
        ("dry-run", SOURCE, "v0001", "--running", "pin", "--offline"),
        ("promote", HRIS, "t0001", "--reason", "a test"),
        ("migrate", HRIS, order),
        ("history", HRIS),
        ("rollback", HRIS, "--reason", "a test"),
        ("drift",),
        ("explain", SOURCE, order),
        ("explain", HRIS, order),
    ]
    bad = [
        ("show", "nothing__here"),
        ("diff", HRIS, "v0001", "t0009"),
        ("dry-run", HRIS, "t0009"),
        ("dry-run", "greenhouse__engagement", "v0001"),
        ("promote", HRIS, "v0001", "--reason", "again"),
        ("promote", HRIS, "v0001", "--reason", ""),
        ("rollback", PAYROLL, "--reason", "a test"),
        ("approve", HRIS),
        ("withdraw", HRIS),
        ("migrate", HRIS, "nobody"),
        ("explain", SOURCE, "nothing"),
        ("explain", HRIS, "nobody"),
        ("validate", str(tmp_path / "nowhere")),
        ("new", SOURCE, str(tmp_path / "nowhere"), "--because", "a test"),
    ]
    for arguments in good:
        answer = stint("mappings", *arguments, "--json")
        assert (arguments, answer.exit_code, answer.stderr) == (arguments, 0, "")
        json.loads(answer.stdout)
    for arguments in bad:
        answer = stint("mappings", *arguments, "--json")
        told = json.loads(answer.stdout)
        assert (arguments, answer.exit_code > 0, told["ok"]) == (arguments, True, False)
        assert told.get("error") or told["faults"]


def test_what_is_shown_of_a_version_can_be_used_as_it_stands(installed: Installed, stint: Stint) -> None:
    with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    shown = yaml.safe_load(stint("mappings", "show", HRIS, "t0001").stdout)
    assert MappingFile.model_validate(shown).fields == installed.hub.tenant(TENANT).mappings.effective(HRIS, "t0001").fields


def test_sensitive_values_are_masked_wherever_they_went_until_asked_for_which_is_audited(
    installed: Installed, stint: Stint
) -> None:
    engagement = installed.joined(**{"Worker Phone": "+1 555 0177"})
    with_version(installed, HRIS, PHONE_AS_TITLE)
    masked = [
        stint("mappings", "dry-run", HRIS, "t0001"),
        stint("mappings", "dry-run", HRIS, "t0001", "--each"),
        stint("mappings", "dry-run", HRIS, "t0001", "--json"),
        stint("mappings", "explain", SOURCE, engagement.terms.vms_id),
        stint("mappings", "explain", SOURCE, engagement.terms.vms_id, "--json"),
        stint("mappings", "explain", HRIS, engagement.terms.vms_id, "--version", "t0001"),
        stint("mappings", "drift"),
        stint("failures", "list"),
    ]
    for answer in masked:
        assert answer.exit_code == 0, answer.stderr
        assert "0177" not in answer.stdout
        assert "Lovelace" not in answer.stdout
    for arguments in (("dry-run", HRIS, "t0001"), ("explain", SOURCE, engagement.terms.vms_id)):
        assert "0177" in stint("mappings", *arguments, "--show-sensitive").stdout
    with installed.hub.database.transaction(TENANT) as tx:
        assert len(audit.entries(tx, action="mapping.sensitive_shown")) == 2


def test_a_dry_run_says_how_much_of_what_would_move_it_has_replayed(installed: Installed, stint: Stint) -> None:
    for _ in range(3):
        installed.joined()
    with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}})
    some = stint("mappings", "dry-run", HRIS, "t0001", "--last", "2")
    assert "2 of the 3 running engagements that would move were replayed" in some.stdout
    assert "would move" not in stint("mappings", "dry-run", HRIS, "t0001").stdout
    told = json.loads(stint("mappings", "dry-run", HRIS, "t0001", "--last", "2", "--json").stdout)
    assert (told["engagements_that_would_move"], told["engagements_replayed"]) == (3, 2)


def test_the_systems_are_read_at_the_same_time_within_a_bound_and_shown_in_order(installed: Installed) -> None:
    joined = [installed.joined() for _ in range(3)]
    with_version(installed, SOURCE, UNIT_IS_SITE, ignores=["Business Unit"])
    progress, readers = list[tuple[int, int]](), set[str]()

    def told(done: int, of: int) -> None:
        progress.append((done, of))
        readers.update(thread.name for thread in threading.enumerate() if thread.name.startswith("rehearsal"))

    shown = Rehearsing(installed.hub, TENANT, SOURCE, "t0001", progress=told).run()
    assert progress == [(number, 12) for number in range(1, 13)]
    assert {name.removeprefix("rehearsal-").partition("_")[0] for name in readers} == {"bamboohr", "gusto", "entra", "ldap"}
    assert len(readers) <= READERS
    systems = [change.system for change in shown.writes]
    assert systems == sorted(systems, key=["bamboohr", "gusto", "entra", "ldap"].index)
    alone = Rehearsing(installed.hub, TENANT, SOURCE, "t0001").run()
    assert shown_writes(shown) == shown_writes(alone)
    assert {each[1] for each in shown_writes(shown)} == {each.terms.vms_id for each in joined}


def test_a_mapping_that_nothing_here_uses_is_not_rehearsed(installed: Installed) -> None:
    for mapping_id in ("greenhouse__engagement", "engagement__okta", "dropboxsign__agreement"):
        with pytest.raises(Refused, match="is used by no system of acme"):
            Rehearsing(installed.hub, TENANT, mapping_id, "v0001").run()


def test_what_is_about_to_come_in_force_is_listed_with_its_day(installed: Installed, stint: Stint) -> None:
    installed.joined()
    day = Versions(installed.hub, TENANT).today.replace(year=2090)
    lead = with_version(installed, HRIS, {"jobTitle": {"value": "Contractor"}}, effective_from=day)
    lead.promote(HRIS, "t0001", reason="much later", running=Running.PIN)
    (row,) = [row for row in json.loads(stint("mappings", "list", "--json").stdout) if row["mapping"] == HRIS]
    assert (row["in_force"], row["coming"], row["engagements"]) == ("v0001", {"t0001": day.isoformat()}, {"v0001": 1})
    assert f"t0001 from {day} on" in stint("mappings", "list").stdout
