from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest

from mappings.faults import FaultyMapping
from mappings.registry import MappingRegistry
from workforce.errors import Misconfigured, Refused

VERSION = """\
mapping: {mapping}
version: {version}
effective_from: {effective_from}
because: a test of the registry
fields:
  name: {{from: Name, apply: [strip], required: true}}
  unit: {unit}
"""
EXAMPLES = """\
examples:
  - name: a plain record
    source: {Name: " Ada ", Unit: Hour}
    gives: {name: Ada, unit: hour}
  - name: no name
    source: {Unit: Hour}
    refuses: [Name]
"""
INLINE = "{from: Unit, lookup: {table: {Hour: hour}}}"


def write(
    root: Path,
    version: int = 1,
    *,
    mapping: str = "vms__model",
    says: str | None = None,
    effective_from: str = "2026-01-01",
    unit: str = INLINE,
    examples: str | None = EXAMPLES,
) -> Path:
    folder = root / mapping
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"v{version:04}.yaml"
    path.write_text(VERSION.format(mapping=says or mapping, version=version, effective_from=effective_from, unit=unit))
    if examples is not None:
        path.with_suffix(".examples.yaml").write_text(examples)
    return path


def release(root: Path) -> None:
    files = [path for path in sorted(root.glob("*/*.yaml")) if not path.name.endswith(".examples.yaml")]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files]
    (root / "released.sha256").write_text("".join(lines))


def faults(root: Path) -> list[str]:
    return [f"{Path(fault.file).name}:{fault.line}: {fault.key}: {fault.message}" for fault in MappingRegistry(root).check_all()]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    write(tmp_path, 1, effective_from="2026-01-01")
    write(tmp_path, 2, effective_from="2026-06-01")
    write(tmp_path, 3, effective_from="2027-01-01")
    return tmp_path


@pytest.mark.parametrize(
    ("on", "version"), [("2026-01-01", "v0001"), ("2026-05-31", "v0001"), ("2026-06-01", "v0002"), ("2030-01-01", "v0003")]
)
def test_the_newest_version_that_is_effective_on_the_business_date_is_chosen(library: Path, on: str, version: str) -> None:
    assert MappingRegistry(library).get("vms__model", on=date.fromisoformat(on)).version == version


def test_a_pinned_version_is_given_whatever_the_date(library: Path) -> None:
    assert MappingRegistry(library).get("vms__model", "v0001", on=date(2030, 1, 1)).version == "v0001"


def test_the_hash_is_that_of_the_files_bytes(library: Path) -> None:
    content = (library / "vms__model" / "v0001.yaml").read_bytes()
    assert MappingRegistry(library).get("vms__model", "v0001").content_sha256 == hashlib.sha256(content).hexdigest()


def test_a_mapping_is_compiled_once(library: Path) -> None:
    registry = MappingRegistry(library)
    assert registry.get("vms__model", "v0001") is registry.get("vms__model", "v0001")


@pytest.mark.parametrize(
    ("mapping_id", "version"),
    [("vms__nothing", "v0001"), ("../vms__model", "v0001"), ("vms__model", "v0009"), ("vms__model", "../v0001")],
)
def test_what_is_unknown_is_misconfigured_and_names_the_places_searched(library: Path, mapping_id: str, version: str) -> None:
    with pytest.raises(Misconfigured, match=str(library)) as fault:
        MappingRegistry(library).get(mapping_id, version)
    assert fault.value.cause == "unknown_mapping"


def test_a_date_before_the_first_version_is_misconfigured(library: Path) -> None:
    with pytest.raises(Misconfigured, match="effective on 2025-12-31"):
        MappingRegistry(library).get("vms__model", on=date(2025, 12, 31))


def test_neither_version_nor_date_is_a_mistake_of_the_caller(library: Path) -> None:
    with pytest.raises(TypeError, match="business date"):
        MappingRegistry(library).get("vms__model")


OVERLAY = """\
mapping: vms__model
version: 1
effective_from: 2026-03-01
because: this client writes its units in full
base: v0001
ignores: [Comment]
fields:
  unit: {from: Unit, lookup: {table: {Per hour: hour}}}
"""


def own(text: str = OVERLAY, name: str = "t0001.yaml") -> dict[str, str]:
    return {
        f"mappings/vms__model/{name}": text,
        "mappings/vms__model/t0001.examples.yaml": EXAMPLES.replace("Unit: Hour", "Unit: Per hour"),
    }


def test_an_overlay_changes_its_own_fields_and_takes_over_the_rest(library: Path) -> None:
    mapping = MappingRegistry(library).with_documents(own()).get("vms__model", "t0001")
    assert mapping.apply({"Name": " Ada ", "Unit": "Per hour"}).values == {"name": "Ada", "unit": "hour"}
    assert (mapping.version, mapping.effective_from) == ("t0001", date(2026, 3, 1))


def test_an_overlays_hash_changes_with_its_own_file_and_with_its_base(library: Path) -> None:
    def sha256(text: str) -> str:
        return MappingRegistry(library).with_documents(own(text)).get("vms__model", "t0001").content_sha256

    hashes = {sha256(OVERLAY), sha256(OVERLAY.replace("full", "letters")), sha256(OVERLAY.replace("base: v0001", "base: v0002"))}
    assert len(hashes) == 3


def test_a_complete_version_of_a_tenant_stands_beside_the_librarys(library: Path) -> None:
    text = (library / "vms__model" / "v0001.yaml").read_text().replace("strip", "upper")
    registry = MappingRegistry(library).with_documents(own(text))
    assert registry.labels("vms__model") == ["v0001", "v0002", "v0003", "t0001"]
    assert registry.get("vms__model", "t0001").apply({"Name": "Ada", "Unit": "Hour"}).values["name"] == "ADA"
    assert registry.get("vms__model", on=date(2026, 12, 31)).version == "v0002"  # what a tenant adds, counts once it is promoted


def test_what_an_overlay_cannot_be_is_told_with_its_place(library: Path) -> None:
    def faults_of(text: str) -> str:
        return "\n".join(map(str, MappingRegistry(library).with_documents(own(text)).check_own()))

    assert faults_of(OVERLAY) == ""
    assert "t0001.yaml:5:1: base: the library has no version v0009" in faults_of(OVERLAY.replace("v0001", "v0009"))
    assert "removes.0: v0001 has no field nothing" in faults_of(OVERLAY + "removes: [nothing]\n")
    assert "writes the same place as name of the base" in faults_of(
        OVERLAY.replace("  unit:", "  name.first: {from: N}\n  unit:")
    )
    assert "the file says version 1, its name t0002.yaml" in "\n".join(
        map(str, MappingRegistry(library).with_documents(own(name="t0002.yaml")).check_own())
    )


def test_a_promoted_version_that_changed_or_is_gone_is_told(library: Path) -> None:
    registry = MappingRegistry(library).with_documents(own())
    kept = {("vms__model", "t0001"): registry.get("vms__model", "t0001").content_sha256}
    assert registry.check_own(promoted=kept) == []
    changed = MappingRegistry(library).with_documents(own(OVERLAY.replace("full", "letters")))
    assert "a promoted version changed" in str(changed.check_own(promoted=kept)[0])
    assert "was promoted and is gone" in str(MappingRegistry(library).check_own(promoted=kept)[0])


def test_a_newer_base_shows_what_changed_below_an_overlays_own_fields_and_nothing_else(library: Path) -> None:
    newer = library / "vms__model" / "v0002.yaml"
    newer.write_text(newer.read_text().replace("Hour: hour", "Hour: hour, Day: day").replace("strip", "upper"))
    registry = MappingRegistry(library).with_documents(own())
    assert [str(found).split(":")[0] for found in registry.conflicts("vms__model", "t0001", "v0002")] == ["unit"]
    assert registry.conflicts("vms__model", "t0001", "v0001") == []


def test_what_can_be_changed_no_more_is_not_held_against_ends_that_changed_since(library: Path) -> None:
    ends = {"type": "object", "properties": {"Name": {}, "Unit": {}}, "additionalProperties": False}
    gone = {"type": "object", "properties": {"name": {}}, "additionalProperties": False}
    mended = (
        OVERLAY.replace("version: 1", "version: 2").replace("fields:", "removes: [unit]\nfields: {}\n#").replace("  unit", "#")
    )
    examples = {"mappings/vms__model/t0002.examples.yaml": "examples:\n  - {name: none, source: {}, refuses: [Name]}\n"}

    def faults_of(documents: dict[str, str]) -> list[str]:
        found = MappingRegistry(library).with_documents(documents).check_own(lambda _id: (ends, gone))
        return [fault.file for fault in found if "unit" in fault.key]

    assert faults_of(own()) == ["mappings/vms__model/t0001.yaml"]
    assert faults_of({**own(), **own(mended.replace("ignores: [Comment]\n", ""), "t0002.yaml"), **examples}) == []


def test_a_healthy_library_has_no_faults(library: Path) -> None:
    release(library)
    assert faults(library) == []


def test_a_file_whose_folder_or_number_disagrees_is_refused_with_every_fault(tmp_path: Path) -> None:
    path = write(tmp_path, 1, says="vms__other")
    path.rename(path.with_name("v0002.yaml"))
    with pytest.raises(FaultyMapping) as fault:
        MappingRegistry(tmp_path).get("vms__model", "v0002")
    assert {entry.key for entry in fault.value.faults} == {"mapping", "version"}
    assert isinstance(fault.value, Misconfigured)


def test_a_released_file_that_changed_is_reported_and_not_used(library: Path) -> None:
    release(library)
    path = library / "vms__model" / "v0002.yaml"
    path.write_text(path.read_text().replace("strip", "upper"))
    assert "v0002.yaml:1: content: a released file changed; restore it and add a new version" in faults(library)
    with pytest.raises(FaultyMapping, match="released file changed"):
        MappingRegistry(library).get("vms__model", "v0002")
    assert MappingRegistry(library).get("vms__model", "v0001")


def test_a_released_file_that_is_gone_and_one_that_is_not_recorded_are_reported(library: Path) -> None:
    release(library)
    (library / "vms__model" / "v0003.yaml").unlink()
    write(library, mapping="vms__new")
    found = "\n".join(faults(library))
    assert "v0003.yaml:1: content: was released and is gone" in found
    assert "v0001.yaml:1: content: not released" in found


def test_a_gap_in_the_numbers_a_stray_file_and_a_date_that_goes_back_are_reported(library: Path) -> None:
    (library / "vms__model" / "v0002.yaml").unlink()
    (library / "vms__model" / "notes.txt").write_text("x")
    write(library, 4, effective_from="2026-03-01")
    found = "\n".join(faults(library))
    assert "without a gap" in found
    assert "notes.txt:1: file" in found
    assert "v0004.yaml:1: effective_from: earlier than that of version v0003" in found


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        (None, "v0001.yaml:1: examples: no v0001.examples.yaml beside it"),
        (
            EXAMPLES.replace("gives: {name: Ada,", "gives: {name: Bob,"),
            "v0001.examples.yaml:2: examples.0: a plain record: differs at name",
        ),
        (EXAMPLES.replace("unit: hour}", "unit: hour, more: 1}"), "differs at more"),
        (EXAMPLES.replace("refuses: [Name]", "refuses: [Unit]"), "examples.1: no name: the refusal does not name Unit"),
        (EXAMPLES.replace("refuses: [Name]", "gives: {}"), "name (from Name): required"),
        (EXAMPLES.replace("gives: {name: Ada, unit: hour}", "refuses: [Name]"), "was mapped, but should be refused for Name"),
        (EXAMPLES.replace("gives: {name", "clears: [x]\n    gives: {name"), "clears nothing"),
        (EXAMPLES.replace("    refuses: [Name]\n", ""), "either gives or refuses"),
    ],
)
def test_an_example_that_does_not_come_out_is_reported_with_its_place(
    tmp_path: Path, examples: str | None, expected: str
) -> None:
    write(tmp_path, examples=examples)
    assert expected in "\n".join(faults(tmp_path))


def test_a_table_file_is_part_of_the_version_through_its_hash(tmp_path: Path) -> None:
    table = "table: {Hour: hour}\n"
    digest = hashlib.sha256(table.encode()).hexdigest()
    path = write(tmp_path, unit=f"{{from: Unit, lookup: {{file: table.units.yaml, sha256: {digest}}}}}")
    assert "there is no table.units.yaml" in faults(tmp_path)[0]
    (path.parent / "table.units.yaml").write_text(table)
    assert faults(tmp_path) == []
    with pytest.raises(Refused, match=r"unit \(from Unit\)"):
        MappingRegistry(tmp_path).get("vms__model", "v0001").apply({"Name": "Ada", "Unit": "Day"})
    (path.parent / "table.units.yaml").write_text(table.replace("hour", "day"))
    assert "table.units.yaml changed" in faults(tmp_path)[0]
