"""What is wrong with a document, in the words of whoever writes it: what to write there instead, and the key that was probably meant."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mappings.schema import nearest

Place: TypeAlias = tuple[str | int, ...]

_SENTENCES: Mapping[str, str] = MappingProxyType({
    "missing": "this key is missing", "string_type": "write a text here; one that looks like a number or a date goes in quotes",
    "int_type": "write a whole number here", "bool_type": "write true or false here", "bool_parsing": "write true or false here",
    "list_type": "write a list here: [one, another]", "dict_type": "write keys with values here: {{key: value}}",
    "model_type": "write keys with values here: {{key: value}}", "model_attributes_type": "write keys with values here: {{key: value}}",
    "mapping_type": "write keys with values here: {{key: value}}", "enum": "write {expected}", "literal_error": "write {expected}",
    "string_too_short": "write at least {min_length} character(s)", "string_too_long": "write at most {max_length} characters",
    "too_short": "write at least {min_length} here", "too_long": "at most {max_length} may stand here",
    "greater_than_equal": "write {ge} or more", "less_than_equal": "write {le} or less",
})  # fmt: skip
_OTHERWISE = "this is not what belongs here; docs/mappings/language.md says what does"
_TOLD_KEYS = 16


def sentences(error: ValidationError, model: type[BaseModel]) -> list[tuple[Place, str]]:
    """Every fault that ``error`` found where ``model`` was to be read, with its place in the document."""
    details = error.errors(include_input=False, include_url=False)
    return [(_place(detail["loc"]), sentence(detail, model)) for detail in details]


def sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """One fault, without a word of what was found: that may be somebody's data."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "extra_forbidden":
            return _unknown(str(detail["loc"][-1]), keys_of(model, detail["loc"][:-1]))
        case kind:
            said = {name: str(value).replace("'", "") for name, value in context.items()}
            return _SENTENCES.get(kind, _OTHERWISE).format_map(said)


def keys_of(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that may stand at ``place`` of a document that ``model`` describes, in its order."""
    kinds: list[Any] = [model]
    for name in place:
        kinds = [inner for kind in kinds for inner in _inside(kind, name)]
    return [field.alias or name for kind in kinds if _is_part(kind) for name, field in kind.model_fields.items()]


def _unknown(key: str, known: Sequence[str]) -> str:
    if meant := nearest(key, known):
        return f"there is no such key; did you mean {meant!r}?"
    return f"there is no such key; known here: {', '.join(known[:_TOLD_KEYS])}" if known else "there is no such key"


def _inside(kind: Any, name: str | int) -> list[Any]:
    """What stands under ``name``, or at it, in a value of ``kind``."""
    if _is_part(kind):
        return [
            each for key, field in kind.model_fields.items() if name in (key, field.alias) for each in _members(field.annotation)
        ]
    within: Mapping[Any, Callable[[tuple[Any, ...]], Any]] = {list: lambda given: given[0], dict: lambda given: given[1]}
    return _members(within[get_origin(kind)](get_args(kind))) if get_origin(kind) in within else []


def _members(kind: Any) -> list[Any]:
    """What a value of ``kind`` may be."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in {Union, types.UnionType}:
        return [member for each in get_args(kind) for member in _members(each)]
    return [kind]


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _place(place: Place) -> Place:
    """The place as the document has it: the fault of a key is at the key."""
    return place[:-1] if place[-1:] == ("[key]",) else place
