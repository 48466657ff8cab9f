"""What the joiner writes into real sandboxes, run after run: only what has to change, with its lineage, and nobody else's word undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cli.app import app
from cli.mapping.lineage import engagement_lineage, lineage_lines
from connectors.suite.sandbox import Fault, FaultKind
from flows.case import Case
from flows.joiner import create_account, decide_access
from flows.leaver import block, leave
from flows.mapping.conflicts import look
from flows.records import create_record
from flows.steps import PlainConductor
from ledger import engagements
from ledger.trail import audit
from ledger.writing import writes
from tests.integration.installed import TENANT, Installed
from tests.integration.typing_commands import told, typed_at
from workforce.effects import EffectKind
from workforce.engagement import Engagement
from workforce.errors import NotFound, RetryLater
from workforce.states import EffectState

pytestmark = pytest.mark.integration

SYSTEMS = ("bamboohr", "gusto", "entra", "ldap")


# What is written


def test_a_joiner_keeps_what_stands_in_every_system_and_why(installed: Installed) -> None:
    engagement = installed.joined()
    for system in SYSTEMS:
        (write,) = installed.written(engagement, system)
        assert write.mapping.mapping_id.startswith("engagement__")
        assert write.source is not None
        assert write.source.external_id == engagement.terms.vms_id
    (gusto,) = installed.written(engagement, "gusto")
    rate = gusto.fields["hourly_rate"]
    assert (rate.value, rate.read, rate.sensitive) == ("95.00", {"terms.rate.amount": "95.00"}, True)
    assert "hourly_rate" in gusto.changed
    assert gusto.source is not None
    assert gusto.source.fields["terms.rate.amount"].read == {'"Pay Rate"': "95.00"}


def test_a_second_run_writes_nothing_anywhere(installed: Installed) -> None:
    engagement = installed.joined()
    before, effects = installed.calls(), installed.done(engagement, *EffectKind)
    installed.join(engagement)
    assert installed.calls() == before
    assert installed.done(engagement, *EffectKind) == effects
    assert [len(installed.written(engagement, system)) for system in SYSTEMS] == [1, 1, 1, 1]


def test_a_new_rate_is_written_in_payroll_alone(installed: Installed) -> None:
    engagement = installed.joined()
    before = installed.calls()
    installed.change(engagement, **{"Pay Rate": "99.00"})
    installed.join(engagement)
    after = installed.calls()
    assert {system for system in after if after[system] != before[system]} == {"gusto"}
    assert installed.contractor(engagement)["hourly_rate"] == "99.00"
    newest, first = installed.written(engagement, "gusto")
    assert newest.changed == ("hourly_rate",)
    assert newest.fields.keys() == first.fields.keys()
    assert newest.source is not None
    assert newest.source.fields["terms.rate.amount"].value == "99.00"


def test_the_attributes_of_an_account_follow_the_work_order(installed: Installed) -> None:
    engagement = installed.joined()
    installed.change(engagement, **{"Business Unit": "Difference Engines"})
    installed.join(engagement)
    user = next(u for u in installed.world.graph.users if u.get("employeeId") == engagement.worker.marker)
    (entry,) = installed.world.slapd.entries(engagement.worker.marker)
    assert (user["department"], entry["departmentNumber"]) == ("Difference Engines", ["Difference Engines"])
    assert {system for system, _ in installed.done(engagement, EffectKind.UPDATE_ACCOUNT)} == {"entra", "ldap"}
    assert installed.written(engagement, "entra")[0].changed == ("department",)


def test_every_effect_names_its_mapping_and_the_fields_and_no_value(installed: Installed) -> None:
    engagement = installed.joined()
    installed.change(engagement, **{"Pay Rate": "99.00"})
    installed.join(engagement)
    with installed.hub.database.transaction(TENANT) as tx:
        trail = [entry.event for entry in audit.entries(tx, engagement_id=engagement.id)]
    updated = [e["details"] for e in trail if e["action"] == "record.updated" and e["details"]["state"] == "done"]
    (rate,) = [details for details in updated if details["fields"]]
    assert (rate["mapping"], rate["version"], rate["fields"]) == ("engagement__gusto", "v0001", ["hourly_rate"])
    assert "99.00" not in str([e["details"] for e in trail if e["action"].startswith("record.")])


# What somebody changed by hand


def test_a_change_by_hand_stays_is_shown_and_is_overwritten_by_our_next_word(installed: Installed) -> None:
    engagement = installed.joined()
    installed.world.bamboohr.change_by_hand(installed.record_id(engagement, "bamboohr"), jobTitle="Poet")
    installed.join(engagement)
    (conflict,) = installed.conflicts(engagement)
    assert installed.employee(engagement)["jobTitle"] == "Poet"
    assert (conflict.cause, conflict.field) == ("ownership_conflict", "jobTitle")
    assert conflict.subject == f"bamboohr:{installed.record_id(engagement, 'bamboohr')}"
    assert "terms.role belongs to vms (fieldglass); change it there, or put it back in bamboohr" in conflict.message
    assert "Poet" not in conflict.message
    installed.world.bamboohr.change_by_hand(installed.record_id(engagement, "bamboohr"), jobTitle=engagement.terms.role)
    installed.join(engagement)
    assert installed.conflicts(engagement) == []


def test_a_strong_field_is_put_right_and_nothing_remains_to_decide(installed: Installed) -> None:
    engagement = installed.joined()
    installed.contractor(engagement)["hourly_rate"] = "120.00"
    for _ in range(2):
        installed.join(engagement)
        assert installed.contractor(engagement)["hourly_rate"] == "95.00"
        installed.contractor(engagement)["hourly_rate"] = "120.00"
    assert installed.conflicts(engagement) == []
    states = [state for system, state in installed.done(engagement, EffectKind.UPDATE_RECORD) if system == "gusto"]
    assert states == [EffectState.DONE] * 3


def test_a_phone_number_that_somebody_gave_is_never_overwritten(installed: Installed) -> None:
    engagement = installed.joined(**{"Worker Phone": "+1 555 0100"})
    installed.world.bamboohr.change_by_hand(installed.record_id(engagement, "bamboohr"), mobilePhone="+1 555 0199")
    installed.change(engagement, **{"Worker Phone": "+1 555 0101"})
    installed.join(engagement)
    assert installed.employee(engagement)["mobilePhone"] == "+1 555 0199"
    assert installed.conflicts(engagement) == []


def test_the_systems_own_way_of_writing_is_kept_and_is_no_conflict(installed: Installed) -> None:
    engagement = installed.joined()
    (write,) = installed.written(engagement, "bamboohr")
    own = {**write.fields, "jobTitle": write.fields["jobTitle"].model_copy(update={"shown": "Engineer (Software)"})}
    with installed.hub.database.transaction(TENANT) as tx:
        writes.remember(tx, engagement.id, write.model_copy(update={"fields": own}))
    record_id, before = installed.record_id(engagement, "bamboohr"), installed.calls()
    installed.world.bamboohr.change_by_hand(record_id, jobTitle="Engineer (Software)")
    installed.join(engagement)
    look(installed.hub, TENANT, "bamboohr", record_id)
    assert (installed.conflicts(engagement), installed.calls()) == ([], before)
    assert installed.written(engagement, "bamboohr")[0].fields == own
    installed.world.bamboohr.change_by_hand(record_id, jobTitle="Poet")
    installed.join(engagement)
    assert [conflict.field for conflict in installed.conflicts(engagement)] == ["jobTitle"]


def test_an_event_of_payroll_about_a_changed_record_shows_the_conflict_and_writes_nothing(installed: Installed) -> None:
    engagement = installed.joined()
    record_id, before = installed.record_id(engagement, "gusto"), installed.calls()
    installed.contractor(engagement)["hourly_rate"] = "120.00"
    installed.told("gusto", "contractor.updated", record_id)
    (conflict,) = installed.conflicts(engagement)
    assert (conflict.field, conflict.subject) == ("hourly_rate", f"gusto:{record_id}")
    assert "120" not in conflict.message
    assert installed.calls() == before
    installed.contractor(engagement)["hourly_rate"] = "95.0"
    installed.told("gusto", "contractor.updated", record_id)
    assert installed.conflicts(engagement) == []


def test_an_event_about_a_record_that_is_not_ours_is_settled(installed: Installed) -> None:
    installed.told("bamboohr", "employee.updated", "999")
    look(installed.hub, TENANT, "gusto", "nobody")


def test_a_record_that_is_gone_is_looked_at_without_harm(installed: Installed) -> None:
    engagement = installed.joined()
    installed.world.bamboohr.delete_by_hand(installed.record_id(engagement, "bamboohr"))
    installed.told("bamboohr", "employee.deleted", installed.record_id(engagement, "bamboohr"))
    assert installed.conflicts(engagement) == []


# Who owns a field


def test_what_the_hris_owns_is_filled_once_and_a_rivals_word_is_shown(installed: Installed) -> None:
    installed.apply(ownership={"terms.role": "hris"})
    engagement = installed.joined()
    installed.world.bamboohr.change_by_hand(installed.record_id(engagement, "bamboohr"), jobTitle="Poet")
    installed.join(engagement)
    assert installed.conflicts(engagement) == []
    installed.change(engagement, Role="Software Engineer ")
    installed.change(engagement, Site="Elsewhere")
    installed.join(engagement)
    assert installed.employee(engagement)["jobTitle"] == "Poet"
    assert installed.employee(engagement)["location"] == "Elsewhere"
    assert installed.conflicts(engagement) == []


def test_a_rivals_word_about_what_the_hris_owns_is_shown_until_they_agree(installed: Installed) -> None:
    installed.apply(ownership={"terms.client_unit": "hris"})
    engagement = installed.joined()
    installed.change(engagement, **{"Business Unit": "Looms"})
    installed.join(engagement)
    (conflict,) = installed.conflicts(engagement)
    assert installed.employee(engagement)["department"] != "Looms"
    assert conflict.field == "department"
    assert "fieldglass says otherwise than bamboohr, to which terms.client_unit belongs" in conflict.message
    look(installed.hub, TENANT, "bamboohr", installed.record_id(engagement, "bamboohr"))
    assert [line.count for line in installed.conflicts(engagement)] == [2]
    installed.world.bamboohr.change_by_hand(installed.record_id(engagement, "bamboohr"), department="Looms")
    installed.told("bamboohr", "employee.updated", installed.record_id(engagement, "bamboohr"))
    assert installed.conflicts(engagement) == []


# What gets lost on the way


def forgetting(installed: Installed, step: Callable[[Case], None], engagement: Engagement, system: str) -> None:
    """One step of a run that dies before it could remember what it did."""
    ref = installed.run(engagement)

    class Forgetful(Case):
        def remember(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        step(Forgetful(installed.hub, ref, system))


@pytest.mark.parametrize("system", ["bamboohr", "gusto"])
def test_a_run_that_died_before_it_remembered_a_record_is_made_good(installed: Installed, system: str) -> None:
    engagement = installed.signed()
    forgetting(installed, create_record.run, engagement, system)
    installed.join(engagement)
    (write,) = installed.written(engagement, system)
    assert write.fields["email" if system == "gusto" else "workEmail"].value
    assert installed.done(engagement, EffectKind.CREATE_RECORD).count((system, EffectState.DONE)) == 1
    installed.change(engagement, **{"Pay Rate": "99.00", "Site": "Elsewhere"})
    forgetting(installed, create_record.run, engagement, system)
    calls = installed.calls()[system]
    installed.join(engagement)
    assert installed.calls()[system] == calls
    newest, _ = installed.written(engagement, system)
    changed = {"gusto": ("hourly_rate", "99.00"), "bamboohr": ("location", "Elsewhere")}[system]
    assert newest.fields[changed[0]].value == changed[1]


def test_a_run_that_died_before_it_remembered_an_account_is_made_good(installed: Installed) -> None:
    engagement = installed.signed()
    decide_access.run(Case(installed.hub, installed.run(engagement)))
    forgetting(installed, create_account.run, engagement, "ldap")
    installed.join(engagement)
    assert len(installed.world.slapd.entries(engagement.worker.marker)) == 1
    (write,) = installed.written(engagement, "ldap")
    assert write.fields["title"].value == engagement.terms.role
    installed.join(engagement)
    assert len(installed.written(engagement, "ldap")) == 1


def test_an_update_whose_reply_was_lost_is_concluded_and_not_repeated(installed: Installed) -> None:
    engagement = installed.joined()
    installed.change(engagement, **{"Pay Rate": "99.00"})
    installed.world.gusto.faults.plan(Fault(FaultKind.TIMEOUT_AFTER, "PUT", r"/contractors/"))
    with pytest.raises(RetryLater):
        create_record.run(Case(installed.hub, installed.run(engagement, runner="lost"), "gusto"))
    installed.join(engagement)
    states = [state for system, state in installed.done(engagement, EffectKind.UPDATE_RECORD) if system == "gusto"]
    assert states == [EffectState.DONE] * 2
    assert installed.contractor(engagement)["hourly_rate"] == "99.00"


def test_the_ending_is_not_held_up_by_a_conflict_and_closes_it(installed: Installed) -> None:
    engagement = installed.joined()
    installed.world.bamboohr.change_by_hand(installed.record_id(engagement, "bamboohr"), jobTitle="Poet")
    installed.join(engagement)
    with installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, engagement.id, "test")
    conductor = PlainConductor(installed.run(engagement, grants=False), installed.hub)
    block(conductor, directories=("entra", "ldap"))
    assert len(installed.conflicts(engagement)) == 1
    leave(conductor, records=("fieldglass", "bamboohr", "gusto"), directories=("entra", "ldap"))
    assert installed.conflicts(engagement) == []
    installed.told("bamboohr", "employee.updated", installed.record_id(engagement, "bamboohr"))
    assert installed.conflicts(engagement) == []


# Why a value is there


def lineage(installed: Installed, engagement: Engagement, **asked: Any) -> list[dict[str, Any]]:
    options = {"system": None, "field": None, "show_sensitive": False, **asked}
    return engagement_lineage(installed.hub, TENANT, engagement.terms.vms_id, **options)


def test_why_is_this_rate_95_in_gusto_is_answered_in_one_screen(installed: Installed) -> None:
    engagement = installed.joined()
    (row,) = lineage(installed, engagement, system="gusto", field="hourly_rate", show_sensitive=True)
    (write,) = installed.written(engagement, "gusto")
    assert write.source is not None
    ours, theirs = write.mapping.sha256[:12], write.source.mapping.sha256[:12]
    steps = ", ".join(write.source.fields["terms.rate.amount"].transforms)
    assert list(lineage_lines(row)) == [
        "gusto hourly_rate = 95.00",
        f"    written    {row['written_at']}, strong",
        f"    by         engagement__gusto v0001 ({ours}): decimal, money",
        "    from       terms.rate.amount = 95.00",
        f"    by         fieldglass__engagement v0001 ({theirs}): {steps}",
        f'    from       fieldglass {engagement.terms.vms_id}, version {engagement.source_version}: "Pay Rate" = 95.00',
    ]


def test_the_command_prints_the_answer_and_its_json(installed: Installed) -> None:
    engagement = installed.joined()
    asked = ["engagements", "show", engagement.terms.vms_id, "--lineage", "--system", "gusto", "--field", "hourly_rate"]
    stint = typed_at(installed, app)
    printed = stint(*asked, "--show-sensitive")
    assert (printed.exit_code, printed.stdout.splitlines()[0]) == (0, "gusto hourly_rate = 95.00")
    assert len(printed.stdout.splitlines()) == 6
    as_json = told(stint(*asked, "--json"))
    assert [(row["field"], row["value"], row["hidden"]) for row in as_json] == [("hourly_rate", None, True)]
    assert len(seen(installed, engagement)) == 1


def test_the_answer_stays_what_it_was_when_other_fields_are_written_later(installed: Installed) -> None:
    engagement = installed.joined()
    (before,) = lineage(installed, engagement, system="gusto", field="hourly_rate")
    installed.change(engagement, **{"Start Date": "2026-11-24"})
    installed.join(engagement)
    (after,) = lineage(installed, engagement, system="gusto", field="hourly_rate")
    assert installed.contractor(engagement)["start_date"] == "2026-11-24"
    assert after == before


def test_a_canonical_field_is_found_wherever_it_went(installed: Installed) -> None:
    engagement = installed.joined()
    rows = lineage(installed, engagement, field="terms.role")
    assert [(row["system"], row["field"]) for row in rows] == [("bamboohr", "jobTitle"), ("entra", "jobTitle"), ("ldap", "title")]
    assert {row["value"] for row in rows} == {engagement.terms.role}


def test_sensitive_values_are_hidden_and_whoever_has_them_shown_is_audited(installed: Installed) -> None:
    engagement = installed.joined()
    rows = lineage(installed, engagement)
    hidden = {row["field"] for row in rows if row["hidden"]}
    assert {"hourly_rate", "firstName", "homeEmail", "cn"} <= hidden
    text = "\n".join(line for row in rows for line in lineage_lines(row))
    assert not {"95.00", "Ada", "ada@mail.example"} & set(text.replace("=", " ").split())
    assert "(hidden" in text
    assert seen(installed, engagement) == []
    shown = lineage(installed, engagement, system="gusto", field="hourly_rate", show_sensitive=True)
    assert shown[0]["value"] == "95.00"
    (event,) = seen(installed, engagement)
    assert event["details"]["fields"] == ["gusto:hourly_rate"]
    assert event["actor"]["auth"] == "cli"


def seen(installed: Installed, engagement: Engagement) -> list[dict[str, Any]]:
    with installed.hub.database.transaction(TENANT) as tx:
        trail = [dict(entry.event) for entry in audit.entries(tx, engagement_id=engagement.id)]
    return [event for event in trail if event["action"] == "lineage.sensitive_shown"]


def test_what_stint_decides_itself_says_so(installed: Installed) -> None:
    engagement = installed.joined()
    (row,) = lineage(installed, engagement, system="entra", field="userPrincipalName")
    assert "               which Stint decides itself" in list(lineage_lines(row))


def test_a_field_that_was_never_written_names_those_that_were(installed: Installed) -> None:
    engagement = installed.signed()
    with pytest.raises(NotFound, match="nothing was written about this engagement yet"):
        lineage(installed, engagement)
    installed.join(engagement)
    with pytest.raises(NotFound, match="hourly_rate"):
        lineage(installed, engagement, system="gusto", field="rate")
    with pytest.raises(NotFound, match="there is: bamboohr, entra, gusto, ldap"):
        lineage(installed, engagement, system="workday")
