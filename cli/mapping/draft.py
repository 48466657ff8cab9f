"""``stint mappings new``: the next version of a company's own, begun in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from cli.check import read_folder
from mappings.registry import MappingRegistry
from workforce.errors import Misconfigured

_HINT = """\
# Only what differs from {base} stands here; everything else is taken over from it. For example:
#   ignores: ["Cost Centre"]          # a column that is known, and not used
#   removes: [worker.phone]           # a field that shall not be mapped
fields: {{}}
#   terms.role: {{from: '"Job Title"', apply: [strip], required: true, strength: strong}}
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """The two files of a version that was begun."""

    version: Path
    examples: Path


def draft(folder: Path, mapping_id: str, because: str) -> Draft:
    """Begin a company's next version: a copy of its newest own one, or an overlay of the library's newest, with examples to adapt.

    Raises ``Misconfigured`` for a folder that is none, for an unknown mapping, and where the file is there already.
    """
    if not folder.is_dir():
        message = f"{folder} is no folder; searched: {folder.absolute()}; what is applied is written by: stint config export"
        raise Misconfigured(message, cause="no_folder", field="folder")
    registry = MappingRegistry.shipped().with_documents(read_folder(folder))
    labels = registry.labels(mapping_id)
    own = [label for label in labels if label.startswith("t")]
    number = int(own[-1][1:]) + 1 if own else 1
    place = folder / "mappings" / mapping_id
    begun = Draft(place / f"t{number:04}.yaml", place / f"t{number:04}.examples.yaml")
    if begun.version.exists():
        raise Misconfigured(f"{begun.version} is there already", cause="file_exists", field="mapping")
    said = {"mapping": mapping_id, "version": number, "effective_from": datetime.now(UTC).date(), "because": because}
    before = own[-1] if own else labels[-1]
    text = _next_of(registry, mapping_id, before, said) if own else _over(before, said)
    place.mkdir(parents=True, exist_ok=True)
    begun.version.write_text(text, encoding="utf-8")
    begun.examples.write_text(_examples(registry, mapping_id, before, whole=bool(own)), encoding="utf-8")
    return begun


def _over(base: str, said: Mapping[str, Any]) -> str:
    return _as_yaml({**said, "base": base}, flow=False) + _HINT.format(base=base)


def _next_of(registry: MappingRegistry, mapping_id: str, before: str, said: Mapping[str, Any]) -> str:
    data = registry.source(mapping_id, before).document.data
    return _as_yaml({**(data if isinstance(data, Mapping) else {}), **said})


def _examples(registry: MappingRegistry, mapping_id: str, before: str, *, whole: bool) -> str:
    """The examples of ``before``: all of a company's own, and of the library's one that is mapped and one that is refused."""
    text = registry.examples_text(mapping_id, before)
    return text if whole or not text else _as_yaml({"examples": list(_one_of_each(yaml.safe_load(text)["examples"]))})


def _one_of_each(examples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for kind in ("gives", "refuses"):
        yield from [example for example in examples if kind in example][:1]


def _as_yaml(content: object, *, flow: bool | None = None) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=130, default_flow_style=flow)
