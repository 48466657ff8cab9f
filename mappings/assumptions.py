"""What conditions that hold tell about a record: which paths have a value, and which values they have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mappings.arriving import Arriving, Named, arriving_at
from mappings.model import Condition, Presence
from mappings.paths import Step, parse_path
from mappings.schema import Schema, Spot, same
from mappings.values import ABSENT

Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is known where some conditions hold.

    ``filled`` are paths whose value is neither absent, null nor empty, ``leading`` those and all paths that lead to them. ``only`` gives
    the values that a path may still have, ``never`` those that it has not.
    """

    filled: set[Steps] = field(default_factory=set)
    leading: set[Steps] = field(default_factory=set)
    only: dict[Steps, list[object]] = field(default_factory=dict)
    never: dict[Steps, list[object]] = field(default_factory=dict)

    @classmethod
    def of(cls, conditions: Iterable[Condition]) -> Assumptions:
        """What is known where all ``conditions`` hold."""
        known = cls()
        for condition in conditions:
            known._take(condition)
        return known

    def also(self, condition: Condition) -> Assumptions:
        """What is known where ``condition`` holds besides."""
        never = {steps: list(values) for steps, values in self.never.items()}
        known = Assumptions(set(self.filled), set(self.leading), dict(self.only), never)
        known._take(condition)
        return known

    def arriving(self, source: Schema, steps: Steps) -> Arriving:
        """What the source may say at ``steps``. Raises ``NoSuchPlace``."""
        spot = self._spot(source, steps) if steps[:1] in self.leading else source.at(steps)
        arriving = arriving_at(spot)
        if steps in self.only:
            arriving = Arriving(named=tuple(Named(value) for value in self.only[steps] if spot.problem(value) is None))
        if steps in self.filled:
            arriving = arriving.without(ABSENT, None, "")
        return arriving.without(*self.never.get(steps, ()))

    def _spot(self, source: Schema, steps: Steps) -> Spot:
        spot = source.root
        for position, step in enumerate(steps, start=1):
            spot = spot.step(step)
            if steps[:position] in self.leading:
                spot = spot.present()
        return spot

    def _take(self, condition: Condition) -> None:
        for part in condition.every or ():
            self._take(part)
        if condition.path is not None:
            self._take_comparison(condition, parse_path(condition.path).steps)
        if condition.negated is not None and condition.negated.path is not None:
            self._take_negated(condition.negated, parse_path(condition.negated.path).steps)

    def _take_comparison(self, condition: Condition, steps: Steps) -> None:
        if condition.presence is Presence.PRESENT or condition.bound:
            self._fill(steps)
        values = compared_values(condition)
        if values is None:
            return
        before = self.only.get(steps)
        self.only[steps] = [one for one in values if before is None or any(same(one, other) for other in before)]
        if not any(value is None or value == "" for value in values):
            self._fill(steps)

    def _take_negated(self, condition: Condition, steps: Steps) -> None:
        if condition.presence is Presence.MISSING:
            self._fill(steps)
        self.never.setdefault(steps, []).extend(compared_values(condition) or ())

    def _fill(self, steps: Steps) -> None:
        self.filled.add(steps)
        self.leading.update(steps[:length] for length in range(1, len(steps) + 1))


def compared_values(condition: Condition) -> list[object] | None:
    """The values that a comparison is for, ``None`` where it asks for presence or a bound, or combines others."""
    if condition.one_of is not None:
        return condition.one_of
    return [condition.equals] if condition.says("equals") else None
