"""What is wrong with a mapping document, and where; and what is wrong with a record that a mapping cannot map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from workforce.errors import Misconfigured, Refused

MAX_FAULTS_TOLD = 30
"""Faults that a sentence names; how many more there are is told by their number."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault of one file. ``line`` and ``column`` count from 1; ``key`` is the dotted place inside the document."""

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.key}: {self.message}"


class FaultyMapping(Misconfigured):
    """A mapping document cannot be used. ``faults`` holds every fault that was found, in the order of the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        sentence = "\n".join(str(fault) for fault in self.faults)
        super().__init__(f"mend the mapping:\n{sentence}", cause="faulty_mapping", field=self.faults[0].key)


class FaultKind(StrEnum):
    """Why a record cannot be mapped, in the words that failures are grouped by.

    ``unknown_field`` and ``vanished_field``: a closed source grew or lost a field. ``changed_type``: the value is of another type than
    what it goes through takes. ``new_value``: a table has no entry for it. ``missing_value``: required, but absent, null or empty.
    ``malformed_value``: not written as expected. ``unmet_demand``: a demand of the mapping does not hold. ``ambiguous``: several items
    of a list match where one is expected.
    """

    UNKNOWN_FIELD = "unknown_field"
    VANISHED_FIELD = "vanished_field"
    CHANGED_TYPE = "changed_type"
    NEW_VALUE = "new_value"
    MISSING_VALUE = "missing_value"
    MALFORMED_VALUE = "malformed_value"
    UNMET_DEMAND = "unmet_demand"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class RecordFault:
    """One fault of one record. ``target`` is ``record`` where the fault is no single field's; ``source`` is read as people write it.

    ``value`` is the unknown word of a ``new_value``, and only where the rule is not sensitive. No other value is ever kept.
    """

    kind: FaultKind
    target: str
    source: str
    message: str
    value: str | None = field(default=None)

    def __str__(self) -> str:
        shown = "" if self.value is None else f", and the record says {self.value!r}"
        return f"{self.target} (from {self.source}): {self.message}{shown}"


class Unmappable(Refused):
    """A record that a mapping version cannot map. ``faults`` are all of them; ``cause`` and ``field`` are the first one's."""

    def __init__(self, faults: Sequence[RecordFault], *, mapping_id: str, version: str) -> None:
        self.faults = tuple(faults)
        self.mapping_id = mapping_id
        self.version = version
        sentence = f"{mapping_id} version {version}: {listed(self.faults)}. Mend the record at its source, or the mapping"
        super().__init__(sentence, cause=self.faults[0].kind.value, field=self.faults[0].source)

    @property
    def group(self) -> str:
        """The cause as a key that all its kin share, whichever version met it: mended for one record, it is mended for all."""
        first = self.faults[0]
        return "/".join([self.mapping_id, first.kind, first.source, *([] if first.value is None else [first.value])])


def listed(faults: Sequence[object]) -> str:
    """The first of ``faults`` in one sentence, with how many there are besides."""
    told = "; ".join(str(fault) for fault in faults[:MAX_FAULTS_TOLD])
    untold = len(faults) - MAX_FAULTS_TOLD
    return f"{told}; and {untold} more" if untold > 0 else told
