"""Secret references in a tenant's documents: ``{secret: "env:NAME"}`` or ``{secret: "file:name"}``. Values never enter the ledger."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workforce.errors import Misconfigured


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
        if isinstance(node, dict) and set(node) == {"secret"} and isinstance(node["secret"], str):
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
