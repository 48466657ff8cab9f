"""The shipped mappings from an engagement to every target: what they write, what they refuse, and that the target takes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from config.mapping_ends import mapping_ends
from connectors import catalogue
from connectors.records.schemas import source_schema, target_schema
from mappings.registry import MappingRegistry
from tests.sample_engagements import PEOPLE, a_document, without
from workforce.engagement import Rate, RateUnit, WorkOrder, canonical
from workforce.errors import Refused
from workforce.outgoing import EngagementDocument, OutgoingTerms

ROOT = Path(__file__).resolve().parents[3]
TODAY = date(2026, 11, 22)
TARGETS = [
    key
    for key in catalogue.known_keys()
    if catalogue.load(key).can.sink is not None or catalogue.load(key).can.directory is not None
]
KNOWN_UNITS: Mapping[str, frozenset[str]] = {
    "gusto": frozenset({"hour", "fixed"}),
    "workmarket": frozenset({"hour", "fixed"}),
    "deel": frozenset({"hour", "day", "month"}),
    "fieldglass": frozenset(RateUnit),
    "files": frozenset(RateUnit),
    "salesforce": frozenset(RateUnit),
}
"""Targets that hold a rate, and the units that they know. The others hold none."""
NAMING = [key for key in TARGETS if key != "workmarket"]
"""An assignment names nobody: there the worker is an address."""
IN_DOLLARS_ONLY = frozenset({"gusto", "workmarket"})
PERSONAL = (
    "worker.given_name",
    "worker.family_name",
    "worker.personal_email",
    "worker.phone",
    "terms.rate.amount",
    "terms.rate_band",
)


def described(key: str) -> dict[str, Any]:
    schema = target_schema(key)
    assert schema is not None, f"connectors/{key}/target.schema.json is missing"
    return schema


def mapped(key: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return MappingRegistry.shipped().get(f"engagement__{key}", on=TODAY).apply(values).values


def faults(key: str, values: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(described(key), format_checker=jsonschema.FormatChecker())
    return [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in validator.iter_errors(values)]


def a_rate_for(key: str) -> Rate:
    """A rate that the target takes."""
    return Rate(amount=Decimal("95.50"), currency="USD" if key in IN_DOLLARS_ONLY else "JPY", unit=RateUnit.HOUR)


def rules(key: str) -> dict[str, dict[str, Any]]:
    document = yaml.safe_load((ROOT / "mappings" / "library" / f"engagement__{key}" / "v0001.yaml").read_text(encoding="utf-8"))
    fields: dict[str, dict[str, Any]] = document["fields"]
    return fields


def examples(key: str) -> list[dict[str, Any]]:
    path = ROOT / "mappings" / "library" / f"engagement__{key}" / "v0001.examples.yaml"
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["examples"]
    return found


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(inner)


def test_every_connector_that_takes_records_or_accounts_has_a_mapping_and_says_what_it_takes() -> None:
    assert {f"engagement__{key}" for key in TARGETS} <= set(MappingRegistry.shipped().ids())
    for key in TARGETS:
        jsonschema.Draft202012Validator.check_schema(described(key))


@pytest.mark.parametrize("key", TARGETS)
def test_a_mapping_fits_both_of_its_ends_before_any_record_is_there(key: str) -> None:
    registry, mapping_id = MappingRegistry.shipped(), f"engagement__{key}"
    assert mapping_ends(mapping_id)[1] == described(key)
    assert [str(fault) for fault in registry.version_faults(mapping_id, "v0001", mapping_ends)] == []


@pytest.mark.parametrize("knows_all", [True, False])
@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("key", TARGETS)
def test_what_is_mapped_is_what_the_target_takes(key: str, person: str, knows_all: bool) -> None:
    document = a_document(person, a_rate_for(key), knows_all=knows_all)
    assert faults(key, mapped(key, document.values())) == []


@pytest.mark.parametrize("person", [person for person in PEOPLE if person != "plain"])
@pytest.mark.parametrize("key", NAMING)
def test_a_name_keeps_its_script(key: str, person: str) -> None:
    values = list(texts(mapped(key, a_document(person, a_rate_for(key)).values())))
    assert PEOPLE[person].given_name in values
    assert PEOPLE[person].family_name in values


@pytest.mark.parametrize("person", PEOPLE)
def test_what_has_to_be_plain_is_the_login(person: str) -> None:
    document = a_document(person)
    values = {key: mapped(key, document.values()) for key in ("msgraph", "activedirectory", "okta", "scim", "ldap")}
    plain = [
        values["msgraph"]["mailNickname"],
        values["msgraph"]["userPrincipalName"],
        values["activedirectory"]["userPrincipalName"],
    ]
    plain += [values["okta"]["login"], values["scim"]["userName"], values["ldap"]["mail"]]
    assert all(text.isascii() and text.startswith(document.account.login) for text in plain)


@pytest.mark.parametrize("unit", RateUnit)
@pytest.mark.parametrize("key", KNOWN_UNITS)
def test_a_rate_goes_to_the_target_in_its_unit_or_not_at_all(key: str, unit: RateUnit) -> None:
    values = a_document(rate=Rate(amount=Decimal("95.00"), currency="USD", unit=unit)).values()
    if unit in KNOWN_UNITS[key]:
        assert faults(key, mapped(key, values)) == []
        return
    with pytest.raises(Refused) as refusal:
        mapped(key, values)
    assert "(from terms.rate.unit)" in str(refusal.value)


@pytest.mark.parametrize("unit", RateUnit)
@pytest.mark.parametrize("key", sorted(IN_DOLLARS_ONLY))
def test_a_target_that_knows_no_currency_refuses_any_other(key: str, unit: RateUnit) -> None:
    with pytest.raises(Refused) as refusal:
        mapped(key, a_document(rate=Rate(amount=Decimal("95.00"), currency="EUR", unit=unit)).values())
    assert "(from terms.rate.currency)" in str(refusal.value)


@pytest.mark.parametrize("key", [key for key in KNOWN_UNITS if key not in IN_DOLLARS_ONLY])
def test_a_target_that_knows_currencies_is_told_the_rates_own(key: str) -> None:
    rate = Rate(amount=Decimal("12345.6789"), currency="VND", unit=RateUnit.HOUR)
    told = list(texts(mapped(key, a_document(rate=rate).values())))
    assert {"VND", "12345.6789"} <= set(told)


@pytest.mark.parametrize("key", [key for key in TARGETS if key not in KNOWN_UNITS])
def test_a_target_that_holds_no_rate_is_told_none(key: str) -> None:
    read = {path for rule in rules(key).values() for path in [rule.get("from"), *rule.get("gather", ())] if path}
    assert not [path for path in read if path.startswith("terms.rate")]


@pytest.mark.parametrize("key", TARGETS)
def test_what_is_personal_is_marked_as_sensitive(key: str) -> None:
    for target, rule in rules(key).items():
        read = [path for path in [rule.get("from"), *rule.get("gather", ())] if path]
        if any(path.startswith(PERSONAL) for path in read):
            assert rule.get("sensitive") is True, target


@pytest.mark.parametrize("key", NAMING)
def test_a_person_without_a_family_name_is_refused_by_the_fields_name(key: str) -> None:
    with pytest.raises(Refused) as refusal:
        mapped(key, without(a_document(rate=a_rate_for(key)).values(), "worker.family_name"))
    assert "worker.family_name" in str(refusal.value)


@pytest.mark.parametrize("key", TARGETS)
def test_the_examples_are_engagements_and_what_they_give_is_what_the_target_takes(key: str) -> None:
    given = [example for example in examples(key) if "gives" in example]
    assert len(given) >= 2
    assert len([example for example in examples(key) if "refuses" in example]) >= 2
    assert any(not text.isascii() for example in given for text in texts(example["gives"]))
    for example in given:
        assert EngagementDocument.model_validate(example["source"]).values() == example["source"]
        assert faults(key, example["gives"]) == []


def test_a_field_of_the_hubs_own_is_emptied_when_the_source_no_longer_knows_it() -> None:
    known, unknown = a_document(), a_document(knows_all=False)
    for key, names in {
        "salesforce": ("Stint_Supplier_Id__c", "Stint_Rate_Minimum__c", "Stint_Person_Id__c"),
        "files": ("supplier_id", "rate_maximum", "requisition_id"),
    }.items():
        before, after = mapped(key, known.values()), mapped(key, unknown.values())
        assert [after[name] for name in names] == [None] * len(names)
        assert all(before[name] for name in names)


@pytest.mark.parametrize("key", TARGETS)
def test_a_phone_that_the_source_does_not_know_leaves_the_targets(key: str) -> None:
    with_phone, without_phone = a_document("plain", a_rate_for(key)), a_document("Japanese", a_rate_for(key))
    named = [target for target, rule in rules(key).items() if rule.get("from") == "worker.phone"]
    for target in named:
        name = target.strip('"')
        assert PEOPLE["plain"].phone in texts(mapped(key, with_phone.values())[name])
        assert name not in mapped(key, without_phone.values())


def test_a_contract_in_deel_waits_until_its_business_unit_has_a_team_and_a_legal_entity() -> None:
    with pytest.raises(Refused) as refusal:
        mapped("deel", a_document(client_unit="Analytics").values())
    assert "client.team.id (from terms.client_unit)" in str(refusal.value)
    assert "client.legal_entity.id (from terms.client_unit)" in str(refusal.value)


def test_workmarket_is_told_whole_days_at_the_place_of_work() -> None:
    values = mapped("workmarket", a_document(starts_on=date(2026, 2, 1), ends_on=date(2028, 2, 29)).values())
    assert (values["scheduled_start_date"], values["scheduled_end_date"]) == ("2026/02/01 12:00 AM", "2028/02/29 11:59 PM")


MOVES = frozenset({
    "terms.role", "terms.client_unit", "terms.supplier", "terms.supplier_id", "terms.location", "terms.ends_on", "terms.rate.amount",
    "terms.rate.currency", "terms.rate.unit", "terms.rate_band.minimum", "terms.rate_band.maximum", "worker.given_name",
    "worker.family_name",
})  # fmt: skip
"""What changes while an engagement runs."""
ONCE = {("deel", "title")}
"""What a target takes only when its record is made."""


@pytest.mark.parametrize("key", TARGETS)
def test_what_changes_while_an_engagement_runs_is_never_written_only_once(key: str) -> None:
    for target, rule in rules(key).items():
        read = {path for path in [rule.get("from"), *rule.get("gather", ())] if path}
        if read & MOVES and (key, target) not in ONCE:
            assert rule.get("strength", "normal") != "weak", target


@pytest.mark.parametrize("key", TARGETS)
def test_every_target_but_payroll_holds_role_and_business_unit(key: str) -> None:
    held = {path for rule in rules(key).values() for path in [rule.get("from"), *rule.get("gather", ())] if path}
    assert {"terms.role", "terms.client_unit"} <= held or key == "gusto"


def test_what_is_sent_to_a_person_after_the_end_does_not_go_to_the_account() -> None:
    document = a_document(rate=a_rate_for("gusto"))
    assert mapped("gusto", document.values())["email"] == document.worker.personal_email


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("unit", RateUnit)
def test_a_work_order_that_the_hub_uploads_to_fieldglass_is_read_as_the_same_terms(person: str, unit: RateUnit) -> None:
    document = a_document(person, Rate(amount=Decimal("1234.5678"), currency="KWD", unit=unit))
    source = source_schema("fieldglass")
    assert source is not None
    row = {name: "" if value is None else value for name, value in mapped("fieldglass", document.values()).items()}
    own = {"Work Order ID": document.terms.vms_id, "Status": "Accepted", "Last Modified": "2026-11-20T10:00:00+00:00"}
    shown = {name: row.get(name, "") for name in source["properties"]} | own
    values = MappingRegistry.shipped().get("fieldglass__engagement", on=TODAY).apply(shown).values
    order = canonical(WorkOrder, values, source="fieldglass")
    assert order.worker.model_dump() == document.worker.model_dump(exclude={"marker"})
    kept = set(OutgoingTerms.model_fields) - {"supplier_id"}  # Fieldglass gives ids of its own
    assert order.terms.model_dump(include=kept) == document.terms.model_dump(include=kept)


@pytest.mark.parametrize("knows_all", [True, False])
def test_what_the_hub_uploads_is_what_it_reads_in_an_export_of_the_same_columns(knows_all: bool) -> None:
    document = a_document("Vietnamese", a_rate_for("files"), knows_all=knows_all)
    source = source_schema("files")
    assert source is not None
    row = {name: "" if value is None else str(value) for name, value in mapped("files", document.values()).items()}
    exported = {name: row.get(name, "") for name in source["properties"]} | {"id": document.terms.vms_id}
    values = MappingRegistry.shipped().get("files__engagement", on=TODAY).apply(exported).values
    order = canonical(WorkOrder, values, source="files")
    assert order.worker.model_dump() == document.worker.model_dump(exclude={"marker"})
    assert order.terms.model_dump(include=set(OutgoingTerms.model_fields)) == document.terms.model_dump()
    assert order.external == document.external


Members = Callable[[dict[str, Any]], dict[str, Any]]
VENDORS: Mapping[str, tuple[str, Members]] = {
    "gusto": (
        "gusto/gusto-app-integrations.v2025-06-15.pruned.json",
        lambda document: document["components"]["schemas"]["Contractor-Body"]["properties"],
    ),
    "okta": ("okta/okta-management.pruned.json", lambda document: document["components"]["schemas"]["UserProfile"]["properties"]),
    "msgraph": (
        "microsoft-graph/graph-v1.0-identity.openapi.json",
        lambda document: document["components"]["schemas"]["microsoft.graph.user"]["allOf"][1]["properties"],
    ),
    "workmarket": (
        "interface-only/workmarket/employer-api.v1.interface.json",
        lambda document: {
            parameter["name"]: parameter
            for parameter in document["paths"]["/v1/employer/assignments/create"]["post"]["parameters"]
        },
    ),
    "deel": (
        "interface-only/deel/deel-platform.rest-v2.interface.json",
        lambda document: document["components"]["schemas"]["ContractsPostRequestBodyContentApplicationJsonSchemaData3"][
            "properties"
        ],
    ),
}
"""Where a vendor's own description lists what may be written."""


@pytest.mark.parametrize("key", VENDORS)
def test_what_a_target_is_said_to_take_is_what_its_vendor_describes(key: str) -> None:
    file, members = VENDORS[key]
    path = ROOT.parent / "shared" / "vendor-specs" / file
    if not path.exists():
        pytest.skip(f"the vendor's API description is not here: {file}")
    known = members(json.loads(path.read_text(encoding="utf-8")))
    ours = {name: member for name, member in described(key)["properties"].items() if member is not False}
    assert set(ours) <= set(known)
    for name, member in ours.items():
        assert set(known[name].get("enum", member.get("enum", ()))) >= set(member.get("enum", ())) - {None}, name
        assert member.get("maxLength", 0) <= known[name].get("maxLength", 2**31), name
