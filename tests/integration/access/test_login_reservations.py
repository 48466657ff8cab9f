"""Logins in the ledger: one person's each, whoever asks at the same moment, kept as aliases, and given away only after a set time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from uuid import UUID

import psycopg
import pytest

from ledger import engagements
from ledger.database import Database, Tx
from ledger.identity import identities, workers
from ledger.identity.identities import Release
from ledger.trail import audit
from provisioning.logins import fingerprint, login_candidates
from tests.integration.ledger_cases import an_engagement
from workforce.engagement import Engagement, WorkerProfile
from workforce.errors import Refused
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

AT_ONCE = 200
ADA = fingerprint("Ada", "Lovelace")
KING = fingerprint("Ada", "King")
OLD = Release(frozenset({"ada.lovelace"}), after_days=180)


def somebody(tx: Tx, number: int) -> UUID:
    profile = WorkerProfile(given_name="Ada", family_name="Lovelace", personal_email=f"{number}@mail.example", country="GB")
    return workers.create(tx, profile).id


def ended(tx: Tx, vms_id: str = "WO-1") -> Engagement:
    engagement = an_engagement(tx, vms_id, active=True)
    engagements.begin_ending(tx, engagement.id, "test")
    return engagements.transition(tx, engagement.id, EngagementState.ENDED)


def time_passes(dsn: str, days: int) -> None:
    """As if what the ledger knows had happened so many days earlier."""
    with psycopg.connect(dsn) as owner:
        owner.execute("UPDATE logins SET reserved_at = reserved_at - make_interval(days => %s)", (days,))
        owner.execute("UPDATE engagements SET end_at = now() - make_interval(days => %s)", (days,))


def test_many_of_one_name_at_once_get_logins_of_their_own(database: Database) -> None:
    with database.transaction("acme") as tx:
        people = [somebody(tx, number) for number in range(AT_ONCE)]

    def reserve(worker_id: UUID) -> str:
        with database.transaction("acme") as tx:
            return identities.reserve_login(tx, worker_id, login_candidates("Ada", "Lovelace", "ST"), made_for=ADA)

    with ThreadPoolExecutor(12) as pool:
        given = list(pool.map(reserve, people))
        again = list(pool.map(reserve, people))
    assert len(set(given)) == AT_ONCE
    assert again == given
    assert set(given) == {"ada.lovelace", *(f"ada.lovelace{number}" for number in range(2, AT_ONCE + 1))}


def test_one_person_who_is_asked_for_many_times_at_once_has_one_login(database: Database) -> None:
    with database.transaction("acme") as tx:
        worker_id = somebody(tx, 1)

    def reserve(who: UUID) -> str:
        with database.transaction("acme") as tx:
            return identities.reserve_login(tx, who, login_candidates("Ada", "Lovelace", "ST"))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(reserve, repeat(worker_id, 16))) == {"ada.lovelace"}


def test_a_renamed_person_keeps_the_old_login_and_nobody_else_gets_it(database: Database) -> None:
    with database.transaction("acme") as tx:
        ada, other = somebody(tx, 1), somebody(tx, 2)
        identities.reserve_login(tx, ada, ["ada.lovelace"], made_for=ADA)
        assert identities.rename_login(tx, ada, ["ada.king"], made_for=KING) == "ada.king"
        assert (identities.login_of(tx, ada), identities.aliases_of(tx, ada)) == ("ada.king", ["ada.lovelace"])
        assert identities.reserve_login(tx, other, ["Ada.Lovelace", "ADA.KING", "ada.lovelace2"]) == "ada.lovelace2"
    with database.transaction("acme") as tx:
        assert [line.event["details"] for line in audit.entries(tx, action="login.renamed")] == [{"aliases": 1}]


def test_who_takes_the_old_name_back_gets_the_old_login_back(database: Database) -> None:
    with database.transaction("acme") as tx:
        ada = somebody(tx, 1)
        identities.reserve_login(tx, ada, ["ada.lovelace"], made_for=ADA)
        identities.rename_login(tx, ada, ["ada.king"], made_for=KING)
        assert identities.rename_login(tx, ada, ["ada.lovelace"], made_for=ADA) == "ada.lovelace"
        assert (identities.aliases_of(tx, ada), identities.login_in_use(tx, ada)) == (
            ["ada.king"],
            identities.Login("ada.lovelace", ADA),
        )


def test_a_login_is_given_away_once_its_owner_left_long_enough_ago(database: Database, dsn: str) -> None:
    with database.transaction("acme") as tx:
        owner = ended(tx).worker.id
        identities.reserve_login(tx, owner, ["ada.lovelace"])
    time_passes(dsn, 181)
    with database.transaction("acme") as tx:
        assert identities.releasable(tx, ["ADA.lovelace", "grace"], after_days=180) == ["ada.lovelace"]
        new = somebody(tx, 2)
        assert identities.reserve_login(tx, new, ["ada.lovelace"], release=OLD) == "ada.lovelace"
        assert (identities.login_of(tx, owner), identities.login_of(tx, new)) == (None, "ada.lovelace")
        assert identities.reserve_login(tx, owner, ["ada.lovelace", "ada.lovelace2"], release=OLD) == "ada.lovelace2"
    with database.transaction("acme") as tx:
        (released,) = audit.entries(tx, action="login.released")
        assert released.event["target"]["id"] == str(owner)


@pytest.mark.parametrize("days", [0, 179])
def test_it_is_not_given_away_a_day_too_early(database: Database, dsn: str, days: int) -> None:
    with database.transaction("acme") as tx:
        identities.reserve_login(tx, ended(tx).worker.id, ["ada.lovelace"])
    time_passes(dsn, days)
    with database.transaction("acme") as tx, pytest.raises(Refused, match="taken"):
        identities.reserve_login(tx, somebody(tx, 2), ["ada.lovelace"], release=OLD)


def test_it_is_not_given_away_while_its_owner_has_an_engagement_that_goes_on(database: Database, dsn: str) -> None:
    with database.transaction("acme") as tx:
        owner = an_engagement(tx, active=True).worker.id
        identities.reserve_login(tx, owner, ["ada.lovelace"])
    time_passes(dsn, 400)
    with database.transaction("acme") as tx:
        assert identities.releasable(tx, ["ada.lovelace"], after_days=180) == []


def test_an_alias_of_an_account_that_exists_is_never_given_away(database: Database, dsn: str) -> None:
    with database.transaction("acme") as tx:
        owner = ended(tx).worker.id
        identities.reserve_login(tx, owner, ["ada.lovelace"])
        identities.rename_login(tx, owner, ["ada.king"], made_for=KING)
    time_passes(dsn, 4000)
    with database.transaction("acme") as tx:
        assert identities.releasable(tx, ["ada.lovelace", "ada.king"], after_days=180) == ["ada.king", "ada.lovelace"]
        identities.link(tx, "entra", "account", owner, "guid-1")
        assert identities.releasable(tx, ["ada.lovelace", "ada.king"], after_days=180) == ["ada.king"]


def test_a_login_that_somebody_took_over_meanwhile_is_not_taken_from_them(database: Database, dsn: str) -> None:
    with database.transaction("acme") as tx:
        identities.reserve_login(tx, ended(tx).worker.id, ["ada.lovelace"])
    time_passes(dsn, 400)
    with database.transaction("acme") as tx:
        first, second = (somebody(tx, number) for number in range(2))

    def candidates() -> Iterator[str]:
        """Asked for after it was seen who has left: now somebody else is quicker."""
        with database.transaction("acme") as tx:
            assert identities.reserve_login(tx, first, ["ada.lovelace"], release=OLD) == "ada.lovelace"
        yield from ["ada.lovelace", "ada.lovelace2"]

    with database.transaction("acme") as tx:
        assert identities.reserve_login(tx, second, candidates(), release=OLD) == "ada.lovelace2"
        assert identities.login_of(tx, first) == "ada.lovelace"


def test_of_many_who_want_a_released_login_one_gets_it(database: Database, dsn: str) -> None:
    with database.transaction("acme") as tx:
        identities.reserve_login(tx, ended(tx).worker.id, ["ada.lovelace"])
    time_passes(dsn, 400)
    with database.transaction("acme") as tx:
        people = [somebody(tx, number) for number in range(8)]

    def reserve(worker_id: UUID) -> str:
        with database.transaction("acme") as tx:
            return identities.reserve_login(tx, worker_id, login_candidates("Ada", "Lovelace", "ST"), release=OLD)

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(reserve, people))
    assert (len(set(given)), given.count("ada.lovelace")) == (8, 1)
    with database.transaction("acme") as tx:
        assert len(audit.entries(tx, action="login.released")) == 1
