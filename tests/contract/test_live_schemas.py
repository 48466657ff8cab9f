from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from config.mapping_ends import mapping_ends
from connectors import catalogue
from connectors.contract import Instance
from connectors.salesforce.sandbox import SINK, SOURCE, SandboxField
from connectors.suite.sandbox import ON_LOOPBACK
from connectors.testing import trial_of
from mappings.check import check_mapping
from mappings.registry import MappingRegistry
from workforce.errors import Misconfigured
from workforce.ports import Schemas

pytestmark = pytest.mark.integration


@contextmanager
def opened(key: str, folder: Path, **form: Any) -> Iterator[tuple[Any, Instance]]:
    connector = catalogue.load(key)
    with trial_of(key).open(folder) as served:
        instance = Instance(key, connector, connector.settings.model_validate({**served.settings, **form}), ON_LOOPBACK)
        yield served.sandbox, instance
        instance.close()


def source_of(told: Schemas) -> Mapping[str, Any]:
    assert told.source is not None
    return told.source


def target_of(told: Schemas) -> Mapping[str, Any]:
    assert told.target is not None
    return told.target


def faults_of(mapping_id: str, told: Schemas) -> list[str]:
    """The faults of the library's mapping between what an instance tells and the canonical model."""
    version = MappingRegistry.shipped().source(mapping_id, "v0001")
    document, target = version.document, mapping_ends(mapping_id)[1]
    found = check_mapping(document, version.mapping, source_schema=told.source, target_schema=target)
    return [f"{fault.key}: {fault.message}" for fault in found]


# Fieldglass


def test_a_column_that_the_customer_has_renamed_is_found_before_any_record_is_refused(tmp_path: Path) -> None:
    with opened("fieldglass", tmp_path) as (company, instance):
        company.add_work_order()
        assert faults_of("fieldglass__engagement", instance.schemas().read()) == []
        for row in company.work_orders.values():
            row["Worker Firstname"] = row.pop("Worker First Name")
        faults = faults_of("fieldglass__engagement", instance.schemas().read())
    told = "the source has no 'Worker First Name'; did you mean 'Worker Firstname'?"
    assert f"fields.worker.given_name.from: {told}" in faults


def test_a_column_that_only_some_rows_have_may_be_absent(tmp_path: Path) -> None:
    with opened("fieldglass", tmp_path) as (company, instance):
        ids = [company.add_work_order(), company.add_work_order()]
        company.work_orders[ids[0]]["Cost Centre"] = 4711
        schema = source_of(instance.schemas().read())
    assert schema["properties"]["Cost Centre"] == {"type": "integer"}
    assert "Cost Centre" not in schema["required"]
    assert "Supplier" in schema["required"]


def test_a_download_without_a_row_tells_no_columns(tmp_path: Path) -> None:
    with opened("fieldglass", tmp_path) as (_, instance):
        assert instance.schemas().read() == Schemas()


# Files


def test_the_newest_file_tells_the_columns_though_it_holds_no_row(tmp_path: Path) -> None:
    with opened("files", tmp_path) as (system, instance):
        assert instance.schemas().read() == Schemas()
        system.add_record()
        system.drop("export-000009.csv", b"id,status,end_date,stint_marker,Kostenstelle\n")
        schema = source_of(instance.schemas().read())
    assert list(schema["properties"]) == ["id", "status", "end_date", "stint_marker", "Kostenstelle", "ended_at"]
    assert schema["additionalProperties"] is False


def test_an_archived_file_tells_the_columns_as_well(tmp_path: Path) -> None:
    with opened("files", tmp_path) as (system, instance):
        system.add_record()
        instance.source().changes(None)
        assert not list((system.folder / "inbox").glob("*.csv"))
        schema = source_of(instance.schemas().read())
    assert "given_name" in schema["properties"]


def test_a_file_without_a_column_of_the_layout_is_told_as_such(tmp_path: Path) -> None:
    with opened("files", tmp_path) as (system, instance):
        system.drop("export-000001.csv", b"id,status\n")
        with pytest.raises(Misconfigured) as caught:
            instance.schemas().read()
    assert caught.value.field == "end_date"


# Salesforce


def test_the_source_has_the_fields_of_the_query_with_those_of_related_records_inside(tmp_path: Path) -> None:
    with opened("salesforce", tmp_path) as (_, instance):
        schema = source_of(instance.schemas().read())
    assert schema["properties"]["Start_Date__c"] == {"type": ["string", "null"], "format": "date"}
    assert schema["properties"]["Name"] == {"type": "string"}
    assert schema["properties"]["Revision__c"] == {"type": ["number", "null"]}
    related, nothing = schema["properties"]["Worker__r"]["anyOf"]
    assert (related["properties"], nothing) == ({"Email": {"type": ["string", "null"]}}, {"type": "null"})
    assert "Id" in schema["required"]


def test_a_field_that_is_not_there_is_not_described(tmp_path: Path) -> None:
    form = {"source": {"object": SOURCE, "fields": ["Name", "Nmae__c", "Owner__r.Email"]}}
    with opened("salesforce", tmp_path, **form) as (organisation, instance):
        owner = SandboxField("Owner__c", relationship="Owner__r", refers_to=("Group", "User"))
        organisation.objects[SOURCE].fields["Owner__r"] = owner
        schema = source_of(instance.schemas().read())
    assert set(schema["properties"]) == {"Id", "SystemModstamp", "IsDeleted", "Name", "Owner__r"}
    assert schema["properties"]["Owner__r"] == {"type": ["object", "null"]}, "it may be of several objects"


def test_the_target_has_what_can_be_written_with_its_length_and_its_picklists(tmp_path: Path) -> None:
    with opened("salesforce", tmp_path) as (organisation, instance):
        contact = organisation.objects[SINK]
        contact.fields["Grade__c"] = SandboxField("Grade__c", type="picklist", options=("A", "B"))
        contact.fields["Badge__c"] = SandboxField("Badge__c", nillable=False)
        contact.fields["Score__c"] = SandboxField("Score__c", writable=False)
        schema = target_of(instance.schemas().read())
    assert schema["properties"]["FirstName"] == {"type": ["string", "null"], "maxLength": 40}
    assert schema["properties"]["LastName"] == {"type": "string", "maxLength": 80}
    assert schema["properties"]["Grade__c"] == {"type": ["string", "null"], "enum": ["A", "B", None]}
    assert set(schema["required"]) == {"LastName", "Badge__c"}
    ruled_out = {name for name, described in schema["properties"].items() if described is False}
    assert ruled_out >= {"Id", "Score__c", "Stint_Marker__c", "Stint_Ends_On__c", "Status__c"}


def test_an_end_that_is_not_configured_is_not_described(tmp_path: Path) -> None:
    with opened("salesforce", tmp_path, source=None) as (_, instance):
        told = instance.schemas().read()
    assert told.source is None
    assert told.target is not None


# BambooHR


def test_the_target_has_the_companys_own_fields_and_the_options_of_its_lists(tmp_path: Path) -> None:
    with opened("bamboohr", tmp_path) as (company, instance):
        company.fields += ["customBadge", "customSince"]
        company.fields.remove("division")
        company.lists = {"department": ["Analytics", "Research"], "customBadge": ["red", "blue"]}
        told = instance.schemas().read()
        properties = target_of(told)["properties"]
    assert told.source is None
    assert properties["department"] == {"type": "string", "enum": ["Analytics", "Research"]}
    assert properties["customBadge"] == {"type": ["string", "null"], "enum": ["red", "blue", None]}
    assert "null" in properties["customSince"]["type"]
    assert "division" not in properties
    assert properties["employeeNumber"] is False
    assert target_of(told)["required"] == ["firstName", "lastName", "hireDate"]
