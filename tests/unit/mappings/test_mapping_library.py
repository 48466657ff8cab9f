from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from connectors.catalogue import known_keys, load
from mappings.engine import CompiledMapping
from mappings.model import FieldRule
from mappings.paths import Key, Match, parse_path, parse_target
from mappings.registry import MappingRegistry
from workforce.engagement import Agreement, RateUnit, WorkOrder, canonical
from workforce.errors import Refused

LIBRARY = Path(__file__).resolve().parents[3] / "mappings" / "library"
GUSTO = (
    Path(__file__).resolve().parents[4] / "shared" / "vendor-specs" / "gusto" / "gusto-app-integrations.v2025-06-15.pruned.json"
)
TODAY = date(2026, 11, 21)


def examples(mapping_id: str, kind: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((LIBRARY / mapping_id / "v0001.examples.yaml").read_text(encoding="utf-8"))
    return [example for example in document["examples"] if kind in example]


def a_row(**difference: str) -> dict[str, object]:
    row: dict[str, object] = dict(examples("fieldglass__engagement", "gives")[0]["source"])
    return row | difference


def test_the_shipped_library_has_no_fault_and_every_example_comes_out_as_written() -> None:
    assert [str(fault) for fault in MappingRegistry.shipped().check_all()] == []


def test_a_released_mapping_file_never_changes() -> None:
    lines = (LIBRARY / "released.sha256").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(list(LIBRARY.glob("*__*/v????.yaml"))) + len(list(LIBRARY.glob("*__*/table.*.yaml")))


def test_the_library_has_a_mapping_for_every_source_and_target_of_the_catalogue() -> None:
    signing = {f"{key}__agreement" for key in known_keys() if load(key).can.signing}
    outgoing = {f"engagement__{key}" for key in known_keys() if load(key).can.sink or load(key).can.directory}
    incoming = {f"{key}__engagement" for key in known_keys() if load(key).can.source}
    assert set(MappingRegistry.shipped().ids()) == signing | outgoing | incoming
    assert len(MappingRegistry.shipped().ids()) >= 12


def test_every_example_of_the_library_says_where_its_record_comes_from() -> None:
    for mapping_id in MappingRegistry.shipped().ids():
        for kind in ("gives", "refuses"):
            assert examples(mapping_id, kind), mapping_id
            for example in examples(mapping_id, kind):
                assert set(example["sample"]) == {"vendor", "endpoint", "origin"}, (mapping_id, example["name"])


@pytest.mark.parametrize("number", range(2))
def test_a_mapped_work_order_is_a_canonical_work_order(number: int) -> None:
    row = examples("fieldglass__engagement", "gives")[number]["source"]
    values = MappingRegistry.shipped().get("fieldglass__engagement", on=TODAY).apply(row).values
    order = canonical(WorkOrder, values, source="fieldglass")
    assert order.terms.vms_id == row["Work Order ID"]


def test_every_rate_unit_of_the_vms_has_a_canonical_one_and_an_unknown_one_is_named() -> None:
    mapping = MappingRegistry.shipped().get("fieldglass__engagement", "v0001")
    units = {
        mapping.apply(a_row(**{"Rate Unit": unit})).values["terms"]["rate"]["unit"] for unit in ("Hour", "Day", "Month", "Fixed")
    }  # type: ignore[index]  # a nested result
    assert units == {unit.value for unit in RateUnit}
    with pytest.raises(Refused) as refusal:
        mapping.apply(a_row(**{"Rate Unit": "Week"}))
    assert refusal.value.field == "Rate Unit"


def test_contradicting_dates_pass_the_mapping_and_are_named_by_the_canonical_model() -> None:
    values = MappingRegistry.shipped().get("fieldglass__engagement", "v0001").apply(a_row(**{"End Date": "2026-01-01"})).values
    with pytest.raises(Refused) as refusal:
        canonical(WorkOrder, values, source="fieldglass")
    assert refusal.value.cause == "contradicting_dates"


OPTIONAL = {
    "Status", "Worker Phone", "Terminate At", "Last Modified", "Worker ID", "Supplier ID", "Position ID", "Job Posting ID",
    "Closed At", "External Reference",
}  # fmt: skip


@pytest.mark.parametrize("column", [column for column in a_row() if column not in OPTIONAL])
@pytest.mark.parametrize("lost", ["missing", "empty"])
def test_a_work_order_without_a_needed_column_is_refused_by_the_columns_name(column: str, lost: str) -> None:
    row = a_row(**{column: ""})
    if lost == "missing":
        del row[column]
    with pytest.raises(Refused) as refusal:
        MappingRegistry.shipped().get("fieldglass__engagement", "v0001").apply(row)
    assert refusal.value.field == column


@pytest.mark.parametrize(("number", "signed"), [(0, True), (1, False)])
def test_a_mapped_envelope_is_a_canonical_agreement(number: int, signed: bool) -> None:
    envelope = examples("docusign__agreement", "gives")[number]["source"]
    values = MappingRegistry.shipped().get("docusign__agreement", on=TODAY).apply(envelope).values
    agreement = canonical(Agreement, values, source="docusign")
    assert (agreement.status == "completed", agreement.signed_at is not None) == (signed, signed)


def test_what_goes_to_gusto_is_what_gusto_describes() -> None:
    if not GUSTO.exists():
        pytest.skip("the vendor's API description is not here: shared/vendor-specs/gusto")
    schemas = json.loads(GUSTO.read_text())["components"]["schemas"]
    body, required = schemas["Contractor-Body"], schemas["Contractor-Create-Request-Body"]["required"]
    for example in examples("engagement__gusto", "gives"):
        jsonschema.validate(example["gives"], {**body, "required": required, "additionalProperties": False})


PAGE = (Path(__file__).resolve().parents[3] / "docs" / "connectors" / "fields.md").read_text(encoding="utf-8")


def section(part: str, key: str) -> str:
    """What the page says of a system, as a source or as a target."""
    of_part = PAGE.split(f"\n## {part}\n", 1)[1].split("\n## ", 1)[0]
    return of_part.split(f"(`{key}`)\n", 1)[1].split("\n### ", 1)[0]


def named(text: str) -> set[str]:
    """Everything that stands in code, whole and in its parts."""
    found = set(re.findall(r"`([^`]+)`", text))
    return found | {part for each in found for part in each.split(".")}


@pytest.mark.parametrize("mapping_id", MappingRegistry.shipped().ids())
def test_the_page_of_fields_names_everything_that_a_mapping_reads_or_writes(mapping_id: str) -> None:
    source, _, target = mapping_id.partition("__")
    mapping = MappingRegistry.shipped().get(mapping_id, "v0001").mapping
    if source == "engagement":
        told = named(section("Targets", target))
        names = {".".join(name for name in parse_target(field) if not name.startswith("urn:")) for field in mapping.fields}
        assert {name for name in names if name not in told and name.rpartition(".")[2] not in told} == set()
        return
    told = named(section("Sources", source))
    read = {path for rule in mapping.fields.values() for path in rule.reads}
    assert {path for path in read if not words_of(path) & told} == set()


def words_of(path: str) -> set[str]:
    """What a path is called by: its last name, those that it is found by, or, of a list, the name of the list."""
    steps = parse_path(path).steps
    names = [step.name for step in steps if isinstance(step, Key)]
    found_by = {step.text for step in steps if isinstance(step, Match)}
    last = (
        {name for name in names if name not in {"value", "city", "country", "phone", "amount", "unit"}}
        if len(names) > 1
        else set(names)
    )
    return last | found_by


def test_the_overlay_that_the_page_shows_takes_a_person_with_a_single_name() -> None:
    shown = PAGE[PAGE.index("<!-- overlay") : PAGE.index("<!-- end -->")].split("```yaml\n", 1)[1].split("```", 1)[0]
    base = MappingRegistry.shipped().get("files__engagement", "v0001").mapping
    fields = {target: FieldRule.model_validate(rule) for target, rule in yaml.safe_load(shown)["fields"].items()}
    mapping = CompiledMapping(base.model_copy(update={"fields": {**base.fields, **fields}}), content_sha256="")
    row = examples("files__engagement", "gives")[0]["source"]
    for given, family in (("Sukarno", ""), ("", "Sukarno")):
        worker = canonical(
            WorkOrder, mapping.apply({**row, "given_name": given, "family_name": family}).values, source="x"
        ).worker
        assert (worker.given_name, worker.family_name) == ("Sukarno", "Sukarno")
    assert mapping.apply(row).values["worker"] == MappingRegistry.shipped().get(base.mapping, "v0001").apply(row).values["worker"]


def test_no_mapping_writes_the_marker_which_is_the_connectors_to_write() -> None:
    marker_fields = {"employeeNumber", "employeeId"}
    for mapping_id in MappingRegistry.shipped().ids():
        fields = yaml.safe_load((LIBRARY / mapping_id / "v0001.yaml").read_text(encoding="utf-8"))["fields"]
        assert not marker_fields & set(fields)
