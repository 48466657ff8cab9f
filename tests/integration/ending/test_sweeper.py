"""The sweeper finds whoever can sign in after the end, and whatever is late; and keeps quiet otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from flows.ending.sweeper import ENABLED, OVERDUE, sweep
from ledger import engagements, failures
from ledger.access import grants
from ledger.database import Tx
from ledger.ending import endings
from ledger.failures import Failure
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from ledger.queueing.jobs import JobName
from ledger.trail import audit
from tests.integration.installed import TENANT, Installed
from tests.integration.ledger_cases import a_work_order
from workforce.access import SIGN_IN, DesiredAccount
from workforce.engagement import Engagement
from workforce.states import EngagementState

pytestmark = pytest.mark.integration

FAR = datetime(2098, 1, 1, tzinfo=UTC)


def working(tx: Tx, vms_id: str, *, person: str) -> Engagement:
    """An active engagement of ``person`` that wants to sign in to LDAP."""
    order = a_work_order(vms_id, starts_on="2026-01-01", ends_on="2098-12-31")
    engagement, _ = engagements.upsert_work_order(tx, "fieldglass", order, "1", person_id=person)
    for state in (EngagementState.CLEARED, EngagementState.ACTIVE):
        engagement = engagements.transition(tx, engagement.id, state)
    grants.want(tx, engagement, "ldap", {SIGN_IN: {"package": "p"}})
    return engagement


def an_account(installed: Installed, engagement: Engagement) -> str:
    """The worker's account in LDAP, enabled, as the ledger knows it."""
    directory = installed.hub.tenant(TENANT).instance("ldap").directory()
    marker = engagement.worker.marker
    attributes = {"cn": "Ada Lovelace", "sn": "Lovelace", "mail": f"{marker}@acme.example"}
    account_id = directory.create(DesiredAccount(marker, marker, attributes, frozenset(), FAR))
    with installed.hub.database.transaction(TENANT) as tx:
        identities.link(tx, "ldap", ACCOUNT, engagement.worker.id, account_id)
    return account_id


def ended(installed: Installed, vms_id: str, *, proven: bool = False) -> tuple[Engagement, str]:
    """Somebody whose ending has begun and whose account is enabled all the same."""
    with installed.hub.database.transaction(TENANT) as tx:
        engagement = working(tx, vms_id, person=vms_id)
    account_id = an_account(installed, engagement)
    with installed.hub.database.transaction(TENANT) as tx:
        engagements.begin_ending(tx, engagement.id, "end_reached")
        if proven:
            prove(tx, engagement.id)
    return engagement, account_id


def prove(tx: Tx, engagement_id: UUID) -> None:
    grants.revoked(tx, grants.to_revoke(tx, engagement_id, "ldap"), [SIGN_IN])
    engagements.mark_revoked_verified(tx, engagement_id, tx.began_at)


def waiting(installed: Installed, cause: str) -> list[Failure]:
    with installed.hub.database.transaction(TENANT) as tx:
        return [failure for failure in failures.list_open(tx) if failure.cause == cause]


def leavers(installed: Installed) -> list[str]:
    return [args["engagement_id"] for args in installed.waiting(JobName.LEAVER)]


def test_whoever_can_sign_in_after_the_end_has_the_leaver_run_again(installed: Installed) -> None:
    engagement, account_id = ended(installed, "WO-S1")
    swept = sweep(installed.hub, TENANT)
    assert (swept.read, [account.account_id for account in swept.enabled]) == (1, [account_id])
    assert leavers(installed) == [str(engagement.id)]
    assert waiting(installed, ENABLED) == []  # the leaver is at work: nobody has to be told


def test_an_account_that_was_enabled_again_after_the_proof_is_told_once_until_it_is_blocked(installed: Installed) -> None:
    engagement, account_id = ended(installed, "WO-S2", proven=True)
    for _ in range(2):
        sweep(installed.hub, TENANT)
    (failure,) = waiting(installed, ENABLED)
    assert failure.engagement_id == engagement.id
    assert leavers(installed) == [str(engagement.id)]
    assert installed.waiting(JobName.ALARM) == [{"failure_id": str(failure.id)}]
    with installed.hub.database.transaction(TENANT) as tx:
        assert audit.entries(tx, engagement_id=engagement.id, action="account.enabled_after_end")
    installed.hub.tenant(TENANT).instance("ldap").directory().disable(account_id)
    assert sweep(installed.hub, TENANT).enabled == []
    assert (waiting(installed, ENABLED), leavers(installed)) == ([], [])


def test_sign_in_that_another_engagement_of_the_person_supports_is_left_alone(installed: Installed) -> None:
    engagement, _ = ended(installed, "WO-S3")
    with installed.hub.database.transaction(TENANT) as tx:
        working(tx, "WO-S4", person="WO-S3")
    swept = sweep(installed.hub, TENANT)
    assert (swept.read, swept.enabled, leavers(installed)) == (0, [], [])
    assert engagement.state is EngagementState.ACTIVE


def test_an_ending_that_was_taken_back_is_not_looked_at(installed: Installed) -> None:
    engagement, _ = ended(installed, "WO-S5")
    with installed.hub.database.transaction(TENANT) as tx:
        endings.rescind(tx, engagement.id, engagement.terms, reason="test")
    swept = sweep(installed.hub, TENANT)
    assert (swept.read, swept.enabled) == (0, [])


def test_those_who_ended_long_ago_cost_nothing(installed: Installed) -> None:
    engagement, _ = ended(installed, "WO-S6", proven=True)
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE engagements SET tombstoned_at = now() - interval '8 days' WHERE id = %(id)s", id=engagement.id)
    assert sweep(installed.hub, TENANT).read == 0


def test_a_directory_that_cannot_be_asked_keeps_no_other_from_being_asked(installed: Installed) -> None:
    engagement, account_id = ended(installed, "WO-S7")
    with installed.hub.database.transaction(TENANT) as tx:
        identities.link(tx, "a-directory-of-the-past", ACCOUNT, engagement.worker.id, "gone-1")
    swept = sweep(installed.hub, TENANT)
    assert list(swept.unread) == ["a-directory-of-the-past"]
    assert [account.account_id for account in swept.enabled] == [account_id]


def test_an_ending_that_is_not_proven_within_its_service_level_is_told_once_until_it_is(installed: Installed) -> None:
    engagement, _ = ended(installed, "WO-S8")
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute("UPDATE engagements SET end_at = now() - interval '10 days' WHERE id = %(id)s", id=engagement.id)
    assert [sweep(installed.hub, TENANT).overdue for _ in range(2)] == [[engagement.id]] * 2
    (failure,) = waiting(installed, OVERDUE)
    assert (failure.count, failure.engagement_id) == (2, engagement.id)
    assert installed.waiting(JobName.ALARM) == [{"failure_id": str(failure.id)}]
    with installed.hub.database.transaction(TENANT) as tx:
        prove(tx, engagement.id)
    assert sweep(installed.hub, TENANT).overdue == []
    assert waiting(installed, OVERDUE) == []


def test_an_ending_of_an_hour_ago_is_not_late(installed: Installed) -> None:
    engagement, _ = ended(installed, "WO-S9")
    with installed.hub.database.transaction(TENANT) as tx:
        tx.execute(
            "UPDATE engagements SET end_at = %(at)s WHERE id = %(id)s", at=tx.began_at - timedelta(hours=1), id=engagement.id
        )
    assert sweep(installed.hub, TENANT).overdue == []
