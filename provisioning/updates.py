"""Updates as effects: idempotent writes, issued again whenever the target needs them, and concluded when a reply was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from provisioning.effects import Holder, Write, perform
from workforce.effects import Effect
from workforce.errors import Refused
from workforce.ports import EffectLog

MAX_LIVES = 1000


@dataclass(frozen=True)
class Updates:
    """The updates of one target. ``base`` carries tenant, engagement, target, epoch and kind."""

    base: Effect
    log: EffectLog

    def once(self, call: Callable[[], None], detail: str, *, details: Mapping[str, object] | None = None, life: int = 1) -> bool:
        """Make the change called ``detail`` unless it was made before; whether this call did it."""

        def without_id() -> None:
            call()

        effect = replace(self.base, detail=detail, lifecycle=life)
        return perform(Write(effect, without_id, details=details or {}), log=self.log).now

    def needed(self, call: Callable[[], None], detail: str, *, details: Mapping[str, object] | None = None) -> None:
        """Make a change that the target needs now. Where it was made before, it has been undone since: a new life of the effect."""
        for life in range(1, MAX_LIVES + 1):
            if self.once(call, detail, details=details, life=life):
                return
        raise undone_too_often(f"{self.base.kind} {detail} at {self.base.target} was undone", "undone_again")

    def conclude(self, vendor_id: str, unfinished: Iterable[Effect]) -> None:
        """Conclude updates whose replies were lost, once the target has what was wanted. Raises ``RetryLater`` while one is under way."""
        shown = [Holder(vendor_id, ours=True)]
        for effect in unfinished:
            perform(Write(replace(effect, epoch=self.base.epoch), _not_again, lambda: shown), log=self.log)


def undone_too_often(what: str, cause: str) -> Refused:
    """Somebody keeps undoing what we do."""
    return Refused(f"{what} {MAX_LIVES} times; find out by whom", cause=cause)


def _not_again() -> None:
    """What is concluded by looking is not issued again."""
