"""A directory that people keep: a ticket for each change, and an account that is what evidence has shown of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.contract import Surroundings
from connectors.manual.client import ManualClient
from connectors.manual.directory import ManualDirectory
from connectors.manual.sandbox import Habits, ManualSandbox
from connectors.manual.settings import ManualSettings
from connectors.manual.tickets import TAKES_AWAY, Action, Content
from connectors.protocols.desks.cases import Number
from connectors.protocols.desks.desk import Desk
from connectors.protocols.desks.sheets import Form, read_sheet
from workforce.access import DesiredAccount
from workforce.errors import AlreadyTaken, HubError, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater

MARKER, OTHER = "ST0123456789ABC", "ST4D9S1ZN6P2T3W"
END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
BADGE = "badge:building-7"


@dataclass
class Clock:
    """Our time: the real one and ``ahead``, until it is told what time it is."""

    at: datetime | None = None
    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return self.at or datetime.now(UTC) + self.ahead


@dataclass
class Office:
    """Patient people, and a client of theirs at a time that a test decides."""

    people: ManualSandbox
    clock: Clock
    form: Mapping[str, Any]

    def client(self, **changed: Any) -> ManualClient:
        around = Surroundings(folders=(self.people.folder,))
        values = {**self.people.local_settings(), **self.form, **changed}
        return ManualClient(ManualSettings.model_validate(values), around, sleep=lambda _: None, clock=self.clock)

    def directory(self, **changed: Any) -> ManualDirectory:
        return ManualDirectory(self.client(**changed))

    def files(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.people.folder / folder).iterdir())

    def sheet(self, number: Number) -> dict[str, str]:
        (path,) = (self.people.folder / "tickets").glob(f"{number}.*")
        return read_sheet(path.name, path.read_bytes())


def an_office(folder: Path, habits: Habits | None = None, seed: int = 0, **form: Any) -> Office:
    people = ManualSandbox(folder / "office", is_patient=True, habits=habits or Habits(), seed=seed)
    return Office(people, Clock(), form)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return an_office(tmp_path)


def ada(marker: str = MARKER, **changed: Any) -> DesiredAccount:
    given = {"display_name": "Ada Lovelace", "role": "Engineer"}
    wanted = {"login": "ada.lovelace", "attributes": given, "groups": frozenset(), "expires_at": END, **changed}
    return DesiredAccount(marker=marker, **wanted)


@pytest.fixture
def made(office: Office) -> ManualDirectory:
    """A directory with Ada's account, proven."""
    directory = office.directory()
    directory.create(ada())
    office.people.work()
    assert directory.read(MARKER).enabled
    return directory


def raised(error: type[HubError], call: Callable[[], object]) -> HubError:
    with pytest.raises(error) as caught:
        call()
    return caught.value


# A ticket, and its evidence


def test_an_account_is_there_once_somebody_has_proven_it(office: Office) -> None:
    directory = office.directory()
    assert directory.create(ada()) == MARKER
    raised(NotFound, lambda: directory.read(MARKER))
    (number,) = office.people.open_tickets()
    told = office.sheet(number)
    assert {"what", "marker", "login", "person", "access_ends", "due", "answer_with", "system"} <= set(told)
    assert (told["marker"], told["login"], told["person"], told["set.role"]) == (
        MARKER,
        "ada.lovelace",
        "Ada Lovelace",
        "Engineer",
    )
    office.people.work()
    state = directory.read(MARKER)
    assert (state.enabled, state.login, state.marker, state.expires_at) == (True, "ada.lovelace", MARKER, END)
    assert state.attributes == {"display_name": "Ada Lovelace", "role": "Engineer"}
    assert office.files("tickets") == office.files("evidence") == []
    assert len(office.files("closed")) == 2


def test_an_account_that_shall_not_work_yet_is_asked_for_as_such(office: Office) -> None:
    directory = office.directory()
    directory.create(ada(enabled=False))
    (number,) = office.people.open_tickets()
    assert "must not let anybody in yet" in office.sheet(number)["what"]
    office.people.work()
    assert not directory.read(MARKER).enabled
    directory.enable(MARKER)
    office.people.work()
    assert directory.read(MARKER).enabled


def test_everything_that_a_directory_does_is_done_by_people(office: Office, made: ManualDirectory) -> None:
    later = END + timedelta(days=30)
    made.update(MARKER, {"role": None, "site": "Berlin"})
    made.set_expiry(MARKER, later)
    made.add_member(BADGE, MARKER)
    office.people.work()
    state = made.read(MARKER)
    assert (state.attributes, state.expires_at, state.groups) == (
        {"display_name": "Ada Lovelace", "role": None, "site": "Berlin"},
        later,
        {BADGE},
    )
    made.remove_member(BADGE, MARKER)
    assert made.block_all([MARKER, OTHER])[MARKER] is None
    office.people.work()
    state = made.read(MARKER)
    assert (state.groups, state.enabled) == (frozenset(), False)
    held = office.people.accounts[MARKER]
    assert (held.groups, held.enabled, held.expires_at) == (set(), False, later)


def test_asking_again_is_the_same_ticket_and_says_that_it_waits(office: Office, made: ManualDirectory) -> None:
    calls: list[Callable[[], None]] = [
        lambda: made.update(MARKER, {"role": "Architect"}),
        lambda: made.set_expiry(MARKER, END + timedelta(days=1)),
        lambda: made.add_member(BADGE, MARKER),
        lambda: made.revoke_sessions(MARKER),
    ]
    for call in [*calls, lambda: made.disable(MARKER)]:
        call()
        before = office.people.open_tickets()
        assert raised(RetryLater, call).cause == "ticket_open"
        assert office.people.open_tickets() == before
    assert office.directory().create(ada(OTHER, login="grace")) == office.directory().create(ada(OTHER, login="grace")) == OTHER
    assert len([number for number in office.people.open_tickets() if number.marker == OTHER]) == 1


def test_what_is_so_already_is_asked_of_nobody(office: Office, made: ManualDirectory) -> None:
    made.enable(MARKER)
    made.update(MARKER, {"role": "Engineer", "site": None})
    made.set_expiry(MARKER, END)
    made.remove_member(BADGE, MARKER)
    made.move_to_disabled(MARKER)
    assert office.people.open_tickets() == []
    assert made.sign_in_works(MARKER) is None


def test_one_ticket_blocks_and_signs_out(office: Office, made: ManualDirectory) -> None:
    made.disable(MARKER)
    made.revoke_sessions(MARKER)
    assert [number.action for number in office.people.open_tickets()] == [Action.BLOCK]
    assert made.read(MARKER).enabled, "nobody has proven it yet"
    office.people.work()
    made.revoke_sessions(MARKER)
    assert not made.read(MARKER).enabled
    assert office.people.open_tickets() == []


def test_a_sign_out_by_itself_leaves_the_account_as_it_is(office: Office, made: ManualDirectory) -> None:
    made.revoke_sessions(MARKER)
    office.people.work()
    made.revoke_sessions(MARKER)
    assert (office.people.accounts[MARKER].signed_out, made.read(MARKER).enabled) == (1, True)


def test_later_lives_have_tickets_of_their_own(office: Office, made: ManualDirectory) -> None:
    for turn in (1, 2, 3):
        made.disable(MARKER)
        assert [str(number) for number in office.people.open_tickets()] == [f"STINT-{MARKER}-block-{turn}"]
        office.people.work()
        made.enable(MARKER)
        office.people.work()
    assert office.people.effects.count("block") == office.people.effects.count("enable") == 3


def test_a_ticket_that_a_ticket_system_has_taken_is_still_open_and_still_closes(office: Office, made: ManualDirectory) -> None:
    taken = office.people.folder / "taken"
    taken.mkdir()
    directory = office.directory(taken=str(taken))
    directory.disable(MARKER)
    (number,) = office.people.open_tickets()
    (office.people.folder / "tickets" / f"{number}.yaml").rename(taken / f"{number}.yaml")
    assert raised(RetryLater, lambda: directory.disable(MARKER)).cause == "ticket_open"
    office.people.answer(number)
    assert not directory.read(MARKER).enabled
    assert list(taken.iterdir()) == []


# What has to be proven


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"outcome": "done", "when": "{now}", "evidence": "CHG-1"}, "who"),
        ({"outcome": "done", "who": "Pat", "evidence": "CHG-1"}, "when"),
        ({"outcome": "done", "who": "Pat", "when": "{now}"}, "evidence"),
        ({"outcome": "done", "who": "  ", "when": "{now}", "evidence": " "}, "who"),
        ({"outcome": "probably", "who": "Pat", "when": "{now}", "evidence": "CHG-1"}, "outcome"),
        ({"outcome": "refused", "who": "Pat", "when": "{now}"}, "reason"),
        ({"outcome": "done", "who": "Pat", "when": "yesterday", "evidence": "CHG-1"}, "when"),
        ({"outcome": "done", "who": "Pat", "when": "2099-01-01T00:00Z", "evidence": "CHG-1"}, "when"),
        ({"outcome": "done", "who": "Pat", "when": "2020-01-01T00:00Z", "evidence": "CHG-1"}, "when"),
        ({"outcome": "done", "who": "Pat", "when": "9999-12-31T23:59-23:00", "evidence": "CHG-1"}, "when"),
    ],
)
def test_an_answer_without_its_proof_closes_nothing_and_is_told_why(
    office: Office, made: ManualDirectory, fields: Mapping[str, str], named: str
) -> None:
    made.disable(MARKER)
    (number,) = office.people.open_tickets()
    office.people.answer(
        number, "answer.json", **{name: text.format(now=office.clock().isoformat()) for name, text in fields.items()}
    )
    assert made.read(MARKER).enabled
    assert office.people.open_tickets() == [number]
    assert f"{named}:" in (office.people.folder / "evidence" / "answer.json.refused.txt").read_text()
    office.people.answer(number, "answer.json")
    assert not made.read(MARKER).enabled


def test_what_is_said_back_is_said_once_for_each_answer(office: Office, made: ManualDirectory) -> None:
    made.disable(MARKER)
    (number,) = office.people.open_tickets()
    office.people.answer(number, "answer.json", outcome="done")
    made.read(MARKER)
    said = office.people.folder / "evidence" / "answer.json.refused.txt"
    first = said.stat().st_mtime_ns
    made.read(MARKER)
    assert said.stat().st_mtime_ns == first


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", b"{"), ("a.json", b"["), ("a.json", b"[1]"), ("a.json", b'{"ticket": ["x"]}'), ("a.yml", b"\xff\xfe\x00"), ("a.csv", b""),
        ("a.csv", b"ticket\r\nA\r\nB\r\n"), ("a.yaml", b"[" * 60_000), ("a.json", b"[" * 60_000), ("a.yaml", b"a: &x [1]\nb: *x\n"),
        ("a.json", b'{"who": "' + b"x" * 70_000 + b'"}'), ("a.yaml", b""), ("a.json", b"{}"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_left_where_it_is_and_keeps_nothing_else_back(
    office: Office, made: ManualDirectory, name: str, content: bytes
) -> None:
    made.disable(MARKER)
    (office.people.folder / "evidence" / name).write_bytes(content)
    office.people.work()
    assert not made.read(MARKER).enabled
    assert office.files("evidence") == [name, f"{name}.refused.txt"]


@pytest.mark.parametrize(
    "ticket", [f"STINT-{OTHER}-block-1", f"STINT-{MARKER}-block-2", "INC-4711", "../../closed/x", "STINT-\u0661"]
)
def test_evidence_for_a_ticket_that_nobody_opened_is_set_aside(office: Office, made: ManualDirectory, ticket: str) -> None:
    made.disable(MARKER)
    office.people.answer(ticket, "stray.json")
    assert made.read(MARKER).enabled
    assert office.files("evidence") == ["stray.json.refused.txt"]
    (aside,) = office.files("set_aside")
    assert (office.people.folder / "set_aside" / aside).is_file()
    assert not office.files("closed").count(aside)


def test_evidence_that_was_set_aside_counts_once_its_ticket_is_seen(office: Office, made: ManualDirectory) -> None:
    made.disable(MARKER)
    (number,) = office.people.open_tickets()
    ticket, hidden = office.people.folder / "tickets" / f"{number}.yaml", office.people.folder / "later"
    ticket.rename(hidden)
    office.people.answer(number)
    assert made.read(MARKER).enabled
    assert len(office.files("set_aside")) == 1
    hidden.rename(ticket)
    assert not made.read(MARKER).enabled


def test_instances_that_share_folders_leave_each_others_tickets_alone(office: Office, made: ManualDirectory) -> None:
    doors = office.directory(prefix="DOORS")
    doors.create(ada())
    (number,) = office.people.open_tickets()
    assert number.prefix == "DOORS"
    office.people.answer(number)
    assert made.read(MARKER).login == "ada.lovelace"
    assert office.files("set_aside") == []
    assert doors.read(MARKER).enabled


# Several answers


def test_an_answer_that_comes_twice_is_one(tmp_path: Path) -> None:
    office = an_office(tmp_path, Habits(answer_twice=1.0))
    directory = office.directory()
    directory.create(ada())
    office.people.work()
    assert directory.read(MARKER).enabled
    assert office.files("evidence") == []
    assert len(office.files("closed")) == 3
    raised(AlreadyTaken, lambda: directory.create(ada()))


def test_of_answers_that_contradict_the_latest_counts_and_at_one_time_the_no(office: Office, made: ManualDirectory) -> None:
    made.add_member(BADGE, MARKER)
    (number,) = office.people.open_tickets()
    now, office.clock.ahead = office.clock(), timedelta(hours=1)
    for minutes, outcome, holds in ((3, "done", True), (2, "refused", True), (3, "refused", False), (4, "done", True)):
        when = (now + timedelta(minutes=minutes)).isoformat()
        office.people.answer(number, outcome=outcome, who="Pat", when=when, evidence="CHG-1", reason="no room")
        assert (BADGE in made.read(MARKER).groups) is holds, (minutes, outcome)


def test_a_no_to_giving_stands_for_a_while_and_is_told_as_one(office: Office, made: ManualDirectory) -> None:
    made.add_member(BADGE, MARKER)
    (number,) = office.people.open_tickets()
    office.people.answer(number, outcome="refused", who="Pat Miller", when=office.clock().isoformat(), reason="Ada is banned")
    said = raised(Refused, lambda: made.add_member(BADGE, MARKER))
    assert said.cause == "ticket_refused"
    assert "Pat" not in str(said)
    assert "banned" not in str(said)
    assert office.people.open_tickets() == []
    office.clock.ahead = timedelta(hours=25)
    made.add_member(BADGE, MARKER)
    assert [one.turn for one in office.people.open_tickets()] == [2]


def test_a_no_to_taking_away_ends_nothing(office: Office, made: ManualDirectory) -> None:
    made.disable(MARKER)
    (number,) = office.people.open_tickets()
    office.people.answer(number, outcome="refused", who="Pat", when=office.clock().isoformat(), reason="not today")
    assert made.read(MARKER).enabled
    assert raised(Refused, lambda: made.disable(MARKER)).cause == "ticket_refused"
    assert office.people.open_tickets() == [number]
    office.people.answer(number, "again.json")
    assert not made.read(MARKER).enabled


def test_an_account_that_is_refused_is_shown_as_not_there_and_says_so_when_it_is_used(office: Office) -> None:
    directory = office.directory()
    directory.create(ada())
    (number,) = office.people.open_tickets()
    office.people.answer(number, outcome="refused", who="Pat", when=office.clock().isoformat(), reason="the login is taken")
    assert not directory.read(MARKER).enabled
    directory.disable(MARKER)
    assert office.people.open_tickets() == []
    assert raised(Refused, lambda: directory.set_expiry(MARKER, END + timedelta(days=1))).cause == "ticket_refused"
    office.people.answer(number, "after all.json", outcome="done", who="Pat", when=_later(office), evidence="CHG-2")
    assert directory.read(MARKER).enabled


def _later(office: Office) -> str:
    """A minute later, at which it is by now."""
    later = office.clock() + timedelta(minutes=1)
    office.clock.ahead = timedelta(minutes=2)
    return later.isoformat()


def test_an_answer_of_a_clock_that_is_ahead_is_waited_for_without_a_word(office: Office, made: ManualDirectory) -> None:
    made.disable(MARKER)
    soon = (office.clock() + timedelta(minutes=5)).isoformat()
    office.people.answer(f"STINT-{MARKER}-block-1", outcome="done", who="Pat", when=soon, evidence="CHG-1")
    assert made.read(MARKER).enabled
    assert office.files("evidence") == [f"STINT-{MARKER}-block-1.json"]
    office.clock.ahead = timedelta(minutes=6)
    assert not made.read(MARKER).enabled


def test_a_block_that_was_proven_and_then_denied_is_asked_for_anew(office: Office, made: ManualDirectory) -> None:
    made.disable(MARKER)
    office.people.work()
    assert not made.read(MARKER).enabled
    office.people.answer(
        f"STINT-{MARKER}-block-1", outcome="refused", who="Sam", when=_later(office), reason="the gate still opens"
    )
    assert made.read(MARKER).enabled
    made.disable(MARKER)
    assert [one.turn for one in office.people.open_tickets()] == [2]


# The end comes while something is under way


def test_an_end_before_the_account_was_made_withdraws_the_order_and_has_it_blocked_all_the_same(office: Office) -> None:
    directory = office.directory()
    directory.create(ada())
    (found,) = directory.find(MARKER)
    assert found.enabled, "it may be there by now"
    directory.disable(MARKER)
    (number,) = office.people.open_tickets()
    assert number.action == Action.BLOCK
    assert "create" in office.sheet(number)["not_any_more"]
    raised(NotFound, lambda: directory.read(MARKER))
    office.people.work()
    assert not directory.read(MARKER).enabled


def test_somebody_who_was_let_in_after_the_block_is_shown_and_blocked_again(office: Office, made: ManualDirectory) -> None:
    made.disable(MARKER)
    office.people.work()
    made.enable(MARKER)
    (enabling,) = office.people.open_tickets()
    made.disable(MARKER)
    office.people.answer(f"STINT-{MARKER}-block-2", outcome="done", who="Pat", when=office.clock().isoformat(), evidence="CHG-3")
    assert not made.read(MARKER).enabled
    office.people.answer(enabling, outcome="done", who="Sam", when=_later(office), evidence="CHG-4")
    assert made.read(MARKER).enabled
    made.disable(MARKER)
    assert [one.turn for one in office.people.open_tickets()] == [3]


def test_a_block_takes_what_was_to_be_given_from_the_queue(office: Office, made: ManualDirectory) -> None:
    made.add_member(BADGE, MARKER)
    made.disable(MARKER)
    assert [number.action for number in office.people.open_tickets()] == [Action.BLOCK]
    office.people.work()
    assert made.read(MARKER).groups == frozenset()


def test_a_person_who_comes_back_before_the_account_was_ever_made_is_asked_for_again(office: Office) -> None:
    directory = office.directory()
    directory.create(ada())
    directory.disable(MARKER)
    office.people.work()
    assert raised(RetryLater, lambda: directory.enable(MARKER)).cause == "ticket_open"
    office.people.work()
    assert directory.read(MARKER).enabled
    assert office.people.accounts[MARKER].login == "ada.lovelace"


def test_changes_that_wait_go_into_one_ticket(office: Office, made: ManualDirectory) -> None:
    made.update(MARKER, {"role": "Architect"})
    made.update(MARKER, {"site": "Berlin"})
    (number,) = office.people.open_tickets()
    told = office.sheet(number)
    assert (told["set.role"], told["set.site"]) == ("Architect", "Berlin")
    made.update(MARKER, {"role": "Engineer"})
    office.people.work()
    held = made.read(MARKER).attributes or {}
    assert (held["role"], held["site"]) == ("Engineer", "Berlin")


# Crashes, and others who do the same


def test_a_crash_between_writing_and_renaming_opens_nothing_and_the_next_call_does(office: Office, made: ManualDirectory) -> None:
    number = f"STINT-{MARKER}-block-1"
    (office.people.folder / "tickets" / f".{number}.yaml.0123456789abcdef.part").write_text(f'ticket: "{number}"\n')
    assert made.read(MARKER).enabled
    made.disable(MARKER)
    assert [str(one) for one in office.people.open_tickets()] == [number]


def test_a_crash_between_putting_away_an_answer_and_its_ticket_changes_nothing(office: Office, made: ManualDirectory) -> None:
    made.disable(MARKER)
    office.people.work()
    assert not made.read(MARKER).enabled
    closed, tickets = office.people.folder / "closed", office.people.folder / "tickets"
    (closed / f"STINT-{MARKER}-block-1.yaml").rename(tickets / f"STINT-{MARKER}-block-1.yaml")
    assert not office.directory().read(MARKER).enabled
    assert office.files("tickets") == []


@dataclass
class CutOff:
    """Folders whose answer to an upload is lost."""

    inner: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def put(self, folder: str, name: str, content: bytes) -> None:
        self.inner.put(folder, name, content)
        raise OutcomeUnknown("no answer")


def test_a_ticket_whose_opening_was_not_confirmed_is_not_opened_again(office: Office) -> None:
    client = office.client()
    folders = CutOff(client.settings.reached(Surroundings(folders=(office.people.folder,))))
    client.desk = Desk(client.settings, folders, Content.read, TAKES_AWAY)
    raised(OutcomeUnknown, lambda: ManualDirectory(client).create(ada()))
    assert [state.account_id for state in office.directory().find(MARKER)] == [MARKER]
    assert office.directory().create(ada()) == MARKER
    assert len(office.people.open_tickets()) == 1


def test_workers_that_open_the_same_ticket_at_once_open_one(office: Office, made: ManualDirectory) -> None:
    start, outcomes = threading.Barrier(8), list[str]()

    def block() -> None:
        directory = office.directory()
        start.wait()
        try:
            directory.disable(MARKER)
            outcomes.append("asked")
        except RetryLater as error:
            outcomes.append(error.cause)

    workers = [threading.Thread(target=block) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(outcomes) == 8
    assert set(outcomes) <= {"asked", "ticket_open", "os_2"}
    assert [str(number) for number in office.people.open_tickets()] == [f"STINT-{MARKER}-block-1"]


# Hostile content


HOSTILE = [
    "\u202egnikcolb", 'Ada"\nticket: "STINT-x', "=cmd|' /C calc'!A0", "Robert'); DROP TABLE", "\u2028line", "日本語 👩\u200d💻 \U000e0041", "\x7f\x85", "{what}", "no",
    "a" * 900,
]  # fmt: skip


@pytest.mark.parametrize("form", [Form.YAML, Form.JSON])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_told_on_one_line_and_read_back_as_it_is(tmp_path: Path, form: Form, name: str) -> None:
    office = an_office(tmp_path, form=form)
    directory = office.directory()
    directory.create(ada(attributes={"display_name": name}))
    (number,) = office.people.open_tickets()
    (path,) = (office.people.folder / "tickets").iterdir()
    content = path.read_text(encoding="utf-8")
    assert all(sign.isprintable() for line in content.split("\n") for sign in line)
    keys = [line.strip().partition(":")[0].strip('"') for line in content.splitlines()]
    assert keys.count("ticket") == 1
    assert office.sheet(number)["set.display_name"] == name
    office.people.work()
    assert (directory.read(MARKER).attributes or {})["display_name"] == name


def test_in_a_table_a_formula_is_refused_when_giving_and_left_out_when_taking(tmp_path: Path) -> None:
    office = an_office(tmp_path)
    office.directory().create(ada(attributes={"display_name": "=1+1"}))
    office.people.work()
    table = office.directory(form=Form.CSV)
    assert raised(Refused, lambda: table.create(ada(OTHER, login="=1+1"))).field == "login"
    assert raised(Refused, lambda: table.update(MARKER, {"site": "=1+1"})).cause == "unsafe_cell"
    table.disable(MARKER)
    (number,) = office.people.open_tickets()
    assert office.sheet(number)["marker"] == MARKER
    office.people.work()
    assert not table.read(MARKER).enabled


@pytest.mark.parametrize("thing", ["../../../etc/passwd", "a/b", "..", "badge\x00", "x" * 500])
def test_what_is_given_may_be_called_anything_and_leads_to_no_other_place(
    office: Office, made: ManualDirectory, thing: str
) -> None:
    made.add_member(thing, MARKER)
    office.people.work()
    assert made.read(MARKER).groups == {thing}
    made.remove_member(thing, MARKER)
    office.people.work()
    assert made.read(MARKER).groups == frozenset()
    assert {path.name for path in office.people.folder.iterdir()} == {"tickets", "evidence", "closed", "set_aside"}
    assert {path.name for path in office.people.folder.parent.iterdir()} == {"office"}


@pytest.mark.parametrize("account_id", ["../x", "", "ST0123456789AB/", "ST0123456789abc", "STINT", "*"])
def test_an_id_that_is_no_marker_is_nobodys(office: Office, made: ManualDirectory, account_id: str) -> None:
    assert made.find(account_id) == []
    for call in (made.read, made.disable, made.enable, made.revoke_sessions):
        raised(NotFound, lambda call=call: call(account_id))  # type: ignore[misc]  # each is called at once
    raised(Refused, lambda: made.create(ada(account_id)))


def test_a_ticket_in_which_somebody_has_written_is_not_believed_and_keeps_nobody_from_being_blocked(
    office: Office, made: ManualDirectory
) -> None:
    (path,) = (office.people.folder / "closed").glob(f"STINT-{MARKER}-create-*-1.yaml")
    path.write_text("nothing\n")
    directory = office.directory()
    assert raised(Refused, lambda: directory.read(MARKER)).cause == "changed_ticket"
    assert [state.enabled for state in directory.find(MARKER)] == [True]
    directory.disable(MARKER)
    assert [number.action for number in office.people.open_tickets()] == [Action.BLOCK]


def test_a_thing_under_another_things_number_is_not_believed(office: Office, made: ManualDirectory) -> None:
    made.add_member("badge:lobby", MARKER)
    (number,) = office.people.open_tickets()
    path = office.people.folder / "tickets" / f"{number}.yaml"
    path.write_text(path.read_text().replace("badge:lobby", "badge:vault"))
    office.people.answer(number)
    assert raised(Refused, lambda: office.directory().read(MARKER)).cause == "changed_ticket"


def test_links_and_hidden_files_among_the_evidence_are_passed_over(office: Office, made: ManualDirectory, tmp_path: Path) -> None:
    made.disable(MARKER)
    (number,) = office.people.open_tickets()
    good = office.people.answer(number)
    outside = good.rename(tmp_path / "outside.json")
    (office.people.folder / "evidence" / "link.json").symlink_to(outside)
    (office.people.folder / "evidence" / ".hidden.json").write_bytes(outside.read_bytes())
    assert made.read(MARKER).enabled


# Times


@pytest.mark.parametrize(
    ("zone", "told", "is_taken"),
    [
        (None, "2026-10-24T12:30", False),
        (None, "2026-10-24T12:30+02:00", True),
        ("Europe/Berlin", "2026-10-24 12:30", True),
        ("America/New_York", "2026-10-24 06:30", True),
        ("America/New_York", "2026-10-24 12:30", False),
        ("Europe/Berlin", "2026-10-24 14:30", False),
    ],
)
def test_a_time_is_one_of_the_peoples_clock_or_has_its_offset(
    tmp_path: Path, zone: str | None, told: str, is_taken: bool
) -> None:
    office = an_office(tmp_path, time_zone=zone)
    office.clock.at = datetime(2026, 10, 24, 10, 30, tzinfo=UTC)
    directory = office.directory()
    directory.create(ada())
    (number,) = office.people.open_tickets()
    office.people.answer(number, outcome="done", who="Pat", when=told, evidence="CHG-1")
    assert bool(directory.find(MARKER)[0].attributes and office.files("tickets") == []) is is_taken


@pytest.mark.parametrize(
    ("now", "told", "offset"),
    [
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2026-10-25T02:30", "+02:00"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "2026-03-29T02:30", "+01:30"),
    ],
)
def test_a_time_around_a_change_of_the_clocks_needs_its_offset(tmp_path: Path, now: datetime, told: str, offset: str) -> None:
    office = an_office(tmp_path, time_zone="Europe/Berlin")
    office.clock.at = now
    directory = office.directory()
    directory.create(ada())
    (number,) = office.people.open_tickets()
    office.people.answer(number, outcome="done", who="Pat", when=told, evidence="CHG-1")
    raised(NotFound, lambda: directory.read(MARKER))
    office.people.answer(number, outcome="done", who="Pat", when=f"{told}{offset}", evidence="CHG-1")
    assert directory.read(MARKER).enabled


def test_a_clock_that_is_a_little_behind_turns_no_order_around(office: Office, made: ManualDirectory) -> None:
    made.disable(MARKER)
    early = (office.clock() - timedelta(minutes=10)).isoformat()
    office.people.answer(f"STINT-{MARKER}-block-1", outcome="done", who="Pat", when=early, evidence="CHG-1")
    assert not made.read(MARKER).enabled


def test_people_are_told_the_end_and_until_when_they_have_time_by_their_own_clock(tmp_path: Path) -> None:
    office = an_office(tmp_path, time_zone="Europe/Berlin", gives={BADGE: "at the desk"})
    office.clock.at = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    directory = office.directory()
    directory.create(ada())
    (number,) = office.people.open_tickets()
    told = office.sheet(number)
    assert (told["access_ends"], told["due"]) == ("2031-04-01 00:00+02:00", "2026-11-23 09:00+01:00")


# What the settings say


def test_only_what_is_listed_is_given_and_anything_is_taken_back(office: Office, made: ManualDirectory) -> None:
    made.add_member("badge:old", MARKER)
    office.people.work()
    listed = office.directory(gives={BADGE: "hand it out at the desk"})
    assert raised(NotFound, lambda: listed.add_member("badge:unknown", MARKER)).field == "gives"
    listed.add_member(BADGE, MARKER)
    listed.remove_member("badge:old", MARKER)
    told = {number.action: office.sheet(number) for number in office.people.open_tickets()}
    assert told[Action.ADD]["how"] == "hand it out at the desk"
    assert told[Action.REMOVE]["what"] == "Take back from this person: badge:old"


def test_where_no_end_is_held_nobody_is_asked_to_enter_one(office: Office) -> None:
    directory = office.directory(keeps_expiry=False)
    directory.create(ada())
    office.people.work()
    directory.set_expiry(MARKER, END + timedelta(days=1))
    state = directory.read(MARKER)
    assert (state.keeps_expiry, state.expires_at, office.people.open_tickets()) == (False, None, [])


def test_a_login_belongs_to_one_person_as_soon_as_it_was_asked_for(office: Office, made: ManualDirectory) -> None:
    assert raised(AlreadyTaken, lambda: made.create(ada(OTHER, login="Ada.Lovelace"))).field == "login"
    found = made.find_by_login("ADA.LOVELACE")
    assert found is not None
    assert found.account_id == MARKER
    assert made.find_by_login("grace") is None
    made.create(ada(OTHER, login="grace"))
    assert raised(AlreadyTaken, lambda: made.create(ada("ST2B7Q9XK4M0R1T", login="grace"))).field == "login"


def test_there_are_no_guests_and_no_attributes_of_several_values(office: Office) -> None:
    directory = office.directory()
    assert raised(Refused, lambda: directory.create(ada(guest=True, invite_to="ada@mail.example"))).cause == "no_guests"
    assert raised(Refused, lambda: directory.create(ada(attributes={"role": ["a", "b"]}))).field == "role"
    assert raised(Refused, lambda: directory.create(ada(attributes={"Role\n": "a"}))).cause == "not_a_text"


def test_accounts_come_in_pages_and_only_proven_ones(office: Office) -> None:
    directory, markers = office.directory(), [f"ST{n:013d}" for n in range(230)]
    for n, marker in enumerate(markers):
        directory.create(ada(marker, login=f"person{n}"))
    office.people.work(220)
    found, cursor = list[str](), None
    for _ in range(3):
        page = directory.accounts(cursor)
        found += [state.account_id for state in page.accounts]
        cursor = page.cursor
    assert page.complete
    assert len(found) == len(set(found)) == 220
    raised(Refused, lambda: directory.accounts("not one of ours"))


def test_a_folder_that_the_installation_does_not_permit_is_a_fault_of_the_settings(office: Office, tmp_path: Path) -> None:
    with closing(office.client(closed=str(tmp_path / "elsewhere"))) as client:
        assert not client.check().ok
        assert raised(Misconfigured, lambda: ManualDirectory(client).find(MARKER)).cause == "folder_not_permitted"


# People as they are


Step = tuple[str, str]
STEPS = st.lists(
    st.sampled_from(["disable", "enable", "add", "remove", "update", "extend", "work", "work_one", "restart"]),
    min_size=1,
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.integers(0, 1000))
@example(
    ["work", "disable", "update", "work", "add", "work_one", "remove"], 107
)  # what was given is proven after it was taken back
@example(["disable", "enable"], 358)  # what was blocked, and opened since, is said to be blocked once more
def test_whatever_people_do_an_account_is_never_shown_as_safer_than_it_is(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], seed: int
) -> None:
    habits = Habits(refuse=0.2, answer_twice=0.3, forget_evidence=0.3)
    office = an_office(tmp_path_factory.mktemp("people"), habits, seed)
    directory = office.directory()
    directory.create(ada())
    for n, step in enumerate(steps):
        for call in _calls(office, directory, step, n):
            with suppress(RetryLater, Refused):
                call()
        if step == "restart":
            directory = office.directory()
    while office.people.work():
        pass
    really = office.people.accounts.get(MARKER)
    shown = office.directory().find(MARKER)
    if really is not None and shown:
        assert (shown[0].enabled, shown[0].groups) == (really.enabled, really.groups)
    assert office.people.open_tickets() == [] or shown == []
    assert all(office.people.effects.count(action) <= 1 + len(steps) for action in Action)


def _calls(office: Office, directory: ManualDirectory, step: str, n: int) -> Iterator[Callable[[], object]]:
    """A step, and twice what asks for something: nobody may be asked twice."""
    steps: Mapping[str, Callable[[], object]] = {
        "disable": lambda: directory.disable(MARKER),
        "enable": lambda: directory.enable(MARKER),
        "add": lambda: directory.add_member(BADGE, MARKER),
        "remove": lambda: directory.remove_member(BADGE, MARKER),
        "update": lambda: directory.update(MARKER, {"role": f"role {n}"}),
        "extend": lambda: directory.set_expiry(MARKER, END + timedelta(days=n + 1)),
        "work": office.people.work,
        "work_one": lambda: office.people.work(1),
        "restart": lambda: None,
    }
    yield from [steps[step]] * (2 if step in {"disable", "enable", "add", "remove", "update", "extend"} else 1)
