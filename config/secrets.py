"""Secret references in a tenant's documents: ``{secret: "env:NAME"}`` or ``{secret: "file:name"}``. Values never enter the ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from workforce.errors import Misconfigured

REFERENCE_NEEDED = (
    'write a reference such as {secret: "env:NAME"} or {secret: "file:name"}; plain secrets would be stored in the ledger'
)


class SecretStore:
    """Resolves references against the environment and a folder of files (relative names; absolute paths as they are)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def resolve(self, reference: str) -> str:
        """The secret's value. Raises ``Misconfigured`` naming the place that was searched."""
        scheme, _, name = reference.partition(":")
        if scheme == "env" and name:
            value = os.environ.get(name)
            if value:
                return value
            raise Misconfigured(f"secret {reference}: environment variable {name} is not set", cause="secret_missing")
        if scheme == "file" and name:
            return self._read(reference, self._folder / name)
        raise Misconfigured(f"secret {reference!r}: write env:NAME or file:NAME", cause="secret_reference")

    def _read(self, reference: str, path: Path) -> str:
        try:
            text = path.read_text().rstrip("\r\n")
        except (OSError, ValueError) as error:  # a ValueError is no text, or no possible name
            reason = error.strerror if isinstance(error, OSError) else "not readable as text"
            raise Misconfigured(
                f"secret {reference}: cannot read it ({reason}); searched: {path}", cause="secret_missing"
            ) from None
        if not text:
            raise Misconfigured(f"secret {reference}: {path} is empty", cause="secret_missing")
        return text

    def fill(self, node: Any, path: str = "") -> tuple[Any, list[tuple[str, str]]]:
        """``node`` with every reference replaced by its value, and the faults as (key, message)."""
        if _is_reference(node):
            try:
                return self.resolve(node["secret"]), []
            except Misconfigured as error:
                return "", [(path, str(error))]
        if isinstance(node, dict):
            return self._fill_dict(node, path)
        if isinstance(node, list):
            filled = [self.fill(item, f"{path}[{index}]") for index, item in enumerate(node)]
            return [value for value, _ in filled], [fault for _, faults in filled for fault in faults]
        return node, []

    def _fill_dict(self, node: dict[str, Any], path: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        values, faults = {}, []
        for key, item in node.items():
            values[key], found = self.fill(item, f"{path}.{key}" if path else str(key))
            faults += found
        return values, faults


def plain_secrets(form: type[BaseModel], document: dict[str, Any], path: str) -> list[str]:
    """The keys of ``document`` (below ``path``) where ``form`` asks for a secret and something else than a reference is written.

    The form's JSON schema tells which fields are secret, so that they are found in a document with other faults too.
    """
    schema = form.model_json_schema()
    return list(dict.fromkeys(_plain(document, schema, schema.get("$defs", {}), path)))


def _plain(node: Any, schema: dict[str, Any], definitions: dict[str, Any], path: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if node is None or _is_reference(node):
        return
    if schema.get("writeOnly"):
        yield path
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _plain(node, choice, definitions, path)
    if isinstance(node, dict):
        for key, item in node.items():
            other = schema.get("additionalProperties")
            inner = schema.get("properties", {}).get(key, other if isinstance(other, dict) else {})
            yield from _plain(item, inner, definitions, f"{path}.{key}")
    if isinstance(node, list):
        fixed = schema.get("prefixItems", [])
        for index, item in enumerate(node):
            inner = fixed[index] if index < len(fixed) else schema.get("items", {})
            yield from _plain(item, inner, definitions, f"{path}[{index}]")


def _is_reference(node: Any) -> bool:
    return isinstance(node, dict) and set(node) == {"secret"} and isinstance(node["secret"], str)
