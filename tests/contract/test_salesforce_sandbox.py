"""What is particular to Salesforce, against its sandbox, through simple-salesforce and the edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import ALONE, Instance, Surroundings
from connectors.salesforce import CONNECTOR
from connectors.salesforce.sandbox import MARKER_FIELD, SINK, SOURCE, SalesforceSandbox, SandboxField
from connectors.salesforce.trial import TRIAL
from connectors.suite.operations import every_change
from connectors.suite.sandbox import ON_LOOPBACK
from connectors.suite.scenes import every_record
from connectors.suite.trial import Opened
from workforce.errors import AlreadyTaken, Misconfigured, NotFound, Refused, RetryLater
from workforce.urgency import revoking

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"
ADA = TRIAL.record(1)
ENDED_AT = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[SalesforceSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        yield opened


@contextmanager
def an_instance(form: dict[str, Any], around: Surroundings = ON_LOOPBACK) -> Iterator[Instance]:
    instance = Instance("crm", CONNECTOR, CONNECTOR.settings.model_validate(form), around)
    try:
        yield instance
    finally:
        instance.close()


@pytest.fixture
def instance(opened: Opened[SalesforceSandbox]) -> Iterator[Instance]:
    with an_instance(opened.settings) as instance:
        yield instance


def test_a_signed_assertion_signs_in_as_well(opened: Opened[SalesforceSandbox]) -> None:
    form = opened.settings
    with an_instance(opened.sandbox.bearer_settings(form["my_domain_url"], form["ca_file"])) as instance:
        assert instance.client.check().ok


def test_the_check_names_every_missing_field_and_permission_and_writes_nothing(
    opened: Opened[SalesforceSandbox], instance: Instance
) -> None:
    contacts, placements = opened.sandbox.objects[SINK], opened.sandbox.objects[SOURCE]
    contacts.updateable = False
    contacts.fields["Title"].writable = False
    contacts.fields[MARKER_FIELD].unique = False
    del contacts.fields["Stint_Ends_On__c"]
    del placements.fields["End_Date__c"]
    result = instance.client.check()
    assert not result.ok
    assert result.detail == (
        "salesforce: Placement__c.End_Date__c is not there or not visible (source.fields); Contact cannot be updated; "
        "Contact.Stint_Ends_On__c is not there or not visible; Contact.Title cannot be written; "
        "Contact.Stint_Marker__c is not an external id that is unique (sink.marker_field)"
    )
    assert opened.sandbox.effects.entries == []


def test_the_check_names_an_object_that_is_not_there(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    del opened.sandbox.objects[SOURCE]
    assert "there is no object Placement__c" in instance.client.check().detail


def test_a_session_that_ended_is_renewed_and_the_write_is_done_once(
    opened: Opened[SalesforceSandbox], instance: Instance
) -> None:
    sink = instance.sink()
    record_id = sink.create(MARKER, ADA)
    opened.sandbox.sessions.clear()
    sink.update(record_id, {"Title": "Lead"})
    assert opened.sandbox.effects.count("update_record", record_id) == 1
    assert [e.status for e in opened.exchanges if e.method == "PATCH"] == [201, 401, 204]


def test_an_upsert_that_is_sent_twice_makes_one_record(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    sink = instance.sink()
    assert sink.create(MARKER, ADA) == sink.create(MARKER, ADA)
    assert opened.sandbox.effects.count("create_record") == 1


def test_an_older_api_that_tells_no_id_is_asked_for_it(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    sink = instance.sink()
    record_id = sink.create(MARKER, ADA)
    opened.sandbox.upserts_answer_bodies = False
    assert sink.create(MARKER, ADA) == record_id


def test_used_up_requests_are_throttling_and_not_a_missing_permission(
    opened: Opened[SalesforceSandbox], instance: Instance
) -> None:
    opened.sandbox.used = opened.sandbox.total
    with pytest.raises(RetryLater) as caught:
        instance.sink().create(MARKER, ADA)
    assert caught.value.cause == "throttled"


def test_the_last_requests_are_kept_for_revocations(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    sink = instance.sink()
    record_id = sink.create(MARKER, ADA)
    opened.sandbox.used = 96_000
    sink.read(record_id)
    with pytest.raises(RetryLater) as caught:
        sink.update(record_id, {"Title": "Lead"})
    assert caught.value.cause == "budget_spent"
    with revoking():
        sink.end(record_id, ended_at=ENDED_AT, ends_on="2026-03-31")
    assert opened.sandbox.effects.count("update_record", record_id) == 1


def test_a_record_that_somebody_holds_is_tried_again_later(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    sink = instance.sink()
    record_id = sink.create(MARKER, ADA)
    opened.sandbox.locked.add(record_id)
    with pytest.raises(RetryLater) as caught:
        sink.end(record_id, ended_at=ENDED_AT, ends_on="2026-03-31")
    assert caught.value.cause == "row_locked"
    assert opened.sandbox.effects.count("update_record") == 0


def test_a_unique_field_that_is_in_use_is_told_by_its_name_and_without_its_holder(
    opened: Opened[SalesforceSandbox], instance: Instance
) -> None:
    holder = opened.sandbox.put(SINK, {"LastName": "Byron", "Employee_Number__c": "E-1"})
    with pytest.raises(AlreadyTaken) as caught:
        instance.sink().create(MARKER, {**ADA, "Employee_Number__c": "E-1"})
    assert caught.value.field == "Employee_Number__c"
    assert holder not in str(caught.value)
    assert "DUPLICATE_VALUE at Employee_Number__c of Contact" in str(caught.value)


def test_several_records_under_one_marker_are_shown_to_a_person(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    for name in ("Byron", "Lovelace"):
        opened.sandbox.put(SINK, {"LastName": name, MARKER_FIELD: MARKER})
    with pytest.raises(Refused) as caught:
        instance.sink().create(MARKER, ADA)
    assert caught.value.cause == "ambiguous_marker"
    assert len(instance.sink().find(MARKER, ADA)) == 2


def test_a_namesake_is_found_without_the_marker_whatever_the_case(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    namesake = opened.sandbox.put(SINK, {"LastName": "Lovelace", "Email": "Ada.Lovelace1@ACME.example"})
    found = instance.sink().find(MARKER, ADA)
    assert [(record.external_id, record.marker) for record in found] == [(namesake, None)]


def test_nothing_in_a_value_widens_the_query(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    opened.sandbox.put(SINK, {"LastName": "Byron", "Email": "byron@acme.example"})
    for email in ("x' OR LastName = 'Byron", "\\' OR LastName = 'Byron", "x\\"):
        assert instance.sink().find(MARKER, {"Email": email}) == []


def test_an_id_that_is_none_is_not_put_into_an_address(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    for external_id in ("../../limits", "//evil.example/x", "003?fields=Id", ""):
        with pytest.raises(NotFound):
            instance.sink().read(external_id)
        with pytest.raises(NotFound):
            instance.source().read(external_id)
    assert opened.exchanges == []


def test_the_marker_is_never_content(instance: Instance) -> None:
    with pytest.raises(Refused) as caught:
        instance.sink().create(MARKER, {**ADA, MARKER_FIELD: "ST9999999999999"})
    assert caught.value.field == MARKER_FIELD


def test_a_field_that_may_not_be_written_is_named(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    opened.sandbox.objects[SINK].fields["Title"] = SandboxField("Title", writable=False)
    with pytest.raises(Refused) as caught:
        instance.sink().create(MARKER, ADA)
    assert caught.value.field == "Title"


def test_a_marker_field_that_is_no_external_id_is_a_setting_to_mend(
    opened: Opened[SalesforceSandbox], instance: Instance
) -> None:
    opened.sandbox.objects[SINK].fields[MARKER_FIELD].external_id = False
    with pytest.raises(Misconfigured) as caught:
        instance.sink().create(MARKER, ADA)
    assert caught.value.field == "sink.marker_field"


def test_a_source_field_that_is_gone_is_a_setting_to_mend(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    del opened.sandbox.objects[SOURCE].fields["Status__c"]
    with pytest.raises(Misconfigured) as caught:
        instance.source().changes(None)
    assert caught.value.field == "source"
    assert str(caught.value) == ("salesforce: INVALID_FIELD; correct the names in source, or let the integration user see them")


def test_an_end_is_written_once_and_an_earlier_one_stands(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    sink = instance.sink()
    record_id = sink.create(MARKER, ADA)
    for ends_on in ("2026-03-31", "2026-03-31", "2026-05-31"):
        sink.end(record_id, ended_at=ENDED_AT, ends_on=ends_on)
    assert opened.sandbox.effects.count("update_record") == 1
    shown = sink.read(record_id)
    assert (shown.active, shown.ends_on, shown.values["Status__c"]) == (False, "2026-03-31", "Inactive")


@pytest.mark.parametrize("has_status", [True, False])
def test_a_record_that_an_earlier_stint_left_begins_anew_and_keeps_no_value_in_silence(
    opened: Opened[SalesforceSandbox], has_status: bool
) -> None:
    contacts = opened.sandbox.objects[SINK]
    status = {} if has_status else {"status_field": None, "ended_status": None}
    with an_instance({**opened.settings, "sink": {**opened.settings["sink"], **status}}) as instance:
        sink = instance.sink()
        earlier = sink.create(MARKER, {**ADA, "Title": "Engineer"})
        sink.end(earlier, ended_at=ENDED_AT, ends_on="2026-03-31")
        assert not sink.read(earlier).active
        assert sink.create(MARKER, {**ADA, "Title": None}) == earlier
        again = sink.read(earlier)
    assert (again.active, again.ends_on) == (True, None)
    assert contacts.records[earlier]["Title"] is None
    assert len(contacts.records) == 1


def test_a_new_record_keeps_the_status_that_the_organisation_gives_by_default(
    opened: Opened[SalesforceSandbox], instance: Instance
) -> None:
    instance.sink().create(MARKER, ADA)
    (sent,) = [exchange.request_body for exchange in opened.exchanges if exchange.method == "PATCH"]
    assert b"Status__c" not in sent


def test_a_deleted_record_is_told_as_deleted(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    source, record_id = instance.source(), opened.sandbox.change_placement(1)
    cursor = source.changes(None).cursor
    opened.sandbox.delete(SOURCE, record_id)
    assert [(r.external_id, r.values["IsDeleted"]) for r in every_change(source, cursor)] == [(record_id, True)]
    assert source.read(record_id).values["IsDeleted"] is True


def test_a_related_records_field_is_told_without_the_vendors_addresses(
    opened: Opened[SalesforceSandbox], instance: Instance
) -> None:
    record = instance.source().read(opened.sandbox.change_placement(7))
    assert record.values["Worker__r"] == {"Email": "worker7@acme.example"}
    assert "attributes" not in record.values


def test_a_query_that_salesforce_forgot_goes_on_where_it_was(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    source, made = instance.source(), [opened.sandbox.change_placement(n) for n in range(9)]
    told: list[str] = []
    page = source.changes(None)
    for _ in made:
        told += [record.external_id for record in page.records]
        opened.sandbox.locators.clear()
        page = source.changes(page.cursor)
    assert told == made


def test_a_poll_without_news_tells_nothing(opened: Opened[SalesforceSandbox], instance: Instance) -> None:
    source = instance.source()
    for n in range(5):
        opened.sandbox.change_placement(n)
    _, cursor = every_record(source)
    assert every_change(source, cursor) == []


def test_the_environment_has_no_say_in_certificates_proxies_or_credentials(
    opened: Opened[SalesforceSandbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine localhost login eve password evil\n")
    (tmp_path / "empty.pem").write_text("")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "empty.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with an_instance(opened.settings) as instance:
        assert instance.sink().create(MARKER, ADA)


def test_an_internal_address_is_not_reached_unless_the_installation_lists_it(opened: Opened[SalesforceSandbox]) -> None:
    with an_instance(opened.settings, ALONE) as instance:
        result = instance.client.check()
    assert not result.ok
    assert "internal address" in result.detail
    assert opened.exchanges == []


def test_an_instance_without_a_sink_says_so(opened: Opened[SalesforceSandbox]) -> None:
    with an_instance({**opened.settings, "sink": None}) as instance:
        assert instance.client.check().ok
        with pytest.raises(Misconfigured) as caught:
            instance.sink()
    assert caught.value.field == "sink"
