"""The sweeper: the net under the leaver. Whose ending has begun must not be able to sign in, whatever happened since.

It asks for the accounts of those who ended lately alone, one read each, and blocks nothing itself: the leaver does, in its own lane. It
also tells people of every ending that is not proven in time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from compliance.sla import SlaState, offboarding
from config.hub import Hub
from config.tenant import TenantConfig
from flows.alarms import raise_alarm
from flows.case import supports_of
from ledger import engagements, failures
from ledger.database import Tx
from ledger.ending import ended
from ledger.ending.ended import Ended, KnownAccount
from ledger.queueing.jobs import defer_leaver
from ledger.trail import audit
from provisioning.desired import desired_access
from workforce.errors import HubError, NotFound
from workforce.events import Outcome
from workforce.urgency import revoking

log = structlog.get_logger(__name__)

_MOST = 100_000
OVERDUE, ENABLED = "revocation_overdue", "enabled_after_the_end"


@dataclass
class Swept:
    """What one sweep did: accounts read, accounts that could still sign in, endings late, directories that could not be asked."""

    read: int = 0
    enabled: list[KnownAccount] = field(default_factory=list)
    overdue: list[UUID] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


def sweep(hub: Hub, tenant: str) -> Swept:
    """Look at everybody whose ending began within ``access.reconciliation.recently_ended_days``, and at every ending that is late.

    A directory that cannot be asked keeps no other from being asked; the next sweep asks it again. Raises ``Misconfigured``.
    """
    config, swept = hub.tenant(tenant), Swept()
    recently = timedelta(days=config.document.access.reconciliation.recently_ended_days)
    with hub.database.transaction(tenant) as tx:
        since = tx.began_at - recently
        found, accounts = ended.begun_since(tx, since), _not_supported(tx, ended.accounts_since(tx, since), tx.began_at)
    by_directory: dict[str, list[KnownAccount]] = defaultdict(list)
    for account in accounts:
        by_directory[account.directory].append(account)
    for directory, some in by_directory.items():
        _look(config, directory, some, swept)
    with hub.database.transaction(tenant) as tx:
        _see_to_enabled(tx, swept.enabled, found)
        _settle(tx, accounts, swept)
        swept.overdue = _tell_overdue(tx, config)
    log.info("sweep.done", tenant=tenant, read=swept.read, enabled=len(swept.enabled), overdue=len(swept.overdue))
    return swept


def _not_supported(tx: Tx, accounts: Sequence[KnownAccount], now: datetime) -> list[KnownAccount]:
    """The accounts whose sign-in no engagement of the worker supports now."""
    places = {(account.worker_id, account.directory) for account in accounts}
    supported = {place for place in places if desired_access(supports_of(tx, *place), now=now).enabled}
    return [account for account in accounts if (account.worker_id, account.directory) not in supported]


def _look(config: TenantConfig, name: str, accounts: Sequence[KnownAccount], swept: Swept) -> None:
    """Read each account once, as a part of revocation: it may use what is kept back for that."""
    try:
        directory = config.instance(name).directory()
        with revoking():
            for account in accounts:
                try:
                    is_enabled = directory.read(account.account_id).enabled
                except NotFound:
                    is_enabled = False
                swept.read += 1
                if is_enabled:
                    swept.enabled.append(account)
    except HubError as error:
        log.warning("sweep.directory_not_read", system=name, cause=error.cause)
        swept.unread[name] = error.cause


def _see_to_enabled(tx: Tx, enabled: Sequence[KnownAccount], found: Sequence[Ended]) -> None:
    """Have the leaver run again for each, if nothing supports the sign-in by now; where it was proven blocked before, people are told."""
    for account in _not_supported(tx, enabled, tx.began_at):
        lately = [each for each in found if each.worker_id == account.worker_id]
        for each in lately:
            if engagements.get(tx, each.engagement_id).tombstoned_at is not None:
                defer_leaver(tx, each.engagement_id)
        if lately and all(each.proven_at is not None for each in lately):
            tell_enabled(tx, account.directory, account.account_id, lately[-1].engagement_id)


def tell_enabled(tx: Tx, directory: str, account_id: str, engagement_id: UUID) -> None:
    """Have people told that somebody opened an account after its end was proven: it is blocked again, but why it was opened is theirs to find out."""
    target = ("account", account_id)
    audit.note(
        tx,
        "account.enabled_after_end",
        target=target,
        outcome=Outcome.FAILURE,
        engagement_id=engagement_id,
        system=directory,
    )
    message = (
        f"{directory}: account {account_id} could sign in again after its end was proven; it is being blocked."
        " Find out who enabled it"
    )
    raise_alarm(
        tx,
        failures.park(
            tx, cause=ENABLED, message=message, engagement_id=engagement_id, subject=subject_of_enabled(directory, account_id)
        ),
    )


def _settle(tx: Tx, looked_at: Iterable[KnownAccount], swept: Swept) -> None:
    """What was enabled after the end and is blocked now waits for nobody any more."""
    unread = [account for account in looked_at if account.directory in swept.unread]
    standing = {subject_of_enabled(account.directory, account.account_id) for account in (*unread, *swept.enabled)}
    _resolve(tx, ENABLED, but=standing)


def _tell_overdue(tx: Tx, config: TenantConfig) -> list[UUID]:
    """Alarm for each ending that is past its service level and not proven; lines of those that are proven by now are taken off."""
    late = {each.engagement_id: each for each in ended.unproven(tx) if _is_late(config, each, tx.began_at)}
    for each in late.values():
        message = (
            f"the access was to end at {each.end_at:%Y-%m-%d %H:%M} UTC, and it is not proven that it has; the leaver goes on trying."
            f" See what stops it: stint engagements show {each.engagement_id}"
        )
        raise_alarm(
            tx,
            failures.park(
                tx, cause=OVERDUE, message=message, engagement_id=each.engagement_id, subject=_overdue(each.engagement_id)
            ),
        )
    _resolve(tx, OVERDUE, but={_overdue(engagement_id) for engagement_id in late})
    return list(late)


def _is_late(config: TenantConfig, each: Ended, now: datetime) -> bool:
    return offboarding(each.end_at, None, config.document.calendar, now=now).state is SlaState.BREACHED_OPEN


def _resolve(tx: Tx, cause: str, *, but: Collection[str]) -> None:
    for failure in failures.list_open(tx, limit=_MOST):
        if failure.cause == cause and failure.subject not in but:
            failures.resolve(tx, failure.subject)


def _overdue(engagement_id: UUID) -> str:
    return f"overdue:{engagement_id}"


def subject_of_enabled(directory: str, account_id: str) -> str:
    """What the failure list calls an account that could sign in again."""
    return f"enabled:{directory}:{account_id}"
