"""Records as the connectors' own clients read them from their sandboxes: described, and mapped by the shipped library."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connectors import catalogue
from connectors.contract import Instance
from connectors.records.schemas import source_schema
from connectors.salesforce.sandbox import SOURCE, SandboxField
from connectors.suite.operations import every_change
from connectors.suite.sandbox import ON_LOOPBACK
from connectors.suite.trial import Trial
from mappings.registry import MappingRegistry
from workforce.engagement import Agreement, WorkOrder, canonical
from workforce.ports import SourceRecord

pytestmark = pytest.mark.integration

TODAY = date(2026, 11, 22)
SPONSOR = "grace.hopper@acme.example"


@contextmanager
def opened(key: str, folder: Path, **form: Any) -> Iterator[tuple[Any, Trial[Any], Instance]]:
    """The connector's sandbox, its trial, and an instance that talks to it."""
    connector = catalogue.load(key)
    trial: Trial[Any] = importlib.import_module(f"connectors.{key}.trial").TRIAL
    with trial.open(folder) as scene:
        settings = connector.settings.model_validate({**scene.settings, **form})
        instance = Instance(key, connector, settings, ON_LOOPBACK)
        try:
            yield scene.sandbox, trial, instance
        finally:
            instance.close()


def validated(key: str, record: SourceRecord) -> Mapping[str, object]:
    """What the record holds, as described."""
    schema = source_schema(key)
    assert schema is not None
    jsonschema.Draft202012Validator(schema).validate(record.values)
    return record.values


def work_order(key: str, record: SourceRecord) -> WorkOrder:
    mapping = MappingRegistry.shipped().get(f"{key}__engagement", on=TODAY)
    order = canonical(WorkOrder, mapping.apply(validated(key, record)).values, source=key)
    assert order.terms.vms_id == record.external_id  # a work order is read again by the id that an agreement names
    order.terms.end_instant()
    return order


def a_fieldglass_work_order(sandbox: Any) -> str:
    added: str = sandbox.add_work_order()
    return added


def a_files_record(sandbox: Any) -> str:
    added: str = sandbox.add_record()
    return added


def a_deel_contract(sandbox: Any) -> str:
    """A contract with the custom fields that the client has made for it."""
    contract_id: str = sandbox.change_contract(1)
    contract = sandbox.contracts[contract_id]
    contract["worker"]["country"] = "GB"
    contract["custom_fields"] = [{"id": "1", "name": "Sponsor email", "value": SPONSOR}]
    return contract_id


def a_workmarket_assignment(sandbox: Any) -> str:
    told = {"Currency": "USD", "Business unit": "Analytics", "Sponsor email": SPONSOR}
    fields = [{"id": number, "name": name, "value": value} for number, (name, value) in enumerate(told.items())]
    added: str = sandbox.add_assignment(
        active_resource={
            "id": "4001",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "company_name": "A Ltd",
            "email": "ada@mail.example",
        },
        location={"id": 9, "name": "Broadway office", "country": "USA"},
        pricing={"type": "PER_HOUR", "per_hour_price": 95.5},
        custom_fields=[{"id": 77, "name": "Stint", "fields": fields}],
    )
    return added


def a_greenhouse_hire(sandbox: Any) -> str:
    told = {
        "end_date": "2026-08-28", "country": "US", "business_unit": "Analytics", "supplier": "A Ltd", "sponsor_email": SPONSOR,
        "work_location": "New York", "time_zone": "America/New_York", "rate": {"amount": 95.5, "unit": "USD"}, "rate_unit": "Hour",
    }  # fmt: skip
    application_id: str = sandbox.hire(1)
    sandbox.revise_offer(
        application_id,
        custom_fields={name: {"name": name, "type": "short_text", "value": value} for name, value in told.items()},
    )
    return application_id


PLACEMENT = {
    "Role__c": "Data Engineer", "Business_Unit__c": "Analytics", "Work_Location__c": "Berlin", "Country__c": "DE",
    "Time_Zone__c": "Europe/Berlin", "Pay_Rate__c": 95.5, "CurrencyIsoCode": "EUR", "Rate_Unit__c": "Hour", "Rate_Minimum__c": 80.0,
    "Rate_Maximum__c": 120.0, "Terminate_At__c": None, "Position_Number__c": None, "Requisition_Number__c": "REQ-7",
}  # fmt: skip
RELATED = {
    "Worker__r": {
        "Id": "003000000000042AAA",
        "FirstName": "Ada",
        "LastName": "Lovelace",
        "Email": "ada@mail.example",
        "Phone": None,
    },
    "Supplier__r": {"Id": "001000000000007AAA", "Name": "Brightwater Staffing"},
    "Sponsor__r": {"Id": "005000000000001AAA", "Email": SPONSOR},
}
PLACEMENT_FIELDS = [
    *("Name", "Status__c", "Start_Date__c", "End_Date__c", *PLACEMENT),
    *(f"{name}.{field}" for name, record in RELATED.items() for field in record),
]


def a_salesforce_placement(sandbox: Any) -> str:
    """A placement of an organisation that has made the fields that the mapping proposes."""
    fields = sandbox.objects[SOURCE].fields
    fields.update({name: SandboxField(name) for name in PLACEMENT})
    fields.update({name: SandboxField(name.replace("__r", "__c"), relationship=name) for name in RELATED})
    placement: str = sandbox.change_placement(1)
    related = {name: {"attributes": {"type": "Contact"}, **record} for name, record in RELATED.items()}
    return str(sandbox.put(SOURCE, {**PLACEMENT, **related}, placement))


RECORDS: Mapping[str, Callable[[Any], str]] = {
    "fieldglass": a_fieldglass_work_order,
    "files": a_files_record,
    "deel": a_deel_contract,
    "workmarket": a_workmarket_assignment,
    "greenhouse": a_greenhouse_hire,
    "salesforce": a_salesforce_placement,
}
FORMS: Mapping[str, dict[str, Any]] = {"salesforce": {"source": {"object": SOURCE, "fields": PLACEMENT_FIELDS}}}


@pytest.mark.parametrize("key", RECORDS)
def test_a_record_that_is_read_is_as_described_and_becomes_a_work_order(key: str, tmp_path: Path) -> None:
    with opened(key, tmp_path, **FORMS.get(key, {})) as (sandbox, _, instance):
        external_id = RECORDS[key](sandbox)
        order = work_order(key, instance.source().read(external_id))
    assert (order.worker.given_name, order.terms.rate.unit) == ("Ada", "hour")
    assert order.terms.starts_on <= order.terms.ends_on


@pytest.mark.parametrize("key", RECORDS)
def test_every_record_that_a_source_tells_is_as_described(key: str, tmp_path: Path) -> None:
    with opened(key, tmp_path, **FORMS.get(key, {})) as (sandbox, trial, instance):
        RECORDS[key](sandbox)
        trial.change_source(sandbox, 2)
        trial.change_source(sandbox, 2)
        told = every_change(instance.source())
        assert told
        for record in told:
            validated(key, record)


def test_a_deleted_placement_and_a_hire_that_is_taken_back_have_ended(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with opened("salesforce", tmp_path / "salesforce", **FORMS["salesforce"]) as (sandbox, _, instance):
        placement = a_salesforce_placement(sandbox)
        sandbox.delete(SOURCE, placement)
        deleted = work_order("salesforce", instance.source().read(placement))
    with opened("greenhouse", tmp_path / "greenhouse") as (sandbox, _, instance):
        hire = a_greenhouse_hire(sandbox)
        sandbox.unhire(hire)
        unhired = work_order("greenhouse", instance.source().read(hire))
    for order in (deleted, unhired):
        assert order.terms.terminates_at is not None
        assert abs((order.terms.end_instant() - now).total_seconds()) < 300


@pytest.mark.parametrize("key", ["docusign", "dropboxsign"])
def test_an_agreement_is_as_described_before_and_after_it_is_signed(key: str, tmp_path: Path) -> None:
    mapping = MappingRegistry.shipped().get(f"{key}__agreement", on=TODAY)
    with opened(key, tmp_path) as (sandbox, trial, instance):
        envelope_id = instance.signing().send(trial.agreement("ST0123456789ABC"))
        open_one = canonical(Agreement, mapping.apply(validated(key, instance.signing().status(envelope_id))).values, source=key)
        trial.sign(sandbox, envelope_id)
        signed = canonical(Agreement, mapping.apply(validated(key, instance.signing().status(envelope_id))).values, source=key)
    assert (open_one.envelope_id, open_one.vms_id, open_one.signed_at) == (envelope_id, "MSGXWO00001234", None)
    assert signed.executed_at() <= datetime.now(UTC)
