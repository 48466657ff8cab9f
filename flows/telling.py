"""Telling certain people that something waits for their answer, through the tenant's notifications."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from pydantic import TypeAdapter, ValidationError

from config.hub import Hub
from config.tenant import Notifications, TenantConfig
from ledger import failures
from workforce.engagement import Email
from workforce.errors import HubError, OutcomeUnknown, RetryLater

log = structlog.get_logger(__name__)

_EMAIL = TypeAdapter(Email)


def tell(config: TenantConfig, people: Iterable[str], subject: str, text: str, *, key: tuple[str, ...]) -> None:
    """Send a message about ``key``, once for each. What may have been sent counts as sent; without notifications nobody is told.

    Raises what the channel raises otherwise.
    """
    told = config.document.notifications
    if told is None:
        log.info("people.told_nobody", tenant=config.document.tenant)
        return
    notifier = config.instance(told.instance).notifier()
    dedup_key = hashlib.sha256("\x1f".join((config.document.tenant, *key)).encode()).hexdigest()
    try:
        notifier.send(to=addressees(told, people), subject=subject, text=text, dedup_key=dedup_key)
    except OutcomeUnknown:
        log.info("people.told_perhaps", tenant=config.document.tenant, system=told.instance)


def addressees(told: Notifications, people: Iterable[str]) -> tuple[str, ...]:
    """Whom to write to: those of ``tenant.yaml`` and, where the channel's addresses are e-mail addresses, the people themselves."""
    by_mail = all(map(_is_email, told.to))
    return tuple(dict.fromkeys([*told.to, *(people if by_mail else ())]))


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


def _is_email(address: str) -> bool:
    try:
        _EMAIL.validate_python(address)
    except ValidationError:
        return False
    return True
