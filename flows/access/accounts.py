"""Whose accounts they are: which a worker has in a directory, what has become of the known one, and what it keeps on purpose."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from flows.case import Case
from flows.ending.endings import licence_verdict
from ledger import engagements
from ledger.access import account_links, grants
from ledger.identity import identities
from ledger.identity.identities import ACCOUNT
from ledger.writing import effect_history
from ledger.writing.effect_history import EffectLine
from provisioning.licences import Reclaiming
from provisioning.readback import MAY_APPEAR_SECONDS, is_there
from workforce.access import Entitlement, EntitlementKind
from workforce.effects import Effect, EffectKind
from workforce.errors import Refused, RetryLater
from workforce.ports import Restoring
from workforce.states import EffectState

LOOK_AGAIN_SECONDS = 5.0
DELETED = "account_deleted"


def accounts_of(case: Case) -> list[str]:
    """Every account of the worker in the step's directory: those that carry the marker, and those that we ever made.

    A joiner that was cut off may have made an account that does not show yet. Absence counts only once it is older than the time
    that a call and a lagging directory may take. Raises ``RetryLater`` (cause ``visibility_window``) until then.
    """
    shown, missing = accounts_shown(case)
    if missing is not None:
        raise missing
    return shown


def accounts_shown(case: Case) -> tuple[list[str], RetryLater | None]:
    """Those that the directory shows, and the error that says that another one may still appear."""
    with case.hub.database.transaction(case.ref.tenant) as tx:
        lines = _creations(case, effect_history.list_for(tx, case.engagement_id))
        now = tx.began_at
    made = _ids(case, lines)
    found = {account.account_id for account in case.directory.find(case.engagement.worker.marker)}
    shown = found | {account_id for account_id in made - found if is_there(case.directory, account_id)}
    hidden = [line for line in lines if line.vendor_id not in shown and (line.vendor_id or not shown)]
    rest = _rest(hidden, now)
    return sorted(shown), _not_shown_yet(rest) if rest > 0 else None


def ever_made(case: Case) -> set[str]:
    """The ids of the accounts that were made for the engagement, and of the one that is known as the worker's."""
    with case.hub.database.transaction(case.ref.tenant) as tx:
        lines = _creations(case, effect_history.list_for(tx, case.engagement_id))
    return _ids(case, lines)


def adopt_leftover(case: Case) -> None:
    """Link the account that a joiner made whose reply was lost, although nothing is wanted here any more: what it gave has to go.

    Raises ``RetryLater`` while one may still appear; ``Refused`` (cause ``several_accounts``).
    """
    with case.hub.database.transaction(case.ref.tenant) as tx:
        begun = any(line.started_at for line in _creations(case, effect_history.list_for(tx, case.engagement_id)))
    found = accounts_of(case) if begun else []
    if found:
        _link(case, _only(case, found))


def bring_back(case: Case, known: str) -> None:
    """See to a known account that is there no more: somebody deleted it.

    One that carries the marker now takes its place. Otherwise it is restored where the directory can. One that nothing was held by any
    more (a person who comes back after the company has cleaned up) is forgotten, and so is one that nothing is wanted of; the next step
    makes another if one is wanted. Whether an account that was in use and is gone for good is made anew is for a person to decide: the
    effect is parked, and replaying it makes one. Raises ``RetryLater`` while it may only be hidden, ``Refused`` (causes
    ``account_deleted``, ``several_accounts``).
    """
    rest = _may_appear_for(case)
    if rest > 0:
        raise _not_shown_yet(rest)
    holders = [account.account_id for account in case.directory.find(case.engagement.worker.marker)]
    if holders:
        _link(case, _only(case, holders), instead_of=known)
        return
    if isinstance(case.directory, Restoring) and known in case.directory.deleted(case.engagement.worker.marker):
        case.accounts().restore(known)
        if not is_there(case.directory, known):
            raise RetryLater(f"account {known} was restored and does not show yet", cause="read_back_mismatch")
        case.audit("account.brought_back", account_id=known)
        return
    if case.desired_access().entitlements and _is_held(case):
        _require_decision(case, known)
    _forget(case, known)


def life_of_account(case: Case) -> int:
    """Which account of this engagement is the one to make or to adopt, counted from 1: one that is gone has had its life.

    Raises ``RetryLater`` while one that was made may only be hidden.
    """
    with case.hub.database.transaction(case.ref.tenant) as tx:
        lines = _creations(case, effect_history.list_for(tx, case.engagement_id))
        now = tx.began_at
    lived = [
        line
        for line in lines
        if line.state is EffectState.DONE and line.vendor_id and not is_there(case.directory, line.vendor_id)
    ]
    rest = _rest(lived, now)
    if rest > 0:
        raise _not_shown_yet(rest)
    return 1 + max((line.lifecycle for line in lived), default=0)


def kept_licences(case: Case, entitlements: Collection[Entitlement]) -> frozenset[Entitlement]:
    """The licences among ``entitlements`` that may not be reclaimed now; each stays open in the ledger until it may."""
    return frozenset(withheld_licences(case, entitlements))


def withheld_licences(case: Case, entitlements: Collection[Entitlement]) -> Mapping[Entitlement, Reclaiming]:
    """The same, each with what keeps it."""
    with case.hub.database.transaction(case.ref.tenant) as tx:
        verdicts = {
            each: licence_verdict(tx, case.config, case.engagement, each.id)
            for each in entitlements
            if each.kind is EntitlementKind.LICENCE
        }
    return {each: verdict for each, verdict in verdicts.items() if not verdict.may}


def _creations(case: Case, lines: Collection[EffectLine]) -> list[EffectLine]:
    return [e for e in lines if e.kind is EffectKind.CREATE_ACCOUNT and e.target == case.system]


def _ids(case: Case, lines: Collection[EffectLine]) -> set[str]:
    remembered = case.external_id(ACCOUNT)
    return {line.vendor_id for line in lines if line.vendor_id} | ({remembered} if remembered else set())


def _rest(lines: Collection[EffectLine], now: datetime) -> float:
    """For how many seconds more what these calls made may be hidden. Whether another account shall be made is a question, and no call."""
    begun = [line.started_at for line in lines if line.started_at and line.cause != DELETED]
    return max((MAY_APPEAR_SECONDS - (now - at).total_seconds() for at in begun), default=0.0)


def _may_appear_for(case: Case) -> float:
    """For how many seconds more an account may be hidden that was made for any of the worker's engagements."""
    with case.hub.database.transaction(case.ref.tenant) as tx:
        lines = [
            line
            for engagement in engagements.list_all(tx, worker_id=case.engagement.worker.id)
            for line in _creations(case, effect_history.list_for(tx, engagement.id))
        ]
        return _rest(lines, tx.began_at)


def _is_held(case: Case) -> bool:
    with case.hub.database.transaction(case.ref.tenant) as tx:
        return grants.is_anything_held(tx, case.engagement.worker.id, case.system)


def _require_decision(case: Case, known: str) -> None:
    """Go on only where a person has replayed the effect that would make another account. Raises ``Refused`` (cause ``account_deleted``)."""
    base = Effect(case.ref.tenant, case.engagement_id, case.system, EffectKind.CREATE_ACCOUNT, case.ref.epoch)
    effect = replace(base, lifecycle=life_of_account(case))
    with case.hub.database.transaction(case.ref.tenant) as tx:
        lines = {line.lifecycle: line for line in _creations(case, effect_history.list_for(tx, case.engagement_id))}
    asked = lines.get(effect.lifecycle)
    if asked is not None and asked.state is EffectState.INTENDED:
        return
    message = (
        f"{case.system}: account {known} was deleted there, and cannot be brought back from here. Restore it there; or leave it, and"
        " the replay makes a new one: stint failures replay"
    )
    if asked is None or asked.state in {EffectState.STARTED, EffectState.UNKNOWN}:
        case.effects.begin(effect)
        case.effects.parked(effect, DELETED, message)
    raise Refused(message, cause=DELETED, field="account_id")


def _only(case: Case, found: Collection[str]) -> str:
    if len(found) > 1:
        message = f"{case.system}: {len(found)} accounts carry the worker's marker; keep one of them"
        raise Refused(message, cause="several_accounts", field="account_id")
    return next(iter(found))


def _link(case: Case, account_id: str, *, instead_of: str | None = None) -> None:
    with case.hub.database.transaction(case.ref.tenant) as tx:
        if instead_of is not None:
            account_links.forget(tx, case.system, case.engagement.worker.id, instead_of, because=DELETED)
        identities.link(tx, case.system, ACCOUNT, case.engagement.worker.id, account_id)


def _forget(case: Case, account_id: str) -> None:
    """The account is gone, and with it what it held."""
    given = case.given()
    with case.hub.database.transaction(case.ref.tenant) as tx:
        account_links.forget(tx, case.system, case.engagement.worker.id, account_id, because=DELETED)
        grants.revoked(tx, grants.to_revoke(tx, case.engagement_id, case.system), given)


def _not_shown_yet(rest: float) -> RetryLater:
    message = "an account that may have been made does not show yet; it is looked for again"
    return RetryLater(message, cause="visibility_window", after_seconds=min(rest, LOOK_AGAIN_SECONDS))
