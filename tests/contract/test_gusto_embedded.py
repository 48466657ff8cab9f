"""What Gusto's Embedded edition adds: dated terminations and payment groups. Requests are held against the SDK's list of operations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Instance
from connectors.gusto import CONNECTOR
from connectors.gusto.client import GustoClient
from connectors.gusto.payments import Payment, PaymentGroup, PaymentGroups, PaymentMethod
from connectors.gusto.sandbox import GustoSandbox
from connectors.gusto.trial import GustoTrial
from connectors.suite.sandbox import ON_LOOPBACK, Fault, FaultKind
from connectors.suite.trial import Opened, an_instance
from tests.contract.specs import SPECS
from workforce.errors import Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"
ADA = {
    "type": "Individual", "wage_type": "Hourly", "hourly_rate": "95.00", "first_name": "Ada", "last_name": "Lovelace",
    "email": "ada.lovelace@acme.example", "start_date": "2026-02-01",
}  # fmt: skip
ENDED_AT = datetime(2026, 4, 1, tzinfo=UTC)
FRIDAY = date(2026, 12, 4)


class EmbeddedTrial(GustoTrial):
    def sandbox(self) -> GustoSandbox:
        return GustoSandbox(edition="embedded")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened[GustoSandbox]]:
    with EmbeddedTrial().open(tmp_path) as opened:
        opened.settings["timeout_seconds"] = 0.5
        yield opened


@pytest.fixture
def instance(opened: Opened[GustoSandbox]) -> Iterator[Instance]:
    with an_instance(CONNECTOR, opened.settings) as instance:
        yield instance


@pytest.fixture
def groups(instance: Instance) -> PaymentGroups:
    assert isinstance(instance.client, GustoClient)
    return PaymentGroups(instance.client)


def a_group(instance: Instance, **changed: Any) -> PaymentGroup:
    contractor = instance.sink().create(MARKER, ADA)
    payments = (Payment(contractor, hours=Decimal("40.0")), Payment(contractor, bonus=Decimal("20.00")))
    return PaymentGroup(**{"marker": MARKER, "check_date": FRIDAY, "payments": payments, **changed})


def as_the_sdk_calls_it(opened: Opened[GustoSandbox]) -> set[str]:
    """The operations that were called; each has the method, path and required body fields of the SDK."""
    path = SPECS / "gusto" / "sdk-operations.2026-06-15.json"
    if not path.exists():
        pytest.skip(f"the SDK's list of operations is not here: {path.name}")
    operations = json.loads(path.read_text())["flavours"]["gusto_embedded_v_2026_06_15"]
    called = set()
    for exchange in opened.exchanges:
        (operation,) = [o for o in operations if o["method"] == exchange.method and _matches(o["path"], exchange.path)]
        called.add(operation["operationId"])
        known = {name.removesuffix("_") for name, _, _ in operation["params"]}
        sent = json.loads(exchange.request_body) if exchange.request_body else {}
        assert set(sent) | set(exchange.query) <= known
        required = {
            name for name, _, is_required in operation["params"] if is_required and f"{{{name}}}" not in operation["path"]
        }
        assert required <= set(sent) | set(exchange.query), operation["operationId"]
        assert exchange.headers["x-gusto-api-version"] == "2026-06-15"
    return called


def _matches(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) is not None


def test_an_end_is_dated_and_stands_until_its_day(opened: Opened[GustoSandbox], instance: Instance) -> None:
    sink = instance.sink()
    contractor = sink.create(MARKER, ADA)
    for _ in range(2):
        sink.end(contractor, ended_at=ENDED_AT, ends_on="2031-03-31")
    ended = sink.read(contractor)
    assert (ended.active, ended.ends_on) == (False, "2031-03-31")
    assert opened.sandbox.effects.count("end_contractor", contractor) == 1
    assert "post-v1-contractors-contractor_uuid-termination" in as_the_sdk_calls_it(opened)


def test_a_later_dismissal_is_cancelled_for_an_earlier_end(opened: Opened[GustoSandbox], instance: Instance) -> None:
    sink = instance.sink()
    contractor = sink.create(MARKER, ADA)
    sink.end(contractor, ended_at=ENDED_AT, ends_on="2031-03-31")
    sink.end(contractor, ended_at=ENDED_AT, ends_on="2031-02-28")
    assert sink.read(contractor).ends_on == "2031-02-28"
    assert "delete-v1-contractors-contractor_uuid-termination" in as_the_sdk_calls_it(opened)


TODAY = datetime.now(UTC).date()
YESTERDAY, LAST_WEEK, SOON, LATER = ((TODAY + timedelta(days=days)).isoformat() for days in (-1, -7, 9, 12))


def dismissed(instance: Instance, ends_on: str = YESTERDAY) -> str:
    contractor = instance.sink().create(MARKER, ADA)
    instance.sink().end(contractor, ended_at=ENDED_AT, ends_on=ends_on)
    return contractor


@pytest.mark.parametrize(("starts_on", "begins_on"), [(TODAY.isoformat(), TODAY.isoformat()), (LAST_WEEK, YESTERDAY)])
def test_a_rehire_begins_on_its_day_and_never_before_the_dismissal(
    opened: Opened[GustoSandbox], instance: Instance, starts_on: str, begins_on: str
) -> None:
    sink: Any = instance.sink()
    contractor = dismissed(instance)
    for _ in range(2):
        sink.rehire(contractor, starts_on=starts_on)
    again = sink.read(contractor)
    assert (again.active, again.ends_on, again.values["start_date"]) == (True, None, begins_on)
    assert opened.sandbox.effects.count("rehire_contractor", contractor) == 1
    assert "post-v1-contractors-contractor_uuid-rehire" in as_the_sdk_calls_it(opened)


def test_a_rehire_to_come_is_shown_moved_and_cancelled(opened: Opened[GustoSandbox], instance: Instance) -> None:
    sink: Any = instance.sink()
    contractor = dismissed(instance)
    sink.rehire(contractor, starts_on=SOON)
    coming = sink.read(contractor)
    assert (coming.active, coming.ends_on, coming.values["start_date"]) == (True, None, SOON)
    sink.update(contractor, {"start_date": LATER, "hourly_rate": "99.00"})
    moved = sink.read(contractor).values
    assert (moved["start_date"], moved["hourly_rate"]) == (LATER, "99.00")
    assert opened.sandbox.contractors[contractor]["start_date"] == ADA["start_date"]
    sink.end(contractor, ended_at=ENDED_AT, ends_on=SOON)
    assert (sink.read(contractor).active, sink.read(contractor).ends_on) == (False, YESTERDAY)
    assert "delete-v1-contractors-contractor_uuid-rehire" in as_the_sdk_calls_it(opened)


def test_somebody_whose_dismissal_is_pending_is_not_employed_twice(opened: Opened[GustoSandbox], instance: Instance) -> None:
    sink: Any = instance.sink()
    contractor = dismissed(instance, ends_on=SOON)
    sink.rehire(contractor, starts_on=LATER)
    assert (sink.read(contractor).active, sink.read(contractor).ends_on) == (True, None)
    assert opened.sandbox.effects.count("rehire_contractor") == 0
    assert opened.sandbox.effects.count("cancel_termination", contractor) == 1


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT_AFTER, FaultKind.ERROR_AFTER, FaultKind.HTML_AFTER])
def test_a_lost_rehire_is_seen_in_the_record(opened: Opened[GustoSandbox], instance: Instance, kind: FaultKind) -> None:
    sink: Any = instance.sink()
    contractor = dismissed(instance)
    opened.sandbox.faults.plan(Fault(kind, "POST", "/rehire$"))
    with pytest.raises(OutcomeUnknown):
        sink.rehire(contractor, starts_on=SOON)
    assert sink.read(contractor).active
    sink.rehire(contractor, starts_on=SOON)
    assert opened.sandbox.effects.count("rehire_contractor", contractor) == 1


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT_AFTER, FaultKind.ERROR_AFTER, FaultKind.HTML_AFTER])
def test_a_lost_dismissal_is_seen_in_the_record(opened: Opened[GustoSandbox], instance: Instance, kind: FaultKind) -> None:
    sink = instance.sink()
    contractor = sink.create(MARKER, ADA)
    opened.sandbox.faults.plan(Fault(kind, "POST", "/termination$"))
    with pytest.raises(OutcomeUnknown):
        sink.end(contractor, ended_at=ENDED_AT, ends_on="2031-03-31")
    sink.end(contractor, ended_at=ENDED_AT, ends_on="2031-03-31")
    assert opened.sandbox.effects.count("end_contractor", contractor) == 1


def test_a_group_is_created_read_back_and_cancelled(
    opened: Opened[GustoSandbox], instance: Instance, groups: PaymentGroups
) -> None:
    group = a_group(instance)
    uuid = groups.create(group)
    held = groups.read(uuid)
    assert (held.check_date, held.status, held.creation_token) == ("2026-12-04", "Unfunded", group.creation_token)
    assert [payment.hours for payment in held.contractor_payments] == [Decimal("40.0"), Decimal(0)]
    groups.cancel(uuid)
    assert groups.find(group) is None
    with pytest.raises(NotFound):
        groups.read(uuid)
    assert as_the_sdk_calls_it(opened) >= {
        "post-v1-companies-company_id-contractor_payment_groups",
        "get-v1-companies-company_id-contractor_payment_groups",
        "get-v1-contractor_payment_groups-contractor_payment_group_id",
        "delete-v1-contractor_payment_groups-contractor_payment_group_id",
    }


@pytest.mark.parametrize(
    "kind", [FaultKind.TIMEOUT_AFTER, FaultKind.ERROR_AFTER, FaultKind.HTML_AFTER, FaultKind.TRUNCATED_AFTER]
)
def test_a_group_whose_reply_was_lost_is_paid_once(
    opened: Opened[GustoSandbox], instance: Instance, groups: PaymentGroups, kind: FaultKind
) -> None:
    group = a_group(instance)
    opened.sandbox.faults.plan(Fault(kind, "POST", "/contractor_payment_groups$"))
    with pytest.raises(OutcomeUnknown):
        groups.create(group)
    assert groups.create(group) == groups.find(group)
    assert opened.sandbox.effects.count("create_payment_group") == 1


def test_a_group_is_found_on_the_last_page(opened: Opened[GustoSandbox], instance: Instance, groups: PaymentGroups) -> None:
    opened.sandbox.per_limit = 2
    contractor = instance.sink().create(MARKER, ADA)
    made = [PaymentGroup(f"pay-out {n}", FRIDAY, [Payment(contractor, hours=Decimal(n + 1))]) for n in range(5)]
    uuids = [groups.create(group) for group in made]
    assert [groups.find(group) for group in made] == uuids


def test_the_same_marker_never_pays_other_amounts(instance: Instance, groups: PaymentGroups) -> None:
    group = a_group(instance)
    groups.create(group)
    more = PaymentGroup(group.marker, group.check_date, (Payment(group.payments[0].contractor_uuid, hours=Decimal(80)),))
    with pytest.raises(Refused) as caught:
        groups.create(more)
    assert caught.value.cause == "other_content"


@pytest.mark.parametrize(
    "changed", [{"check_date": date(2026, 11, 27)}, {"check_date": date(2026, 12, 11)}, {"payment_method": PaymentMethod.CHECK}]
)
def test_the_same_marker_never_pays_on_another_day_or_in_another_way(
    instance: Instance, groups: PaymentGroups, changed: dict[str, Any]
) -> None:
    group = a_group(instance)
    held = groups.create(PaymentGroup(group.marker, FRIDAY + timedelta(days=1), group.payments))
    assert groups.create(group) == held  # moved to a banking day
    day = changed.get("check_date", FRIDAY)
    payments = [replace(payment, **{n: v for n, v in changed.items() if n != "check_date"}) for payment in group.payments]
    with pytest.raises(Refused) as caught:
        groups.create(PaymentGroup(group.marker, day, payments))
    assert caught.value.cause == "other_content"


def test_nobody_is_paid_twice_where_gusto_does_not_mind_the_token(
    opened: Opened[GustoSandbox], instance: Instance, groups: PaymentGroups
) -> None:
    opened.sandbox.minds_tokens = False
    group = a_group(instance)
    opened.sandbox.faults.plan(Fault(FaultKind.ERROR_AFTER, "POST", "/contractor_payment_groups$"))
    with pytest.raises(OutcomeUnknown):
        groups.create(group)
    assert groups.create(group) == groups.create(group)
    assert opened.sandbox.effects.count("create_payment_group") == 1


def test_a_group_that_exists_but_does_not_show_is_waited_for(
    opened: Opened[GustoSandbox], instance: Instance, groups: PaymentGroups
) -> None:
    group = a_group(instance)
    held = opened.sandbox.groups[groups.create(group)]
    held["check_date"] = "2027-06-01"  # out of sight of the look-up
    with pytest.raises(RetryLater) as caught:
        groups.create(group)
    assert caught.value.cause == "lagging"


def test_a_refusal_about_something_else_stays_a_refusal(instance: Instance, groups: PaymentGroups) -> None:
    with pytest.raises(Refused) as caught:
        groups.create(PaymentGroup(MARKER, FRIDAY, [Payment("nobody", hours=Decimal(1))]))
    assert (caught.value.field, caught.value.cause) == ("contractor_uuid", "http_422")


def test_app_integrations_have_no_payment_groups(tmp_path: Path) -> None:
    with GustoTrial().open(tmp_path) as opened:
        client = GustoClient(CONNECTOR.settings.model_validate(opened.settings), ON_LOOPBACK)
        with closing(client), pytest.raises(Misconfigured) as caught:
            PaymentGroups(client)
        assert caught.value.field == "edition"
        wrong = GustoClient(CONNECTOR.settings.model_validate({**opened.settings, "edition": "embedded"}), ON_LOOPBACK)
        with closing(wrong), pytest.raises(NotFound, match="Gusto Embedded"):
            PaymentGroups(wrong).read("c9fc1ad3-c107-4e7b-aa21-2dd4b00a7a07")
