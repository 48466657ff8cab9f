"""An account whose holder moves to another role: what went before shows late, and what came through a group goes with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from provisioning.accounts import AccountApplier
from provisioning.fakes import InMemoryDirectory, InMemoryEffectLog, PlainDirectory, SettableClock
from provisioning.plan import Change, plan_access
from workforce.access import AccountState, DesiredAccount, Entitlement, EntitlementKind
from workforce.effects import Effect, EffectKind
from workforce.errors import Misconfigured

END = datetime(2026, 12, 1, tzinfo=UTC)
MARKER = "ST0123456789ABC"
OLD, NEW = "cn=old", "cn=new"
OLD_GROUP = frozenset({Entitlement(EntitlementKind.GROUP, OLD)})
WANTED = DesiredAccount(MARKER, "ada.lovelace", {}, frozenset({NEW}), END)
ACCOUNT = AccountState("account-9", "ada.lovelace", MARKER, enabled=True, groups=frozenset({NEW}), expires_at=END)


@pytest.fixture
def directory() -> InMemoryDirectory:
    clock = SettableClock(datetime(2026, 11, 20, tzinfo=UTC))
    return InMemoryDirectory(clock=clock, groups={OLD, NEW}, licences={"e3": 5}, group_licences={OLD: {"e3"}})


def applier(directory: PlainDirectory) -> AccountApplier:
    base = Effect("acme", UUID(int=1), "entra", EffectKind.CREATE_RECORD, epoch=1)
    return AccountApplier(directory, base, InMemoryEffectLog(clock=directory.clock))


def test_what_was_asked_for_and_does_not_show_is_taken_away_all_the_same() -> None:
    assert plan_access(WANTED, ACCOUNT, given=OLD_GROUP) == []
    assert plan_access(WANTED, ACCOUNT, given=OLD_GROUP, asked=OLD_GROUP) == [Change(EffectKind.REMOVE_MEMBER, OLD)]


def test_what_was_asked_for_and_is_wanted_again_is_not_taken_away() -> None:
    wanted = replace(WANTED, groups=frozenset({OLD, NEW}))
    assert plan_access(wanted, ACCOUNT, given=OLD_GROUP, asked=OLD_GROUP) == [Change(EffectKind.ADD_MEMBER, OLD)]


def test_a_licence_that_went_with_a_group_is_given_directly_where_it_is_wanted(directory: InMemoryDirectory) -> None:
    account_id = directory.plant("account-9", replace(ACCOUNT, groups=frozenset({OLD}), inherited_licences=frozenset({"e3"})))
    applier(directory).grant(account_id, replace(WANTED, licences=frozenset({"e3"})), given=OLD_GROUP)
    account = directory.read(account_id)
    assert (account.groups, account.licences, account.inherited_licences) == ({NEW}, {"e3"}, frozenset())


def test_a_deleted_account_is_brought_back_closed_and_once(directory: InMemoryDirectory) -> None:
    account_id = directory.plant("account-9", ACCOUNT)
    directory.delete(account_id)
    applier(directory).restore(account_id)
    assert not directory.read(account_id).enabled


def test_a_directory_that_keeps_no_deleted_accounts_says_so(directory: InMemoryDirectory) -> None:
    plain = PlainDirectory(clock=directory.clock)
    with pytest.raises(Misconfigured, match="keeps no deleted accounts"):
        applier(plain).restore("account-9")
