"""The manual directory as the hub uses it: effects, read-back and proof, with people in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from connectors.contract import Surroundings
from connectors.manual.client import ManualClient
from connectors.manual.directory import ManualDirectory
from connectors.manual.sandbox import ManualSandbox
from connectors.manual.settings import ManualSettings
from mappings.registry import MappingRegistry
from provisioning.accounts import AccountApplier
from provisioning.fakes import InMemoryEffectLog, SettableClock
from provisioning.readback import prove_access, prove_blocked
from tests.sample_engagements import PEOPLE, a_document
from workforce.access import DesiredAccount
from workforce.effects import Effect, EffectKind
from workforce.errors import RetryLater

END = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
MARKER, BADGE = "ST0123456789ABC", "badge:building-7"
ADA = DesiredAccount(MARKER, "ada.lovelace", {"display_name": "Ada Lovelace"}, frozenset({BADGE}), END)
BASE = Effect("acme", UUID(int=1), "badges", EffectKind.CREATE_RECORD, epoch=1)


@pytest.fixture
def people(tmp_path: Path) -> ManualSandbox:
    return ManualSandbox(tmp_path / "desk", is_patient=True)


@pytest.fixture
def directory(people: ManualSandbox) -> Iterator[ManualDirectory]:
    settings = ManualSettings.model_validate(people.local_settings())
    with closing(ManualClient(settings, Surroundings(folders=(people.folder,)))) as client:
        yield ManualDirectory(client)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(datetime.now(UTC))


def an_applier(directory: ManualDirectory, clock: SettableClock) -> AccountApplier:
    return AccountApplier(directory, BASE, InMemoryEffectLog(clock=clock))


def test_access_counts_as_given_only_once_people_have_proven_all_of_it(
    people: ManualSandbox, directory: ManualDirectory, clock: SettableClock
) -> None:
    applier = an_applier(directory, clock)
    assert applier.create(ADA, {}) == MARKER
    for _ in range(3):
        with pytest.raises(RetryLater):
            applier.grant(MARKER, ADA)
    assert len(people.open_tickets()) == 1
    people.work()
    applier.grant(MARKER, ADA)
    with pytest.raises(RetryLater, match="does not hold group badge:building-7"):
        prove_access(directory, MARKER, ADA, clock=clock, try_sign_in=True)
    people.work()
    proof = prove_access(directory, MARKER, ADA, clock=clock, try_sign_in=True)
    assert (proof.account.groups, proof.sign_in) == ({BADGE}, None)


def test_a_block_stays_to_be_proven_however_often_it_is_asked_for_and_people_are_asked_once(
    people: ManualSandbox, directory: ManualDirectory, clock: SettableClock
) -> None:
    applier, since = an_applier(directory, clock), datetime.now(UTC)
    applier.create(ADA, {})
    people.work()
    for _ in range(20):
        with pytest.raises(RetryLater):
            applier.block(MARKER, signed_out_since=since)
        with pytest.raises(RetryLater, match="sign-in is not blocked"):
            prove_blocked(directory, MARKER, signed_out_since=since, clock=clock)
    assert len(people.open_tickets()) == 1
    people.work()
    applier.block(MARKER, signed_out_since=since)
    assert prove_blocked(directory, MARKER, signed_out_since=since, clock=clock).account.enabled is False
    assert people.effects.count("block") == 1
    assert people.open_tickets() == []


@pytest.mark.parametrize("person", PEOPLE)
def test_what_is_mapped_is_what_people_are_told_and_what_is_read_back(
    people: ManualSandbox, directory: ManualDirectory, person: str
) -> None:
    document = a_document(person)
    values = MappingRegistry.shipped().get("engagement__manual", on=date(2026, 11, 22)).apply(document.values()).values
    marker = document.worker.marker
    directory.create(DesiredAccount(marker, document.account.login, values, frozenset(), END))
    people.work()
    assert directory.read(marker).attributes == values == people.accounts[marker].attributes
