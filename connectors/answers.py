"""Vendors' answers as typed records. What is not as expected is told by its place, never by its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from workforce.errors import RetryLater

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads one system's answers: ``parse = Reading("gusto")``, then ``parse(Contractor, payload)``."""

    system: str

    def __call__(self, shape: type[T], payload: object) -> T:
        """``payload`` of a read as ``shape``; bytes are JSON. Raises ``RetryLater`` when it is something else: a read may be repeated."""
        adapter = TypeAdapter(shape)
        try:
            return adapter.validate_json(payload) if isinstance(payload, bytes) else adapter.validate_python(payload)
        except ValidationError as error:
            raise RetryLater(f"{self.system}: unexpected answer at {place_of(error)}", cause="unreadable_answer") from None


def place_of(error: ValidationError) -> str:
    """Where the first fault lies, as a dotted path; a vendor's own keys may be in it, so it is cut short."""
    return ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])[:100] or "answer"
