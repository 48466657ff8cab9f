"""One worker's account in one directory: made once, brought to what is desired, blocked until it shows, and taken apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.accounts import AccountApplier
from provisioning.fakes import FakeFault, InMemoryDirectory, InMemoryEffectLog, SettableClock
from provisioning.plan import Change
from provisioning.writing import DesiredRecord, WritePlan
from workforce.access import AccountState, DesiredAccount, Entitlement, EntitlementKind
from workforce.effects import Effect, EffectKind
from workforce.errors import Fenced, Misconfigured, Refused, RetryLater
from workforce.lineage import MappedField, MappingUsed, RecordWrite
from workforce.states import EffectState

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)
MARKER = "ST0123456789ABC"
STAFF, ENGINEERS = "cn=staff", "cn=engineers"
BASE = Effect("acme", UUID(int=1), "ldap", EffectKind.CREATE_RECORD, epoch=1)
K = EffectKind


def desired_account(**difference: object) -> DesiredAccount:
    account = DesiredAccount(MARKER, "ada.lovelace", {"title": "Engineer"}, frozenset({STAFF, ENGINEERS}), END)
    return replace(account, **difference)  # type: ignore[arg-type]  # the caller names fields of the account


def groups(*ids: str) -> frozenset[Entitlement]:
    return frozenset(Entitlement(EntitlementKind.GROUP, each) for each in ids)


def an_account(**difference: object) -> AccountState:
    account = AccountState("account-9", "ada.lovelace", MARKER, enabled=True, expires_at=END)
    return replace(account, **difference)  # type: ignore[arg-type]  # the caller names fields of the account


def planted(directory: InMemoryDirectory, account: AccountState) -> str:
    return directory.plant(account.account_id, account)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOON)


@pytest.fixture
def directory(clock: SettableClock) -> InMemoryDirectory:
    return InMemoryDirectory(clock=clock, groups={STAFF, ENGINEERS})


@pytest.fixture
def log(clock: SettableClock) -> InMemoryEffectLog:
    return InMemoryEffectLog(clock, epoch=1)


@pytest.fixture
def accounts(directory: InMemoryDirectory, log: InMemoryEffectLog) -> AccountApplier:
    return AccountApplier(directory, BASE, log)


def until_quiet(attempt: Callable[[], object], clock: SettableClock) -> None:
    """Try again after each failure that may pass, as the queue does."""
    for _ in range(200):
        try:
            attempt()
        except RetryLater:
            clock.advance(10)
        else:
            return
    raise AssertionError("it never came to rest")


def test_an_account_is_created_with_its_marker_expiry_and_attributes(
    accounts: AccountApplier, directory: InMemoryDirectory, log: InMemoryEffectLog
) -> None:
    account_id = accounts.create(desired_account(), {"mapping": "engagement__ldap"})
    assert directory.entries[account_id] == an_account(account_id=account_id, attributes={"title": "Engineer"})
    assert log.logged[-1].details == {"mapping": "engagement__ldap"}


def test_a_second_creation_gives_the_first_id(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    assert accounts.create(desired_account(), {}) == accounts.create(desired_account(), {})
    assert directory.count("create") == 1


def test_an_account_whose_reply_was_lost_is_found_by_its_marker(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    directory.faults.append(FakeFault.LOST_AFTER)
    assert accounts.create(desired_account(), {}) == "account-1"
    assert directory.count("create") == 1


def provided(accounts: AccountApplier, standing: RecordWrite | None = None, **attributes: str) -> WritePlan:
    """The account with a title, and other attributes that the test names; a phone number is weak, an address strong."""
    values = {"title": "Engineer", **attributes}
    strengths = {"phone": "weak", "mail": "strong"}
    fields = {name: MappedField(value=value, strength=strengths.get(name, "normal")) for name, value in values.items()}
    _, plan = accounts.provide(desired_account(attributes=values), DesiredRecord(fields, standing=standing), {"mapping": "m"})
    return plan


def stood(plan: WritePlan) -> RecordWrite:
    mapping = MappingUsed(mapping_id="engagement__ldap", version="v0001", sha256="a" * 64)
    return RecordWrite(system="ldap", mapping=mapping, fields=plan.result, changed=plan.changed)


def test_a_new_account_needs_no_update(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    plan = provided(accounts, phone="1")
    assert plan.changed == ("phone", "title")
    assert directory.writes == [("create", "account-1")]


def test_an_attribute_that_changed_is_written_alone_and_once(
    accounts: AccountApplier, directory: InMemoryDirectory, log: InMemoryEffectLog
) -> None:
    standing = stood(provided(accounts))
    plan = provided(accounts, standing, title="Lead")
    assert (plan.changed, directory.entries["account-1"].attributes) == (("title",), {"title": "Lead"})
    assert log.logged[-1].details == {"mapping": "m", "fields": ("title",)}
    assert provided(accounts, stood(plan), title="Lead").is_empty
    assert directory.count("update") == 1


def test_what_is_cleared_arrives_at_the_directory_as_none(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    standing = stood(provided(accounts))
    cleared = DesiredRecord({}, cleared=("title",), standing=standing)
    accounts.provide(desired_account(), cleared, {})
    assert directory.entries["account-1"].attributes == {"title": None}


def test_the_account_of_an_earlier_stint_gets_its_attributes_but_for_the_weak(
    accounts: AccountApplier, directory: InMemoryDirectory
) -> None:
    planted(directory, an_account())
    plan = provided(accounts, phone="1")
    assert (plan.changed, directory.entries["account-9"].attributes) == (("title",), {"title": "Engineer"})


def test_an_attribute_that_was_changed_by_hand_stays_and_is_a_conflict(
    accounts: AccountApplier, directory: InMemoryDirectory
) -> None:
    standing = stood(provided(accounts))
    directory.update("account-1", {"title": "Poet"})
    plan = provided(accounts, standing)
    assert (plan.is_empty, [conflict.target for conflict in plan.remaining()]) == (True, ["title"])
    assert directory.entries["account-1"].attributes == {"title": "Poet"}


def test_a_strong_attribute_that_was_changed_by_hand_is_put_right(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    standing = stood(provided(accounts, mail="ada@acme.example"))
    directory.update("account-1", {"mail": "poet@acme.example"})
    plan = provided(accounts, standing, mail="ada@acme.example")
    assert (plan.changed, plan.remaining()) == (("mail",), ())
    assert directory.entries["account-1"].attributes == {"title": "Engineer", "mail": "ada@acme.example"}


@pytest.mark.parametrize(("held", "written"), [({"phone": None}, ("phone",)), ({"phone": "2"}, ()), (None, ())])
def test_a_weak_attribute_of_an_adopted_account_is_filled_where_it_is_shown_to_be_empty(
    accounts: AccountApplier, directory: InMemoryDirectory, held: dict[str, object] | None, written: tuple[str, ...]
) -> None:
    planted(directory, an_account(attributes=None if held is None else {"title": "Engineer", **held}))
    standing = stood(WritePlan((), (), {"title": MappedField(value="Engineer")}))
    assert provided(accounts, standing, phone="1").changed == written


class WordyDirectory(InMemoryDirectory):
    """Shows a title in its own way of writing."""

    def read(self, account_id: str) -> AccountState:
        account = super().read(account_id)
        held = account.attributes or {}
        return replace(account, attributes={**held, "title": f"{held['title']} (m/f/d)"})


def test_what_a_directory_writes_in_its_own_way_is_learnt_and_not_written_again(
    clock: SettableClock, log: InMemoryEffectLog
) -> None:
    directory = WordyDirectory(clock=clock)
    accounts = AccountApplier(directory, BASE, log)
    first = provided(accounts)
    again = provided(accounts, stood(first))
    assert first.result["title"].shown == "Engineer (m/f/d)"
    assert (again.changes, again.conflicts, directory.count("update")) == ((), (), 0)


def test_where_attributes_are_not_shown_what_was_written_last_decides(
    accounts: AccountApplier, directory: InMemoryDirectory
) -> None:
    directory.hides_attributes = True
    standing = stood(provided(accounts))
    directory.update("account-1", {"title": "Poet"})
    unseen = provided(accounts, standing)
    assert (unseen.changed, unseen.conflicts) == ((), ())
    assert provided(accounts, standing, title="Lead").changed == ("title",)


def test_no_attribute_of_an_account_is_shown_by_itself() -> None:
    assert "Lovelace" not in repr(an_account(attributes={"sn": "Lovelace"}))


def test_an_update_of_attributes_whose_reply_was_lost_is_repeated_and_concluded(
    accounts: AccountApplier, directory: InMemoryDirectory, log: InMemoryEffectLog
) -> None:
    standing = stood(provided(accounts))
    directory.faults.append(FakeFault.LOST_AFTER)
    with pytest.raises(RetryLater):
        provided(accounts, standing, title="Lead")
    lost = log.logged[-1].effect
    provided(accounts, standing, title="Chief")
    accounts.conclude("account-1", [lost])
    assert directory.entries["account-1"].attributes == {"title": "Chief"}
    assert {record.state for record in log.records.values()} == {EffectState.DONE}


def test_the_login_of_somebody_else_is_parked_as_a_namesake(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    planted(directory, an_account(marker=None))
    with pytest.raises(Refused) as raised:
        accounts.create(desired_account(), {})
    assert raised.value.cause == "namesake"
    assert list(directory.entries) == ["account-9"]


def test_our_own_account_under_another_login_is_adopted(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    planted(directory, an_account(login="ada.byron"))
    assert accounts.create(desired_account(), {}) == "account-9"


def test_two_accounts_with_our_marker_are_parked(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    planted(directory, an_account())
    planted(directory, an_account(account_id="account-8", login="ada.lovelace2"))
    with pytest.raises(Refused) as raised:
        accounts.create(desired_account(), {})
    assert raised.value.cause == "several_holders"


def test_only_the_difference_is_granted(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = planted(directory, an_account(groups=frozenset({STAFF})))
    assert accounts.grant(account_id, desired_account()) == [Change(K.ADD_MEMBER, ENGINEERS)]
    assert directory.writes == [("add_member", account_id)]


def test_an_account_is_brought_all_the_way_and_then_left_alone(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = planted(directory, an_account(enabled=False, expires_at=None))
    kinds = [change.kind for change in accounts.grant(account_id, desired_account())]
    assert kinds == [K.SET_EXPIRY, K.ENABLE_ACCOUNT, K.ADD_MEMBER, K.ADD_MEMBER]
    assert accounts.grant(account_id, desired_account()) == []


def test_an_end_that_moves_there_and_back_is_written_each_time(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = accounts.create(desired_account(), {})
    for expires_at in (END + timedelta(days=30), END, END + timedelta(days=30)):
        accounts.grant(account_id, desired_account(expires_at=expires_at))
        assert directory.entries[account_id].expires_at == expires_at


def test_what_no_engagement_supports_any_more_is_taken_away_and_what_others_gave_stays(
    accounts: AccountApplier, directory: InMemoryDirectory
) -> None:
    account_id = planted(directory, an_account(groups=frozenset({STAFF, ENGINEERS, "cn=choir"})))
    changes = accounts.grant(account_id, desired_account(groups=frozenset({STAFF})), given=groups(STAFF, ENGINEERS))
    assert changes == [Change(K.REMOVE_MEMBER, ENGINEERS)]
    assert directory.entries[account_id].groups == {STAFF, "cn=choir"}


def test_an_account_whose_start_is_still_to_come_is_there_and_closed(
    accounts: AccountApplier, directory: InMemoryDirectory
) -> None:
    account_id = accounts.create(desired_account(enabled=False), {})
    accounts.grant(account_id, desired_account(enabled=False))
    assert not directory.entries[account_id].enabled
    assert directory.entries[account_id].groups == {STAFF, ENGINEERS}
    accounts.grant(account_id, desired_account())
    assert directory.entries[account_id].enabled


def test_a_sign_in_that_is_no_longer_supported_is_blocked_and_signed_out(
    accounts: AccountApplier, directory: InMemoryDirectory
) -> None:
    account_id = planted(directory, an_account(groups=frozenset({STAFF, ENGINEERS})))
    accounts.grant(account_id, desired_account(enabled=False))
    assert directory.writes == [("disable", account_id), ("revoke_sessions", account_id)]


class _GroupsAlone:
    """A directory that keeps accounts and groups, and nothing else."""

    def __init__(self, directory: InMemoryDirectory) -> None:
        self.read = directory.read


@pytest.mark.parametrize(
    ("wanted", "cause"), [({"licences": frozenset({"E5"})}, "no_licences"), ({"app_roles": frozenset({"1/2"})}, "no_app_roles")]
)
def test_what_a_directory_does_not_keep_cannot_be_given_there(
    directory: InMemoryDirectory, log: InMemoryEffectLog, wanted: dict[str, frozenset[str]], cause: str
) -> None:
    account_id = planted(directory, an_account(groups=frozenset({STAFF, ENGINEERS})))
    accounts = AccountApplier(_GroupsAlone(directory), BASE, log)  # type: ignore[arg-type]  # only reading is asked of it
    with pytest.raises(Misconfigured) as raised:
        accounts.grant(account_id, desired_account(**wanted))
    assert raised.value.cause == cause


def test_a_membership_that_somebody_took_away_is_given_again(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = accounts.create(desired_account(), {})
    accounts.grant(account_id, desired_account())
    directory.remove_member(STAFF, account_id)
    accounts.grant(account_id, desired_account())
    assert directory.entries[account_id].groups == {STAFF, ENGINEERS}


def test_a_new_account_that_cannot_be_read_yet_is_waited_for(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    directory.lag_reads = 2
    account_id = accounts.create(desired_account(), {})
    with pytest.raises(RetryLater, match="cannot be read"):
        accounts.grant(account_id, desired_account())


def test_a_group_that_does_not_exist_is_refused(accounts: AccountApplier, log: InMemoryEffectLog) -> None:
    account_id = accounts.create(desired_account(), {})
    with pytest.raises(Refused):
        accounts.grant(account_id, desired_account(groups=frozenset({"cn=nowhere"})))
    assert log.logged[-1].state is EffectState.REFUSED


def test_an_account_of_somebody_else_is_never_touched(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = planted(directory, an_account(marker="STSOMEBODYELSE0", groups=frozenset({STAFF})))
    with pytest.raises(Refused, match="marker"):
        accounts.grant(account_id, desired_account())
    with pytest.raises(Refused, match="marker"):
        accounts.remove(account_id, marker=MARKER, gone=groups(STAFF))
    assert directory.writes == []


def test_blocking_disables_first_and_signs_out_then(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = planted(directory, an_account())
    accounts.block(account_id, signed_out_since=NOON)
    assert directory.writes == [("disable", account_id), ("revoke_sessions", account_id)]
    assert not directory.entries[account_id].enabled


def test_blocking_what_is_blocked_writes_nothing(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = planted(directory, an_account())
    accounts.block(account_id, signed_out_since=NOON)
    accounts.block(account_id, signed_out_since=NOON)
    assert len(directory.writes) == 2


def test_an_account_that_somebody_enabled_again_is_blocked_again(
    accounts: AccountApplier, directory: InMemoryDirectory, log: InMemoryEffectLog
) -> None:
    account_id = planted(directory, an_account())
    for life in (1, 2, 3):
        accounts.block(account_id, signed_out_since=NOON)
        assert not directory.entries[account_id].enabled
        assert {line.effect.lifecycle for line in log.logged} == set(range(1, life + 1))
        directory.enable(account_id)


def test_sessions_from_before_the_ending_are_revoked_again(
    accounts: AccountApplier, directory: InMemoryDirectory, clock: SettableClock
) -> None:
    account_id = planted(directory, an_account())
    accounts.block(account_id, signed_out_since=NOON)
    clock.advance(3600)
    accounts.block(account_id, signed_out_since=clock.now())
    assert directory.entries[account_id].sessions_valid_from == clock.now()


def test_blocking_is_not_over_until_the_directory_shows_it(
    accounts: AccountApplier, directory: InMemoryDirectory, clock: SettableClock
) -> None:
    account_id = planted(directory, an_account())
    directory.lag_reads = 1
    with pytest.raises(RetryLater, match="sign-in is not blocked"):
        accounts.block(account_id, signed_out_since=NOON)
    accounts.block(account_id, signed_out_since=NOON)
    assert directory.count("disable") == 1


def test_an_account_that_cannot_be_seen_is_not_taken_for_blocked(accounts: AccountApplier, log: InMemoryEffectLog) -> None:
    with pytest.raises(RetryLater, match="cannot be read"):
        accounts.block("account-7", signed_out_since=NOON)
    assert EffectState.REFUSED not in {line.state for line in log.logged}


def test_a_protected_account_is_refused_and_stays_as_it_is(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = planted(directory, an_account(protected=True))
    with pytest.raises(Refused) as raised:
        accounts.block(account_id, signed_out_since=NOON)
    assert raised.value.cause == "protected_account"
    assert directory.entries[account_id].enabled


def test_a_tombstone_stops_granting_and_not_taking_away(
    accounts: AccountApplier, directory: InMemoryDirectory, log: InMemoryEffectLog
) -> None:
    account_id = planted(directory, an_account(groups=frozenset({STAFF})))
    log.tombstoned = True
    with pytest.raises(Fenced):
        accounts.grant(account_id, desired_account())
    accounts.block(account_id, signed_out_since=NOON)
    accounts.remove(account_id, marker=MARKER, gone=groups(STAFF))
    assert directory.entries[account_id].groups == frozenset()


def test_only_the_groups_of_this_engagement_are_removed(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = planted(directory, an_account(groups=frozenset({STAFF, "cn=choir"})))
    changes = accounts.remove(account_id, marker=MARKER, gone=groups(STAFF, ENGINEERS))
    assert changes == [Change(K.REMOVE_MEMBER, STAFF)]
    assert directory.entries[account_id].groups == {"cn=choir"}


def test_a_membership_that_comes_back_is_removed_again(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = planted(directory, an_account(groups=frozenset({STAFF})))
    for _ in range(3):
        accounts.remove(account_id, marker=MARKER, gone=groups(STAFF))
        assert directory.entries[account_id].groups == frozenset()
        directory.add_member(STAFF, account_id)


def test_each_of_two_accounts_of_one_worker_is_taken_apart(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    for account_id in ("account-8", "account-9"):
        planted(directory, an_account(account_id=account_id, login=account_id, groups=frozenset({STAFF})))
    for account_id in ("account-8", "account-9"):
        accounts.block(account_id, signed_out_since=NOON)
        accounts.remove(account_id, marker=MARKER, gone=groups(STAFF))
        accounts.retire(account_id)
    assert all(not account.enabled and not account.groups for account in directory.entries.values())
    assert directory.count("move_to_disabled") == 2


def test_an_account_is_retired_once(accounts: AccountApplier, directory: InMemoryDirectory) -> None:
    account_id = planted(directory, an_account())
    accounts.retire(account_id)
    accounts.retire(account_id)
    assert directory.count("move_to_disabled") == 1


FAULTS = st.lists(st.sampled_from([None, FakeFault.LOST_BEFORE, FakeFault.LOST_AFTER, FakeFault.THROTTLED]), max_size=16)


@given(faults=FAULTS, lag=st.integers(min_value=0, max_value=4))
def test_whatever_goes_wrong_on_the_way_the_account_ends_as_desired_and_then_with_nothing(
    faults: list[FakeFault | None], lag: int
) -> None:
    clock = SettableClock(NOON)
    directory = InMemoryDirectory(clock=clock, groups={STAFF, ENGINEERS}, faults=deque(faults[::2]), lag_reads=lag)
    log = InMemoryEffectLog(clock, epoch=1)
    accounts = AccountApplier(directory, BASE, log)

    until_quiet(lambda: accounts.grant(accounts.create(desired_account(), {}), desired_account()), clock)
    ada = an_account(account_id="account-1", groups=frozenset({STAFF, ENGINEERS}), attributes={"title": "Engineer"})
    assert directory.entries == {"account-1": ada}

    log.tombstoned, ended_at = True, clock.now()
    directory.faults.extend(faults[1::2])
    until_quiet(lambda: accounts.block("account-1", signed_out_since=ended_at), clock)
    until_quiet(lambda: accounts.remove("account-1", marker=MARKER, gone=desired_account().entitlements), clock)
    account = directory.entries["account-1"]
    assert (account.enabled, account.groups) == (False, frozenset())
    assert account.sessions_valid_from is not None
    assert account.sessions_valid_from >= ended_at
