"""Tickets and evidence on asyncssh's SFTP server, which shares no code with ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.manual import CONNECTOR
from connectors.manual.sandbox import Habits, ManualSandbox
from connectors.protocols.desks.sheets import Form
from connectors.suite.sandbox import Fault, FaultKind
from connectors.testing import an_instance, trial_of
from tests.sftp_peer import Server, serving
from workforce.access import DesiredAccount
from workforce.errors import NotFound, OutcomeUnknown
from workforce.ports import Directory

pytestmark = pytest.mark.integration

MARKER = "ST0123456789ABC"
END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
ADA = DesiredAccount(MARKER, "ada.lovelace", {"display_name": "Ada Lovelace"}, frozenset(), END)


@pytest.fixture(params=list(Form))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    habits = Habits(answer_twice=0.5, forget_evidence=0.5)
    with serving(ManualSandbox(tmp_path / "desk", is_patient=True, habits=habits, form=request.param), CONNECTOR) as running:
        yield running


def all_worked(people: ManualSandbox, directory: Directory) -> None:
    """Let people work until nothing is left, while somebody looks."""
    while people.work():
        directory.find(MARKER)


def test_access_is_given_and_taken_by_people_who_come_by_sftp(server: Server) -> None:
    people = server.system
    with closing(server.instance()) as instance:
        assert instance.client.check().ok
        directory = instance.directory()
        directory.create(ADA)
        with pytest.raises(NotFound):
            directory.read(MARKER)
        all_worked(people, directory)
        directory.add_member("badge:building-7", MARKER)
        all_worked(people, directory)
        state = directory.read(MARKER)
        assert (state.enabled, state.groups, state.expires_at) == (True, {"badge:building-7"}, END)
        directory.remove_member("badge:building-7", MARKER)
        assert directory.block_all([MARKER]) == {MARKER: None}
        all_worked(people, directory)
        state = directory.read(MARKER)
        assert (state.enabled, state.groups) == (False, frozenset())
    assert (people.accounts[MARKER].enabled, people.accounts[MARKER].groups) == (False, set())
    assert [people.effects.count(action) for action in ("create", "add", "remove", "block")] == [1, 1, 1, 1]
    assert people.open_tickets() == []


def test_a_ticket_that_was_written_and_not_renamed_is_opened_by_the_next_call_alone(tmp_path: Path) -> None:
    with (
        trial_of("manual").open(tmp_path) as opened,
        an_instance(CONNECTOR, {**opened.settings, "timeout_seconds": 0.4}) as instance,
    ):
        directory, people = instance.directory(), opened.sandbox
        people.faults.plan(Fault(FaultKind.TIMEOUT_BEFORE, "RENAME", "/tickets/"))
        with pytest.raises(OutcomeUnknown):
            directory.create(ADA)
        assert people.effects.count("create") == 0
        assert directory.create(ADA) == MARKER
        assert directory.read(MARKER).enabled
        assert people.effects.count("create") == 1
