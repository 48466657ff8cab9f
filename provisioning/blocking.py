"""Blocking the sign-in of many accounts of one directory together: each block is an effect of its own, told and read back.

What is recorded is what a single leaver would record; only the transactions, the calls and the reads are shared. What fails, cannot be
seen yet or was enabled again is told by its error: the leaver of that engagement goes on with it alone.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from provisioning.readback import blocking_faults
from workforce.access import AccountState
from workforce.effects import Effect, EffectKind, EffectRecord
from workforce.errors import HubError, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.ports import Directory, ReadsTogether
from workforce.states import EffectState

LIVES = 3
"""How often an account that was enabled again is blocked again here."""
READS_AT_ONCE = 8
_KINDS = (EffectKind.DISABLE_ACCOUNT, EffectKind.REVOKE_SESSIONS)

T = TypeVar("T")


class Ended(NamedTuple):
    """How a call ended: ``DONE``, ``UNKNOWN``, or ``INTENDED`` for one that did nothing; and why, where it was not done."""

    state: EffectState
    cause: str | None = None


_NOT_CALLED = Ended(EffectState.INTENDED, "not_called")
"""One of an account's two effects is under way elsewhere, so that the other was not asked for either."""


class BulkEffectLog(Protocol):
    """The ledger's record of outside writes, for many at a time: each call is one committed transaction."""

    def begin_all(self, effects: Collection[Effect]) -> Mapping[Effect, EffectRecord | HubError]:
        """``EffectLog.begin`` for each: its record, or the error that ``begin`` would raise for it."""
        ...

    def conclude_all(self, results: Mapping[Effect, tuple[EffectState, str | None]]) -> Mapping[Effect, HubError]:
        """Note how each call ended. Those that somebody else has taken over are not noted but told."""
        ...


@dataclass(frozen=True, slots=True)
class ToBlock:
    """One account of one engagement whose ending began at ``signed_out_since`` and whose epoch the runner holds."""

    engagement_id: UUID
    epoch: int
    account_id: str
    signed_out_since: datetime


Outcomes = dict[ToBlock, HubError | None]


@dataclass(frozen=True)
class Blocking:
    """Blocks the accounts of one directory. ``tenant`` and ``target`` (the connector instance) name the effects."""

    tenant: str
    target: str
    directory: Directory
    log: BulkEffectLog

    def block(self, accounts: Sequence[ToBlock]) -> Outcomes:
        """Block them all; each one's error, or ``None`` for one that was read back as blocked and signed out."""
        outcomes: Outcomes = {}
        waiting: Sequence[ToBlock] = accounts
        for life in range(1, LIVES + 1):
            told, waiting = self._lived(waiting, life)
            outcomes |= told
            if not waiting:
                break
        return outcomes | {account: _enabled_again(account) for account in waiting}

    def _lived(self, accounts: Sequence[ToBlock], life: int) -> tuple[Outcomes, list[ToBlock]]:
        """One life of the effects; and those that were blocked in it before and are enabled again."""
        effects = {effect: account for account in accounts for effect in self._effects(account, life)}
        records = self._begun(effects)
        failed: Outcomes = {effects[e]: error for e, error in records.items() if isinstance(error, HubError)}
        failed |= {effects[e]: _waits(e) for e, record in records.items() if _waits_for_a_person(record)}
        started = {e: a for e, a in effects.items() if _is_started(records[e])}
        now = {e: a for e, a in started.items() if a not in failed}
        said = self._call(now)
        told = {e: _told(said[a.account_id]) if e in now else _NOT_CALLED for e, a in started.items()}
        lost = self.log.conclude_all(told) if told else {}
        failed |= {effects[e]: error for e, error in lost.items() if effects[e] not in failed}
        shown = read_together(self.directory, {a.account_id for a in accounts if a not in failed})
        self._look_up({e: a for e, a in now.items() if said[a.account_id] and a not in failed}, said, shown)
        called = set(now.values())
        outcomes: Outcomes = dict(failed)
        again = []
        for account in (a for a in accounts if a not in failed):
            error = _verdict(account, shown[account.account_id], said.get(account.account_id))
            if error is not None and account not in called and not isinstance(shown[account.account_id], HubError):
                again.append(account)
            else:
                outcomes[account] = error
        return outcomes, again

    def _effects(self, account: ToBlock, life: int) -> list[Effect]:
        base = (self.tenant, account.engagement_id, self.target)
        return [Effect(*base, kind, account.epoch, life, account.account_id) for kind in _KINDS]

    def _begun(self, effects: Collection[Effect]) -> dict[Effect, EffectRecord | HubError]:
        """The effects' records. What an earlier call left unknown is idempotent here, so that it is issued again."""
        records = dict(self.log.begin_all(effects))
        unknown = [effect for effect, record in records.items() if _is_unknown(record)]
        if unknown:
            lost = self.log.conclude_all(dict.fromkeys(unknown, Ended(EffectState.INTENDED, "idempotent")))
            records |= lost
            records |= self.log.begin_all([effect for effect in unknown if effect not in lost])
        return records

    def _call(self, now: Mapping[Effect, ToBlock]) -> dict[str, HubError | None]:
        """What the directory says of each account. A defect in the connector says nothing about what was done."""
        ids = list(dict.fromkeys(account.account_id for account in now.values()))
        if not ids:
            return {}
        try:
            said = self.directory.block_all(ids)
        except HubError as error:
            return dict.fromkeys(ids, error)
        return {one: said[one] if one in said else OutcomeUnknown("no answer", cause="unanswered") for one in ids}

    def _look_up(
        self,
        errors: Mapping[Effect, ToBlock],
        said: Mapping[str, HubError | None],
        shown: Mapping[str, AccountState | HubError],
    ) -> None:
        """Of what did not succeed, note what the directory shows: one answer covers two calls, of which the first may be done."""
        results = {e: _shown_result(e, a, said[a.account_id], shown[a.account_id]) for e, a in errors.items()}
        known = {effect: result for effect, result in results.items() if result is not None}
        if known:
            self.log.conclude_all(known)


def read_together(directory: Directory, account_ids: Collection[str]) -> dict[str, AccountState | HubError]:
    """Each account as the directory shows it now, or why it cannot be read; with few requests where it can, else some at a time."""
    ids = list(account_ids)
    if not ids:
        return {}
    if isinstance(directory, ReadsTogether):
        return dict(directory.read_all(ids))
    with ThreadPoolExecutor(min(READS_AT_ONCE, len(ids)), thread_name_prefix="read") as pool:
        futures = [(one, pool.submit(contextvars.copy_context().run, _tried, partial(directory.read, one))) for one in ids]
        return {one: future.result() for one, future in futures}


def _tried(read: Callable[[], T]) -> T | HubError:
    try:
        return read()
    except HubError as error:
        return error


def _told(error: HubError | None) -> Ended:
    """What an answer proves. Blocking and signing out are answered together: of a failure it is not known which was done."""
    if error is None or isinstance(error, NotFound):
        return Ended(EffectState.DONE)
    return Ended(EffectState.UNKNOWN, error.cause)


def _shown_result(effect: Effect, account: ToBlock, said: HubError | None, shown: AccountState | HubError) -> Ended | None:
    """What the directory shows of an effect whose call failed; ``None`` where it shows nothing, and it stays unknown."""
    if said is None or isinstance(said, NotFound) or isinstance(shown, HubError):
        return None
    if _is_shown(effect, account, shown):
        return Ended(EffectState.DONE)
    return None if isinstance(said, OutcomeUnknown) else Ended(EffectState.INTENDED, said.cause)


def _is_shown(effect: Effect, account: ToBlock, shown: AccountState) -> bool:
    if effect.kind is EffectKind.DISABLE_ACCOUNT:
        return not shown.enabled
    valid_from = shown.sessions_valid_from
    return valid_from is not None and valid_from >= account.signed_out_since.replace(microsecond=0)


def _verdict(account: ToBlock, shown: AccountState | HubError, said: HubError | None) -> HubError | None:
    """``None`` for an account that is read back as blocked and signed out, and for which no call of now failed."""
    if isinstance(shown, NotFound):
        return RetryLater(f"account {account.account_id} cannot be read (yet)", cause="read_back_mismatch")
    if isinstance(shown, HubError):
        return shown
    if said is not None and not isinstance(said, NotFound):
        return said
    faults = blocking_faults(shown, account.signed_out_since)
    return RetryLater(f"account {account.account_id}: {'; '.join(faults)}", cause="read_back_mismatch") if faults else None


def _enabled_again(account: ToBlock) -> RetryLater:
    return RetryLater(f"account {account.account_id} is enabled again and again", cause="enabled_again")


def _waits(effect: Effect) -> Refused:
    return Refused(f"{effect.kind} at {effect.target} waits for a person; mend the cause and replay it", cause="effect_waits")


def _state(record: EffectRecord | HubError) -> EffectState | None:
    return record.state if isinstance(record, EffectRecord) else None


def _is_started(record: EffectRecord | HubError) -> bool:
    return _state(record) is EffectState.STARTED


def _is_unknown(record: EffectRecord | HubError) -> bool:
    return _state(record) is EffectState.UNKNOWN


def _waits_for_a_person(record: EffectRecord | HubError) -> bool:
    return _state(record) in {EffectState.REFUSED, EffectState.PARKED}
