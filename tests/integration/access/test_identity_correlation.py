"""Who a work order is about: known by an id, else a new person; who only looks alike is a question, and nothing goes on before the answer."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from ledger import engagements, failures
from ledger.database import Database, Tx
from ledger.identity import cases as identity_cases
from ledger.identity import identities, workers
from ledger.identity.cases import Decision, IdentityCase
from ledger.identity.correlation import PERSON, Clues, correlate
from ledger.queueing.jobs import JobName
from ledger.trail import audit
from ledger.vault.keys import TaxIdVault
from tests.integration.ledger_cases import NOON, a_work_order
from workforce.engagement import Engagement
from workforce.errors import NotFound, Refused
from workforce.events import HUB, Actor, ActorType
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

ADMIN = Actor(ActorType.HUMAN, "grace", auth="cli")
ADA = {"given_name": "Ada", "family_name": "Lovelace", "personal_email": "ada@mail.example", "country": "GB"}
ADAS_NAMESAKE = {**ADA, "personal_email": "another@mail.example"}
GRACE = {"given_name": "Grace", "family_name": "Hopper", "personal_email": "grace@mail.example", "country": "US"}
PAIRS = 1_000


def engaged(
    tx: Tx, vms_id: str, worker: dict[str, Any], *, person_id: str | None = None, system: str = "fieldglass"
) -> Engagement:
    order = a_work_order(vms_id, worker=worker)
    order = order.model_copy(update={"external": order.external.model_copy(update={"person_id": person_id})})
    return engagements.upsert_work_order(tx, system, order, "1")[0]


def the_case(tx: Tx, engagement: Engagement) -> IdentityCase:
    (case,) = identity_cases.list_cases(tx, engagement_id=engagement.id)
    return case


def causes(tx: Tx, engagement: Engagement) -> list[str]:
    return [failure.cause for failure in failures.list_open(tx, engagement_id=engagement.id)]


def jobs(tx: Tx) -> list[str]:
    """The names of the jobs that wait."""
    return [row["args"]["name"] for row in tx.all("SELECT args FROM procrastinate_jobs ORDER BY id")]


def test_people_who_share_nothing_pass_straight_through(database: Database) -> None:
    with database.transaction("acme") as tx:
        both = engaged(tx, "WO-1", ADA), engaged(tx, "WO-2", GRACE)
        assert {each.state for each in both} == {EngagementState.REQUESTED}
        assert both[0].worker.id != both[1].worker.id
        assert identity_cases.list_cases(tx) == []
        assert failures.list_open(tx) == []


def test_the_sources_own_id_of_a_person_makes_two_engagements_one_persons(database: Database) -> None:
    with database.transaction("acme") as tx:
        first = engaged(tx, "WO-1", ADA, person_id="P-1")
        again = engaged(tx, "WO-2", {**ADA, "personal_email": "ada.king@mail.example"}, person_id="P-1")
        assert again.worker.id == first.worker.id
        assert again.state is EngagementState.REQUESTED
        assert engagements.get(tx, first.id).worker.profile.personal_email == "ada.king@mail.example"


def test_an_id_means_its_own_source_alone(database: Database) -> None:
    with database.transaction("acme") as tx:
        first = engaged(tx, "WO-1", ADA, person_id="P-1")
        other = engaged(tx, "WO-1", GRACE, person_id="P-1", system="workmarket")
        assert (other.worker.id != first.worker.id, other.state) == (True, EngagementState.REQUESTED)


def test_an_id_that_names_somebody_with_nothing_in_common_is_not_believed(database: Database) -> None:
    with database.transaction("acme") as tx:
        first = engaged(tx, "WO-1", ADA, person_id="0")
        other = engaged(tx, "WO-2", GRACE, person_id="0")
        assert (other.worker.id != first.worker.id, other.state) == (True, EngagementState.IN_REVIEW)
        assert the_case(tx, other).alike == ("external.person_id",)


def test_clues_are_taken_in_their_order(database: Database) -> None:
    vault = TaxIdVault(b"m" * 32, b"l" * 32)
    with database.transaction("acme") as tx:
        linked, marked, taxed = (
            engaged(tx, f"WO-{n}", {**ADA, "family_name": f"L{n}", "personal_email": f"{n}@x.example"}) for n in range(3)
        )
        identities.link(tx, "fieldglass", PERSON, linked.worker.id, "P-1")
        vault.seal(tx, taxed.worker.id, "12-3456789")
        owner = vault.find(tx, "12 3456789")
        order = a_work_order("WO-9", worker={**ADA, "family_name": "Nine", "personal_email": "9@x.example"})
        found = [
            correlate(tx, "fieldglass", order, clues, HUB).worker.id
            for clues in (
                Clues("P-1", marked.worker.marker, owner),
                Clues("P-2", marked.worker.marker, owner),
                Clues("P-3", None, owner),
            )
        ]
        assert found == [linked.worker.id, marked.worker.id, taxed.worker.id]


def test_somebody_who_looks_alike_waits_with_a_worker_of_their_own_and_nothing_is_linked(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = engaged(tx, "WO-1", ADA, person_id="P-1")
        new = engaged(tx, "WO-2", ADAS_NAMESAKE, person_id="P-2")
        case = the_case(tx, new)
        assert (new.state, causes(tx, new)) == (EngagementState.IN_REVIEW, ["possible_same_person"])
        assert (case.worker_id, case.candidate_id) == (new.worker.id, known.worker.id)
        assert case.alike == ("given_name", "family_name", "country")
        assert identities.by_external(tx, "fieldglass", PERSON, "P-2") is None
        assert jobs(tx) == [JobName.ALARM]
    with database.transaction("acme") as tx:
        told = [str(line.event) for line in audit.entries(tx, engagement_id=new.id)]
        assert not any(text in line for line in told for text in ("Lovelace", "mail.example"))


def test_reading_the_work_order_again_asks_nothing_again(database: Database) -> None:
    with database.transaction("acme") as tx:
        engaged(tx, "WO-1", ADA)
        new = engaged(tx, "WO-2", ADAS_NAMESAKE)
        for version in ("2", "3"):
            order = a_work_order("WO-2", worker=ADAS_NAMESAKE, role=f"Role {version}")
            again, _ = engagements.upsert_work_order(tx, "fieldglass", order, version)
            assert again.state is EngagementState.IN_REVIEW
        assert len(identity_cases.list_cases(tx, engagement_id=new.id)) == 1
        assert [failure.count for failure in failures.list_open(tx, engagement_id=new.id)] == [1]


def test_same_moves_the_engagement_to_the_known_person_who_is_recognised_from_then_on(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = engaged(tx, "WO-1", ADA)
        new = engaged(tx, "WO-2", ADAS_NAMESAKE, person_id="P-2")
        engagements.set_agreement(tx, new.id, "env-2", NOON)
        moved = identity_cases.same(tx, the_case(tx, new).id, ADMIN, "asked the supplier")
        assert (moved.worker.id, moved.state) == (known.worker.id, EngagementState.APPROVED)
        assert moved.worker.profile.personal_email == "another@mail.example"
        assert jobs(tx) == [JobName.ALARM, JobName.JOINER]
        assert causes(tx, new) == []
        third = engaged(tx, "WO-3", ADAS_NAMESAKE, person_id="P-2")
        assert (third.worker.id, third.state) == (known.worker.id, EngagementState.REQUESTED)
        with pytest.raises(Refused, match="decided before"):
            identity_cases.different(tx, identity_cases.list_cases(tx, open_only=False)[0].id, ADMIN, "no")
    with database.transaction("acme") as tx:
        (line,) = audit.entries(tx, engagement_id=new.id, action="identity.same")
        assert (line.event["actor"]["id"], line.event["details"]["reason"]) == ("grace", "asked the supplier")


def test_a_second_id_of_a_person_is_recognised_by_the_engagement_that_carries_it(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = engaged(tx, "WO-1", ADA, person_id="P-1")
        new = engaged(tx, "WO-2", ADA, person_id="P-2")
        identity_cases.same(tx, the_case(tx, new).id, ADMIN, "one person, two suppliers")
        assert engaged(tx, "WO-3", ADA, person_id="P-2").worker.id == known.worker.id
        assert engaged(tx, "WO-4", ADA, person_id="P-1").worker.id == known.worker.id


def test_different_lets_the_engagement_go_on_with_its_own_worker(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = engaged(tx, "WO-1", ADA)
        new = engaged(tx, "WO-2", ADAS_NAMESAKE, person_id="P-2")
        decided = identity_cases.different(tx, the_case(tx, new).id, ADMIN, "two passports")
        assert (decided.worker.id, decided.state) == (new.worker.id, EngagementState.APPROVED)
        assert decided.worker.id != known.worker.id
        assert identities.by_external(tx, "fieldglass", PERSON, "P-2") == new.worker.id
        assert causes(tx, new) == []
        assert engagements.transition(tx, new.id, EngagementState.CLEARED).state is EngagementState.CLEARED


def test_an_engagement_waits_until_every_question_is_answered(database: Database) -> None:
    with database.transaction("acme") as tx:
        engaged(tx, "WO-1", ADA)
        engaged(tx, "WO-2", {**GRACE, "personal_email": "both@mail.example"})
        new = engaged(tx, "WO-3", {**ADA, "personal_email": "both@mail.example"})
        first, second = identity_cases.list_cases(tx, engagement_id=new.id)
        assert {first.alike, second.alike} == {("given_name", "family_name", "country"), ("personal_email",)}
        assert identity_cases.different(tx, first.id, ADMIN, "no").state is EngagementState.IN_REVIEW
        assert causes(tx, new) == ["possible_same_person"]
        assert identity_cases.different(tx, second.id, ADMIN, "no").state is EngagementState.APPROVED


def test_nobody_is_linked_to_somebody_about_whom_it_is_not_decided(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = engaged(tx, "WO-1", ADA)
        new = engaged(tx, "WO-2", ADAS_NAMESAKE, person_id="P-2")
        third = engaged(tx, "WO-3", ADAS_NAMESAKE, person_id="P-2")
        asked = {case.candidate_id: case for case in identity_cases.list_cases(tx, engagement_id=third.id)}
        assert set(asked) == {known.worker.id, new.worker.id}
        with pytest.raises(Refused) as fault:
            identity_cases.same(tx, asked[new.worker.id].id, ADMIN, "same")
        assert fault.value.cause == "identity_undecided"
        identity_cases.same(tx, the_case(tx, new).id, ADMIN, "same")
        assert identity_cases.same(tx, asked[known.worker.id].id, ADMIN, "same").worker.id == known.worker.id
        assert identity_cases.list_cases(tx) == []
        assert [case.decision for case in identity_cases.list_cases(tx, open_only=False)].count(Decision.SAME) == 2


def test_two_who_look_alike_and_come_at_the_same_moment_do_not_miss_each_other(database: Database) -> None:
    def come(number: int) -> EngagementState:
        with database.transaction("acme") as tx:
            return engaged(tx, f"WO-{number}", {**ADA, "given_name": random.Random(number).choice(["Ada", "ADA"])}).state  # noqa: S311

    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(come, range(8)))
    assert states.count(EngagementState.REQUESTED) == 1
    assert states.count(EngagementState.IN_REVIEW) == 7


def test_a_thousand_pairs_of_namesakes_are_never_linked(database: Database) -> None:
    owners: dict[UUID, str] = {}
    for number in range(PAIRS):
        name = {"given_name": "Ada", "family_name": f"Lovelace {number}", "country": "GB"}
        with database.transaction("acme") as tx:
            for twin in ("a", "b"):
                person = {**name, "personal_email": f"{twin}{number}@mail.example"}
                engagement = engaged(tx, f"WO-{twin}-{number}", person, person_id=f"{twin}{number}")
                assert owners.setdefault(engagement.worker.id, f"{twin}{number}") == f"{twin}{number}"
                assert engagement.state is (EngagementState.REQUESTED if twin == "a" else EngagementState.IN_REVIEW)
    assert len(owners) == 2 * PAIRS


def test_somebody_not_to_be_engaged_again_waits_for_a_reviewer_who_may_let_one_engagement_pass(database: Database) -> None:
    with database.transaction("acme") as tx:
        first = engaged(tx, "WO-1", ADA, person_id="P-1")
        workers.set_do_not_rehire(tx, first.worker, "left with the badge", ADMIN, because="left with the badge")
        second, third = engaged(tx, "WO-2", ADA, person_id="P-1"), engaged(tx, "WO-3", ADA, person_id="P-1")
        assert (second.worker.id, second.state, causes(tx, second)) == (
            first.worker.id,
            EngagementState.IN_REVIEW,
            ["do_not_rehire"],
        )
        assert identity_cases.accept(tx, second.id, ADMIN, "badge came back").state is EngagementState.APPROVED
        assert engagements.get(tx, third.id).state is EngagementState.IN_REVIEW
        workers.set_do_not_rehire(tx, first.worker, None, ADMIN, because="settled")
        assert [each.id for each in identity_cases.lifted(tx, first.worker.id, ADMIN)] == [third.id]
        assert failures.list_open(tx, engagement_id=third.id) == []
        with pytest.raises(Refused, match="nothing waits"):
            identity_cases.accept(tx, third.id, ADMIN, "again")


def test_one_who_turns_out_to_be_somebody_not_to_be_engaged_again_goes_on_waiting(database: Database) -> None:
    with database.transaction("acme") as tx:
        known = engaged(tx, "WO-1", ADA)
        new = engaged(tx, "WO-2", ADAS_NAMESAKE)
        workers.set_do_not_rehire(tx, known.worker, "no", ADMIN, because="no")
        with pytest.raises(Refused, match="first decide who it is"):
            identity_cases.accept(tx, new.id, ADMIN, "fine")
        assert identity_cases.same(tx, the_case(tx, new).id, ADMIN, "same").state is EngagementState.IN_REVIEW
        assert causes(tx, new) == ["do_not_rehire"]


def test_a_mark_that_comes_later_stops_what_is_only_requested_and_nothing_that_runs(database: Database) -> None:
    with database.transaction("acme") as tx:
        requested, running = engaged(tx, "WO-1", ADA, person_id="P-1"), engaged(tx, "WO-2", ADA, person_id="P-1")
        running = engagements.transition(tx, running.id, EngagementState.CLEARED)
        workers.set_do_not_rehire(tx, running.worker, "no", ADMIN, because="no")
        assert identity_cases.wait(tx, requested).state is EngagementState.IN_REVIEW
        assert identity_cases.wait(tx, running).state is EngagementState.CLEARED


def test_what_waits_is_on_the_failure_list_again_if_somebody_took_it_off(database: Database) -> None:
    with database.transaction("acme") as tx:
        engaged(tx, "WO-1", ADA)
        new = engaged(tx, "WO-2", ADAS_NAMESAKE)
        failures.close_all(tx, new.id, ADMIN)
        assert identity_cases.wait(tx, new).state is EngagementState.IN_REVIEW
        assert causes(tx, new) == ["possible_same_person"]


def test_an_engagement_that_ended_meanwhile_is_decided_and_stays_ended(database: Database) -> None:
    with database.transaction("acme") as tx:
        engaged(tx, "WO-1", ADA)
        new = engaged(tx, "WO-2", ADAS_NAMESAKE)
        engagements.begin_ending(tx, new.id, "withdrawn")
        assert identity_cases.different(tx, the_case(tx, new).id, ADMIN, "no").state is EngagementState.ENDING
        assert causes(tx, new) == []


def test_nothing_is_moved_once_something_was_made_for_the_engagements_own_worker(database: Database) -> None:
    with database.transaction("acme") as tx:
        engaged(tx, "WO-1", ADA)
        new = engaged(tx, "WO-2", ADAS_NAMESAKE)
        identities.link(tx, "entra", "account", new.worker.id, "guid-1")
        with pytest.raises(Refused) as fault:
            identity_cases.same(tx, the_case(tx, new).id, ADMIN, "same")
        assert fault.value.cause == "already_provisioned"
        with pytest.raises(NotFound):
            identity_cases.same(tx, new.id, ADMIN, "no such case")


def test_workers_from_before_likeness_was_kept_are_found_too(database: Database) -> None:
    with database.transaction("acme") as tx:
        engaged(tx, "WO-1", ADA)
        tx.execute("UPDATE workers SET like_name = NULL, like_address = NULL")
    with database.transaction("acme") as tx:
        assert engaged(tx, "WO-2", ADAS_NAMESAKE).state is EngagementState.IN_REVIEW
