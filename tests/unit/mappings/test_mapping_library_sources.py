"""The incoming half of the library: every source of engagements and every e-signature system, held against both of its ends."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
import yaml

from config.mapping_ends import mapping_ends
from connectors import catalogue
from connectors.contract import Kind, Surroundings
from connectors.docusign.records import Envelope
from connectors.dropboxsign.records import SignatureRequest
from connectors.fieldglass.sandbox import FieldglassSandbox
from connectors.files.client import FilesClient
from connectors.files.sandbox import COLUMNS, FilesSandbox
from connectors.files.settings import FilesSettings
from connectors.files.source import FilesSource
from connectors.records.schemas import source_schema
from mappings.check import check_mapping
from mappings.registry import MappingRegistry
from workforce.engagement import Agreement, WorkOrder, canonical

LIBRARY = Path(__file__).resolve().parents[3] / "mappings" / "library"
DESCRIPTIONS = Path(__file__).resolve().parents[4] / "shared" / "vendor-specs"
ENGAGEMENTS = ("deel", "fieldglass", "files", "greenhouse", "salesforce", "workmarket")
AGREEMENTS = ("docusign", "dropboxsign")
KEYS = (*ENGAGEMENTS, *AGREEMENTS)
TODAY = date(2026, 11, 22)

Json = dict[str, Any]


def mapping_id(key: str) -> str:
    return f"{key}__{'engagement' if key in ENGAGEMENTS else 'agreement'}"


def examples(key: str) -> list[Json]:
    text = (LIBRARY / mapping_id(key) / "v0001.examples.yaml").read_text(encoding="utf-8")
    found: list[Json] = yaml.safe_load(text)["examples"]
    return found


def given(key: str) -> list[Json]:
    return [example for example in examples(key) if "gives" in example]


def validate(key: str, values: Mapping[str, object]) -> None:
    schema = source_schema(key)
    assert schema is not None
    jsonschema.Draft202012Validator(schema).validate(values)


def work_order(key: str, values: Mapping[str, object]) -> WorkOrder:
    return canonical(WorkOrder, MappingRegistry.shipped().get(mapping_id(key), on=TODAY).apply(values).values, source=key)


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def scripts(text: str) -> set[str]:
    return {unicodedata.name(letter, "?").split(" ")[0] for letter in text if letter.isalpha()}


def test_every_source_of_engagements_and_of_agreements_has_a_mapping_and_a_description() -> None:
    connectors = {key: catalogue.load(key) for key in catalogue.known_keys()}
    signing = {key for key, connector in connectors.items() if connector.can.signing}
    sources = {key for key, connector in connectors.items() if connector.can.source and connector.kind is not Kind.ESIGN}
    assert sources == set(ENGAGEMENTS)
    assert signing == set(AGREEMENTS)
    assert {mapping_id(key) for key in KEYS} <= set(MappingRegistry.shipped().ids())
    assert all(source_schema(key) is not None for key in KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_a_mapping_fits_its_source_and_the_canonical_model_before_any_record_is_there(key: str) -> None:
    registry, name = MappingRegistry.shipped(), mapping_id(key)
    source, target = mapping_ends(name)
    version = registry.source(name, "v0001")
    faults = check_mapping(
        version.document,
        registry.effective(name, "v0001"),
        source_schema=source,
        target_schema=target,
        tables=registry.tables(name, "v0001"),
    )
    assert [str(fault) for fault in faults] == []


@pytest.mark.parametrize("key", KEYS)
def test_a_source_schema_is_a_schema_and_says_whether_there_are_other_fields(key: str) -> None:
    schema = source_schema(key)
    assert schema is not None
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is (key in {"deel", "greenhouse", "salesforce", "workmarket"})
    assert set(schema["required"]) <= set(schema["properties"])


@pytest.mark.parametrize("key", KEYS)
def test_examples_are_records_as_the_source_gives_them_and_become_what_the_hub_takes(key: str) -> None:
    model = WorkOrder if key in ENGAGEMENTS else Agreement
    for example in given(key):
        validate(key, example["source"])
        canonical(model, example["gives"], source=example["name"])


@pytest.mark.parametrize("key", KEYS)
def test_examples_tell_where_their_records_come_from_and_at_least_two_are_refused(key: str) -> None:
    assert all({"vendor", "endpoint", "origin"} <= set(example["sample"]) for example in examples(key))
    assert len([example for example in examples(key) if "refuses" in example]) >= 2
    assert len(given(key)) >= 2


@pytest.mark.parametrize("key", ENGAGEMENTS)
def test_names_and_suppliers_of_other_scripts_come_through_letter_by_letter(key: str) -> None:
    found: set[str] = set()
    suppliers: set[str] = set()
    for example in given(key):
        worker, told = example["gives"]["worker"], set(texts(example["source"]))
        for name in (worker["given_name"], worker["family_name"]):
            assert name in told
            found |= scripts(name)
        suppliers |= scripts(example["gives"]["terms"]["supplier"])
    assert {"CJK", "ARABIC"} <= found
    assert {"CJK", "ARABIC"} <= suppliers


@pytest.mark.parametrize("key", sorted(set(ENGAGEMENTS) - {"fieldglass"}))
def test_a_name_in_combining_marks_is_not_composed(key: str) -> None:
    names = [example["gives"]["worker"]["given_name"] for example in given(key)]
    assert any(unicodedata.normalize("NFC", name) != name for name in names)


@pytest.mark.parametrize("key", ENGAGEMENTS)
def test_a_rate_is_never_without_currency_and_unit_and_a_zone_never_a_constant(key: str) -> None:
    fields = yaml.safe_load((LIBRARY / mapping_id(key) / "v0001.yaml").read_text(encoding="utf-8"))["fields"]
    assert {"terms.rate.amount", "terms.rate.currency", "terms.rate.unit", "terms.time_zone", "external.person_id"} <= set(fields)
    constants = [target for target, rule in fields.items() if "value" in rule or "default" in rule]
    assert constants == []


@pytest.mark.parametrize("key", ENGAGEMENTS)
def test_what_tells_of_a_person_or_of_pay_is_marked_as_sensitive(key: str) -> None:
    fields = yaml.safe_load((LIBRARY / mapping_id(key) / "v0001.yaml").read_text(encoding="utf-8"))["fields"]
    personal = {"worker.given_name", "worker.family_name", "worker.personal_email", "worker.phone"}
    pay = {"terms.rate.amount", "terms.rate_band.minimum", "terms.rate_band.maximum"}
    assert [target for target in (personal | pay) & set(fields) if not fields[target].get("sensitive")] == []


# The sandboxes that need no socket


def test_a_work_order_of_the_fieldglass_sandbox_has_the_described_layout_and_maps() -> None:
    sandbox = FieldglassSandbox()
    row = sandbox.work_orders[sandbox.add_work_order()]
    schema = source_schema("fieldglass")
    assert schema is not None
    assert set(row) == set(schema["properties"])
    validate("fieldglass", row)
    order = work_order("fieldglass", row)
    assert (order.terms.supplier, order.terms.rate.currency, order.external.person_id) == (
        "Brightwater Staffing",
        "EUR",
        row["Worker ID"],
    )
    assert order.terms.rate_band is not None


def test_a_work_order_that_the_hub_has_closed_still_maps() -> None:
    sandbox = FieldglassSandbox()
    number = sandbox.add_work_order()
    sandbox.change(number, **{"Status": "Closed", "End Date": "2027-01-29", "Closed At": "2027-01-29T16:00:00+00:00"})
    terms = work_order("fieldglass", sandbox.work_orders[number]).terms
    assert terms.end_instant() == datetime(2027, 1, 29, 16, tzinfo=UTC)


def test_a_record_of_the_files_sandbox_has_the_described_columns_and_maps(tmp_path: Path) -> None:
    sandbox = FilesSandbox(tmp_path)
    record_id = sandbox.add_record(given_name="花子", family_name="山田", supplier="株式会社テクノ派遣")
    settings = FilesSettings.model_validate(sandbox.local_settings())
    client = FilesClient(settings, Surroundings(folders=(tmp_path,)), sleep=lambda _: None)
    record = FilesSource(client).read(record_id)
    client.close()
    schema = source_schema("files")
    assert schema is not None
    assert set(record.values) == set(COLUMNS) == set(schema["properties"])
    validate("files", record.values)
    assert work_order("files", record.values).worker.family_name == "山田"


# The connectors' own models, and the vendors' descriptions


def test_the_description_of_an_envelope_is_that_of_the_connectors_model() -> None:
    schema = source_schema("docusign")
    assert schema is not None
    assert set(schema["properties"]) == set(Envelope.model_json_schema(by_alias=True)["properties"])


def test_the_description_of_a_signature_request_is_that_of_the_connectors_model() -> None:
    schema = source_schema("dropboxsign")
    assert schema is not None
    ours = {"stint_status", "stint_completed_at"}
    assert set(schema["properties"]) == set(SignatureRequest.model_json_schema()["properties"]) | ours


def described(file: str, name: str) -> tuple[Json, Json]:
    """The vendor's description and one of its schemas."""
    path = DESCRIPTIONS / file
    if not path.exists():
        pytest.skip(f"the vendor's description is not here: shared/vendor-specs/{file}")
    document = json.loads(path.read_text(encoding="utf-8"))
    schemas: Json = document.get("definitions") or document["components"]["schemas"]
    return document, schemas[name]


def resolved(document: Json, schema: Json) -> Json:
    """The schema that a reference, or the one alternative that is an object, stands for."""
    while "$ref" in schema:
        node: Any = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            node = node[name]
        schema = node
    objects = [one for one in schema.get("oneOf", ()) if one.get("type") != "null"]
    return resolved(document, objects[0]) if len(objects) == 1 else schema


def unknown_to(document: Json, theirs: Json, ours: Json, place: str = "") -> Iterator[str]:
    """Names of our schema that the vendor's lacks, and words that differ."""
    theirs = resolved(document, theirs)
    if "enum" in theirs and set(theirs["enum"]) != set(ours.get("enum", ())) - {None}:
        yield f"{place}: other words"
    if "items" in ours:
        yield from unknown_to(document, theirs.get("items", {}), ours["items"], f"{place}[]")
    for name, schema in ours.get("properties", {}).items():
        at = f"{place}.{name}"
        if name in theirs.get("properties", {}):
            yield from unknown_to(document, theirs["properties"][name], schema, at)
        elif not isinstance(theirs.get("additionalProperties"), dict):  # keys that are the client's own
            yield at


@pytest.mark.parametrize(
    ("key", "part", "file", "name"),
    [
        (
            "deel",
            None,
            "interface-only/deel/deel-platform.rest-v2.interface.json",
            "ContractsContractIdGetResponsesContentApplicationJsonSchemaData",
        ),
        ("workmarket", None, "interface-only/workmarket/employer-api.v1.interface.json", "AssignmentDetails"),
        *(
            ("greenhouse", part, "greenhouse/harvest-v3.hub-subset.openapi.json", f"{part}s")
            for part in ("application", "candidate", "offer", "job", "opening")
        ),
    ],
)
def test_the_vendor_describes_every_field_that_we_say_it_gives(key: str, part: str | None, file: str, name: str) -> None:
    document, theirs = described(file, name)
    schema = source_schema(key)
    assert schema is not None
    ours = schema["properties"][part] if part else schema
    assert list(unknown_to(document, theirs, ours)) == []


# Deel's table of zones


def zone_tab() -> dict[str, list[str]]:
    """The zones of each country, as the tz database lists them."""
    found: dict[str, list[str]] = {}
    for line in (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            country, _, name, *_ = line.split("\t")
            found.setdefault(country, []).append(name)
    return found


def clock(name: str) -> tuple[timedelta | None, ...]:
    """What the zone's clock is off by, twice a week for ten years."""
    begin, zone = datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo(name)
    return tuple((begin + timedelta(days=3.5 * step)).astimezone(zone).utcoffset() for step in range(1043))


def test_a_country_tells_a_zone_only_where_all_of_its_clocks_show_the_same() -> None:
    table: dict[str, str] = yaml.safe_load((LIBRARY / "deel__engagement" / "table.zones.yaml").read_text(encoding="utf-8"))[
        "table"
    ]
    zones = zone_tab()
    by_country = {country: name for country, name in table.items() if len(country) == 2}
    assert {name: name for names in zones.values() for name in names} == {
        word: name for word, name in table.items() if len(word) > 2
    }
    assert all(name in zones[country] for country, name in by_country.items())
    alike = {country for country, names in zones.items() if len({clock(name) for name in names}) == 1}
    assert set(by_country) == alike
    assert {"US", "CA", "AU", "BR"}.isdisjoint(by_country)
