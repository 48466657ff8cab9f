"""What the shipped mappings give is really taken: created in each connector's own sandbox, read back, held against the vendor's description."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import catalogue
from connectors.contract import Instance
from connectors.files.sandbox import rows_of
from connectors.protocols.ldapv3.servers import CANNOT_RUN_HERE
from connectors.records.schemas import target_schema
from connectors.salesforce.sandbox import SINK, SandboxField
from connectors.suite.description import VendorSpec
from connectors.suite.sandbox import ON_LOOPBACK
from connectors.suite.trial import Exchange, Opened
from connectors.testing import trial_of
from mappings.registry import MappingRegistry
from tests.sample_engagements import PEOPLE, a_document
from workforce.access import DesiredAccount
from workforce.engagement import Rate, RateUnit, WorkOrder, canonical
from workforce.errors import Misconfigured, Refused
from workforce.outgoing import EngagementDocument, OutgoingTerms
from workforce.ports import Directory, RecordSink, StoredRecord

pytestmark = pytest.mark.integration

DESCRIPTIONS = Path(__file__).resolve().parents[4] / "shared" / "vendor-specs"
TODAY = date(2026, 11, 22)
SINKS = ("bamboohr", "deel", "fieldglass", "files", "gusto", "salesforce", "workmarket")
DIRECTORIES = ("activedirectory", "ldap", "msgraph", "okta", "scim")
RATES = {key: Rate(amount=Decimal("95.50"), currency="USD", unit=RateUnit.HOUR) for key in ("gusto", "workmarket")}
OTHERS = Rate(amount=Decimal(9500), currency="JPY", unit=RateUnit.DAY)
LOGINS = ("userPrincipalName", "login", "userName")
Values = Mapping[str, Any]


def a_document_for(key: str, person: str = "Japanese", **terms: Any) -> EngagementDocument:
    return a_document(person, RATES.get(key, Rate(**{**OTHERS.model_dump(), "unit": RateUnit.HOUR})), **terms)


def mapped(key: str, document: EngagementDocument) -> dict[str, Any]:
    return MappingRegistry.shipped().get(f"engagement__{key}", on=TODAY).apply(document.values()).values


@dataclass(frozen=True)
class Place:
    """A connector's instance and the sandbox behind it."""

    key: str
    instance: Instance
    opened: Opened[Any]

    @property
    def sink(self) -> RecordSink:
        return self.instance.sink()

    @property
    def directory(self) -> Directory:
        return self.instance.directory()

    @property
    def sandbox(self) -> Any:
        return self.opened.sandbox


@contextmanager
def place_of(key: str, folder: Path) -> Iterator[Place]:
    """A sandbox of ``key`` and an instance that talks to it. Skips, visibly, where a peer cannot run on this machine."""
    connector, opening = catalogue.load(key), trial_of(key).open(folder)
    try:
        opened = opening.__enter__()
    except Misconfigured as error:
        if error.cause == CANNOT_RUN_HERE:
            pytest.skip(str(error))
        raise
    try:
        prepared = _prepared(key, opened)
        instance = Instance(key, connector, connector.settings.model_validate(prepared), ON_LOOPBACK)
        yield Place(key, instance, opened)
        instance.close()
    finally:
        opening.__exit__(None, None, None)


def _prepared(key: str, opened: Opened[Any]) -> dict[str, Any]:
    """The settings; in Salesforce an administrator has made the hub's own fields, and the connector reads them back."""
    if key != "salesforce":
        return opened.settings
    names = list(MappingRegistry.shipped().get(f"engagement__{key}", on=TODAY).mapping.fields)
    contact = opened.sandbox.objects[SINK]
    contact.fields |= {name: SandboxField(name) for name in names if name not in contact.fields}
    return {**opened.settings, "sink": {**opened.settings["sink"], "fields": names}}


@pytest.fixture(params=SINKS)
def sink_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(request.param, tmp_path) as place:
        yield place


@pytest.fixture(params=DIRECTORIES)
def directory_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(request.param, tmp_path) as place:
        yield place


# What of a record can be read back, in the mapping's own names


def _as_it_is(stored: StoredRecord) -> Values:
    return stored.values


def _with_short_amount(stored: StoredRecord) -> Values:
    """Deel's contract, with its amount written without noughts at the end."""
    pay = stored.values["compensation_details"]
    return {**stored.values, "compensation_details": {**pay, "amount": f"{Decimal(str(pay['amount'])).normalize():f}"}}


READ_BACK: Mapping[str, tuple[Callable[[StoredRecord], Values], frozenset[str]]] = {
    "bamboohr": (_as_it_is, frozenset()),
    "deel": (_with_short_amount, frozenset({"type", "meta", "client", "worker", "country_code", "job_title"})),
    "fieldglass": (_as_it_is, frozenset()),
    "files": (
        _as_it_is,
        frozenset({
            "phone", "country", "login", "work_email", "vms_id", "client_unit", "supplier", "supplier_id", "sponsor_email", "time_zone",
            "rate_amount", "rate_currency", "rate_unit", "rate_minimum", "rate_maximum", "person_id", "position_id", "requisition_id",
        }),
    ),
    "gusto": (_as_it_is, frozenset({"self_onboarding"})),
    "salesforce": (_as_it_is, frozenset()),
    "workmarket": (
        _as_it_is,
        frozenset({
            "owner_email", "resource_id", "scheduled_start_date", "scheduled_end_date", "pricing_mode", "pricing_type",
            "pricing_per_hour_price",
        }),
    ),
}  # fmt: skip
"""How a record is read back, and which of the mapped fields the system, or its stand-in, does not show."""


def _differences(wanted: Values, shown: Values) -> list[str]:
    """The fields of ``wanted`` that are shown otherwise, by name. What a complex field does not show is left out."""
    return [
        name
        for name, value in wanted.items()
        if (not _holds(shown.get(name), value) if isinstance(value, Mapping) else _value(shown.get(name)) != value)
    ]


def _value(shown: object) -> object:
    """An empty cell is no value."""
    return None if shown == "" else shown


def _holds(shown: object, wanted: Values) -> bool:
    return isinstance(shown, Mapping) and all(wanted[name] == value for name, value in shown.items() if name in wanted)


@pytest.mark.parametrize("person", PEOPLE)
def test_a_mapped_record_is_created_and_read_back_as_it_was_written(sink_place: Place, person: str) -> None:
    document = a_document_for(sink_place.key, person)
    values = mapped(sink_place.key, document)
    record_id = sink_place.sink.create(document.worker.marker, values)
    stored = sink_place.sink.read(record_id)
    read, hidden = READ_BACK[sink_place.key]
    wanted = {name.strip('"'): value for name, value in values.items() if name not in hidden}
    assert _differences(wanted, read(stored)) == []
    assert stored.active
    found = sink_place.sink.find(document.worker.marker, values)
    assert [one.external_id for one in found if one.marker == document.worker.marker] == [record_id]


def test_every_cell_of_an_upload_is_as_it_was_mapped(tmp_path: Path) -> None:
    with place_of("files", tmp_path) as place:
        document = a_document_for("files", "Arabic")
        values = mapped("files", document)
        place.sink.create(document.worker.marker, values)
        (upload,) = (place.sandbox.folder / "taken").glob("create-*.csv")
        (row,) = rows_of(upload.read_bytes())
    assert dict(row) == {**values, "stint_marker": document.worker.marker}


@pytest.mark.parametrize("person", PEOPLE)
def test_a_work_order_in_fieldglass_is_read_as_the_engagement_that_it_was_made_of(person: str, tmp_path: Path) -> None:
    with place_of("fieldglass", tmp_path) as place:
        document = a_document_for("fieldglass", person)
        row = place.instance.source().read(place.sink.create(document.worker.marker, mapped("fieldglass", document))).values
    values = MappingRegistry.shipped().get("fieldglass__engagement", on=TODAY).apply(row).values
    order = canonical(WorkOrder, values, source="fieldglass")
    assert order.worker.model_dump() == document.worker.model_dump(exclude={"marker"})
    kept = set(OutgoingTerms.model_fields) - {"vms_id", "supplier_id"}  # Fieldglass gives ids of its own
    assert order.terms.model_dump(include=kept) == document.terms.model_dump(include=kept)


def test_a_contract_in_deel_shows_the_worker_and_the_role_as_they_were_mapped(tmp_path: Path) -> None:
    with place_of("deel", tmp_path) as place:
        document = a_document_for("deel", "Vietnamese")
        contract = place.sandbox.contracts[place.sink.create(document.worker.marker, mapped("deel", document))]
    assert (contract["worker"]["first_name"], contract["worker"]["last_name"]) == ("Thị Ánh", "Nguyễn")
    assert (contract["job_title"], contract["client"]["team"]["id"]) == (document.terms.role, "example-team")


@pytest.mark.parametrize("key", [key for key in SINKS if key != "deel"])
def test_a_changed_engagement_changes_its_record(key: str, tmp_path: Path) -> None:
    with place_of(key, tmp_path) as place:
        first = a_document_for(key, role="Engineer")
        record_id = place.sink.create(first.worker.marker, mapped(key, first))
        second = first.model_copy(update={"terms": first.terms.model_copy(update={"role": "アーキテクト"})})
        changed = {name: value for name, value in mapped(key, second).items() if mapped(key, first).get(name) != value}
        place.sink.update(record_id, changed)
        shown = place.sink.read(record_id).values
    assert _differences(changed, shown) == []


# Accounts


def _as_shown(place: Place, account_id: str) -> Values:
    """The account as the directory really holds it, in the mapping's own names."""
    if place.key in {"activedirectory", "ldap"}:
        (entry,) = place.sandbox.server.entries(str(place.directory.read(account_id).marker))
        return {name: values[0] for name, values in entry.items() if name != "dn" and len(values) == 1}
    user: dict[str, Any] = next(one for one in place.sandbox.users if one["id"] == account_id)
    return user["profile"] if place.key == "okta" else user


@pytest.mark.parametrize("person", PEOPLE)
def test_a_mapped_account_is_created_and_holds_what_was_mapped(directory_place: Place, person: str) -> None:
    document = a_document_for(directory_place.key, person)
    values = mapped(directory_place.key, document)
    account_id = directory_place.directory.create(_wanted(document, values))
    assert _differences(values, _as_shown(directory_place, account_id)) == []
    state = directory_place.directory.read(account_id)
    assert (state.marker, state.enabled) == (document.worker.marker, True)


def test_a_mapped_account_is_changed_and_its_phone_emptied(directory_place: Place) -> None:
    phone = {"msgraph": "mobilePhone", "okta": "mobilePhone", "ldap": "mobile", "activedirectory": "mobile"}.get(
        directory_place.key
    )
    document = a_document_for(directory_place.key, "plain", role="Engineer")
    account_id = directory_place.directory.create(_wanted(document, mapped(directory_place.key, document)))
    changed = a_document_for(directory_place.key, "plain", role="データエンジニア")
    role = {name: value for name, value in mapped(directory_place.key, changed).items() if value == changed.terms.role}
    directory_place.directory.update(account_id, {**role, **({phone: None} if phone else {})})
    shown = _as_shown(directory_place, account_id)
    assert _differences(role, shown) == []
    assert not (phone and shown.get(phone))


def test_what_the_schema_forbids_is_what_the_directory_refuses_to_set(directory_place: Place) -> None:
    document = a_document_for(directory_place.key, "plain")
    account_id = directory_place.directory.create(_wanted(document, mapped(directory_place.key, document)))
    schema = target_schema(directory_place.key)
    assert schema is not None
    for name in [name for name, member in schema["properties"].items() if member is False]:
        with pytest.raises(Refused) as refusal:
            directory_place.directory.update(account_id, {name: "set by a mapping"})
        assert refusal.value.cause == "reserved_attribute", name


def _wanted(document: EngagementDocument, values: Values) -> DesiredAccount:
    login = next((values[name] for name in LOGINS if name in values), document.account.login)
    return DesiredAccount(document.worker.marker, login, values, frozenset(), document.engagement.end_at)


# The vendors' descriptions

DESCRIBED = [key for key in (*SINKS, *DIRECTORIES) if trial_of(key).description is not None]


@pytest.mark.parametrize("key", DESCRIBED)
def test_the_requests_are_as_the_vendor_describes_them(key: str, tmp_path: Path) -> None:
    description = trial_of(key).description
    assert description is not None
    file = DESCRIPTIONS / description.file
    if not file.exists():
        pytest.skip(f"the vendor's API description is not here: {description.file}")
    with place_of(key, tmp_path) as place:
        for person in PEOPLE:
            _create(place, a_document_for(key, person))
        exchanges = list(place.opened.exchanges)
    spec = VendorSpec.read(file, prefix=description.prefix)
    writes = [one for one in exchanges if not any(re.search(path, one.path) for path in description.undescribed)]
    assert len([one for one in writes if one.method == "POST"]) >= len(PEOPLE)
    for exchange in writes:
        spec.check(exchange)
    assert _sent(exchanges) >= {profile.given_name for profile in PEOPLE.values()} or key == "workmarket"


def _create(place: Place, document: EngagementDocument) -> None:
    values = mapped(place.key, document)
    if place.key in SINKS:
        place.sink.create(document.worker.marker, values)
    else:
        place.directory.create(_wanted(document, values))


def _sent(exchanges: list[Exchange]) -> set[str]:
    """Every text that a JSON body held."""
    found: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, str):
            found.add(node)
        for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            walk(inner)

    for exchange in exchanges:
        if exchange.request_body and "json" in exchange.headers.get("content-type", ""):
            walk(json.loads(exchange.request_body))
    return found
