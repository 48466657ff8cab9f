"""The two ends of every mapping as JSON Schemas: the connectors' own, and the canonical models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from connectors.schemas import source_schema, target_schema
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


@cache
def _model(model: type[BaseModel]) -> JsonSchema:
    return model.model_json_schema()


@cache
def _document() -> JsonSchema:
    return EngagementDocument.model_json_schema(mode="serialization", schema_generator=_WithEveryField)
