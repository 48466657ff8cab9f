"""A record that cannot be used waits alone, with its kin, told once; the feed goes on, and an earlier end passes all the same."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from cli.mapping.drift import drift_rows
from cli.replay import preview, replay_cause
from config.hub import Hub
from connectors.slack.sandbox import SlackSandbox
from connectors.suite.sandbox import serve
from connectors.wire.tls import TlsFiles
from flows.alarms import send_alarm
from flows.feeds import polling
from flows.feeds.intake import Intake
from flows.feeds.polling import poll_vms, take_again
from flows.mapping.promotion import Promoting
from ledger import engagements, failures
from ledger.database import Tx
from ledger.failures import Failure
from ledger.intake import sources
from ledger.queueing.jobs import JobName
from ledger.trail import audit
from tests.integration.company import Company
from tests.tenant_documents import instance
from workforce.engagement import Engagement
from workforce.errors import NotFound
from workforce.events import HUB
from workforce.ports import SourceRecord
from workforce.versions import Running

pytestmark = pytest.mark.integration

OVERLAY = """\
mapping: fieldglass__engagement
version: {version}
effective_from: 2026-01-01
because: this client pays some of its people by the week
base: v0001
{edit}"""
WEEKS_ARE_MONTHS = """\
fields:
  terms.rate.unit:
    from: '"Rate Unit"'
    lookup: {table: {Hour: hour, Day: day, Month: month, Fixed: fixed, Week: month}}
    required: true
"""


def known(company: Company, vms_id: str) -> Engagement | None:
    with company.database.transaction("acme") as tx:
        return engagements.by_vms_id(tx, "fieldglass", vms_id)


def polled(hub: Hub, company: Company) -> list[Failure]:
    """What waits once everything that was changed so far has been read."""
    with company.database.transaction("acme") as tx:
        sources.forget_cursor(tx, "fieldglass")
    poll_vms(hub, "acme")
    return company.failures()


def hand_out(hub: Hub, *records: SourceRecord) -> None:
    """The feed gives these records."""
    polling.take_page(Intake(hub, "acme", "fieldglass"), records)


def with_overlay(company: Company, edit: str) -> Hub:
    """The company once its lead has applied an overlay; nothing of it counts until it is promoted."""
    place = "mappings/fieldglass__engagement/t0001"
    company.content[f"{place}.yaml"] = yaml.safe_load(OVERLAY.format(version=1, edit=edit))
    company.content[f"{place}.examples.yaml"] = {"examples": [{"name": "an empty record", "source": {}, "refuses": ["Role"]}]}
    return company.hub()


def test_records_with_a_new_word_wait_together_and_the_others_go_on(company: Company) -> None:
    hub = company.hub()
    good = company.fieldglass.add_work_order()
    held = [company.fieldglass.add_work_order(**{"Rate Unit": "Week"}) for _ in range(3)]
    found = polled(hub, company)
    assert known(company, good)
    assert [known(company, vms_id) for vms_id in held] == [None, None, None]
    assert {failure.subject for failure in found} == {f"fieldglass:{vms_id}" for vms_id in held}
    assert {failure.group_key for failure in found} == {"fieldglass__engagement/new_value/Rate Unit/Week"}
    assert len(company.alarms()) == 1
    assert len(polled(hub, company)) == 3
    assert len(company.alarms()) == 1


def test_the_drift_is_shown_with_an_edit_that_names_the_new_word(company: Company) -> None:
    hub = company.hub()
    company.fieldglass.add_work_order(**{"Rate Unit": "Week"})
    polled(hub, company)
    (row,) = drift_rows(hub, "acme")
    assert (row["kind"], row["field"], row["value"], row["records"]) == ("new_value", "Rate Unit", "Week", 1)
    assert "terms.rate.unit:" in row["proposal"]
    assert "Week: '?'" in row["proposal"]


def test_one_cause_is_replayed_as_a_whole_with_a_preview_that_changes_nothing(company: Company) -> None:
    hub, key = company.hub(), "fieldglass__engagement/new_value/Rate Unit/Week"
    held = [company.fieldglass.add_work_order(**{"Rate Unit": "Week"}) for _ in range(2)]
    polled(hub, company)
    assert [prospect.mended for prospect in preview(hub, "acme", key)] == [False, False]
    for vms_id in held:
        company.fieldglass.change(vms_id, **{"Rate Unit": "Day"})
    assert [prospect.mended for prospect in preview(hub, "acme", key)] == [False, False]  # as they were last read
    assert sorted(replay_cause(hub, "acme", key)) == sorted(f"fieldglass:{vms_id}" for vms_id in held)
    assert company.failures() == []
    taken = [args["external_id"] for name, args in company.waiting() if name == JobName.TAKE]
    assert sorted(taken) == sorted(held)
    for vms_id in taken:
        take_again(hub, "acme", vms_id)
    assert all(known(company, vms_id) for vms_id in held)


def test_a_cause_that_nothing_waits_for_is_named_with_those_there_are(company: Company) -> None:
    hub = company.hub()
    company.fieldglass.add_work_order(**{"Rate Unit": "Week"})
    polled(hub, company)
    with pytest.raises(NotFound, match="new_value/Rate Unit/Week"):
        preview(hub, "acme", "fieldglass__engagement/new_value/Rate Unit/Fortnight")


@pytest.mark.parametrize(
    ("columns", "cause", "field"),
    [
        ({"Pay Rate": "9500.00", "Rate Maximum": "120.00", "Rate Minimum": "80.00"}, "rate_outside_band", "Pay Rate"),
        ({"Pay Rate": "9.50", "Rate Maximum": "120.00", "Rate Minimum": "80.00"}, "rate_outside_band", "Pay Rate"),
        ({"Currency": "JPY"}, "currency_changed", "Currency"),
        ({"End Date": "2020-01-01"}, "contradicting_dates", "terms.ends_on"),
    ],
)
def test_what_a_guard_blocks_is_named_by_its_field_and_never_taken(
    company: Company, columns: dict[str, str], cause: str, field: str
) -> None:
    hub = company.hub()
    vms_id = company.fieldglass.add_work_order()
    assert polled(hub, company) == []
    before = known(company, vms_id)
    company.fieldglass.change(vms_id, **columns)
    (failure,) = polled(hub, company)
    after = known(company, vms_id)
    assert (failure.cause, failure.field) == (cause, field)
    assert after is not None
    assert before is not None
    assert (after.terms.rate, after.terms.starts_on) == (before.terms.rate, before.terms.starts_on)
    assert columns.get("Pay Rate", "no rate") not in failure.message


def test_an_earlier_end_passes_although_the_rest_of_the_record_waits(company: Company) -> None:
    hub = company.hub()
    vms_id = company.fieldglass.add_work_order()
    polled(hub, company)
    before = known(company, vms_id)
    soon = (datetime.now(UTC) + timedelta(days=3)).date()
    company.fieldglass.change(vms_id, **{"Rate Unit": "Week", "End Date": soon.isoformat()})
    (failure,) = polled(hub, company)
    after = known(company, vms_id)
    assert failure.cause == "new_value"
    assert after is not None
    assert before is not None
    assert (after.terms.ends_on, after.terms.rate) == (soon, before.terms.rate)
    assert after.end_at < before.end_at
    with company.database.transaction("acme") as tx:
        assert [line.event["action"] for line in audit.entries(tx, engagement_id=after.id)][
            -1
        ] == "engagement.end_brought_forward"
    company.fieldglass.change(
        vms_id, **{"Rate Unit": "Hour"}
    )  # mended: the whole record is taken, though its end was taken before
    assert polled(hub, company) == []


def test_a_later_end_waits_with_the_rest_of_its_record(company: Company) -> None:
    hub = company.hub()
    vms_id = company.fieldglass.add_work_order()
    polled(hub, company)
    before = known(company, vms_id)
    company.fieldglass.change(vms_id, **{"Rate Unit": "Week", "End Date": "2031-01-31"})
    polled(hub, company)
    assert known(company, vms_id) == before


def test_an_overlay_counts_only_once_it_is_promoted(company: Company) -> None:
    hub = with_overlay(company, WEEKS_ARE_MONTHS)
    company.fieldglass.add_work_order(**{"Rate Unit": "Week"})
    (failure,) = polled(hub, company)
    assert failure.cause == "new_value"
    assert hub.tenant("acme").mappings.labels("fieldglass__engagement")[-1] == "t0001"


def test_people_are_told_once_through_the_tenants_channel_what_to_do(company: Company, tls: TlsFiles, tmp_path: Path) -> None:
    slack = SlackSandbox()
    with serve(slack.app, tls) as url:
        told = {"instance": "slack", "to": ["C012AB3CD"]}
        company.content["connectors/slack.yaml"] = instance("slack", "slack", slack.settings(url, tls.ca), tmp_path / "secrets")
        company.content["tenant.yaml"]["notifications"] = told
        hub = company.hub()
        for _ in range(3):
            company.fieldglass.add_work_order(**{"Rate Unit": "Week"})
        polled(hub, company)
        (failure_id,) = company.alarms()
        for _ in range(2):
            send_alarm(hub, "acme", failure_id)
    (message,) = slack.messages["C012AB3CD"]
    assert "3 records wait for this cause" in str(message)
    assert "stint mappings drift" in str(message)
    with company.database.transaction("acme") as tx:
        assert _sent(tx)[0]["outcome"] == "success"


def test_an_alarm_about_what_is_mended_by_now_is_not_sent(company: Company) -> None:
    hub = company.hub()
    vms_id = company.fieldglass.add_work_order(**{"Rate Unit": "Week"})
    polled(hub, company)
    (failure_id,) = company.alarms()
    company.fieldglass.change(vms_id, **{"Rate Unit": "Hour"})
    polled(hub, company)
    send_alarm(hub, "acme", failure_id)
    with company.database.transaction("acme") as tx:
        assert _sent(tx) == []
        assert failures.get(tx, failure_id).closed_at is not None


def test_a_record_waits_for_what_is_wrong_with_it_now_and_for_nothing_else(company: Company) -> None:
    hub = company.hub()
    vms_id = company.fieldglass.add_work_order(**{"Rate Unit": "Week"})
    polled(hub, company)
    company.fieldglass.change(vms_id, **{"Rate Unit": "Fortnight"})
    (failure,) = polled(hub, company)
    assert failure.group_key == "fieldglass__engagement/new_value/Rate Unit/Fortnight"
    assert len(company.alarms()) == 2, "another word is another cause, of which people are told"
    company.fieldglass.change(vms_id, **{"Rate Unit": "Hour", "Pay Rate": "9500.00"})
    (failure,) = polled(hub, company)
    assert failure.cause == "rate_outside_band"
    company.fieldglass.change(vms_id, **{"Pay Rate": "95.00"})
    assert polled(hub, company) == []


def test_an_older_version_of_a_record_says_nothing_about_the_newer_one(company: Company) -> None:
    hub = company.hub()
    intake = Intake(hub, "acme", "fieldglass")
    vms_id = company.fieldglass.add_work_order()
    good = intake.source().read(vms_id)
    company.fieldglass.change(vms_id, **{"Rate Unit": "Week"})
    (held,) = polled(hub, company)
    hand_out(hub, good)
    assert company.failures() == [held]
    assert known(company, vms_id) is None
    company.fieldglass.change(vms_id, **{"Rate Unit": "Hour"})
    polled(hub, company)
    hand_out(hub, replace(good, values={**good.values, "Rate Unit": "Fortnight"}))
    assert company.failures() == []


def test_a_band_that_a_source_stops_telling_is_not_lifted_one_record_later(company: Company) -> None:
    hub = company.hub()
    vms_id = company.fieldglass.add_work_order()
    for columns in ({}, {"Rate Minimum": "", "Rate Maximum": ""}):
        company.fieldglass.change(vms_id, **columns)
        assert polled(hub, company) == []
    company.fieldglass.change(vms_id, **{"Pay Rate": "9500.00"})
    (failure,) = polled(hub, company)
    assert (failure.cause, failure.field) == ("rate_outside_band", "Pay Rate")


@pytest.mark.parametrize("poison", ["\x00", "\ud800", "a\x00b", "\x1b[31mred\x1b[0m"])
@pytest.mark.parametrize("column", ["Role", "Rate Unit", "Worker Phone"])
def test_text_that_cannot_be_kept_or_shown_stops_only_its_own_record(company: Company, poison: str, column: str) -> None:
    hub = company.hub()
    intake = Intake(hub, "acme", "fieldglass")
    company.fieldglass.add_work_order()
    good = intake.source().read(company.fieldglass.add_work_order())
    bad = replace(good, external_id="WO-BAD", values={**good.values, "Work Order ID": "WO-BAD", column: poison})
    hand_out(hub, bad, good)
    assert known(company, good.external_id)
    lines = company.failures()
    assert all(
        text.isprintable() for line in lines for text in (line.subject, line.message, line.group_key or "", line.field or "")
    )
    assert {line.subject for line in lines} <= {"fieldglass:WO-BAD"}
    if "\x1b" not in poison:
        (line,) = lines
        assert line.cause in {"unstorable_text", "new_value"}
        assert line.cause == "new_value" or line.field == column


def test_an_id_that_cannot_be_kept_stops_only_its_own_record(company: Company) -> None:
    hub = company.hub()
    good = Intake(hub, "acme", "fieldglass").source().read(company.fieldglass.add_work_order())
    hand_out(hub, replace(good, external_id="WO\x00"), good)
    assert known(company, good.external_id)
    assert [line.subject for line in company.failures()] == ["fieldglass:WO\N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize(
    "columns",
    [
        {"Rate Unit": "Week"},
        {"Rate Unit": "Week", "Time Zone": "Mars/Olympus"},
        {"Rate Unit": "Week", "Time Zone": "Mars/Olympus", "End Date": "not a day"},
        {"Rate Unit": "Week", "End Date": "2020-01-01"},
        {"Worker Phone": "\x00"},
    ],
)
def test_a_termination_passes_whatever_else_its_record_says(company: Company, columns: dict[str, str]) -> None:
    hub = company.hub()
    vms_id = company.fieldglass.add_work_order()
    polled(hub, company)
    now = datetime.now(UTC).replace(microsecond=0)
    company.fieldglass.change(vms_id, **columns, **{"Terminate At": now.isoformat()})
    (failure,) = polled(hub, company)
    after = known(company, vms_id)
    assert after is not None
    assert after.end_at == now
    assert failure.field
    with company.database.system() as tx:
        assert tx.all("SELECT * FROM stint_due_timers(clock_timestamp() + interval '1 second', 10)")


def test_an_end_that_moves_to_and_fro_while_its_record_waits_ends_as_the_mended_record_says(company: Company) -> None:
    hub = company.hub()
    vms_id = company.fieldglass.add_work_order()
    polled(hub, company)
    days = [(datetime.now(UTC) + timedelta(days=n)).date() for n in (30, 60, 20)]
    company.fieldglass.change(vms_id, **{"Rate Unit": "Week"})
    ends = []
    for day in days:
        company.fieldglass.change(vms_id, **{"End Date": day.isoformat()})
        polled(hub, company)
        after = known(company, vms_id)
        assert after is not None
        ends.append(after.terms.ends_on)
    assert ends == [days[0], days[0], days[2]]  # a later one waits with the rest
    company.fieldglass.change(vms_id, **{"Rate Unit": "Hour", "End Date": days[1].isoformat()})
    assert polled(hub, company) == []
    after = known(company, vms_id)
    assert after is not None
    assert after.terms.ends_on == days[1]
    assert after.end_at == after.terms.end_instant()


def test_the_alerts_before_an_end_come_in_time_for_the_earlier_one(company: Company) -> None:
    hub = company.hub()
    vms_id = company.fieldglass.add_work_order()
    polled(hub, company)
    soon = (datetime.now(UTC) + timedelta(days=10)).date()
    company.fieldglass.change(vms_id, **{"Rate Unit": "Week", "End Date": soon.isoformat()})
    polled(hub, company)
    with company.database.transaction("acme") as tx:
        rows = tx.all("SELECT fires_at FROM timers WHERE kind = 'alert' AND due_at IS NOT NULL")
    assert rows
    assert all(row["fires_at"].date() <= soon for row in rows)


def test_what_a_guard_blocks_is_named_also_where_the_rate_is_a_constant_of_the_mapping(company: Company) -> None:
    edit = "fields:\n  terms.rate.amount: {value: '9500'}\nignores: ['Pay Rate']\n"
    hub = with_overlay(company, edit)
    company.fieldglass.add_work_order()
    Promoting(hub, "acme", HUB).promote("fieldglass__engagement", "t0001", reason="a test", running=Running.PIN)
    (failure,) = polled(hub, company)
    assert (failure.cause, failure.field) == ("rate_outside_band", "a constant of the mapping")


def test_an_alarm_tells_of_those_that_still_wait_when_the_first_of_them_was_mended(
    company: Company, tls: TlsFiles, tmp_path: Path
) -> None:
    slack = SlackSandbox()
    with serve(slack.app, tls) as url:
        told = {"instance": "slack", "to": ["C012AB3CD"]}
        company.content["connectors/slack.yaml"] = instance("slack", "slack", slack.settings(url, tls.ca), tmp_path / "secrets")
        company.content["tenant.yaml"]["notifications"] = told
        hub = company.hub()
        first, second = (company.fieldglass.add_work_order(**{"Rate Unit": "Week's end"}) for _ in range(2))
        polled(hub, company)
        (failure_id,) = company.alarms()
        with company.database.transaction("acme") as tx:
            of_first = failures.get(tx, failure_id).subject.removeprefix("fieldglass:")
        company.fieldglass.change(of_first, **{"Rate Unit": "Hour"})
        polled(hub, company)
        send_alarm(hub, "acme", failure_id)
    (message,) = slack.messages["C012AB3CD"]
    assert ({first, second} - {of_first}).pop() in str(message)
    command = next(line for line in message["text"].splitlines() if "--cause" in line)
    assert "fieldglass__engagement/new_value/Rate Unit/Week's end" in shlex.split(command.partition(": ")[2])


def test_records_that_meet_a_cause_at_the_same_time_tell_people_once(company: Company) -> None:
    hub = company.hub()
    intake = Intake(hub, "acme", "fieldglass")
    ids = [company.fieldglass.add_work_order(**{"Rate Unit": "Week"}) for _ in range(6)]
    records = [intake.source().read(vms_id) for vms_id in ids]
    with ThreadPoolExecutor(len(records)) as pool:
        list(pool.map(lambda record: hand_out(hub, record), records))
    assert len(company.failures()) == len(ids)
    assert len(company.alarms()) == 1


def _sent(tx: Tx) -> list[dict[str, object]]:
    return [dict(line.event) for line in audit.entries(tx, action="alarm.sent")]
