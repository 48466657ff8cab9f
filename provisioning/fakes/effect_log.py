"""An effect log in memory that enforces the table of transitions and the fences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import NAMESPACE_OID, uuid5

from workforce.effects import REVOKING, Effect, EffectRecord
from workforce.errors import Fenced
from workforce.ports import Clock
from workforce.states import EFFECT_TRANSITIONS, EffectState, require_transition


@dataclass(frozen=True, slots=True)
class Logged:
    """One transition of one effect. ``vendor_id`` and ``details`` are those of a ``done``."""

    effect: Effect
    state: EffectState
    cause: str | None = None
    vendor_id: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass
class InMemoryEffectLog:
    """The ``EffectLog`` of ``workforce.ports`` for one engagement and one runner; everything that was logged is kept in ``logged``.

    ``epoch`` is the engagement's (``None``: no fence); ``tombstoned`` fences what grants.
    """

    clock: Clock
    epoch: int | None = None
    tombstoned: bool = False
    records: dict[str, EffectRecord] = field(default_factory=dict)
    logged: list[Logged] = field(default_factory=list)

    def begin(self, effect: Effect) -> EffectRecord:
        """Record the intent and mark the call as started, or say what else to do."""
        self._check_fence(effect, starting=True)
        fresh = EffectRecord(uuid5(NAMESPACE_OID, effect.key), EffectState.INTENDED, attempt=0)
        record = self.records.setdefault(effect.key, fresh)
        if record.state is EffectState.INTENDED:
            started = replace(record, attempt=record.attempt + 1, started_at=self.clock.now(), age_seconds=0.0)
            return self._go(effect, started, EffectState.STARTED)
        record = replace(record, age_seconds=self._age(record))
        if record.state is EffectState.STARTED:
            return self._go(effect, record, EffectState.UNKNOWN, "left_unfinished")
        return record

    def done(self, effect: Effect, vendor_id: str | None, details: Mapping[str, object]) -> None:
        """The call took effect."""
        self._conclude(effect, EffectState.DONE, vendor_id=vendor_id, details=details)

    def refused(self, effect: Effect, cause: str, message: str) -> None:
        """The target said no."""
        del message
        self._conclude(effect, EffectState.REFUSED, cause)

    def unknown(self, effect: Effect, cause: str) -> None:
        """The call may have taken effect."""
        self._conclude(effect, EffectState.UNKNOWN, cause)

    def not_done(self, effect: Effect, cause: str) -> None:
        """Nothing was done: back to intended."""
        self._conclude(effect, EffectState.INTENDED, cause)

    def parked(self, effect: Effect, cause: str, message: str) -> None:
        """A person has to decide. A started call passes through unknown first."""
        del message
        if self.records[effect.key].state is EffectState.STARTED:
            self._conclude(effect, EffectState.UNKNOWN, cause)
        self._conclude(effect, EffectState.PARKED, cause)

    def reopen(self, effect: Effect) -> None:
        """A person mended the cause: a refused or parked effect may be issued again."""
        self._go(effect, self.records[effect.key], EffectState.INTENDED, "reopened")

    def states(self, effect: Effect) -> list[EffectState]:
        """Every state that ``effect`` went through, in order."""
        return [line.state for line in self.logged if line.effect.key == effect.key]

    def _age(self, record: EffectRecord) -> float | None:
        return (self.clock.now() - record.started_at).total_seconds() if record.started_at else None

    def _check_fence(self, effect: Effect, *, starting: bool = False) -> None:
        if self.epoch is not None and effect.epoch != self.epoch:
            raise Fenced(f"the engagement is at epoch {self.epoch}, this runner holds {effect.epoch}")
        if starting and self.tombstoned and effect.kind not in REVOKING:
            raise Fenced(f"the engagement is ending: {effect.kind} is not begun any more", cause="tombstoned")

    def _conclude(
        self,
        effect: Effect,
        target: EffectState,
        cause: str | None = None,
        *,
        vendor_id: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        self._check_fence(effect)
        record = self.records[effect.key]
        if record.state is not target:
            self._go(effect, replace(record, vendor_id=vendor_id or record.vendor_id), target, cause, details)

    def _go(
        self,
        effect: Effect,
        record: EffectRecord,
        target: EffectState,
        cause: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> EffectRecord:
        require_transition(EFFECT_TRANSITIONS, record.state, target)
        changed = replace(record, state=target, lost=record.lost + (target is EffectState.UNKNOWN))
        self.records[effect.key] = changed
        self.logged.append(Logged(effect, target, cause, changed.vendor_id, details or {}))
        return changed
