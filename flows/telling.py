"""Telling certain people that something waits for their answer, through the tenant's notifications."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import structlog

from config.hub import Hub
from config.tenant import Notifications, TenantConfig
from ledger import failures
from workforce.engagement import is_email
from workforce.errors import HubError, OutcomeUnknown, RetryLater
from workforce.events import Outcome

log = structlog.get_logger(__name__)


def tell(config: TenantConfig, people: Iterable[str], subject: str, text: str, *, key: tuple[str, ...]) -> None:
    """Send a message about ``key``, once for each. What may have been sent counts as sent; without notifications nobody is told.

    Raises what the channel raises otherwise.
    """
    told = config.document.notifications
    if told is None:
        log.info("people.told_nobody", tenant=config.document.tenant)
        return
    outcome = send(config, told, to=addressees(told, people), subject=subject, text=text, key=key)
    if outcome is Outcome.UNKNOWN:
        log.info("people.told_perhaps", tenant=config.document.tenant, system=told.instance)


def send(
    config: TenantConfig, channel: Notifications, *, to: Sequence[str], subject: str, text: str, key: tuple[str, ...]
) -> Outcome:
    """Send one message, once for each ``key`` of the tenant. ``UNKNOWN``: it may have been sent, and is not sent again.

    Raises what the channel raises otherwise.
    """
    dedup_key = hashlib.sha256("\x1f".join((config.document.tenant, *key)).encode()).hexdigest()
    try:
        config.instance(channel.instance).notifier().send(to=to, subject=subject, text=text, dedup_key=dedup_key)
    except OutcomeUnknown:
        return Outcome.UNKNOWN
    return Outcome.SUCCESS


def addressees(told: Notifications, people: Iterable[str]) -> tuple[str, ...]:
    """Whom to write to: those of ``tenant.yaml`` and, where the channel's addresses are e-mail addresses, the people themselves."""
    return tuple(dict.fromkeys([*told.to, *(people if goes_by_mail(told) else ())]))


def goes_by_mail(told: Notifications) -> bool:
    """Whether the channel's addresses are e-mail addresses: then it reaches any."""
    return all(map(is_email, told.to))


@contextmanager
def shown_if_it_fails(hub: Hub, tenant: str, subject: str, engagement_id: UUID) -> Iterator[None]:
    """One message that cannot be sent keeps no other back: the next round tries it again, and a person sees what they have to mend."""
    try:
        yield
    except RetryLater as error:
        log.warning("people.not_told_yet", tenant=tenant, subject=subject, cause=error.cause)
        return
    except HubError as error:
        log.warning("people.not_told", tenant=tenant, subject=subject, cause=error.cause)
        with hub.database.transaction(tenant) as tx:
            failures.park(
                tx, cause=error.cause, message=str(error), field=error.field, engagement_id=engagement_id, subject=subject
            )
        return
    with hub.database.transaction(tenant) as tx:
        failures.resolve(tx, subject)
