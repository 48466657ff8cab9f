"""A plan compiled once into one Python function, which maps the records that have no fault.

The function answers or departs: of whatever is out of the ordinary it says nothing but that, and the interpreter, which is the meaning
of a mapping, takes the record from the start. So faults have one author. The function's source holds names of ours and nothing of the
mapping's, and its namespace holds the mapping's constants and nothing that is built in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType, NoneType
from typing import TypeAlias, cast

from mappings.conditions import is_one_of
from mappings.explain import gathered, run_step
from mappings.ordered import is_in_order
from mappings.paths import Path, items_by, parse_path
from mappings.plan import LOOKUP, FieldPlan, Plan, Step
from mappings.quick import quick_form
from mappings.source import Reads, Writer
from mappings.transforms import is_empty, is_missing
from mappings.values import ABSENT, Absent, ValueFault, detached

Compiled: TypeAlias = Callable[[object], tuple[dict[str, object], tuple[str, ...], list[int]]]
"""Record → values nested by target, cleared targets, and notes: ``n`` for field n left out, ``~n`` for its default taken."""


Lines: TypeAlias = tuple[str, ...]

_DEPARTS = ("raise Departure",)
_CONSTANTS = (str, int, NoneType)
"""What many records may share: it cannot be changed."""
_UNCHANGING = frozenset({str, int, float, bool, Decimal, NoneType})
"""Types of values that a record and its result may share."""


class Departure(ValueFault):
    """The record is out of the ordinary: it is the interpreter's."""


def compile_plan(plan: Plan, name: str) -> Compiled:
    """The function of ``plan``. It raises ``ValueFault`` or ``KeyError`` for a record that is the interpreter's. ``name`` is for traces."""
    source, constants = generate(plan)
    namespace: dict[str, object] = {"__builtins__": {}, **_RUNTIME, **constants}
    code = compile(source, f"<mapping {name}>", "exec", dont_inherit=True)
    exec(code, namespace)  # noqa: S102  # our own text: test_mapping_escapes proves that nothing of an author's is in it
    return cast("Compiled", namespace["mapped"])


def generate(plan: Plan) -> tuple[str, Mapping[str, object]]:
    """The function's source, and the constants that it uses by name."""
    writer = Writer()
    _Mapping(plan, writer).write()
    return writer.text("def mapped(record)"), writer.constants


@dataclass(frozen=True, slots=True)
class _May:
    """What ``v`` may be at a point of the function: of ``types`` (``None``: of any type), null, absent."""

    types: frozenset[type] | None = None
    be_null: bool = True
    be_absent: bool = True

    @classmethod
    def given_by(cls, step: Step) -> _May:
        """What ``step`` gives for a value that it takes."""
        nothing = {NoneType, Absent}
        return cls(step.gives - nothing, NoneType in step.gives, Absent in step.gives) if step.gives else cls()

    def be(self, kind: type) -> bool:
        """Whether a value of ``kind`` is among them."""
        return self.types is None or kind in self.types

    def nothings(self) -> list[tuple[str, object]]:
        """The tests for null and absence, as far as these may be, and what they test for."""
        return [*([("v is None", None)] if self.be_null else []), *([("v is ABSENT", ABSENT)] if self.be_absent else [])]

    def something(self) -> str:
        """The test for neither null nor absent; empty where that is sure."""
        return " and ".join(test.replace(" is ", " is not ") for test, _ in self.nothings())

    def empty_text(self) -> str:
        """The test for empty text."""
        return "not v" if self == _May(frozenset({str}), be_null=False, be_absent=False) else "v == EMPTY"


class _Mapping:
    """The whole function: what is shared, what is demanded, then field after field."""

    def __init__(self, plan: Plan, writer: Writer) -> None:
        self._plan = plan
        self._writer = writer
        self._reads = Reads(_paths(plan), writer)
        self._groups: dict[tuple[str, ...], str] = {(): "values"}

    def write(self) -> None:
        """Write every line."""
        line = self._writer.line
        line("get = record.get if type(record) is dict else getter(record)")
        line("values, notes = {}, []")
        clears = any(field.rule.clear for field in self._plan.fields)
        if clears:
            line("cleared = []")
        self._require_known_names()
        self._reads.hoist()
        for demand in self._plan.demands:
            self._depart_unless(self._reads.condition(demand.that))
        for number, field in enumerate(self._plan.fields):
            self._field(number, field)
        self._drop_empty_groups()
        line(f"return values, {'tuple(cleared)' if clears else '()'}, notes")

    def _require_known_names(self) -> None:
        plan, constant = self._plan, self._writer.constant
        if plan.reads is not None:
            self._depart_unless(f"({constant(plan.reads)} <= record.keys() <= {constant(plan.known)})")

    def _depart_unless(self, condition: str) -> None:
        self._writer.line(f"if not {condition}: {_DEPARTS[0]}")

    def _field(self, number: int, field: FieldPlan) -> None:
        writer, when = self._writer, field.rule.when
        place = f"{self._group(field.names[:-1])}[{writer.constant(field.names[-1])}]" if not field.rule.clear else ""
        with writer.block(f"if {self._reads.condition(when)}") if when else nullcontext():
            if field.rule.clear:
                writer.line(f"cleared.append({writer.constant(field.target)})")
            elif field.rule.says("value"):
                writer.line(f"{place} = {writer.constant(field.rule.value)}")
            else:
                _Value(number, field, place, writer).write(self._read(field) if field.paths else self._chosen(field))
        if when:
            with writer.block("else"):
                writer.line(f"notes.append({number})")

    def _read(self, field: FieldPlan) -> _May:
        found = [self._reads.of(path.steps) for path in field.paths]
        if field.rule.gather is None:
            self._writer.line(f"v = {found[0]}")
            return _May()
        self._writer.line(f"v = [{', '.join(found)}]")
        with self._writer.block("if ABSENT in v"):
            self._writer.line("v = gathered(v)")
        return _May(frozenset({list}), be_null=False)

    def _chosen(self, field: FieldPlan) -> _May:
        """The constant of the first case that applies."""
        word, cases = "if", field.rule.cases or []
        for case in cases:
            with self._writer.block(f"{word} {self._reads.condition(case.when)}"):
                self._writer.line(f"v = {self._writer.constant(case.value)}")
            word = "elif"
        with self._writer.block("else"):
            self._writer.line("v = ABSENT")
        types = frozenset(type(case.value) for case in cases)
        return _May(types - {NoneType}, be_null=NoneType in types)

    def _group(self, names: tuple[str, ...]) -> str:
        """The variable of the nested dictionary at ``names``, which is made where a field of it is first met."""
        if names not in self._groups:
            outer = self._group(names[:-1])
            self._groups[names] = f"g{len(self._groups)}"
            self._writer.line(f"{self._groups[names]} = {outer}[{self._writer.constant(names[-1])}] = {{}}")
        return self._groups[names]

    def _drop_empty_groups(self) -> None:
        sure = {field.names[:n] for field in self._plan.fields if _is_sure(field) for n in range(len(field.names))}
        for names, variable in reversed(self._groups.items()):
            if names and names not in sure:
                with self._writer.block(f"if not {variable}"):
                    self._writer.line(f"del {self._groups[names[:-1]]}[{self._writer.constant(names[-1])}]")


class _Value:
    """The lines from a value read to its place, for one field. ``v`` is the value."""

    def __init__(self, number: int, field: FieldPlan, place: str, writer: Writer) -> None:
        self._number = number
        self._field = field
        self._place = place
        self._writer = writer

    def write(self, may: _May) -> None:
        """Write all of them."""
        self._steps(self._field.steps, may)

    def _steps(self, steps: tuple[Step, ...], may: _May) -> None:
        if not steps:
            self._end(may)
        elif steps[0].takes:
            self._typed(steps[0], steps[1:], may)
        elif steps[0].name in _FOR_EMPTY:
            self._for_empty(steps[0], steps[1:], may)
        else:
            self._writer.line(f"v = {self._called(steps[0])}")
            self._steps(steps[1:], _May.given_by(steps[0]))

    def _typed(self, step: Step, rest: tuple[Step, ...], may: _May) -> None:
        """A step that takes certain types: inside an ``if`` unless they are sure. Null and absence pass it by."""
        fits = may.types is not None and may.types <= step.takes
        guard = may.something() if fits else self._is_of(step.takes)
        endings = [(test, self._ending(rest, value)) for test, value in may.nothings()] + ([] if fits else [("", _DEPARTS)])
        departs = all(lines == _DEPARTS for _, lines in endings)
        if guard and departs:
            self._writer.line(f"if not ({guard}): {_DEPARTS[0]}")
        with nullcontext() if departs else self._writer.block(f"if {guard}"):
            self._writer.line(f"v = {self._applied(step)}")
            self._steps(rest, _May.given_by(step))
        if not departs:
            self._otherwise(endings)

    def _otherwise(self, endings: list[tuple[str, Lines]]) -> None:
        """What is not of the types taken: null, absence, and what is of a wrong type. Departing comes last."""
        for lines in dict.fromkeys(lines for _, lines in endings if lines != _DEPARTS):
            tests = " or ".join(test for test, each in endings if each == lines)
            with self._writer.block(f"elif {tests}"):
                self._write(lines)
        if any(lines == _DEPARTS for _, lines in endings):
            with self._writer.block("else"):
                self._write(_DEPARTS)

    def _for_empty(self, step: Step, rest: tuple[Step, ...], may: _May) -> None:
        """A step that puts something in the place of what is empty, and leaves everything else."""
        is_for_nothing = step.name != "null_if_empty"
        tests = [test for test, _ in may.nothings()] if is_for_nothing else []
        tests += [may.empty_text()] if may.be(str) else []
        left = replace(may, be_null=False, be_absent=False) if is_for_nothing else may
        if not tests:
            self._steps(rest, left)
            return
        with self._writer.block(f"if {' or '.join(tests)}"):
            self._write(self._ending(rest, _FOR_EMPTY[step.name](step)))
        with self._writer.block("else"):
            self._steps(rest, left)

    def _ending(self, rest: tuple[Step, ...], value: object) -> Lines:
        """The lines for a ``value`` that is known now. Steps are pure: what they make of it is found out here, once."""
        for step in rest:
            try:
                value = run_step(step, value)
            except ValueFault:
                return _DEPARTS
        if value is ABSENT:
            return self._absent()
        if not isinstance(value, _CONSTANTS) or (self._field.rule.required and is_empty(value)):
            return _DEPARTS
        return (f"{self._place} = {self._writer.constant(value)}",)

    def _applied(self, step: Step) -> str:
        if step.table is not None and set(step.parameters) == {"table"}:
            return f"{self._writer.constant(step.table)}[v]"
        if step.name == LOOKUP:
            return "{}.get(v, {})".format(*(self._writer.constant(step.parameters[name]) for name in ("table", "otherwise")))
        write = _EXPRESSIONS.get(step.name)
        return write(self._writer, step) if write else self._called(step)

    def _called(self, step: Step) -> str:
        constant = self._writer.constant
        if quick := quick_form(step):
            return f"{constant(quick)}(v)"
        given = "".join(f", {name}={constant(value)}" for name, value in step.parameters.items())
        return f"{constant(step.function)}(v{given})"

    def _is_of(self, types: frozenset[type]) -> str:
        if len(types) > 1:
            return f"type(v) in {self._writer.constant(types)}"
        only = next(iter(types))
        return f"type(v) is {'str' if only is str else self._writer.constant(only)}"

    def _end(self, may: _May) -> None:
        """The value is what it is: the default in place of absence, a refusal of what is required and empty, else its place."""
        required = self._field.rule.required
        endings = [(test, self._ending((), value)) for test, value in may.nothings() if value is ABSENT or required]
        endings += [(may.empty_text(), _DEPARTS)] if may.be(str) and required else []
        if departing := [test for test, lines in endings if lines == _DEPARTS]:
            self._writer.line(f"if {' or '.join(departing)}: {_DEPARTS[0]}")
        kept = [(test, lines) for test, lines in endings if lines != _DEPARTS]
        word = "if"
        for lines in dict.fromkeys(lines for _, lines in kept):
            with self._writer.block(f"{word} {' or '.join(test for test, each in kept if each == lines)}"):
                self._write(lines)
            word = "elif"
        with self._writer.block("else") if kept else nullcontext():
            if may.types is None or not may.types <= _UNCHANGING:
                with self._writer.block("if type(v) not in UNCHANGING"):
                    self._writer.line(f"v = {'needed' if required else 'detached'}(v)")
            self._writer.line(f"{self._place} = v")

    def _absent(self) -> Lines:
        default = self._field.default
        if self._field.rule.required and is_empty(default):
            return _DEPARTS
        if default is ABSENT:
            return (f"notes.append({self._number})",)
        return f"{self._place} = {self._writer.constant(default)}", f"notes.append(~{self._number})"

    def _write(self, lines: Lines) -> None:
        for line in lines:
            self._writer.line(line)


def _paths(plan: Plan) -> list[Path]:
    """Every path that the plan reads, as often as it does."""
    conditions = [demand.that for demand in plan.demands] + [each for field in plan.fields for each in field.rule.asks]
    read = [parse_path(path) for condition in conditions for path in condition.paths()]
    return read + [path for field in plan.fields for path in field.paths]


def _is_sure(field: FieldPlan) -> bool:
    """Whether the field has a value in every record that can be mapped."""
    rule = field.rule
    return rule.when is None and (rule.says("value") or rule.required or rule.says("default"))


def _needed(value: object) -> object:
    """A value of its own for a field that requires one."""
    found = detached(value)
    if is_missing(found):
        raise Departure("nothing but what is empty")
    return found


def _getter(record: object) -> Callable[..., object]:
    """How keys of a record that is no plain dictionary are read."""
    if not isinstance(record, Mapping):
        raise Departure("the record is no mapping")
    return record.get


def _inside(node: object) -> Callable[..., object]:
    """How keys of what stands in a record are read where it is no plain dictionary; there are none in what is no mapping."""
    return node.get if isinstance(node, Mapping) else _nothing_inside


def _nothing_inside(_name: str, otherwise: object) -> object:
    return otherwise


def _words_of(step: Step) -> Mapping[str, bool]:
    """The two lists of words of ``boolean`` as one table; a word of both is true."""
    words = {kind: cast("list[str]", step.parameters[kind]) for kind in ("false", "true")}
    return {word: kind == "true" for kind, each in words.items() for word in each}


_FOR_EMPTY: Mapping[str, Callable[[Step], object]] = MappingProxyType({
    "absent_if_empty": lambda _step: ABSENT,
    "null_if_empty": lambda _step: None,
    "default_if_empty": lambda step: step.parameters["value_if_empty"],
})  # fmt: skip
"""The steps that put something in the place of what is empty, and what they put there."""

_EXPRESSIONS: Mapping[str, Callable[[Writer, Step], str]] = MappingProxyType({
    "strip": lambda _writer, _step: "v.strip()",
    "upper": lambda _writer, _step: "v.upper()",
    "lower": lambda _writer, _step: "v.lower()",
    "concat": lambda writer, step: "{} + v + {}".format(*(writer.constant(step.parameters[name]) for name in ("before", "after"))),
    "boolean": lambda writer, step: f"{writer.constant(_words_of(step))}[v]",
    "bool_text": lambda writer, step: "{} if v else {}".format(*(writer.constant(step.parameters[name]) for name in ("true", "false"))),
})  # fmt: skip
"""The typed steps that are written out. A test compares each with its function."""

_RUNTIME: Mapping[str, object] = MappingProxyType({
    "type": type, "dict": dict, "str": str, "tuple": tuple, "ABSENT": ABSENT, "EMPTY": "", "Departure": Departure,
    "UNCHANGING": _UNCHANGING, "getter": _getter, "inside": _inside, "gathered": gathered, "detached": detached, "needed": _needed, "items_by": items_by,
    "is_one_of": is_one_of, "is_in_order": is_in_order,
})  # fmt: skip
"""Everything that the function can name besides its constants."""
