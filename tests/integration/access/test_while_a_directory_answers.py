"""What happens while a directory is asked: nothing of it is taken for proven that was not looked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cli.demo.world import TENANT
from flows import joiner, leaver
from flows.case import Case
from ledger import engagements
from ledger.access import grants
from ledger.database import Tx
from tests.integration.access_looks import account, rows
from tests.integration.installed import Installed
from workforce.access import AccountState
from workforce.errors import Fenced
from workforce.ports import Directory

pytestmark = pytest.mark.integration


class Meanwhile:
    """A directory; something happens while it answers its first reading."""

    def __init__(self, directory: Directory, happens: Callable[[], None]) -> None:
        self._directory, self._happens = directory, [happens]

    def read(self, account_id: str) -> AccountState:
        state = self._directory.read(account_id)
        while self._happens:
            self._happens.pop()()
        return state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._directory, name)


def while_it_answers(case: Case, happens: Callable[[Tx], object]) -> Case:
    """The same case, at a directory during whose first answer ``happens`` is committed."""

    def commit() -> None:
        with case.hub.database.transaction(TENANT) as tx:
            happens(tx)

    case.__dict__["directory"] = Meanwhile(case.directory, commit)
    return case


def test_an_ending_that_begins_while_access_is_read_back_is_not_taken_for_proven(installed: Installed) -> None:
    engagement = installed.joined()
    case = Case(installed.hub, installed.run(engagement), "ldap")
    with pytest.raises(Fenced):
        joiner.read_access_back.run(while_it_answers(case, lambda tx: engagements.begin_ending(tx, engagement.id, "test")))
    assert not any(grant.revoked_at for grant in rows(installed, engagement, "ldap"))
    installed.leave(engagement)
    assert account(installed, engagement, "ldap").entitlements == frozenset()


def test_what_is_wanted_no_more_only_since_the_directory_was_asked_stays_to_be_taken(installed: Installed) -> None:
    engagement = installed.joined()
    case = Case(installed.hub, installed.run(engagement), "ldap")
    taken_back = while_it_answers(case, lambda tx: grants.unwant_all(tx, engagement.id, because="approval"))
    joiner.read_access_back.run(taken_back)
    assert not any(grant.revoked_at for grant in rows(installed, engagement, "ldap"))


def test_a_leaver_that_was_overtaken_while_the_directory_answered_proves_nothing(installed: Installed) -> None:
    engagement = installed.joined()
    installed.end(engagement)
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE grants SET revoked_at = NULL WHERE engagement_id = %(id)s", id=engagement.id)
    case = Case(installed.hub, installed.run(engagement, grants=False), "ldap")
    with pytest.raises(Fenced):
        leaver.prove_access_gone.run(
            while_it_answers(case, lambda tx: engagements.claim(tx, engagement.id, runner="another", grants=False))
        )
    assert not any(grant.revoked_at for grant in rows(installed, engagement, "ldap"))
