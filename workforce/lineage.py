"""Why a field has the value that it has: from the source's record through the mappings to what was written.

These are data, kept with every outside write, so that a question can be answered long after the source's record changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class MappedField(_Fact):
    """How one field of a mapping's target came about. ``read`` are the source's paths, each with the value that was found there.

    ``value`` is ``None`` where the source said null and where the field was cleared; ``origin`` tells which. Text of both ends only.
    ``shown`` is the target's own way of writing ``value``, where it has one: what it showed right after the write. ``None``: none is known.
    """

    value: Any = None
    read: dict[str, Any] = Field(default_factory=dict)
    transforms: tuple[str, ...] = ()
    origin: str = "source"
    strength: str = "normal"
    sensitive: bool = False
    shown: Any = None


class MappingUsed(_Fact):
    """The version of a mapping that did it: id, label, and the hash of its content."""

    mapping_id: str
    version: str
    sha256: str


class SourceLineage(_Fact):
    """How an engagement's terms came about: which record of which system, in which version, through which mapping."""

    system: str
    external_id: str
    record_version: str
    mapping: MappingUsed
    fields: dict[str, MappedField]


class RecordWrite(_Fact):
    """What was written about an engagement in one system, field by field, and the lineage of the terms it was made of.

    ``fields`` holds every field as it stands in the system as far as we know, not only those that changed this time; ``changed`` are those.
    """

    system: str
    mapping: MappingUsed
    fields: dict[str, MappedField]
    changed: tuple[str, ...] = ()
    source: SourceLineage | None = None

    def values(self) -> Mapping[str, Any]:
        """Target field → value."""
        return {target: field.value for target, field in self.fields.items()}
