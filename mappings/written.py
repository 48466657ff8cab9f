"""Parts of a mapping as a file says them: what a person is shown can be put into the next version as it stands."""

from __future__ import annotations

from typing import Any

import yaml

from mappings.model import FieldRule, MappingFile


def rule_as_written(rule: FieldRule) -> dict[str, Any]:
    """One field's rule, with nothing that its file leaves at its default."""
    said = rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if "apply" in said:
        said["apply"] = [
            call["name"] if not call.get("parameters") else {call["name"]: call["parameters"]} for call in said["apply"]
        ]
    return said


def mapping_as_written(mapping: MappingFile) -> dict[str, Any]:
    """A whole version, with its base taken in where it has one, so that it stands on its own."""
    said = mapping.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"base", "removes", "effective_from"})
    head = {name: said.pop(name) for name in ("mapping", "version")}
    fields = {target: rule_as_written(rule) for target, rule in mapping.fields.items()}
    return {**head, "effective_from": mapping.effective_from, **said, "fields": fields}


def as_yaml(content: object) -> str:
    """YAML as people write it: in the order given, in every script, short parts on one line."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=130, default_flow_style=None)
