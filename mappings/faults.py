"""What is wrong with a mapping document, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workforce.errors import Misconfigured


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
