"""The brake on feeds: mass change is held before the first stint stops; one termination, and everything else of the poll, passes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from config.hub import Hub
from flows.feeds.feed_brake import discard, is_held, release
from flows.feeds.intake import Intake
from flows.feeds.polling import follow_feed, poll_vms, take_again
from ledger import engagements, failures
from ledger.intake import sources
from ledger.queueing.jobs import JobName
from ledger.reconciliation import held_changes
from ledger.reconciliation.held_changes import HeldChange
from ledger.trail import audit
from tests.integration.company import Company
from workforce.engagement import Engagement
from workforce.errors import Misconfigured, NotFound, RetryLater
from workforce.events import Actor, ActorType
from workforce.ports import ChangePage, SourceRecord
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

ADA = Actor(ActorType.HUMAN, "ada", auth="cli")
ORDERS = 20
SOON = {"End Date": (datetime.now(UTC) + timedelta(days=2)).date().isoformat()}


@dataclass
class Feed:
    """A ``RecordSource`` that gives these pages, and after them, if there is one, an error."""

    pages: Sequence[Sequence[SourceRecord]]
    broken: Exception | None = None
    asked: list[str | None] = field(default_factory=list)

    def changes(self, cursor: str | None) -> ChangePage:
        self.asked.append(cursor)
        number = len(self.asked) - 1
        if number == len(self.pages):
            raise self.broken or AssertionError("the last page was complete")
        is_last = number == len(self.pages) - 1 and self.broken is None
        return ChangePage(self.pages[number], f"page-{number + 1}", complete=is_last)

    def read(self, external_id: str) -> SourceRecord:
        for record in reversed([record for page in self.pages for record in page]):
            if record.external_id == external_id:
                return record
        raise NotFound("it is not there")


@dataclass
class Client:
    """A client with running stints, and the feed of its VMS."""

    company: Company
    hub: Hub
    orders: list[str]
    versions: int = 0
    read: dict[str, SourceRecord] = field(default_factory=dict)

    @property
    def intake(self) -> Intake:
        return Intake(self.hub, "acme", "fieldglass")

    def record(self, vms_id: str, **columns: str) -> SourceRecord:
        """The order's record with other columns, in a newer version."""
        self.versions += 1
        record = self.read.get(vms_id) or self.intake.source().read(vms_id)
        self.read[vms_id] = record
        return replace(record, version=f"{record.version}~{self.versions:06}", values={**record.values, **columns})

    def ends(self) -> dict[str, datetime]:
        with self.company.database.transaction("acme") as tx:
            found = {vms_id: engagements.by_vms_id(tx, "fieldglass", vms_id) for vms_id in self.orders}
        return {vms_id: engagement.end_at for vms_id, engagement in found.items() if engagement}

    def follow(self, *pages: Sequence[SourceRecord], broken: Exception | None = None) -> None:
        follow_feed(self.intake, Feed(pages, broken))

    def held(self) -> list[HeldChange]:
        with self.company.database.transaction("acme") as tx:
            return held_changes.waiting(tx, "fieldglass")

    def discard(self) -> None:
        with self.company.database.transaction("acme") as tx:
            discard(tx, held_changes.waiting(tx, "fieldglass"), vms="fieldglass", reason="a test", actor=ADA)

    def engagement(self, vms_id: str) -> Engagement:
        with self.company.database.transaction("acme") as tx:
            found = engagements.by_vms_id(tx, "fieldglass", vms_id)
        assert found is not None
        return found

    def an_hour_passes(self) -> None:
        with self.company.database.transaction("acme") as tx:
            tx.execute("UPDATE held_changes SET noted_at = noted_at - interval '61 minutes'")


@pytest.fixture
def client(company: Company) -> Client:
    hub = company.hub()
    orders = [company.fieldglass.add_work_order() for _ in range(ORDERS)]
    poll_vms(hub, "acme")
    with company.database.transaction("acme") as tx:
        for vms_id in orders:
            engagement = engagements.by_vms_id(tx, "fieldglass", vms_id)
            assert engagement is not None
            for state in (EngagementState.CLEARED, EngagementState.ACTIVE):
                engagements.transition(tx, engagement.id, state)
    return Client(company, hub, orders)


def causes(client: Client) -> list[str]:
    with client.company.database.transaction("acme") as tx:
        return [failure.cause for failure in failures.list_open(tx)]


def a_broken_feed(client: Client, rng: random.Random) -> list[list[SourceRecord]]:
    """Pages that would end more stints than may be: all terminated, all without most of their time, or a mapping that reads nonsense."""
    now = datetime.now(UTC)
    columns = rng.choice(
        [
            {"Terminate At": now.isoformat(), "Status": "Closed"},
            {"Terminate At": (now - timedelta(days=rng.randrange(30))).isoformat()},
            {"End Date": "2026-11-30", "Start Date": "2026-01-05"},
            {**SOON, "Rate Unit": "Week"},
            SOON,
        ]
    )
    count = rng.choice([6, 7, 8, ORDERS])
    records = [client.record(vms_id, **columns) for vms_id in rng.sample(client.orders, count)]
    size = rng.randint(1, count)
    return [records[start : start + size] for start in range(0, count, size)]


def test_whatever_is_wrong_with_a_feed_all_of_it_is_held_before_the_first_stint_stops(client: Client) -> None:
    before, held = client.ends(), 0
    for seed in range(100):
        pages = a_broken_feed(client, random.Random(seed))  # noqa: S311 - seeded on purpose
        with client.company.database.transaction("acme") as tx:
            sources.forget_cursor(tx, "fieldglass")
        client.follow(*pages)
        assert client.ends() == before, f"seed {seed}"
        held += len(client.held()) == sum(map(len, pages))
        client.discard()
    assert held == 100


def test_an_empty_feed_ends_nobody(client: Client) -> None:
    before = client.ends()
    client.follow([])
    client.follow([], [], [])
    assert (client.ends(), client.held()) == (before, [])


def test_what_was_held_is_told_once_with_the_way_out(client: Client) -> None:
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders])
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders])
    with client.company.database.transaction("acme") as tx:
        (failure,) = [failure for failure in failures.list_open(tx) if failure.cause == "mass_change"]
        told = audit.entries(tx, action="change.held")
    assert "stint reconcile release" in failure.message
    assert (failure.count, len(told)) == (1, ORDERS)
    assert client.company.alarms() == [failure.id]


@pytest.mark.parametrize(("ends", "passes"), [(1, True), (5, True), (6, False), (20, False)])
def test_five_may_end_within_an_hour_and_a_sixth_makes_all_of_them_wait(client: Client, ends: int, passes: bool) -> None:
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders[:ends]])
    stopped = [vms_id for vms_id, end in client.ends().items() if end < datetime.now(UTC) + timedelta(days=4)]
    assert sorted(stopped) == (sorted(client.orders[:ends]) if passes else [])
    assert len(client.held()) == (0 if passes else ends)


def test_small_steps_add_up_within_the_hour_and_not_beyond(client: Client) -> None:
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders[:4]])
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders[4:8]])
    assert sorted(change.subject for change in client.held()) == sorted(client.orders[4:8])
    client.discard()
    client.an_hour_passes()
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders[8:12]])
    assert client.held() == []


def test_one_explicit_termination_passes_however_many_went_before(client: Client) -> None:
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders[:5]])
    now = datetime.now(UTC).replace(microsecond=0)
    client.follow([client.record(client.orders[5], **{"Terminate At": now.isoformat()})])
    assert client.ends()[client.orders[5]] == now
    assert client.held() == []
    client.follow([client.record(client.orders[6], **SOON)])
    assert [change.subject for change in client.held()] == [client.orders[6]]


def test_an_order_that_is_held_is_let_go_once_it_is_terminated_by_itself(client: Client) -> None:
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders])
    now = datetime.now(UTC).replace(microsecond=0)
    client.follow([client.record(client.orders[0], **{"Terminate At": now.isoformat()})])
    assert client.ends()[client.orders[0]] == now
    assert len(client.held()) == ORDERS - 1


def test_the_others_of_the_poll_go_on(client: Client) -> None:
    new = client.company.fieldglass.add_work_order()
    pages = [
        [client.record(vms_id, **SOON) for vms_id in client.orders[:9]],
        [client.record(new), client.record(client.orders[9], Site="Hamburg")],
    ]
    client.follow(*pages)
    assert client.engagement(client.orders[9]).terms.location == "Hamburg"
    assert client.engagement(new).state is EngagementState.REQUESTED
    assert len(client.held()) == 9


def test_a_later_end_is_no_mass_change(client: Client) -> None:
    client.follow([client.record(vms_id, **{"End Date": "2031-01-31"}) for vms_id in client.orders])
    assert {end.year for end in client.ends().values()} == {2031}
    assert client.held() == []


def test_released_orders_are_read_again_and_taken_as_they_are_then(client: Client) -> None:
    for vms_id in client.orders:
        client.company.fieldglass.change(vms_id, **SOON)
    poll_vms(client.hub, "acme")
    assert len(client.held()) == ORDERS
    client.company.fieldglass.change(client.orders[0], **{"End Date": "2031-01-31"})
    with client.company.database.transaction("acme") as tx:
        release(tx, held_changes.waiting(tx), vms="fieldglass", reason="the project is over", actor=ADA)
    taken = [args["external_id"] for name, args in client.company.waiting() if name == JobName.TAKE]
    assert sorted(taken) == sorted(client.orders)
    for vms_id in taken:
        take_again(client.hub, "acme", vms_id)
    ends = client.ends()
    assert ends.pop(client.orders[0]).year == 2031
    assert all(end < datetime.now(UTC) + timedelta(days=4) for end in ends.values())
    assert causes(client) == []


def test_a_discarded_version_is_never_taken_and_a_newer_one_is_judged_anew(client: Client) -> None:
    records = [client.record(vms_id, **SOON) for vms_id in client.orders]
    before = client.ends()
    client.follow(records)
    client.discard()
    assert causes(client) == []
    for again in (records, records[:1]):
        client.follow(again)
    assert (client.ends(), client.held()) == (before, [])
    client.follow([client.record(client.orders[0], **SOON)])
    assert client.ends()[client.orders[0]] < before[client.orders[0]]


def test_whoever_else_reads_an_order_is_told_that_it_is_held(client: Client) -> None:
    records = [client.record(vms_id, **SOON) for vms_id in client.orders[:6]]
    newer = client.record(client.orders[0], **SOON)

    def told(record: SourceRecord) -> bool:
        with client.company.database.transaction("acme") as tx:
            return is_held(tx, "fieldglass", record)

    assert not told(records[0])
    client.follow(records)
    assert (told(records[0]), told(newer), told(client.record(client.orders[7]))) == (True, True, False)
    client.discard()
    assert (told(records[0]), told(newer)) == (True, False)


def test_what_the_source_takes_back_itself_waits_for_nobody(client: Client) -> None:
    before = client.ends()
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders])
    client.follow([client.record(vms_id) for vms_id in client.orders])
    assert (client.ends(), client.held(), causes(client)) == (before, [], [])


def test_an_end_that_a_later_page_takes_back_is_never_taken(client: Client) -> None:
    vms_id, before = client.orders[0], client.ends()
    early, back = client.record(vms_id, **SOON), client.record(vms_id)
    client.follow([early, back])
    client.follow([client.record(vms_id, **SOON)], [client.record(vms_id)])
    assert (client.ends(), client.held()) == (before, [])


def test_a_feed_that_goes_away_in_the_middle_loses_no_end(client: Client) -> None:
    records = [client.record(vms_id, **SOON) for vms_id in client.orders[:3]]
    before = client.ends()
    with pytest.raises(RetryLater):
        client.follow(records[:2], broken=RetryLater("away"))
    assert (client.ends(), client.held()) == (before, [])
    client.follow(records[2:])
    taken = [args["external_id"] for name, args in client.company.waiting() if name == JobName.TAKE]
    assert sorted(taken) == sorted(client.orders[:2])
    assert client.ends()[client.orders[2]] < before[client.orders[2]]


def test_a_feed_that_is_broken_further_on_keeps_a_termination_waiting_for_nothing(client: Client) -> None:
    before = client.ends()
    with pytest.raises(Misconfigured):
        client.follow([client.record(client.orders[0], **SOON)], broken=Misconfigured("a column is missing"))
    assert client.ends()[client.orders[0]] < before[client.orders[0]]
    with pytest.raises(Misconfigured):
        client.follow(
            [client.record(vms_id, **SOON) for vms_id in client.orders[1:]], broken=Misconfigured("a column is missing")
        )
    assert len(client.held()) == ORDERS - 1


def test_the_limit_is_the_tenants_own(client: Client) -> None:
    client.company.content["tenant.yaml"]["access"] = {"brake": {"at_least": 2, "percent": 1}}
    client.hub = client.company.hub()
    client.follow([client.record(vms_id, **SOON) for vms_id in client.orders[:3]])
    assert len(client.held()) == 3
