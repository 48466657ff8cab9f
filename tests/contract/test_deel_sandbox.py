"""What is particular to Deel, against its sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.contract import Instance
from connectors.deel import CONNECTOR
from connectors.deel.sandbox import DeelSandbox, sample
from connectors.deel.trial import TRIAL
from connectors.suite.operations import every_change
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind
from connectors.suite.scenes import every_record
from connectors.suite.trial import Opened
from workforce.errors import NotFound, OutcomeUnknown, Refused

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"
ENDED_AT = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[DeelSandbox]]:
    with TRIAL.open(tmp_path) as opened:
        yield opened


def an_instance(opened: Opened[DeelSandbox], **changes: object) -> Instance:
    return Instance("vms", CONNECTOR, CONNECTOR.settings.model_validate({**opened.settings, **changes}), ON_LOOPBACK)


@pytest.fixture
def instance(opened: Opened[DeelSandbox]) -> Iterator[Instance]:
    instance = an_instance(opened)
    yield instance
    instance.close()


def paying(amount: object) -> dict[str, object]:
    return {"compensation_details": {"amount": amount}}


def reads_of(opened: Opened[DeelSandbox], contract_id: str) -> int:
    return len([e for e in opened.exchanges if e.method == "GET" and e.path.endswith(f"/contracts/{contract_id}")])


def test_a_rate_that_waits_for_its_signature_is_not_asked_for_again(opened: Opened[DeelSandbox], instance: Instance) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    opened.sandbox.signs_at_once = False
    for _ in range(3):
        sink.update(contract_id, paying("110.00"))
    assert sink.read(contract_id).values["compensation_details"]["amount"] == "95.50"
    opened.sandbox.sign_amendments(contract_id)
    sink.update(contract_id, paying("110.00"))
    assert sink.read(contract_id).values["compensation_details"]["amount"] == "110.00"
    assert opened.sandbox.effects.count("amend_contract") == 1


def test_a_lost_reply_to_an_amendment_is_found_among_those_that_are_pending(
    opened: Opened[DeelSandbox], instance: Instance
) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    opened.sandbox.signs_at_once = False
    opened.sandbox.faults.plan(Fault(FaultKind.ERROR_AFTER, "POST", "/amendments$"))
    with pytest.raises(OutcomeUnknown):
        sink.update(contract_id, paying(110))
    sink.update(contract_id, paying(110))
    assert opened.sandbox.effects.count("amend_contract") == 1


def test_a_declined_amendment_is_asked_for_anew(opened: Opened[DeelSandbox], instance: Instance) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    opened.sandbox.signs_at_once = False
    for _ in range(5):  # more than a page of them
        sink.update(contract_id, paying(110))
        opened.sandbox.amendments[contract_id][-1].update(status="DECLINED", sign_status="DECLINED")
    sink.update(contract_id, paying(110))
    sink.update(contract_id, paying(110))
    assert opened.sandbox.effects.count("amend_contract") == 6


def test_an_amendment_that_was_signed_before_is_no_reason_not_to_go_back_to_its_rate(
    opened: Opened[DeelSandbox], instance: Instance
) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    for amount in (110, 120, 110):
        sink.update(contract_id, paying(amount))
    assert sink.read(contract_id).values["compensation_details"]["amount"] == "110.00"
    assert opened.sandbox.effects.count("amend_contract") == 3


@pytest.mark.parametrize(
    ("values", "field", "cause"),
    [
        ({"title": "Other"}, "title", "not_amendable"),
        ({"client": {"team": {"id": "team-2"}}}, "client.team.id", "not_amendable"),
        ({"country_code": "DE"}, "country_code", "not_amendable"),
        (paying(120) | {"worker": {"last_name": "Byron"}}, "worker.last_name", "not_amendable"),
        ({"compensation_details": {"payment_due_days": 30}}, "compensation_details.payment_due_days", "not_amendable"),
        ({"compensation_details": {"amount": None}}, "compensation_details.amount", "cannot_be_emptied"),
        ({"termination_date": None}, "termination_date", "cannot_be_emptied"),
        (paying("a lot"), "amount", "no_number"),
        ({"external_id": "x"}, "external_id", "marker_field"),
    ],
)
def test_what_cannot_be_changed_is_refused_by_name_before_anything_is_sent(
    opened: Opened[DeelSandbox], instance: Instance, values: dict[str, object], field: str, cause: str
) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    with pytest.raises(Refused) as caught:
        sink.update(contract_id, values)
    assert (caught.value.field, caught.value.cause) == (field, cause)
    assert [entry.operation for entry in opened.sandbox.effects.entries] == ["create_contract"]


def test_what_the_contract_says_already_is_passed_over_whether_or_not_it_could_be_changed(
    opened: Opened[DeelSandbox], instance: Instance
) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    said = sample(1)
    hidden = {"payment_due_days", "payment_due_type"}
    pay = {name: value for name, value in said["compensation_details"].items() if name not in hidden}
    told = {name: value for name, value in said.items() if name not in {"meta", "country_code"}}
    sink.update(contract_id, {**told, "compensation_details": pay | {"amount": "95.5"}, "scope_of_work": None})
    assert [entry.operation for entry in opened.sandbox.effects.entries] == ["create_contract"]


def test_all_that_an_amendment_can_change_is_asked_for_at_once_with_the_rate(
    opened: Opened[DeelSandbox], instance: Instance
) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    wanted = {
        "job_title": {"name": "Architect"},
        "start_date": "2026-03-01",
        "scope_of_work": "All of it",
        "compensation_details": {"frequency": "weekly"},
    }
    for _ in range(2):
        sink.update(contract_id, wanted)
    shown = sink.read(contract_id).values
    assert {name: shown[name] for name in ("job_title", "start_date", "scope_of_work")} == {
        name: wanted[name] for name in ("job_title", "start_date", "scope_of_work")
    }
    assert shown["compensation_details"]["frequency"] == "weekly"
    assert shown["compensation_details"]["amount"] == "95.50"
    assert opened.sandbox.effects.count("amend_contract") == 1


def test_a_role_that_waits_for_its_signature_is_not_asked_for_again(opened: Opened[DeelSandbox], instance: Instance) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    opened.sandbox.signs_at_once = False
    for name in ("Architect", "Architect", "Principal"):
        sink.update(contract_id, {"job_title": {"name": name}})
    assert opened.sandbox.effects.count("amend_contract") == 1
    opened.sandbox.sign_amendments(contract_id)
    sink.update(contract_id, {"job_title": {"name": "Principal"}})  # what the first did not bring
    assert opened.sandbox.effects.count("amend_contract") == 2


def test_an_end_replaces_a_later_one_and_leaves_an_earlier_one(opened: Opened[DeelSandbox], instance: Instance) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    for ends_on in ("2038-06-30", "2038-03-31", "2038-03-31", "2038-05-31"):
        sink.end(contract_id, ended_at=ENDED_AT, ends_on=ends_on)
    shown = sink.read(contract_id)
    assert (shown.ends_on, shown.active) == ("2038-03-31", True)
    effects = opened.sandbox.effects
    assert (effects.count("terminate_contract"), effects.count("cancel_termination")) == (2, 1)


def test_an_end_that_has_come_closes_the_contract_at_once(opened: Opened[DeelSandbox], instance: Instance) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    for _ in range(2):
        sink.end(contract_id, ended_at=ENDED_AT, ends_on="2026-03-31")
    assert not sink.read(contract_id).active
    assert opened.sandbox.effects.count("terminate_contract") == 1


def test_an_extension_takes_the_set_end_back_and_sets_the_new_one(opened: Opened[DeelSandbox], instance: Instance) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, sample(1))
    sink.end(contract_id, ended_at=ENDED_AT, ends_on="2038-03-31")
    for _ in range(2):
        sink.update(contract_id, {"termination_date": "2038-09-30"})
    assert sink.read(contract_id).ends_on == "2038-09-30"
    assert opened.sandbox.effects.count("terminate_contract") == 2


def test_no_end_is_what_a_contract_without_one_says_already(opened: Opened[DeelSandbox], instance: Instance) -> None:
    sink = instance.sink()
    contract_id = sink.create(MARKER, {**sample(1), "termination_date": None})
    sink.update(contract_id, {"termination_date": None})
    assert sink.read(contract_id).ends_on is None


def test_every_contract_under_a_marker_is_found_and_no_other(opened: Opened[DeelSandbox], instance: Instance) -> None:
    sink = instance.sink()
    made = {sink.create(MARKER, sample(n)) for n in range(5)}
    sink.create("ST9999999999999", sample(9))
    found = sink.find(MARKER, {})
    assert {record.external_id for record in found} == made
    assert {record.marker for record in found} == {MARKER}


def test_a_rate_that_the_list_does_not_tell_is_told_nevertheless(opened: Opened[DeelSandbox], instance: Instance) -> None:
    source, sandbox = instance.source(), opened.sandbox
    ids = [sandbox.change_contract(n) for n in range(7)]
    sandbox.change_contract(2)  # signed
    _, cursor = every_record(instance.source())
    sandbox.change_contract(2)  # paid better
    assert [record.external_id for record in every_change(source, cursor)] == [ids[2]]
    assert source.read(ids[2]).values["compensation_details"] == sandbox.contracts[ids[2]]["compensation_details"]


def test_a_closed_contract_is_read_once_and_told_again_when_its_row_changes(
    opened: Opened[DeelSandbox], instance: Instance
) -> None:
    contract_id = opened.sandbox.change_contract(1)
    instance.sink().end(contract_id, ended_at=ENDED_AT, ends_on="2026-03-31")
    opened.exchanges.clear()
    _, cursor = every_record(instance.source())
    assert every_change(instance.source(), cursor) == []
    assert reads_of(opened, contract_id) == 1
    opened.sandbox.contracts[contract_id]["is_archived"] = True
    assert [record.external_id for record in every_change(instance.source(), cursor)] == [contract_id]


def test_with_the_list_alone_only_changed_rows_are_read(opened: Opened[DeelSandbox]) -> None:
    instance = an_instance(opened, reads_each_open_contract=False)
    contract_id = opened.sandbox.change_contract(1)
    _, cursor = every_record(instance.source())
    opened.exchanges.clear()
    assert every_change(instance.source(), cursor) == []
    assert reads_of(opened, contract_id) == 0
    opened.sandbox.change_contract(1)  # its status, which the list tells
    assert [record.external_id for record in every_change(instance.source(), cursor)] == [contract_id]
    instance.close()


def test_an_id_that_is_none_is_not_put_into_an_address(opened: Opened[DeelSandbox], instance: Instance) -> None:
    for external_id in ("../people", "a/b", "c?x=1", ""):
        with pytest.raises(NotFound):
            instance.source().read(external_id)
    assert opened.exchanges == []
