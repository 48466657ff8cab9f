"""Carrying out one effect: intent before the call, result after it, and unknown is looked up, never blindly repeated.

The rules are those of "RECOVER" in the guarantees: found with our marker → adopt · the unique key taken without our marker → park (a
namesake) · several → park · none → issue again under the same key, at once where the target enforces a unique key, otherwise once,
after the visibility window, and then park.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workforce.effects import REVOKING, Effect, EffectRecord
from workforce.errors import AlreadyTaken, Misconfigured, NotFound, OutcomeUnknown, Refused, RetryLater
from workforce.ports import EffectLog
from workforce.states import EffectState


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds what we wanted to create: a vendor id, and whether it carries our marker."""

    vendor_id: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Write:
    """An effect, how to do it, and how to find out whether it was done.

    ``look_up`` is ``None`` for idempotent operations: they are simply issued again. ``visibility_seconds`` is how long the target may
    hide what it has just stored; ``key_is_enforced`` says that the target itself refuses a second one. ``details`` is lineage.
    """

    effect: Effect
    call: Callable[[], str | None]
    look_up: Callable[[], Sequence[Holder]] | None = None
    key_is_enforced: bool = True
    visibility_seconds: float = 60.0
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Performed:
    """An effect that is done: the target's id, if it has one, and whether this call did it (or it was done before)."""

    vendor_id: str | None
    now: bool


def perform(write: Write, *, log: EffectLog) -> Performed:
    """Carry out ``write`` exactly once.

    Raises ``RetryLater`` (nothing happened, or it cannot be seen yet), ``Refused`` (a person has to look), ``Misconfigured``, ``Fenced``.
    """
    record = log.begin(write.effect)
    if record.state is EffectState.DONE:
        return Performed(record.vendor_id, now=False)
    if record.state in {EffectState.REFUSED, EffectState.PARKED}:
        raise Refused(f"{_name(write)} waits for a person; mend the cause and replay it", cause=f"effect_{record.state}")
    if record.state is EffectState.UNKNOWN:
        holder = _settle(write, record, log=log)
        if holder is not None:
            return Performed(holder, now=True)
        log.begin(write.effect)
    return Performed(_issue(write, log=log), now=True)


def _issue(write: Write, *, log: EffectLog) -> str | None:
    effect = write.effect
    try:
        vendor_id = write.call()
    except RetryLater as error:
        log.not_done(effect, error.cause)
        raise
    except OutcomeUnknown as error:
        log.unknown(effect, error.cause)
        return _adopt_at_once(write, error, log=log)
    except Misconfigured as error:
        log.not_done(effect, error.cause)
        raise
    except Refused as error:
        if isinstance(error, AlreadyTaken) and write.look_up is not None:
            log.unknown(effect, error.cause)
            return _adopt_taken(write, error, log=log)
        if effect.kind in REVOKING:
            log.not_done(effect, error.cause)  # a revocation is asked for again and again, also after a no
        else:
            log.refused(effect, error.cause, str(error))
        raise
    log.done(effect, vendor_id, write.details)
    return vendor_id


def _adopt_at_once(write: Write, error: OutcomeUnknown, *, log: EffectLog) -> str | None:
    """After a lost reply: if it can be seen already, it was done. Otherwise wait; the next attempt settles it."""
    holders = write.look_up() if write.look_up else ()
    adopted = _adopted(write, holders, log=log)
    if adopted is None:
        raise RetryLater(f"{_name(write)}: {error}; it is looked up before anything is repeated", cause=error.cause)
    return adopted


def _adopt_taken(write: Write, error: AlreadyTaken, *, log: EffectLog) -> str | None:
    """The key is in use: by our own earlier attempt (adopt), or by somebody else (park)."""
    adopted = _adopted(write, write.look_up() if write.look_up else (), log=log)
    if adopted is None:
        raise RetryLater(f"{_name(write)}: the key is taken but its holder cannot be seen yet", cause=error.cause)
    return adopted


def _settle(write: Write, record: EffectRecord, *, log: EffectLog) -> str | None:
    """Settle an unknown effect before it may be issued again; the adopted id, or ``None`` when it is proven absent."""
    if write.look_up is None:
        log.not_done(write.effect, "idempotent")
        return None
    adopted = _adopted(write, write.look_up(), log=log)
    if adopted is not None:
        return adopted
    if not write.key_is_enforced:
        _wait_out_the_window(write, record)
        if record.lost > 1:
            raise _park(write, "lost_twice", "two attempts were lost and neither can be found; look at the target", log=log)
    log.not_done(write.effect, "looked_up_absent")
    return None


def _wait_out_the_window(write: Write, record: EffectRecord) -> None:
    # The age is the ledger's, read before the look-up: only a look-up that began after the whole window proves absence.
    age = record.age_seconds or 0.0
    if age < write.visibility_seconds:
        raise RetryLater(
            f"{_name(write)}: waiting until the target must show it if it was done",
            cause="visibility_window",
            after_seconds=write.visibility_seconds - age,
        )


def _adopted(write: Write, holders: Sequence[Holder], *, log: EffectLog) -> str | None:
    """Adopt the one holder with our marker; park on a namesake or several; ``None`` when there is nobody."""
    ours = [holder for holder in holders if holder.ours]
    if len(ours) > 1:
        raise _park(write, "several_holders", f"{len(ours)} entries carry the same marker; keep one of them", log=log)
    if ours:
        log.done(write.effect, ours[0].vendor_id, {**write.details, "adopted": True})
        return ours[0].vendor_id
    if holders:
        raise _park(write, "namesake", "the key is held by an entry without our marker; decide whose it is", log=log)
    return None


def _park(write: Write, cause: str, message: str, *, log: EffectLog) -> Refused:
    text = f"{_name(write)}: {message}"
    log.parked(write.effect, cause, text)
    return Refused(text, cause=cause, field=write.effect.target)


def _name(write: Write) -> str:
    return f"{write.effect.kind} at {write.effect.target}"


def gone_is_done(call: Callable[[], None]) -> Callable[[], None]:
    """For taking away: what no longer exists needs no taking away."""

    def quietly() -> None:
        try:
            call()
        except NotFound:
            return

    return quietly
