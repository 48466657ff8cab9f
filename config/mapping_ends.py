"""The two ends of every mapping as JSON Schemas: the connectors' own, and the canonical models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from connectors.records.schemas import source_schema, target_schema
from mappings.engine import Mapped
from mappings.schema import Schema, UnusableSchema
from mappings.target_check import require_taken
from workforce.engagement import Agreement, WorkOrder
from workforce.outgoing import EngagementDocument

JsonSchema: TypeAlias = Mapping[str, Any]
Ends: TypeAlias = tuple[JsonSchema | None, JsonSchema | None]

CANONICAL = "engagement"
"""The source of outgoing mappings, and the target of incoming ones."""
AGREEMENT = "agreement"


class _WithEveryField(GenerateJsonSchema):
    """A document that is written out whole: a field with a default is never absent from it."""

    def field_is_required(self, *_field: object, **_total: object) -> bool:
        """Yes."""
        return True


def mapping_ends(mapping_id: str) -> Ends:
    """The schemas of the source and the target of ``<key>__engagement``, ``<key>__agreement`` or ``engagement__<key>``.

    ``None`` for an end that nobody describes: a connector without such a schema, or none that we know.
    """
    source, _, target = mapping_id.partition("__")
    if source == CANONICAL:
        return _document(), target_schema(target)
    models: Mapping[str, type[BaseModel]] = {CANONICAL: WorkOrder, AGREEMENT: Agreement}
    return source_schema(source), _model(models[target]) if target in models else None


def ends_with(own: Mapping[str, Ends]) -> Callable[[str], Ends]:
    """``mapping_ends`` for a company whose systems have fields of their own; ``own`` is connector key → (source, target)."""

    def ends(mapping_id: str) -> Ends:
        left, _, right = mapping_id.partition("__")
        source, target = mapping_ends(mapping_id)
        return own.get(left, (None, None))[0] or source, own.get(right, (None, None))[1] or target

    return ends


def require_taken_at(ends: Callable[[str], Ends], mapped: Mapped) -> None:
    """Raise ``Refused`` (cause ``target_refuses``) naming what the target of ``mapped``, by ``ends``, does not take of it."""
    target = ends(mapped.mapping_id)[1]
    if target is not None:
        require_taken(mapped, _walkable(_Same(target)))


def require_object_schema(document: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless ``document`` is a JSON Schema of an object that stands on its own."""
    try:
        types = Schema(document).root.types
    except UnusableSchema:
        raise
    except (TypeError, AttributeError, KeyError):
        raise ValueError("not a JSON Schema; write it with: stint connectors schema INSTANCE --write DIR") from None
    if dict not in types:
        raise ValueError("describes no record: its type is object, with properties")


@dataclass(frozen=True, eq=False)
class _Same:
    """A schema that is the same as itself only, so that what is made of it is kept without looking at all of it."""

    document: JsonSchema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.document is other.document

    def __hash__(self) -> int:
        return id(self.document)


@lru_cache(maxsize=256)
def _walkable(schema: _Same) -> Schema:
    return Schema(schema.document, "the target")


@cache
def _model(model: type[BaseModel]) -> JsonSchema:
    return model.model_json_schema()


@cache
def _document() -> JsonSchema:
    return EngagementDocument.model_json_schema(mode="serialization", schema_generator=_WithEveryField)
