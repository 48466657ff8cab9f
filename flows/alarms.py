"""Telling people that something waits for them: once for each cause, however many records share it."""

from __future__ import annotations

import shlex
from uuid import UUID

import structlog

from config.hub import Hub
from flows.telling import send
from ledger import failures
from ledger.database import Tx
from ledger.failures import Failure
from ledger.queueing.jobs import defer_alarm
from ledger.trail import audit

log = structlog.get_logger(__name__)


def raise_alarm(tx: Tx, failure: Failure) -> None:
    """Have people told of a failure that is new; not again while it, or another of its group, is open. Part of the caller's transaction."""
    if failure.count == 1 and not failures.has_kin(tx, failure):
        defer_alarm(tx, failure.id)


def send_alarm(hub: Hub, tenant: str, failure_id: UUID) -> None:
    """Tell whom ``tenant.yaml`` names, and audit it. An alarm that may have been sent is not sent again; one that is over never is.

    Where the line itself was mended meanwhile and its kin was not, the alarm tells of these. Raises what the channel raises otherwise: the
    job is tried again, or waits for a person itself.
    """
    with hub.database.transaction(tenant) as tx:
        failure, kin = _still_open(tx, failures.get(tx, failure_id))
    config = hub.tenant(tenant)
    told = config.document.notifications
    if told is None or failure.closed_at is not None:
        log.info("alarm.told_nobody", tenant=tenant, failure=str(failure_id), cause=failure.cause)
        return
    subject, text = _subject(tenant, failure), _text(failure, kin)
    outcome = send(config, told, to=told.to, subject=subject, text=text, key=(str(failure_id),))
    with hub.database.transaction(tenant) as tx:
        target = ("failure", str(failure_id))
        audit.note(tx, "alarm.sent", target=target, outcome=outcome, system=told.instance, reason_code=failure.cause, kin=kin)


def _still_open(tx: Tx, failure: Failure) -> tuple[Failure, int]:
    """The line to tell of, the oldest of its kin once it was closed itself, and how many wait with it."""
    if failure.group_key is None:
        return failure, 1
    kin = failures.list_open(tx, group_key=failure.group_key, limit=1) if failure.closed_at else []
    return (kin[0] if kin else failure), failures.count(tx, failure.group_key)


def _subject(tenant: str, failure: Failure) -> str:
    return f"Stint, {tenant}: {failure.cause.replace('_', ' ')}" + (f" ({failure.field})" if failure.field else "")


def _text(failure: Failure, kin: int) -> str:
    """Names of fields and the next step. Messages of failures hold no values of sensitive fields."""
    several = f"\n{kin} records wait for this cause; records that join them are not told again." if kin > 1 else ""
    if failure.group_key:
        several += (
            f"\nSee: stint mappings drift\nOnce mended: stint failures replay --cause {shlex.quote(failure.group_key)} --preview"
        )
    else:
        several += f"\nOnce mended: stint failures replay {failure.id}"
    return f"{failure.subject}\n{failure.message}{several}"
