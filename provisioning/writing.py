"""What to write of one record: only what has to change, by each field's strength, and what somebody else changed meanwhile.

Pure. Absent is left alone; null and clear are written as ``None``. The owner of a field wins: what belongs to the target itself is
filled once and never overwritten.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from functools import lru_cache

from workforce.lineage import MappedField, RecordWrite

_KEY = re.compile(r'"((?:[^"\\]|\\.)+)"|([^."]+)')
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,18})?")


class _Unshown(Enum):
    UNSHOWN = "unshown"


_UNSHOWN = _Unshown.UNSHOWN
"""The target does not show this field: nothing is known of its value but what was written."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field to be written. ``before`` is what the target shows, else what was written last."""

    target: str
    before: object = field(repr=False)
    after: object = field(repr=False)
    sensitive: bool = False
    strength: str = "normal"

    def is_answered_by(self, shown: object) -> bool:
        """Whether ``shown``, read right after the change, is the target's own way of writing it.

        Nothing at all is none, and what was there before is none: the target may lag, or have left the field alone.
        """
        if shown is _UNSHOWN or is_empty(shown) or is_empty(self.after):
            return False
        return not alike(shown, self.after) and not alike(shown, self.before)


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that the target shows otherwise than it was written: ``ours`` is what we say now, ``found`` what the target shows."""

    target: str
    ours: object = field(repr=False)
    found: object = field(repr=False)


@dataclass(frozen=True, slots=True)
class WritePlan:
    """What to write. ``result`` is what stands afterwards, by target, for ``RecordWrite``."""

    changes: tuple[FieldChange, ...]
    conflicts: tuple[FieldConflict, ...]
    result: dict[str, MappedField] = field(repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.changes

    @property
    def changed(self) -> tuple[str, ...]:
        """The targets to be written, sorted."""
        return tuple(change.target for change in self.changes)

    def values(self) -> dict[str, object]:
        """What to write, nested by target; ``None`` empties a field."""
        values: dict[str, object] = {}
        for change in self.changes:
            put(values, change.target, change.after)
        return values

    def read_back(self, found: Mapping[str, object]) -> WritePlan:
        """The plan, carried out: with the target's own way of writing, where ``found``, read right after, shows one."""
        shown = {change.target: _shown(found, change.target) for change in self.changes}
        own = {change.target: shown[change.target] for change in self.changes if change.is_answered_by(shown[change.target])}
        fields = {
            target: known.model_copy(update={"shown": own.get(target, known.shown)}) for target, known in self.result.items()
        }
        return replace(self, result=fields)

    def remaining(self) -> tuple[FieldConflict, ...]:
        """The conflicts that writing the plan does not settle: those that a person has to decide."""
        written = set(self.changed)
        return tuple(conflict for conflict in self.conflicts if conflict.target not in written)


@dataclass(frozen=True, slots=True)
class _Field:
    """One field with everything that is known of it. ``ours`` is what we say now and ``said`` what we wrote last."""

    target: str
    ours: MappedField
    said: MappedField | None
    shown: object
    is_new: bool
    is_kept: bool

    @property
    def unchanged(self) -> bool:
        """Whether we say what we said last."""
        return self.said is not None and equal(self.said.value, self.ours.value)

    @property
    def stands(self) -> bool:
        """Whether the target shows what we said last, be it in its own way of writing."""
        said = self.said
        if said is None or self.shown is _UNSHOWN:
            return False
        return alike(self.shown, said.value) or (said.shown is not None and alike(self.shown, said.shown))

    @property
    def agrees(self) -> bool:
        """Whether the target shows what we say; its own way of writing it counts only for what was written to it before."""
        return self.shown is not _UNSHOWN and (equal(self.shown, self.ours.value) or (self.unchanged and self.stands))

    @property
    def is_due(self) -> bool:
        """Whether it has to be written."""
        if self.is_new or self.agrees:
            return self.is_new
        shows_nothing = self.shown is not _UNSHOWN and is_empty(self.shown)
        if self.is_kept:
            return self.said is None and shows_nothing
        if self.ours.strength == "weak":
            return shows_nothing
        if self.ours.strength == "strong" and self.shown is not _UNSHOWN:
            return True
        return not self.unchanged

    @property
    def conflict(self) -> FieldConflict | None:
        """What somebody else made of it. A weak field is the target's own once it is filled; a kept one always."""
        if self.said is None or self.shown is _UNSHOWN or self.agrees or alike(self.shown, self.ours.value):
            return None
        contested = not self.unchanged if self.is_kept else self.ours.strength != "weak" and not self.stands
        return FieldConflict(self.target, self.ours.value, self.shown) if contested else None

    @property
    def change(self) -> FieldChange:
        """Its writing."""
        before = self.shown if self.shown is not _UNSHOWN else self.said.value if self.said else None
        return FieldChange(self.target, before, self.ours.value, self.ours.sensitive, self.ours.strength)

    @property
    def result(self) -> MappedField | None:
        """How it stands once the plan is carried out, as far as it is ours. The target writes the same value in the same way."""
        if self.said is not None and self.unchanged:
            return self.ours.model_copy(update={"shown": self.said.shown})
        return self.ours if self.is_due or self.agrees else self.said


@dataclass(frozen=True, slots=True)
class DesiredRecord:
    """What a mapping says of one record, what stands there, and what belongs to the system itself; see ``plan_write``.

    ``version`` tells what is said now from what was said at another time (the mapping's hash and the source's version).
    """

    fields: Mapping[str, MappedField]
    cleared: Collection[str] = ()
    standing: RecordWrite | None = None
    kept: Collection[str] = ()
    version: str = ""

    def plan(self, found: Mapping[str, object] | None) -> WritePlan:
        """What to write where the target shows ``found``."""
        return plan_write(self.fields, cleared=self.cleared, standing=self.standing, found=found, kept=self.kept)

    def whole(self) -> WritePlan:
        """Everything, for a record that is not there yet."""
        return plan_write(self.fields, cleared=self.cleared, standing=None, found=None)

    def nothing(self) -> WritePlan:
        """Nothing to write, where all of it has just been written."""
        return WritePlan((), (), self.whole().result)

    def fingerprint(self, plan: WritePlan) -> str:
        """Tells the values of one plan from those of the next."""
        text = json.dumps(plan.values(), sort_keys=True, default=str)
        return hashlib.sha256(f"{self.version}\x1f{text}".encode()).hexdigest()[:32]


def plan_write(
    wanted: Mapping[str, MappedField],
    *,
    cleared: Collection[str],
    standing: RecordWrite | None,
    found: Mapping[str, object] | None,
    kept: Collection[str] = (),
) -> WritePlan:
    """What to write so that one record says what the mapping says.

    ``wanted`` and ``cleared`` are what the mapping says, by target; ``standing`` is what was written last; ``found`` are the target's own
    values as they were read just now, nested like the mapping's, ``None`` where nothing was read. Without both, the record is new and
    everything is written. ``kept`` are the targets that belong to the target system: filled once, never overwritten.

    A strong field is written whenever the target shows something else, and a normal one when what we say has changed since it was
    written, so that a change by hand stays until then; a weak one only where the target shows that it is empty.
    """
    said = standing.fields if standing else {}
    ours = {**{target: MappedField(origin="cleared") for target in cleared}, **wanted}
    is_new = standing is None and found is None
    fields = [
        _Field(target, ours[target], said.get(target), _shown(found, target), is_new, target in kept) for target in sorted(ours)
    ]
    afterwards = {**said, **{each.target: result for each in fields if (result := each.result) is not None}}
    return WritePlan(
        changes=tuple(each.change for each in fields if each.is_due),
        conflicts=tuple(conflict for each in fields if (conflict := each.conflict)),
        result=dict(sorted(afterwards.items())),
    )


@lru_cache(maxsize=4096)
def names(target: str) -> tuple[str, ...]:
    """The nested keys that a target writes: ``name.givenName``, ``"Start Date"``."""
    return tuple(re.sub(r"\\(.)", r"\1", quoted) if quoted else bare for quoted, bare in _KEY.findall(target))


def put(values: dict[str, object], target: str, value: object) -> None:
    """Put ``value`` in its nested place."""
    *outer, last = names(target)
    node = values
    for name in outer:
        inner = node.setdefault(name, {})
        if not isinstance(inner, dict):
            raise TypeError(f"two targets overlap at {name}: the mapping was not validated")
        node = inner
    node[last] = value


def is_empty(value: object) -> bool:
    """Whether a field with this value holds nothing."""
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, list | tuple | dict) and not value)
    )


def equal(one: object, other: object) -> bool:
    """Whether two values are the same. One that holds nothing is like any other such."""
    if is_empty(one) or is_empty(other):
        return is_empty(one) and is_empty(other)
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def alike(one: object, other: object) -> bool:
    """Whether two values are the same but for how they are written: ``95.0`` and ``95.00``, space around, the case of an address.

    A list of one is like the one; among several texts and numbers the order does not matter, since directories keep none.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) or isinstance(other, list | tuple):
        return equal(one, other) or _alike_lists(_items(one), _items(other))
    return equal(one, other) or _written(one) == _written(other)


def _alike_lists(ones: Sequence[object], others: Sequence[object]) -> bool:
    if len(ones) != len(others):
        return False
    if any(isinstance(item, Mapping | list | tuple) for item in (*ones, *others)):
        return all(map(alike, ones, others))
    return Counter(map(_written, ones)) == Counter(map(_written, others))


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else (value,)


def _written(value: object) -> object:
    """A scalar in one form of writing."""
    if is_empty(value):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).strip() if isinstance(value, str | int | Decimal) else value
    if not isinstance(text, str):
        return text
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    return text.casefold() if "@" in text else text


def _shown(found: Mapping[str, object] | None, target: str) -> object:
    """What the target shows of one field. A part of something that it shows to be empty is empty."""
    node: object = found
    for name in names(target):
        if isinstance(node, Mapping) and name in node:
            node = node[name]
        else:
            return _UNSHOWN if node is found or not is_empty(node) else None
    return node
