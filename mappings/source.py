"""Python source as it is written for a mapping: lines, constants bound to names of ours, and expressions that read a record.

Nothing that an author wrote ever becomes part of the source: every text and number of a document is a constant in the function's
namespace, under a name made here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Self, TypeAlias

from mappings.conditions import wanted
from mappings.model import Condition, Presence
from mappings.paths import Key, Match, Path, Step, parse_path

Steps: TypeAlias = tuple[Step, ...]

_KEYWORDS = (None, True, False)


class Writer:
    """Lines of one function's body, and the constants that they use by name."""

    def __init__(self) -> None:
        self.constants: dict[str, object] = {}
        self._names: dict[tuple[type, object], str] = {}
        self._lines: list[str] = []
        self._depth = 1

    def line(self, text: str) -> None:
        """Write one line at the current depth."""
        self._lines.append(" " * self._depth + text)

    def block(self, head: str) -> Self:
        """What is written inside belongs to ``head``."""
        self.line(f"{head}:")
        return self

    def __enter__(self) -> Self:
        self._depth += 1
        return self

    def __exit__(self, *_exception: object) -> None:
        self._depth -= 1

    def constant(self, value: object) -> str:
        """The name under which ``value`` is bound. Equal texts and numbers share one."""
        if any(value is keyword for keyword in _KEYWORDS):
            return str(value)
        if not isinstance(value, str | int):
            return self._bound(value)
        key = (type(value), value)
        if key not in self._names:
            self._names[key] = self._bound(value)
        return self._names[key]

    def text(self, head: str) -> str:
        """The function with ``head``."""
        return "\n".join([f"{head}:", *self._lines, ""])

    def _bound(self, value: object) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name


class Reads:
    """Expressions that read paths. A place that several of ``paths`` share is read once, before everything else."""

    def __init__(self, paths: Iterable[Path], writer: Writer) -> None:
        self._writer = writer
        self._names: dict[Steps, str] = {}
        self._getters: dict[Steps, str] = {}
        self._indexes: dict[tuple[Steps, str], str] = {}
        self._uses = Counter(path.steps[:n] for path in paths for n in range(1, len(path.steps) + 1))
        self._keys = Counter(steps[:-1] for steps in self._uses if isinstance(steps[-1], Key))

    def hoist(self) -> None:
        """Write the reading of what is shared."""
        shared = self._shared()
        texts = self._matched()
        for length in range(1, max(map(len, self._uses), default=0) + 1):
            for steps in (steps for steps in shared if len(steps) == length):
                name = f"n{len(self._names)}"
                self._writer.line(f"{name} = {self.of(steps)}")
                self._names[steps] = name
                self._open(steps, name)
            for (parent, key), found in texts.items():
                if len(parent) == length and len(found) > 1:
                    name = f"i{len(self._indexes)}"
                    constants = f"{self._writer.constant(key)}, {self._writer.constant(frozenset(found))}"
                    self._writer.line(f"{name} = items_by({self.of(parent)}, {constants})")
                    self._indexes[parent, key] = name

    def _open(self, steps: Steps, name: str) -> None:
        """Write how keys of a place are read, if several are."""
        if self._keys[steps] > 1:
            self._getters[steps] = f"r{len(self._getters)}"
            self._writer.line(f"{self._getters[steps]} = {name}.get if type({name}) is dict else inside({name})")

    def of(self, steps: Steps) -> str:
        """An expression for what stands at ``steps``: a value, or ``ABSENT``."""
        if steps in self._names:
            return self._names[steps]
        parent, last = steps[:-1], steps[-1]
        constant = self._writer.constant
        if not parent and isinstance(last, Key):
            return f"get({constant(last.name)}, ABSENT)"
        if isinstance(last, Key) and parent in self._getters:
            return f"{self._getters[parent]}({constant(last.name)}, ABSENT)"
        if isinstance(last, Match) and not last.also and (parent, last.key) in self._indexes:
            return f"{self._indexes[parent, last.key]}.get({constant(last.text)}, ABSENT)"
        node = self.of(parent)
        if not isinstance(last, Key):
            return f"{constant(last.read)}({node})"
        name, node = (node, node) if node.isidentifier() else ("x", f"(x := {node})")
        return f"({name}.get({constant(last.name)}, ABSENT) if type({node}) is dict else {constant(last.read)}({name}))"

    def condition(self, condition: Condition) -> str:
        """An expression for whether ``condition`` holds."""
        if condition.every:
            return f"({' and '.join(map(self.condition, condition.every))})"
        if condition.some:
            return f"({' or '.join(map(self.condition, condition.some))})"
        if condition.negated:
            return f"(not {self.condition(condition.negated)})"
        return f"({self._comparison(condition)})"

    def _comparison(self, condition: Condition) -> str:
        value = self.of(_steps_of(condition))
        if condition.bound:
            return f"is_in_order({value}, {', '.join(map(self._writer.constant, condition.bound))})"
        name, value = (value, value) if value.isidentifier() else ("c", f"(c := {value})")
        match condition.presence:
            case Presence.PRESENT:
                return f"{value} is not None and {name} is not ABSENT and {name} != EMPTY"
            case Presence.MISSING:
                return f"{value} is None or {name} is ABSENT or {name} == EMPTY"
            case Presence.ABSENT:
                return f"{value} is ABSENT"
        return self._one_of(name, value, wanted(condition))

    def _one_of(self, name: str, value: str, constants: list[object]) -> str:
        if len(constants) == 1 and any(constants[0] is keyword for keyword in _KEYWORDS):
            return f"{value} is {constants[0]}"
        if any(type(one) is not str for one in constants):
            return f"is_one_of({value}, {self._writer.constant(constants)})"
        if len(constants) == 1:
            return f"type({value}) is str and {name} == {self._writer.constant(constants[0])}"
        return f"type({value}) is str and {name} in {self._writer.constant(frozenset(constants))}"

    def _shared(self) -> list[Steps]:
        """Places that are read more than once, unless they are only passed through on the way to one other."""
        passed = {steps[:-1] for steps, uses in self._uses.items() if self._uses.get(steps[:-1]) == uses}
        return [steps for steps, uses in self._uses.items() if uses > 1 and steps not in passed]

    def _matched(self) -> dict[tuple[Steps, str], set[str]]:
        """The texts by which items of a list are found, by the list and the key."""
        found: dict[tuple[Steps, str], set[str]] = {}
        for steps in self._uses:
            if isinstance(last := steps[-1], Match) and not last.also:
                found.setdefault((steps[:-1], last.key), set()).add(last.text)
        return found


def _steps_of(condition: Condition) -> Steps:
    return next(parse_path(path).steps for path in condition.paths())
