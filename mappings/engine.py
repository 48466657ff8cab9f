"""A mapping version compiled once, then applied to any number of records.

Absent, null and clear stay apart: an absent value leaves the target out, null sets it to ``None``, and clearing is only ever
said by the mapping and listed in ``Mapped.cleared``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from mappings.compiler import Compiled, compile_plan
from mappings.explain import FieldExplanation, explain_field, record_faults
from mappings.faults import RecordFault, Unmappable
from mappings.model import MappingFile
from mappings.plan import FieldLineage, FieldPlan, Origin, Table, plan_of
from mappings.values import ABSENT, CLEAR, ValueFault

__all__ = ["CompiledMapping", "FieldLineage", "Mapped", "Origin", "Table"]


class CompiledMapping:
    """One version of a mapping, ready to apply. Thread-safe: it holds no state of any record, and what it works out later is always the same.

    ``version`` is the label of its file (``v0003``, ``t0002``), ``content_sha256`` the hash of its content. ``tables`` are the lookup
    tables that it names, by file name.
    """

    def __init__(
        self, mapping: MappingFile, *, label: str | None = None, content_sha256: str, tables: Mapping[str, Table] | None = None
    ) -> None:
        self.mapping = mapping
        self.mapping_id = mapping.mapping
        self.version = label or f"v{mapping.version:04}"
        self.effective_from: date = mapping.effective_from
        self.content_sha256 = content_sha256
        self._plan = plan_of(mapping, tables or {})

    def apply(self, record: Mapping[str, object]) -> Mapped:
        """Map ``record``. Raises ``Unmappable`` naming every field that cannot be mapped, target and source."""
        try:
            values, cleared, notes = self._compiled(record)
        except (ValueFault, KeyError, ArithmeticError):  # the compiled function only knows that something is out of the ordinary
            return self._interpreted(record)
        return Mapped(values, cleared, self, notes)

    def apply_only(self, record: Mapping[str, object], targets: Iterable[str]) -> dict[str, object]:
        """Target → value for these ``targets`` alone, written as the mapping writes them, whatever is wrong with the rest of ``record``.

        A target whose own value is faulty, absent or cleared is left out.
        """
        wanted = frozenset(targets)
        found = [explain_field(each, record) for each in self._plan.fields if each.target in wanted]
        return {each.target: each.value for each in found if each.value is not ABSENT and each.value is not CLEAR}

    def explain(self, record: Mapping[str, object]) -> tuple[FieldExplanation, ...]:
        """How each field comes to its value, or does not, in the order of the mapping. For people; nothing is raised."""
        return tuple(explain_field(each, record) for each in self._plan.fields)

    def faults(self, record: Mapping[str, object]) -> tuple[RecordFault, ...]:
        """Everything that is wrong with ``record``: first what concerns it as a whole, then field by field. Empty when it can be mapped."""
        fields = (explanation.fault for explanation in self.explain(record))
        return (*record_faults(self._plan, record), *(fault for fault in fields if fault))

    def lineage(self, notes: Sequence[int]) -> tuple[FieldLineage, ...]:
        """The lineage of a record from the ``notes`` of its mapping (see ``mappings.compiler``)."""
        noted = frozenset(notes)
        lines = enumerate(self._lines)
        return tuple(by_default if ~number in noted else usual for number, (usual, by_default) in lines if number not in noted)

    @cached_property
    def _compiled(self) -> Compiled:
        """Its function, compiled when the first record comes: most versions are only read, listed and checked."""
        return compile_plan(self._plan, f"{self.mapping_id} {self.version}")

    @cached_property
    def _lines(self) -> tuple[tuple[FieldLineage, FieldLineage], ...]:
        """Each field's lineage, and the one where its default was taken."""
        return tuple((each.lineage(by_default=False), each.lineage(by_default=True)) for each in self._plan.fields)

    def _interpreted(self, record: Mapping[str, object]) -> Mapped:
        explanations = self.explain(record)
        faults = [*record_faults(self._plan, record), *(each.fault for each in explanations if each.fault)]
        if faults:
            raise Unmappable(faults, mapping_id=self.mapping_id, version=self.version)
        cleared = tuple(each.target for each in explanations if each.value is CLEAR)
        left_out = [number for number, each in enumerate(explanations) if each.origin is None]
        defaults = [~number for number, each in enumerate(explanations) if each.origin is Origin.DEFAULT]
        return Mapped(_nested(self._plan.fields, explanations), cleared, self, [*left_out, *defaults])


@dataclass(slots=True)  # frozen would cost a record as much as three of its fields
class Mapped:
    """A mapped record. ``values`` is nested by target; ``cleared`` are the targets that shall lose their value, and are not in it.

    ``mapping`` is the version that did it. Nobody but the engine makes one, or changes it.
    """

    values: dict[str, object] = field(repr=False)
    cleared: tuple[str, ...]
    mapping: CompiledMapping = field(repr=False)
    _notes: Sequence[int] = field(repr=False)

    @property
    def mapping_id(self) -> str:
        """The id of the mapping that did it."""
        return self.mapping.mapping_id

    @property
    def version(self) -> str:
        """The label of its version."""
        return self.mapping.version

    @property
    def content_sha256(self) -> str:
        """The hash of that version's content."""
        return self.mapping.content_sha256

    @property
    def lineage(self) -> tuple[FieldLineage, ...]:
        """How each field that has a value, or is cleared, came to it. Worked out when asked for."""
        return self.mapping.lineage(self._notes)


def _nested(fields: Sequence[FieldPlan], explanations: Sequence[FieldExplanation]) -> dict[str, object]:
    """The values by target. A nested dictionary stands where a field of it is first met, and only if one has a value."""
    groups: dict[tuple[str, ...], dict[str, object]] = {(): {}}
    for plan, explanation in zip(fields, explanations, strict=True):
        for n in range(1, 0 if plan.rule.clear else len(plan.names)):
            if plan.names[:n] not in groups:
                groups[plan.names[:n]] = {}
                groups[plan.names[: n - 1]][plan.names[n - 1]] = groups[plan.names[:n]]
        if explanation.value is not ABSENT and explanation.value is not CLEAR:
            groups[plan.names[:-1]][plan.names[-1]] = explanation.value
    for names, group in reversed(groups.items()):
        if names and not group:
            del groups[names[:-1]][names[-1]]
    return groups[()]
