"""A work order that comes with another person: nothing of that person reaches the worker, and an earlier end is followed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import engagements, failures
from ledger.database import Database, Tx
from ledger.identity import cases as identity_cases
from ledger.identity import identities, person_changes, reassignment
from ledger.identity.correlation import PERSON
from ledger.identity.person_changes import Answer, PersonChange
from ledger.intake.work_orders import Change
from ledger.queueing.jobs import JobName
from ledger.trail import audit
from tests.integration.ledger_cases import NOON, a_work_order
from workforce.engagement import Engagement, WorkOrder
from workforce.errors import NotFound, Refused
from workforce.events import Actor, ActorType
from workforce.lineage import MappingUsed, SourceLineage
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

ADMIN = Actor(ActorType.HUMAN, "grace", auth="cli")
ADA = {"given_name": "Ada", "family_name": "Lovelace", "personal_email": "ada@mail.example", "country": "GB"}
BEN = {"given_name": "Benjamin", "family_name": "Gompertz", "personal_email": "gompertz@mail.example", "country": "NL"}
ADAS_NAMESAKE = {**BEN, "given_name": "Ada"}
LAST_DAY = date(2031, 1, 31)


def an_order(person_id: str | None, worker: dict[str, Any] = ADA, *, vms_id: str = "WO-1", **terms: Any) -> WorkOrder:
    order = a_work_order(vms_id, worker=worker, **{"ends_on": LAST_DAY, **terms})
    return order.model_copy(update={"external": order.external.model_copy(update={"person_id": person_id})})


def bens(person_id: str | None = "P-B", worker: dict[str, Any] = BEN, **terms: Any) -> WorkOrder:
    told: dict[str, Any] = {"role": "Gompertz Actuary", "supplier": "Gompertz Staffing", **terms}
    return an_order(person_id, worker, **told)


def taken(tx: Tx, order: WorkOrder, version: str) -> tuple[Engagement, Change]:
    used = MappingUsed(mapping_id="fieldglass__engagement", version="v0001", sha256="0")
    known = SourceLineage(system="fieldglass", external_id=order.terms.vms_id, record_version=version, mapping=used, fields={})
    return engagements.upsert_work_order(tx, "fieldglass", order, version, lineage=known)


def adas(tx: Tx, *, state: EngagementState = EngagementState.ACTIVE, person_id: str | None = "P-A") -> Engagement:
    engagement, _ = taken(tx, an_order(person_id), "1")
    path = {
        EngagementState.REQUESTED: [],
        EngagementState.APPROVED: [EngagementState.IN_REVIEW, EngagementState.APPROVED],
        EngagementState.ACTIVE: [EngagementState.CLEARED, EngagementState.ACTIVE],
    }[state]
    for each in path:
        engagement = engagements.transition(tx, engagement.id, each)
    return engagement


def the_change(tx: Tx) -> PersonChange:
    (change,) = person_changes.list_changes(tx)
    return change


def causes(tx: Tx, engagement: Engagement) -> list[str]:
    return [failure.cause for failure in failures.list_open(tx, engagement_id=engagement.id)]


def jobs(tx: Tx) -> list[str]:
    return [row["args"]["name"] for row in tx.all("SELECT args FROM procrastinate_jobs ORDER BY id")]


def everything_about(tx: Tx, *tables: str) -> str:
    told = (f"SELECT to_jsonb(t)::text AS line FROM {table} t" for table in tables)  # noqa: S608
    return "\n".join(row["line"] for statement in told for row in tx.all(statement))


def test_nothing_of_another_person_is_taken_and_a_person_is_asked_once(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        for version in ("2", "3"):
            after, change = taken(tx, bens(ends_on=LAST_DAY + timedelta(days=9)), version)
            assert (after, change) == (before, Change.ANOTHER_PERSON)
        assert causes(tx, before) == [identity_cases.ANOTHER_PERSON]
        assert [failure.count for failure in failures.list_open(tx)] == [1]
        assert jobs(tx) == [JobName.ALARM]
        assert (the_change(tx).person_id, the_change(tx).version, the_change(tx).alike) == ("P-B", "3", ())
        assert identities.by_external(tx, "fieldglass", PERSON, "P-B") is None
    with database.transaction("acme") as tx:
        (line,) = audit.entries(tx, engagement_id=before.id, action="identity.case_opened")
        assert line.event["reason_code"] == identity_cases.ANOTHER_PERSON
        kept = everything_about(tx, "workers", "engagements", "failures", "person_changes", "external_identities")
        told = kept + "".join(str(line.event) for line in audit.entries(tx, engagement_id=before.id))
        assert not any(text in told for text in ("Gompertz", "gompertz", "Benjamin"))
        (failure,) = failures.list_open(tx)
        assert "stint workers cases" in failure.message
        assert not any(text in failure.message for text in ("P-A", "P-B", "Ada", "Lovelace"))


@pytest.mark.parametrize("told", [{"ends_on": date(2030, 6, 30)}, {"terminates_at": datetime(2030, 6, 30, 9, tzinfo=UTC)}])
def test_an_earlier_end_of_such_a_version_is_followed_and_nothing_else(database: Database, told: dict[str, Any]) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        order = bens(**told)
        after, _ = taken(tx, order, "2")
        assert after.end_at == order.terms.end_instant() < before.end_at
        assert after.terms.model_copy(update={"ends_on": LAST_DAY, "terminates_at": None}) == before.terms
        assert (after.worker, after.external, after.source_version) == (before.worker, before.external, "1")
        later, _ = taken(tx, bens(), "3")
        assert later.end_at == after.end_at
    with database.transaction("acme") as tx:
        assert audit.entries(tx, engagement_id=after.id, action="engagement.end_brought_forward")


def test_an_order_that_is_closed_with_another_person_ends_the_access_at_once(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        after, _ = taken(tx, bens(starts_on=date(2020, 1, 1), ends_on=date(2020, 6, 30)), "2")
        assert after.state is EngagementState.ENDING
        assert JobName.LEAVER in jobs(tx)
        assert (after.worker, after.terms.starts_on) == (before.worker, before.terms.starts_on)


def test_a_contract_that_runs_out_while_a_case_is_open_still_ends_on_its_day(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        taken(tx, bens(ends_on=LAST_DAY + timedelta(days=300)), "2")
        armed = tx.all("SELECT due_at FROM timers WHERE engagement_id = %(id)s AND kind = 'end'", id=before.id)
        assert [row["due_at"] for row in armed] == [before.end_at]


def test_the_case_closes_by_itself_once_the_source_names_the_old_person_again(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        taken(tx, bens(), "2")
        asked = the_change(tx)
        after, change = taken(tx, an_order("P-A", role="Architect"), "3")
        assert (change, after.terms.role, after.worker) == (Change.UPDATED, "Architect", before.worker)
        assert (causes(tx, after), person_changes.list_changes(tx)) == ([], [])
        assert person_changes.get(tx, asked.id).decision is Answer.TAKEN_BACK
        with pytest.raises(Refused, match="decided before: taken_back"):
            reassignment.same(tx, asked.id, ADMIN, "late")
        taken(tx, bens(), "4")
        assert the_change(tx).id != asked.id, "another change is another question"
        assert causes(tx, after) == [identity_cases.ANOTHER_PERSON]
    with database.transaction("acme") as tx:
        assert audit.entries(tx, engagement_id=before.id, action="identity.person_taken_back")


def test_an_older_version_with_the_old_person_closes_nothing(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        taken(tx, bens(), "3")
        assert taken(tx, an_order("P-A", role="Architect"), "2") == (before, Change.STALE)
        assert causes(tx, before) == [identity_cases.ANOTHER_PERSON]


def test_a_third_person_is_another_question(database: Database) -> None:
    with database.transaction("acme") as tx:
        adas(tx)
        taken(tx, bens(), "2")
        first = the_change(tx)
        taken(tx, bens("P-C"), "3")
        assert the_change(tx).person_id == "P-C"
        assert person_changes.get(tx, first.id).decision is Answer.TAKEN_BACK
        assert jobs(tx) == [JobName.ALARM, JobName.ALARM]


def test_the_same_human_keeps_the_engagement_under_the_new_id_and_the_next_reading_is_taken(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        married = {**ADA, "family_name": "King", "personal_email": "king@mail.example"}
        taken(tx, an_order("P-NEW", married), "2")
        assert reassignment.same(tx, the_change(tx).id, ADMIN, "new badge, same passport").id == before.id
        assert causes(tx, before) == []
        after, change = taken(tx, an_order("P-NEW", married), "2")
        assert (change, after.worker.id, after.worker.profile.family_name) == (Change.UPDATED, before.worker.id, "King")
        assert after.external.person_id == "P-NEW"
        for number, person_id in enumerate(("P-A", "P-NEW"), start=2):
            other, _ = taken(tx, an_order(person_id, married, vms_id=f"WO-{number}"), "1")
            assert other.worker.id == before.worker.id
        assert taken(tx, an_order("P-A", married), "4")[1] is Change.UPDATED
        assert taken(tx, an_order("P-NEW", married), "5")[1] is Change.UPDATED
        assert person_changes.list_changes(tx) == []
    with database.transaction("acme") as tx:
        (line,) = audit.entries(tx, engagement_id=before.id, action="identity.same")
        assert (line.event["actor"]["id"], line.event["details"]["reason"]) == ("grace", "new badge, same passport")


def test_another_human_stays_out_until_the_engagement_has_ended_or_the_old_person_is_back(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        taken(tx, bens(), "2")
        asked = the_change(tx)
        reassignment.different(tx, asked.id, ADMIN, "two passports")
        (line,) = failures.list_open(tx)
        assert (line.cause, "stint engagements end WO-1" in line.message) == (identity_cases.OTHER_PERSONS_ORDER, True)
        assert taken(tx, bens(role="Gompertz Lead"), "3") == (before, Change.ANOTHER_PERSON)
        assert (person_changes.list_changes(tx), causes(tx, before)) == ([], [identity_cases.OTHER_PERSONS_ORDER])
        with pytest.raises(Refused, match="decided before: different"):
            reassignment.same(tx, asked.id, ADMIN, "or not")
        engagements.begin_ending(tx, before.id, "reassigned")
        reassignment.close_what_is_over(tx, "fieldglass")
        assert causes(tx, before) == []
        ended, _ = taken(tx, bens(), "4")
        assert (ended.worker.profile, causes(tx, ended)) == (before.worker.profile, [])


def test_the_old_person_is_taken_again_although_it_was_decided_that_the_other_is_another(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        taken(tx, bens(), "2")
        reassignment.different(tx, the_change(tx).id, ADMIN, "two passports")
        after, change = taken(tx, an_order("P-A", role="Architect"), "3")
        assert (change, after.terms.role, causes(tx, before)) == (Change.UPDATED, "Architect", [])


def test_an_order_of_an_ended_engagement_that_is_used_for_somebody_else_is_told_of(database: Database) -> None:
    with database.transaction("acme") as tx:
        ended = engagements.begin_ending(tx, adas(tx).id, "over")
        after, change = taken(tx, bens(ends_on=LAST_DAY + timedelta(days=30)), "2")
        assert (after, change) == (ended, Change.ANOTHER_PERSON)
        assert causes(tx, ended) == [identity_cases.ANOTHER_PERSON]
        reassignment.different(tx, the_change(tx).id, ADMIN, "two passports")
        assert causes(tx, ended) == []


def test_two_workers_are_never_made_one(database: Database) -> None:
    with database.transaction("acme") as tx:
        adas(tx)
        other, _ = taken(tx, an_order("P-B", BEN, vms_id="WO-2"), "1")
        taken(tx, bens(), "2")
        with pytest.raises(Refused) as fault:
            reassignment.same(tx, the_change(tx).id, ADMIN, "same")
        assert (fault.value.cause, other.worker.marker in str(fault.value)) == ("identity_conflict", True)
        with pytest.raises(NotFound):
            reassignment.same(tx, other.id, ADMIN, "no such case")


@pytest.mark.parametrize("state", [EngagementState.REQUESTED, EngagementState.APPROVED])
def test_who_has_no_access_yet_gets_none_before_it_is_decided(database: Database, state: EngagementState) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx, state=state)
        engagements.set_agreement(tx, before.id, "env-1", NOON)
        after, _ = taken(tx, bens(), "2")
        assert after.epoch > before.epoch, "a joiner that runs is stale"
        waits = EngagementState.IN_REVIEW if state is EngagementState.REQUESTED else state
        assert identity_cases.wait(tx, after).state is waits
        assert causes(tx, after) == [identity_cases.ANOTHER_PERSON]
        back, _ = taken(tx, an_order("P-A"), "3")
        assert (back.state, jobs(tx)) == (EngagementState.APPROVED, [JobName.ALARM, JobName.JOINER])


def test_what_waits_for_other_questions_goes_on_waiting_for_them(database: Database) -> None:
    with database.transaction("acme") as tx:
        taken(tx, an_order("P-0", vms_id="WO-0"), "1")
        new, _ = taken(tx, an_order("P-A"), "1")
        taken(tx, bens(), "2")
        (alike,) = identity_cases.list_cases(tx)
        assert identity_cases.different(tx, alike.id, ADMIN, "no").state is EngagementState.IN_REVIEW
        assert causes(tx, new) == [identity_cases.ANOTHER_PERSON]
        with pytest.raises(Refused, match="first decide who it is"):
            identity_cases.accept(tx, new.id, ADMIN, "fine")
        assert taken(tx, an_order("P-A"), "3")[0].state is EngagementState.APPROVED


def test_an_id_that_comes_or_goes_is_no_change_of_person(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx, person_id=None)
        for number, person_id in enumerate((None, "P-A", None, "P-A"), start=2):
            after, change = taken(tx, an_order(person_id, role=f"Role {number}"), str(number))
            assert (change, after.worker.id) == (Change.UPDATED, before.worker.id)
            assert after.external.person_id == ("P-A" if number > 2 else None)
        assert person_changes.list_changes(tx) == []


def test_an_id_that_vanished_is_remembered_when_another_comes(database: Database) -> None:
    with database.transaction("acme") as tx:
        adas(tx)
        before, _ = taken(tx, an_order(None), "2")
        assert taken(tx, bens(worker=ADAS_NAMESAKE), "3") == (before, Change.ANOTHER_PERSON)
        assert the_change(tx).alike == ()
        assert taken(tx, an_order(None, ADAS_NAMESAKE), "4") == (before, Change.ANOTHER_PERSON)
        assert taken(tx, an_order("P-A"), "5")[1] is Change.UNCHANGED
        assert causes(tx, before) == []


def test_somebody_with_nothing_in_common_is_asked_about_although_the_id_only_came_or_went(database: Database) -> None:
    with database.transaction("acme") as tx:
        first = adas(tx, person_id=None)
        assert taken(tx, bens(), "2") == (first, Change.ANOTHER_PERSON)
        assert taken(tx, an_order(None, role="Architect"), "3")[1] is Change.UPDATED
        assert taken(tx, an_order("P-A"), "4")[1] is Change.UPDATED
        before = engagements.get(tx, first.id)
        assert taken(tx, bens(None), "5") == (before, Change.ANOTHER_PERSON)
        reassignment.same(tx, the_change(tx).id, ADMIN, "a placeholder was filled in")
        after, change = taken(tx, bens(None), "5")
        assert (change, after.worker.profile.family_name) == (Change.UPDATED, "Gompertz")


def test_another_mapping_of_the_version_that_is_known_may_read_the_id_elsewhere(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        after, change = engagements.upsert_work_order(tx, "fieldglass", an_order("BADGE-7"), "1", again=True)
        assert (change, after.external.person_id, after.worker) == (Change.UPDATED, "BADGE-7", before.worker)


def test_the_known_version_is_mapped_again_while_a_case_is_open_and_closes_nothing(database: Database) -> None:
    with database.transaction("acme") as tx:
        before = adas(tx)
        taken(tx, bens(), "2")
        after, change = engagements.upsert_work_order(tx, "fieldglass", an_order("P-A", role="Architect"), "1", again=True)
        assert (change, after.terms.role) == (Change.UPDATED, "Architect")
        assert causes(tx, before) == [identity_cases.ANOTHER_PERSON]


def test_an_id_that_no_database_keeps_is_refused_by_its_field(database: Database) -> None:
    with database.transaction("acme") as tx:
        adas(tx)
        with pytest.raises(Refused) as fault:
            taken(tx, bens("P\0B"), "2")
        assert (fault.value.cause, fault.value.field) == ("unstorable_text", "external.person_id")


@dataclass(frozen=True)
class Said:
    """One version: which id, whose profile, and the last day as days from the known one."""

    who: tuple[str | None, dict[str, Any]]
    days: int

    @property
    def is_adas(self) -> bool:
        return self.who[1] is ADA

    def order(self) -> WorkOrder:
        person_id, worker = self.who
        return (an_order if self.is_adas else bens)(person_id, worker, ends_on=LAST_DAY + timedelta(days=self.days))


class Undone(Exception):
    """Nothing of an example is kept."""


def versions(*who: tuple[str | None, dict[str, Any]]) -> st.SearchStrategy[list[Said]]:
    return st.lists(st.builds(Said, st.sampled_from(who), st.integers(-300, 300)), min_size=1, max_size=8)


KNOWN_BY_ID = versions(("P-A", ADA), ("P-B", BEN), ("P-B", ADAS_NAMESAKE), ("P-C", BEN), (None, ADA), (None, BEN))
KNOWN_BY_NONE = versions(("P-A", ADA), ("P-B", BEN), (None, ADA))


@pytest.mark.parametrize(("person_id", "sequences"), [("P-A", KNOWN_BY_ID), (None, KNOWN_BY_NONE)])
def test_whatever_sequence_of_persons_comes_nothing_of_another_is_stored_with_the_worker(
    database: Database, person_id: str | None, sequences: st.SearchStrategy[list[Said]]
) -> None:
    @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(sequences, st.randoms(use_true_random=False))
    def holds(said: list[Said], random: Random) -> None:
        numbers = [str(number) for number in range(2, len(said) + 2)]
        random.shuffle(numbers)
        with suppress(Undone), database.transaction("acme") as tx:
            engagement, _ = taken(tx, an_order(person_id), "1")
            for version, each in zip(numbers, said, strict=True):
                after, change = taken(tx, each.order(), version)
                stored = everything_about(tx, "workers", "engagements", "external_identities")
                assert not any(text in stored for text in ("Gompertz", "gompertz", "P-B", "P-C"))
                assert (after.worker.id, after.worker.profile) == (engagement.worker.id, engagement.worker.profile)
                if change is Change.ANOTHER_PERSON:
                    assert after.end_at == min(engagement.end_at, each.order().terms.end_instant())
                    assert after.source_version == engagement.source_version
                    assert causes(tx, after) == [identity_cases.ANOTHER_PERSON]
                elif change is not Change.STALE:
                    assert (each.is_adas, after.end_at) == (True, each.order().terms.end_instant())
                    assert causes(tx, after) == []
                engagement = after
            raise Undone

    holds()
