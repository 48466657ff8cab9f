"""Resources of SCIM 2.0 as they came, and where things are in them (RFC 7643, RFC 7644).

A directory may hold anything, and no odd value may hide an account or keep it from being blocked. So a resource is kept as it came, each
look at it bears any content, and it goes back unchanged where it has to be sent whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from workforce.errors import UnusableContent

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MESSAGES = "urn:ietf:params:scim:api:messages:2.0"


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it came. ``version`` is its ETag (RFC 7644 §3.14), where the target gives one."""

    id: str
    body: Mapping[str, Any]
    version: str | None = None

    endpoint: ClassVar[str]


@dataclass(frozen=True, slots=True)
class User(Resource):
    """A User (RFC 7643 §4.1)."""

    endpoint: ClassVar[str] = "/Users"

    @property
    def user_name(self) -> str:
        """The sign-in name; empty where there is none."""
        return _text(inside(self.body, "userName")) or ""

    @property
    def is_active(self) -> bool:
        """Only a clear no is one; older targets say it in words (not verified against a vendor)."""
        held = inside(self.body, "active")
        return not (held is False or (isinstance(held, str) and held.casefold() == "false"))

    @property
    def groups(self) -> frozenset[str] | None:
        """The ids of its direct groups; ``None`` where the target does not show them, or not in the RFC's form."""
        held = inside(self.body, "groups")
        if not isinstance(held, list):
            return None
        ids = [_text(inside(one, "value")) for one in held if inside(one, "type") != "indirect"]
        return None if None in ids or "" in ids else frozenset(filter(None, ids))


@dataclass(frozen=True, slots=True)
class Group(Resource):
    """A Group (RFC 7643 §4.2)."""

    endpoint: ClassVar[str] = "/Groups"

    @property
    def members(self) -> list[Any] | None:
        """Its members as they came; ``None`` where none are shown. Raises ``UnusableContent``."""
        held = inside(self.body, "members")
        if held is not None and not isinstance(held, list):
            raise UnusableContent("members of a group is no list", field="members")
        return held


def inside(body: object, *names: str) -> object:
    """The value at nested names, or ``None``."""
    for name in names:
        body = body.get(_key(body, name)) if isinstance(body, Mapping) else None
    return body


def value_at(body: object, path: str) -> object:
    """The value at an attribute path (RFC 7644 §3.10: ``title``, ``urn:…:User:department``), or ``None``."""
    schema, _, name = path.rpartition(":")
    return inside(body, schema, name) if schema else inside(body, name)


def at(path: str, value: object) -> dict[str, Any]:
    """``value`` where an attribute path has it in a resource."""
    schema, _, name = path.rpartition(":")
    return {schema: {name: value}} if schema else {name: value}


def equals(path: str, text: str) -> str:
    """The filter ``path eq "text"``; a value in a filter is a JSON string (RFC 7644 §3.4.2.2)."""
    return f"{path} eq {json.dumps(text, ensure_ascii=False)}"


def merged(resource: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The resource with what ``change`` names set; ``None`` and ``""`` take it out."""
    result = dict(resource)
    for name, value in change.items():
        key = _key(result, name)
        if isinstance(value, Mapping):
            held = result.get(key)
            result[key] = merged(held if isinstance(held, Mapping) else {}, value)
        elif value is None or value == "":
            result.pop(key, None)
        else:
            result[key] = value
    return result


def schemas_of(resource: Mapping[str, Any]) -> list[str]:
    """The ``schemas`` of a User: the core's, and that of each extension with a value."""
    return [CORE, *(name for name in resource if ":" in name)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _key(resource: Mapping[str, Any], name: str) -> str:
    """``name`` as the resource spells it: names are alike in any case (RFC 7643 §2.1)."""
    if name in resource:
        return name
    return next((key for key in resource if key.casefold() == name.casefold()), name)
